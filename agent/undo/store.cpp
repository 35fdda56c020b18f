#include "undo/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "core/text.h"

namespace converge::undo {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_journals = 20;
constexpr std::uintmax_t most_bytes = 256U << 20U;
constexpr auto longest = std::chrono::hours(24 * 90);

Error failure(int error, std::string_view doing, const std::string& path) {
  return Error{error == EACCES || error == EPERM ? Errc::permission
               : error == ENOENT                 ? Errc::not_found
                                                 : Errc::io,
               fmt::format("cannot {} '{}': {}", doing, printable(path), strerror(error)),
               {},
               {}};
}

bool is_uid(std::string_view name) {
  return name.size() >= 8 && name.size() <= 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

Result<std::string> contents(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return failure(errno, "open", file);
  std::string out;
  std::string block(256U << 10U, '\0');
  ssize_t n = 0;
  while ((n = ::read(fd, block.data(), block.size())) > 0 && out.size() <= most_bytes)
    out.append(block, 0, static_cast<std::size_t>(n));
  const int failed = n < 0 ? errno : 0;
  (void)::close(fd);
  if (failed != 0) return failure(failed, "read", file);
  return out;
}

struct Entry {
  fs::path path;
  fs::file_time_type when;
  std::uintmax_t size;
};
/// The newest first.
std::vector<Entry> entries_of(const std::string& directory) {
  std::vector<Entry> out;
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(directory, failed)) {
    std::error_code unknown;
    if (!is_uid(each.path().filename().string()) || !each.is_regular_file(unknown)) continue;
    out.push_back({each.path(), each.last_write_time(unknown), each.file_size(unknown)});
  }
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.when > b.when; });
  return out;
}

void remove_old(const std::string& directory, const std::string& keep) {
  std::uintmax_t bytes = 0;
  std::size_t count = 0;
  for (const Entry& each : entries_of(directory)) {
    bytes += each.size;
    const bool stays =
        ++count <= most_journals && bytes <= most_bytes && each.when > fs::file_time_type::clock::now() - longest;
    std::error_code failed;
    if (!stays && each.path.filename() != keep) fs::remove(each.path, failed);
  }
}

}  // namespace

JournalFile::~JournalFile() {
  if (fd_ >= 0) (void)::close(fd_);
}

Status JournalFile::open() {
  if (!is_uid(uid_)) return Error{Errc::invalid, fmt::format("'{}' is no name of a run", printable(uid_)), {}, {}};
  const fs::path above = fs::path(directory_).parent_path();
  const auto is_made = [](const fs::path& path) { return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST; };
  if (!is_made(directory_) && (errno != ENOENT || !is_made(above) || !is_made(directory_)))
    return failure(errno, "make", directory_);
  const std::string file = directory_ + "/" + uid_;
  fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  return fd_ < 0 ? Status(failure(errno, "make", file)) : ok();
}

Status JournalFile::add(std::string_view piece) {
  if (fd_ < 0)
    if (Status made = open(); !made) return made;
  if (const int failed = write_all(fd_, piece)) return failure(failed, "write", directory_ + "/" + uid_);
  return ok();
}

Status JournalFile::finish(Timestamp ended) {
  if (fd_ < 0) return ok();
  if (Status added = add(encode_end(ended)); !added) return added;
  if (::fdatasync(fd_) != 0) return failure(errno, "make durable", directory_ + "/" + uid_);
  const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    (void)::fsync(directory);
    (void)::close(directory);
  }
  remove_old(directory_, uid_);
  return ok();
}

Result<std::vector<Stored>> journals_in(const std::string& directory) {
  if (::access(directory.c_str(), R_OK | X_OK) != 0) return failure(errno, "open", directory);
  std::vector<Stored> out;
  for (const Entry& each : entries_of(directory)) {
    auto bytes = contents(each.path.string());
    if (!bytes) continue;
    auto journal = read_journal(*bytes);
    if (journal) out.push_back({each.path.string(), *std::move(journal)});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Stored& a, const Stored& b) { return a.journal.head.began > b.journal.head.began; });
  return out;
}

Status mark_undone(const Stored& stored, const std::string& uid) {
  const int fd = ::open(stored.file.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return failure(errno, "open", stored.file);
  const auto whole = static_cast<off_t>(stored.journal.whole);  // what follows is damaged
  int failed = ::ftruncate(fd, whole) != 0 || ::lseek(fd, whole, SEEK_SET) < 0 ? errno : 0;
  if (failed == 0) failed = write_all(fd, encode_undone(uid));
  if (failed == 0 && ::fdatasync(fd) != 0) failed = errno;
  (void)::close(fd);
  return failed == 0 ? ok() : Status(failure(failed, "write", stored.file));
}

}  // namespace converge::undo
