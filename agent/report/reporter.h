// What a run says. Hosts emit steps, several of them at once in any order; a reporter turns them into words for people
// or for programs.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/finding.h"

namespace converge {

struct RunInfo {
  Verb verb = Verb::apply;
  std::vector<std::string> hosts;
  std::string root;  // "/" or the tree
  std::string version;
  std::size_t item_width = 0;  // columns of the longest name of an item
};

/// Why a host has nothing to count: "unreachable" (never got there), "lost" (the connection ended before the run did),
/// "busy" (another run holds it), "refused" (it was reached, and the run could not begin there), "not begun" (its turn
/// did not come).
enum class NoRun { unreachable, lost, busy, refused, not_begun };
std::string_view name_of(NoRun why);
std::optional<NoRun> no_run_from(std::string_view name);

/// Used by one thread.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void run_begins(const RunInfo& info) = 0;
  /// What the host is at now: an item, or "connecting".
  virtual void doing(const std::string& host, const std::string& what) = 0;
  virtual void step(const std::string& host, const Step& step) = 0;
  /// Something worth knowing that is no step: "the run before this one was cut off".
  virtual void note(const std::string& host, const std::string& text) = 0;
  /// Before host_ends() of a drift run, and of an apply that is remembered: what is new, what was known, what is in
  /// sync again.
  virtual void compared(const std::string& /*host*/, const Compared& /*compared*/) {}
  /// What the host knows about a step of a drift run, and a run that it did by itself: before compared().
  virtual void evidence(const std::string& /*host*/, const Testimony& /*evidence*/) {}
  virtual void past(const std::string& /*host*/, const PastRun& /*run*/) {}
  virtual void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) = 0;
  virtual void host_failed(const std::string& host, NoRun why, const Error& error) = 0;
  virtual void run_ends(int exit_code, std::chrono::microseconds took) = 0;
};

struct TextOptions {
  bool colour = false;
  bool progress = false;     // what takes long is told on standard error
  std::size_t columns = 80;  // of the terminal
  bool all = false;          // also what is in sync
  std::string retry;         // how to say the failed hosts again: "-l @failed"; empty: not offered
};

/// Lines for people on standard output. What hosts could not be reached for is told at the end.
std::unique_ptr<Reporter> text_reporter(TextOptions options);
/// The same for drift: what stopped being so, since when, and who may know why. `now` is asked when a host ends.
std::unique_ptr<Reporter> drift_reporter(TextOptions options, std::function<Timestamp()> now);
/// One JSON object per line on standard output; README.md documents every key.
std::unique_ptr<Reporter> json_reporter();

}  // namespace converge
