// Who the users of the host are, working with their rights, and giving back what is theirs.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "core/text.h"
#include "system/facts.h"
#include "system/posix_internal.h"
#include "system/posix_system.h"

namespace converge {
namespace {

constexpr Bytes passwd_limit = 16_MiB;

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

Result<std::string> PosixSystem::home_of_ours() const {
  if (privileged_) return std::string("/root");
  auto file = read(AbsPath("/etc/passwd"), passwd_limit);
  if (!file) return std::move(file).error();
  for (const auto& [name, person] : parse_passwd(file->content)) {
    if (person.uid == ::geteuid()) return person.home.str();
  }
  return std::string("/");
}

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

}  // namespace converge
