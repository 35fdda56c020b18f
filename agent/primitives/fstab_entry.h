// The line of fstab(5) that turns a swap file on at boot.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// One entry of fstab(5) for a swap file; every other byte of the file stays.
struct FstabEntry {
  std::string spec;                   // first field, decoded: "/swapfile"
  std::string mount_point = "none", type = "swap", options = "sw,nofail";
  std::optional<int> priority;        // pri=N of a swap entry
  bool absent = false;
  struct State { Seen seen; };
};

ResourceId id(const FstabEntry& p);
Result<FstabEntry::State> inspect(const FstabEntry& p, const SystemView& view);
Checks compare(const FstabEntry& p, const FstabEntry::State& state);
Status apply(const FstabEntry& p, const FstabEntry::State& state, System& system);
std::string diff(const FstabEntry& p, const FstabEntry::State& state);
}  // namespace converge
