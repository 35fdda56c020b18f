#include "primitives/service.h"

#include <algorithm>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

std::string unit_of(const Service& p) { return p.name.find('.') == std::string::npos ? p.name + ".service" : p.name; }

Service::State from_systemd(const Service& p, const UnitProperties& properties) {
  Service::State state;
  state.init = Service::State::Init::systemd;
  state.name = p.name;
  const auto get = [&](std::string_view name) {
    const auto it = properties.find(name);
    return it == properties.end() ? std::string() : it->second;
  };
  const std::string load = get("LoadState");
  state.exists = load != "not-found";
  state.active_text = get("ActiveState");
  state.enabled_text = load == "masked" ? load : get("UnitFileState");
  if (!state.active_text.empty()) state.running = state.active_text == "active" || state.active_text == "reloading";
  const std::string& file = state.enabled_text;
  // "static", "indirect" and "transient" say neither: such a unit has no [Install] of its own.
  if (file == "enabled" || file == "generated" || file == "alias")
    state.enabled = true;
  else if (file == "disabled" || file == "masked" || file == "masked-runtime" || file == "enabled-runtime" ||
           file == "linked" || file == "linked-runtime")
    state.enabled = false;
  return state;
}

Result<Service::State> from_openrc(const Service& p, const SystemView& view) {
  Service::State state;
  state.init = Service::State::Init::openrc;
  std::vector<std::string> names{p.name};
  names.insert(names.end(), p.instead.begin(), p.instead.end());
  for (const std::string& name : names) {
    const auto script = view.look(AbsPath("/etc/init.d").child(name));
    if (!script) return script.error();
    state.exists = !std::holds_alternative<Absent>(*script);
    state.name = name;
    if (state.exists) break;
  }
  if (!state.exists) {
    state.name = p.name;
    state.running = state.enabled = false;
    state.active_text = state.enabled_text = "not found";
    return state;
  }
  if (p.running) {
    const auto status = view.query({.argv = {"rc-service", state.name, "status"}});
    if (!status) return status.error();
    // openrc-run(8): 0 started, 3 stopped, 32 crashed; 16 inactive and 8 starting are on their way.
    state.running = status->exit_code == 0;
    const std::string_view words = trim(status->out.empty() ? status->err : status->out);
    state.active_text = status->exit_code == 0    ? "started"
                        : status->exit_code == 3  ? "stopped"
                        : status->exit_code == 32 ? "crashed"
                                                  : std::string(words.substr(0, words.find('\n')));
  }
  const AbsPath runlevels("/etc/runlevels");
  const auto levels = view.list(runlevels);
  if (!levels) return levels.error();
  std::vector<std::string>& in = state.runlevels;
  if (*levels) {
    for (const auto& level : **levels) {
      const auto link = view.look(runlevels.child(level).child(state.name));
      if (!link) return link.error();
      if (!std::holds_alternative<Absent>(*link)) in.push_back(level);
    }
  }
  state.enabled = !p.early ? !in.empty() : std::any_of(in.begin(), in.end(), [](const std::string& level) {
    return level == "boot" || level == "sysinit";
  });
  state.enabled_text = in.empty() ? "in no runlevel" : "in " + join(in, ", ");
  return state;
}

Status run(const Service& p, std::vector<std::string> argv, System& system,
           std::optional<std::vector<AbsPath>> touches = std::nullopt) {
  const Command command{.argv = std::move(argv), .deadline = std::chrono::minutes(5), .touches = std::move(touches)};
  const auto out = system.run(command);
  if (!out) return out.error();
  if (out->exit_code == 0) return ok();
  const std::string_view words = trim(out->err.empty() ? out->out : out->err);
  return Error{Errc::command_failed,
               "'" + command.text() + "' ended with status " + std::to_string(out->exit_code) +
                   (words.empty() ? "" : ": " + std::string(words.substr(0, words.find('\n')))),
               {},
               command.argv.front() == "systemctl" ? "look at: journalctl -u " + unit_of(p)
                                                   : "look at the log of '" + p.name + "'"};
}

}  // namespace

ResourceId id(const Service& p) { return "service:" + p.name; }

Wants wants(const Service& p) { return {.queries = {}, .units = {unit_of(p)}}; }

Result<Service::State> inspect(const Service& p, const SystemView& view) {
  auto properties = view.unit(unit_of(p));
  if (properties) return from_systemd(p, *properties);
  if (properties.error().code != Errc::unsupported) return properties.error();
  const auto openrc = openrc_runs(view);
  if (!openrc) return openrc.error();
  if (*openrc) return from_openrc(p, view);
  return Service::State{};
}

Checks compare(const Service& p, const Service::State& state) {
  const auto& [name, running, enabled, made_here, early, instead] = p;
  (void)made_here;  // only an obstacle, or none
  (void)instead;    // which service it is
  using Init = Service::State::Init;
  Checks checks;
  if (state.init == Init::none) {
    checks.push_back(check_unknown("manager", "systemd or OpenRC", "no service manager runs here"));
    return checks;
  }
  const bool wanted = running.value_or(false) || enabled.value_or(false);
  if (!state.exists && wanted) {
    checks.push_back(check_that("unit", false, "installed", "not found"));
    return checks;
  }
  checks.push_back(check_that("unit", true, wanted ? "installed" : "any", state.exists ? "installed" : "not found"));
  const auto add = [&](std::string property, bool want, std::string_view yes, std::string_view no,
                       const std::optional<bool>& have, const std::string& words) {
    const std::string expected(want ? yes : no);
    if (have)
      checks.push_back(check_that(std::move(property), *have == want, expected,
                                  words.empty() ? std::string(*have ? yes : no) : words));
    else
      checks.push_back(check_unknown(std::move(property), expected, "the service manager does not say"));
  };
  if (running) add("running", *running, "running", "stopped", state.exists ? state.running : false, state.active_text);
  if (enabled) {
    const std::string& words = state.enabled_text;
    const bool neither = !state.enabled && !words.empty();  // "static" and its like
    if (neither) {
      Check check = check_that("enabled", !*enabled, *enabled ? "enabled" : "disabled", words);
      if (*enabled) check.detail = "a " + words + " unit has no [Install] section to enable";
      checks.push_back(std::move(check));
    } else {
      add("enabled", *enabled, early ? "in runlevel boot" : "enabled", "disabled", state.exists ? state.enabled : false,
          words);
    }
  }
  return checks;
}

Status preflight(const Service& p, const Service::State& state, const SystemView& /*view*/) {
  const bool wanted = p.running.value_or(false) || p.enabled.value_or(false);
  if (state.init == Service::State::Init::none)
    return Error{Errc::unsupported, "neither systemd nor OpenRC runs here", {}, {}};
  if (!wanted) return ok();
  if (!state.exists && p.made_here) return ok();
  if (!state.exists)
    return Error{
        Errc::refused, "there is no service '" + p.name + "'", {}, "install what brings it, or check its name"};
  if (state.enabled_text.starts_with("masked"))
    return Error{Errc::refused,
                 "'" + unit_of(p) + "' is masked",
                 {},
                 "an administrator forbade it; to allow it: systemctl unmask " + unit_of(p)};
  if (p.enabled.value_or(false) && !state.enabled && !state.enabled_text.empty())
    return Error{Errc::refused,
                 "'" + unit_of(p) + "' is " + state.enabled_text + ": it has no [Install] section to enable",
                 {},
                 "leave 'enabled' away: something else starts it"};
  return ok();
}

Status apply(const Service& p, const Service::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  const bool systemd = state.init == Service::State::Init::systemd;
  // What is to run is enabled first, what is to stop is stopped first: after a crash in between the host is never left
  // with a service that runs now and is gone after a boot.
  const auto mend_enabled = [&]() -> Status {
    if (!p.enabled || !state.enabled || *state.enabled == *p.enabled) return ok();
    if (systemd) return run(p, {"systemctl", *p.enabled ? "enable" : "disable", unit_of(p)}, system);
    const AbsPath runlevels("/etc/runlevels");
    const std::string level = p.early ? "boot" : "default";
    if (*p.enabled)
      return run(p, {"rc-update", "add", state.name, level}, system, {{runlevels.child(level).child(state.name)}});
    std::vector<AbsPath> links;
    for (const std::string& each : state.runlevels) links.push_back(runlevels.child(each).child(state.name));
    return run(p, {"rc-update", "--all", "del", state.name}, system, std::move(links));
  };
  const auto mend_running = [&]() -> Status {
    if (!p.running || !state.running || *state.running == *p.running) return ok();
    const std::string verb = *p.running ? "start" : "stop";
    if (systemd) return run(p, {"systemctl", verb, unit_of(p)}, system);
    return run(p, {"rc-service", state.name, verb}, system);
  };
  const bool starting = p.running.value_or(false);
  if (Status first = starting ? mend_enabled() : mend_running(); !first) return first;
  return starting ? mend_running() : mend_enabled();
}

}  // namespace converge
