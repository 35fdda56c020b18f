#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"address", Kind::text, false, "", "[tcp|tcp4|tcp6|udp|unix://]HOST:PORT, when the key is a name"},
    {"local-address", Kind::text, false, "", "the address to connect from"},
    {"timeout", Kind::integer, false, "500", "milliseconds"},
    {"reachable", Kind::boolean, true, "", "whether it can be connected to", true},
};

DialRequest request_of(const Asked& asked) {
  DialRequest out;
  out.address = asked.subject();
  if (const auto scheme = out.address.find("://"); scheme != std::string::npos) {
    out.network = out.address.substr(0, scheme);
    out.address.erase(0, scheme + 3);
  }
  out.local = asked.text("local-address");
  out.timeout = asked.timeout();
  return out;
}

void announce(const Asked& asked, Context& context) { context.announce(request_of(asked)); }

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto reached = context.dial(request_of(asked), view);
  if (!reached) return all_unknown(asked, reached.error());
  if (*reached == Reached::unanswered) {
    return all_unknown(asked, Error{Errc::timeout,
                                    "a datagram was sent, and neither an answer nor a refusal came back",
                                    {},
                                    "check the service by what it does: dns, or a command"});
  }
  return {{"reachable", Value(*reached == Reached::yes)}};
}

}  // namespace

CheckType addr_check() {
  CheckType type{"addr", "Addr", "an address that can be connected to from here", "address", attributes};
  type.first_decides = true;
  type.look = look;
  type.announce = announce;
  return type;
}

}  // namespace converge::checks
