// One question about one property of one resource, and its answer. Plan, converge, verify and drift all read these.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace converge {

/// pass and fail are answers. unknown: we could not tell, which is never a pass. skipped: left out on purpose, and said
/// so (a property that needs a running system under --root, an owner in a tree that is not root's).
enum class Verdict { pass, fail, unknown, skipped };

/// What a matcher saw, part by part as JSON ("" for none): reports in other programs' words are made of it.
struct Evidence {
  std::string message;           // "to equal", "not to have patterns"
  std::string expected, actual;  // what follows the message, and what was compared with it
  std::string missing, extra;    // lists: not found, and not wanted
  std::string chain, raw;        // what became of the value before it was compared, and what it was
  std::string problem;           // text: why nothing could be compared
  std::string more;              // text: what else there is to say
  std::string at;                // "goss.yaml:3:5"
  bool operator==(const Evidence&) const = default;
};

struct Check {
  std::string property;          // "mode", "active", "content": a noun of the field, never a verb
  std::string expected, actual;  // for people, in the field's units, already redacted
  Verdict verdict = Verdict::unknown;
  std::string detail;  // "overridden by /etc/sysctl.d/99-x.conf:3", a unified diff's place; may be empty
  std::shared_ptr<const Evidence> evidence = nullptr;  // of an assertion
};
using Checks = std::vector<Check>;

inline Check check_equal(std::string property, std::string expected, std::string actual) {
  const Verdict verdict = expected == actual ? Verdict::pass : Verdict::fail;
  return {std::move(property), std::move(expected), std::move(actual), verdict, {}, {}};
}
inline Check check_that(std::string property, bool holds, std::string expected, std::string actual) {
  return {std::move(property), std::move(expected), std::move(actual), holds ? Verdict::pass : Verdict::fail, {}, {}};
}
inline Check check_unknown(std::string property, std::string expected, std::string why) {
  return {std::move(property), std::move(expected), "unknown", Verdict::unknown, std::move(why), {}};
}
inline Check check_skipped(std::string property, std::string expected, std::string why) {
  return {std::move(property), std::move(expected), "left out", Verdict::skipped, std::move(why), {}};
}

/// True if some check fails: there is work to do. Unknown is not a failure and not a pass.
bool any_fails(const Checks& checks);
bool any_unknown(const Checks& checks);
const Check* find_check(const Checks& checks, std::string_view property);  // null if there is none

}  // namespace converge
