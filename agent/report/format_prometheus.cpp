// With Goss's names, so that dashboards made for it go on.
#include <fmt/format.h>

#include "core/text.h"
#include "report/totals.h"

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

std::string host_label(const TestResult& test) {
  return test.host.empty() ? "" : fmt::format("host=\"{}\",", escaped(test.host));
}

double seconds(std::int64_t micros) { return static_cast<double>(micros) / 1e6; }

}  // namespace

std::string metric_head(std::string_view name, std::string_view kind, std::string_view help) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, kind, help);
}

void Totals::add(const Results& results, bool by_resource) {
  for (const TestResult& test : results.tests) {
    std::string labels = host_label(test) + fmt::format("outcome=\"{}\"", word(test.kind));
    if (by_resource) labels += fmt::format(",resource_id=\"{}\"", escaped(test.id));
    labels += fmt::format(",type=\"{}\"", escaped(lower(test.type)));
    Sum& sum = tests_[labels];
    ++sum.count;
    sum.took += test.took;
  }
  Sum& sum = runs_[fmt::format("outcome=\"{}\"", results.passed() ? "pass" : "fail")];
  ++sum.count;
  sum.took += results.took;
}

std::string Totals::text() const {
  std::string out;
  const auto family = [&](std::string_view name, std::string_view help, const std::map<std::string, Sum>& sums,
                          bool durations) {
    out += metric_head(name, "counter", help);
    for (const auto& [labels, sum] : sums) {
      if (durations)
        out += fmt::format("{}{{{}}} {}\n", name, labels, sum.took.count() / 1000);
      else
        out += fmt::format("{}{{{}}} {}\n", name, labels, sum.count);
    }
  };
  family("goss_tests_outcomes_duration_milliseconds",
         "The duration of tests from this run. Note; tests run concurrently.", tests_, true);
  family("goss_tests_outcomes_total", "The number of test-outcomes from this run.", tests_, false);
  family("goss_tests_run_duration_milliseconds", "The end-to-end duration of this run.", runs_, true);
  family("goss_tests_run_outcomes_total", "The outcomes of this run as a whole.", runs_, false);
  return out;
}

std::string last_run_gauges(const Results& results) {
  using Kind = TestResult::Kind;
  std::string out =
      metric_head("converge_check_passed", "gauge",
                  "Each check of the last run: 1 passed, 0 failed or unknown; skipped ones are left out.");
  std::map<std::string, bool> checks;  // two files may ask the same: a sample stands once
  for (const TestResult& test : results.tests) {
    if (test.kind == Kind::skip) continue;
    const auto labels = host_label(test) + fmt::format("type=\"{}\",id=\"{}\",property=\"{}\"", escaped(test.type),
                                                       escaped(test.id), escaped(test.property));
    const auto [known, fresh] = checks.emplace(labels, test.kind == Kind::pass);
    if (!fresh) known->second = known->second && test.kind == Kind::pass;
  }
  for (const auto& [labels, passed] : checks) out += fmt::format("converge_check_passed{{{}}} {:d}\n", labels, passed);
  out += metric_head("converge_last_run_checks", "gauge", "The checks of the last run, by outcome.");
  for (const Kind kind : {Kind::pass, Kind::fail, Kind::skip, Kind::unknown})
    out += fmt::format("converge_last_run_checks{{outcome=\"{}\"}} {}\n", word(kind), results.count(kind));
  out += metric_head("converge_last_run_passed", "gauge", "1 if all of the last run passed or was skipped.");
  out += fmt::format("converge_last_run_passed {:d}\n", results.passed());
  out += metric_head("converge_last_run_duration_seconds", "gauge", "How long the last run took.");
  out += fmt::format("converge_last_run_duration_seconds {:.6f}\n", seconds(results.took.count()));
  out += metric_head("converge_last_run_timestamp_seconds", "gauge", "When the last run ended, since the epoch.");
  out +=
      fmt::format("converge_last_run_timestamp_seconds {:.3f}\n", seconds(results.begun.micros + results.took.count()));
  return out;
}

std::string write_prometheus(const Results& results, const FormatOptions& options) {
  Totals once;
  once.add(results, options.verbose);
  return once.text();
}

}  // namespace converge
