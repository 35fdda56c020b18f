// Any /etc/fstab: editing it leaves one entry of ours that works, every other line as it was, and a second edit
// nothing.
#include <cstdlib>
#include <iostream>

#include "core/text.h"
#include "primitives/fstab_entry.h"
#include "tests/fuzz/driver.h"

namespace {

[[noreturn]] void broken(const char* rule, const std::string& text) {
  std::cerr << "broken: " << rule << "\n" << converge::printable(text, true) << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  converge::FstabEntry p;
  p.spec = "/swapfile";
  for (const bool absent : {false, true}) {
    p.absent = absent;
    p.priority = absent || size % 2 == 0 ? std::nullopt : std::optional(5);
    const auto once = converge::edit_fstab(p, text);
    if (!once) broken("an edit that may not fail", text);
    if (*converge::edit_fstab(p, *once) != *once) broken("a second edit changes nothing", text);
    converge::FstabEntry::State state;
    state.seen.state = converge::RegularFile{};
    state.seen.content = *once;
    if (converge::any_fails(converge::compare(p, state))) broken("the edited text passes", text);
    // What is not an entry of ours stays, in its order.
    const auto others = [&](const std::string& of) {
      std::string kept;
      const auto entries = converge::parse_fstab(of);
      std::size_t line = 0;
      for (const auto one : converge::split_lines(of)) {
        bool ours = false;
        for (const auto& entry : entries) {
          const auto path = converge::AbsPath::parse(entry.spec);
          ours = ours || (entry.line == line && entry.type == "swap" && path && path->str() == "/swapfile");
        }
        ++line;
        if (!ours) kept.append(one.substr(0, one.size() - (one.ends_with("\n") ? 1 : 0))).append("\n");
      }
      return kept;
    };
    if (others(text) != others(*once)) broken("other lines stay", text);
  }
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "# /etc/fstab\nUUID=1-2 / ext4 errors=remount-ro 0 1\n/swapfile none swap sw,nofail 0 0\n",
    "//swapfile\tnone\tswap\tsw,noauto,pri=3\t0\t0 # x\r\n/swap\\040file none swap defaults",
    "/swapfile none swap\n/swapfile none swap sw # c\n",
};
const std::vector<std::string> fuzz_words = {"/swapfile ", "/./swapfile", " none", " swap", " sw", ",noauto", ",auto",
                                             "pri=5",      ",",           "\\040", "\\011", "\t",  "\n",      "\r\n",
                                             "#",          " 0",          "\\",    "\0",    "pri="};
