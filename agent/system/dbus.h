// The D-Bus protocol, by libdbus-1; used here and nowhere else.
#pragma once
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// Where systemd listens.
enum class SystemdSocket {
  private_socket,  // /run/systemd/private: PID 1 itself, root only, no bus between
  system_bus       // /run/dbus/system_bus_socket
};

/// The properties of `interface` ("": of all) of the objects at `paths` by one GetAll each, sent together. The outer
/// Error: the socket does not answer. The inner ones: the service manager refused that object, or did not answer before
/// the deadline.
Result<std::vector<Result<UnitProperties>>> get_all_properties(SystemdSocket socket,
                                                               const std::vector<std::string>& paths,
                                                               const char* interface,
                                                               std::chrono::milliseconds deadline);

}  // namespace converge
