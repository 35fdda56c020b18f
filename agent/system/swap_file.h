// Swap files by system calls: mkswap(8)'s header, allocation without holes, swapon(2) and swapoff(2).
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// The first page of a swap area of version 1: u32 version at 1024, u32 last_page at 1028, u32 bad pages at 1032, the
/// uuid at 1036, "SWAPSPACE2" in the page's last ten bytes. `uuid` is 32 hex digits (dashes allowed) or empty for a
/// random one. Errc::invalid: fewer than ten pages, not a multiple of the page size, or no uuid.
Result<std::string> swap_header(Bytes size, std::uint64_t page_size, std::string_view uuid);

/// The header in the first page of a file; nullopt without a SWAPSPACE2 signature at this page size.
std::optional<SwapFileLook::Header> parse_swap_header(std::string_view page, std::uint64_t page_size);

/// Is the inode behind `fd` (open for writing) an active swap area? Asks for one byte beyond the largest file there can
/// be: the kernel refuses with ETXTBSY for active swap and EFBIG otherwise, and changes nothing, not even a timestamp.
SwapFileLook::Active probe_active(int fd);

/// Makes the empty file `fd` a swap file of `size`: no copy on write (btrfs), all blocks allocated, header, fsync, no
/// holes. `name` is for messages.
Status fill_swap_file(int fd, Bytes size, std::uint64_t page_size, std::string_view uuid, std::string_view name);

/// swapon(2) on an absolute path; `priority` as in swapon(8), nullopt leaves it to the kernel.
Status swap_on_path(const std::string& path, std::optional<int> priority);

/// swapoff(2) in a child process, so that an out-of-memory kill hits the child, with TERM at the deadline (the area
/// then stays active, partly drained). Errc::timeout if it did not finish.
Status swap_off_path(const std::string& path, std::chrono::milliseconds deadline);

}  // namespace converge
