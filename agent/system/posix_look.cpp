// Looking at files, directories and file systems.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "system/posix_internal.h"
#include "system/posix_system.h"

namespace converge {
namespace {

constexpr std::size_t max_entries = 100'000;

}  // namespace

PathState PosixSystem::state_of(int fd, const struct stat& st) const {
  const std::optional<Owner> owner =
      privileged_ || live_ ? std::optional<Owner>(Owner{st.st_uid, st.st_gid}) : std::nullopt;
  const Mode mode{st.st_mode & 07777U};
  switch (st.st_mode & S_IFMT) {
    case S_IFREG: {
      RegularFile file;
      file.mode = mode;
      file.owner = owner;
      file.size = Bytes{static_cast<std::uint64_t>(st.st_size)};
      file.modified = timestamp_of(st.st_mtim);
      file.inode = st.st_ino;
      file.device = st.st_dev;
      file.links = st.st_nlink;
      return file;
    }
    case S_IFDIR:
      return DirectoryInfo{mode, owner};
    case S_IFLNK: {
      std::array<char, 4097> target;
      const ssize_t n = ::readlinkat(fd, "", target.data(), target.size());
      return Symlink{std::string(target.data(), n > 0 ? static_cast<std::size_t>(n) : 0)};
    }
    case S_IFSOCK:
      return OtherKind{"socket"};
    case S_IFIFO:
      return OtherKind{"fifo"};
    case S_IFBLK:
      return OtherKind{"block device"};
    case S_IFCHR:
      return OtherKind{"character device"};
    default:
      return OtherKind{"unknown kind"};
  }
}

Result<PathState> PosixSystem::look(const Place& place) const {
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  const int raw = open_raw(place, O_PATH | O_NOFOLLOW);
  if (raw == -ENOENT || raw == -ENOTDIR) return PathState(Absent{});
  if (raw < 0) return explain(-raw, "look at", place);
  const Fd fd(raw);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return explain(errno, "look at", place);
  return state_of(fd.get(), st);
}

Result<Seen> PosixSystem::read(const Place& place, Bytes limit) const {
  // Opening a device can rewind a tape or reset a modem. They live in /dev; one look more is cheap there.
  if (place.path.is_within(AbsPath("/dev"))) {
    auto state = look(place);
    if (!state) return std::move(state).error();
    if (!std::holds_alternative<RegularFile>(*state)) return Seen{*std::move(state), {}};
  }
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  const int raw = open_raw(place, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  if (raw == -ENOENT || raw == -ENOTDIR) return Seen{Absent{}, {}};
  if (raw == -ELOOP || raw == -ENXIO || raw == -ENODEV) {  // a symlink, a socket: say which
    const Fd fd(open_raw(place, O_PATH | O_NOFOLLOW));
    struct stat st = {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || S_ISREG(st.st_mode)) return explain(-raw, "read", place);
    return Seen{state_of(fd.get(), st), {}};
  }
  if (raw < 0) return explain(-raw, "read", place);
  const Fd fd(raw);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return explain(errno, "read", place);
  Seen seen{state_of(fd.get(), st), {}};
  if (!S_ISREG(st.st_mode)) return seen;

  const auto too_big = [&] {
    return Error{Errc::too_big, fmt::format("{} is larger than {}", show(place.path), limit.text()), {}, {}};
  };
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (size > limit.count) return too_big();
  // One byte more than it should hold: a short read then proves the end without asking again. Files of /proc say 0.
  std::size_t room = size > 0 ? size + 1 : std::min<std::size_t>(4096, limit.count + 1);
  std::size_t filled = 0;
  for (;;) {
    seen.content.resize(room);
    const ssize_t n = ::read(fd.get(), seen.content.data() + filled, room - filled);
    if (n < 0) {
      if (errno == EINTR) continue;
      return explain(errno, "read", place);
    }
    filled += static_cast<std::size_t>(n);
    if (filled > limit.count) return too_big();
    if (n == 0 || (size > 0 && filled == size)) break;
    if (filled == room) room = std::min<std::size_t>(room * 2, limit.count + 1);
  }
  seen.content.resize(filled);
  return seen;
}

Result<std::optional<std::vector<std::string>>> PosixSystem::list(const Place& place) const {
  using Names = std::optional<std::vector<std::string>>;
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  const int fd = open_raw(place, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (fd == -ENOENT || fd == -ENOTDIR) return Names(std::nullopt);
  if (fd < 0) return explain(-fd, "list", place);
  DIR* entries = ::fdopendir(fd);
  if (entries == nullptr) {
    const int failed = errno;
    ::close(fd);
    return explain(failed, "list", place);
  }
  std::vector<std::string> names;
  int failed = 0;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries);
    if (entry == nullptr) {
      failed = errno;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == max_entries) {
      ::closedir(entries);
      return Error{Errc::too_big, fmt::format("{} holds more than {} names", show(place.path), max_entries), {}, {}};
    }
    names.emplace_back(name);
  }
  ::closedir(entries);
  if (failed != 0) return explain(failed, "list", place);
  std::sort(names.begin(), names.end());
  return Names(std::move(names));
}

Result<FileSystem> PosixSystem::file_system(const AbsPath& path) const {
  AbsPath at = path;
  int raw = resolver_.open(at, O_PATH);
  while ((raw == -ENOENT || raw == -ENOTDIR) && at.str() != "/") {
    at = at.parent();
    raw = resolver_.open(at, O_PATH);
  }
  if (raw < 0) return explain(-raw, "look at", at);
  const Fd fd(raw);
  struct statfs fs = {};
  if (::fstatfs(fd.get(), &fs) != 0) return explain(errno, "ask the file system of", at);
  FileSystem out;
  out.type = file_system_name(static_cast<std::uint64_t>(static_cast<unsigned long>(fs.f_type)) & 0xFFFFFFFFU);
  const auto unit = static_cast<std::uint64_t>(fs.f_frsize > 0 ? fs.f_frsize : fs.f_bsize);
  out.available = Bytes{fs.f_bavail * unit};
  out.total = Bytes{fs.f_blocks * unit};
  out.unused = Bytes{fs.f_bfree * unit};
  out.read_only = (static_cast<unsigned long>(fs.f_flags) & ST_RDONLY) != 0;
  return out;
}

Result<std::optional<FileStatus>> PosixSystem::status(const AbsPath& path) const {
  using Answer = std::optional<FileStatus>;
  struct stat st = {};
  Fd fd;
  int failed = 0;
  if (live_ && ::lstat(path.str().c_str(), &st) != 0) failed = errno;
  // The root is the process's own: one call says it all, except where a link points.
  if (failed == 0 && (!live_ || S_ISLNK(st.st_mode))) {
    const int raw = resolver_.open(path, O_PATH | O_NOFOLLOW);
    if (raw < 0) failed = -raw;
    if (raw >= 0) fd = Fd(raw);
    if (fd && ::fstat(fd.get(), &st) != 0) failed = errno;
  }
  if (failed == ENOENT || failed == ENOTDIR) return Answer(std::nullopt);
  if (failed != 0) return explain(failed, "look at", path);
  const PathState state = state_of(fd.get(), st);
  FileStatus out;
  out.kind = kind_of(state);
  out.mode = Mode{st.st_mode & 07777U};
  if (privileged_ || live_) out.owner = Owner{st.st_uid, st.st_gid};
  out.size = Bytes{static_cast<std::uint64_t>(st.st_size)};
  if (const auto* link = std::get_if<Symlink>(&state)) out.target = link->target;
  return Answer(std::move(out));
}

Result<bool> PosixSystem::stream(const AbsPath& path, const TakePiece& take) const {
  // What it is comes first: opening a device or a pipe can change it.
  const int looked = resolver_.open(path, O_PATH);
  if (looked == -ENOENT || looked == -ENOTDIR) return false;
  if (looked < 0) return explain(-looked, "read", path);
  const Fd known(looked);
  struct stat st = {};
  if (::fstat(known.get(), &st) != 0) return explain(errno, "read", path);
  if (!S_ISREG(st.st_mode)) {
    return Error{
        Errc::invalid, fmt::format("{} is a {}, not a file", show(path), kind_of(state_of(known.get(), st))), {}, {}};
  }
  const int raw = resolver_.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (raw < 0) return explain(-raw, "read", path);
  const Fd fd(raw);
  // Small enough for the cache of a core, large enough for the cost of a call not to count.
  std::string buffer(st.st_size > 0 && st.st_size < 131072 ? static_cast<std::size_t>(st.st_size) + 1 : 131072, '\0');
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return explain(errno, "read", path);
    if (n == 0 || !take(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)))) return true;
  }
}

}  // namespace converge
