// HTTP/1.1 requests: messages are read by Boost.Beast's parser, gzip is zlib's.
#pragma once
#include "core/result.h"
#include "system/network.h"

namespace converge {

/// As SystemView::http.
Result<HttpAnswer> request_http(const HttpRequest& request);

}  // namespace converge
