// The proof that a new login gets its limits.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Opens a new session of the user (never asks the agent's own limits) and checks that pam_limits is in the stacks that
/// sessions come through.
struct LoginLimitInEffect {
  Person user;
  std::string item = "nproc";
  std::uint64_t soft = 0, hard = 0;
  struct State {
    std::optional<std::pair<std::string, std::string>> session;  // soft, hard: digits or "unlimited"
    std::string how;                                             // "systemd-run PAMName=sshd", "runuser"
    std::vector<std::string> services_without_pam_limits;        // "sshd", "login"
  };
  static constexpr bool live_only = true;
  static constexpr bool deep = true;
};

ResourceId id(const LoginLimitInEffect& p);
Result<LoginLimitInEffect::State> inspect(const LoginLimitInEffect& p, const SystemView& view);
Checks compare(const LoginLimitInEffect& p, const LoginLimitInEffect::State& state);

}  // namespace converge
