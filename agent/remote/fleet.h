// Many hosts, some at a time: who is next, when to stop, and one thread that hears of everything in order.
#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "remote/session.h"

namespace converge::remote {

/// "5" or "30%", as --serial and --max-fail take it.
struct Share {
  std::size_t number = 0;
  bool percent = false;
  /// Errc::invalid unless it is a whole number, or a percentage up to 100.
  static Result<Share> parse(std::string_view text);
  /// Of `total`; a percentage is rounded down.
  std::size_t of(std::size_t total) const { return percent ? total * number / 100 : number; }
};

struct FleetOptions {
  std::size_t parallel = 32;      // hosts at a time
  std::optional<Share> serial;    // hosts in a batch: the next begins when one is done; at least 1
  std::optional<Share> max_fail;  // of a batch: when more have failed, no further host is begun
};

/// Runs `work` for each host on threads of the fleet's own, and calls the two listeners on the caller's thread, one at
/// a time: news as they come, then the end of each host.
/// @return the hosts that were never begun, in order: after an interrupt, or after too many failures.
std::vector<std::size_t> run_fleet(std::size_t hosts, const FleetOptions& options,
                                   const std::function<HostEnd(std::size_t host, const Tell& tell)>& work,
                                   const std::function<void(std::size_t host, News news)>& on_news,
                                   const std::function<bool(std::size_t host, HostEnd end)>& on_end,
                                   const Interrupted& interrupted);

}  // namespace converge::remote
