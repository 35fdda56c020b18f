#include "primitives/probe_git.h"

#include <fmt/core.h>

#include "core/text.h"
#include "primitives/git_config.h"

namespace converge {
namespace {

constexpr int no_such_remote = 2;

Command ask(const GitUrlInEffect& p, bool push) {
  std::vector<std::string> arguments = {"remote", "get-url", "--all"};
  if (push) arguments.emplace_back("--push");
  arguments.push_back(p.remote);
  return git(p.user, p.repository, std::move(arguments));
}

/// The URLs, one a line; empty without that remote.
Result<std::string> answer(const GitUrlInEffect& p, const SystemView& view, bool push) {
  auto output = view.query(ask(p, push));
  if (!output) return std::move(output).error();
  if (output->exit_code == no_such_remote) return std::string{};
  if (output->exit_code != 0)
    return Error{Errc::command_failed,
                 fmt::format("git in '{}' ended with status {}: {}", p.repository.str(), output->exit_code,
                             printable(trim(output->err))),
                 {},
                 {}};
  return std::string(trim(output->out));
}

constexpr int no_such_ref = 2;  // of ls-remote --exit-code: it was let in, and there is nothing yet

Command ask(const GitReached& p) { return git(p.user, p.repository, {"ls-remote", "--exit-code", p.remote, "HEAD"}); }

std::string shown(const std::string& urls) { return urls.empty() ? "no such remote" : printable(urls); }

}  // namespace

ResourceId id(const GitUrlInEffect& p) { return fmt::format("git_url:{}:{}", p.repository.str(), p.remote); }

Wants wants(const GitUrlInEffect& p) { return {.queries = {ask(p, false), ask(p, true)}, .units = {}}; }

Result<GitUrlInEffect::State> inspect(const GitUrlInEffect& p, const SystemView& view) {
  auto fetch = answer(p, view, false);
  if (!fetch) return std::move(fetch).error();
  auto push = answer(p, view, true);
  if (!push) return std::move(push).error();
  return GitUrlInEffect::State{std::move(*fetch), std::move(*push)};
}

Checks compare(const GitUrlInEffect& p, const GitUrlInEffect::State& state) {
  const auto& [user, repository, remote, url] = p;
  (void)user, (void)repository, (void)remote;  // where it was asked
  return {check_equal("fetch", url, shown(state.fetch)), check_equal("push", url, shown(state.push))};
}

ResourceId id(const GitReached& p) { return fmt::format("git_reached:{}:{}", p.repository.str(), p.remote); }

Wants wants(const GitReached& p) { return {.queries = {ask(p)}, .units = {}}; }

Result<GitReached::State> inspect(const GitReached& p, const SystemView& view) {
  auto output = view.query(ask(p));
  if (!output) return std::move(output).error();
  return GitReached::State{output->exit_code, std::string(trim(output->err))};
}

Checks compare(const GitReached& p, const GitReached::State& state) {
  const auto& [user, repository, remote] = p;
  (void)user, (void)repository, (void)remote;  // where it was asked
  const auto& [exit_code, said] = state;
  const bool reached = exit_code == 0 || exit_code == no_such_ref;
  Check check = check_that("access", reached, "let in without prompts", reached ? "let in without prompts" : "no");
  if (exit_code == no_such_ref) check.detail = "the repository there is empty";
  if (!reached) check.detail = said.empty() ? fmt::format("git ls-remote ended with status {}", exit_code) : said;
  return {std::move(check)};
}

}  // namespace converge
