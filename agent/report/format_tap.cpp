// Test Anything Protocol, version 12: testanything.org.
#include <fmt/format.h>

#include "core/text.h"
#include "report/formats.h"

namespace converge {
namespace {

/// '#' begins a directive: "# SKIP" from a host would make a failure a skip. A backslash before it would take ours
/// away.
std::string escaped(const std::string& text) {
  std::string out;
  std::size_t backslashes = 0;  // in a row, right before this place
  for (const char c : printable(text)) {
    if (c == '#') out.append(backslashes + 1, '\\');
    backslashes = c == '\\' ? backslashes + 1 : 0;
    out += c;
  }
  return out;
}

}  // namespace

std::string write_tap(const Results& results, const FormatOptions& /*options*/) {
  std::string out = fmt::format("1..{}\n", results.tests.size());
  std::size_t number = 0;
  for (const TestResult& test : results.tests) {
    const std::string text = escaped(test.name() + ": " + test.sentence());
    ++number;
    if (test.kind == TestResult::Kind::skip)
      out += fmt::format("ok {} - # SKIP {}\n", number, text);
    else
      out += fmt::format("{}ok {} - {}\n", test.kind == TestResult::Kind::pass ? "" : "not ", number, text);
  }
  return out;
}

}  // namespace converge
