// The template functions that gossfiles have and specs do not.
#pragma once
#include "checks/gossfile.h"

namespace converge::checks {

/// The scope of a gossfile's templates: what `input` has, its environment, and the functions that need it.
spec::Scope scope_of(const GossfileInput& input);

}  // namespace converge::checks
