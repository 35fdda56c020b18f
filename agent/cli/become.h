// Becoming root on this machine.
#pragma once
#include "cli/options.h"
#include "core/result.h"

namespace converge::cli {

/// The same command line again, as root. Returns only if that failed.
Error become_root(const Options& options);

/// Who holds the run lock, for a second run.
std::string holder_note();

}  // namespace converge::cli
