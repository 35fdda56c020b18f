// Goss's JSON: "json" has its keys sorted, "structured" a summary line beside.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/formats.h"

namespace converge {
namespace {

using Json = nlohmann::json;  // sorts its keys

/// What a evidence holds as JSON; null for nothing.
Json value_of(const std::string& json) {
  Json value = Json::parse(json, nullptr, false);
  return value.is_discarded() ? Json(nullptr) : value;
}

/// What of a list that was expected is there: all but what is missing. Goss tells it of these two matchers alone.
Json found_elements(const Evidence& evidence) {
  if (!evidence.problem.empty()) return nullptr;
  const bool of_patterns = evidence.message == "to have patterns";
  if (!of_patterns && evidence.message != "to contain elements matching") return nullptr;
  const Json expected = value_of(evidence.expected), missing = value_of(evidence.missing);
  if (!expected.is_array()) return nullptr;
  Json found = Json::array();
  for (const Json& each : expected)
    if (!missing.is_array() || std::find(missing.begin(), missing.end(), each) == missing.end()) found.push_back(each);
  return of_patterns && found.empty() ? Json(nullptr) : found;
}

Json matcher_result(const TestResult& test) {
  const Evidence none{.message = "to be", .expected = Json(test.expected).dump(), .actual = Json(test.actual).dump()};
  const Evidence nothing;
  const Evidence& found = test.kind == TestResult::Kind::skip ? nothing
                          : test.evidence != nullptr          ? *test.evidence
                                                              : none;
  return {{"actual", value_of(found.actual)},
          {"expected", value_of(found.expected)},
          {"extra-elements", value_of(found.extra)},
          {"found-elements", found_elements(found)},
          {"message", found.message},
          {"missing-elements", value_of(found.missing)},
          {"transform-chain", value_of(found.chain)},
          {"untransformed-value", value_of(found.raw)}};
}

std::string problem_of(const TestResult& test) {
  if (test.evidence != nullptr) return test.evidence->problem;
  return test.kind == TestResult::Kind::unknown ? test.detail : "";
}

std::string moment(Timestamp time) {
  std::string text = time.text().substr(0, 19);
  if (text.size() > 10) text[10] = 'T';
  return fmt::format("{}.{:06}Z", text, time.micros % 1'000'000);
}

Json json_of(const TestResult& test, Timestamp begun) {
  using Kind = TestResult::Kind;
  const bool skipped = test.kind == Kind::skip;
  const std::string problem = problem_of(test);
  Json out = {{"duration", test.took.count() * 1000},
              {"start-time", moment(begun)},
              {"end-time", moment({begun.micros + test.took.count()})},
              {"err", problem.empty() ? Json(nullptr) : Json(problem)},
              {"matcher-result", matcher_result(test)},
              {"meta", value_of(test.meta)},
              {"property", test.property},
              {"resource-id", test.id},
              {"resource-type", test.type},
              {"result", test.kind == Kind::pass ? 0
                         : skipped               ? 2
                                                 : 1},
              {"skipped", skipped},
              {"successful", test.kind == Kind::pass || skipped},
              {"summary-line", test.paragraph()},
              {"summary-line-compact", test.name() + ": " + test.sentence()},
              {"title", test.title}};
  if (!test.host.empty()) out["host"] = test.host;
  if (!test.at.empty())
    out["at"] = test.evidence != nullptr && !test.evidence->at.empty() ? test.evidence->at : test.at;
  return out;
}

std::string dump(const Json& json, bool pretty) {
  return json.dump(pretty ? 4 : -1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json json_of(const Results& results) {
  Json tests = Json::array();
  for (const TestResult& test : results.tests) tests.push_back(json_of(test, results.begun));
  return {{"results", std::move(tests)},
          {"summary",
           {{"failed-count", results.failed()},
            {"skipped-count", results.count(TestResult::Kind::skip)},
            {"test-count", results.count()},
            {"total-duration", results.took.count() * 1000},
            {"summary-line", fmt::format("{}, Duration: {}", results.summary(), in_seconds(results.took))}}}};
}

}  // namespace

std::string write_goss_json(const Results& results, const FormatOptions& options) {
  return dump(json_of(results), options.pretty);
}

std::string write_structured(const Results& results, const FormatOptions& options) {
  Json json = json_of(results);
  json["summary-line"] = json["summary"]["summary-line"];
  json["summary"].erase("summary-line");
  json["summary"].erase("skipped-count");
  return dump(json, options.pretty);
}

}  // namespace converge
