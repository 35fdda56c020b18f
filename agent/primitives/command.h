// A command of the operator's.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// An argv the operator wrote. With `creates` or `unless` it can be told whether it is needed; without, nobody can
/// know, and plan says so.
struct RunCommand {
  std::vector<std::string> argv;
  std::optional<AbsPath> creates;   // not needed when this exists
  std::vector<std::string> unless;  // not needed when this command exits 0; empty: not asked
  std::chrono::milliseconds deadline{300'000};
  std::vector<int> ok_exits{0};
  std::optional<Person> as;
  std::string input;
  struct State {
    std::optional<bool> created;
    std::optional<int> unless_exit;
  };
  static constexpr bool live_only = true;
};

ResourceId id(const RunCommand& p);
Result<RunCommand::State> inspect(const RunCommand& p, const SystemView& view);
Checks compare(const RunCommand& p, const RunCommand::State& state);
Status apply(const RunCommand& p, const RunCommand::State& state, System& system);
Wants wants(const RunCommand& p);
/// An operator's command may need anything that stands before it.
constexpr bool needs_services(const RunCommand& /*p*/) { return true; }
/// True if nothing can be looked at after the command ran (neither creates nor unless).
bool unverifiable(const RunCommand& p);
}  // namespace converge
