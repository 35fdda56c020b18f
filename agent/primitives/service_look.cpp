#include "primitives/service_look.h"

#include <fmt/format.h>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

std::optional<std::string> property(const UnitProperties& properties, std::string_view name) {
  const auto it = properties.find(name);
  return it == properties.end() ? std::nullopt : std::optional(it->second);
}

/// A systemd time: microseconds since the epoch; nullopt for "0" (never) and for none.
std::optional<Timestamp> moment(const UnitProperties& properties, std::string_view name) {
  const auto text = property(properties, name);
  std::int64_t micros = 0;
  if (!text || !parse_number(*text, micros) || micros <= 0) return std::nullopt;
  return Timestamp{micros};
}

Result<ServiceLook> by_systemd(const UnitProperties& properties, const std::string& unit) {
  ServiceLook look{.manager = ServiceLook::Manager::systemd};
  const auto loaded = property(properties, "LoadState"), active = property(properties, "ActiveState");
  if (!loaded) return Error{Errc::unparsable, fmt::format("systemd does not say whether {} is loaded", unit), {}, {}};
  look.installed = *loaded == "loaded";
  if (!look.installed) return look;
  if (!active) return Error{Errc::unparsable, fmt::format("systemd does not say whether {} is active", unit), {}, {}};
  look.state = *active;
  look.started = moment(properties, "ExecMainStartTimestamp");
  if (!look.started) look.started = moment(properties, "ActiveEnterTimestamp");
  if (const auto count = property(properties, "NRestarts")) (void)parse_number(*count, look.restarts);
  return look;
}

Result<ServiceLook> by_openrc(const SystemView& view, const std::string& name) {
  ServiceLook look{.manager = ServiceLook::Manager::openrc};
  auto script = view.look(AbsPath("/etc/init.d").child(name));
  if (!script) return std::move(script).error();
  look.installed = !std::holds_alternative<Absent>(*script);
  if (!look.installed) return look;
  auto status = view.query({.argv = {"rc-service", name, "status"}});
  if (!status) return std::move(status).error();
  // openrc-run(8): 0 started, 3 stopped, 32 crashed; 16 inactive and 8 starting are on their way.
  look.state = status->exit_code == 0    ? "active"
               : status->exit_code == 3  ? "inactive"
               : status->exit_code == 32 ? "failed"
                                         : "activating";
  const AbsPath kept("/run/openrc");
  for (const AbsPath& file :
       {kept.child("options").child(name).child("start_time"), kept.child("daemons").child(name).child("001")}) {
    auto state = view.look(file);
    if (!state) return std::move(state).error();
    if (const auto* regular = std::get_if<RegularFile>(&*state)) {
      look.started = regular->modified;
      break;
    }
  }
  return look;
}

}  // namespace

std::string openrc_name(const std::string& unit) {
  constexpr std::string_view suffix = ".service";
  return unit.ends_with(suffix) ? unit.substr(0, unit.size() - suffix.size()) : unit;
}

Result<ServiceLook> look_at_service(const SystemView& view, const std::string& unit) {
  auto properties = view.unit(unit);
  if (properties) return by_systemd(*properties, unit);
  if (properties.error().code != Errc::unsupported) return std::move(properties).error();
  auto openrc = openrc_runs(view);
  if (!openrc) return std::move(openrc).error();
  if (!*openrc) return ServiceLook{};
  return by_openrc(view, openrc_name(unit));
}

}  // namespace converge
