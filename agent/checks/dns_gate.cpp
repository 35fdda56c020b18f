#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the name that is to lead to the origin, when the key is another"},
    {"address", Kind::text, false, "", "where it must lead: the address of the origin, and the only one"},
    {"server", Kind::text, false, "", "the DNS server to ask, as HOST or HOST:PORT; the host's own otherwise"},
    {"url", Kind::text, false, "", "what is asked of the origin, sent to that address; https://NAME/ otherwise"},
    {"origin-status", Kind::integer, false, "200", "the status by which the origin is known to be right"},
    {"allow-insecure", Kind::boolean, false, "false", "accept any certificate"},
    {"ca-file", Kind::text, false, "", "certificates to trust"},
    {"timeout", Kind::integer, false, "5000", "milliseconds for each of both"},
    {"verdict", Kind::text, true, "", "both right; DNS wrong, origin right; DNS right, origin wrong; or both wrong",
     true},
};

DnsRequest name_of(const Asked& asked) {
  DnsRequest out;
  out.name = asked.subject();
  out.server = asked.text("server");
  out.timeout = asked.timeout();
  if (!out.server.empty()) out.type = asked.text("address").find(':') == std::string::npos ? "A" : "AAAA";
  return out;
}

HttpRequest page_of(const Asked& asked) {
  HttpRequest out;
  out.url = asked.text("url");
  if (out.url.empty()) out.url = fmt::format("https://{}/", asked.subject());
  out.resolve = asked.text("address");
  out.allow_insecure = asked.boolean("allow-insecure");
  out.ca_file = asked.text("ca-file");
  out.timeout = asked.timeout();
  out.follow_redirects = false;  // it is this answer of this address that counts
  return out;
}

void announce(const Asked& asked, Context& context) {
  context.announce(name_of(asked));
  context.announce(page_of(asked));
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto names = context.ask_dns(name_of(asked), view);
  const auto page = context.http(page_of(asked), view);
  const std::string address = asked.text("address");
  const bool dns_right = names && names->records == std::vector<std::string>{address};
  const bool origin_right = page && page->status == asked.integer("origin-status");
  const bool page_known = page || page.error().code == Errc::refused || page.error().code == Errc::timeout;
  const std::string dns_said = fmt::format(
      "{} is {}", printable(asked.subject()),
      !names                   ? "unknown: " + names.error().message
      : names->records.empty() ? "not in the DNS"
                               : printable(join(names->records, ", ")) + (dns_right ? "" : ", not " + address));
  const std::string origin_said =
      fmt::format("{} {}", address,
                  !page          ? "gives " + page.error().message
                  : origin_right ? fmt::format("answers {}", page->status)
                                 : fmt::format("answers {}, not {}", page->status, asked.integer("origin-status")));
  const std::string both = fmt::format("{}; {}", dns_said, origin_said);
  if (!names || !page_known) {
    const Error& error = names ? page.error() : names.error();
    return all_unknown(asked, Error{error.code, both, {}, error.hint});
  }
  const std::string verdict = dns_right ? (origin_right ? "both right" : "DNS right, origin wrong")
                                        : (origin_right ? "DNS wrong, origin right" : "both wrong");
  Looked out;
  for (const auto& name : asked.wanted()) out.emplace_back(name, Value(verdict), both);
  return out;
}

Status accept(const Asked& asked) {
  if (asked.text("address").empty())
    return Error{Errc::invalid, "'address' is missing", {}, "say where the name must lead"};
  const HttpRequest page = page_of(asked);
  const auto url = parse_url(page.url);
  if (!url) return url.error();
  if (lower(url->host) != lower(asked.subject()))
    return Error{Errc::invalid,
                 fmt::format("the URL is of '{}', not of '{}'", printable(url->host), printable(asked.subject())),
                 {},
                 "ask the name that the gate is about"};
  return ok();
}

}  // namespace

CheckType dns_gate_check() {
  CheckType type{"dns_gate", "DNSGate",
                 "whether a name leads to the right origin, and that origin answers as it should", "name", attributes};
  type.example =
      "dns_gate:\n"
      "  hub.example.org:\n"
      "    address: 192.0.2.7\n"
      "    url: https://hub.example.org/api/v2/hubs\n"
      "    origin-status: 401\n"
      "    verdict: both right\n";
  type.look = look;
  type.announce = announce;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
