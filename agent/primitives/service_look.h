// One service, as whichever service manager runs tells of it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "system/system.h"

namespace converge {

struct ServiceLook {
  enum class Manager { none, systemd, openrc } manager = Manager::none;
  bool installed = false;
  std::string state;                 // in systemd's words: "active", "inactive", "failed", "activating" ...
  std::optional<Timestamp> started;  // its main process (or when it became active); nullopt: never, or not told
  std::uint64_t restarts = 0;        // by systemd itself, NRestarts
};

/// `unit` by systemd, or its name without ".service" by OpenRC, whose words are given as systemd's: started is
/// "active", stopped "inactive", crashed "failed". OpenRC says when it started a service by the files it keeps below
/// /run/openrc for it: options/NAME/start_time (supervise-daemon), daemons/NAME/001 (start-stop-daemon).
Result<ServiceLook> look_at_service(const SystemView& view, const std::string& unit);
/// The name OpenRC knows a unit by: "k3s.service" is "k3s".
std::string openrc_name(const std::string& unit);

}  // namespace converge
