// The proof that the kernel enforces a slice's limit.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The kernel's own file where the slice runs; an inactive slice has none, which is said and is not a failure. On
/// cgroup v1 MemorySwapMax has no effect: unknown, with that sentence. A controller that is switched off: a failure,
/// the limit is configured and nothing enforces it; in a container that was given none: left out, and said so. What
/// binds is the least limit on the way to the root: a slice above with a lower one is a failure that names it.
struct CgroupLimit {
  std::string unit;         // "user-1000.slice"
  std::string property;     // "MemoryMax", "MemoryHigh", "MemorySwapMax", "TasksMax", "CPUQuotaPerSecUSec"
  std::string value;        // decimal, or "infinity"
  std::uint64_t slack = 0;  // a number this near is as good
  struct State {
    bool unified = false, slice_runs = false, controller = false;
    std::optional<std::string> value;  // of memory.max and so on
    /// Of the slices above, which bind as well: the one with the least limit; nullopt if none has any.
    std::optional<std::pair<std::string, std::uint64_t>> above;  // "user.slice", 1073741824
    /// With MemoryMax: how many of the slice's processes the kernel has killed for it; nullopt: it does not say.
    std::optional<std::uint64_t> killed;
    std::uint64_t page_size = 4096;
    std::string container;  // "" outside one; inside, who runs it decides which controllers there are
  };
  static constexpr bool live_only = true;
};

ResourceId id(const CgroupLimit& p);
Result<CgroupLimit::State> inspect(const CgroupLimit& p, const SystemView& view);
Checks compare(const CgroupLimit& p, const CgroupLimit::State& state);

}  // namespace converge
