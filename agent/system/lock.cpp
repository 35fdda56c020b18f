#include "system/lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/text.h"

namespace converge {
namespace {

constexpr const char* directory = "/run/converge";
constexpr const char* file = "/run/converge/lock";

Error failure(int error, const std::string& doing) {
  return Error{error == EACCES || error == EPERM ? Errc::permission : Errc::io,
               fmt::format("cannot {}: {}", doing, strerror(error)),
               {},
               {}};
}

Result<int> open_lock(const AbsPath& root) {
  if (root.str() != "/") {
    const int fd = open(root.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failure(errno, fmt::format("open '{}'", root.str()));
    return fd;
  }
  if (mkdir(directory, 0755) != 0 && errno != EEXIST) return failure(errno, fmt::format("make '{}'", directory));
  const int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failure(errno, fmt::format("open '{}'", file));
  return fd;
}

std::string holder_of(int fd) {
  std::array<char, 512> buffer{};
  const ssize_t got = pread(fd, buffer.data(), buffer.size(), 0);
  if (got <= 0) return "another run";
  return printable(trim(std::string_view(buffer.data(), static_cast<std::size_t>(got))));
}

}  // namespace

Result<RunLock> RunLock::take(const AbsPath& root, const std::string& note, const Patience& wait) {
  auto fd = open_lock(root);
  if (!fd) return std::move(fd).error().during("taking the lock of this host");
  RunLock lock(*fd);
  const auto holder = [&] { return root.str() == "/" ? holder_of(*fd) : std::string("another run"); };
  const auto attempt = [&] { return flock(*fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; };
  int failed = attempt();
  // Not a flock that waits: whoever is asked to stop must hear it.
  while (failed == EWOULDBLOCK && wait && wait(holder())) {
    (void)poll(nullptr, 0, 100);
    failed = attempt();
  }
  if (failed == EWOULDBLOCK)
    return Error{
        Errc::changed, fmt::format("{} holds this host", holder()), {}, "try again later, or wait for it with --wait"};
  if (failed != 0) return failure(failed, "lock").during("taking the lock of this host");
  // Only for the message of a second run: a note that cannot be written costs nothing but that.
  if (root.str() == "/" && ftruncate(*fd, 0) == 0) (void)!pwrite(*fd, note.data(), note.size(), 0);
  return lock;
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace converge
