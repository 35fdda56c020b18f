#include "system/facts.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/text.h"
#include "system/identity.h"

namespace converge {
namespace {

/// The content of a small file; "" if there is none or it cannot be read.
std::string small_file(const SystemView& view, std::string_view path) {
  auto seen = view.read(AbsPath(path), 1_MiB);
  return seen ? std::move(seen->content) : std::string();
}

bool is_there(const SystemView& view, std::string_view path) {
  const auto state = view.look(AbsPath(path));
  return state && !std::holds_alternative<Absent>(*state);
}

/// NAME=value of os-release(5): shell quoting, without expansion.
std::string os_release_value(std::string_view text, std::string_view name) {
  std::string found;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (line.size() <= name.size() || !line.starts_with(name) || line[name.size()] != '=') continue;
    std::string_view value = line.substr(name.size() + 1);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    found.clear();
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      found += value[i];
    }
  }
  return found;
}

std::string family_of(const std::string& id, const std::string& like) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 16> families = {
      {{"debian", "debian"},
       {"ubuntu", "debian"},
       {"raspbian", "debian"},
       {"rhel", "rhel"},
       {"fedora", "rhel"},
       {"centos", "rhel"},
       {"rocky", "rhel"},
       {"almalinux", "rhel"},
       {"ol", "rhel"},
       {"amzn", "rhel"},
       {"alpine", "alpine"},
       {"arch", "arch"},
       {"suse", "suse"},
       {"opensuse", "suse"},
       {"sles", "suse"},
       {"opensuse-leap", "suse"}}};
  const auto known = [](std::string_view word) -> std::string {
    for (const auto& [name, family] : families) {
      if (word == name) return std::string(family);
    }
    return {};
  };
  if (auto family = known(id); !family.empty()) return family;
  for (const auto word : fields(like)) {
    if (auto family = known(word); !family.empty()) return family;
  }
  return id;
}

std::string init_of(const SystemView& view) {
  if (view.is_live()) {
    // sd_booted(3), and OpenRC's own mark; the binaries alone say nothing about what runs.
    if (is_there(view, "/run/systemd/system")) return "systemd";
    if (is_there(view, "/run/openrc/softlevel")) return "openrc";
    return "none";
  }
  if (is_there(view, "/usr/lib/systemd/systemd") || is_there(view, "/lib/systemd/systemd")) return "systemd";
  if (is_there(view, "/sbin/openrc") || is_there(view, "/usr/sbin/openrc")) return "openrc";
  return "none";
}

std::string container_of(const SystemView& view) {
  if (!view.is_live()) return {};
  if (const auto name = small_file(view, "/run/systemd/container"); !name.empty()) return std::string(trim(name));
  const std::string environment = small_file(view, "/proc/1/environ");
  for (const auto variable : split(environment, '\0')) {
    if (variable.starts_with("container=")) return std::string(variable.substr(10));
  }
  if (is_there(view, "/.dockerenv")) return "docker";
  if (is_there(view, "/run/.containerenv")) return "podman";
  return {};
}

Bytes memory_of(const SystemView& view) {
  const std::string meminfo = small_file(view, "/proc/meminfo");
  for (const auto line : split_lines(meminfo)) {
    const auto words = fields(line);
    std::uint64_t kib = 0;
    if (words.size() >= 2 && words[0] == "MemTotal:" && parse_number(words[1], kib)) return Bytes{kib << 10U};
  }
  return {};
}

/// systemd's system_tasks_max(): the least of threads-max, pid_max without the PID 0, and pids.max of the cgroup that
/// is the root here (a machine's own root has none; a container's may have).
std::uint64_t most_tasks_of(const SystemView& view) {
  const auto number = [&](const std::string& path) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    if (!parse_number(trim(small_file(view, path)), value)) return std::nullopt;
    return value;
  };
  const auto threads = number("/proc/sys/kernel/threads-max"), pids = number("/proc/sys/kernel/pid_max");
  if (!threads || !pids || *pids == 0) return 0;
  std::uint64_t most = std::min(*threads, *pids - 1);
  const std::string groups = small_file(view, "/proc/1/cgroup");
  for (const auto raw : split_lines(groups)) {
    const auto line = split(without_ending(raw), ':');
    if (line.size() != 3) continue;
    const bool unified = line[0] == "0" && line[1].empty();
    if (!unified && line[1] != "pids") continue;
    std::string root(line[2]);
    for (const std::string_view own : {"/init.scope", "/system.slice"})
      if (root.ends_with(own)) root.erase(root.size() - own.size());
    if (root == "/") root.clear();
    const auto limit = number((unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids") + root + "/pids.max");
    if (limit) most = std::min(most, *limit);
  }
  return most;
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::array<char, NI_MAXHOST> text = {};
    if (::getnameinfo(each->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) continue;
    std::string address = text.data();
    address.resize(std::min(address.size(), address.find('%')));  // the interface of a link-local address
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
      addresses.push_back(std::move(address));
  }
  ::freeifaddrs(list);
  return addresses;
}

}  // namespace

std::map<std::string, Person, std::less<>> parse_passwd(std::string_view text) {
  std::map<std::string, Person, std::less<>> people;
  for (const auto line : split_lines(text)) {
    const auto parts = split(without_ending(line), ':');
    if (parts.size() != 7 || parts[0].empty() || parts[0].front() == '#') continue;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    if (!parse_number(parts[2], uid) || !parse_number(parts[3], gid) || uid >= UINT32_MAX || gid >= UINT32_MAX)
      continue;
    auto home = AbsPath::parse(parts[5].empty() ? std::string_view("/") : parts[5]);
    if (!home) continue;
    Person person;
    person.name = std::string(parts[0]);
    person.uid = static_cast<std::uint32_t>(uid);
    person.gid = static_cast<std::uint32_t>(gid);
    person.home = *std::move(home);
    people.try_emplace(person.name, person);  // the first line of a name wins, as in getpwnam(3)
  }
  return people;
}

Result<Facts> gather_facts(const SystemView& view) {
  Facts facts;
  facts.live = view.is_live();
  facts.privileged = ::geteuid() == 0;
  facts.page_size = view.page_size();

  struct utsname kernel = {};
  if (::uname(&kernel) == 0) {
    facts.arch = kernel.machine;
    if (facts.live) {
      facts.kernel = kernel.release;
      facts.hostname = kernel.nodename;
    }
  }
  if (!facts.live) facts.hostname = std::string(trim(small_file(view, "/etc/hostname")));

  std::string release = small_file(view, "/etc/os-release");
  // /etc/os-release is a symbolic link on most hosts, and a read does not follow one.
  if (release.empty()) release = small_file(view, "/usr/lib/os-release");
  facts.os_id = os_release_value(release, "ID");
  facts.os_version = os_release_value(release, "VERSION_ID");
  facts.os_family = family_of(facts.os_id, os_release_value(release, "ID_LIKE"));
  facts.init = init_of(view);
  facts.container = container_of(view);
  if (facts.live) {
    const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    facts.cpus = cpus > 0 ? static_cast<std::uint64_t>(cpus) : 0;
    facts.memory = memory_of(view);
    facts.most_tasks = most_tasks_of(view);
    facts.addresses = own_addresses();
  }

  auto passwd = view.read(AbsPath("/etc/passwd"), 16_MiB);
  if (!passwd) return std::move(passwd).error().during("gathering facts");
  facts.users = parse_passwd(passwd->content);
  const std::string groups = small_file(view, "/etc/group");
  for (const auto line : split_lines(groups)) {
    const auto name = line.substr(0, line.find(':'));
    if (const auto gid = find_group(line, name)) facts.groups.try_emplace(std::string(name), *gid);
  }
  return facts;
}

}  // namespace converge
