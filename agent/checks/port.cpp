#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"port", Kind::text, false, "", "[tcp|tcp4|tcp6|udp|udp6:]PORT, when the key is a name"},
    {"listening", Kind::boolean, true, "", "whether anything listens there", true},
    {"ip", Kind::list, true, "", "the addresses it listens on"},
};

struct Wanted {
  std::string protocol = "tcp";
  std::uint64_t port = 0;
};

Result<Wanted> parse(const std::string& text) {
  Wanted out;
  std::string_view number = text;
  if (const auto colon = text.find(':'); colon != std::string::npos) {
    out.protocol = text.substr(0, colon);
    number = std::string_view(text).substr(colon + 1);
  }
  static constexpr std::string_view known[] = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"};
  const bool fits = std::find(std::begin(known), std::end(known), out.protocol) != std::end(known);
  if (fits && parse_number(number, out.port) && out.port <= 65535) return out;
  return Error{Errc::invalid, fmt::format("'{}' is no port", printable(text)), {}, "write tcp:80, or 80"};
}

Status accept(const Asked& asked) {
  if (auto wanted = parse(asked.subject()); !wanted) return std::move(wanted).error();
  return ok();
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto wanted = parse(asked.subject());
  if (!wanted) return all_unknown(asked, wanted.error());
  const auto& sockets = context.sockets(view, wanted->protocol.starts_with("udp"));
  if (!sockets) return all_unknown(asked, sockets.error());
  std::vector<std::string> addresses;
  for (const Socket& socket : *sockets) {
    if (!socket.listening || socket.port != wanted->port) continue;
    const std::string& protocol = wanted->protocol;
    // A listener on "::" takes IPv4 too, unless it asked not to (which no table shows): tcp counts it, tcp4 does not.
    const bool dual =
        (protocol == "tcp" || protocol == "udp") && socket.protocol == protocol + "6" && socket.address == "::";
    const bool strict = protocol.ends_with('4') && socket.protocol == protocol.substr(0, 3);
    if (socket.protocol != protocol && !dual && !strict) continue;
    if (std::find(addresses.begin(), addresses.end(), socket.address) == addresses.end())
      addresses.push_back(socket.address);
  }
  Looked out;
  for (const auto& name : asked.wanted())
    out.emplace_back(name, name == "listening" ? Value(!addresses.empty()) : list_value(addresses));
  return out;
}

}  // namespace

CheckType port_check() {
  CheckType type{"port", "Port", "a port something on this host listens on", "port", attributes};
  type.first_decides = true;
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
