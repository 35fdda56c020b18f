// What the tests of primitives ask again and again: the failing checks by name, and one converge without an engine.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "primitives/primitive.h"

namespace converge {

using Names = std::vector<std::string>;

/// The checks of one look; none and a failed test if the look fails.
template <Primitive P>
Checks looked(const P& p, const SystemView& host) {
  const auto state = inspect(p, host);
  if (!state) {
    ADD_FAILURE() << state.error().text();
    return {};
  }
  return compare(p, *state);
}

template <Primitive P>
Names failing(const P& p, const SystemView& host) {
  Names names;
  for (const auto& check : looked(p, host)) {
    if (check.verdict == Verdict::fail) names.push_back(check.property);
  }
  return names;
}

/// What a property is; "" if there is no such check.
template <Primitive P>
std::string value_of(const P& p, const SystemView& host, std::string_view property) {
  const auto checks = looked(p, host);
  const auto* check = find_check(checks, property);
  return check == nullptr ? std::string() : check->actual;
}

template <Primitive P>
std::string detail_of(const P& p, const SystemView& host, std::string_view property) {
  const auto checks = looked(p, host);
  const auto* check = find_check(checks, property);
  return check == nullptr ? std::string() : check->detail;
}

/// Look, and if something fails: preflight and apply, as the engine does.
template <Appliable P>
Status tried(const P& p, System& host) {
  auto state = inspect(p, host);
  if (!state) return std::move(state).error();
  if (!any_fails(compare(p, *state))) return ok();
  if constexpr (Preflighted<P>) {
    if (auto allowed = preflight(p, *state, host); !allowed) return allowed;
  }
  return apply(p, *state, host);
}

}  // namespace converge
