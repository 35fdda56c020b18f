// What happened to one resource, as data: reports and history read nothing else.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/result.h"
#include "primitives/primitive.h"

namespace converge {

/// Worst last. skipped: left out on purpose, with the reason. blocked: an earlier step of its chain, or what it needs,
/// did not succeed. unknown: could not be determined.
enum class Outcome { in_sync, skipped, changed, out_of_sync, blocked, unknown, failed };
std::string_view name_of(Outcome outcome);  // "in sync", "skipped", "changed", "out of sync", ...

struct Step {
  ResourceId id;
  std::string item;  // the spec item's name: its module, or `name:`
  std::string at;    // "specs/x.yaml:7:3"
  Outcome outcome = Outcome::unknown;
  Checks checks;  // of the look that decided; after a change, those that were not passing before it
  std::optional<Error> error;
  std::string note;  // why skipped or blocked; what is to be done by a person
  std::string meta;  // of an assertion: what its author noted of it, as JSON
  std::string diff;  // unified, only when asked for; never of anything sensitive
  std::chrono::microseconds took{0};
};

}  // namespace converge
