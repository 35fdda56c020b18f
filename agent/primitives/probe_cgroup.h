// The proof that the kernel enforces a slice's limit.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The kernel's own file where the slice runs; an inactive slice has none, which is said and is not a failure. On cgroup v1
/// MemorySwapMax has no effect: unknown, with that sentence.
struct CgroupLimit {
  std::string unit;      // "user-1000.slice"
  std::string property;  // "MemoryMax", "MemorySwapMax", "TasksMax"
  std::string value;     // decimal, or "infinity"
  struct State {
    bool unified = false, slice_runs = false, controller = false;
    std::optional<std::string> value;  // of memory.max and so on
    std::uint64_t page_size = 4096;
  };
  static constexpr bool live_only = true;
};

ResourceId id(const CgroupLimit& p);
Result<CgroupLimit::State> inspect(const CgroupLimit& p, const SystemView& view);
Checks compare(const CgroupLimit& p, const CgroupLimit::State& state);

}  // namespace converge
