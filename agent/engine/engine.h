// Plan, verify and apply: the order of looks and acts over what a host should be, and what the outcomes add up to.
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/evaluate.h"

namespace converge {

/// One item of a spec, rendered for a host.
struct Work {
  std::string spec, item, module;
  std::vector<std::string> needs;  // items of the same spec (by name or module) or specs
  std::vector<ResourceId> gates;  // resources of the same spec that must be proved before this is asked, even by verify
  SourcePos at;
  std::string skipped;  // why it is left out, or ""
  Rendered rendered;
};

/// Told of everything as it happens. Nothing below it prints.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Work on a resource begins; it may take long.
  virtual void begins(const std::string& item, const ResourceId& id) = 0;
  virtual void step(const Step& step) = 0;
};

struct RunOptions {
  bool diff = false;
  std::function<bool()> stop;  // asked before each resource; true: finish nothing more
};

/// How many resources ended how.
struct Tally {
  std::array<std::size_t, 7> counts{};
  bool interrupted = false;
  void add(Outcome outcome) { ++counts[static_cast<std::size_t>(outcome)]; }
  std::size_t of(Outcome outcome) const { return counts[static_cast<std::size_t>(outcome)]; }
  std::size_t total() const;
};

/// undo puts back what a run changed (undo/undo.h): it has no work, and run() does nothing for it.
enum class Verb { plan, verify, drift, apply, undo };
std::string_view name_of(Verb verb);  // "plan", ...
std::optional<Verb> verb_from(std::string_view name);

/// The exit code a tally means: 1 failed or, for verify, out of sync; 4 unknown; 2 differences (plan, drift); 0. An
/// interrupted run is 130. A run that looked at nothing at all is 1: nothing was proved.
int exit_code(Verb verb, const Tally& tally);

/// What would change. A probe is asked only where nothing of its chain would change; otherwise it will be proved
/// afterwards.
Tally plan(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options);
/// Is it so, in effect? Asks every resource and every probe; a failure blocks nothing but what has it for a gate, and
/// what could not be determined makes that unknown too.
Tally verify(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options);
/// Is it still so? As verify(), without the probes that open a session: it is asked often.
Tally drift(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options);
/// Makes it so: look, act, look again; then the probes. A resource that fails blocks the rest of its chain, and work
/// that needs it. A chain that has to wait (for a service to be ready) lets the others act meanwhile, and the probes of
/// all of them are asked at the end, together. Work that needs other work begins when that has come to its end, and
/// what runs commands or services when nothing before it waits any more. A step's time is what was spent on it, not
/// what passed.
Tally apply(const std::vector<Work>& work, System& system, Observer& observer, const RunOptions& options);

/// The one of these that `verb` names.
Tally run(Verb verb, const std::vector<Work>& work, System& system, Observer& observer, const RunOptions& options);

}  // namespace converge
