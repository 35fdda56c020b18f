#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"url", Kind::text, false, "", "the address, when the key is a name"},
    {"method", Kind::text, false, "GET", "the method"},
    {"allow-insecure", Kind::boolean, false, "false", "accept any certificate"},
    {"no-follow-redirects", Kind::boolean, false, "false", "take a redirection as the answer"},
    {"timeout", Kind::integer, false, "5000", "milliseconds for all of it"},
    {"request-headers", Kind::text_list, false, "", "headers to send, as \"Name: value\""},
    {"request-body", Kind::text, false, "", "what to send"},
    {"username", Kind::text, false, "", "for basic authentication"},
    {"password", Kind::text, false, "", "for basic authentication; never shown"},
    {"ca-file", Kind::text, false, "", "certificates to trust"},
    {"cert-file", Kind::text, false, "", "our certificate"},
    {"key-file", Kind::text, false, "", "its key"},
    {"proxy", Kind::text, false, "", "the proxy to go through; http_proxy otherwise"},
    {"resolve", Kind::text, false, "", "the address to connect to, whatever the name says"},
    {"status", Kind::integer, true, "", "the status of the answer", true},
    {"headers", Kind::stream, true, "", "its headers, sorted, as \"Name: value\"", false, "Headers"},
    {"body", Kind::stream, true, "", "its body", false, "Body"},
};

/// "Name: value"; nullopt if there is no ": ".
std::optional<std::pair<std::string, std::string>> header_of(const std::string& text) {
  const auto colon = text.find(": ");
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  return std::pair(text.substr(0, colon), text.substr(colon + 2));
}

HttpRequest request_of(const Asked& asked, const Context& context) {
  HttpRequest out;
  out.url = asked.subject();
  out.method = asked.text("method");
  for (const auto& text : asked.texts("request-headers"))
    if (auto header = header_of(text)) out.headers.push_back(*std::move(header));
  out.body = asked.text("request-body");
  out.user = asked.text("username");
  out.password = Secret(asked.text("password"));
  out.ca_file = asked.text("ca-file");
  out.cert_file = asked.text("cert-file");
  out.key_file = asked.text("key-file");
  out.proxy = asked.text("proxy");
  out.resolve = asked.text("resolve");
  out.allow_insecure = asked.boolean("allow-insecure");
  out.follow_redirects = !asked.boolean("no-follow-redirects");
  out.timeout = asked.timeout();
  const std::string_view variable = out.url.starts_with("https") ? "https_proxy" : "http_proxy";
  if (out.proxy.empty())
    for (const auto& [name, value] : context.setting().environment)
      if (name == variable) out.proxy = value;
  return out;
}

void announce(const Asked& asked, Context& context) { context.announce(request_of(asked, context)); }

Status accept(const Asked& asked) {
  for (const auto& text : asked.texts("request-headers"))
    if (!header_of(text))
      return Error{Errc::invalid, "a request header has no \": \"", {}, "write it as \"Name: value\""};
  return ok();
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto answer = context.http(request_of(asked, context), view);
  if (!answer && (answer.error().code == Errc::refused || answer.error().code == Errc::timeout)) {
    // Being refused, or left to wait, is what the service does: that is known.
    Looked out;
    for (const auto& name : asked.wanted()) out.emplace_back(name, Nothing{answer.error().message});
    return out;
  }
  if (!answer) return all_unknown(asked, answer.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "status") {
      out.emplace_back(name, Value(std::int64_t{answer->status}));
    } else if (name == "headers") {
      out.emplace_back(name, text_value(join(answer->headers, "\n") + (answer->headers.empty() ? "" : "\n")));
    } else if (answer->cut) {
      out.emplace_back(name, Error{Errc::too_big, "the body is longer than 4 MiB", {}, {}});
    } else {
      out.emplace_back(name, text_value(answer->body));
    }
  }
  return out;
}

}  // namespace

CheckType http_check() {
  CheckType type{"http", "HTTP", "what a web server answers", "url", attributes};
  type.first_decides = true;
  type.look = look;
  type.announce = announce;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
