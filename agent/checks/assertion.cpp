#include "checks/assertion.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "spec/yaml.h"

namespace converge::checks {
namespace {

/// Looks at one subject, whose name `suffix` adds to the properties.
void look_at(const Assertion& assertion, const Asked& asked, const std::string& suffix, const SystemView& view,
             std::vector<Assertion::Judged>& judged) {
  const Looked looked = assertion.type->look(asked, *assertion.context, view);
  std::string decided;  // why what follows is left out
  bool first = true;
  for (const auto& each : assertion.expectations) {
    if (!decided.empty()) {
      judged.push_back({std::string(each.property) + suffix, each.at, {}, true, decided});
      continue;
    }
    const auto found =
        std::find_if(looked.begin(), looked.end(), [&](const Sight& sight) { return sight.name == each.attribute; });
    const Actual unseen(Error{Errc::unsupported, "this attribute could not be looked at", {}, {}});
    const Actual& actual = found == looked.end() ? unseen : found->actual;
    Answer answer = each.matcher.match(actual);
    if (assertion.type->first_decides && std::exchange(first, false)) {
      const auto* value = std::get_if<spec::Value>(&actual);
      const bool is_false = value != nullptr && value->boolean() != nullptr && !*value->boolean();
      if (answer.verdict != Verdict::pass)
        decided = fmt::format("'{}' did not pass", each.property);
      else if (is_false)
        decided = fmt::format("'{}' is false", each.property);
    }
    judged.push_back({std::string(each.property) + suffix, each.at, std::move(answer), false,
                      found == looked.end() ? std::string() : found->detail});
  }
}

/// Nothing is there that the subject could stand for: the first attribute (it exists) is false.
void judge_nothing(const Assertion& assertion, std::vector<Assertion::Judged>& judged) {
  const std::string why = fmt::format("nothing matches '{}'", assertion.asked.subject());
  for (const auto& each : assertion.expectations) {
    if (!judged.empty()) {
      judged.push_back({std::string(each.property), each.at, {}, true, why});
      continue;
    }
    judged.push_back({std::string(each.property), each.at, each.matcher.match(spec::Value(false)), false, why});
  }
}

Assertion::State look_once(const Assertion& assertion, const SystemView& view) {
  Assertion::State state;
  state.judged.reserve(assertion.expectations.size());
  if (assertion.skip) {
    for (const auto& each : assertion.expectations)
      state.judged.push_back({std::string(each.property), each.at, {}, true, "skip: true"});
    return state;
  }
  const Asked& asked = assertion.asked;
  if (assertion.type->expand != nullptr) {
    const auto subjects = assertion.type->expand(asked, *assertion.context, view);
    if (!subjects) {
      for (const auto& each : assertion.expectations)
        state.judged.push_back({std::string(each.property), each.at, each.matcher.match(subjects.error()), false, {}});
      return state;
    }
    if (*subjects) {
      for (const auto& subject : **subjects)
        look_at(assertion, asked.about(subject), " of " + subject, view, state.judged);
      if ((*subjects)->empty()) judge_nothing(assertion, state.judged);
      return state;
    }
  }
  look_at(assertion, asked, "", view, state.judged);
  return state;
}

bool passes(const Assertion::State& state) {
  return std::all_of(state.judged.begin(), state.judged.end(),
                     [](const auto& each) { return each.left_out || each.answer.verdict == Verdict::pass; });
}

}  // namespace

ResourceId id(const Assertion& assertion) { return fmt::format("{}:{}", assertion.type->name, assertion.asked.id()); }

Result<Assertion::State> inspect(const Assertion& assertion, const SystemView& view) {
  auto state = look_once(assertion, view);
  for (int left = assertion.retries; left > 0 && !passes(state); --left) {
    view.pause(assertion.retry_delay);
    assertion.context->forget();
    const int looks = state.looks;
    state = look_once(assertion, view);
    state.looks = looks + 1;
  }
  return state;
}

Checks compare(const Assertion& assertion, const Assertion::State& state) {
  const auto& [judged, looks] = state;
  Checks out;
  for (const auto& each : judged) {
    if (each.left_out) {
      out.push_back(check_skipped(each.property, {}, each.why));
      continue;
    }
    Check check = to_check(each.property, each.answer);
    Evidence evidence = to_evidence(each.answer);
    if (check.verdict != Verdict::pass) {
      const auto add = [&](const std::string& text) {
        check.detail += (check.detail.empty() || text.empty() ? "" : "; ") + text;
        evidence.more += (evidence.more.empty() || text.empty() ? "" : "; ") + text;
      };
      add(each.why);
      if (looks > 1) add(fmt::format("after {} looks", looks));
      if (assertion.notes != nullptr && !assertion.notes->severity.empty())
        add("severity " + assertion.notes->severity);
      evidence.at = each.at.text();
      check.detail += (check.detail.empty() ? "" : "; ") + evidence.at;
    }
    check.evidence = std::make_shared<const Evidence>(std::move(evidence));
    out.push_back(std::move(check));
  }
  if (out.empty()) out.push_back(check_skipped("nothing", {}, "nothing is asserted"));
  return out;
}

Wants wants(const Assertion& assertion) {
  Wants out;
  // What waits for other checks may never be asked.
  if (assertion.skip || !assertion.needs.empty() || assertion.type->foresee == nullptr) return out;
  Foresight foresight = assertion.type->foresee(assertion.asked, *assertion.context);
  out.queries = std::move(foresight.queries);
  out.units = std::move(foresight.units);
  return out;
}

std::string meta_of(const Assertion& assertion) {
  return assertion.notes == nullptr || assertion.notes->meta.is_null() ? "" : spec::write_json(assertion.notes->meta);
}

}  // namespace converge::checks
