// A small HTTP/1.1 server for verbs that stay: GET and HEAD, keep-alive, TLS. Every connection has deadlines and
// bounds; what a client sends is hostile until it has been read.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace converge::web {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  // "GET" or "HEAD"
  std::string path;    // decoded, begins with '/'
  Fields query;        // decoded, in the order given
  Fields headers;      // names in lower case, in the order given
  std::string remote;  // the client's address: "127.0.0.1", "::1"

  /// The value of a header; several are joined by ", ". "" if there is none. `name` in lower case.
  std::string header(std::string_view name) const;
  /// The last value of a parameter; null if it was not given.
  const std::string* parameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  Fields headers;  // beside Content-Type, Content-Length, Connection, Date and Server, which are the server's
  std::string body;
};

/// Runs on one of a few threads, several at once. For HEAD the body is left out by the server. What it throws is
/// answered with 500.
using Handler = std::function<Response(const Request&)>;

/// Files in PEM. They are read again when they have changed; what cannot be read then is told to Listen::warn, and the
/// old ones stay.
struct Tls {
  std::string certificate;  // with its chain
  std::string key;          // empty: in the same file
  std::string client_ca;    // clients must show a certificate signed by one of these; empty: anyone may come
};

struct Limits {
  std::size_t connections = 256;  // at the limit the one idle longest is closed, or the next has to wait
  std::size_t header_bytes = 16 * 1024;
  std::size_t workers = 16;                     // threads that handlers run on
  std::chrono::milliseconds handshake{10'000};  // for all of TLS's
  std::chrono::milliseconds header{10'000};     // of a request, from its first byte; and for the first request to begin
  std::chrono::milliseconds idle{60'000};       // between requests
  std::chrono::milliseconds write{30'000};      // for the whole answer
  std::chrono::milliseconds grace{10'000};      // at the end, for answers that are under way
};

struct Listen {
  std::string address =
      "127.0.0.1:8080";  // ":8080" (all addresses), "127.0.0.1:8080", "[::1]:8080"; port 0: a free one
  std::optional<Tls> tls;
  Limits limits;
  std::function<void(const std::string&)> warn;  // what goes wrong and stops nobody; called by the server's thread
};

struct Endpoint {
  std::string host;  // an address; "" stands for all
  std::uint16_t port = 0;
};
/// Errc::invalid for anything but an address (or nothing, or "localhost") and a port.
Result<Endpoint> parse_endpoint(std::string_view text);

/// Listens from start() until stop(), which the destructor calls too.
class Server {
 public:
  /// Errc::exists if the port is taken, Errc::permission if it may not be had, Errc::invalid for an address that is not
  /// this machine's or a certificate that cannot be used.
  static Result<std::unique_ptr<Server>> start(Listen listen, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  /// "http://127.0.0.1:41233"; for all addresses "http://localhost:8080".
  std::string url() const;
  /// Accepts nobody more, closes what is idle, waits for answers under way up to Limits::grace, and for the handlers
  /// that run. After it no thread is left.
  void stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace converge::web
