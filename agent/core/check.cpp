#include "core/check.h"

#include <algorithm>

namespace converge {
namespace {
bool any(const Checks& checks, Verdict verdict) {
  return std::any_of(checks.begin(), checks.end(), [=](const Check& c) { return c.verdict == verdict; });
}
}  // namespace

bool any_fails(const Checks& checks) { return any(checks, Verdict::fail); }
bool any_unknown(const Checks& checks) { return any(checks, Verdict::unknown); }

const Check* find_check(const Checks& checks, std::string_view property) {
  const auto it = std::find_if(checks.begin(), checks.end(), [=](const Check& c) { return c.property == property; });
  return it == checks.end() ? nullptr : &*it;
}

}  // namespace converge
