#include <fmt/format.h>

#include <functional>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the service, when the key is another name"},
    {"enabled", Kind::boolean, true, "", "whether it starts at boot"},
    {"running", Kind::boolean, true, "", "whether it runs now"},
    {"runlevels", Kind::list, true, "", "the runlevels it is in (OpenRC, sysv); empty under systemd"},
};

std::string unit_of(const std::string& name) {
  static constexpr std::string_view suffixes[] = {".service", ".socket", ".timer", ".target", ".mount",    ".path",
                                                  ".slice",   ".scope",  ".swap",  ".device", ".automount"};
  for (const auto suffix : suffixes)
    if (name.ends_with(suffix)) return name;
  return name + ".service";
}

void announce(const Asked& asked, Context& context) {
  if (asked.subject().find('/') == std::string::npos) context.announce_unit(unit_of(asked.subject()));
}

/// The directories below `parent` (named by `is`) that hold an entry that fits.
Result<std::vector<std::string>> levels(const SystemView& view, const char* parent, bool (*is)(std::string_view),
                                        const std::function<bool(std::string_view)>& fits) {
  auto directories = view.list(AbsPath(parent));
  if (!directories) return std::move(directories).error();
  std::vector<std::string> out;
  for (const auto& directory : directories->value_or(std::vector<std::string>())) {
    if (!is(directory)) continue;
    auto entries = view.list(AbsPath(parent).child(directory));
    if (!entries) return std::move(entries).error();
    for (const auto& entry : entries->value_or(std::vector<std::string>()))
      if (fits(entry)) {
        out.push_back(directory);
        break;
      }
  }
  return out;
}

/// rc3.d/S20name of sysv.
Result<std::vector<std::string>> sysv_levels(const SystemView& view, const std::string& name) {
  auto found = levels(
      view, "/etc", [](std::string_view d) { return d.size() == 5 && d.starts_with("rc") && d.ends_with(".d"); },
      [&](std::string_view entry) {
        const auto digit = [&](std::size_t i) { return entry[i] >= '0' && entry[i] <= '9'; };
        return entry.size() > 3 && entry[0] == 'S' && digit(1) && digit(2) && entry.substr(3) == name;
      });
  if (found)
    for (auto& level : *found) level = level.substr(2, 1);
  return found;
}

Result<bool> runs_by_script(const SystemView& view, const std::string& name) {
  Command command;
  command.argv = {"service", name, "status"};
  auto answer = view.query(command);
  if (!answer && answer.error().code == Errc::not_found) {
    command.argv = {"/etc/init.d/" + name, "status"};
    answer = view.query(command);
    if (!answer && answer.error().code == Errc::not_found) return false;
  }
  if (!answer) return std::move(answer).error();
  return answer->exit_code == 0;
}

/// systemctl is-enabled ends with 0 for these.
bool is_enabled(const std::string& state) {
  return state == "enabled" || state == "enabled-runtime" || state == "static" || state == "alias" ||
         state == "indirect" || state == "generated" || state == "transient";
}

Looked by_systemd(const Asked& asked, Context& context, const SystemView& view) {
  const auto& unit = context.unit_state(unit_of(asked.subject()), view);
  if (!unit) return all_unknown(asked, unit.error());
  const auto property = [&](std::string_view name) -> const std::string* {
    const auto it = unit->find(name);
    return it == unit->end() ? nullptr : &it->second;
  };
  const Error missing{Errc::unsupported, "systemd does not say", {}, {}};
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "runlevels") {
      out.emplace_back(name, list_value({}));
    } else if (name == "running") {
      const auto* state = property("ActiveState");
      if (state == nullptr)
        out.emplace_back(name, missing);
      else
        out.emplace_back(name, Value(*state == "active" || *state == "reloading" || *state == "refreshing"));
    } else {
      const auto* state = property("UnitFileState");
      if (state == nullptr) {
        out.emplace_back(name, missing);
      } else if (*state == "generated") {
        // Made of a script of sysv's: systemctl then asks the links in /etc/rc?.d.
        std::string plain = asked.subject();
        if (plain.ends_with(".service")) plain.resize(plain.size() - 8);
        auto links = sysv_levels(view, plain);
        if (!links)
          out.emplace_back(name, links.error());
        else
          out.emplace_back(name, Value(!links->empty()));
      } else {
        out.emplace_back(name, Value(is_enabled(*state)));
      }
    }
  }
  return out;
}

Looked by_scripts(const Asked& asked, const SystemView& view) {
  const std::string service = asked.subject();
  auto openrc = levels(
      view, "/etc/runlevels", [](std::string_view) { return true; },
      [&](std::string_view entry) { return entry == service; });
  if (!openrc) return all_unknown(asked, openrc.error());
  auto sysv = sysv_levels(view, service);
  if (!sysv) return all_unknown(asked, sysv.error());
  std::vector<std::string> all = *openrc;
  all.insert(all.end(), sysv->begin(), sysv->end());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "runlevels") {
      out.emplace_back(name, list_value(all));
    } else if (name == "enabled") {
      out.emplace_back(name, Value(!all.empty()));
    } else {
      auto runs = runs_by_script(view, service);
      if (!runs)
        out.emplace_back(name, runs.error());
      else
        out.emplace_back(name, Value(*runs));
    }
  }
  return out;
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  if (asked.subject().find('/') != std::string::npos) {
    Looked out;
    for (const auto& name : asked.wanted()) out.emplace_back(name, name == "runlevels" ? list_value({}) : Value(false));
    return out;
  }
  const auto& systemd = context.systemd(view);
  if (!systemd) return all_unknown(asked, systemd.error());
  return *systemd ? by_systemd(asked, context, view) : by_scripts(asked, view);
}

}  // namespace

CheckType service_check() {
  CheckType type{"service", "Service", "a service of systemd, OpenRC or sysv", "name", attributes};
  type.look = look;
  type.announce = announce;
  return type;
}

}  // namespace converge::checks
