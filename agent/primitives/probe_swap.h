// The proof that a swap file is in use now and will be at the next boot.
#pragma once
#include "primitives/primitive.h"
#include "primitives/swap.h"

namespace converge {

/// Looks by another road than Swap: /proc/meminfo's SwapTotal, the unit systemd's generator made of fstab. OpenRC turns
/// swap on before it mounts file systems other than the root, and does not say so when it cannot: the file has to be on
/// the root file system there.
struct SwapInEffect {
  AbsPath path;
  Bytes size;  // what /proc/swaps must show is (size - page) / 1024 KiB
  struct State {
    std::optional<Swap::Area> area;  // of the file at `path`
    std::uint64_t page_size = 4096;
    SwapFileLook::Active inode_active = SwapFileLook::Active::unknown;
    std::optional<Bytes> swap_total;
    bool systemd = false;
    bool openrc = false;
    std::string mount_point;                    // of the path's file system; only looked up under OpenRC
    std::optional<std::string> generated_what;  // What= of /run/systemd/generator/*.swap for the path; nullopt: no unit
  };
  static constexpr bool live_only = true;
};

ResourceId id(const SwapInEffect& p);
Result<SwapInEffect::State> inspect(const SwapInEffect& p, const SystemView& view);
Checks compare(const SwapInEffect& p, const SwapInEffect::State& state);
Wants wants(const SwapInEffect& p);
}  // namespace converge
