// Goss's JSON: "json" has its keys sorted, "structured" a summary line beside.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/formats.h"

namespace converge {
namespace {

using Json = nlohmann::json;  // sorts its keys

/// "true" and "12" as what they are, everything else as text.
Json value_of(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() || value.is_object() ? Json(text) : value;
}

std::string moment(Timestamp time) {
  std::string text = time.text().substr(0, 19);
  if (text.size() > 10) text[10] = 'T';
  return fmt::format("{}.{:06}Z", text, time.micros % 1'000'000);
}

Json json_of(const TestResult& test, Timestamp begun) {
  using Kind = TestResult::Kind;
  const bool skipped = test.kind == Kind::skip;
  const std::string line = test.name() + ": " + test.sentence();
  Json out = {{"duration", test.took.count() * 1000},
              {"start-time", moment(begun)},
              {"end-time", moment({begun.micros + test.took.count()})},
              {"err", test.kind == Kind::unknown ? Json(test.detail) : Json(nullptr)},
              {"matcher-result",
               {{"actual", skipped ? Json(nullptr) : value_of(test.actual)},
                {"expected", skipped ? Json(nullptr) : value_of(test.expected)},
                {"extra-elements", nullptr},
                {"found-elements", nullptr},
                {"message", skipped ? "" : "to be"},
                {"missing-elements", nullptr},
                {"transform-chain", nullptr},
                {"untransformed-value", nullptr}}},
              {"meta", nullptr},
              {"property", test.property},
              {"resource-id", test.id},
              {"resource-type", test.type},
              {"result", test.kind == Kind::pass ? 0
                         : skipped               ? 2
                                                 : 1},
              {"skipped", skipped},
              {"successful", test.kind == Kind::pass || skipped},
              {"summary-line", line},
              {"summary-line-compact", line},
              {"title", test.title}};
  if (!test.host.empty()) out["host"] = test.host;
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
            {"test-count", results.tests.size()},
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
