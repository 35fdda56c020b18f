#include "system/posix_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <algorithm>
#include <thread>

#include <cerrno>

#include "core/text.h"
#include "system/posix_internal.h"
#include "system/silent_mounts.h"

namespace converge {
namespace {

constexpr std::chrono::seconds mount_patience{3};

/// The mounts of this machine that no look may touch.
std::vector<AbsPath> mounts_to_avoid() {
  const Fd fd(::open("/proc/self/mounts", O_RDONLY | O_CLOEXEC));
  std::string text;
  for (std::size_t filled = 0; fd;) {
    text.resize(filled + 65536);
    const ssize_t n = ::read(fd.get(), text.data() + filled, text.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    filled += n > 0 ? static_cast<std::size_t>(n) : 0;
    text.resize(filled);
    if (n <= 0) break;
  }
  return silent_mounts(text, mount_patience);
}

std::string run_id_now() {
  struct timespec t = {};
  ::clock_gettime(CLOCK_REALTIME, &t);
  struct tm utc = {};
  ::gmtime_r(&t.tv_sec, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z-{}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, ::getpid());
}

}  // namespace

PosixSystem::PosixSystem(Fd root, AbsPath root_path, std::size_t at_once)
    : resolver_(std::move(root)),
      root_path_(std::move(root_path)),
      live_(root_path_.str() == "/"),
      privileged_(::geteuid() == 0),
      run_id_(run_id_now()),
      at_once_wanted_(at_once),
      // Goss's own measure, and no fewer than one waits for on a small machine.
      at_once_(at_once != 0 ? at_once : std::clamp<std::size_t>(5 * std::thread::hardware_concurrency(), 8, 50)),
      memory_(at_once_),
      begun_jobs_(at_once_) {
  if (live_) resolver_.avoid(mounts_to_avoid());
}

Result<std::unique_ptr<System>> open_system(const AbsPath& root, std::size_t at_once) {
  Fd fd(::open(root.str().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return os_error(errno, fmt::format("open the root {}", show(root)));
  return std::unique_ptr<System>(std::make_unique<PosixSystem>(std::move(fd), root, at_once));
}

int PosixSystem::open_raw(const Place& place, int flags) const {
  // At the home itself and above, symlinks are the administrator's; below it, they may be anyone's.
  if (!place.as || place.path == place.as->home || !place.path.is_within(place.as->home)) {
    return resolver_.open(place.path, flags);
  }
  const std::string& home = place.as->home.str();
  const int raw = resolver_.open(place.as->home, O_PATH | O_DIRECTORY);
  if (raw < 0) return raw;
  const Fd base(raw);
  const std::size_t skip = home == "/" ? 1 : home.size() + 1;
  return resolver_.open_below(base.get(), std::string_view(place.path.str()).substr(skip), flags);
}

Error PosixSystem::explain(int error_number, std::string_view doing, const Place& place) const {
  Error error = os_error(error_number, fmt::format("{} {}", doing, show(place.path)));
  if (error.code == Errc::symlink) {
    if (place.as && place.path.is_within(place.as->home)) {
      error.message = fmt::format("cannot {} {}: a part of it below {} is a symbolic link, which is not followed there",
                                  doing, show(place.path), show(place.as->home));
      error.hint = fmt::format("'{}' can plant links there; replace it by a directory, or name the real path",
                               printable(place.as->name));
    } else {
      error.message =
          fmt::format("cannot {} {}: its symbolic links lead in a circle or out of the tree", doing, show(place.path));
    }
  }
  if (error_number == ETIMEDOUT) {
    error.message = fmt::format("cannot {} {}: the file system it is on does not answer", doing, show(place.path));
    error.hint = "see whether what serves it runs; umount --lazy gives it up";
  }
  if (error_number == EACCES && place.as && privileged_) {
    error.message += fmt::format(" (as user '{}')", printable(place.as->name));
    error.hint =
        live_ ? "" : fmt::format("every directory above the tree '{}' must let that user pass", root_path_.str());
  }
  return error;
}

Result<PosixSystem::Entry> PosixSystem::entry_of(const Place& place) const {
  if (place.path.str() == "/") return Error{Errc::invalid, "the root directory itself cannot be changed", {}, {}};
  const Place parent(place.path.parent(), place.as);
  const int fd = open_raw(parent, O_PATH | O_DIRECTORY);
  if (fd >= 0) return Entry{Fd(fd), place.path.name()};
  if (fd == -ENOENT) {
    return Error{Errc::not_found, fmt::format("the directory {} does not exist", show(parent.path)), {}, {}};
  }
  return explain(-fd, "open the directory", parent);
}

Timestamp PosixSystem::now() const {
  struct timespec t = {};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return timestamp_of(t);
}

std::uint64_t PosixSystem::page_size() const { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

Timestamp timestamp_of(const struct timespec& t) {
  return {static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000};
}

std::string file_system_name(std::uint64_t type) {
  struct Known {
    std::uint64_t type;
    const char* name;
  };
  static constexpr Known all[] = {
      {0xEF53, "ext4"},      {0x58465342, "xfs"},     {0x9123683E, "btrfs"},   {0x01021994, "tmpfs"},
      {0x858458F6, "ramfs"}, {0x794C7630, "overlay"}, {0x6969, "nfs"},         {0x2FC12FC1, "zfs"},
      {0x65735546, "fuse"},  {0xF2F52010, "f2fs"},    {0x4D44, "vfat"},        {0x73717368, "squashfs"},
      {0x9FA0, "proc"},      {0x62656572, "sysfs"},   {0x63677270, "cgroup2"},
  };
  for (const auto& known : all) {
    if (known.type == type) return known.name;
  }
  return fmt::format("0x{:x}", type);
}

Error not_live(std::string_view what) {
  return Error{Errc::unsupported,
               fmt::format("{} needs a running host, and this is a directory tree", what),
               {},
               "leave out --root to work on this machine"};
}

Error changed_meanwhile(const AbsPath& path) {
  return Error{
      Errc::changed, fmt::format("{} was changed by someone else in this moment", show(path)), {}, "run again"};
}

std::string show(const AbsPath& path) { return fmt::format("'{}'", printable(path.str())); }

}  // namespace converge
