// What the checks of one run share: tables of the host that are read once, and requests that are made together.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "system/network.h"
#include "system/system.h"

namespace converge::checks {

struct Account {
  std::string name, home, shell;
  std::uint32_t uid = 0, gid = 0;
};
struct GroupEntry {
  std::string name;
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};
struct Socket {
  std::string protocol;  // tcp, tcp6, udp, udp6
  std::string address;   // "0.0.0.0", "::"
  std::uint16_t port = 0;
  bool listening = false;
};
struct Mount {
  std::string point, source, filesystem;
  std::vector<std::string> options, super_options;
};
struct InstalledPackage {
  std::string name, version;
};

// Pure parsers; malformed lines are skipped.
std::vector<Account> parse_accounts(std::string_view passwd);                          // passwd(5)
std::vector<GroupEntry> parse_groups(std::string_view group);                          // group(5)
std::vector<Socket> parse_sockets(std::string_view protocol, std::string_view table);  // /proc/net/tcp
std::vector<Mount> parse_mountinfo(std::string_view text);                             // proc(5), /proc/PID/mountinfo
/// The name in /proc/PID/stat, which may hold blanks and parentheses; nullopt if there is none.
std::optional<std::string> comm_of_stat(std::string_view stat);

/// Reads paragraphs ("Package: x", "P:x") piece by piece, and keeps the packages that are installed.
class PackageReader {
 public:
  enum class Format { dpkg, apk };
  explicit PackageReader(Format format) : format_(format) {}
  void take(std::string_view piece);
  std::vector<InstalledPackage> finish();

 private:
  void line(std::string_view text);
  Format format_;
  std::string rest_, name_, version_, status_;
  std::vector<InstalledPackage> packages_;
};

/// How commands of a gossfile run: Goss hands its own environment and directory on.
struct CommandSetting {
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<AbsPath> directory;
};

class Context {
 public:
  /// `package_manager`: dpkg, apk, pacman, rpm, or empty to find out.
  explicit Context(CommandSetting setting = {}, std::string package_manager = {});
  ~Context();

  const CommandSetting& setting() const { return setting_; }

  // Each is read at its first use.
  const Result<std::vector<Account>>& accounts(const SystemView& view);
  const Result<std::vector<GroupEntry>>& groups(const SystemView& view);
  const Result<std::vector<Socket>>& sockets(const SystemView& view, bool udp);  // of TCP, or of UDP
  const Result<std::vector<Mount>>& mounts(const SystemView& view);
  using Processes = std::map<std::string, std::vector<std::uint64_t>, std::less<>>;  // their pids, by comm
  const Result<Processes>& processes(const SystemView& view);
  const Result<std::vector<InstalledPackage>>& packages(const SystemView& view);  // sorted by name
  const Result<std::vector<NetworkInterface>>& interfaces(const SystemView& view);
  /// True if passwd(5) (or group(5), by `database`) is all there is to know: nsswitch.conf(5) names no other service.
  bool files_know_all(const SystemView& view, std::string_view database);
  const Result<bool>& systemd(const SystemView& view);

  /// What every kind of unit tells of itself. Those announced are asked for together, at the first that is.
  void announce_unit(const std::string& unit);
  const Result<UnitProperties>& unit_state(const std::string& unit, const SystemView& view);

  // Requests to the network: those announced are made together at the first that is asked for.
  void announce(const DialRequest& request);
  void announce(const DnsRequest& request);
  void announce(const HttpRequest& request);
  Result<Reached> dial(const DialRequest& request, const SystemView& view);
  Result<DnsAnswer> ask_dns(const DnsRequest& request, const SystemView& view);
  Result<HttpAnswer> http(const HttpRequest& request, const SystemView& view);

  /// Forgets everything that was read: the host may have changed.
  void forget();

 private:
  struct Tables;
  struct Requests;
  CommandSetting setting_;
  std::string package_manager_;
  std::unique_ptr<Tables> tables_;
  std::unique_ptr<Requests> requests_;
};

}  // namespace converge::checks
