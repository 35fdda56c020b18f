#include "checks/assertion.h"

#include <fmt/format.h>

#include <algorithm>

namespace converge::checks {
namespace {

Assertion::State look_once(const Assertion& assertion, const SystemView& view) {
  Assertion::State state;
  if (assertion.skip) {
    for (const auto& each : assertion.expectations)
      state.judged.push_back({each.property, each.at, {}, true, "skip: true"});
    return state;
  }
  const Looked looked = assertion.type->look(assertion.asked, *assertion.context, view);
  std::string decided;  // why what follows is left out
  for (const auto& each : assertion.expectations) {
    if (!decided.empty()) {
      state.judged.push_back({each.property, each.at, {}, true, decided});
      continue;
    }
    const auto found =
        std::find_if(looked.begin(), looked.end(), [&](const auto& pair) { return pair.first == each.attribute; });
    const Actual actual = found == looked.end()
                              ? Actual(Error{Errc::unsupported, "this attribute could not be looked at", {}, {}})
                              : found->second;
    Answer answer = each.matcher.match(actual);
    if (assertion.type->first_decides && state.judged.empty()) {
      const auto* value = std::get_if<spec::Value>(&actual);
      const bool is_false = value != nullptr && value->boolean() != nullptr && !*value->boolean();
      if (answer.verdict != Verdict::pass)
        decided = fmt::format("'{}' did not pass", each.property);
      else if (is_false)
        decided = fmt::format("'{}' is false", each.property);
    }
    state.judged.push_back({each.property, each.at, std::move(answer), false, {}});
  }
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

Checks compare(const Assertion& /*assertion*/, const Assertion::State& state) {
  const auto& [judged, looks] = state;
  Checks out;
  for (const auto& each : judged) {
    if (each.left_out) {
      out.push_back(check_skipped(each.property, {}, each.why));
      continue;
    }
    Check check = to_check(each.property, each.answer);
    if (check.verdict != Verdict::pass) {
      if (looks > 1) check.detail += fmt::format("{}after {} looks", check.detail.empty() ? "" : "; ", looks);
      check.detail += fmt::format("{}{}", check.detail.empty() ? "" : "; ", each.at);
    }
    out.push_back(std::move(check));
  }
  if (out.empty()) out.push_back(check_skipped("nothing", {}, "nothing is asserted"));
  return out;
}

Wants wants(const Assertion& assertion) {
  Wants out;
  if (assertion.skip || assertion.type->foresee == nullptr) return out;
  Foresight foresight = assertion.type->foresee(assertion.asked, *assertion.context);
  out.queries = std::move(foresight.queries);
  out.units = std::move(foresight.units);
  return out;
}

}  // namespace converge::checks
