#include "system/system.h"

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

}  // namespace converge
