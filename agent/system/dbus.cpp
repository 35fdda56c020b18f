#include "system/dbus.h"

#include <dbus/dbus.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "core/text.h"

// Debian's libdbus-1.a refers to two functions of libsystemd, for servers that are started with their sockets. We never
// listen, and libsystemd has no static archive: these stand-ins say "no sockets were passed".
extern "C" {
int sd_listen_fds(int unset_environment);
int sd_is_socket(int fd, int family, int type, int listening);
int sd_listen_fds(int /*unset_environment*/) { return 0; }
int sd_is_socket(int /*fd*/, int /*family*/, int /*type*/, int /*listening*/) { return 0; }
}

namespace converge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* systemd_name = "org.freedesktop.systemd1";

struct CloseConnection {
  void operator()(DBusConnection* connection) const {
    dbus_connection_close(connection);
    dbus_connection_unref(connection);
  }
};
struct UnrefMessage {
  void operator()(DBusMessage* message) const { dbus_message_unref(message); }
};
struct UnrefPending {
  void operator()(DBusPendingCall* pending) const {
    dbus_pending_call_cancel(pending);
    dbus_pending_call_unref(pending);
  }
};
using Connection = std::unique_ptr<DBusConnection, CloseConnection>;
using Message = std::unique_ptr<DBusMessage, UnrefMessage>;
using Pending = std::unique_ptr<DBusPendingCall, UnrefPending>;

/// A DBusError that frees itself.
struct Failure {
  DBusError error;
  Failure() { dbus_error_init(&error); }
  ~Failure() { dbus_error_free(&error); }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  std::string text() const {
    return dbus_error_is_set(&error) != 0 && error.message != nullptr ? printable(error.message) : "no reason given";
  }
};

Error out_of_memory() { return Error{Errc::io, "not enough memory to talk to systemd", {}, {}}; }

/// How systemctl shows the largest 64-bit number: a limit that is not set, or a counter nobody counts.
std::string show_u64(std::string_view name, std::uint64_t value) {
  if (value != UINT64_MAX || name.ends_with("Timestamp") || name.ends_with("Monotonic"))
    return fmt::format("{}", value);
  for (const std::string_view counter : {"Current", "Peak", "NSec", "Bytes", "Packets", "Operations"}) {
    if (name.ends_with(counter)) return "[not set]";
  }
  return "infinity";
}

/// One value as systemctl would print it: booleans as yes and no, lists joined by blanks; the fields of a structure
/// likewise.
std::string show(std::string_view name, DBusMessageIter* at) {
  const int type = dbus_message_iter_get_arg_type(at);
  DBusBasicValue value = {};
  if (dbus_type_is_basic(type) != 0 && type != DBUS_TYPE_UNIX_FD) dbus_message_iter_get_basic(at, &value);
  switch (type) {
    case DBUS_TYPE_STRING:
    case DBUS_TYPE_OBJECT_PATH:
    case DBUS_TYPE_SIGNATURE:
      return value.str;
    case DBUS_TYPE_BOOLEAN:
      return value.bool_val != 0 ? "yes" : "no";
    case DBUS_TYPE_BYTE:
      return fmt::format("{}", value.byt);
    case DBUS_TYPE_INT16:
      return fmt::format("{}", value.i16);
    case DBUS_TYPE_UINT16:
      return fmt::format("{}", value.u16);
    case DBUS_TYPE_INT32:
      return fmt::format("{}", value.i32);
    case DBUS_TYPE_UINT32:
      return name.ends_with("Mode") || name == "UMask" ? fmt::format("{:04o}", value.u32)
                                                       : fmt::format("{}", value.u32);
    case DBUS_TYPE_INT64:
      return fmt::format("{}", value.i64);
    case DBUS_TYPE_UINT64:
      return show_u64(name, value.u64);
    case DBUS_TYPE_DOUBLE:
      return fmt::format("{}", value.dbl);
    case DBUS_TYPE_VARIANT:
    case DBUS_TYPE_ARRAY:
    case DBUS_TYPE_STRUCT:
    case DBUS_TYPE_DICT_ENTRY: {
      std::string all;
      DBusMessageIter inner;
      dbus_message_iter_recurse(at, &inner);
      for (; dbus_message_iter_get_arg_type(&inner) != DBUS_TYPE_INVALID; dbus_message_iter_next(&inner)) {
        const std::string part = show(name, &inner);
        if (!all.empty()) all += ' ';
        all += part;
      }
      return all;
    }
    default:
      return {};
  }
}

Result<UnitProperties> properties_of(DBusMessage* reply, const std::string& path) {
  if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR) {
    Failure failure;
    dbus_set_error_from_message(&failure.error, reply);
    const std::string_view name = failure.error.name != nullptr ? failure.error.name : "";
    const bool denied = name == DBUS_ERROR_ACCESS_DENIED;
    const bool late = name == DBUS_ERROR_NO_REPLY || name == DBUS_ERROR_TIMEOUT;
    return Error{denied ? Errc::permission
                 : late ? Errc::timeout
                        : Errc::io,
                 fmt::format("systemd does not tell about '{}': {}", path, failure.text()),
                 {},
                 {}};
  }
  UnitProperties properties;
  DBusMessageIter top;
  if (std::string_view(dbus_message_get_signature(reply)) != "a{sv}" || dbus_message_iter_init(reply, &top) == 0) {
    return Error{
        Errc::unparsable, fmt::format("systemd answered for '{}' with something else than properties", path), {}, {}};
  }
  DBusMessageIter entries;
  dbus_message_iter_recurse(&top, &entries);
  for (; dbus_message_iter_get_arg_type(&entries) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(&entries)) {
    DBusMessageIter entry;
    dbus_message_iter_recurse(&entries, &entry);
    const char* name = nullptr;
    dbus_message_iter_get_basic(&entry, &name);
    dbus_message_iter_next(&entry);
    properties.insert_or_assign(name, show(name, &entry));
  }
  return properties;
}

/// Sends `message`; the pending call completes while the connection is dispatched.
Pending send(DBusConnection* connection, DBusMessage* message, std::chrono::milliseconds deadline) {
  DBusPendingCall* pending = nullptr;
  if (dbus_connection_send_with_reply(connection, message, &pending, static_cast<int>(deadline.count())) == 0)
    return {};
  return Pending(pending);
}

/// Sends something that wants no answer. The server of systemd's private socket reads the end of the authentication
/// together with up to 256 bytes of what follows, and then looks at a message that came whole with it only when more
/// arrives (seen with systemd 252): a single call would wait for ever.
bool nudge(DBusConnection* connection) {
  const Message ping(dbus_message_new_method_call(systemd_name, "/", DBUS_INTERFACE_PEER, "Ping"));
  if (!ping) return false;
  dbus_message_set_no_reply(ping.get(), 1);
  return dbus_connection_send(connection, ping.get(), nullptr) != 0;
}

Result<Connection> connect(SystemdSocket socket) {
  const char* address = socket == SystemdSocket::private_socket ? "unix:path=/run/systemd/private"
                                                                : "unix:path=/run/dbus/system_bus_socket";
  Failure failure;
  DBusConnection* raw = dbus_connection_open_private(address, &failure.error);
  if (raw == nullptr) return Error{Errc::unsupported, fmt::format("cannot reach systemd: {}", failure.text()), {}, {}};
  dbus_connection_set_exit_on_disconnect(raw, 0);
  return Connection(raw);
}

}  // namespace

Result<std::vector<Result<UnitProperties>>> get_all_properties(SystemdSocket socket,
                                                               const std::vector<std::string>& paths,
                                                               const char* interface,
                                                               std::chrono::milliseconds deadline) {
  auto connection = connect(socket);
  if (!connection) return std::move(connection).error();
  std::vector<Pending> pending;
  if (socket == SystemdSocket::system_bus) {
    // By hand rather than with dbus_bus_register, which waits without a deadline.
    const Message hello(dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "Hello"));
    if (!hello) return out_of_memory();
    pending.push_back(send(connection->get(), hello.get(), deadline));
  }
  const std::size_t first = pending.size();
  for (const auto& path : paths) {
    const Message call(dbus_message_new_method_call(systemd_name, path.c_str(), DBUS_INTERFACE_PROPERTIES, "GetAll"));
    if (!call || dbus_message_append_args(call.get(), DBUS_TYPE_STRING, &interface, DBUS_TYPE_INVALID) == 0) {
      return out_of_memory();
    }
    pending.push_back(send(connection->get(), call.get(), deadline));
  }

  const auto until = Clock::now() + deadline;
  const auto waiting = [](const Pending& each) { return each && dbus_pending_call_get_completed(each.get()) == 0; };
  auto patience = std::chrono::milliseconds(5);
  if (!nudge(connection->get())) return out_of_memory();
  auto next_nudge = Clock::now() + patience;
  for (;;) {
    const auto left = std::count_if(pending.begin(), pending.end(), waiting);
    if (left == 0) break;
    const auto now = Clock::now();
    if (now >= until) return Error{Errc::timeout, "systemd did not answer in time", {}, "see 'systemctl status'"};
    const bool silent = static_cast<std::size_t>(left) == pending.size();
    if (silent && now >= next_nudge) {
      if (!nudge(connection->get())) return out_of_memory();
      patience *= 2;
      next_nudge = now + patience;
    }
    const auto wake = silent ? std::min(until, next_nudge) : until;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
    if (dbus_connection_read_write_dispatch(connection->get(), static_cast<int>(wait)) == 0) {
      return Error{Errc::unsupported, "systemd closed the connection", {}, {}};
    }
  }
  std::vector<Result<UnitProperties>> answers;
  for (std::size_t i = 0; i < pending.size(); ++i) {
    if (!pending[i]) return out_of_memory();
    const Message reply(dbus_pending_call_steal_reply(pending[i].get()));
    if (!reply) return out_of_memory();
    if (i < first) {
      if (dbus_message_get_type(reply.get()) == DBUS_MESSAGE_TYPE_ERROR) {
        return Error{Errc::unsupported, "the system bus does not let us in", {}, {}};
      }
      continue;
    }
    answers.push_back(properties_of(reply.get(), paths[i - first]));
  }
  return answers;
}

}  // namespace converge
