#include "primitives/loaded_unit.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

const std::string& directive_of(const LoadedUnit::Property& property) {
  return property.directive.empty() ? property.name : property.directive;
}

bool same_value(const LoadedUnit::Property& property, const std::string& actual) {
  if (property.value == actual) return true;
  std::uint64_t wanted = 0, got = 0;
  if (!parse_number(property.value, wanted) || !parse_number(actual, got)) return false;
  return (wanted > got ? wanted - got : got - wanted) <= property.slack;
}

std::vector<std::string> drop_ins(const LoadedUnit::State& state) {
  std::vector<std::string> paths;
  const auto found = state.properties.find("DropInPaths");
  if (found == state.properties.end()) return paths;
  for (const auto path : fields(found->second)) paths.emplace_back(path);
  return paths;
}

/// "overridden by FILE:LINE" when another file than ours has the last word on `property`.
std::string overridden_by(const LoadedUnit& p, const LoadedUnit::Property& property, const LoadedUnit::State& state) {
  const auto found = state.assigned_at.find(directive_of(property));
  if (found == state.assigned_at.end()) return {};
  return found->second.starts_with(p.drop_in.str() + ":") ? std::string() : "overridden by " + found->second;
}

Check check_drop_in(const LoadedUnit& p, const LoadedUnit::State& state) {
  const std::string expected = (p.absent ? "without " : "") + p.drop_in.str();
  if (!state.properties.contains("DropInPaths")) {
    return check_unknown("drop-in", expected, "systemd does not say which files it read");
  }
  const auto paths = drop_ins(state);
  const bool has = std::find(paths.begin(), paths.end(), p.drop_in.str()) != paths.end();
  return check_that("drop-in", has != p.absent, expected, paths.empty() ? "no drop-ins" : join(paths, " "));
}

Check check_reload(const LoadedUnit::State& state) {
  const auto found = state.properties.find("NeedDaemonReload");
  if (found == state.properties.end()) return check_unknown("reload needed", "no", "systemd does not say");
  return check_equal("reload needed", "no", found->second);
}

/// What the slice's cgroup uses, of the things whose limit kills: of cgroup v2, or else of v1's controllers.
Status read_use(const LoadedUnit& p, const SystemView& view, LoadedUnit::State& state) {
  const AbsPath root("/sys/fs/cgroup");
  auto unified = view.look(root.child("cgroup.controllers"));
  if (!unified) return std::move(unified).error();
  const bool v2 = !std::holds_alternative<Absent>(*unified);
  const auto group = cgroup_of_slice(p.unit);
  for (const auto& property : p.properties) {
    const bool memory = property.name == "MemoryMax";
    if (!memory && property.name != "TasksMax") continue;
    const auto file = memory ? (v2 ? "memory.current" : "memory.usage_in_bytes") : "pids.current";
    const auto base = v2 ? root : root.child(memory ? "memory" : "pids");
    auto text = read_text(view, base.child(group).child(file), 64_KiB);
    if (!text) return std::move(text).error();
    std::uint64_t number = 0;
    if (*text && parse_number(trim(**text), number)) state.in_use[property.name] = number;
  }
  return ok();
}

Checks compare_room(const LoadedUnit& p, const LoadedUnit::State& state) {
  Checks checks;
  for (const auto& property : p.properties) {
    std::uint64_t most = 0;
    const auto used = state.in_use.find(property.name);
    const auto loaded = state.properties.find(property.name);
    const bool in_force = loaded != state.properties.end() && same_value(property, loaded->second);
    if (used == state.in_use.end() || !parse_number(property.value, most)) continue;
    const bool bytes = property.name == "MemoryMax";
    const auto shown = [&](std::uint64_t n) {
      return bytes ? fmt::format("{} MiB", n >> 20U) : fmt::format("{} threads", n);
    };
    checks.push_back(check_that("room for " + property.name, in_force || used->second <= most,
                                "at most " + shown(most) + " in use", shown(used->second) + " in use"));
  }
  if (checks.empty()) checks.push_back(check_equal("room", "yes", "yes"));
  return checks;
}

}  // namespace

ResourceId id(const LoadedUnit& p) { return (p.ask == LoadedUnit::Ask::room ? "room:" : "loaded:") + p.unit; }

Result<LoadedUnit::State> inspect(const LoadedUnit& p, const SystemView& view) {
  LoadedUnit::State state;
  auto properties = view.unit(p.unit);
  if (!properties) return std::move(properties).error().during("asking systemd for " + p.unit);
  state.properties = std::move(*properties);
  if (p.ask == LoadedUnit::Ask::room) {
    if (auto status = read_use(p, view, state); !status) return std::move(status).error();
    return state;
  }
  // systemd lists drop-ins in the order it applies them; the last assignment counts.
  for (const auto& path : drop_ins(state)) {
    const auto where = AbsPath::parse(path);
    if (!where) continue;
    auto text = read_text(view, *where);
    if (!text) return std::move(text).error();
    int number = 0;
    if (!*text) continue;
    for (const auto raw : split_lines(**text)) {
      ++number;
      const auto line = trim(raw);
      const auto equals = line.find('=');
      if (line.empty() || line.front() == '#' || line.front() == ';' || equals == std::string_view::npos) continue;
      state.assigned_at[std::string(trim(line.substr(0, equals)))] = fmt::format("{}:{}", path, number);
    }
  }
  return state;
}

Checks compare(const LoadedUnit& p, const LoadedUnit::State& state) {
  const auto& [unit, drop_in, properties, absent, ask] = p;
  if (ask == LoadedUnit::Ask::room) return compare_room(p, state);
  (void)unit, (void)drop_in;  // which one, and what check_drop_in looks for
  Checks checks{check_drop_in(p, state)};
  if (!absent) {
    for (const auto& property : properties) {
      const auto found = state.properties.find(property.name);
      if (found == state.properties.end()) {
        checks.push_back(check_unknown(property.name, property.value, "systemd knows no such property"));
        continue;
      }
      auto check = check_that(property.name, same_value(property, found->second), property.value, found->second);
      if (check.verdict == Verdict::fail) check.detail = overridden_by(p, property, state);
      checks.push_back(std::move(check));
    }
  }
  checks.push_back(check_reload(state));
  return checks;
}

Status preflight(const LoadedUnit& p, const LoadedUnit::State& state, const SystemView& /*view*/) {
  if (p.ask != LoadedUnit::Ask::room) return ok();
  for (const auto& check : compare_room(p, state)) {
    if (check.verdict != Verdict::fail) continue;
    return Error{Errc::refused,
                 fmt::format("{} has {}, and would be limited to {}", p.unit, check.actual,
                             check.expected.substr(0, check.expected.rfind(" in use"))),
                 {},
                 "the kernel would make room by killing: stop some of it first, or set 'force: true'"};
  }
  return ok();
}

Status apply(const LoadedUnit& p, const LoadedUnit::State& state, System& system) {
  if (p.ask == LoadedUnit::Ask::room) return preflight(p, state, system);
  const auto reload = system.run({.argv = {"systemctl", "daemon-reload"}, .input = {}, .as = {}, .environment = {}});
  if (!reload) return reload.error().during("reloading systemd");
  if (reload->exit_code != 0) {
    return Error{
        Errc::command_failed,
        fmt::format("systemctl daemon-reload ended with {}: {}", reload->exit_code, printable(trim(reload->err))),
        {},
        {}};
  }
  auto after = inspect(p, system);
  if (!after) return std::move(after).error();
  if (p.absent) return ok();
  for (const auto& property : p.properties) {
    const auto found = after->properties.find(property.name);
    const auto why = overridden_by(p, property, *after);
    if (found != after->properties.end() && !same_value(property, found->second) && !why.empty()) {
      return Error{Errc::refused,
                   fmt::format("{} of {} is {}", property.name, p.unit, why),
                   {},
                   "change that file, or give the drop-in a name that sorts after it"};
    }
  }
  return ok();
}

Wants wants(const LoadedUnit& p) { return {{}, {p.unit}}; }

}  // namespace converge
