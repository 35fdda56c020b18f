// The previous versions of files, kept by run.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/text.h"
#include "system/posix_internal.h"
#include "system/posix_system.h"

namespace converge {
namespace {

constexpr Bytes backup_limit = 64_MiB;
constexpr std::size_t max_backups = 20;  // runs whose backups are kept
constexpr const char* backup_root = "/var/lib/converge/backup";

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

Status PosixSystem::keep_backup(const Place& place) {
  const AbsPath& path = place.path;
  auto seen = read(place, backup_limit);
  if (!seen) return std::move(seen).error();
  if (!std::holds_alternative<RegularFile>(seen->state)) return ok();
  forget();  // whoever's the file is, this is a change of root's
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
  int failed = write_all(fd.get(), seen->content);
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

}  // namespace converge
