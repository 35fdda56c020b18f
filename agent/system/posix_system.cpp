#include "system/posix_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/text.h"
#include "system/facts.h"
#include "system/process.h"
#include "system/swap_file.h"
#include "system/systemd.h"

namespace converge {
namespace {

constexpr std::size_t max_entries = 100'000;
constexpr std::size_t max_parallel = 8;
constexpr Bytes passwd_limit = 16_MiB;
constexpr Bytes backup_limit = 64_MiB;
constexpr std::size_t max_backups = 20;  // runs whose backups are kept
constexpr const char* backup_root = "/var/lib/converge/backup";
constexpr std::int64_t stale_after = 3600;  // seconds; a younger temporary link may be another run's

Timestamp timestamp_of(const struct timespec& t) {
  return {static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000};
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

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

/// A file that is unlinked unless it got its name.
class Temporary {
 public:
  Temporary(int directory, std::string name) : directory_(directory), name_(std::move(name)) {}
  ~Temporary() {
    if (!kept_) ::unlinkat(directory_, name_.c_str(), 0);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const char* name() const { return name_.c_str(); }
  void keep() { kept_ = true; }

 private:
  int directory_;
  std::string name_;
  bool kept_ = false;
};

/// fsync of a directory known by an O_PATH descriptor; 0 or errno. A directory we may not read cannot be synced: its
/// entry is then as durable as the file system makes it by itself.
int sync_directory(int directory) {
  const Fd fd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno == EACCES ? 0 : errno;
  return ::fsync(fd.get()) == 0 || errno == EINVAL ? 0 : errno;
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

int rename_noreplace(int from_directory, const char* from, int to_directory, const char* to) {
  if (::syscall(SYS_renameat2, from_directory, from, to_directory, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without the flag (some network and FUSE ones): a hard link refuses to replace as well.
  if (::linkat(from_directory, from, to_directory, to, 0) != 0) return errno;
  return ::unlinkat(from_directory, from, 0) == 0 ? 0 : errno;
}

std::string file_system_name(std::uint64_t type) {
  switch (type) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x858458F6:
      return "ramfs";
    case 0x794C7630:
      return "overlay";
    case 0x6969:
      return "nfs";
    case 0x2FC12FC1:
      return "zfs";
    case 0x65735546:
      return "fuse";
    case 0xF2F52010:
      return "f2fs";
    case 0x4D44:
      return "vfat";
    case 0x73717368:
      return "squashfs";
    case 0x9FA0:
      return "proc";
    case 0x62656572:
      return "sysfs";
    case 0x63677270:
      return "cgroup2";
    default:
      return fmt::format("0x{:x}", type);
  }
}

Error not_live(std::string_view what) {
  return Error{Errc::unsupported,
               fmt::format("{} needs a running host, and this is a directory tree", what),
               {},
               "leave out --root to work on this machine"};
}

std::string show(const AbsPath& path) { return fmt::format("'{}'", printable(path.str())); }

Error cannot_ask(std::string_view kind, std::string_view name) {
  return {Errc::not_found,
          fmt::format("could not tell whether there is a {0} '{1}': /etc/{2} has none, and there is no 'getent' to ask "
                      "a directory service with",
                      kind, printable(name), kind == "user" ? "passwd" : "group"),
          {},
          "check the name, or install getent (package libc-bin or musl-utils)"};
}

/// With fs.protected_hardlinks off a user may give any file of their file system a second name in their home, and be
/// left with the only one when the other is replaced: /etc/shadow at the next change of a password.
bool hard_links_are_protected() {
  const Fd fd(::open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC));
  char value = '\0';
  return fd && ::read(fd.get(), &value, 1) == 1 && value == '1';
}

std::string run_id_now() {
  struct timespec t = {};
  ::clock_gettime(CLOCK_REALTIME, &t);
  struct tm utc = {};
  ::gmtime_r(&t.tv_sec, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z-{}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, ::getpid());
}

/// Removes a directory of backups and all below it; best effort, following nothing.
void remove_tree(int directory, const std::string& name, int depth) {
  if (::unlinkat(directory, name.c_str(), 0) == 0 || depth > 64) return;
  const int fd = ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  DIR* entries = ::fdopendir(fd);
  if (entries == nullptr) {
    ::close(fd);
    return;
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view found = entry->d_name;
    if (found != "." && found != "..") names.emplace_back(found);
  }
  for (const auto& each : names) remove_tree(fd, each, depth + 1);
  ::closedir(entries);
  ::unlinkat(directory, name.c_str(), AT_REMOVEDIR);
}

}  // namespace

// ---- reaching a place ---------------------------------------------------------------------------------------------

PosixSystem::PosixSystem(Fd root, AbsPath root_path)
    : resolver_(std::move(root)),
      root_path_(std::move(root_path)),
      live_(root_path_.str() == "/"),
      privileged_(::geteuid() == 0),
      run_id_(run_id_now()) {}

Result<std::unique_ptr<System>> open_system(const AbsPath& root) {
  Fd fd(::open(root.str().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return os_error(errno, fmt::format("open the root {}", show(root)));
  return std::unique_ptr<System>(std::make_unique<PosixSystem>(std::move(fd), root));
}

int PosixSystem::open_raw(const Place& place, int flags) const {
  // At the home itself and above, symlinks are the administrator's; below it, they may be anyone's.
  if (!place.as || place.path == place.as->home || !place.path.is_within(place.as->home)) {
    return resolver_.open(place.path, flags);
  }
  const std::string& home = place.as->home.str();
  const Fd base(resolver_.open(place.as->home, O_PATH | O_DIRECTORY));
  if (!base) return -errno;
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
  if (error_number == EACCES && place.as && privileged_) {
    error.message += fmt::format(" (as user '{}')", printable(place.as->name));
    error.hint =
        live_ ? "" : fmt::format("every directory above the tree '{}' must let that user pass", root_path_.str());
  }
  return error;
}

Result<Fd> PosixSystem::open(const Place& place, int flags) const {
  const int fd = open_raw(place, flags);
  if (fd >= 0) return Fd(fd);
  return explain(-fd, "open", place);
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

Result<std::vector<gid_t>> PosixSystem::groups(const Person& who) const {
  // Members known to a directory service alone get the groups of /etc/group: fewer rights, never more.
  auto file = read(AbsPath("/etc/group"), passwd_limit);
  if (!file) return std::move(file).error().during("reading the groups of a user");
  return groups_of(file->content, who.name, who.gid);
}

Result<AsUser> PosixSystem::become(const std::optional<Person>& who) const {
  if (!who || who->uid == ::geteuid()) return AsUser();
  if (!privileged_) {
    // A tree that is converged without root's rights belongs to whoever converges it.
    if (!live_) return AsUser();
    return Error{Errc::permission,
                 fmt::format("cannot work as user '{}': that needs root", printable(who->name)),
                 {},
                 "run converge as root"};
  }
  auto ids = groups(*who);
  if (!ids) return std::move(ids).error();
  return AsUser::enter(*who, *ids);
}

// ---- looking ------------------------------------------------------------------------------------------------------

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

Result<std::optional<Person>> PosixSystem::user(std::string_view name) const {
  auto file = read(AbsPath("/etc/passwd"), passwd_limit);
  if (!file) return std::move(file).error();
  const auto people = parse_passwd(file->content);
  if (const auto it = people.find(name); it != people.end()) return std::optional<Person>(it->second);
  if (!live_) return std::optional<Person>();

  // A directory service may know the user. A static program cannot load its NSS module; getent can.
  Command command;
  command.argv = {"getent", "passwd", "--", std::string(name)};
  auto answer = query(command);
  if (!answer) {
    if (answer.error().code == Errc::not_found) return cannot_ask("user", name);
    return std::move(answer).error().during(fmt::format("looking up user '{}'", printable(name)));
  }
  if (answer->exit_code == 2) return std::optional<Person>();
  const auto known = parse_passwd(answer->out);
  const auto it = known.find(name);
  if (answer->exit_code != 0 || it == known.end()) {
    return Error{Errc::unparsable,
                 fmt::format("'{}' ended with status {} and no line for that user", command.text(), answer->exit_code),
                 {},
                 {}};
  }
  return std::optional<Person>(it->second);
}

Result<std::optional<std::uint32_t>> PosixSystem::group(std::string_view name) const {
  auto file = read(AbsPath("/etc/group"), passwd_limit);
  if (!file) return std::move(file).error();
  auto gid = find_group(file->content, name);
  if (gid || !live_) return gid;
  Command command;
  command.argv = {"getent", "group", "--", std::string(name)};
  auto answer = query(command);
  if (!answer) {
    if (answer.error().code == Errc::not_found) return cannot_ask("group", name);
    return std::move(answer).error().during(fmt::format("looking up group '{}'", printable(name)));
  }
  if (answer->exit_code == 2) return std::optional<std::uint32_t>();
  gid = find_group(answer->out, name);
  if (answer->exit_code != 0 || !gid) {
    return Error{Errc::unparsable,
                 fmt::format("'{}' ended with status {} and no line for that group", command.text(), answer->exit_code),
                 {},
                 {}};
  }
  return gid;
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
  out.read_only = (static_cast<unsigned long>(fs.f_flags) & ST_RDONLY) != 0;
  return out;
}

Timestamp PosixSystem::now() const {
  struct timespec t = {};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return timestamp_of(t);
}

std::uint64_t PosixSystem::page_size() const { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

// ---- commands and units -------------------------------------------------------------------------------------------

Result<std::string> PosixSystem::home_of_ours() const {
  if (privileged_) return std::string("/root");
  auto file = read(AbsPath("/etc/passwd"), passwd_limit);
  if (!file) return std::move(file).error();
  for (const auto& [name, person] : parse_passwd(file->content)) {
    if (person.uid == ::geteuid()) return person.home.str();
  }
  return std::string("/");
}

std::vector<Result<CommandOutput>> PosixSystem::run_commands(const std::vector<Command>& commands) const {
  std::vector<Result<CommandOutput>> answers;
  std::vector<Launch> launches;
  std::vector<std::size_t> which;
  for (const auto& command : commands) {
    Launch launch;
    launch.command = &command;
    std::optional<Error> failed;
    if (command.as) {
      launch.home = command.as->home.str();
      if (privileged_) {
        auto ids = groups(*command.as);
        if (ids) {
          launch.groups = *std::move(ids);
        } else {
          failed = std::move(ids).error();
        }
      } else if (command.as->uid != ::geteuid()) {
        failed = Error{Errc::permission,
                       fmt::format("cannot run '{}' as user '{}': that needs root", command.text(), command.as->name),
                       {},
                       "run converge as root"};
      }
    } else {
      auto home = home_of_ours();
      if (home) launch.home = *std::move(home);
    }
    answers.emplace_back(failed ? *failed : Error{});
    if (!failed) {
      launches.push_back(std::move(launch));
      which.push_back(answers.size() - 1);
    }
  }
  auto outputs = run_all(launches, max_parallel);
  for (std::size_t i = 0; i < outputs.size(); ++i) answers[which[i]] = std::move(outputs[i]);
  return answers;
}

Result<CommandOutput> PosixSystem::query(const Command& command) const {
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  for (const auto& [known, answer] : memory_.commands) {
    if (known == command) return answer;
  }
  return std::move(run_commands({command}).front());
}

Result<CommandOutput> PosixSystem::run(const Command& command) {
  forget();
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  return std::move(run_commands({command}).front());
}

Result<UnitProperties> PosixSystem::unit(std::string_view unit) const {
  if (!live_) return not_live(fmt::format("asking for unit '{}'", unit));
  if (const auto it = memory_.units.find(unit); it != memory_.units.end()) return it->second;
  auto answers = unit_properties({std::string(unit)});
  return std::move(answers.begin()->second);
}

void PosixSystem::expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const {
  if (!live_) return;
  std::vector<Command> fresh;
  for (const auto& command : queries) {
    const auto known = [&](const auto& entry) { return entry.first == command; };
    const bool old = std::any_of(memory_.commands.begin(), memory_.commands.end(), known);
    if (!old && std::find(fresh.begin(), fresh.end(), command) == fresh.end()) fresh.push_back(command);
  }
  auto answers = run_commands(fresh);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    memory_.commands.emplace_back(std::move(fresh[i]), std::move(answers[i]));
  }
  std::vector<std::string> wanted;
  for (const auto& unit : units) {
    if (!memory_.units.contains(unit)) wanted.push_back(unit);
  }
  if (!wanted.empty()) memory_.units.merge(unit_properties(wanted));
}

// ---- changing -----------------------------------------------------------------------------------------------------

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
  if (!privileged_) {
    if (!live_) return ok();
    struct stat st = {};
    if (::fstat(fd, &st) != 0) return os_error(errno, fmt::format("look at {}", show(place.path)));
    if (Owner{st.st_uid, st.st_gid} == owner) return ok();
    if (::fchown(fd, owner.uid, owner.gid) == 0) return ok();
    return Error{
        Errc::permission,
        fmt::format("cannot give {} to uid {}, gid {}: that needs root", show(place.path), owner.uid, owner.gid),
        {},
        "run converge as root"};
  }
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return os_error(errno, fmt::format("look at {}", show(place.path)));
  if (Owner{st.st_uid, st.st_gid} == owner) return ok();
  // With a user's rights this succeeds for their own groups only, which is all that is asked there.
  if (::fchown(fd, owner.uid, owner.gid) == 0) return ok();
  return os_error(errno, fmt::format("give {} to uid {}, gid {}", show(place.path), owner.uid, owner.gid));
}

Status PosixSystem::write_file(const Place& place, std::string_view content, const WriteOptions& options) {
  forget();
  const char* doing = "write";
  if (options.backup) {  // before becoming a user: the content is read with their rights, the backup is root's
    auto seen = read(place, backup_limit);
    if (!seen) return std::move(seen).error().during("keeping a backup");
    if (std::holds_alternative<RegularFile>(seen->state)) {
      if (auto kept = keep_backup(place.path, seen->content); !kept)
        return std::move(kept).error().during("keeping a backup");
    }
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
  remove_stale_temporaries(directory, entry->name);

  Temporary temporary(directory, temporary_name(entry->name));
  const Fd fd(::openat(directory, temporary.name(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, doing, place, directory, entry->name);
  }
  (void)::flock(fd.get(), LOCK_EX | LOCK_NB);  // see is_abandoned
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

  struct stat now_there = {};
  const bool exists_now = ::fstatat(directory, name, &now_there, AT_SYMLINK_NOFOLLOW) == 0;
  const Error changed{
      Errc::changed, fmt::format("{} was changed by someone else in this moment", show(place.path)), {}, "run again"};
  if (exists_now != existed || (existed && !same_file(before, now_there))) return changed;
  if (existed) {
    if (::renameat(directory, temporary.name(), directory, name) != 0) {
      return explain_write(errno, doing, place, directory, entry->name);
    }
  } else if (const int failed = rename_noreplace(directory, temporary.name(), directory, name)) {
    if (failed == EEXIST) return changed;
    return explain_write(failed, doing, place, directory, entry->name);
  }
  temporary.keep();
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::make_directory(const Place& place, Mode mode, Owner owner) {
  forget();
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
  forget();
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
  remove_stale_temporaries(directory, entry->name);
  Temporary temporary(directory, temporary_name(entry->name));
  if (::symlinkat(std::string(target).c_str(), directory, temporary.name()) != 0) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, "make the symbolic link", place, directory, entry->name);
  }
  if (existed) {
    if (::renameat(directory, temporary.name(), directory, name) != 0) {
      return explain_write(errno, "replace the symbolic link", place, directory, entry->name);
    }
  } else if (const int failed = rename_noreplace(directory, temporary.name(), directory, name)) {
    return explain_write(failed, "make the symbolic link", place, directory, entry->name);
  }
  temporary.keep();
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::set_attributes(const Place& place, Mode mode, Owner owner) {
  forget();
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
    return Error{
        Errc::changed, fmt::format("{} was changed by someone else in this moment", show(place.path)), {}, "run again"};
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
  forget();
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
  forget();
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

bool may_lie_in_ssh_directory(std::string_view name) {
  if (name == "config" || name == "known_hosts" || name == "known_hosts.old" || name == "authorized_keys") return true;
  if (name.starts_with("id_")) return true;
  const auto mark = name.find(".converge-");
  return name.starts_with('.') && mark != std::string_view::npos && mark > 0;
}

Error not_what_we_made(const Place& place) {
  return {Errc::refused,
          fmt::format("'{}' belongs to root and does not look like what converge made there", place.path.str()),
          {},
          fmt::format("look at it, and if it is theirs: chown {}: {}", place.as ? place.as->name : std::string("USER"),
                      place.path.str())};
}

namespace {

/// True if the file behind `fd` is no longer than judged_limit and `is_theirs` takes it.
Result<bool> holds_what_is_theirs(int fd, const IsTheirs& is_theirs) {
  if (!is_theirs) return false;
  std::string content(judged_limit.count + 1, '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t n = ::pread(fd, content.data() + have, content.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(errno, "read what is to be given back");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have <= judged_limit.count && is_theirs(std::string_view(content).substr(0, have));
}

/// True if the directory behind `fd` holds nothing but what is `user`'s, and files of root's that belong beside SSH's.
Result<bool> holds_what_is_theirs(int fd, const Person& user) {
  Fd own(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (own.get() < 0) return os_error(errno, "list what is to be given back");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (stream == nullptr) return os_error(errno, "list what is to be given back");
  (void)own.release();  // closedir() closes it
  for (;;) {
    errno = 0;
    const struct dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat st = {};
    if (::fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return os_error(errno, "look at what is to be given back");
    }
    if (st.st_uid == user.uid) continue;
    if (st.st_uid != 0 || !S_ISREG(st.st_mode) || !may_lie_in_ssh_directory(name)) return false;
  }
  if (errno != 0) return os_error(errno, "list what is to be given back");
  return true;
}

}  // namespace

Status PosixSystem::take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) {
  forget();
  if (!place.as || place.path == place.as->home || !place.path.is_within(place.as->home)) {
    return Error{
        Errc::refused, fmt::format("{} is not in a user's home, and is not given away", show(place.path)), {}, {}};
  }
  if (!privileged_) {
    return Error{Errc::permission,
                 fmt::format("cannot give {} to '{}': that needs root", show(place.path), printable(place.as->name)),
                 {},
                 "run converge as root"};
  }
  // With root's rights on purpose: what is to be given back is root's.
  const int raw = open_raw(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (raw < 0) return explain(-raw, "open", place);
  const Fd fd(raw);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return explain(errno, "look at", place);
  const bool plain = S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1);
  if (!plain || (st.st_uid != 0 && st.st_uid != place.as->uid)) {
    return Error{
        Errc::refused,
        plain ? fmt::format("{} belongs to uid {}, and is not given away", show(place.path), st.st_uid)
              : fmt::format("{} is not a directory or a file with one name, and is not given away", show(place.path)),
        {},
        {}};
  }
  if (S_ISREG(st.st_mode) && st.st_uid == 0 && place.as->uid != 0 && !hard_links_are_protected()) {
    return Error{Errc::refused,
                 fmt::format("{} belongs to root, and with fs.protected_hardlinks off it may be a file of the system's",
                             show(place.path)),
                 {},
                 fmt::format("sysctl fs.protected_hardlinks=1, or look at the file and then: chown {}: {}",
                             place.as->name, place.path.str())};
  }
  if (st.st_uid != place.as->uid) {
    const auto theirs =
        S_ISDIR(st.st_mode) ? holds_what_is_theirs(fd.get(), *place.as) : holds_what_is_theirs(fd.get(), is_theirs);
    if (!theirs) return theirs.error();
    if (!*theirs) return not_what_we_made(place);
  }
  if (::fchown(fd.get(), place.as->uid, place.as->gid) != 0) {
    return os_error(errno, fmt::format("give {} to '{}'", show(place.path), printable(place.as->name)));
  }
  if (::fchmod(fd.get(), mode.bits) != 0) return explain(errno, "set the mode of", place);
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return explain(errno, "make durable", place);
  return ok();
}

void PosixSystem::wait(std::chrono::milliseconds time) {
  forget();  // what was asked for ahead was about the moment before
  struct timespec left = {};
  left.tv_sec = static_cast<time_t>(time.count() / 1000);
  left.tv_nsec = static_cast<long>(time.count() % 1000) * 1'000'000;
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
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

// ---- backups ------------------------------------------------------------------------------------------------------

Result<Fd> PosixSystem::make_path(const AbsPath& directory) {
  std::string so_far;
  Fd at(resolver_.open(AbsPath(), O_PATH | O_DIRECTORY));
  for (const auto part : split(directory.str(), '/')) {
    if (part.empty()) continue;
    const std::string name(part);
    so_far += "/" + name;
    if (::mkdirat(at.get(), name.c_str(), so_far.starts_with("/var/lib/converge") ? 0700 : 0755) != 0 &&
        errno != EEXIST) {
      return explain(errno, "make the directory", AbsPath(so_far));
    }
    const int next = resolver_.open(AbsPath(so_far), O_PATH | O_DIRECTORY);
    if (next < 0) return explain(-next, "open the directory", AbsPath(so_far));
    at = Fd(next);
  }
  return at;
}

Status PosixSystem::keep_backup(const AbsPath& path, std::string_view content) {
  const AbsPath of_this_run = AbsPath(backup_root).child(run_id_);
  auto directory =
      make_path(path.parent().str() == "/" ? of_this_run : of_this_run.child(path.parent().str().substr(1)));
  if (!directory) return std::move(directory).error();
  const std::string name = path.name();
  const Fd fd(::openat(directory->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    // The first state of this run is the one to go back to.
    if (errno == EEXIST) return ok();
    return explain(errno, "write the backup of", path);
  }
  int failed = write_all(fd.get(), content);
  if (failed == 0 && ::fsync(fd.get()) != 0) failed = errno;
  if (failed != 0) {
    ::unlinkat(directory->get(), name.c_str(), 0);
    return explain(failed, "write the backup of", path);
  }
  auto runs = list(AbsPath(backup_root));
  if (runs && *runs && (*runs)->size() > max_backups) {
    const Fd base(resolver_.open(AbsPath(backup_root), O_PATH | O_DIRECTORY));
    // Run ids begin with their time, so the oldest come first.
    for (std::size_t i = 0; base && i < (*runs)->size() - max_backups; ++i) {
      if ((**runs)[i] != run_id_) remove_tree(base.get(), (**runs)[i], 0);
    }
  }
  return ok();
}

Result<std::optional<KeptFile>> PosixSystem::newest_backup(const AbsPath& path) const {
  const auto runs = list(AbsPath(backup_root));
  if (!runs) return runs.error();
  if (!*runs) return std::optional<KeptFile>();
  for (auto run = (*runs)->rbegin(); run != (*runs)->rend(); ++run) {  // run ids begin with their time
    const AbsPath at = AbsPath(backup_root).child(*run).child(path.str().substr(1));
    auto seen = read(at, backup_limit);
    if (!seen) return std::move(seen).error();
    const auto* file = std::get_if<RegularFile>(&seen->state);
    if (file != nullptr) return std::optional<KeptFile>(KeptFile{at, std::move(seen->content), file->modified});
  }
  return std::optional<KeptFile>();
}

// ---- swap ---------------------------------------------------------------------------------------------------------

Result<SwapFileLook> PosixSystem::look_swap(const AbsPath& path) const {
  auto state = look(path);
  if (!state) return std::move(state).error();
  SwapFileLook out;
  out.state = *std::move(state);
  if (!std::holds_alternative<RegularFile>(out.state)) return out;

  int raw = resolver_.open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const bool writable = raw >= 0;
  if (!writable) raw = resolver_.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (raw < 0) return explain(-raw, "open", path);
  const Fd fd(raw);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return explain(errno, "look at", path);
  out.state = state_of(fd.get(), st);
  if (!S_ISREG(st.st_mode)) {
    return Error{
        Errc::changed, fmt::format("{} was changed by someone else in this moment", show(path)), {}, "run again"};
  }
  out.allocated = Bytes{static_cast<std::uint64_t>(st.st_blocks) * 512U};
  std::string page(page_size(), '\0');
  const ssize_t n = ::pread(fd.get(), page.data(), page.size(), 0);
  if (n < 0) return explain(errno, "read", path);
  page.resize(static_cast<std::size_t>(n));
  out.header = parse_swap_header(page, page_size());
  out.active = writable ? probe_active(fd.get()) : SwapFileLook::Active::unknown;
  return out;
}

Status PosixSystem::make_swap_file(const SwapFileRequest& request) {
  forget();
  const Place place(request.path);
  auto entry = entry_of(place);
  if (!entry) return std::move(entry).error();
  const int directory = entry->directory.get();
  struct stat st = {};
  const Error exists{Errc::exists, fmt::format("{} is already there", show(request.path)), {}, {}};
  if (::fstatat(directory, entry->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return exists;
  remove_stale_temporaries(directory, entry->name);

  Temporary temporary(directory, temporary_name(entry->name));
  const Fd fd(::openat(directory, temporary.name(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, "make the swap file", place, directory, entry->name);
  }
  (void)::flock(fd.get(), LOCK_EX | LOCK_NB);  // see is_abandoned
  if (auto owned = own(fd.get(), place, root_owner); !owned) return owned;
  if (::fchmod(fd.get(), 0600) != 0) return explain(errno, "set the mode of", place);
  if (auto filled = fill_swap_file(fd.get(), request.size, page_size(), request.uuid, request.path.str()); !filled) {
    return filled;
  }
  if (const int failed = rename_noreplace(directory, temporary.name(), directory, entry->name.c_str())) {
    if (failed == EEXIST) return exists;
    return explain_write(failed, "make the swap file", place, directory, entry->name);
  }
  temporary.keep();
  if (const int failed = sync_directory(directory)) return explain(failed, "make durable", place);
  return ok();
}

Status PosixSystem::swap_on(const AbsPath& path, std::optional<int> priority) {
  forget();
  if (!live_) return not_live("activating swap");
  return swap_on_path(path.str(), priority);
}

Status PosixSystem::swap_off(const AbsPath& path, std::chrono::milliseconds deadline) {
  forget();
  if (!live_) return not_live("deactivating swap");
  return swap_off_path(path.str(), deadline);
}

}  // namespace converge
