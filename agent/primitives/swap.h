// A swap file: allocated, signed, in use.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The file, its header and its being in use, as one resource: they can only be changed together, and in one order:
/// the new file is made beside the old one, the old one goes out of use and away, the new one gets its name and comes
/// into use. What is swapped out has to go into memory then: MemAvailable must keep max(256 MiB, 10 % of MemTotal), and
/// no cgroup with a memory limit may be pushed over it, for swapoff does not fail then but gets processes killed. If
/// only memory is too little and the disk has room, a helper area takes the rest until the new file is in use. All of
/// it goes by what is seen, so a run that dies anywhere is finished by the next one.
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
    SwapFileLook leftover;        // of a run that died: <path>.converge-new
    SwapFileLook helper;          // swap_helper(), only during a replacement or after one that died
    std::vector<AbsPath> scraps;  // files beside it that were being made by runs that died
    std::optional<Area> area;     // ours in /proc/swaps
    std::optional<Area> leftover_area, helper_area;
    std::vector<Area> others;
    FileSystem file_system;
    /// On btrfs: snapshots of the subvolume the file is in. One that is taken while the file is out of use shares its
    /// blocks, and swapon refuses it from then on. nullopt: could not be told.
    std::optional<std::vector<std::string>> snapshots = std::vector<std::string>();
    std::uint64_t page_size = 4096;
    std::string container;  // "" outside one
  };
};
/// Areas in the order of /proc/swaps, proc(5): a header line, then path, type, size, used, priority; sizes in KiB;
/// octal escapes (\\040) of the path decoded. Errc::unparsable for a line with fewer than five fields.
Result<std::vector<Swap::Area>> parse_proc_swaps(std::string_view text);
/// Which of `areas` is the file at `path`, of which `look` is what there is; null if none. /proc/swaps is the same list
/// in every mount namespace, so a line of this path may be a file of another container: none is ours when the inode
/// says it is not in use, and of several the one with the size of our header is.
const Swap::Area* own_area(const std::vector<Swap::Area>& areas, const AbsPath& path, const SwapFileLook& look,
                           std::uint64_t page_size);
/// Where a new file is made ready before the old one goes.
AbsPath swap_workplace(const AbsPath& path);
/// The area that stands in while the file is replaced and memory alone could not hold what is swapped out.
AbsPath swap_helper(const AbsPath& path);

ResourceId id(const Swap& p);
Result<Swap::State> inspect(const Swap& p, const SystemView& view);
Checks compare(const Swap& p, const Swap::State& state);
Status apply(const Swap& p, const Swap::State& state, System& system);
Status preflight(const Swap& p, const Swap::State& state, const SystemView& view);

/// May an area of which `used` bytes are in use be turned off, with nothing but memory to take them? Errc::refused says
/// why not.
Status may_swap_off(Bytes used, const SystemView& view);
}  // namespace converge
