// Running programs: bounded in time and in what they may say, with nothing of ours inherited. Boost.Process is used
// here and nowhere else.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// A command, and what its user's entry in passwd(5) and group(5) says.
struct Launch {
  const Command* command = nullptr;
  std::vector<gid_t> groups;  // supplementary groups, used with Command::as only
  std::string home = "/";     // HOME
};

/// Runs all of them, at most `parallel` at a time; the answers are in the order of the launches. A non-zero exit is a
/// value. Errc::not_found: no such program; Errc::permission: it may not be executed; Errc::timeout: its process group
/// got TERM at the deadline and KILL two seconds later. A process left behind in the background is not waited for.
std::vector<Result<CommandOutput>> run_all(const std::vector<Launch>& launches, std::size_t parallel);

/// Our own environment, for commands that are to have it.
std::vector<std::pair<std::string, std::string>> own_environment();

/// Programs in the background. Each begins at once, or as soon as fewer than `parallel` run; they are looked after
/// (read, fed, held to their deadline) whenever somebody waits for an answer or lets time pass.
class Jobs {
 public:
  explicit Jobs(std::size_t parallel);
  Jobs(Jobs&& other) noexcept;
  Jobs& operator=(Jobs&& other) noexcept;
  /// Those that still run get KILL, with their process groups.
  ~Jobs();

  /// A number to ask for the answer with. What `launch.command` points to must live until it was given.
  std::size_t start(Launch launch);
  /// Waits for its end; the answers are those of run_all(). To be asked once.
  Result<CommandOutput> answer(std::size_t job);
  /// True if its answer is there. Does not wait.
  bool ended(std::size_t job);
  /// Ends a job that nobody will ask about any more: KILL, with its process group. Not to be called once it was asked.
  void drop(std::size_t job);
  /// Lets time pass.
  void pass(std::chrono::milliseconds time);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Keeps the beginning of what is added, and its last 64 KiB.
class Capture {
 public:
  /// `keep` counts both; at least 64 KiB are kept.
  explicit Capture(Bytes keep = Command().keep);
  void add(std::string_view bytes);
  /// What was kept, with a line saying how much is missing between head and tail.
  std::string text() const;
  bool cut() const;  // something is missing

 private:
  std::size_t head_limit_;
  std::string head_, tail_;
  std::size_t dropped_ = 0;
};

}  // namespace converge
