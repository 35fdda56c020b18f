// Paths inside a root. With root "/" it is how production resolves; with a directory, "..", absolute symlinks and all
// stay inside. openat2(2), or a walk by hand where the kernel (before 5.6) or a seccomp filter has no openat2.
#pragma once
#include <string_view>
#include <vector>

#include "core/values.h"
#include "system/os.h"

namespace converge {

class Resolver {
 public:
  /// `root` is an O_PATH descriptor of the root directory. `walk_by_hand` is for tests of the fallback; without it the
  /// kernel is asked once what it can do.
  explicit Resolver(Fd root, bool walk_by_hand = false);

  /// From now on open() answers -ETIMEDOUT for what is on one of these mounts, by its own path or by way of symlinks.
  void avoid(std::vector<AbsPath> silent_mounts) { silent_ = std::move(silent_mounts); }

  /// A descriptor of `path` under the root, or -errno. Symlinks in the directory part are followed inside the root; the
  /// last component is followed unless `flags` hold O_NOFOLLOW. O_CLOEXEC is added.
  int open(const AbsPath& path, int flags) const;

  /// A descriptor of `relative` (no leading '/', no '..'; "" is `dir` itself) below `dir`, following no symlink at all:
  /// -ELOOP if a component is one, except the last with O_PATH|O_NOFOLLOW, which is then itself opened.
  int open_below(int dir, std::string_view relative, int flags) const;

 private:
  int open_at_once(const AbsPath& path, int flags) const;
  int walk(int base, std::string_view path, int flags, bool follow) const;

  Fd root_;
  bool by_hand_ = false;
  std::vector<AbsPath> silent_;  // mostly none
};

}  // namespace converge
