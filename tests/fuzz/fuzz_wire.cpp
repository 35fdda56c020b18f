// What a node may say: nothing crashes, frames come out the same however the stream is cut, and a message that is
// understood says the same when it is written again.
#include <cstdio>
#include <cstdlib>

#include "remote/wire.h"
#include "tests/fuzz/driver.h"

namespace {

[[noreturn]] void broken(const char* law, const std::string& text) {
  std::fprintf(stderr, "%s:\n%s\n", law, text.c_str());
  std::abort();
}

/// The payloads of `stream`, fed in pieces of `piece` bytes; a length that is too large ends it with "!".
std::vector<std::string> payloads(const std::string& stream, std::size_t piece) {
  converge::remote::FrameReader reader(1000);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    reader.add(std::string_view(stream).substr(at, piece));
    while (true) {
      auto payload = reader.next();
      if (!payload) {
        out.emplace_back("!");
        return out;
      }
      if (!*payload) break;
      out.push_back(std::move(**payload));
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace converge::remote;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> whole = payloads(text, size + 1);
  if (whole != payloads(text, 1) || whole != payloads(text, 7)) broken("frames do not depend on how they come", text);
  for (const std::string& payload : whole) (void)decode_from_agent(payload);

  if (const auto heard = decode_from_agent(text)) {
    const std::string written = encode(*heard);
    const auto again = decode_from_agent(written);
    if (!again || encode(*again) != written) broken("a message writes back the same", text);
  }
  converge::Sources sources;
  if (const auto heard = decode_from_controller(text, sources)) {
    const std::string written = encode(*heard);
    const auto again = decode_from_controller(written, sources);
    if (!again || encode(*again) != written) broken("a message writes back the same", text);
  }
  (void)decode_left_run(text);
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    R"({"type":"hello","protocol":1,"version":"0.1.0","privileged":true,"now":5,"facts":["m",null,[["a",null,["l",null,[["i",null,1],["d",null,0.5],["x",null,"/w=="],["S",null,"q"],["b",null,true],["n",null,null]]]]]],"left":null})",
    R"({"type":"step","step":{"item":"file","id":"file:/x","at":"a:1:2","outcome":"changed","checks":[{"property":"mode","expected":"0644","actual":"0600","verdict":"fail","detail":null,"evidence":null}],"error":{"message":"m","hint":null},"note":null,"meta":null,"diff":"+x\n","micros":12}})",
    R"({"type":"end","counts":{"in_sync":1,"skipped":0,"changed":0,"out_of_sync":0,"blocked":0,"unknown":0,"failed":0},"interrupted":false})",
    R"({"type":"refused","why":"input","message":"","hint":"","mistakes":[{"source":"a","line":1,"column":2,"message":"m","hint":""}]})",
    R"({"type":"items","sources":["a.yaml"],"items":[{"spec":"s","module":"file","name":"n","at":[0,1,2],"parameters":["m",[0,1,1],[["k",[0,2,3],["s",null,"v"]]]],"tags":["t"],"needs":[],"skipped":""}]})",
    R"({"type":"run","run":"r","digest":"d","by":"b","verb":"plan","diff":false,"all":true,"wait":false,"collected":""})",
    std::string("\0\0\0\x10{\"type\":\"alive\"}\0\0\0\0\0\0\0\x1d{\"type\":\"doing\",\"what\":\"a\"}", 53),
    std::string("\xff\xff\xff\xff", 4),
};
const std::vector<std::string> fuzz_words = {"{",
                                             "}",
                                             "[",
                                             "]",
                                             ",",
                                             ":",
                                             "\"",
                                             "\\",
                                             "null",
                                             "true",
                                             "-1",
                                             "1.5",
                                             "1e999",
                                             "99999999999999999999",
                                             "[\"l\",null,[",
                                             "]]",
                                             "[\"m\",null,[[\"k\",null,",
                                             "\"type\":\"end\"",
                                             "\"left\":{",
                                             "\"x\"",
                                             "\\u0000",
                                             "\\ud800",
                                             std::string(4, '\0'),
                                             std::string("\0\0\0\x02{}", 6),
                                             std::string("\0\1", 2)};
