// Working with a user's rights: what a user can plant in a directory of theirs, root then does not follow.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// While it lives, files are reached with the effective uid, gid and groups of a user: by the thread that entered, and
/// no other; that one must destroy it. Restores on destruction and aborts if the kernel refuses: going on with the
/// wrong identity is the one thing it must not do.
class AsUser {
 public:
  AsUser() = default;
  AsUser(AsUser&& other) noexcept;
  AsUser& operator=(AsUser&&) = delete;
  AsUser(const AsUser&) = delete;
  ~AsUser();

  /// Becomes `who` with the supplementary `groups`. Errc::permission if we may not.
  static Result<AsUser> enter(const Person& who, const std::vector<gid_t>& groups);

 private:
  bool active_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;
};

/// The groups of `user` by the text of /etc/group: `primary` and every group that lists the name. Malformed lines are
/// skipped.
std::vector<gid_t> groups_of(std::string_view etc_group, std::string_view user, std::uint32_t primary);
/// The gid of the group `name` by the text of /etc/group; nullopt if it is not listed.
std::optional<std::uint32_t> find_group(std::string_view etc_group, std::string_view name);

}  // namespace converge
