#include "system/lock.h"

#include <fcntl.h>
#include <fmt/core.h>
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

Result<RunLock> RunLock::take(const AbsPath& root, const std::string& note, bool wait) {
  auto fd = open_lock(root);
  if (!fd) return std::move(fd).error().during("taking the lock of this host");
  RunLock lock(*fd);
  int taken = flock(*fd, LOCK_EX | LOCK_NB);
  while (taken != 0 && wait && (errno == EWOULDBLOCK || errno == EINTR)) taken = flock(*fd, LOCK_EX);
  if (taken != 0 && errno == EWOULDBLOCK)
    return Error{Errc::changed,
                 fmt::format("{} holds this host", root.str() == "/" ? holder_of(*fd) : "another run"),
                 {},
                 "try again later, or wait for it with --wait"};
  if (taken != 0) return failure(errno, "lock").during("taking the lock of this host");
  // Only for the message of a second run: a note that cannot be written costs nothing but that.
  if (root.str() == "/" && ftruncate(*fd, 0) == 0) (void)!pwrite(*fd, note.data(), note.size(), 0);
  return lock;
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace converge
