#include "primitives/command.h"

#include <algorithm>

#include "core/text.h"

namespace converge {
namespace {

Command unless_of(const RunCommand& p) { return {.argv = p.unless, .deadline = p.deadline, .as = p.as}; }

std::string last_line(std::string_view text) {
  text = trim(text);
  const auto newline = text.rfind('\n');
  return std::string(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

}  // namespace

ResourceId id(const RunCommand& p) { return "command:" + Command{.argv = p.argv}.text(); }

bool unverifiable(const RunCommand& p) { return !p.creates && p.unless.empty(); }

Wants wants(const RunCommand& p) {
  if (p.unless.empty()) return {};
  return {.queries = {unless_of(p)}, .units = {}};
}

Result<RunCommand::State> inspect(const RunCommand& p, const SystemView& view) {
  RunCommand::State state;
  if (p.creates) {
    const auto path = view.look(*p.creates);
    if (!path) return path.error();
    state.created = !std::holds_alternative<Absent>(*path);
  }
  if (!p.unless.empty() && !state.created.value_or(false)) {
    const Command command = unless_of(p);
    const auto out = view.query(command);
    if (!out) return out.error().during("asking 'unless' (" + command.text() + ")");
    state.unless_exit = out->exit_code;
  }
  return state;
}

Checks compare(const RunCommand& p, const RunCommand::State& state) {
  const auto& [argv, creates, unless, deadline, ok_exits, as, input] = p;
  if (unverifiable(p)) return {check_unknown("needed", "no", "nothing tells: give 'creates' or 'unless'")};
  std::vector<std::string> reasons;
  bool needed = true;
  if (creates) {
    needed = needed && !state.created.value_or(false);
    reasons.push_back("'" + creates->str() + (state.created.value_or(false) ? "' exists" : "' is absent"));
  }
  if (state.unless_exit) {
    needed = needed && *state.unless_exit != 0;
    reasons.push_back("'" + Command{.argv = unless}.text() + "' exits " + std::to_string(*state.unless_exit));
  }
  Check check = check_that("needed", !needed, "no", needed ? "yes" : "no");
  check.detail = join(reasons, ", ");
  return {std::move(check)};
}

Status apply(const RunCommand& p, const RunCommand::State& state, System& system) {
  if (!unverifiable(p) && !any_fails(compare(p, state))) return ok();
  const Command command{.argv = p.argv, .input = p.input, .deadline = p.deadline, .as = p.as};
  const auto out = system.run(command);
  if (!out) return out.error();
  if (std::find(p.ok_exits.begin(), p.ok_exits.end(), out->exit_code) != p.ok_exits.end()) return ok();
  const std::string said = last_line(trim(out->err).empty() ? out->out : out->err);
  return Error{Errc::command_failed,
               "'" + command.text() + "' ended with status " + std::to_string(out->exit_code) +
                   (said.empty() ? "" : ": " + said),
               {},
               {}};
}

}  // namespace converge
