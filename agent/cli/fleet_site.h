// The fleet over HTTP: the page, what it asks for, the same for programs, and metrics. It only reads.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "core/values.h"
#include "history/history.h"
#include "web/server.h"

namespace converge::cli {

struct FleetSite {
  std::function<Result<std::unique_ptr<history::History>>()> open;  // a view of its own for each request
  std::function<Timestamp()> now;
  std::chrono::seconds stale{0};
  bool loopback = true;  // only for this machine: then a request must have been meant for it, by its Host
  bool encrypted = false;
  Secret token;    // what a client must show; empty: nothing
  Secret session;  // the cookie of a browser that has shown it; random, made anew with each start
};

/// Safe to call from several threads at once.
web::Response answer(const FleetSite& site, const web::Request& request);

/// The token of a file: its first line, of at least 16 characters. Errc::refused if others may read the file.
Result<Secret> read_token(const std::string& path);

}  // namespace converge::cli
