// A swap file: allocated, signed, in use.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The file, its header and its being in use, as one resource: they can only be changed together, and in one order.
struct Swap {
  AbsPath path;
  Bytes size;                    // rounded down to the page size by compare
  std::optional<int> priority;   // 0..32767; nullopt: the kernel's choice
  std::optional<Bytes> reserve;  // left free on the file system; nullopt: max(1 GiB, 5 %)
  bool absent = false;
  /// A line of /proc/swaps. `deleted`: the kernel says the file has been unlinked since.
  struct Area {
    std::string path, type;
    Bytes size, used;
    int priority = 0;
    bool deleted = false;
  };
  struct State {
    bool live = true;
    SwapFileLook file;
    SwapFileLook leftover;     // of a run that died: <path>.converge-new
    std::optional<Area> area;  // ours in /proc/swaps
    std::vector<Area> others;
    FileSystem file_system;
    std::uint64_t page_size = 4096;
    std::string container;  // "" outside one
  };
};
/// Areas in the order of /proc/swaps, proc(5): a header line, then path, type, size, used, priority; sizes in KiB;
/// octal escapes (\\040) of the path decoded. Errc::unparsable for a line with fewer than five fields.
Result<std::vector<Swap::Area>> parse_proc_swaps(std::string_view text);
/// fstab(5) and /proc: "\\040" and other three-digit octal escapes as the bytes they stand for.
std::string decode_octal(std::string_view text);
/// Which of `areas` is the file at `path`, of which `look` is what there is; null if none. /proc/swaps is the same list
/// in every mount namespace, so a line of this path may be a file of another container: none is ours when the inode
/// says it is not in use, and of several the one with the size of our header is.
const Swap::Area* own_area(const std::vector<Swap::Area>& areas, const AbsPath& path, const SwapFileLook& look,
                           std::uint64_t page_size);
/// Where a new file is made ready before the old one goes.
AbsPath swap_workplace(const AbsPath& path);

/// May `used` bytes be moved back into memory? MemAvailable must keep max(256 MiB, 10 % of MemTotal), and no cgroup
/// with a memory limit may be pushed over it: swapoff does not fail then, it gets processes killed. Errc::refused says
/// which and by how much. True at once when `used` is 0.
Status may_swap_off(Bytes used, const SystemView& view);

ResourceId id(const Swap& p);
Result<Swap::State> inspect(const Swap& p, const SystemView& view);
Checks compare(const Swap& p, const Swap::State& state);
Status apply(const Swap& p, const Swap::State& state, System& system);
Status preflight(const Swap& p, const Swap::State& state, const SystemView& view);
}  // namespace converge
