#include "primitives/git_remote.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"

namespace converge {
namespace {

Command list_config(const GitRemote& p) {
  return git(p.user, p.repository, {"config", "--list", "-z", "--show-origin", "--show-scope"});
}

Error install_git(Error error) {
  if (error.code == Errc::not_found) error.hint = "install git";
  return error;
}

std::string shown(const std::vector<std::string>& urls, const char* none) {
  return urls.empty() ? none : printable(join(urls, ", "));
}

/// git's first line of complaint, without its "fatal: ".
std::string complaint(const CommandOutput& output) {
  std::string_view line = trim(output.err);
  line = line.substr(0, line.find('\n'));
  if (line.starts_with("fatal: ")) line.remove_prefix(7);
  return printable(line);
}

/// The file that `git config --list --show-origin` names for the first of the repository's own settings.
std::optional<AbsPath> file_of(const std::vector<GitConfigEntry>& entries, const GitRemote& p, const SystemView& view) {
  const auto own = std::find_if(entries.begin(), entries.end(), [](const auto& e) { return e.scope == "local"; });
  if (own == entries.end() || !own->origin.starts_with("file:")) return std::nullopt;
  const std::string name = own->origin.substr(5);
  auto path = AbsPath::parse(name.starts_with('/') ? name : p.repository.str() + "/" + name);
  if (!path) return std::nullopt;
  const auto there = view.look({*path, p.user});
  if (!there || !std::holds_alternative<RegularFile>(*there)) return std::nullopt;
  return std::move(*path);
}

std::optional<Error> objection(const GitRemote& p, const GitRemote::State& state) {
  const std::string where = p.repository.str();
  if (!state.repository_exists) {
    if (state.problem.find("dubious ownership") != std::string::npos)
      return Error{Errc::refused,
                   fmt::format("'{}' is not owned by '{}': git will not use it", where, p.user.name),
                   {},
                   fmt::format("chown -R {}: {}, if it is theirs", p.user.name, where)};
    return Error{Errc::refused,
                 fmt::format("no git repository at '{}'", where),
                 {},
                 fmt::format("clone it first, as '{}'", p.user.name)};
  }
  if (state.urls.size() > 1)
    return Error{
        Errc::refused,
        fmt::format("remote '{}' of '{}' has {} URLs: {}", p.remote, where, state.urls.size(), shown(state.urls, "")),
        {},
        fmt::format("keep one: git -C {} config --replace-all remote.{}.url URL", where, p.remote)};
  if (!state.push_urls.empty())
    return Error{Errc::refused,
                 fmt::format("remote '{}' of '{}' pushes elsewhere: {}", p.remote, where, shown(state.push_urls, "")),
                 {},
                 fmt::format("git -C {} config --unset-all remote.{}.pushurl", where, p.remote)};
  for (const Rewritten* way : {&state.fetch, &state.push})
    if (!way->by.empty() && way->url != p.url)
      return Error{
          Errc::refused,
          fmt::format("git would use '{}' instead of '{}': {}", printable(way->url), p.url, printable(way->by)),
          {},
          "remove that rule, or declare the URL it leads to"};
  return std::nullopt;
}

}  // namespace

ResourceId id(const GitRemote& p) { return fmt::format("git_remote:{}:{}", p.repository.str(), p.remote); }

Wants wants(const GitRemote& p) { return {.queries = {list_config(p)}, .units = {}}; }

Result<GitRemote::State> inspect(const GitRemote& p, const SystemView& view) {
  GitRemote::State state;
  auto listed = view.query(list_config(p));
  if (!listed) return install_git(std::move(listed).error());
  if (listed->exit_code != 0) {
    state.problem = complaint(*listed);
    if (state.problem.starts_with("cannot change to")) return state;
    return Error{Errc::command_failed, fmt::format("git in '{}': {}", p.repository.str(), state.problem), {}, {}};
  }
  auto entries = parse_git_config(listed->out);
  if (!entries) return std::move(entries).error();
  // Outside a repository git lists the user's and the system's settings and is content.
  state.repository_exists =
      std::any_of(entries->begin(), entries->end(), [](const auto& e) { return e.scope == "local"; });
  if (!state.repository_exists) {
    auto asked = view.query(git(p.user, p.repository, {"rev-parse", "--git-dir"}));
    if (!asked) return std::move(asked).error();
    state.problem = complaint(*asked);
    return state;
  }
  const std::string prefix = "remote." + p.remote + ".";
  for (const GitConfigEntry& entry : *entries) {
    if (!entry.key.starts_with(prefix)) continue;
    const std::string_view variable = std::string_view(entry.key).substr(prefix.size());
    if (variable == "url") state.urls.push_back(entry.value);
    if (variable == "pushurl") state.push_urls.push_back(entry.value);
    state.named = state.named || entry.scope == "local";
  }
  state.config = file_of(*entries, p, view);
  state.fetch = rewrite_for_fetch(*entries, p.url);
  state.push = rewrite_for_push(*entries, p.url);
  return state;
}

Checks compare(const GitRemote& p, const GitRemote::State& state) {
  const auto& [user, repository, remote, url] = p;
  const auto& [repository_exists, problem, urls, push_urls, named, config, fetch, push] = state;
  (void)user, (void)remote;  // which remote was looked at, and as whom
  (void)named, (void)config;
  if (!repository_exists) {
    Check check = check_that("repository", false, repository.str(), "no git repository");
    check.detail = problem;
    return {std::move(check)};
  }
  Checks checks;
  checks.push_back(check_that("url", urls.size() == 1 && urls.front() == url, url, shown(urls, "absent")));
  checks.push_back(check_that("pushurl", push_urls.empty(), "none", shown(push_urls, "none")));
  checks.push_back(check_equal("fetch", url, printable(fetch.url)));
  checks.back().detail = printable(fetch.by);
  checks.push_back(check_equal("push", url, printable(push.url)));
  checks.back().detail = printable(push.by);
  return checks;
}

Status preflight(const GitRemote& p, const GitRemote::State& state, const SystemView& view) {
  (void)view;
  if (auto error = objection(p, state)) return std::move(*error);
  return ok();
}

Status apply(const GitRemote& p, const GitRemote::State& state, System& system) {
  if (auto error = objection(p, state)) return std::move(*error);
  if (state.urls.size() == 1 && state.urls.front() == p.url) return ok();
  std::vector<std::string> arguments = {"remote", "set-url", p.remote, p.url};
  if (state.urls.empty() && !state.named) arguments = {"remote", "add", p.remote, p.url};
  // A remote that has settings and no url is none for `git remote`, neither to add nor to change.
  if (state.urls.empty() && state.named) arguments = {"config", "remote." + p.remote + ".url", p.url};
  Command command = git(p.user, p.repository, std::move(arguments));
  if (state.config) command.touches = {*state.config};
  auto done = system.run(command);
  if (!done) return install_git(std::move(done).error());
  if (done->exit_code != 0)
    return Error{Errc::command_failed, fmt::format("git in '{}': {}", p.repository.str(), complaint(*done)), {}, {}};
  return ok();
}

}  // namespace converge
