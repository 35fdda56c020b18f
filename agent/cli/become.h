// Becoming root on this machine, and saying what stops a verb.
#pragma once
#include "cli/options.h"
#include "core/result.h"

namespace converge::cli {

/// The same command line again, as root. Returns only if that failed.
Error become_root(const Options& options);

/// Says `error` and its hint on standard error. @return `code`
int complain(const Error& error, int code);

/// Who holds the run lock, for a second run.
std::string holder_note();

}  // namespace converge::cli
