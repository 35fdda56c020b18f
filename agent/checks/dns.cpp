#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"resolve", Kind::text, false, "", "[TYPE:]NAME, when the key is another name; TYPE counts with 'server'"},
    {"server", Kind::text, false, "", "the server to ask, as HOST or HOST:PORT; the host's own otherwise"},
    {"timeout", Kind::integer, false, "500", "milliseconds for each of three tries"},
    {"resolvable", Kind::boolean, true, "", "whether there is an answer", true, "", "resolveable"},
    {"addrs", Kind::list, true, "", "what is answered, sorted"},
};

DnsRequest request_of(const Asked& asked) {
  static constexpr std::string_view types[] = {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT"};
  DnsRequest out;
  out.name = asked.subject();
  out.server = asked.text("server");
  out.timeout = asked.timeout();
  const auto colon = out.name.find(':');
  if (colon != std::string::npos &&
      std::find(std::begin(types), std::end(types), std::string_view(out.name).substr(0, colon)) != std::end(types)) {
    if (!out.server.empty()) out.type = out.name.substr(0, colon);
    out.name.erase(0, colon + 1);
  }
  return out;
}

void announce(const Asked& asked, Context& context) { context.announce(request_of(asked)); }

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto answer = context.ask_dns(request_of(asked), view);
  if (!answer) return all_unknown(asked, answer.error());
  Looked out;
  for (const auto& name : asked.wanted())
    out.emplace_back(name, name == "addrs" ? list_value(answer->records) : Value(!answer->records.empty()));
  return out;
}

}  // namespace

CheckType dns_check() {
  CheckType type{"dns", "DNS", "a name in the DNS", "resolve", attributes};
  type.first_decides = true;
  type.look = look;
  type.announce = announce;
  return type;
}

}  // namespace converge::checks
