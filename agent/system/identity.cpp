#include "system/identity.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "core/text.h"
#include "system/os.h"

namespace converge {

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
  if (::setgroups(groups.size(), groups.data()) != 0 || ::setegid(who.gid) != 0 || ::seteuid(who.uid) != 0) {
    return os_error(errno, fmt::format("take on the rights of user '{}'", who.name));
  }
  return before;
}

AsUser::~AsUser() {
  if (!active_) return;
  const bool restored =
      ::seteuid(uid_) == 0 && ::setegid(gid_) == 0 && ::setgroups(groups_.size(), groups_.data()) == 0;
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
