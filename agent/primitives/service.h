// A service: running or stopped, enabled or disabled at boot.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// systemd's or OpenRC's word for it; whichever init runs.
struct Service {
  std::string name;  // "k3s", "getty@tty1.service"
  std::optional<bool> running, enabled;
  bool made_here = false;  // what comes before it in its chain installs it: that it is not there yet is no obstacle
  /// OpenRC: enabled is to be in runlevel boot (or sysinit), where what runs before the file systems are mounted is.
  bool early = false;
  /// OpenRC: what does the same on a host that has no service `name`; the first that is installed counts.
  std::vector<std::string> instead = {};
  struct State {
    std::string name;  // the service that was looked at: `name`, or one of `instead`
    enum class Init { systemd, openrc, none } init = Init::none;
    bool exists = false;
    std::optional<bool> running, enabled;   // nullopt: the manager's answer says neither
    std::string active_text, enabled_text;  // its own words: "failed", "static", "masked"
    std::vector<std::string> runlevels;     // of OpenRC, that start it
  };
  static constexpr bool live_only = true;
};

ResourceId id(const Service& p);
Result<Service::State> inspect(const Service& p, const SystemView& view);
Checks compare(const Service& p, const Service::State& state);
Status preflight(const Service& p, const Service::State& state, const SystemView& view);
Status apply(const Service& p, const Service::State& state, System& system);
Wants wants(const Service& p);
/// Services use one another.
constexpr bool needs_services(const Service& /*p*/) { return true; }
}  // namespace converge
