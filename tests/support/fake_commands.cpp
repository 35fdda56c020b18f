#include "tests/support/fake_commands.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "core/text.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

CommandOutput exited(int code, std::string out = {}, std::string err = {}) {
  return {code, std::move(out), std::move(err)};
}

std::string with_suffix(std::string name) { return name.find('.') == std::string::npos ? name + ".service" : name; }

// systemd.unit(5): where drop-ins of a unit are looked for, the first directory being the strongest.
constexpr std::string_view drop_in_roots[] = {"/etc/systemd/system.control", "/run/systemd/system.control",
                                              "/run/systemd/transient",      "/etc/systemd/system",
                                              "/run/systemd/system",         "/usr/lib/systemd/system"};

/// The drop-ins of `unit`, in the order systemd applies them: by basename over all directories; of equal basenames the
/// more specific name wins, then the stronger directory.
std::vector<std::string> drop_ins(const FakeSystem& host, const std::string& unit) {
  std::vector<std::string> names{unit};
  const auto dot = unit.rfind('.');
  const std::string type = unit.substr(dot + 1);
  for (auto dash = unit.rfind('-', dot); dash != std::string::npos && dash > 0; dash = unit.rfind('-', dash - 1))
    names.push_back(unit.substr(0, dash + 1) + "." + type);
  names.push_back(type);
  std::map<std::string, std::string> by_basename;
  for (const auto& name : names) {
    for (const auto root : drop_in_roots) {
      const AbsPath directory(std::string(root) + "/" + name + ".d");
      const auto files = host.list(directory);
      if (!files || !*files) continue;
      for (const auto& file : **files)
        if (file.ends_with(".conf")) by_basename.emplace(file, directory.str() + "/" + file);
    }
  }
  std::vector<std::string> out;
  for (const auto& [basename, path] : by_basename) out.push_back(path);
  return out;
}

/// A resource value as systemd 252 takes it: "1500M" in bytes, "infinity", "50%" of the memory; nullopt for what it
/// logs and ignores.
std::optional<std::string> resource_value(std::string_view key, std::string_view text) {
  if (text == "infinity" || text.empty()) return "infinity";
  const bool memory = key.starts_with("Memory");
  std::uint64_t number = 0;
  std::uint64_t factor = 1;
  std::string_view digits = text;
  if (text.ends_with('%')) {
    if (!parse_number(text.substr(0, text.size() - 1), number) || number > 100) return std::nullopt;
    return std::to_string((memory ? (8_GiB).count : 4'194'304) / 100 * number);
  }
  if (memory) {
    constexpr std::string_view units = "KMGT";
    if (const auto unit = units.find(text.back()); unit != std::string_view::npos) {
      factor = std::uint64_t{1} << (10 * (unit + 1));
      digits = trim(text.substr(0, text.size() - 1));
    }
  }
  if (!parse_number(digits, number)) return std::nullopt;
  if (number == 0 && key != "MemorySwapMax") return std::nullopt;
  number *= factor;
  return std::to_string(memory ? number / 4096 * 4096 : number);
}

std::string kernel_file(std::string_view key) {
  if (key == "MemoryMax") return "memory.max";
  if (key == "MemoryHigh") return "memory.high";
  if (key == "MemorySwapMax") return "memory.swap.max";
  if (key == "TasksMax") return "pids.max";
  return {};
}

void load_unit(FakeSystem& host, const std::string& unit) {
  auto& properties = host.units[unit];
  for (const auto* key : {"MemoryMax", "MemoryHigh", "MemorySwapMax", "TasksMax"})
    if (unit.ends_with(".slice") || properties.contains(key)) properties[key] = "infinity";
  std::vector<std::string> paths = drop_ins(host, unit);
  for (const auto& path : paths) {
    std::string section;
    const std::string text_of_file = host.content(path);
    for (const auto raw : split_lines(text_of_file)) {
      const auto line = trim(raw);
      if (line.empty() || line.front() == '#' || line.front() == ';') continue;
      if (line.front() == '[') {
        section = line;
        continue;
      }
      const auto equals = line.find('=');
      if (equals == std::string_view::npos || section.empty()) continue;
      const std::string key(trim(line.substr(0, equals)));
      const auto text = trim(line.substr(equals + 1));
      if (kernel_file(key).empty())
        properties[key] = std::string(text);
      else if (const auto value = resource_value(key, text))
        properties[key] = *value;
    }
  }
  properties["DropInPaths"] = join(paths, " ");
  properties.try_emplace("LoadState", "loaded");
  const auto active = properties.find("ActiveState");
  const auto group = properties.find("ControlGroup");
  if (active == properties.end() || active->second != "active" || group == properties.end() || group->second.empty())
    return;
  for (const auto* key : {"MemoryMax", "MemoryHigh", "MemorySwapMax", "TasksMax"}) {
    const auto value = properties.find(key);
    if (value == properties.end()) continue;
    const std::string text = value->second == "infinity" ? "max" : value->second;
    host.put_file("/sys/fs/cgroup" + group->second + "/" + kernel_file(key), text + "\n");
  }
}

/// systemd-fstab-generator(8): a unit for each first entry of a swap file, as far as converge asks about it.
void generate_swap_units(FakeSystem& host) {
  const std::string generated = "/run/systemd/generator";
  host.erase(generated);
  host.put_directory(generated);
  if (!host.exists("/etc/fstab")) return;
  const std::string fstab = host.content("/etc/fstab");
  for (const auto raw : split_lines(fstab)) {
    const auto words = fields(without_ending(raw));
    if (words.size() < 3 || words[0].starts_with('#') || words[2] != "swap" || !words[0].starts_with('/')) continue;
    std::string unit;
    for (const char c : AbsPath(words[0]).str().substr(1))
      unit += c == '/' ? "-" : c == '-' ? "\\x2d" : std::string(1, c);
    const std::string path = generated + "/" + unit + ".swap";
    if (!host.exists(path))
      host.put_file(path, "[Unit]\nSourcePath=/etc/fstab\n\n[Swap]\nWhat=" + AbsPath(words[0]).str() + "\n");
  }
}

void daemon_reload(FakeSystem& host) {
  generate_swap_units(host);
  std::vector<std::string> names;
  for (const auto& [name, properties] : host.units) names.push_back(name);
  for (const auto root : drop_in_roots) {
    const auto entries = host.list(AbsPath(root));
    if (!entries || !*entries) continue;
    for (const auto& entry : **entries)
      if (entry.ends_with(".d") && entry.find("-.") == std::string::npos && entry.find('.') != entry.rfind('.'))
        names.push_back(entry.substr(0, entry.size() - 2));
  }
  const std::string own = "/etc/systemd/system/";
  for (auto it = host.units.begin(); it != host.units.end();) {
    const auto fragment = it->second.find("FragmentPath");
    const bool gone =
        fragment != it->second.end() && fragment->second.starts_with(own) && !host.exists(fragment->second);
    it = gone ? host.units.erase(it) : std::next(it);
  }
  std::erase_if(names,
                [&](const std::string& name) { return !host.units.contains(name) && !name.ends_with(".slice"); });
  if (const auto entries = host.list(AbsPath("/etc/systemd/system")); entries && *entries) {
    for (const auto& entry : **entries) {
      if (!entry.ends_with(".service") && !entry.ends_with(".timer")) continue;
      auto& properties = host.units[entry];
      properties["FragmentPath"] = own + entry;
      properties.try_emplace("UnitFileState",
                             host.content(own + entry).find("[Install]") == std::string::npos ? "static" : "disabled");
      properties["LoadedAs"] = host.content(own + entry);
      names.push_back(entry);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const auto& name : names) load_unit(host, name);
}

void start(FakeSystem& host, const std::string& unit) {
  auto& properties = host.units[unit];
  properties["ActiveState"] = "active";
  properties["SubState"] = "running";
  properties["ActiveEnterTimestamp"] = std::to_string(host.now().micros);
  if (unit.starts_with("k3s")) k3s_has_started(host);
}

Result<CommandOutput> systemctl(FakeSystem& host, const Command& command, bool mutating) {
  if (!host.systemd) return exited(1, "", "System has not been booted with systemd as init system (PID 1).\n");
  std::vector<std::string> words;
  bool now = false;
  for (std::size_t i = 1; i < command.argv.size(); ++i) {
    const auto& word = command.argv[i];
    if (word == "--now") now = true;
    if (!word.starts_with("--")) words.push_back(word);
  }
  if (words.empty()) return exited(1);
  const std::string verb = words.front();
  if (verb == "daemon-reload") {
    daemon_reload(host);
    return exited(0);
  }
  if (words.size() < 2) return exited(1, "", "Too few arguments.\n");
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string unit = with_suffix(words[i]);
    const auto loaded = *host.unit(unit);
    const std::string load_state = loaded.at("LoadState");
    const std::string active = loaded.at("ActiveState");
    if (verb == "is-active") return exited(active == "active" ? 0 : 3, active + "\n");
    if (verb == "is-enabled") {
      const auto state = loaded.at("UnitFileState");
      return exited(state == "enabled" || state == "static" ? 0 : 1, state + "\n");
    }
    if (load_state == "not-found") return exited(5, "", "Unit " + unit + " could not be found.\n");
    if (load_state == "masked" && verb != "stop" && verb != "disable")
      return exited(1, "", "Failed to " + verb + " " + unit + ": Unit " + unit + " is masked.\n");
    if (!mutating) {
      ADD_FAILURE() << "systemctl " << verb << " as a query";
      return exited(1);
    }
    if (verb == "start") {
      if (active != "active") start(host, unit);
    } else if (verb == "restart" || verb == "reload-or-restart") {
      start(host, unit);
    } else if (verb == "try-restart") {
      if (active == "active") start(host, unit);
    } else if (verb == "stop") {
      host.units[unit]["ActiveState"] = "inactive";
      host.units[unit]["SubState"] = "dead";
    } else if (verb == "enable") {
      if (loaded.at("UnitFileState") == "static") return exited(0, "", "The unit files have no installation config.\n");
      host.units[unit]["UnitFileState"] = "enabled";
      if (now && active != "active") start(host, unit);
    } else if (verb == "disable") {
      host.units[unit]["UnitFileState"] = "disabled";
      if (now) host.units[unit]["ActiveState"] = "inactive";
    } else if (verb != "reload" && verb != "reset-failed") {
      ADD_FAILURE() << "the fake systemctl knows no '" << command.text() << "'";
      return exited(1, "", "Unknown command verb " + verb + ".\n");
    }
  }
  return exited(0);
}

/// What a new session of `user` is limited to, for files that hold plain lines of users and of '*': the last line of
/// the user counts, and lines of the user before those of everybody.
std::pair<std::string, std::string> process_limits(const FakeSystem& host, std::string_view user) {
  std::vector<std::string> paths{"/etc/security/limits.conf"};
  const auto names = host.list(AbsPath("/etc/security/limits.d"));
  if (names && *names)
    for (const auto& name : **names) paths.push_back("/etc/security/limits.d/" + name);
  std::string soft = "31361", hard = "31361";
  for (const std::string_view whose : {std::string_view("*"), user}) {
    for (const auto& path : paths) {
      if (!host.exists(path)) continue;
      const std::string text = host.content(path);
      for (const auto line : split_lines(text)) {
        const auto words = fields(without_ending(line));
        if (words.size() < 4 || words[0] != whose || words[2] != "nproc") continue;
        if (words[1] != "hard") soft = words[3];
        if (words[1] != "soft") hard = words[3];
      }
    }
  }
  return {soft, hard};
}

/// systemd-run --uid=UID ... cat /proc/self/limits, and runuser -u USER -- cat /proc/self/limits.
Result<CommandOutput> new_session(FakeSystem& host, const Command& command, bool /*mutating*/) {
  std::string user;
  for (std::size_t i = 0; i < command.argv.size(); ++i) {
    const auto& word = command.argv[i];
    if (word == "-u" && i + 1 < command.argv.size()) user = command.argv[i + 1];
    if (!word.starts_with("--uid=")) continue;
    for (const auto& [name, person] : host.people())
      if (word.substr(6) == std::to_string(person.uid) || word.substr(6) == name) user = name;
  }
  if (!host.people().contains(user)) return exited(1, "", "user " + user + " does not exist\n");
  if (command.argv.back() != "/proc/self/limits") return exited(127, "", "the fake session runs only cat\n");
  const auto [soft, hard] = process_limits(host, user);
  const auto row = [](std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
    return fmt::format("{:<26}{:<21}{:<21}{:<10}\n", a, b, c, d);
  };
  return exited(
      0, row("Limit", "Soft Limit", "Hard Limit", "Units") + row("Max cpu time", "unlimited", "unlimited", "seconds") +
             row("Max processes", soft, hard, "processes") + row("Max open files", "1024", "1048576", "files"));
}

}  // namespace

void install_logins(FakeSystem& host) {
  if (host.systemd) host.on_command("systemd-run", new_session);
  host.on_command("runuser", new_session);
}

void install_systemctl(FakeSystem& host) {
  host.systemd = true;
  host.put_directory("/run/systemd/system");
  host.on_command("systemctl", systemctl);
  host.unit_hook = [](const FakeSystem& now, std::string_view unit, UnitProperties& properties) {
    // As systemd answers: yes when a drop-in it loaded is gone or one it has not loaded is there.
    if (now.units.contains(unit) && properties["DropInPaths"] != join(drop_ins(now, std::string(unit)), " "))
      properties["NeedDaemonReload"] = "yes";
    const auto fragment = properties.find("FragmentPath"), loaded = properties.find("LoadedAs");
    if (fragment != properties.end() && loaded != properties.end() &&
        (!now.exists(fragment->second) || now.content(fragment->second) != loaded->second))
      properties["NeedDaemonReload"] = "yes";
  };
}

void install_openrc(FakeSystem& host) {
  host.systemd = false;
  host.erase("/run/systemd");
  host.put_file("/run/openrc/softlevel", "default\n");
  host.put_directory("/etc/runlevels/default");
  host.put_directory("/run/openrc/started");
  host.on_command("rc-service", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    std::vector<std::string> words;
    for (std::size_t i = 1; i < command.argv.size(); ++i)
      if (!command.argv[i].starts_with("--")) words.push_back(command.argv[i]);
    if (words.size() != 2) return exited(1);
    const std::string& name = words[0];
    if (!now.exists("/etc/init.d/" + name))
      return exited(1, "", " * rc-service: service `" + name + "' does not exist\n");
    const std::string started = "/run/openrc/started/" + name;
    if (words[1] == "status")
      return now.exists(started) ? exited(0, " * status: started\n") : exited(3, " * status: stopped\n");
    if (words[1] == "stop") now.erase(started);
    if (words[1] == "start" || words[1] == "restart") {
      now.put_symlink(started, "/etc/init.d/" + name);
      now.put_file("/run/openrc/daemons/" + name + "/001", "exec=/usr/bin/" + name + "\n");
    }
    return exited(0);
  });
  host.on_command("rc-update", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    std::vector<std::string> words;
    for (std::size_t i = 1; i < command.argv.size(); ++i)
      if (!command.argv[i].starts_with("-")) words.push_back(command.argv[i]);
    if (words.size() < 2) return exited(1);
    const std::string& name = words[1];
    if (!now.exists("/etc/init.d/" + name))
      return exited(1, "", " * rc-update: service `" + name + "' does not exist\n");
    const bool all = std::find(command.argv.begin(), command.argv.end(), "--all") != command.argv.end() ||
                     std::find(command.argv.begin(), command.argv.end(), "-a") != command.argv.end();
    const std::string level = words.size() > 2 ? words[2] : "default";
    if (words[0] == "add") {
      now.put_symlink("/etc/runlevels/" + level + "/" + name, "/etc/init.d/" + name);
    } else if (all) {
      const auto levels = now.list(AbsPath("/etc/runlevels"));
      for (const auto& each : **levels) now.erase("/etc/runlevels/" + each + "/" + name);
    } else {
      now.erase("/etc/runlevels/" + level + "/" + name);
    }
    return exited(0);
  });
}

void put_openrc_service(FakeSystem& host, std::string_view name, bool running, bool enabled) {
  const std::string script = "/etc/init.d/" + std::string(name);
  host.put_file(script, "#!/sbin/openrc-run\n", Mode{0755});
  if (running) host.put_symlink("/run/openrc/started/" + std::string(name), script);
  if (enabled) host.put_symlink("/etc/runlevels/default/" + std::string(name), script);
}

bool openrc_running(const FakeSystem& host, std::string_view name) {
  return host.exists("/run/openrc/started/" + std::string(name));
}

FakeSystem fake_debian() {
  FakeSystem host;
  host.set_file_system("/", {"ext4", 60_GiB, 80_GiB, false});
  for (const auto* directory : {"/etc/sysctl.d", "/usr/lib/sysctl.d", "/etc/systemd/system", "/etc/security/limits.d",
                                "/var/lib", "/root", "/tmp", "/usr/bin", "/etc/rancher", "/opt"})
    host.put_directory(directory);
  host.set_mode("/root", Mode{0700});
  host.put_file("/etc/hostname", "CoulombCore\n");
  host.put_file("/etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"
                "VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n");
  host.put_file("/etc/fstab",
                "# /etc/fstab: static file system information.\n"
                "UUID=6f2c2a43-7d1c-4a3e-9c64-1b8b0e2f7a10 /               ext4    errors=remount-ro 0       1\n"
                "UUID=1B2C-3D4E                            /boot/efi       vfat    umask=0077        0       1\n");
  host.put_file("/etc/security/limits.conf",
                "# /etc/security/limits.conf\n#\n#Each line describes a limit for a user in the form:\n#\n"
                "#<domain>        <type>  <item>  <value>\n#\n#*               soft    core            0\n"
                "#root            hard    core            100000\n#@student        -       maxlogins       4\n\n"
                "# End of file\n");
  host.put_file(
      "/etc/pam.d/common-session",
      "session\t[default=1]\t\t\tpam_permit.so\nsession\trequisite\t\t\tpam_deny.so\n"
      "session\trequired\t\t\tpam_permit.so\nsession\trequired\tpam_unix.so\nsession\toptional\tpam_systemd.so\n");
  host.put_file("/etc/pam.d/common-session-noninteractive",
                "session\t[default=1]\t\t\tpam_permit.so\nsession\trequisite\t\t\tpam_deny.so\n"
                "session\trequired\t\t\tpam_permit.so\nsession\trequired\tpam_unix.so\n");
  host.put_file(
      "/etc/pam.d/sshd",
      "@include common-auth\naccount    required     pam_nologin.so\n@include common-account\n"
      "session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close\n"
      "session    required     pam_loginuid.so\n@include common-session\n"
      "session    required     pam_limits.so\nsession    required     pam_env.so\n@include common-password\n");
  host.put_file("/etc/pam.d/login",
                "auth       optional   pam_faildelay.so  delay=3000000\n@include common-auth\n"
                "session    required   pam_limits.so\n@include common-account\n@include common-session\n");
  host.put_file("/etc/pam.d/su",
                "auth       sufficient pam_rootok.so\nsession       required   pam_env.so readenv=1\n"
                "session    required   pam_limits.so\n@include common-auth\n@include common-account\n"
                "@include common-session\n");
  host.put_file("/etc/pam.d/runuser",
                "auth       sufficient pam_rootok.so\nsession       optional        pam_keyinit.so revoke\n"
                "session       required        pam_limits.so\nsession       required        pam_unix.so\n");
  host.put_file("/etc/pam.d/runuser-l",
                "auth       include   runuser\nsession       optional        pam_keyinit.so force revoke\n"
                "-session      optional        pam_systemd.so\nsession       include   runuser\n");
  host.put_file("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nX11Forwarding yes\n");
  host.put_file("/etc/sysctl.conf", "#\n# /etc/sysctl.conf - Configuration file for setting system variables\n#\n");
  host.put_symlink("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
  host.put_file("/usr/lib/sysctl.d/50-pid-max.conf", "# Bump the numeric PID range\n-kernel.pid_max = 4194304\n");
  host.put_file("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", Mode{0444});
  host.put_file("/proc/meminfo",
                "MemTotal:        8388608 kB\nMemFree:         1203540 kB\nMemAvailable:    5242880 kB\n"
                "SwapTotal:             0 kB\nSwapFree:              0 kB\n",
                Mode{0444});
  host.put_file("/proc/sys/vm/swappiness", "60\n");
  host.put_file("/proc/sys/kernel/pid_max", "4194304\n");
  host.put_file("/proc/sys/kernel/threads-max", "62723\n");
  host.put_file("/proc/sys/kernel/osrelease", "6.1.0-26-amd64\n", Mode{0444});
  host.put_file("/proc/sys/kernel/hostname", "CoulombCore\n");
  host.put_file("/proc/filesystems", "nodev\tproc\nnodev\tcgroup2\n\text4\n", Mode{0444});
  host.put_file("/proc/mounts",
                "/dev/vda1 / ext4 rw,relatime,errors=remount-ro 0 0\ncgroup2 /sys/fs/cgroup cgroup2 "
                "rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n",
                Mode{0444});
  host.put_file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n", Mode{0444});
  host.set_file_system("/sys/fs/cgroup", {"cgroup2", {}, {}, false});
  host.set_file_system("/proc", {"proc", {}, {}, false});

  host.add_user({"root", 0, 0, AbsPath("/root")});
  host.add_group("sudo", 27, "tegwick");
  host.add_user({"tegwick", 1000, 1000, AbsPath("/home/tegwick")});
  constexpr Owner tegwick{1000, 1000};
  host.put_directory("/home/tegwick/.ssh", Mode{0700}, tegwick);
  host.put_file("/home/tegwick/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleOperator operator\n",
                Mode{0600}, tegwick);
  for (const auto* repository : {"ops-hub", "net-kingdom", "the-custodian"}) {
    const std::string at = std::string("/home/tegwick/") + repository;
    host.put_directory(at, Mode{0755}, tegwick);
    host.put_directory(at + "/.git", Mode{0755}, tegwick);
    host.put_file(at + "/.git/HEAD", "ref: refs/heads/main\n", Mode{0644}, tegwick);
    host.put_file(at + "/.git/config",
                  std::string("[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote \"origin\"]\n\turl = "
                              "https://gitea.example.invalid/coulomb/") +
                      repository + ".git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
                  Mode{0644}, tegwick);
  }

  host.on_command("touch", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    for (std::size_t i = 1; i < command.argv.size(); ++i)
      if (!now.exists(command.argv[i])) now.put_file(command.argv[i], "");
    return exited(0);
  });
  install_systemctl(host);
  install_logins(host);
  install_ssh_keygen(host);
  install_ssh(host);
  install_git(host);
  install_k3s(host);
  host.put_directory("/etc/rancher/k3s");
  k3s_has_started(host);
  host.put_file("/usr/local/bin/k3s",
                "\x7f"
                "ELF",
                Mode{0755});
  const std::string long_ago = std::to_string(host.now().micros - 30LL * 24 * 3600 * 1'000'000);
  host.units["k3s.service"] = {
      {"LoadState", "loaded"},      {"ActiveState", "active"},          {"SubState", "running"},
      {"UnitFileState", "enabled"}, {"ActiveEnterTimestamp", long_ago}, {"MainPID", "812"}};
  host.units["ssh.service"] = {{"LoadState", "loaded"},
                               {"ActiveState", "active"},
                               {"SubState", "running"},
                               {"UnitFileState", "enabled"},
                               {"ActiveEnterTimestamp", long_ago}};
  host.units["systemd-timesyncd.service"] = {
      {"LoadState", "loaded"}, {"ActiveState", "inactive"}, {"SubState", "dead"}, {"UnitFileState", "disabled"}};
  host.put_directory("/sys/fs/cgroup/user.slice/user-1000.slice");
  host.put_file("/sys/fs/cgroup/user.slice/user-1000.slice/memory.current", "209715200\n", Mode{0444});
  host.put_file("/sys/fs/cgroup/user.slice/user-1000.slice/pids.current", "41\n", Mode{0444});
  host.units["user-1000.slice"] = {{"LoadState", "loaded"},
                                   {"ActiveState", "active"},
                                   {"UnitFileState", ""},
                                   {"ControlGroup", "/user.slice/user-1000.slice"},
                                   {"ActiveEnterTimestamp", long_ago}};
  host.put_file("/usr/lib/systemd/system/user-.slice.d/10-defaults.conf",
                "[Unit]\nAfter=systemd-user-sessions.service\n\n"
                "[Slice]\nTasksMax=33%\n");
  daemon_reload(host);
  host.tick();
  return host;
}

Facts fake_facts(const FakeSystem& host) {
  Facts facts;
  facts.hostname = "CoulombCore";
  facts.os_id = facts.os_family = "debian";
  facts.os_version = "12";
  facts.init = host.systemd ? "systemd" : host.exists("/run/openrc/softlevel") ? "openrc" : "none";
  facts.arch = "x86_64";
  facts.kernel = "6.1.0-26-amd64";
  facts.cpus = 4;
  facts.memory = 8_GiB;
  facts.page_size = host.pages_of;
  facts.most_tasks = 31'234;
  facts.live = host.live;
  facts.privileged = host.privileged;
  facts.users = host.people();
  facts.groups = host.groups();
  facts.addresses = {"127.0.0.1", "192.0.2.10"};
  return facts;
}

}  // namespace converge
