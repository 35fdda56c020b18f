#include "report/formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <tuple>

#include "checks/type.h"
#include "core/text.h"

namespace converge {
namespace {

using Kind = TestResult::Kind;

/// "file" as Goss has it, "File"; what Goss does not know begins with a capital too.
std::string shown_type(const std::string& type) {
  if (const checks::CheckType* known = checks::find_check_type(type)) return std::string(known->shown);
  std::string out = type;
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

Kind kind_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass:
      return Kind::pass;
    case Verdict::fail:
      return Kind::fail;
    case Verdict::skipped:
      return Kind::skip;
    case Verdict::unknown:
      break;
  }
  return Kind::unknown;
}

std::string write_silent(const Results& /*results*/, const FormatOptions& /*options*/) { return {}; }

constexpr std::array<Format, 10> rows{{
    {"documentation", "each check and its expectation, then what failed", write_documentation},
    {"goss_json", "Goss's JSON", write_goss_json},
    {"json_oneline", "Goss's JSON, on one line",
     [](const Results& results, const FormatOptions&) { return write_goss_json(results, {}); }},
    {"junit", "XML, as build servers read it", write_junit},
    {"nagios", "one line of status, and performance data", write_nagios},
    {"prometheus", "counters, as a text file for the node exporter", write_prometheus},
    {"rspecish", "a dot for each check, then what failed (Goss's default)", write_rspecish},
    {"silent", "nothing but the exit code", write_silent},
    {"structured", "Goss's JSON with a summary line", write_structured},
    {"tap", "Test Anything Protocol", write_tap},
}};

class Collector final : public Reporter {
 public:
  Collector(const Format& format, FormatOptions options, Sink sink)
      : format_(format), options_(options), sink_(std::move(sink)) {}

  void run_begins(const RunInfo& info) override {
    several_ = info.hosts.size() > 1;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    results_.begun.micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  }
  void doing(const std::string& /*host*/, const std::string& /*what*/) override {}
  void note(const std::string& /*host*/, const std::string& /*text*/) override {}
  void step(const std::string& host, const Step& step) override {
    for (TestResult& each : results_of(several_ ? host : "", step)) results_.tests.push_back(std::move(each));
  }
  void host_ends(const std::string& /*host*/, const Tally& /*tally*/, std::chrono::microseconds /*took*/) override {}
  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    TestResult result{.host = several_ ? host : "", .type = "Host", .id = host, .property = "reached"};
    result.kind = Kind::unknown;
    result.expected = "true";
    result.actual = "unknown";
    result.detail = fmt::format("{}: {}", name_of(why), error.text());
    results_.tests.push_back(std::move(result));
  }
  void run_ends(int /*exit_code*/, std::chrono::microseconds took) override {
    results_.took = took;
    if (options_.sort)
      std::stable_sort(results_.tests.begin(), results_.tests.end(), [](const TestResult& a, const TestResult& b) {
        return std::tie(a.host, a.type, a.id) < std::tie(b.host, b.type, b.id);
      });
    sink_(format_.write(results_, options_), results_);
  }

 private:
  const Format& format_;
  FormatOptions options_;
  Sink sink_;
  Results results_;
  bool several_ = false;
};

class Several final : public Reporter {
 public:
  explicit Several(std::vector<std::unique_ptr<Reporter>> reporters) : reporters_(std::move(reporters)) {}
  void run_begins(const RunInfo& info) override {
    for (const auto& each : reporters_) each->run_begins(info);
  }
  void doing(const std::string& host, const std::string& what) override {
    for (const auto& each : reporters_) each->doing(host, what);
  }
  void step(const std::string& host, const Step& step) override {
    for (const auto& each : reporters_) each->step(host, step);
  }
  void note(const std::string& host, const std::string& text) override {
    for (const auto& each : reporters_) each->note(host, text);
  }
  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) override {
    for (const auto& each : reporters_) each->host_ends(host, tally, took);
  }
  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    for (const auto& each : reporters_) each->host_failed(host, why, error);
  }
  void compared(const std::string& host, const Compared& what) override {
    for (const auto& each : reporters_) each->compared(host, what);
  }
  void run_ends(int exit_code, std::chrono::microseconds took) override {
    for (const auto& each : reporters_) each->run_ends(exit_code, took);
  }

 private:
  std::vector<std::unique_ptr<Reporter>> reporters_;
};

}  // namespace

std::string TestResult::name() const {
  std::string out = host.empty() ? "" : host + ": ";
  out += type + ": " + id;
  if (!property.empty()) out += ": " + property;
  return out;
}

std::string TestResult::sentence() const {
  std::string out;
  switch (kind) {
    case Kind::pass:
      return "matches expectation: " + expected;
    case Kind::skip:
      return "skipped";
    case Kind::unknown:
      return "unknown: " + (detail.empty() ? "could not be determined" : detail);
    case Kind::fail:
      out = property.empty() ? detail : fmt::format("is {}, not {}", actual, expected);
      if (!property.empty() && !detail.empty()) out += fmt::format(" ({})", detail);
  }
  return out;
}

std::size_t Results::count(TestResult::Kind kind) const {
  return static_cast<std::size_t>(
      std::count_if(tests.begin(), tests.end(), [&](const TestResult& each) { return each.kind == kind; }));
}

std::string Results::summary() const {
  return fmt::format("Count: {}, Failed: {}, Skipped: {}", tests.size(), failed(), count(Kind::skip));
}

std::vector<TestResult> results_of(const std::string& host, const Step& step) {
  const std::size_t colon = step.id.find(':');
  TestResult common{.host = host, .type = shown_type(step.id.substr(0, colon))};
  if (colon != std::string::npos) common.id = step.id.substr(colon + 1);
  if (step.item != step.id.substr(0, colon)) common.title = step.item;
  common.at = step.at;
  std::vector<TestResult> out;
  for (const Check& check : step.checks) {
    TestResult& one = out.emplace_back(common);
    one.property = check.property;
    one.kind = kind_of(check.verdict);
    one.expected = check.expected;
    one.actual = check.actual;
    one.detail = check.detail;
  }
  if (step.error || out.empty()) {
    TestResult& one = out.emplace_back(common);
    one.kind = step.outcome == Outcome::skipped   ? Kind::skip
               : step.outcome == Outcome::in_sync ? Kind::pass
               : step.outcome == Outcome::failed  ? Kind::fail
                                                  : Kind::unknown;
    one.detail = step.error ? step.error->text() : step.note;
  }
  out.front().took = step.took;
  return out;
}

std::span<const Format> formats() { return rows; }

const Format* find_format(std::string_view name) {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const Format& row) { return row.name == name; });
  return it == rows.end() ? nullptr : &*it;
}

std::unique_ptr<Reporter> collecting_reporter(const Format& format, FormatOptions options, Sink sink) {
  return std::make_unique<Collector>(format, options, std::move(sink));
}

std::unique_ptr<Reporter> several_reporters(std::vector<std::unique_ptr<Reporter>> reporters) {
  if (reporters.size() == 1) return std::move(reporters.front());
  return std::make_unique<Several>(std::move(reporters));
}

std::string in_seconds(std::chrono::microseconds time) {
  return fmt::format("{:.3f}s", static_cast<double>(time.count()) / 1e6);
}

}  // namespace converge
