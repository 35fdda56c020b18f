// Prometheus' text exposition format 0.0.4, with Goss's names.
#include <fmt/format.h>

#include <map>
#include <tuple>

#include "core/text.h"
#include "report/formats.h"

namespace converge {
namespace {

std::string escaped(const std::string& label) {
  std::string out;
  for (const char c : printable(label)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string_view word(TestResult::Kind kind) {
  switch (kind) {
    case TestResult::Kind::pass:
      return "pass";
    case TestResult::Kind::fail:
      return "fail";
    case TestResult::Kind::skip:
      return "skip";
    case TestResult::Kind::unknown:
      break;
  }
  return "unknown";
}

std::string head(std::string_view name, std::string_view help) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", name, help);
}

}  // namespace

std::string write_prometheus(const Results& results, const FormatOptions& options) {
  struct Sum {
    std::size_t count = 0;
    std::chrono::microseconds took{0};
  };
  std::map<std::string, Sum> sums;  // by labels
  for (const TestResult& test : results.tests) {
    std::string labels = test.host.empty() ? "" : fmt::format("host=\"{}\",", escaped(test.host));
    labels += fmt::format("outcome=\"{}\"", word(test.kind));
    if (options.verbose) labels += fmt::format(",resource_id=\"{}\"", escaped(test.id));
    labels += fmt::format(",type=\"{}\"", escaped(lower(test.type)));
    Sum& sum = sums[labels];
    ++sum.count;
    sum.took += test.took;
  }
  const std::string_view whole = results.passed() ? "pass" : "fail";
  std::string out = head("goss_tests_outcomes_duration_milliseconds",
                         "The duration of tests from this run. Note; tests run concurrently.");
  for (const auto& [labels, sum] : sums)
    out += fmt::format("goss_tests_outcomes_duration_milliseconds{{{}}} {}\n", labels, sum.took.count() / 1000);
  out += head("goss_tests_outcomes_total", "The number of test-outcomes from this run.");
  for (const auto& [labels, sum] : sums) out += fmt::format("goss_tests_outcomes_total{{{}}} {}\n", labels, sum.count);
  out += head("goss_tests_run_duration_milliseconds", "The end-to-end duration of this run.");
  out += fmt::format("goss_tests_run_duration_milliseconds{{outcome=\"{}\"}} {}\n", whole, results.took.count() / 1000);
  out += head("goss_tests_run_outcomes_total", "The outcomes of this run as a whole.");
  return out + fmt::format("goss_tests_run_outcomes_total{{outcome=\"{}\"}} 1\n", whole);
}

}  // namespace converge
