// The proof that a new login gets its limits.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Opens a new session of the user (never asks the agent's own limits) and checks that pam_limits is in the stacks that
/// sessions come through, pam.d(5). A service without a file in /etc/pam.d or /usr/lib/pam.d is no way in, and no
/// failure.
struct LoginLimitInEffect {
  Person user;
  std::string item = "nproc";
  std::uint64_t soft = 0, hard = 0;
  struct State {
    std::optional<std::pair<std::string, std::string>> session;  // soft, hard: digits or "unlimited"
    std::string how;                                             // "systemd-run PAMName=sshd", "runuser"
    std::string why_not;                                         // why there is no session to ask
    std::vector<std::string> services;                           // "sshd", "login": those that are there
    std::vector<std::string> services_without_pam_limits;
    std::string use_pam;     // of sshd: "yes", "no"; "" without sshd
    std::string use_pam_at;  // "/etc/ssh/sshd_config:12"; "" if nothing sets it
  };
  static constexpr bool live_only = true;
  static constexpr bool deep = true;
};

/// Soft and hard limit of `item` (limits.conf's word) for a new session of `user`; both as in parse_proc_limits().
struct SessionLimit {
  std::optional<std::pair<std::string, std::string>> limits;
  std::string how;      // "systemd-run PAMName=sshd", "runuser"
  std::string why_not;  // why there is no session to ask
};
/// Opens one, through the stack of sshd (or login, without sshd) where systemd can, else by runuser. Error: it could
/// not even be told how.
Result<SessionLimit> limit_of_session(const Person& user, std::string_view item, const SystemView& view);

/// limits.conf's word for a limit ("nproc") as the row of /proc/PID/limits ("Max processes"), proc(5); "" if unknown.
std::string_view limits_row(std::string_view item);
/// Those words.
std::vector<std::string> limit_items();

/// Soft and hard of a row of /proc/PID/limits, by the columns of its header; nullopt if there is no such row.
std::optional<std::pair<std::string, std::string>> parse_proc_limits(std::string_view text, std::string_view row);

ResourceId id(const LoginLimitInEffect& p);
Wants wants(const LoginLimitInEffect& p, const SystemView& view);
Result<LoginLimitInEffect::State> inspect(const LoginLimitInEffect& p, const SystemView& view);
Checks compare(const LoginLimitInEffect& p, const LoginLimitInEffect::State& state);

}  // namespace converge
