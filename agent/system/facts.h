// What a host is, gathered once at the start of a run. Plain data; parsing is pure, reading goes through SystemView.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "system/system.h"

namespace converge {

struct Facts {
  std::string hostname;           // nodename, or /etc/hostname of a tree
  std::string os_id, os_version;  // os-release(5): "debian", "12"
  std::string os_family;          // "debian", "rhel", "alpine", "arch", "suse" or os_id
  std::string init;               // "systemd", "openrc", "none" (a tree or a container without one)
  std::string arch, kernel;       // uname(2)
  std::string container;          // "" on a machine; "systemd-nspawn", "lxc", "docker" ...
  std::uint64_t cpus = 0;
  Bytes memory;
  std::uint64_t page_size = 4096;
  std::uint64_t most_tasks = 0;  // the most threads there can be, as systemd counts them; 0: not known
  bool live = true;              // false under --root
  bool privileged = true;        // effective uid 0
  std::map<std::string, Person, std::less<>> users;          // all of /etc/passwd, plus those asked for through getent
  std::map<std::string, std::uint32_t, std::less<>> groups;  // all of /etc/group: name, gid
  std::vector<std::string> addresses;                        // of this machine's interfaces, for "is that host me?"

  const Person* find_user(std::string_view name) const {
    const auto it = users.find(name);
    return it == users.end() ? nullptr : &it->second;
  }
};

/// Gathers the facts through `view`. What cannot be read stays empty, except passwd(5): without it nobody can be looked
/// up.
Result<Facts> gather_facts(const SystemView& view);

/// Pure parsers, exported for tests.
std::map<std::string, Person, std::less<>> parse_passwd(std::string_view text);  // malformed lines are skipped

}  // namespace converge
