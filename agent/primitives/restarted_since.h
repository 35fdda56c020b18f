// A service restarted when, and only when, its configuration is newer.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// A service that read its configuration after the configuration last changed. Not installed or not running: nothing to
/// restart, and said so.
struct RestartedSince {
  std::vector<std::string> units;   // the first that is loaded counts: "k3s.service", "k3s-agent.service"
  AbsPath config;
  std::vector<std::string> ready;   // a command that exits 0 once it is ready; empty: active is enough
  std::chrono::milliseconds deadline{300'000};
  struct State {
    std::string unit;                     // "" if none is installed
    bool active = false;
    std::optional<Timestamp> started;     // ActiveEnter, nullopt: never
    std::optional<Timestamp> changed;     // of the file; nullopt: absent
    Timestamp now;
    std::string active_text;
  };
  static constexpr bool live_only = true;
};

ResourceId id(const RestartedSince& p);
Result<RestartedSince::State> inspect(const RestartedSince& p, const SystemView& view);
Checks compare(const RestartedSince& p, const RestartedSince::State& state);
Status apply(const RestartedSince& p, const RestartedSince::State& state, System& system);
Wants wants(const RestartedSince& p);
}  // namespace converge
