// A unit as systemd has loaded it.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// What the service manager has loaded for a unit: our drop-in is among what it read, and the properties have our values.
/// apply is a daemon-reload, done only when one of these fails.
struct LoadedUnit {
  std::string unit;       // "user-1000.slice"
  AbsPath drop_in;
  std::vector<std::pair<std::string, std::string>> properties;  // as systemd answers them: {"MemoryMax", "1572864000"}
  struct State {
    UnitProperties properties;
    std::optional<std::uint64_t> memory_current;  // bytes, of the slice's cgroup when it runs
  };
  static constexpr bool live_only = true;
};

ResourceId id(const LoadedUnit& p);
Result<LoadedUnit::State> inspect(const LoadedUnit& p, const SystemView& view);
Checks compare(const LoadedUnit& p, const LoadedUnit::State& state);
Status apply(const LoadedUnit& p, const LoadedUnit::State& state, System& system);
Status preflight(const LoadedUnit& p, const LoadedUnit::State& state, const SystemView& view);
Wants wants(const LoadedUnit& p);
}  // namespace converge
