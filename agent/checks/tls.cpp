#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "HOST or HOST:PORT, the name the certificate must be for, when the key is another"},
    {"resolve", Kind::text, false, "", "the address to connect to, whatever the name says"},
    {"ca-file", Kind::text, false, "", "certificates to trust, instead of this host's"},
    {"timeout", Kind::integer, false, "5000", "milliseconds for all of it"},
    {"trusted", Kind::boolean, true, "", "whether its chain is trusted, valid now and for that name", true},
    {"days-left", Kind::integer, true, "", "whole days until the certificate expires; below 0 it has"},
    {"names", Kind::list, true, "", "the names and addresses it is for, sorted"},
    {"issuer", Kind::text, true, "", "who signed it, as \"CN=R3,O=Let's Encrypt,C=US\""},
    {"subject", Kind::text, true, "", "whom it is for, in the same form"},
    {"protocol", Kind::text, true, "", "what was agreed on: TLSv1.2, TLSv1.3"},
};

constexpr std::int64_t day = std::int64_t{86'400} * 1'000'000;  // in microseconds

HttpRequest request_of(const Asked& asked) {
  HttpRequest out;
  out.url = "https://" + asked.subject();
  out.resolve = asked.text("resolve");
  out.ca_file = asked.text("ca-file");
  out.timeout = asked.timeout();
  out.allow_insecure = true;  // to be told what is wrong with it
  out.handshake_only = true;
  return out;
}

void announce(const Asked& asked, Context& context) { context.announce(request_of(asked)); }

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto answer = context.http(request_of(asked), view);
  Looked out;
  if (!answer && answer.error().code != Errc::refused && answer.error().code != Errc::timeout)
    return all_unknown(asked, answer.error());
  for (const auto& name : asked.wanted()) {
    if (!answer || !answer->certificate) {
      out.emplace_back(name, Nothing{answer ? "no certificate was shown" : answer.error().message});
      continue;
    }
    const Certificate& shown = *answer->certificate;
    const std::int64_t left = shown.not_after.micros - view.now().micros;
    if (name == "trusted")
      out.emplace_back(name, Value(shown.trusted), shown.problem);
    else if (name == "days-left")
      out.emplace_back(name, Value(left / day - (left < 0 && left % day != 0 ? 1 : 0)),
                       "it expires " + shown.not_after.text());
    else if (name == "names")
      out.emplace_back(name, list_value(shown.names));
    else
      out.emplace_back(name, Value(name == "issuer"    ? shown.issuer
                                   : name == "subject" ? shown.subject
                                                       : shown.protocol));
  }
  return out;
}

Status accept(const Asked& asked) {
  auto url = parse_url("https://" + asked.subject());
  if (!url || url->path != "/" || !url->user.empty())
    return Error{Errc::invalid,
                 fmt::format("'{}' is no HOST:PORT", printable(asked.subject())),
                 {},
                 "write hub.example.org or hub.example.org:8443"};
  return ok();
}

}  // namespace

CheckType tls_check() {
  CheckType type{"tls", "TLS", "the certificate a server shows, and whether it is trusted", "name", attributes};
  type.example =
      "tls:\n"
      "  hub.example.org: { trusted: true, days-left: { ge: 14 }, protocol: TLSv1.3 }\n";
  type.look = look;
  type.announce = announce;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
