#include "system/replace.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "system/os.h"

namespace converge {
namespace {

constexpr std::int64_t stale_after = 3600;  // seconds; a younger temporary link may be another run's

/// ".NAME.converge-": never matches what a *.d directory's reader takes, which skips hidden names and other suffixes.
std::string temporary_prefix(const std::string& name) { return "." + name.substr(0, 200) + ".converge-"; }

std::string temporary_name(const std::string& name) {
  static constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::array<unsigned char, 6> random = {};
  if (::syscall(SYS_getrandom, random.data(), random.size(), 0U) != static_cast<long>(random.size())) {
    // Uniqueness is what O_EXCL guards; the name need not be secret.
    struct timespec t = {};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<unsigned char>(t.tv_nsec >> (i * 4U));
  }
  std::string out = temporary_prefix(name);
  for (const unsigned char byte : random) out += alphabet[byte % alphabet.size()];
  return out;
}

/// A temporary file is locked while its run lives, so what can be locked was left by one that died.
bool is_abandoned(int directory, const char* name, const struct stat& st, std::int64_t now) {
  if (!S_ISREG(st.st_mode)) return st.st_mtim.tv_sec < now - stale_after;
  const Fd fd(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

/// Removes what an interrupted run of ours left beside `name`. Best effort: a leftover is untidy, not wrong.
void remove_stale_temporaries(int directory, const std::string& name) {
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  DIR* entries = ::fdopendir(fd);
  if (entries == nullptr) {
    ::close(fd);
    return;
  }
  const std::string prefix = temporary_prefix(name);
  struct timespec t = {};
  ::clock_gettime(CLOCK_REALTIME, &t);
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view found = entry->d_name;
    if (!found.starts_with(prefix) || found.size() != prefix.size() + 6) continue;
    struct stat st = {};
    if (::fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool ours = (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) && st.st_uid == ::geteuid();
    if (ours && is_abandoned(fd, entry->d_name, st, t.tv_sec)) ::unlinkat(fd, entry->d_name, 0);
  }
  ::closedir(entries);
}

}  // namespace

Temporary::Temporary(int directory, const std::string& name) : directory_(directory), name_(temporary_name(name)) {
  remove_stale_temporaries(directory, name);
}

Temporary::~Temporary() {
  if (!kept_) ::unlinkat(directory_, name_.c_str(), 0);
}

void hold_temporary(int fd) { (void)::flock(fd, LOCK_EX | LOCK_NB); }

int sync_directory(int directory) {
  const Fd fd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno == EACCES ? 0 : errno;
  return ::fsync(fd.get()) == 0 || errno == EINVAL ? 0 : errno;
}

int rename_noreplace(int from_directory, const char* from, int to_directory, const char* to) {
  if (::syscall(SYS_renameat2, from_directory, from, to_directory, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without the flag (some network and FUSE ones): a hard link refuses to replace as well.
  if (::linkat(from_directory, from, to_directory, to, 0) != 0) return errno;
  return ::unlinkat(from_directory, from, 0) == 0 ? 0 : errno;
}

}  // namespace converge
