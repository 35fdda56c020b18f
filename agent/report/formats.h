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
  std::shared_ptr<const Evidence> evidence;  // null for what is no assertion
  std::string meta;                          // JSON, or ""
  std::string at;                            // "goss.yaml:3:5"
  std::chrono::microseconds took{0};

  /// "File: /etc/fstab: exists", after the host and a colon if there are several.
  std::string name() const;
  /// In Goss's words, after the name: "matches expectation: true", "Expected false to equal true", "skipped", "Error
  /// Mountpoint not found", "Unknown permission denied". One line; texts of the host are JSON, or as it said them.
  std::string sentence(bool with_raw = true) const;
  /// The same on lines of its own, as Goss tells people; no line end at its end. Safe for a terminal.
  std::string paragraph(bool with_raw = true) const;
};

struct Results {
  std::vector<TestResult> tests;  // of a format that does not ask for them, without those that passed
  std::string marks;              // for all of them in their order: ".FS?"
  Timestamp begun;
  std::chrono::microseconds took{0};

  void add(TestResult test, bool keep_passes);
  std::size_t count() const { return marks.size(); }
  std::size_t count(TestResult::Kind kind) const;
  /// Those that failed and those that could not be told: where there are only two words, not knowing is no pass.
  std::size_t failed() const { return count(TestResult::Kind::fail) + count(TestResult::Kind::unknown); }
  bool passed() const { return failed() == 0 && count() > 0; }
  /// "Count: 3, Failed: 1, Skipped: 1"
  std::string summary() const;
};

/// What a step says, as results: one for each check; one for the resource if it could not be looked at.
std::vector<TestResult> results_of(const std::string& host, const Step& step);

struct FormatOptions {
  bool pretty = false, verbose = false, perfdata = false, sort = false, exclude_raw = false;
  bool as_goss = false;  // which has no word for what could not be told
  bool colour = false;   // of the forms for people, as Goss: green, yellow, red
};

struct Format {
  std::string_view name, summary;
  std::string (*write)(const Results&, const FormatOptions&);
  bool passes = true;  // it tells of those that passed too, not only how many
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
