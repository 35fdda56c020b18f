// Goss's words for people: each check, or a mark for each; then what failed or was left out, and the count.
#include <fmt/format.h>

#include "core/text.h"
#include "report/formats.h"

namespace converge {
namespace {

using Kind = TestResult::Kind;

std::string title_of(const TestResult& test) {
  return test.title.empty() ? "" : fmt::format("Title: {}\n", printable(test.title));
}

std::string failures_and_summary(const Results& results) {
  std::string out;
  for (const TestResult& test : results.tests) {
    if (test.kind == Kind::pass) continue;
    if (out.empty()) out = "Failures/Skipped:\n\n";
    out += title_of(test) + printable(test.name()) + ":";
    if (test.kind == Kind::fail && !test.property.empty()) {
      out += fmt::format("\nExpected\n    {}\nto be\n    {}\n", printable(test.actual), printable(test.expected));
      if (!test.detail.empty()) out += printable(test.detail) + "\n";
    } else {
      out += " " + printable(test.sentence()) + "\n";
    }
    out += "\n";
  }
  out += fmt::format("Total Duration: {}\n{}\n", in_seconds(results.took), results.summary());
  if (const std::size_t unknown = results.count(Kind::unknown); unknown > 0)
    out += fmt::format("Of those that failed, {} could not be determined\n", unknown);
  return out;
}

char mark(Kind kind) {
  switch (kind) {
    case Kind::pass:
      return '.';
    case Kind::skip:
      return 'S';
    case Kind::unknown:
      return '?';
    case Kind::fail:
      break;
  }
  return 'F';
}

}  // namespace

std::string write_documentation(const Results& results, const FormatOptions& /*options*/) {
  std::string out;
  for (const TestResult& test : results.tests)
    out += fmt::format("{}{}: {}\n", title_of(test), printable(test.name()), printable(test.sentence()));
  return out + "\n\n" + failures_and_summary(results);
}

std::string write_rspecish(const Results& results, const FormatOptions& /*options*/) {
  std::string out;
  for (const TestResult& test : results.tests) out += mark(test.kind);
  return out + "\n\n" + failures_and_summary(results);
}

}  // namespace converge
