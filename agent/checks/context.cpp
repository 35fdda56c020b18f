#include "checks/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "core/text.h"

namespace converge::checks {
namespace {

bool parse_id(std::string_view text, std::uint32_t& out) {
  std::uint64_t wide = 0;
  if (!parse_number(text, wide) || wide > UINT32_MAX) return false;
  out = static_cast<std::uint32_t>(wide);
  return true;
}

std::vector<std::string> words(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (const auto part : split(text, separator))
    if (!part.empty()) out.emplace_back(part);
  return out;
}

/// mountinfo writes blanks, tabs, newlines and backslashes as \ooo.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out += static_cast<char>(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// The kernel prints each 32-bit word of an address in the byte order of the machine; ours is little-endian.
std::optional<std::string> address_of(std::string_view hex) {
  if (hex.size() != 8 && hex.size() != 32) return std::nullopt;
  std::vector<unsigned> bytes;
  for (std::size_t word = 0; word < hex.size(); word += 8) {
    for (int i = 3; i >= 0; --i) {
      unsigned byte = 0;
      for (const char c : hex.substr(word + static_cast<std::size_t>(i) * 2, 2)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        byte = byte * 16 + static_cast<unsigned>(digit);
      }
      bytes.push_back(byte);
    }
  }
  if (bytes.size() == 4) return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
  std::array<unsigned, 8> groups = {};
  for (std::size_t i = 0; i < 8; ++i) groups[i] = bytes[2 * i] * 256 + bytes[2 * i + 1];
  if (std::all_of(groups.begin(), groups.begin() + 5, [](unsigned g) { return g == 0; }) && groups[5] == 0xFFFF)
    return fmt::format("{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
  // RFC 5952: the longest run of zeros (of two at least) becomes "::".
  std::size_t best = 8, length = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t run = 0;
    while (i + run < 8 && groups[i + run] == 0) ++run;
    if (run > length) best = i, length = run;
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += length - 1;
      continue;
    }
    if (!out.empty() && !out.ends_with(':')) out += ':';
    out += fmt::format("{:x}", groups[i]);
  }
  return out;
}

Result<std::string> text_at(const SystemView& view, std::string_view path, bool required) {
  std::string text;
  const auto read = view.stream(AbsPath(path), [&](std::string_view piece) {
    text += piece;
    return text.size() < (std::size_t{16} << 20U);
  });
  if (!read) return read.error();
  if (!*read && required) return Error{Errc::not_found, fmt::format("there is no {}", path), {}, {}};
  return text;
}

constexpr std::string_view dpkg_status = "/var/lib/dpkg/status", apk_installed = "/lib/apk/db/installed",
                           pacman_local = "/var/lib/pacman/local";

Result<bool> is_there(const SystemView& view, std::string_view path) {
  auto state = view.look(AbsPath(path));
  if (!state) return std::move(state).error();
  return !std::holds_alternative<Absent>(*state);
}

/// Which package manager this host has, the way Goss finds out.
Result<std::string> find_package_manager(const SystemView& view) {
  static constexpr std::pair<std::string_view, std::string_view> marks[] = {
      {"/etc/redhat-release", "rpm"},  {"/etc/system-release", "rpm"},   {"/etc/alpine-release", "apk"},
      {"/etc/arch-release", "pacman"}, {"/etc/debian_version", "dpkg"},  {dpkg_status, "dpkg"},
      {"/var/lib/rpm", "rpm"},         {"/usr/lib/sysimage/rpm", "rpm"}, {apk_installed, "apk"},
      {pacman_local, "pacman"}};
  for (const auto& [path, manager] : marks) {
    auto there = is_there(view, path);
    if (!there) return std::move(there).error();
    if (*there) return std::string(manager);
  }
  return Error{Errc::unsupported,
               "no package database of dpkg, rpm, apk or pacman was found",
               {},
               "say which there is with --package"};
}

using Packages = std::vector<InstalledPackage>;

Result<Packages> packages_of_file(const SystemView& view, std::string_view path, PackageReader::Format format) {
  PackageReader reader(format);
  const auto read = view.stream(AbsPath(path), [&](std::string_view piece) {
    reader.take(piece);
    return true;
  });
  if (!read) return read.error();
  if (!*read) return Error{Errc::not_found, fmt::format("there is no package database {}", path), {}, {}};
  return reader.finish();
}

/// Images without dpkg have a file for each package in status.d.
Result<Packages> dpkg_packages(const SystemView& view) {
  auto out = packages_of_file(view, dpkg_status, PackageReader::Format::dpkg);
  if (!out && out.error().code != Errc::not_found) return out;
  const AbsPath parts("/var/lib/dpkg/status.d");
  auto names = view.list(parts);
  if (!names) return std::move(names).error();
  if (!*names) return out;
  Packages all = out ? *std::move(out) : Packages();
  for (const auto& name : **names) {
    if (name.ends_with(".md5sums")) continue;
    // These have no "Status:": being there is being installed.
    PackageReader reader(PackageReader::Format::apk);
    std::string text;
    const auto read = view.stream(parts.child(name), [&](std::string_view piece) {
      text += piece;
      return text.size() < 65536;
    });
    if (!read) return read.error();
    InstalledPackage package;
    for (const auto line : split(text, '\n')) {
      if (line.starts_with("Package: ")) package.name = std::string(trim(line.substr(9)));
      if (line.starts_with("Version: ")) package.version = std::string(trim(line.substr(9)));
    }
    if (!package.name.empty()) all.push_back(std::move(package));
  }
  return all;
}

/// "NAME-VERSION-RELEASE" for every directory.
Result<Packages> pacman_packages(const SystemView& view) {
  auto names = view.list(AbsPath(pacman_local));
  if (!names) return std::move(names).error();
  if (!*names) return Error{Errc::not_found, fmt::format("there is no package database {}", pacman_local), {}, {}};
  Packages out;
  for (const auto& entry : **names) {
    const auto release = entry.rfind('-');
    if (release == std::string::npos || release == 0) continue;
    const auto version = entry.rfind('-', release - 1);
    if (version != std::string::npos) out.push_back({entry.substr(0, version), entry.substr(version + 1)});
  }
  return out;
}

/// rpm's database has three formats and no description; rpm itself is asked, once for all packages.
Result<Packages> rpm_packages(const SystemView& view) {
  Command command;
  command.argv = {"rpm",        "-qa",  "--nosignature",
                  "--nodigest", "--qf", "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"};
  command.keep = 4_MiB;
  auto answer = view.query(command);
  if (!answer) return std::move(answer).error();
  if (answer->exit_code != 0 || answer->cut)
    return Error{
        Errc::command_failed, fmt::format("rpm could not list the packages: {}", printable(trim(answer->err))), {}, {}};
  Packages out;
  for (const auto line : split(answer->out, '\n')) {
    const auto tab = line.find('\t');
    if (tab != std::string_view::npos)
      out.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))});
  }
  return out;
}

Result<Packages> read_packages(const SystemView& view, std::string manager) {
  if (manager.empty()) {
    auto found = find_package_manager(view);
    if (!found) return std::move(found).error();
    manager = *std::move(found);
  }
  auto out = manager == "dpkg"     ? dpkg_packages(view)
             : manager == "apk"    ? packages_of_file(view, apk_installed, PackageReader::Format::apk)
             : manager == "pacman" ? pacman_packages(view)
                                   : rpm_packages(view);
  if (out) std::sort(out->begin(), out->end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace

std::vector<Account> parse_accounts(std::string_view passwd) {
  std::vector<Account> out;
  for (const auto line : split(passwd, '\n')) {
    const auto parts = split(line, ':');
    Account account;
    if (parts.size() != 7 || parts[0].empty() || parts[0].front() == '#') continue;
    if (!parse_id(parts[2], account.uid) || !parse_id(parts[3], account.gid)) continue;
    account.name = std::string(parts[0]);
    account.home = std::string(parts[5]);
    account.shell = std::string(parts[6]);
    out.push_back(std::move(account));
  }
  return out;
}

std::vector<GroupEntry> parse_groups(std::string_view group) {
  std::vector<GroupEntry> out;
  for (const auto line : split(group, '\n')) {
    const auto parts = split(line, ':');
    GroupEntry entry;
    if (parts.size() < 3 || parts[0].empty() || parts[0].front() == '#' || !parse_id(parts[2], entry.gid)) continue;
    entry.name = std::string(parts[0]);
    if (parts.size() > 3) entry.members = words(parts[3], ',');
    out.push_back(std::move(entry));
  }
  return out;
}

std::vector<Socket> parse_sockets(std::string_view protocol, std::string_view table) {
  std::vector<Socket> out;
  bool heading = true;
  for (const auto line : split(table, '\n')) {
    if (std::exchange(heading, false)) continue;
    const auto columns = fields(line);
    if (columns.size() < 4) continue;
    const auto colon = columns[1].find(':');
    if (colon == std::string_view::npos || columns[1].size() - colon != 5) continue;
    const auto address = address_of(columns[1].substr(0, colon));
    unsigned port = 0;
    for (const char c : columns[1].substr(colon + 1))
      port = port * 16 + static_cast<unsigned>(c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (!address || port > 65535) continue;
    // TCP_LISTEN is 0A; a bound datagram socket is TCP_CLOSE, 07.
    const bool listening = protocol.starts_with("tcp") ? columns[3] == "0A" : true;
    out.push_back({std::string(protocol), *address, static_cast<std::uint16_t>(port), listening});
  }
  return out;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> out;
  for (const auto line : split(text, '\n')) {
    const auto columns = fields(line);
    const auto dash = std::find(columns.begin(), columns.end(), std::string_view("-"));
    if (columns.size() < 10 || columns.end() - dash < 4) continue;
    Mount mount;
    mount.point = unescaped(columns[4]);
    mount.options = words(columns[5], ',');
    mount.filesystem = std::string(dash[1]);
    mount.source = unescaped(dash[2]);
    mount.super_options = words(dash[3], ',');
    out.push_back(std::move(mount));
  }
  return out;
}

std::optional<std::string> comm_of_stat(std::string_view stat) {
  const auto open = stat.find('('), close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  return std::string(stat.substr(open + 1, close - open - 1));
}

void PackageReader::line(std::string_view text) {
  const bool dpkg = format_ == Format::dpkg;
  if (text.empty()) {
    const bool installed = !dpkg || status_ == "install ok installed" || status_ == "hold ok installed";
    if (installed && !name_.empty()) packages_.push_back({std::move(name_), std::move(version_)});
    name_.clear();
    version_.clear();
    status_.clear();
    return;
  }
  if (dpkg) {
    if (text.starts_with("Package:"))
      name_ = std::string(trim(text.substr(8)));
    else if (text.starts_with("Version:"))
      version_ = std::string(trim(text.substr(8)));
    else if (text.starts_with("Status:"))
      status_ = std::string(trim(text.substr(7)));
  } else if (text.starts_with("P:")) {
    name_ = std::string(text.substr(2));
  } else if (text.starts_with("V:")) {
    version_ = std::string(text.substr(2));
  }
}

void PackageReader::take(std::string_view piece) {
  for (;;) {
    const auto end = piece.find('\n');
    if (end == std::string_view::npos) break;
    if (rest_.empty()) {
      line(piece.substr(0, end));
    } else {
      rest_ += piece.substr(0, end);
      line(rest_);
      rest_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  rest_ += piece;
}

std::vector<InstalledPackage> PackageReader::finish() {
  if (!rest_.empty()) line(rest_);
  line({});
  return std::move(packages_);
}

// ---- the tables of a run -------------------------------------------------------------------------------------------

struct Context::Tables {
  std::optional<Result<std::vector<Account>>> accounts;
  std::optional<Result<std::vector<GroupEntry>>> groups;
  std::optional<Result<std::vector<Socket>>> tcp, udp;
  std::optional<Result<std::vector<Mount>>> mounts;
  std::optional<Result<Processes>> processes;
  std::optional<Result<Packages>> packages;
  std::optional<Result<std::vector<NetworkInterface>>> interfaces;
  std::optional<Result<bool>> systemd;
  std::optional<std::string> nsswitch;
  std::map<std::string, Result<UnitProperties>, std::less<>> units;
};

/// A request and, once it was made, its answer. Pointers to them stay valid.
struct Context::Requests {
  template <class Request, class Answer>
  struct Made {
    Request request;
    std::optional<Result<Answer>> answer;
  };
  std::vector<Made<DialRequest, Reached>> dials;
  std::vector<Made<DnsRequest, DnsAnswer>> names;
  std::vector<Made<HttpRequest, HttpAnswer>> pages;
  std::vector<std::string> units;  // to be asked for
  bool made = false;

  void make_all(const SystemView& view) {
    if (std::exchange(made, true)) return;
    std::vector<std::function<void()>> jobs;
    for (auto& each : dials) jobs.emplace_back([&] { each.answer = view.dial(each.request); });
    for (auto& each : names) jobs.emplace_back([&] { each.answer = view.ask_dns(each.request); });
    for (auto& each : pages) jobs.emplace_back([&] { each.answer = view.http(each.request); });
    view.together(jobs);
  }
};

namespace {

template <class Value, class Read>
const Result<Value>& once(std::optional<Result<Value>>& slot, const Read& read) {
  if (!slot) slot.emplace(read());
  return *slot;
}

bool same(const DialRequest& a, const DialRequest& b) {
  return a.network == b.network && a.address == b.address && a.local == b.local && a.timeout == b.timeout;
}
bool same(const DnsRequest& a, const DnsRequest& b) {
  return a.name == b.name && a.type == b.type && a.server == b.server && a.timeout == b.timeout;
}
bool same(const HttpRequest& a, const HttpRequest& b) {
  return a.url == b.url && a.method == b.method && a.headers == b.headers && a.body == b.body && a.user == b.user &&
         a.password == b.password && a.ca_file == b.ca_file && a.cert_file == b.cert_file && a.key_file == b.key_file &&
         a.proxy == b.proxy && a.resolve == b.resolve && a.allow_insecure == b.allow_insecure &&
         a.follow_redirects == b.follow_redirects && a.handshake_only == b.handshake_only && a.timeout == b.timeout;
}

template <class List, class Request>
auto* find_made(List& list, const Request& request) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const auto& each) { return same(each.request, request); });
  return it == list.end() ? nullptr : &*it;
}

}  // namespace

Context::Context(CommandSetting setting, std::string package_manager)
    : setting_(std::move(setting)),
      package_manager_(std::move(package_manager)),
      tables_(std::make_unique<Tables>()),
      requests_(std::make_unique<Requests>()) {}
Context::~Context() = default;

const Result<std::vector<Account>>& Context::accounts(const SystemView& view) {
  return once(tables_->accounts, [&]() -> Result<std::vector<Account>> {
    auto text = text_at(view, "/etc/passwd", true);
    if (!text) return std::move(text).error();
    return parse_accounts(*text);
  });
}

const Result<std::vector<GroupEntry>>& Context::groups(const SystemView& view) {
  return once(tables_->groups, [&]() -> Result<std::vector<GroupEntry>> {
    auto text = text_at(view, "/etc/group", true);
    if (!text) return std::move(text).error();
    return parse_groups(*text);
  });
}

const Result<std::vector<Socket>>& Context::sockets(const SystemView& view, bool udp) {
  return once(udp ? tables_->udp : tables_->tcp, [&]() -> Result<std::vector<Socket>> {
    std::vector<Socket> all;
    if (!udp) {
      if (const auto listeners = view.tcp_listeners()) {
        for (const Listener& each : *listeners)
          all.push_back({each.ipv6 ? "tcp6" : "tcp", each.address, each.port, true});
        return all;
      }
    }
    for (const std::string protocol : {udp ? "udp" : "tcp", udp ? "udp6" : "tcp6"}) {
      // Without IPv6 there is no tcp6; without tcp there is no /proc.
      auto text = text_at(view, fmt::format("/proc/net/{}", protocol), !protocol.ends_with('6'));
      if (!text) return std::move(text).error();
      auto some = parse_sockets(protocol, *text);
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  });
}

const Result<std::vector<Mount>>& Context::mounts(const SystemView& view) {
  return once(tables_->mounts, [&]() -> Result<std::vector<Mount>> {
    auto text = text_at(view, "/proc/self/mountinfo", true);
    if (!text) return std::move(text).error();
    return parse_mountinfo(*text);
  });
}

const Result<Context::Processes>& Context::processes(const SystemView& view) {
  return once(tables_->processes, [&]() -> Result<Processes> {
    auto names = view.list(AbsPath("/proc"));
    if (!names) return std::move(names).error();
    Processes out;
    bool any = false;
    for (const auto& name : names->value_or(std::vector<std::string>())) {
      std::uint64_t pid = 0;
      if (!parse_number(name, pid)) continue;
      any = true;
      auto stat = view.read(AbsPath("/proc").child(name + "/stat"), 64_KiB);
      if (!stat) {
        // It has ended since, or hidepid keeps it from us.
        if (stat.error().code == Errc::not_found || stat.error().code == Errc::io) continue;
        return std::move(stat).error();
      }
      if (auto comm = comm_of_stat(stat->content)) out[*std::move(comm)].push_back(pid);
    }
    if (!any) return Error{Errc::unsupported, "/proc shows no process", {}, {}};
    return out;
  });
}

const Result<Packages>& Context::packages(const SystemView& view) {
  return once(tables_->packages, [&] { return read_packages(view, package_manager_); });
}

const Result<std::vector<NetworkInterface>>& Context::interfaces(const SystemView& view) {
  return once(tables_->interfaces, [&] { return view.interfaces(); });
}

const Result<bool>& Context::systemd(const SystemView& view) {
  return once(tables_->systemd, [&]() -> Result<bool> {
    auto state = view.look(AbsPath("/run/systemd/system"));
    if (!state) return std::move(state).error();
    return std::holds_alternative<DirectoryInfo>(*state);
  });
}

bool Context::files_know_all(const SystemView& view, std::string_view database) {
  if (!tables_->nsswitch) {
    auto text = text_at(view, "/etc/nsswitch.conf", false);
    tables_->nsswitch = text ? *std::move(text) : std::string("passwd: unreadable\ngroup: unreadable\n");
  }
  for (const auto line : split(*tables_->nsswitch, '\n')) {
    const auto parts = fields(line.substr(0, line.find('#')));
    if (parts.empty() || parts[0] != fmt::format("{}:", database)) continue;
    // "systemd" knows users that exist while their service runs; they are in no file and in nobody's gossfile.
    return std::all_of(parts.begin() + 1, parts.end(), [](std::string_view service) {
      return service == "files" || service == "compat" || service == "systemd" || service.starts_with('[') ||
             service.ends_with(']');
    });
  }
  return true;
}

void Context::announce_unit(const std::string& unit) { requests_->units.push_back(unit); }

const Result<UnitProperties>& Context::unit_state(const std::string& unit, const SystemView& view) {
  auto& known = tables_->units;
  if (auto& wanted = requests_->units; !wanted.empty()) known.merge(view.unit_states(std::exchange(wanted, {})));
  if (!known.contains(unit)) known.merge(view.unit_states({unit}));
  return known.find(unit)->second;
}

void Context::announce(const DialRequest& request) {
  if (find_made(requests_->dials, request) == nullptr) requests_->dials.push_back({request, {}});
}
void Context::announce(const DnsRequest& request) {
  if (find_made(requests_->names, request) == nullptr) requests_->names.push_back({request, {}});
}
void Context::announce(const HttpRequest& request) {
  if (find_made(requests_->pages, request) == nullptr) requests_->pages.push_back({request, {}});
}

Result<Reached> Context::dial(const DialRequest& request, const SystemView& view) {
  requests_->make_all(view);
  auto* made = find_made(requests_->dials, request);
  return made != nullptr && made->answer ? *made->answer : view.dial(request);
}
Result<DnsAnswer> Context::ask_dns(const DnsRequest& request, const SystemView& view) {
  requests_->make_all(view);
  auto* made = find_made(requests_->names, request);
  return made != nullptr && made->answer ? *made->answer : view.ask_dns(request);
}
Result<HttpAnswer> Context::http(const HttpRequest& request, const SystemView& view) {
  requests_->make_all(view);
  auto* made = find_made(requests_->pages, request);
  return made != nullptr && made->answer ? *made->answer : view.http(request);
}

void Context::forget() {
  tables_ = std::make_unique<Tables>();
  // What was announced has been asked; from now on each is asked for itself.
  for (auto& each : requests_->dials) each.answer.reset();
  for (auto& each : requests_->names) each.answer.reset();
  for (auto& each : requests_->pages) each.answer.reset();
}

}  // namespace converge::checks
