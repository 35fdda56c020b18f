// A connection to another host, perhaps with TLS on it, and a deadline over all of it. OpenSSL is used in
// connection.cpp and nowhere else.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/network.h"
#include "system/os.h"

struct ssl_st;
struct ssl_ctx_st;

namespace converge {

/// The peer's fault, or the network's (Errc::refused): that is an answer about the service.
Error no_answer(std::string why);

class Connection {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Connection(Clock::time_point deadline) : deadline_(deadline) {}

  /// Connects to the first address of `host` that lets us. Errc::refused, Errc::timeout; others: we could not tell.
  Status open(const std::string& host, std::uint16_t port);
  /// TLS with `host`, whose certificate must be good and be for that name, unless the request allows any.
  Status secure(const std::string& host, const HttpRequest& request);
  Status send(std::string_view bytes);
  /// How many bytes were read; 0: the other side has closed.
  Result<std::size_t> receive(char* buffer, std::size_t size);
  /// What the other side showed in secure(); nullopt if it showed nothing.
  std::optional<Certificate> certificate() const;

 private:
  struct FreeTls {
    void operator()(ssl_st* tls) const;
    void operator()(ssl_ctx_st* context) const;
  };
  Status wait_for_tls(int result);

  Clock::time_point deadline_;
  Fd fd_;
  std::unique_ptr<ssl_ctx_st, FreeTls> context_;
  std::unique_ptr<ssl_st, FreeTls> tls_;  // goes before its context
};

}  // namespace converge
