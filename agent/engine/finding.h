// What is not as declared, property by property, as a span of time: reports and history speak of these.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/values.h"
#include "engine/engine.h"

namespace converge {

/// Something that may have to do with a finding: evidence, not proof.
struct Suspect {
  std::string kind;  // "edit", "package", "sudo", "spec"
  std::string text;  // "/etc/fstab was edited at 2026-11-21 08:33:28 UTC"
  bool operator==(const Suspect&) const = default;
};

/// A time during which one property of a resource was not as declared, or could not be told.
struct Finding {
  std::int64_t id = 0;
  std::string host, item, resource, at;
  std::string property;  // "": the resource as a whole
  bool unknown = false;  // it could not be told; expected and actual say what is known
  std::string expected, actual, detail;
  std::optional<Timestamp> in_sync_until;  // the last look that found it in sync; nullopt: none did
  Timestamp out_since;                     // the first look that found it out
  Timestamp began;                         // the first look that found it as it is here: `actual` may have changed
  std::optional<Timestamp> ended;
  std::string how;  // it ended: "healed", "converged", "altered", "undeclared"
  std::vector<Suspect> suspects;
};

/// A host's findings against the look before.
struct Compared {
  std::vector<Finding> fresh;   // found for the first time, or altered since
  std::vector<Finding> old;     // as it was at the last look
  std::vector<Finding> healed;  // in sync again, by itself or by this run
};

/// What a host knows about a finding of its own.
struct Testimony {
  std::string item, resource, property;
  std::vector<Suspect> suspects;
  bool is_about(const Finding& finding) const;
};

/// A run that a host did without a controller, by its own timer or by somebody on it.
struct PastRun {
  std::string uid, who, from, revision, sources, words, version;
  Verb verb = Verb::drift;
  std::chrono::microseconds began_ago{0}, ended_ago{0}, took{0};  // clocks of two machines are not compared
  int exit = 0;
  Tally tally;
  bool whole = false;  // it looked at everything
  std::vector<Step> steps;
};

/// True unless the step was left out or blocked: then it says nothing about the resource.
bool was_looked_at(const Step& step);

/// What a step found wrong: a finding for each property that is not as declared or could not be told; one for all of
/// the resource if it could not be looked at. Found at `when`, and never before.
std::vector<Finding> findings_of(const std::string& host, const Step& step, Timestamp when);

}  // namespace converge
