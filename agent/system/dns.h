// Names and connections to them; names by c-ares, used in dns.cpp and nowhere else. glibc's own resolver would load
// shared libraries into a static binary.
#pragma once
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "system/network.h"

namespace converge {

/// An address that can be connected to.
struct Endpoint {
  int family = 0;
  sockaddr_storage address = {};
  socklen_t size = 0;
};

/// The addresses of `host` (a name of /etc/hosts or the DNS, or an address), with `port`, in the order to try them.
/// `family` is AF_INET, AF_INET6 or AF_UNSPEC. Empty: there is no such name. Errc::timeout, Errc::io: nobody could say.
Result<std::vector<Endpoint>> resolve_host(const std::string& host, std::uint16_t port, int family,
                                           std::chrono::milliseconds timeout);

/// As SystemView::dial.
Result<Reached> dial_address(const DialRequest& request);

/// As SystemView::ask_dns.
Result<DnsAnswer> query_dns(const DnsRequest& request);

/// The records of `type` in an answer (RFC 1035), as dig prints them; names end in a dot. Exported for tests.
Result<std::vector<std::string>> records_of(std::string_view message, std::uint16_t type);

}  // namespace converge
