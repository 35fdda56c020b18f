// Any limits.conf: editing it leaves our two values in force among its lines of this user, and a second edit nothing.
#include <cstdlib>
#include <iostream>

#include "core/text.h"
#include "primitives/login_limits.h"
#include "tests/fuzz/driver.h"

namespace {

[[noreturn]] void broken(const char* rule, const std::string& text) {
  std::cerr << "broken: " << rule << "\n" << converge::printable(text, true) << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  converge::LoginLimits p;
  p.user = {"tegwick", 1000, 1000, converge::AbsPath("/home/tegwick")};
  p.soft = 512;
  p.hard = size % 2 == 0 ? 512 : 1024;
  const auto once = converge::edit_limits(p, text);
  if (converge::edit_limits(p, once) != once) broken("a second edit changes nothing", text);
  const converge::LimitsSubject who{"tegwick", 1000, {{"tegwick", 1000}}};
  converge::effective_limit({{"a", text}, {"b", once}}, who, "nproc");
  converge::LoginLimits::State state;
  state.seen.content = once;
  state.seen.state = converge::RegularFile{};
  state.files = {{p.file.str(), once}};
  const auto checks = converge::compare(p, state);
  for (const auto* property : {"soft", "hard"}) {
    const auto* check = converge::find_check(checks, property);
    if (check == nullptr || check->verdict != converge::Verdict::pass) broken("the edited text holds our values", text);
  }
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "# limits.conf\n* soft core 0\ntegwick soft nproc 512\ntegwick hard nproc 1024\n# End of file",
    "tegwick - nproc 12abc # x\r\n@sudo - nproc unlimited\n1000:1000 soft nproc 7\n:1000 hard nproc -1\n",
    "tegwick -\n500: soft nproc 9",
};
const std::vector<std::string> fuzz_words = {"tegwick ",
                                             " soft",
                                             " hard",
                                             " -",
                                             " nproc",
                                             " 512",
                                             "*",
                                             "@",
                                             ":",
                                             "1000",
                                             "unlimited",
                                             "#",
                                             "\n",
                                             "\r\n",
                                             "\t",
                                             "\v",
                                             "99999999999999999999"};
