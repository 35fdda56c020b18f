// A run of looks that ends by a deadline, whatever it looks at. What looks is a process of its own: one that the kernel
// does not let go (a file on a mount whose server is gone) is left to init, and the report goes out without it.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace converge::remote {

struct TimeLimit {
  std::chrono::steady_clock::time_point at;
  std::string called;  // "30s"
};

/// "30s", "1500ms".
std::string shown(std::chrono::milliseconds time);

/// `look` is called in a child process, and tells there what the returned tally counts and `observer`, here, is told
/// of. What it has not told of by the deadline is Outcome::unknown, with a reason that names it; programs that still
/// run for it are killed with their groups. `verb` is verify or drift, `work` what is looked at; `look` must open a
/// System of its own. `stop` is asked here.
Tally look_until(const TimeLimit& deadline, Verb verb, const std::vector<Work>& work, Observer& observer,
                 const std::function<bool()>& stop, const std::function<Tally(Observer&, const RunOptions&)>& look);
/// The same for converge::run() in the tree at `root`, which the child opens anew: its connections are its own.
Tally look_until(const TimeLimit& deadline, Verb verb, const std::vector<Work>& work, Observer& observer,
                 const RunOptions& options, const AbsPath& root, std::size_t at_once = 0);

}  // namespace converge::remote
