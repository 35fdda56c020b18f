// Properties of systemd units: from the service manager by D-Bus, or from systemctl where no socket answers.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// True if systemd is this host's service manager: sd_booted(3).
bool systemd_is_running();

/// The properties of every one of `units`, over one connection. Tries the private socket of PID 1 (as root), the system
/// bus, then systemctl. Each answer stands by itself.
std::map<std::string, Result<UnitProperties>, std::less<>> unit_properties(const std::vector<std::string>& units,
                                                                           bool state_only = false);

/// The output of `systemctl show`: "Name=value" lines, split at the first '='. Timestamps ("Fri 2021-11-19 08:33:28
/// UTC", with or without a fraction) become microseconds since the epoch, empty ones "0".
UnitProperties parse_systemctl_show(std::string_view text);

/// The object path of a unit: bytes outside [A-Za-z0-9], and a leading digit, become _xx.
std::string unit_object_path(std::string_view unit);

/// True for what systemd takes as a unit name: [A-Za-z0-9:_.\@-], at most 255 bytes, with a suffix such as ".service".
bool is_unit_name(std::string_view unit);

}  // namespace converge
