#include "report/formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <tuple>

#include "checks/type.h"
#include "core/text.h"
#include "report/ordered_json.h"

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

char mark_of(Kind kind) {
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

constexpr std::array<Format, 10> rows{{
    {"documentation", "each check and its expectation, then what failed", write_documentation},
    {"goss_json", "Goss's JSON", write_goss_json},
    {"json_oneline", "Goss's JSON, on one line",
     [](const Results& results, const FormatOptions&) { return write_goss_json(results, {}); }},
    {"junit", "XML, as build servers read it", write_junit},
    {"nagios", "one line of status, and performance data", write_nagios, false},
    {"prometheus", "counters, as a text file for the node exporter", write_prometheus},
    {"rspecish", "a dot for each check, then what failed (Goss's default)", write_rspecish, false},
    {"silent", "nothing but the exit code", write_silent, false},
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
    const bool all = format_.passes || options_.sort;
    for (TestResult& each : results_of(several_ ? host : "", step)) results_.add(std::move(each), all);
  }
  void host_ends(const std::string& /*host*/, const Tally& /*tally*/, std::chrono::microseconds /*took*/) override {}
  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    TestResult result{.host = several_ ? host : "", .type = "Host", .id = host, .property = "reached"};
    result.kind = Kind::unknown;
    result.expected = "true";
    result.actual = "unknown";
    result.detail = fmt::format("{}: {}", name_of(why), error.text());
    results_.add(std::move(result), true);
  }
  void run_ends(int /*exit_code*/, std::chrono::microseconds took) override {
    results_.took = took;
    if (options_.sort) {
      std::stable_sort(results_.tests.begin(), results_.tests.end(), [](const TestResult& a, const TestResult& b) {
        return std::tie(a.host, a.type, a.id) < std::tie(b.host, b.type, b.id);
      });
      results_.marks.clear();
      for (const TestResult& each : results_.tests) results_.marks += mark_of(each.kind);
    }
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

namespace {

/// The parts of a sentence, each after its words; texts for people as they are.
struct Phrase {
  std::string words, value;
};

std::vector<Phrase> phrases_of(const TestResult& test, bool with_raw) {
  const auto or_null = [](const std::string& json) { return json.empty() ? std::string("null") : json; };
  if (test.evidence == nullptr) {
    if (test.property.empty()) return {{"Error", test.detail}};
    std::vector<Phrase> out{{"Expected", test.actual}, {"to be", test.expected}};
    if (!test.detail.empty()) out.push_back({"because", test.detail});
    return out;
  }
  const Evidence& found = *test.evidence;
  if (!found.problem.empty()) return {{"Error", found.problem}};
  std::vector<Phrase> out{{"Expected", or_null(found.actual)}, {found.message, or_null(found.expected)}};
  if (!found.missing.empty()) out.push_back({"the missing elements were", found.missing});
  if (!found.extra.empty()) out.push_back({"the extra elements were", found.extra});
  if (!found.chain.empty()) {
    out.push_back({"the transform chain was", found.chain});
    if (with_raw) out.push_back({"the raw value was", found.raw});
  }
  return out;
}

std::string unknown_words(const TestResult& test) {
  const std::string& told = test.evidence == nullptr ? test.detail : test.evidence->problem;
  return told.empty() ? "could not be determined" : told;
}

/// What there is beside Goss's words: why, and the place in the gossfile.
std::string more_of(const TestResult& test) {
  if (test.evidence == nullptr) return {};
  const std::string& more = test.evidence->more;
  return more.empty() || test.evidence->at.empty() ? more + test.evidence->at : more + "; " + test.evidence->at;
}

/// A string that JSON holds; nullopt for other values.
std::optional<std::string> string_in(const std::string& json) {
  if (!json.starts_with('"')) return std::nullopt;
  const auto value = json_from(json);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::string indented(std::string_view text) {
  std::string out;
  for (const auto line : split(text, '\n')) out += fmt::format("\n    {}", printable(line));
  return out;
}

}  // namespace

std::string TestResult::sentence(bool with_raw) const {
  if (kind == Kind::pass) return "matches expectation: " + (evidence == nullptr ? expected : evidence->expected);
  if (kind == Kind::skip) return "skipped";
  std::string out;
  if (kind == Kind::unknown) {
    out = "Unknown " + unknown_words(*this);
  } else {
    for (const Phrase& each : phrases_of(*this, with_raw))
      out += fmt::format("{}{} {}", out.empty() ? "" : " ", each.words, each.value);
  }
  const std::string more = more_of(*this);
  return more.empty() ? out : fmt::format("{} ({})", out, more);
}

std::string TestResult::paragraph(bool with_raw) const {
  if (kind == Kind::pass || kind == Kind::skip) return printable(name() + ": " + sentence());
  std::string out = printable(name()) + ":";
  if (kind == Kind::unknown) {
    out += "\nUnknown" + indented(unknown_words(*this));
  } else {
    for (const Phrase& each : phrases_of(*this, with_raw)) out += "\n" + each.words + indented(each.value);
    if (evidence != nullptr && evidence->problem.empty() && evidence->message == "to equal") {
      auto wanted = string_in(evidence->expected), seen = string_in(evidence->actual);
      if (wanted && seen) {
        if (!wanted->ends_with('\n') && !seen->ends_with('\n')) {  // lines that no text ends in are no difference
          *wanted += '\n';
          *seen += '\n';
        }
        std::string diff = unified_diff(*wanted, *seen, "test", "actual", 1);
        if (diff.ends_with('\n')) diff.pop_back();
        out += "\ndiff" + indented(diff);
      }
    }
  }
  const std::string more = more_of(*this);
  return more.empty() ? out : out + "\n" + printable(more);
}

void Results::add(TestResult test, bool keep_passes) {
  marks += mark_of(test.kind);
  if (keep_passes || test.kind != Kind::pass) tests.push_back(std::move(test));
}

std::size_t Results::count(TestResult::Kind kind) const {
  return static_cast<std::size_t>(std::count(marks.begin(), marks.end(), mark_of(kind)));
}

std::string Results::summary() const {
  return fmt::format("Count: {}, Failed: {}, Skipped: {}", count(), failed(), count(Kind::skip));
}

std::vector<TestResult> results_of(const std::string& host, const Step& step) {
  const std::size_t colon = step.id.find(':');
  TestResult common{.host = host, .type = shown_type(step.id.substr(0, colon))};
  if (colon != std::string::npos) common.id = step.id.substr(colon + 1);
  if (step.item != step.id.substr(0, colon)) common.title = step.item;
  common.at = step.at;
  common.meta = step.meta;
  std::vector<TestResult> out;
  for (const Check& check : step.checks) {
    TestResult& one = out.emplace_back(common);
    one.property = check.property;
    one.kind = kind_of(check.verdict);
    one.expected = check.expected;
    one.actual = check.actual;
    one.detail = check.detail;
    one.evidence = check.evidence;
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
