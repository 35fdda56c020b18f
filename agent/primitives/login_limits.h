// Ceilings of a user's sessions, limits.conf(5).
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The lines of limits.conf(5), and what pam_limits makes of all files together for this user. Only lines of exactly
/// this user and item in `file` are touched; a line elsewhere that overrides them is named, not edited.
struct LoginLimits {
  Person user;
  std::string item = "nproc";
  std::uint64_t soft = 0, hard = 0;
  AbsPath file{"/etc/security/limits.conf"};  // that, or a *.conf in /etc/security/limits.d
  bool force = false;                         // also when the user could hardly log in any more
  struct Group {
    std::string name;
    std::uint32_t gid = 0;
  };
  struct State {
    Seen seen;                                               // of `file`
    std::vector<std::pair<std::string, std::string>> files;  // every file pam_limits reads, in its order: path, text
    std::vector<Group> groups;                               // the user's, for @group lines; the primary one first
  };
};

/// Who a session is for, as pam_limits sees them.
struct LimitsSubject {
  std::string name;
  std::uint32_t uid = 0;
  std::vector<LoginLimits::Group> groups;  // the primary one first
};
/// One resource's limit after every file was read; nullopt: nobody set it, and the session inherits it.
struct EffectiveLimit {
  struct Value {
    std::optional<std::uint64_t> number;  // nullopt: unlimited
    std::string where;                    // "/etc/security/limits.d/90-x.conf:3"
    int rank = 0;                         // 0 the user or a uid range, 1 a group, 4 everybody
    std::string text() const;             // "512", "unlimited"
  };
  std::optional<Value> soft, hard;  // soft is clamped to hard, as setup_limits does
  std::string cancelled;            // where "USER -" or "@GROUP -" stands, which cancels everything; or ""
};
/// What pam_limits(8) would set for `item`, reading `files` (path, text) in this order.
EffectiveLimit effective_limit(const std::vector<std::pair<std::string, std::string>>& files, const LimitsSubject& who,
                               std::string_view item);
/// `text` of p.file with p's lines; every other byte stays. Unchanged if its lines say the same already.
std::string edit_limits(const LoginLimits& p, std::string_view text);

ResourceId id(const LoginLimits& p);
Result<LoginLimits::State> inspect(const LoginLimits& p, const SystemView& view);
Checks compare(const LoginLimits& p, const LoginLimits::State& state);
Status apply(const LoginLimits& p, const LoginLimits::State& state, System& system);
Status preflight(const LoginLimits& p, const LoginLimits::State& state, const SystemView& view);
std::string diff(const LoginLimits& p, const LoginLimits::State& state);
}  // namespace converge
