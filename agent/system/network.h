// What the network answers: connections, names and pages. Every request has a deadline and a bounded answer; none of
// these changes anything on this host.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/values.h"

namespace converge {

struct DialRequest {
  std::string network = "tcp";  // tcp, tcp4, tcp6, udp, udp4, udp6, unix
  std::string address;          // "host:port", "[::1]:80", or a path for unix
  std::string local;            // the source address; empty: the kernel chooses
  std::chrono::milliseconds timeout{500};
};
/// unanswered: a datagram was sent, and neither an answer nor a refusal came. That says nothing.
enum class Reached : int { yes, no, unanswered };
std::string_view name_of(Reached reached);  // "reached", "not reached", "unanswered"

struct DnsRequest {
  std::string name;
  std::string type;    // A AAAA CAA CNAME MX NS PTR SRV TXT SSHFP; empty: A and AAAA
  std::string server;  // "host", "host:port"; empty: as /etc/hosts and /etc/resolv.conf say
  std::chrono::milliseconds timeout{500};
};
struct DnsAnswer {
  std::vector<std::string> records;  // sorted; empty: there is no such name or record
};

struct HttpRequest {
  std::string url, method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string user;
  Secret password;
  std::string ca_file, cert_file, key_file, proxy;
  std::string resolve;  // connect to this address instead of what the host's name resolves to
  bool allow_insecure = false, follow_redirects = true;
  bool handshake_only = false;  // ask nothing: the answer is the certificate
  std::chrono::milliseconds timeout{5000};
};
/// What a server showed in a TLS handshake.
struct Certificate {
  bool trusted = false;  // its chain ends in what is trusted, it is valid now, and for the name that was asked for
  std::string problem;   // why it is not
  std::vector<std::string> names;  // names and addresses it is for, sorted
  std::string subject, issuer;     // "CN=x,O=y" (RFC 2253)
  Timestamp not_before, not_after;
  std::string protocol;  // "TLSv1.3"
};
struct HttpAnswer {
  int status = 0;
  std::vector<std::string> headers;        // "Name: value", sorted
  std::string body;                        // decoded; at most 4 MiB
  bool cut = false;                        // there was more
  std::optional<Certificate> certificate;  // of an https:// URL; of the last one after redirections
};

/// The parts of an http:// or https:// URL.
struct Url {
  bool tls = false;
  std::string host, path, user, password;  // path with the query, at least "/"
  std::uint16_t port = 80;
};
/// Errc::invalid for anything else.
Result<Url> parse_url(std::string_view text);
/// Where a Location: leads from `base`.
std::string follow_location(const std::string& base, const std::string& location);
/// The URL without "user:password@".
std::string without_password(std::string_view url);

}  // namespace converge
