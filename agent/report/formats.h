// Reports that are written when all is known, in the forms other programs read: one row of a table and one small file
// each. Whatever a host said is escaped as the form wants it.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/values.h"
#include "report/reporter.h"

namespace converge {

/// One property of one resource; Goss counts these.
struct TestResult {
  enum class Kind { pass, fail, skip, unknown };
  std::string host;                // empty when the run has one host
  std::string type, id, property;  // "File", "/etc/fstab", "exists"
  std::string title;               // "" unless it was given one
  Kind kind = Kind::unknown;
  std::string expected, actual, detail;
  std::string at;  // "goss.yaml:3:5"
  std::chrono::microseconds took{0};

  /// "File: /etc/fstab: exists", after the host and a colon if there are several.
  std::string name() const;
  /// "matches expectation: true", "is false, not true", "skipped", "unknown: permission denied": one line, as the host
  /// said it.
  std::string sentence() const;
};

struct Results {
  std::vector<TestResult> tests;
  Timestamp begun;
  std::chrono::microseconds took{0};

  std::size_t count(TestResult::Kind kind) const;
  /// Those that failed and those that could not be told: where there are only two words, not knowing is no pass.
  std::size_t failed() const { return count(TestResult::Kind::fail) + count(TestResult::Kind::unknown); }
  bool passed() const { return failed() == 0 && !tests.empty(); }
  /// "Count: 3, Failed: 1, Skipped: 1"
  std::string summary() const;
};

/// What a step says, as results: one for each check; one for the resource if it could not be looked at.
std::vector<TestResult> results_of(const std::string& host, const Step& step);

struct FormatOptions {
  bool pretty = false, verbose = false, perfdata = false, sort = false;
};

struct Format {
  std::string_view name, summary;
  std::string (*write)(const Results&, const FormatOptions&);
};
/// All of them, by name.
std::span<const Format> formats();
const Format* find_format(std::string_view name);

/// Collects a run and hands it to `sink` at its end, written in `format`.
using Sink = std::function<void(const std::string& text, const Results& results)>;
std::unique_ptr<Reporter> collecting_reporter(const Format& format, FormatOptions options, Sink sink);
/// Tells all of `reporters`, in their order.
std::unique_ptr<Reporter> several_reporters(std::vector<std::unique_ptr<Reporter>> reporters);

// The rows' functions, a file each.
std::string write_documentation(const Results& results, const FormatOptions& options);
std::string write_goss_json(const Results& results, const FormatOptions& options);
std::string write_junit(const Results& results, const FormatOptions& options);
std::string write_nagios(const Results& results, const FormatOptions& options);
std::string write_prometheus(const Results& results, const FormatOptions& options);
std::string write_rspecish(const Results& results, const FormatOptions& options);
std::string write_structured(const Results& results, const FormatOptions& options);
std::string write_tap(const Results& results, const FormatOptions& options);

/// "0.002s"
std::string in_seconds(std::chrono::microseconds time);

}  // namespace converge
