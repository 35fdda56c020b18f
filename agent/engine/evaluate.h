// One look at one resource, and one act between two looks. Everything above is order and counting.
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "engine/step.h"
#include "modules/module.h"

namespace converge {

struct LookOptions {
  bool diff = false;       // fill Step::diff
  bool preflight = false;  // when a check fails: also ask whether apply would be refused, and fail if so
  /// What has changed, or would, earlier in its chain: ids. What follows one of them is out of sync, and the note says
  /// so.
  std::vector<std::string> changed = {};
};

ResourceId id_of(const Resource& resource);
bool is_probe(const Resource& resource);  // has no apply: it proves an effect
bool is_deep(const Resource& resource);   // a probe too dear for every run
/// A command of which nobody can know, before or after, whether it is needed.
bool is_unverifiable(const Resource& resource);
/// What it does or asks may need a service of this host: it begins when no item before it waits for one any more.
bool rests_on_services(const Resource& resource);
/// True if the service manager answers it, or is held by it: where the manager is busy it waits.
bool asks_manager(const Resource& resource, const SystemView& view);
/// True if it acts with root's rights, as far as it is known beforehand: not with those of some other user.
bool acts_as_root(const Resource& resource);
Wants wants_of(const Resource& resource, const SystemView& view);

/// inspect and compare. A look that failed is Outcome::unknown with the error (Errc::refused and unsupported: failed).
Step evaluate(const Declared& declared, const SystemView& view, const LookOptions& options);

/// A step; if `settle` is set, what it is about has only been set going, and settle() waits for it and completes the
/// step. Until then go_on() does what it can without waiting.
struct Act {
  Step step;
  std::function<void(Step&)> settle;
  std::function<void()> go_on = {};
  std::function<bool()> holds_manager = {};  // if set: whether the service manager is still busy with it
};

/// evaluate; if a check fails: preflight, apply, evaluate again. changed means: the second look passed, or it came with
/// what it follows. `declared` and
/// `system` must live until the act has settled.
Act converge(const Declared& declared, System& system, const LookOptions& options);

}  // namespace converge
