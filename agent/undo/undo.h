// Putting back what a run changed.
#pragma once
#include <string>
#include <vector>

#include "engine/engine.h"
#include "undo/journal.h"

namespace converge::undo {

/// What cannot be put back, in words: what the journal remarks, and what was not kept.
struct Undone {
  Tally tally;
  std::vector<std::string> left;
};

/// What would be put back: a step each, the last change first. What is neither as the run left it nor as it was before
/// fails, and says so; so does a directory of the run's with something in it that is not the run's. `later` are
/// journals of runs after this one: what they changed too is theirs to be undone first.
Undone plan(const Journal& journal, const std::vector<Journal>& later, const SystemView& view, Observer& observer);
/// Puts it back, if nothing of what plan() would say fails or could not be told; else nothing at all is touched. What
/// is as it was before is in sync: an undo that was cut off is completed by the next one.
Undone undo(const Journal& journal, const std::vector<Journal>& later, System& system, Observer& observer);

}  // namespace converge::undo
