#include "report/step_json.h"

#include <algorithm>
#include <array>

namespace converge {
namespace {

constexpr std::array verdicts{std::pair{Verdict::pass, "pass"}, std::pair{Verdict::fail, "fail"},
                              std::pair{Verdict::unknown, "unknown"}, std::pair{Verdict::skipped, "skipped"}};

std::string_view name_of(Verdict verdict) {
  return std::find_if(verdicts.begin(), verdicts.end(), [&](const auto& row) { return row.first == verdict; })->second;
}

std::string key_of(Outcome outcome) { return one_word(converge::name_of(outcome)); }

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

/// Reads the members of an object; after one that is not what it should be, ok() is false.
class Members {
 public:
  explicit Members(const Json& json) : json_(json), ok_(json.is_object()) {}
  bool ok() const { return ok_; }

  const Json* at(const char* key) {
    const auto it = ok_ ? json_.find(key) : json_.end();
    if (!ok_ || it == json_.end()) {
      ok_ = false;
      return nullptr;
    }
    return &*it;
  }
  std::string text(const char* key) {
    const Json* value = at(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    ok_ = ok_ && value != nullptr && value->is_null();
    return {};
  }
  std::int64_t number(const char* key) {
    const Json* value = at(key);
    const bool good = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX);
    ok_ = ok_ && good;
    return good ? value->get<std::int64_t>() : 0;
  }

 private:
  const Json& json_;
  bool ok_;
};

using Part = std::string Evidence::*;
constexpr std::array<std::pair<const char*, Part>, 10> parts_of_evidence{{{"message", &Evidence::message},
                                                                          {"expected", &Evidence::expected},
                                                                          {"actual", &Evidence::actual},
                                                                          {"missing", &Evidence::missing},
                                                                          {"extra", &Evidence::extra},
                                                                          {"chain", &Evidence::chain},
                                                                          {"raw", &Evidence::raw},
                                                                          {"problem", &Evidence::problem},
                                                                          {"more", &Evidence::more},
                                                                          {"at", &Evidence::at}}};

Json to_json(const std::shared_ptr<const Evidence>& evidence) {
  if (evidence == nullptr) return nullptr;
  Json out;
  for (const auto& [name, part] : parts_of_evidence) out[name] = or_null(*evidence.*part);
  return out;
}

std::optional<Checks> checks_from(const Json* json) {
  if (json == nullptr || !json->is_array()) return std::nullopt;
  Checks out;
  for (const Json& one : *json) {
    Members members(one);
    Check check{.property = members.text("property"),
                .expected = members.text("expected"),
                .actual = members.text("actual"),
                .detail = members.text("detail")};
    const std::string verdict = members.text("verdict");
    const auto row = std::find_if(verdicts.begin(), verdicts.end(), [&](const auto& r) { return verdict == r.second; });
    const Json* evidence = members.at("evidence");
    if (!members.ok() || row == verdicts.end()) return std::nullopt;
    if (!evidence->is_null()) {
      Members parts(*evidence);
      Evidence found;
      for (const auto& [name, part] : parts_of_evidence) found.*part = parts.text(name);
      if (!parts.ok()) return std::nullopt;
      check.evidence = std::make_shared<const Evidence>(std::move(found));
    }
    check.verdict = row->first;
    out.push_back(std::move(check));
  }
  return out;
}

std::optional<Outcome> outcome_from(std::string_view key) {
  for (int i = 0; i <= static_cast<int>(Outcome::failed); ++i)
    if (key_of(static_cast<Outcome>(i)) == key) return static_cast<Outcome>(i);
  return std::nullopt;
}

}  // namespace

std::string one_word(std::string_view name) {
  std::string word(name);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

Json to_json(const std::optional<Error>& error) {
  if (!error) return nullptr;
  return {{"message", error->text()}, {"hint", or_null(error->hint)}};
}

Json to_json(const Step& step) {
  Json checks = Json::array();
  for (const Check& check : step.checks)
    checks.push_back({{"property", check.property},
                      {"expected", check.expected},
                      {"actual", check.actual},
                      {"verdict", name_of(check.verdict)},
                      {"detail", or_null(check.detail)},
                      {"evidence", to_json(check.evidence)}});
  return {{"item", step.item},
          {"id", step.id},
          {"at", step.at},
          {"outcome", key_of(step.outcome)},
          {"checks", std::move(checks)},
          {"error", to_json(step.error)},
          {"note", or_null(step.note)},
          {"meta", or_null(step.meta)},
          {"diff", or_null(step.diff)},
          {"micros", step.took.count()}};
}

Json to_json(const Finding& finding) {
  const auto time = [](const std::optional<Timestamp>& when) { return when ? Json(when->micros) : Json(nullptr); };
  Json suspects = Json::array();
  for (const Suspect& each : finding.suspects) suspects.push_back({{"kind", each.kind}, {"text", each.text}});
  return {{"item", finding.item},
          {"id", finding.resource},
          {"at", finding.at},
          {"property", finding.property},
          {"unknown", finding.unknown},
          {"expected", finding.expected},
          {"actual", finding.actual},
          {"detail", or_null(finding.detail)},
          {"in_sync_until", time(finding.in_sync_until)},
          {"out_since", time(finding.out_since)},
          {"ended", time(finding.ended)},
          {"how", or_null(finding.how)},
          {"suspects", std::move(suspects)}};
}

Json to_json(const Tally& tally) {
  Json counts;
  for (int i = 0; i <= static_cast<int>(Outcome::failed); ++i)
    counts[key_of(static_cast<Outcome>(i))] = tally.of(static_cast<Outcome>(i));
  return counts;
}

std::optional<Step> step_from(const Json& json) {
  Members members(json);
  Step step{.id = members.text("id"), .item = members.text("item"), .at = members.text("at")};
  const auto outcome = outcome_from(members.text("outcome"));
  auto checks = checks_from(members.at("checks"));
  step.note = members.text("note");
  step.meta = members.text("meta");
  step.diff = members.text("diff");
  step.took = std::chrono::microseconds(members.number("micros"));
  const Json* error = members.at("error");
  if (!members.ok() || !outcome || !checks) return std::nullopt;
  step.outcome = *outcome;
  step.checks = std::move(*checks);
  if (!error->is_null()) {
    Members parts(*error);
    step.error = Error{Errc::io, parts.text("message"), {}, parts.text("hint")};
    if (!parts.ok()) return std::nullopt;
  }
  return step;
}

std::optional<Tally> tally_from(const Json& json) {
  Members members(json);
  Tally tally;
  for (int i = 0; i <= static_cast<int>(Outcome::failed); ++i) {
    const std::int64_t count = members.number(key_of(static_cast<Outcome>(i)).c_str());
    if (!members.ok() || count < 0) return std::nullopt;
    tally.counts[static_cast<std::size_t>(i)] = static_cast<std::size_t>(count);
  }
  return tally;
}

}  // namespace converge
