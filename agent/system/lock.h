// One run at a time on a host: flock(2) on a file, released by the kernel when its holder dies. Never unlinked.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "core/result.h"
#include "core/values.h"

namespace converge {

/// Held until destroyed.
class RunLock {
 public:
  /// Asked with the holder's note ten times a second while another run has it: whether to wait on.
  using Patience = std::function<bool(const std::string& holder)>;
  /// Takes the lock of the host (/run/converge/lock; its directory is made if absent), or of the tree at `root` (the
  /// lock of the directory itself: nothing is written into a tree). `note` is what a second run is told: who, since
  /// when.
  /// @return the lock; Errc::changed with the holder's note when another run has it and `wait`, if any, said no.
  static Result<RunLock> take(const AbsPath& root, const std::string& note, const Patience& wait = nullptr);

  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;
  RunLock(const RunLock&) = delete;
  ~RunLock();

 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace converge
