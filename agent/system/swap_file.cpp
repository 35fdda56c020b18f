#include "system/swap_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "core/text.h"
#include "system/os.h"

namespace converge {
namespace {

constexpr std::size_t version_at = 1024, last_page_at = 1028, uuid_at = 1036, uuid_size = 16;
constexpr std::string_view signature = "SWAPSPACE2";
constexpr std::uint64_t least_pages = 10;  // mkswap(8)

void put_u32(std::string& page, std::size_t at, std::uint32_t value) {
  std::memcpy(page.data() + at, &value, sizeof(value));
}

std::uint32_t get_u32(std::string_view page, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, page.data() + at, sizeof(value));
  return value;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Sixteen bytes; empty if `text` is no uuid.
std::string uuid_bytes(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == '-') continue;
    const int value = digit_value(c);
    if (value < 0) return {};
    if (high < 0) {
      high = value;
    } else {
      bytes += static_cast<char>(high * 16 + value);
      high = -1;
    }
  }
  return high < 0 && bytes.size() == uuid_size ? bytes : std::string();
}

Result<std::string> random_uuid() {
  std::string bytes(uuid_size, '\0');
  if (::syscall(SYS_getrandom, bytes.data(), bytes.size(), 0U) != static_cast<long>(bytes.size())) {
    return os_error(errno, "get random bytes");
  }
  bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0FU) | 0x40U);  // RFC 4122, version 4
  bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3FU) | 0x80U);
  return bytes;
}

/// swapon(8) asks the same: fewer blocks than bytes means that some page has no place on disk.
bool has_holes(int fd, Bytes size) {
  struct stat st = {};
  return ::fstat(fd, &st) != 0 || static_cast<std::uint64_t>(st.st_blocks) * 512U < size.count;
}

int write_zeros(int fd, Bytes size) {
  const std::string chunk(std::size_t{1} << 20U, '\0');
  std::uint64_t done = 0;
  while (done < size.count) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), size.count - done));
    const ssize_t n = ::pwrite(fd, chunk.data(), part, static_cast<off_t>(done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    done += static_cast<std::uint64_t>(n);
  }
  return 0;
}

/// On btrfs, swapon(2) refuses files that are copied on write. The flag takes effect on an empty file only; on any
/// other the ioctl succeeds and does nothing, so it is read back.
Status forbid_copy_on_write(int fd, std::string_view name) {
  struct statfs fs = {};
  if (::fstatfs(fd, &fs) != 0) return os_error(errno, fmt::format("ask the file system of '{}'", name));
  if (static_cast<unsigned long>(fs.f_type) != BTRFS_SUPER_MAGIC) return ok();
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
    return os_error(errno, fmt::format("read the attributes of '{}'", name));
  flags |= FS_NOCOW_FL;
  if (::ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0) {
    return os_error(errno, fmt::format("forbid copy on write for '{}'", name));
  }
  flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_NOCOW_FL) == 0) {
    return Error{Errc::unsupported,
                 fmt::format("btrfs did not take copy on write off '{}'", name),
                 {},
                 "put the swap file in a subvolume of its own"};
  }
  return ok();
}

Error swap_error(int error_number, std::string_view doing, std::string_view path) {
  Error error = os_error(error_number, fmt::format("{} '{}'", doing, path));
  if (error_number == EPERM) {
    error.hint = "this needs CAP_SYS_ADMIN, which containers do not have; make swap on the machine itself";
  } else if (error_number == EBUSY) {
    error.code = Errc::exists;
    error.message = fmt::format("cannot {} '{}': it is already in use as swap", doing, path);
  } else if (error_number == ENOMEM) {
    error.code = Errc::refused;
    error.hint = "free memory first: what is swapped out has no room in it";
  } else if (error_number == EINVAL) {
    error.code = Errc::invalid;
    error.hint = "the file system may not carry swap files (tmpfs, overlay), or the file has holes or no valid header";
  }
  return error;
}

}  // namespace

Result<std::string> swap_header(Bytes size, std::uint64_t page_size, std::string_view uuid) {
  if (size.count % page_size != 0 || size.count < least_pages * page_size) {
    return Error{
        Errc::invalid,
        fmt::format("a swap file of {} is not possible: it must be a multiple of {} bytes and at least {} bytes",
                    size.text(), page_size, least_pages * page_size),
        {},
        {}};
  }
  const std::uint64_t last_page = size.count / page_size - 1;
  if (last_page > UINT32_MAX) {
    return Error{
        Errc::invalid, fmt::format("a swap file of {} is larger than its header can say", size.text()), {}, {}};
  }
  std::string id;
  if (uuid.empty()) {
    auto random = random_uuid();
    if (!random) return std::move(random).error();
    id = *std::move(random);
  } else {
    id = uuid_bytes(uuid);
    if (id.empty()) return Error{Errc::invalid, fmt::format("'{}' is not a uuid", printable(uuid)), {}, {}};
  }
  std::string page(page_size, '\0');
  put_u32(page, version_at, 1);
  put_u32(page, last_page_at, static_cast<std::uint32_t>(last_page));
  page.replace(uuid_at, uuid_size, id);
  page.replace(page.size() - signature.size(), signature.size(), signature);
  return page;
}

std::optional<SwapFileLook::Header> parse_swap_header(std::string_view page, std::uint64_t page_size) {
  if (page.size() < page_size || !page.substr(0, page_size).ends_with(signature)) return std::nullopt;
  SwapFileLook::Header header;
  header.version = get_u32(page, version_at);
  header.last_page = get_u32(page, last_page_at);
  for (const char c : page.substr(uuid_at, uuid_size))
    header.uuid += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return header;
}

SwapFileLook::Active probe_active(int fd) {
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, INT64_MAX, 1) == 0) return SwapFileLook::Active::unknown;
  if (errno == ETXTBSY) return SwapFileLook::Active::yes;
  return errno == EFBIG ? SwapFileLook::Active::no : SwapFileLook::Active::unknown;
}

Status fill_swap_file(int fd, Bytes size, std::uint64_t page_size, std::string_view uuid, std::string_view name) {
  auto header = swap_header(size, page_size, uuid);
  if (!header) return std::move(header).error();
  if (auto done = forbid_copy_on_write(fd, name); !done) return done;

  const std::string doing = fmt::format("allocate {} for '{}'", size.text(), name);
  struct statfs fs = {};
  if (::fstatfs(fd, &fs) != 0) return os_error(errno, fmt::format("ask the file system of '{}'", name));
  // A fallocate that fails has filled the disk first, root's reserve included; everyone else would notice.
  if (size.count / static_cast<std::uint64_t>(fs.f_bsize) >= fs.f_bavail) return os_error(ENOSPC, doing);
  int failed = ::fallocate(fd, 0, 0, static_cast<off_t>(size.count)) == 0 ? 0 : errno;
  // Never ftruncate: a file of holes is no swap file.
  if (failed == EOPNOTSUPP || failed == ENOSYS || (failed == 0 && has_holes(fd, size))) failed = write_zeros(fd, size);
  if (failed != 0) return os_error(failed, doing);
  const ssize_t n = ::pwrite(fd, header->data(), header->size(), 0);
  if (n < 0) return os_error(errno, fmt::format("write the swap header of '{}'", name));
  if (static_cast<std::size_t>(n) != header->size()) return os_error(ENOSPC, doing);
  if (::fsync(fd) != 0) return os_error(errno, fmt::format("make '{}' durable", name));
  if (has_holes(fd, size)) {
    return Error{Errc::unsupported,
                 fmt::format("the file system left holes in '{}', which swap cannot use", name),
                 {},
                 "put the swap file on ext4, xfs or btrfs, without compression"};
  }
  return ok();
}

Status swap_on_path(const std::string& path, std::optional<int> priority) {
  int flags = 0;
  if (priority) {
    if (*priority < 0 || *priority > SWAP_FLAG_PRIO_MASK) {
      return Error{Errc::invalid, fmt::format("a swap priority of {} is not between 0 and 32767", *priority), {}, {}};
    }
    flags = SWAP_FLAG_PREFER | ((*priority << SWAP_FLAG_PRIO_SHIFT) & SWAP_FLAG_PRIO_MASK);
  }
  if (::swapon(path.c_str(), flags) == 0) return ok();
  return swap_error(errno, "activate swap on", path);
}

Status swap_off_path(const std::string& path, std::chrono::milliseconds deadline) {
  using Clock = std::chrono::steady_clock;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_error(errno, "make a pipe");
  Fd from(ends[0]);
  Fd to(ends[1]);
  const char* raw_path = path.c_str();
  const pid_t child = ::fork();
  if (child < 0) return os_error(errno, "start a process for swapoff");
  if (child == 0) {
    // Only async-signal-safe calls. TERM must interrupt swapoff(2), so its disposition is the default one.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGTERM, &standard, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int failed = ::swapoff(raw_path) == 0 ? 0 : errno;
    const ssize_t n = ::write(ends[1], &failed, sizeof(failed));
    ::_exit(n == sizeof(failed) ? 0 : 1);
  }
  to.reset();
  const auto until = Clock::now() + deadline;
  bool timed_out = false;
  for (;;) {
    struct pollfd polled = {from.get(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    const int ready = ::poll(&polled, 1, timed_out ? 10'000 : static_cast<int>(std::clamp<long>(left, 0, INT_MAX)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready > 0) break;
    // A second round without an end means it does not hear TERM; KILL is then all that is left.
    ::kill(child, timed_out ? SIGKILL : SIGTERM);
    if (timed_out) break;
    timed_out = true;
  }
  int failed = 0;
  const bool answered = ::read(from.get(), &failed, sizeof(failed)) == sizeof(failed);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (answered && failed == 0) return ok();
  if (timed_out) {
    return Error{Errc::timeout,
                 fmt::format("swapoff of '{}' did not end within {} s; the area stays active, partly drained", path,
                             static_cast<double>(deadline.count()) / 1000.0),
                 {},
                 "free memory, then run again"};
  }
  if (answered && failed == EINVAL) {
    return Error{Errc::not_found, fmt::format("'{}' is not in use as swap", path), {}, {}};
  }
  if (answered) return swap_error(failed, "deactivate swap on", path);
  return Error{
      Errc::refused,
      fmt::format("swapoff of '{}' was killed by signal {}, most likely for lack of memory; the area stays active",
                  path, WIFSIGNALED(status) ? WTERMSIG(status) : 0),
      {},
      "free memory, then run again"};
}

}  // namespace converge
