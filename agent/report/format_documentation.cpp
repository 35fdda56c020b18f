// Goss's words for people: each check, or a mark for each; then what failed or was left out, and the count.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "report/formats.h"
#include "report/words.h"

namespace converge {
namespace {

using Kind = TestResult::Kind;

/// "Title: x\nMeta:\n    owner: me\n"
std::string header(const TestResult& test) {
  std::string out = test.title.empty() ? "" : fmt::format("Title: {}\n", printable(test.title));
  if (test.meta.empty()) return out;
  const auto meta = nlohmann::json::parse(test.meta, nullptr, false);
  if (!meta.is_object()) return out + fmt::format("Meta: {}\n", printable(test.meta));
  out += "Meta:\n";
  for (const auto& [key, value] : meta.items())
    out += fmt::format("    {}: {}\n", printable(key),
                       printable(value.is_string() ? value.get<std::string>() : value.dump()));
  return out;
}

const char* colour_of(Kind kind) { return kind == Kind::pass ? "32" : kind == Kind::skip ? "33" : "31"; }

std::string paragraph(const TestResult& test, const FormatOptions& options) {
  return in_colour(options.colour, colour_of(test.kind), test.paragraph(!options.exclude_raw)) + "\n";
}

/// Results of one resource stand together, under one header.
bool same_resource(const TestResult& a, const TestResult& b) {
  return a.host == b.host && a.type == b.type && a.id == b.id;
}

std::string failures_and_summary(const Results& results, const FormatOptions& options) {
  std::string out;
  const TestResult* last = nullptr;
  for (const TestResult& test : results.tests) {
    if (test.kind == Kind::pass) continue;
    if (out.empty()) out = "Failures/Skipped:\n\n";
    if (last == nullptr || !same_resource(*last, test)) out += (last == nullptr ? "" : "\n") + header(test);
    out += paragraph(test, options);
    last = &test;
  }
  if (last != nullptr) out += "\n";
  out += fmt::format(
      "Total Duration: {}\n{}\n", in_seconds(results.took),
      in_colour(options.colour, colour_of(results.failed() > 0 ? Kind::fail : Kind::pass), results.summary()));
  if (const std::size_t unknown = results.count(Kind::unknown); unknown > 0)
    out += fmt::format("Of those that failed, {} could not be determined\n", unknown);
  return out;
}

}  // namespace

std::string write_documentation(const Results& results, const FormatOptions& options) {
  std::string out;
  const TestResult* last = nullptr;
  for (const TestResult& test : results.tests) {
    if (last == nullptr || !same_resource(*last, test)) out += header(test);
    out += paragraph(test, options);
    last = &test;
  }
  return out + "\n\n" + failures_and_summary(results, options);
}

std::string write_rspecish(const Results& results, const FormatOptions& options) {
  std::string marks;
  for (const char mark : results.marks) {
    const Kind kind = mark == '.' ? Kind::pass : mark == 'S' ? Kind::skip : Kind::fail;
    marks += in_colour(options.colour, colour_of(kind), std::string(1, mark));
  }
  return marks + "\n\n" + failures_and_summary(results, options);
}

}  // namespace converge
