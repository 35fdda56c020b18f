// serve: the page of the fleet, live, and the same for programs and for Prometheus.
#include <fmt/core.h>

#include <cstdio>

#include "cli/fleet_site.h"
#include "cli/interrupt.h"
#include "cli/log.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "remote/bootstrap.h"

namespace converge::cli {
namespace {

bool is_loopback(const web::Endpoint& endpoint) { return endpoint.host.starts_with("127.") || endpoint.host == "::1"; }

}  // namespace

int fleet_server_verb(const Options& options) {
  // ":8081" alone is this machine's, whatever it means elsewhere: what others may see has to be said.
  const std::string asked = options.words.empty() ? ":8081" : options.words.front();
  const std::string address = asked.starts_with(':') ? "127.0.0.1" + asked : asked;
  auto endpoint = web::parse_endpoint(address.starts_with("*:") ? address.substr(1) : address);
  if (!endpoint) {
    endpoint.error().hint = "write :8081 for this machine alone, or '*:8081' for all addresses";
    return complain(endpoint.error());
  }
  const auto stale = parse_span(options.stale);
  if (!stale) return complain(stale.error());
  if (options.tls_certificate.empty() && !(options.tls_key.empty() && options.tls_client_ca.empty()))
    return complain(Error{Errc::invalid,
                          "--tls-key and --tls-client-ca are nothing without a certificate",
                          {},
                          "name it with --tls-cert"});
  FleetSite site{.open = [&options] { return open_history(options, history::Access::read); },
                 .now = wall_clock,
                 .stale = std::chrono::seconds(*stale),
                 .loopback = is_loopback(*endpoint),
                 .encrypted = !options.tls_certificate.empty(),
                 .token = {},
                 .session = Secret(remote::random_id() + remote::random_id())};
  if (!options.token_file.empty()) {
    auto token = read_token(options.token_file);
    if (!token) return complain(token.error());
    site.token = std::move(*token);
  } else if (!site.loopback) {
    return complain(Error{Errc::invalid,
                          fmt::format("'{}' is not this machine's alone: a token is needed", asked),
                          {},
                          "(umask 077; openssl rand -hex 32 >FILE), and say --token-file FILE"});
  }
  if (history_file(options).empty()) return complain(Error{Errc::invalid, "there is no history to show", {}, {}});
  Log log(log_level_of(options));
  catch_interrupts();
  web::Listen listen;
  listen.address = address.starts_with("*:") ? address.substr(1) : address;
  listen.warn = [&log](const std::string& text) { log.warning(text); };
  if (site.encrypted) listen.tls = web::Tls{options.tls_certificate, options.tls_key, options.tls_client_ca};
  if (!site.loopback && !site.encrypted) log.warning("the token and the page travel unencrypted: see --tls-cert");
  const auto server =
      web::Server::start(std::move(listen), [&site](const web::Request& request) { return answer(site, request); });
  if (!server) return complain(server.error());
  fmt::print("serving {}/ and /metrics\n", (*server)->url());
  (void)std::fflush(stdout);
  wait_for_interrupt();
  (*server)->stop();
  return exit_ok;
}

}  // namespace converge::cli
