// Swap files: making them, and putting them in and out of use.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "system/posix_internal.h"
#include "system/posix_system.h"
#include "system/replace.h"
#include "system/swap_file.h"

namespace converge {

Result<SwapFileLook> PosixSystem::look_swap(const AbsPath& path) const {
  auto state = look(path);
  if (!state) return std::move(state).error();
  SwapFileLook out;
  out.state = *std::move(state);
  if (!std::holds_alternative<RegularFile>(out.state)) {
    out.active = SwapFileLook::Active::no;  // whatever /proc/swaps has by this name is a file of another container
    return out;
  }

  int raw = resolver_.open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const bool writable = raw >= 0;
  if (!writable) raw = resolver_.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (raw < 0) return explain(-raw, "open", path);
  const Fd fd(raw);
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return explain(errno, "look at", path);
  out.state = state_of(fd.get(), st);
  if (!S_ISREG(st.st_mode)) {
    return changed_meanwhile(path);
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
  if (::fstatat(directory, entry->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
    return Error{Errc::exists, fmt::format("{} is already there", show(request.path)), {}, {}};
  }

  Temporary temporary(directory, entry->name);
  const Fd fd(::openat(directory, temporary.name(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    const int failed = errno;
    temporary.keep();
    return explain_write(failed, "make the swap file", place, directory, entry->name);
  }
  hold_temporary(fd.get());
  if (auto owned = own(fd.get(), place, root_owner); !owned) return owned;
  if (::fchmod(fd.get(), 0600) != 0) return explain(errno, "set the mode of", place);
  if (auto filled = fill_swap_file(fd.get(), request.size, page_size(), request.uuid, request.path.str()); !filled) {
    return filled;
  }
  return put_in_place(temporary, *entry, nullptr, "make the swap file", place);
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
