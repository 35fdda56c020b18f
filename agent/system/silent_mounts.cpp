#include "system/silent_mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string>

#include "core/text.h"
#include "system/os.h"

namespace converge {
namespace {

using Clock = std::chrono::steady_clock;

/// A process that asks, and the end of a pipe that closes when it has ended.
class Asking {
 public:
  Asking(void (*ask)(const void*), const void* what) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    ended_ = Fd(ends[0]);
    const Fd theirs(ends[1]);
    child_ = ::fork();
    if (child_ == 0) {
      ask(what);
      ::_exit(0);
    }
  }
  /// True if it has ended by `until`, or could not even begin.
  bool ended_by(Clock::time_point until) {
    if (child_ <= 0) return true;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      struct pollfd polled = {ended_.get(), POLLIN, 0};
      const int ready = ::poll(&polled, 1, static_cast<int>(std::clamp<long>(left, 0, INT_MAX)));
      if (ready < 0 && errno == EINTR) continue;
      // One that hears not even KILL is left to init.
      if (ready <= 0) ::kill(child_, SIGKILL);
      int status = 0;
      while (::waitpid(child_, &status, ready > 0 ? 0 : WNOHANG) < 0 && errno == EINTR) {
      }
      return ready > 0;
    }
  }

 private:
  Fd ended_;
  pid_t child_ = -1;
};

bool is_answered_elsewhere(std::string_view type) {
  constexpr std::array<std::string_view, 10> types = {"fuse", "fuseblk", "nfs", "nfs4", "cifs",
                                                      "smb3", "9p",      "afs", "ceph", "lustre"};
  return type.starts_with("fuse.") || std::find(types.begin(), types.end(), type) != types.end();
}

/// The bytes of an escaped field.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::vector<AbsPath> silent_mounts(std::string_view mounts, std::chrono::milliseconds patience) {
  std::vector<AbsPath> silent;
  for (const auto line : split_lines(mounts)) {
    const auto words = fields(line);
    if (words.size() < 3 || !is_answered_elsewhere(words[2])) continue;
    if (auto path = AbsPath::parse(unescaped(words[1]))) silent.push_back(*std::move(path));
  }
  std::vector<Asking> asking;
  asking.reserve(silent.size());
  for (const AbsPath& mount : silent) {
    asking.emplace_back(
        [](const void* path) {
          struct statx seen = {};
          (void)::statx(AT_FDCWD, static_cast<const char*>(path), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &seen);
        },
        mount.str().c_str());
  }
  const auto until = Clock::now() + patience;
  std::size_t at = 0;
  std::erase_if(silent, [&](const AbsPath&) { return asking[at++].ended_by(until); });
  return silent;
}

bool is_on(const std::vector<AbsPath>& mounts, const AbsPath& path) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const AbsPath& mount) { return path.is_within(mount); });
}

bool answers(void (*ask)(const void* what), const void* what, std::chrono::milliseconds patience) {
  return Asking(ask, what).ended_by(Clock::now() + patience);
}

}  // namespace converge
