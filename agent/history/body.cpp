#include "history/body.h"

#include <zlib.h>

#include <algorithm>

#include "core/digest.h"
#include "report/step_json.h"

namespace converge::history {
namespace {

constexpr std::size_t unpacked_limit = 256U << 20U;

/// Feeds fields to a digest such that no two lists of fields look alike.
class Fields {
 public:
  void add(std::string_view text) {
    number(text.size());
    pending_ += text;
  }
  void number(std::uint64_t value) {
    if (pending_.size() >= enough) flush();
    for (int i = 0; i < 8; ++i) {
      pending_ += static_cast<char>(value & 0xFFU);
      value >>= 8U;
    }
  }
  std::string raw() {
    flush();
    const std::string hex = digest_.hex();
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      out += static_cast<char>((digit(hex[i]) << 4U) | digit(hex[i + 1]));
    return out;
  }

 private:
  static constexpr std::size_t enough = 16U << 10U;  // a digest takes many bytes at once much faster

  void flush() {
    digest_.add(pending_);
    pending_.clear();
  }

  Digest digest_{Digest::Kind::sha256};
  std::string pending_;
};

}  // namespace

std::string digest_of(const std::vector<Step>& steps) {
  Fields fields;
  for (const Step& step : steps) {
    for (const std::string* text : {&step.id, &step.item, &step.at, &step.note, &step.diff}) fields.add(*text);
    fields.number(static_cast<std::uint64_t>(step.outcome));
    fields.number(step.checks.size());
    for (const Check& check : step.checks) {
      for (const std::string* text : {&check.property, &check.expected, &check.actual, &check.detail})
        fields.add(*text);
      fields.number(static_cast<std::uint64_t>(check.verdict));
    }
    fields.add(step.error ? step.error->text() : "");
    fields.add(step.error ? step.error->hint : "");
  }
  return fields.raw();
}

std::string shape_of(const std::vector<Step>& steps) {
  Fields fields;
  for (const Step& step : steps)
    for (const std::string* text : {&step.id, &step.item, &step.at}) fields.add(*text);
  return fields.raw();
}

std::string pack(const std::vector<Step>& steps) {
  std::string text = "[";
  for (const Step& step : steps) {  // one by one: JSON of ten thousand at once is forty megabytes
    Json one = to_json(step);
    one["micros"] = 0;
    if (text.size() > 1) text += ',';
    text += json_text(one);
  }
  text += ']';
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  const int done = compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
                             text.size(), Z_DEFAULT_COMPRESSION);
  out.resize(done == Z_OK ? size : 0);  // with room for all of it, only memory can be missing
  return out;
}

std::optional<std::vector<Step>> unpack(std::string_view bytes) {
  std::string text;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib's input is not const by age
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string piece(64U << 10U, '\0');
  int state = Z_OK;
  while (state == Z_OK && text.size() <= unpacked_limit) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(piece, 0, piece.size() - stream.avail_out);
  }
  (void)inflateEnd(&stream);
  if (state != Z_STREAM_END) return std::nullopt;
  const Json all = json_from(text);
  if (!all.is_array()) return std::nullopt;
  std::vector<Step> steps;
  steps.reserve(all.size());
  for (const Json& each : all) {
    auto step = step_from(each);
    if (!step) return std::nullopt;
    steps.push_back(std::move(*step));
  }
  return steps;
}

std::string pack_times(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(step.took.count(), 0));
    for (; micros > 0x7FU; micros >>= 7U) out += static_cast<char>(0x80U | (micros & 0x7FU));
    out += static_cast<char>(micros);
  }
  return out;
}

void unpack_times(std::string_view bytes, std::vector<Step>& steps) {
  std::size_t at = 0;
  for (Step& step : steps) {
    std::uint64_t micros = 0;
    for (unsigned shift = 0; at < bytes.size() && shift < 63; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      micros |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) break;
    }
    step.took = std::chrono::microseconds(micros);
  }
}

}  // namespace converge::history
