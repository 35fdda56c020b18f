#include "system/system.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

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

}  // namespace converge
