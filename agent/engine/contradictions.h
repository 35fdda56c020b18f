// Two items that want different things of the same place: each run would undo what the other did, and never end.
#pragma once
#include <vector>

#include "core/diagnostic.h"
#include "engine/engine.h"

namespace converge {

/// A diagnostic for each resource that cannot hold together with one before it: another content, mode or owner of one
/// path, another value of one kernel parameter, a line in a file whose whole content is declared without it. Saying the
/// same twice is no mistake: two modules may want one directory. What is left out counts for nothing.
void find_contradictions(const std::vector<Work>& work, Diagnostics& diagnostics);

}  // namespace converge
