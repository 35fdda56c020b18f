// HTTP/1.1 requests with TLS: messages are read by Boost.Beast's parser, TLS is OpenSSL's, gzip is zlib's.
#pragma once
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/network.h"

namespace converge {

/// As SystemView::http.
Result<HttpAnswer> request_http(const HttpRequest& request);

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

}  // namespace converge
