// A plug-in's answer to Nagios: monitoring-plugins.org's guidelines.
#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "report/formats.h"

namespace converge {
namespace {

/// '|' begins performance data.
std::string escaped(const std::string& text) {
  std::string out = printable(text);
  std::replace(out.begin(), out.end(), '|', '!');
  return out;
}

}  // namespace

std::string write_nagios(const Results& results, const FormatOptions& options) {
  const bool fails = options.as_goss || results.count(TestResult::Kind::fail) > 0;
  const char* word = results.passed() ? "OK" : fails ? "CRITICAL" : "UNKNOWN";
  const std::size_t skipped = results.count(TestResult::Kind::skip);
  std::string out = fmt::format("GOSS {} - {}, Duration: {}", word, results.summary(), in_seconds(results.took));
  if (options.perfdata)
    out += fmt::format("|total={} failed={} skipped={} duration={}", results.count(), results.failed(), skipped,
                       in_seconds(results.took));
  out += "\n";
  if (!options.verbose) return out;
  std::size_t number = 0;
  for (const TestResult& test : results.tests)
    if (test.kind == TestResult::Kind::fail || test.kind == TestResult::Kind::unknown)
      out += fmt::format("Fail {} - {}: {}\n", ++number, escaped(test.name()), escaped(test.sentence()));
  return out;
}

}  // namespace converge
