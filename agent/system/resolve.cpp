#include "system/resolve.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "system/silent_mounts.h"

namespace converge {
namespace {

constexpr std::chrono::seconds patience{3};
constexpr int max_symlinks = 40;  // path_resolution(7)

int openat2_raw(int dir, const char* path, int flags, std::uint64_t resolve) {
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve;
  // A rename elsewhere while ".." is resolved under RESOLVE_IN_ROOT answers EAGAIN; openat2(2) says to try again.
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd >= 0) return static_cast<int>(fd);
    if (errno == EINTR || (errno == EAGAIN && attempt < 32)) continue;
    return -errno;
  }
}

}  // namespace

Resolver::Resolver(Fd root, bool walk_by_hand) : root_(std::move(root)), by_hand_(walk_by_hand) {
  if (by_hand_) return;
  const Fd probe(openat2_raw(root_.get(), ".", O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT));
  by_hand_ = !probe;
}

int Resolver::open(const AbsPath& path, int flags) const {
  if (silent_.empty()) return open_at_once(path, flags);
  if (is_on(silent_, path)) return -ETIMEDOUT;
  if (!by_hand_) {
    const int fd = openat2_raw(root_.get(), path.str().c_str(), flags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    if (fd != -ELOOP) return fd;
  }
  // Symlinks may lead onto a silent mount: somebody goes ahead.
  struct Ahead {
    const Resolver& resolver;
    const AbsPath& path;
    int flags;
  } const ahead{*this, path, O_PATH | (flags & (O_NOFOLLOW | O_DIRECTORY))};
  const auto go = [](const void* what) {
    const auto& [resolver, to, how] = *static_cast<const Ahead*>(what);
    const Fd fd(resolver.open_at_once(to, how));
    struct stat st = {};
    if (fd) (void)::fstat(fd.get(), &st);
  };
  return answers(go, &ahead, patience) ? open_at_once(path, flags) : -ETIMEDOUT;
}

int Resolver::open_at_once(const AbsPath& path, int flags) const {
  if (by_hand_) return walk(root_.get(), path.str(), flags, true);
  return openat2_raw(root_.get(), path.str().c_str(), flags, RESOLVE_IN_ROOT);
}

int Resolver::open_below(int dir, std::string_view relative, int flags) const {
  const std::string path = relative.empty() ? "." : std::string(relative);
  if (!silent_.empty()) {  // where `dir` really is tells all, for no symlink follows
    char where[PATH_MAX];
    const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(dir)).c_str(), where, sizeof(where));
    const auto base = AbsPath::parse(std::string_view(where, n > 0 ? static_cast<std::size_t>(n) : 0));
    if (base && is_on(silent_, relative.empty() ? *base : base->child(relative))) return -ETIMEDOUT;
  }
  if (by_hand_) return walk(dir, path, flags, false);
  return openat2_raw(dir, path.c_str(), flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int Resolver::walk(int base, std::string_view path, int flags, bool follow) const {
  std::deque<std::string> todo;
  for (const auto part : split(path, '/')) {
    if (!part.empty() && part != ".") todo.emplace_back(part);
  }
  std::vector<Fd> above;  // descriptors of the directories passed, so that ".." cannot leave the base
  const auto here = [&] { return above.empty() ? base : above.back().get(); };
  int links = 0;
  while (!todo.empty()) {
    const std::string name = std::move(todo.front());
    todo.pop_front();
    if (name == "..") {
      if (!above.empty()) above.pop_back();
      continue;
    }
    const bool last = todo.empty();
    Fd fd(::openat(here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return -errno;
    char target[PATH_MAX + 1];
    const ssize_t n = ::readlinkat(fd.get(), "", target, PATH_MAX);  // ENOENT: not a symlink
    if (n >= 0 && last && (flags & O_NOFOLLOW) != 0 && (flags & O_DIRECTORY) == 0) {
      return (flags & O_PATH) != 0 ? fd.release() : -ELOOP;
    }
    if (n >= 0) {
      if (!follow || ++links > max_symlinks) return -ELOOP;
      const std::string_view link(target, static_cast<std::size_t>(n));
      if (link.starts_with('/')) above.clear();
      const auto parts = split(link, '/');
      for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
        if (!it->empty() && *it != ".") todo.emplace_front(*it);
      }
      continue;
    }
    if (last) {
      const int opened = ::openat(here(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
      return opened < 0 ? -errno : opened;
    }
    above.push_back(std::move(fd));
  }
  const int opened = ::openat(here(), ".", (flags & ~O_NOFOLLOW) | O_CLOEXEC);
  return opened < 0 ? -errno : opened;
}

}  // namespace converge
