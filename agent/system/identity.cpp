#include "system/identity.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "core/text.h"
#include "system/os.h"

namespace converge {
namespace {

// To the kernel rights are a thread's own; glibc's functions of these names change them in every thread, and what else
// goes on meanwhile (the history is opened) would be done with a user's.
constexpr unsigned as_it_is = ~0U;
bool set_user(uid_t uid) { return ::syscall(SYS_setresuid, as_it_is, uid, as_it_is) == 0; }
bool set_group(gid_t gid) { return ::syscall(SYS_setresgid, as_it_is, gid, as_it_is) == 0; }
bool set_groups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

}  // namespace

AsUser::AsUser(AsUser&& other) noexcept
    : active_(std::exchange(other.active_, false)),
      uid_(other.uid_),
      gid_(other.gid_),
      groups_(std::move(other.groups_)) {}

Result<AsUser> AsUser::enter(const Person& who, const std::vector<gid_t>& groups) {
  AsUser before;
  before.uid_ = ::geteuid();
  before.gid_ = ::getegid();
  const int count = ::getgroups(0, nullptr);
  if (count < 0) return os_error(errno, "read our own groups");
  before.groups_.resize(static_cast<std::size_t>(count));
  if (::getgroups(count, before.groups_.data()) < 0) return os_error(errno, "read our own groups");

  before.active_ = true;  // from here on the destructor puts everything back
  if (!set_groups(groups) || !set_group(who.gid) || !set_user(who.uid)) {
    return os_error(errno, fmt::format("take on the rights of user '{}'", who.name));
  }
  return before;
}

AsUser::~AsUser() {
  if (!active_) return;
  const bool restored = set_user(uid_) && set_group(gid_) && set_groups(groups_);
  if (!restored || ::geteuid() != uid_ || ::getegid() != gid_) std::abort();
}

std::vector<gid_t> groups_of(std::string_view etc_group, std::string_view user, std::uint32_t primary) {
  std::vector<gid_t> groups{primary};
  for (const auto line : split_lines(etc_group)) {
    const auto parts = split(without_ending(line), ':');
    std::uint64_t gid = 0;
    if (parts.size() != 4 || !parse_number(parts[2], gid) || gid >= UINT32_MAX) continue;
    const auto members = split(parts[3], ',');
    if (std::find(members.begin(), members.end(), user) == members.end()) continue;
    const auto id = static_cast<gid_t>(gid);
    if (std::find(groups.begin(), groups.end(), id) == groups.end()) groups.push_back(id);
  }
  return groups;
}

std::optional<std::uint32_t> find_group(std::string_view etc_group, std::string_view name) {
  for (const auto line : split_lines(etc_group)) {
    const auto parts = split(without_ending(line), ':');
    std::uint64_t gid = 0;
    if (parts.size() < 3 || parts[0] != name || !parse_number(parts[2], gid) || gid >= UINT32_MAX) continue;
    return static_cast<std::uint32_t>(gid);
  }
  return std::nullopt;
}

}  // namespace converge
