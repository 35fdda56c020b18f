// Ceilings of a user's sessions, limits.conf(5).
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The lines of limits.conf(5), and what pam_limits makes of all files together for this user.
struct LoginLimits {
  Person user;
  std::string item = "nproc";
  std::uint64_t soft = 0, hard = 0;
  AbsPath file{"/etc/security/limits.conf"};
  struct State {
    Seen seen;                                        // of `file`
    std::vector<std::pair<std::string, std::string>> files;  // every file pam_limits reads, in its order: path, text
    std::uint64_t threads = 0;                        // the user has now; RLIMIT_NPROC counts these
    std::vector<std::string> groups;                  // the user's, for @group lines
  };
};

ResourceId id(const LoginLimits& p);
Result<LoginLimits::State> inspect(const LoginLimits& p, const SystemView& view);
Checks compare(const LoginLimits& p, const LoginLimits::State& state);
Status apply(const LoginLimits& p, const LoginLimits::State& state, System& system);
Status preflight(const LoginLimits& p, const LoginLimits::State& state, const SystemView& view);
std::string diff(const LoginLimits& p, const LoginLimits::State& state);
}  // namespace converge
