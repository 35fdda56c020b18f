// A kernel parameter, in effect and at the next boot.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The running kernel's value, and that no file read at boot sets another one after ours (sysctl.d(5): both
/// systemd-sysctl's and procps' order). The file itself is a File in the same chain. apply writes /proc/sys only.
struct Sysctl {
  std::string key;  // "vm.swappiness"
  std::string value;
  AbsPath file;  // which of ours sets it at boot
  struct State {
    bool live = false;
    std::optional<std::string> running;  // nullopt: no such key (or not live)
    struct Winner {
      std::string value, where;
    };                                      // where: "/etc/sysctl.d/99-x.conf:3"
    std::optional<Winner> systemd, procps;  // the last assignment in each order; nullopt: nobody sets it
    /// Who would still win if our file said what it is to say; nullopt: nobody, or the same value.
    std::optional<Winner> obstacle;
  };
};

ResourceId id(const Sysctl& p);
Result<Sysctl::State> inspect(const Sysctl& p, const SystemView& view);
Checks compare(const Sysctl& p, const Sysctl::State& state);
Status preflight(const Sysctl& p, const Sysctl::State& state, const SystemView& view);
Status apply(const Sysctl& p, const Sysctl::State& state, System& system);
}  // namespace converge
