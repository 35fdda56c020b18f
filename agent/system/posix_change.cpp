// Changing files and directories. Nothing is written in place, but for the kernel's own files.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <cerrno>

#include "core/text.h"
#include "system/posix_internal.h"
#include "system/posix_system.h"
#include "system/replace.h"
#include "system/swap_file.h"

namespace converge {
namespace {

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

/// Extended attributes, POSIX ACLs and the SELinux label of `from`, onto `to`. 0 or errno. What the kernel derives from
/// the content (file capabilities, integrity hashes) belongs to the old content and stays behind.
int copy_attributes(int from, int to) {
  std::string names(4096, '\0');
  ssize_t size = ::flistxattr(from, names.data(), names.size());
  if (size < 0 && errno == ERANGE) {
    names.resize(65536);
    size = ::flistxattr(from, names.data(), names.size());
  }
  if (size < 0) return errno == ENOTSUP || errno == ENOSYS ? 0 : errno;
  names.resize(static_cast<std::size_t>(size));
  for (const auto part : split(names, '\0')) {
    const std::string name(part);
    if (name.empty() || name == "security.capability" || name == "security.ima" || name == "security.evm") continue;
    std::string value(65536, '\0');
    const ssize_t length = ::fgetxattr(from, name.c_str(), value.data(), value.size());
    if (length < 0) {
      if (errno == ENODATA || errno == ENOTSUP) continue;
      return errno;
    }
    if (::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(length), 0) == 0) continue;
    const bool of_the_kernel = name.starts_with("security.") || name.starts_with("trusted.");
    if (errno == ENOTSUP || (of_the_kernel && errno == EPERM)) continue;
    return errno;
  }
  return 0;
}

/// 'a' or 'i' if chattr(1) set that attribute, 0 if not or unknown.
char guarded(int fd) {
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return 0;
  if ((flags & FS_IMMUTABLE_FL) != 0) return 'i';
  return (flags & FS_APPEND_FL) != 0 ? 'a' : '\0';
}

}  // namespace

Error PosixSystem::explain_write(int error_number, std::string_view doing, const Place& place, int directory,
                                 const std::string& name) const {
  if (error_number == EBUSY) {
    return Error{Errc::refused,
                 fmt::format("cannot {} {}: something is mounted on it, so it cannot be replaced atomically", doing,
                             show(place.path)),
                 {},
                 "change it where it is mounted from, for example in the container's configuration"};
  }
  if (error_number == EPERM) {
    struct stat st = {};
    const bool file = ::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    const Fd writable(file ? ::openat(directory, name.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) : -1);
    if (writable && probe_active(writable.get()) == SwapFileLook::Active::yes) {
      return Error{Errc::permission,
                   fmt::format("cannot {} {}: it is in use as swap", doing, show(place.path)),
                   {},
                   "take it out of use first (swapoff)"};
    }
    const bool safe_to_open = file || S_ISDIR(st.st_mode);
    const Fd target(safe_to_open ? ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1);
    const Fd parent(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const char on_target = target ? guarded(target.get()) : '\0';
    const char on_parent = parent ? guarded(parent.get()) : '\0';
    if (on_target != '\0' || on_parent != '\0') {
      const char attribute = on_target != '\0' ? on_target : on_parent;
      const AbsPath holder = on_target != '\0' ? place.path : place.path.parent();
      return Error{Errc::permission,
                   fmt::format("cannot {} {}: an administrator set the {} attribute on {}", doing, show(place.path),
                               attribute == 'i' ? "immutable" : "append-only", show(holder)),
                   {},
                   fmt::format("chattr -{} {}, if the reason for it is gone", attribute, holder.str())};
    }
  }
  return explain(error_number, doing, place);
}

Status PosixSystem::own(int fd, const Place& place, Owner owner) const {
  if (!privileged_ && !live_) return ok();
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return os_error(errno, fmt::format("look at {}", show(place.path)));
  if (Owner{st.st_uid, st.st_gid} == owner) return ok();
  // With a user's rights this succeeds for their own groups only, which is all that is asked there.
  if (::fchown(fd, owner.uid, owner.gid) == 0) return ok();
  if (!privileged_) {
    return Error{
        Errc::permission,
        fmt::format("cannot give {} to uid {}, gid {}: that needs root", show(place.path), owner.uid, owner.gid),
        {},
        "run converge as root"};
  }
  return os_error(errno, fmt::format("give {} to uid {}, gid {}", show(place.path), owner.uid, owner.gid));
}

Status PosixSystem::put_in_place(Temporary& temporary, const Entry& entry, const struct stat* before,
                                 std::string_view doing, const Place& place) const {
  const int directory = entry.directory.get();
  const char* name = entry.name.c_str();
  struct stat now_there = {};
  const bool exists_now = ::fstatat(directory, name, &now_there, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists_now != (before != nullptr) || (exists_now && !same_file(*before, now_there))) {
    return changed_meanwhile(place.path);
  }
  if (before != nullptr) {
    if (::renameat(directory, temporary.name(), directory, name) != 0) {
      return explain_write(errno, doing, place, directory, entry.name);
    }
  } else if (const int failed = rename_noreplace(directory, temporary.name(), directory, name)) {
    if (failed == EEXIST) return changed_meanwhile(place.path);
    return explain_write(failed, doing, place, directory, entry.name);
  }
  temporary.keep();
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::write_file(const Place& place, std::string_view content, const WriteOptions& options) {
  forget(place.as);
  const char* doing = "write";
  if (options.backup) {  // before becoming a user: the content is read with their rights, the backup is root's
    if (auto kept = keep_backup(place); !kept) return std::move(kept).error().during("keeping a backup");
  }
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  auto entry = entry_of(place);
  if (!entry) return std::move(entry).error();
  const int directory = entry->directory.get();
  const char* name = entry->name.c_str();

  struct stat before = {};
  const bool existed = ::fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
  if (!existed && errno != ENOENT) return explain(errno, doing, place);
  if (existed && !S_ISREG(before.st_mode)) {
    const Fd there(::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    return Error{Errc::exists,
                 fmt::format("{} is a {}, not a file, and is not replaced", show(place.path),
                             kind_of(state_of(there.get(), before))),
                 {},
                 "move it out of the way"};
  }
  if (options.replaces) {
    const auto* expected = std::get_if<RegularFile>(&*options.replaces);
    const bool same = existed ? expected != nullptr && expected->inode == before.st_ino &&
                                    expected->device == before.st_dev &&
                                    expected->size.count == static_cast<std::uint64_t>(before.st_size) &&
                                    expected->modified == timestamp_of(before.st_mtim)
                              : std::holds_alternative<Absent>(*options.replaces);
    if (!same) {
      return Error{Errc::changed,
                   fmt::format("{} was changed by someone else since it was looked at", show(place.path)),
                   {},
                   "run again"};
    }
  }
  Fd old;
  if (existed) {
    old = Fd(::openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    // As a user: a file of theirs without read permission keeps its content from us, not its replacement.
    if (!old && !(errno == EACCES && place.as)) return explain(errno, "open", place);
  }

  Temporary temporary(directory, entry->name);
  const Fd fd(::openat(directory, temporary.name(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, doing, place, directory, entry->name);
  }
  hold_temporary(fd.get());
  if (const int failed = write_all(fd.get(), content))
    return explain_write(failed, doing, place, directory, entry->name);
  if (auto owned = own(fd.get(), place, options.owner); !owned) return owned;
  if (old) {
    if (const int failed = copy_attributes(old.get(), fd.get())) {
      return explain(failed, "carry the extended attributes over to", place);
    }
  }
  if (::fchmod(fd.get(), options.mode.bits) != 0) return explain(errno, "set the mode of", place);
  if (::fsync(fd.get()) != 0) return explain_write(errno, doing, place, directory, entry->name);
  return put_in_place(temporary, *entry, existed ? &before : nullptr, doing, place);
}

Status PosixSystem::make_directory(const Place& place, Mode mode, Owner owner) {
  forget(place.as);
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  auto entry = entry_of(place);
  if (!entry) return std::move(entry).error();
  const int directory = entry->directory.get();
  const char* name = entry->name.c_str();
  if (::mkdirat(directory, name, 0700) != 0) {
    if (errno == EEXIST) return Error{Errc::exists, fmt::format("{} is already there", show(place.path)), {}, {}};
    return explain_write(errno, "make the directory", place, directory, entry->name);
  }
  const Fd fd(::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const auto undo = [&](Error error) -> Status {
    ::unlinkat(directory, name, AT_REMOVEDIR);
    return error;
  };
  if (!fd) return undo(explain(errno, "open", place));
  if (auto owned = own(fd.get(), place, owner); !owned) return undo(std::move(owned).error());
  if (::fchmod(fd.get(), mode.bits) != 0) return undo(explain(errno, "set the mode of", place));
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::make_symlink(const Place& place, std::string_view target) {
  forget(place.as);
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  auto entry = entry_of(place);
  if (!entry) return std::move(entry).error();
  const int directory = entry->directory.get();
  const char* name = entry->name.c_str();
  struct stat st = {};
  const bool existed = ::fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (!existed && errno != ENOENT) return explain(errno, "look at", place);
  if (existed && !S_ISLNK(st.st_mode)) {
    return Error{Errc::exists,
                 fmt::format("{} is not a symbolic link, and is not replaced by one", show(place.path)),
                 {},
                 "move it out of the way"};
  }
  Temporary temporary(directory, entry->name);
  if (::symlinkat(std::string(target).c_str(), directory, temporary.name()) != 0) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, "make the symbolic link", place, directory, entry->name);
  }
  return put_in_place(temporary, *entry, existed ? &st : nullptr,
                      existed ? "replace the symbolic link" : "make the symbolic link", place);
}

Status PosixSystem::set_attributes(const Place& place, Mode mode, Owner owner) {
  forget(place.as);
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  auto entry = entry_of(place);
  if (!entry) return std::move(entry).error();
  const int directory = entry->directory.get();
  struct stat st = {};
  const Fd path(::openat(directory, entry->name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!path || ::fstat(path.get(), &st) != 0) return explain(errno, "look at", place);
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    return Error{S_ISLNK(st.st_mode) ? Errc::symlink : Errc::exists,
                 fmt::format("{} is a {}; only files and directories are given a mode", show(place.path),
                             kind_of(state_of(path.get(), st))),
                 {},
                 {}};
  }
  Fd fd(::openat(directory, entry->name.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (!fd) {
    // A file its owner may not read cannot be opened, and an O_PATH descriptor is changed through /proc only.
    if (errno != EACCES) return explain(errno, "open", place);
    const std::string link = fmt::format("/proc/self/fd/{}", path.get());
    if (::chmod(link.c_str(), mode.bits | 0400U) != 0) {
      return explain_write(errno, "set the mode of", place, directory, entry->name);
    }
    fd = Fd(::openat(directory, entry->name.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    if (!fd) return explain(errno, "open", place);
  }
  struct stat opened = {};
  if (::fstat(fd.get(), &opened) != 0) return explain(errno, "look at", place);
  if (opened.st_ino != st.st_ino || opened.st_dev != st.st_dev) {
    return changed_meanwhile(place.path);
  }
  // Owner first: chown clears set-id bits, which the mode then sets as asked.
  if (auto owned = own(fd.get(), place, owner); !owned) return owned;
  if (::fchmod(fd.get(), mode.bits) != 0) {
    return explain_write(errno, "set the mode of", place, directory, entry->name);
  }
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return explain(errno, "make durable", place);
  return ok();
}

Status PosixSystem::remove(const Place& place) {
  forget(place.as);
  auto user = become(place.as);
  if (!user) return std::move(user).error();
  auto entry = entry_of(place);
  if (!entry) {
    if (entry.error().code == Errc::not_found) return ok();
    return std::move(entry).error();
  }
  const int directory = entry->directory.get();
  struct stat st = {};
  if (::fstatat(directory, entry->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return ok();
    return explain(errno, "look at", place);
  }
  if (::unlinkat(directory, entry->name.c_str(), S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) != 0) {
    if (errno == ENOENT) return ok();
    if (errno == ENOTEMPTY || errno == EEXIST) {
      return Error{Errc::exists,
                   fmt::format("the directory {} is not empty, and is not removed", show(place.path)),
                   {},
                   "remove what is in it first"};
    }
    return explain_write(errno, "remove", place, directory, entry->name);
  }
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::rename_new(const Place& from, const Place& to) {
  forget(from.as);
  if (from.as != to.as) {
    return Error{Errc::invalid,
                 fmt::format("{} and {} are reached with different rights", show(from.path), show(to.path)),
                 {},
                 {}};
  }
  auto user = become(from.as);
  if (!user) return std::move(user).error();
  auto source = entry_of(from);
  if (!source) return std::move(source).error();
  auto target = entry_of(to);
  if (!target) return std::move(target).error();
  const int failed =
      rename_noreplace(source->directory.get(), source->name.c_str(), target->directory.get(), target->name.c_str());
  if (failed == EEXIST) return Error{Errc::exists, fmt::format("{} is already there", show(to.path)), {}, {}};
  if (failed == EXDEV) {
    return Error{Errc::unsupported,
                 fmt::format("{} and {} are on different file systems", show(from.path), show(to.path)),
                 {},
                 {}};
  }
  if (failed != 0) return explain_write(failed, "rename", from, source->directory.get(), source->name);
  if (const int unsynced = sync_directory(target->directory.get())) return explain(unsynced, "make durable", to);
  if (from.path.parent() == to.path.parent()) return ok();
  if (const int unsynced = sync_directory(source->directory.get())) return explain(unsynced, "make durable", from);
  return ok();
}

Status PosixSystem::write_kernel(const AbsPath& path, std::string_view value) {
  forget();
  if (!live_) return not_live(fmt::format("writing {}", show(path)));
  const int raw = resolver_.open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  if (raw < 0) return explain(-raw, "write", path);
  const Fd fd(raw);
  struct stat st = {};
  struct statfs fs = {};
  if (::fstat(fd.get(), &st) != 0 || ::fstatfs(fd.get(), &fs) != 0) return explain(errno, "look at", path);
  const std::string type = file_system_name(static_cast<std::uint64_t>(static_cast<unsigned long>(fs.f_type)));
  if (!S_ISREG(st.st_mode) || (type != "proc" && type != "sysfs" && type != "cgroup2")) {
    return Error{Errc::refused,
                 fmt::format("{} is not a file of the kernel's", show(path)),
                 {},
                 "write a file of disk atomically instead"};
  }
  const ssize_t n = ::write(fd.get(), value.data(), value.size());
  if (n < 0) {
    const int failed = errno;
    if (failed == EINVAL || failed == ERANGE) {
      return Error{Errc::invalid,
                   fmt::format("the kernel refuses the value '{}' for {}", printable(trim(value)), show(path)),
                   {},
                   {}};
    }
    return explain(failed, "write", path);
  }
  if (static_cast<std::size_t>(n) != value.size()) {
    return Error{Errc::io, fmt::format("the kernel took {} of {} bytes for {}", n, value.size(), show(path)), {}, {}};
  }
  return ok();
}

}  // namespace converge
