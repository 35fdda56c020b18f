#include "primitives/probe_ssh.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"
#include "primitives/attributes.h"

namespace converge {
namespace {

Command ask(const SshConfigAnswer& p) {
  return {.argv = {"ssh", "-G", "--", p.alias}, .deadline = std::chrono::seconds(15), .as = p.user};
}

/// ssh -G shows a file as it was written; ours and others' ways of naming the home are one.
std::string expanded(const SshConfigAnswer& p, const std::string& value) {
  const std::string home = p.user.home.str();
  if (value.starts_with("~/")) return home + value.substr(1);
  if (value.starts_with("%d/")) return home + value.substr(2);
  return value;
}

/// The first value of a keyword: the one that wins (of identity files: the one tried first).
const std::string* first(const SshConfigAnswer::State& state, const std::string& keyword) {
  const auto it =
      std::find_if(state.answer.begin(), state.answer.end(), [&](auto& pair) { return pair.first == keyword; });
  return it == state.answer.end() ? nullptr : &it->second;
}

bool right(const SshConfigAnswer& p, const SshConfigAnswer::State& state, const std::string& keyword,
           const std::string& value) {
  const std::string* actual = first(state, keyword);
  if (actual == nullptr) return false;
  const bool name_of_a_host = keyword == "hostname" || keyword == "hostkeyalias";  // ssh may fold their case
  return expanded(p, *actual) == expanded(p, value) || (name_of_a_host && lower(*actual) == lower(value));
}

/// Names the line that gives a keyword another value than the declared one.
void find_shadows(const SshConfigAnswer& p, const SystemView& view, SshConfigAnswer::State& state) {
  const AbsPath config = p.user.home.child(".ssh/config");
  const auto seen = view.read({config, p.user}, text_limit);
  if (!seen) return;  // only the place is lost; the wrong value is reported all the same
  const auto settings = settings_for(seen->content, p.alias);
  for (const auto& expectation : p.expected) {
    const auto& keyword = expectation.first;
    const auto& value = expectation.second;
    if (right(p, state, keyword, value)) continue;
    const auto line = std::find_if(settings.begin(), settings.end(), [&](const SshSetting& setting) {
      return setting.keyword == keyword || setting.keyword == "include";
    });
    if (line == settings.end()) continue;
    if (line->keyword == keyword && expanded(p, line->value) == expanded(p, value)) continue;
    state.shadow[keyword] = fmt::format("{}{}:{}{}", line->certain ? "set by " : "perhaps set by ", config.str(),
                                        line->line, line->keyword == "include" ? ", an Include" : "");
  }
}

}  // namespace

ResourceId id(const SshConfigAnswer& p) { return fmt::format("ssh_answer:{}:{}", p.user.name, p.alias); }

Wants wants(const SshConfigAnswer& p) { return {.queries = {ask(p)}, .units = {}}; }

Result<SshConfigAnswer::State> inspect(const SshConfigAnswer& p, const SystemView& view) {
  auto output = view.query(ask(p));
  if (!output) {
    Error error = std::move(output).error();
    if (error.code == Errc::not_found) error.hint = "install openssh-client";
    if (error.code == Errc::timeout)
      error.hint = fmt::format("a 'Match exec' of '{}' may be what waits", p.user.home.child(".ssh/config").str());
    return error;
  }
  SshConfigAnswer::State state;
  if (output->exit_code != 0) {
    state.problem = fmt::format("ssh ended with status {}: {}", output->exit_code, printable(trim(output->err)));
    return state;
  }
  state.answer = parse_ssh_answer(output->out);
  if (!std::all_of(p.expected.begin(), p.expected.end(),
                   [&](const auto& pair) { return right(p, state, pair.first, pair.second); }))
    find_shadows(p, view, state);
  return state;
}

Checks compare(const SshConfigAnswer& p, const SshConfigAnswer::State& state) {
  const auto& [user, alias, expected] = p;
  const auto& [answer, problem, shadow] = state;
  (void)user, (void)alias, (void)answer;  // first() looks into the answer
  Checks checks;
  if (!problem.empty()) {
    checks.push_back(check_that("ssh -G", false, "an answer", problem));
    return checks;
  }
  for (const auto& [keyword, value] : expected) {
    const std::string* actual = first(state, keyword);
    const bool holds = right(p, state, keyword, value);
    checks.push_back(check_that(keyword, holds, value,
                                holds               ? value
                                : actual == nullptr ? "not set"
                                                    : printable(*actual)));
    if (const auto it = shadow.find(keyword); it != shadow.end()) checks.back().detail = it->second;
  }
  return checks;
}

}  // namespace converge
