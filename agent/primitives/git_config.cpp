#include "primitives/git_config.h"

#include <fmt/core.h>

#include "core/text.h"

namespace converge {
namespace {

/// The longest prefix among url.<base>.<variable>, replaced by its base.
std::optional<Rewritten> rewrite(const std::vector<GitConfigEntry>& entries, std::string_view url,
                                 std::string_view variable) {
  const GitConfigEntry* best = nullptr;
  constexpr std::string_view section = "url.";
  for (const GitConfigEntry& entry : entries) {
    if (!entry.key.starts_with(section) || !entry.key.ends_with(variable) ||
        entry.key.size() < section.size() + variable.size())
      continue;
    if (!url.starts_with(entry.value)) continue;
    if (best == nullptr || entry.value.size() > best->value.size()) best = &entry;
  }
  if (best == nullptr) return std::nullopt;
  const std::string base = best->key.substr(section.size(), best->key.size() - section.size() - variable.size());
  return Rewritten{base + std::string(url.substr(best->value.size())),
                   fmt::format("{} in {}", best->key, best->origin)};
}

}  // namespace

Result<std::vector<GitConfigEntry>> parse_git_config(std::string_view bytes) {
  std::vector<GitConfigEntry> out;
  const auto next = [&bytes]() -> std::optional<std::string_view> {
    const std::size_t end = bytes.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view field = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    return field;
  };
  while (!bytes.empty()) {
    const auto scope = next(), origin = next(), pair = next();
    if (!scope || !origin || !pair)
      return Error{Errc::unparsable, "the answer of 'git config --list' is cut short", {}, {}};
    const std::size_t newline = pair->find('\n');
    out.push_back({std::string(*scope), std::string(*origin), std::string(pair->substr(0, newline)),
                   newline == std::string_view::npos ? std::string{} : std::string(pair->substr(newline + 1))});
  }
  return out;
}

Rewritten rewrite_for_fetch(const std::vector<GitConfigEntry>& entries, std::string_view url) {
  return rewrite(entries, url, ".insteadof").value_or(Rewritten{std::string(url), {}});
}

Rewritten rewrite_for_push(const std::vector<GitConfigEntry>& entries, std::string_view url) {
  if (auto out = rewrite(entries, url, ".pushinsteadof")) return std::move(*out);
  return rewrite_for_fetch(entries, url);
}

Command git(const Person& user, const AbsPath& repository, std::vector<std::string> arguments) {
  Command command{.argv = {"git", "-C", repository.str()}, .as = user};
  command.argv.insert(command.argv.end(), std::make_move_iterator(arguments.begin()),
                      std::make_move_iterator(arguments.end()));
  command.environment = {{"GIT_TERMINAL_PROMPT", "0"},
                         {"GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10"},
                         {"GIT_OPTIONAL_LOCKS", "0"},
                         {"GIT_CEILING_DIRECTORIES", repository.parent().str()}};
  return command;
}

}  // namespace converge
