#include "system/system.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "system/network.h"

namespace converge {

std::string kind_of(const PathState& state) {
  struct Name {
    std::string operator()(const Absent&) const { return "absent"; }
    std::string operator()(const RegularFile&) const { return "file"; }
    std::string operator()(const DirectoryInfo&) const { return "directory"; }
    std::string operator()(const Symlink&) const { return "symlink"; }
    std::string operator()(const OtherKind& other) const { return other.kind; }
  };
  return std::visit(Name{}, state);
}

std::string Command::text() const {
  const auto plain = [](const std::string& word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("-_./=:,@%+").find(c) != std::string_view::npos;
    });
  };
  std::string out;
  for (const auto& word : argv) {
    if (!out.empty()) out += ' ';
    if (plain(word)) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char c : printable(word)) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

bool may_lie_in_ssh_directory(std::string_view name) {
  if (name == "config" || name == "known_hosts" || name == "known_hosts.old" || name == "authorized_keys") return true;
  if (name.starts_with("id_")) return true;
  const auto mark = name.find(".converge-");
  return name.starts_with('.') && mark != std::string_view::npos && mark > 0;
}

Error not_what_we_made(const Place& place) {
  return {Errc::refused,
          fmt::format("'{}' belongs to root and does not look like what converge made there", place.path.str()),
          {},
          fmt::format("look at it, and if it is theirs: chown {}: {}", place.as ? place.as->name : std::string("USER"),
                      place.path.str())};
}

Result<std::optional<FileStatus>> SystemView::status(const AbsPath& path) const {
  auto state = look(path);
  if (!state) return std::move(state).error();
  if (std::holds_alternative<Absent>(*state)) return std::optional<FileStatus>();
  FileStatus out;
  out.kind = kind_of(*state);
  if (const auto* file = std::get_if<RegularFile>(&*state)) {
    out.mode = file->mode;
    out.owner = file->owner;
    out.size = file->size;
  } else if (const auto* directory = std::get_if<DirectoryInfo>(&*state)) {
    out.mode = directory->mode;
    out.owner = directory->owner;
  } else if (const auto* link = std::get_if<Symlink>(&*state)) {
    out.mode = Mode{0777};
    out.target = link->target;
    out.size = Bytes{link->target.size()};
  }
  return std::optional<FileStatus>(std::move(out));
}

Result<bool> SystemView::stream(const AbsPath& path, const TakePiece& take) const {
  AbsPath at = path;
  for (int links = 0; links < 8; ++links) {
    auto seen = read(at, 64_MiB);
    if (!seen) return std::move(seen).error();
    if (std::holds_alternative<Absent>(seen->state)) return false;
    if (const auto* link = std::get_if<Symlink>(&seen->state)) {
      auto next = AbsPath::parse(link->target.starts_with('/') ? link->target : at.parent().str() + "/" + link->target);
      if (!next) return std::move(next).error();
      at = *std::move(next);
      continue;
    }
    if (!std::holds_alternative<RegularFile>(seen->state)) {
      return Error{
          Errc::invalid, "'" + printable(path.str()) + "' is a " + kind_of(seen->state) + ", not a file", {}, {}};
    }
    if (!seen->content.empty()) take(seen->content);
    return true;
  }
  return Error{Errc::symlink, "the symbolic links of '" + printable(path.str()) + "' lead in a circle", {}, {}};
}

namespace {
Error needs_a_host(std::string_view what) {
  return {Errc::unsupported, std::string(what) + " needs a running host", {}, {}};
}
}  // namespace

Result<std::vector<NetworkInterface>> SystemView::interfaces() const { return needs_a_host("listing interfaces"); }
Result<std::vector<Listener>> SystemView::tcp_listeners() const { return needs_a_host("listing listeners"); }
Result<Reached> SystemView::dial(const DialRequest& /*request*/) const { return needs_a_host("connecting"); }
Result<DnsAnswer> SystemView::ask_dns(const DnsRequest& /*request*/) const { return needs_a_host("resolving a name"); }
Result<HttpAnswer> SystemView::http(const HttpRequest& /*request*/) const { return needs_a_host("an HTTP request"); }

void SystemView::together(const std::vector<std::function<void()>>& jobs) const {
  for (const auto& job : jobs) job();
}

std::string_view name_of(Reached reached) {
  switch (reached) {
    case Reached::yes:
      return "reached";
    case Reached::no:
      return "not reached";
    case Reached::unanswered:
      break;
  }
  return "unanswered";
}

std::string without_password(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const auto end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  const auto at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < scheme) return std::string(url);
  return std::string(url.substr(0, scheme + 3)) + std::string(url.substr(at + 1));
}

std::map<std::string, Result<UnitProperties>, std::less<>> SystemView::unit_states(
    const std::vector<std::string>& units) const {
  std::map<std::string, Result<UnitProperties>, std::less<>> out;
  for (const auto& name : units) out.emplace(name, unit(name));
  return out;
}

}  // namespace converge
