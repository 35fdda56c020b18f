// Becoming root on this machine.
#pragma once
#include "cli/options.h"
#include "core/result.h"
#include "system/lock.h"

namespace converge::cli {

/// The same command line again, as root. Returns only if that failed.
Error become_root(const Options& options);

/// The run lock of the tree at `root`. With --wait it says once whom it waits for, and waits until it has it or is
/// interrupted.
Result<RunLock> take_run_lock(const AbsPath& root, const Options& options);
/// The exit code of a run that did not get its lock.
int exit_without_lock(const Error& why);

}  // namespace converge::cli
