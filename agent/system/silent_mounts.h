// File systems whose server is gone: whatever touches them waits, often for ever, and no deadline of ours would end it.
#pragma once
#include <chrono>
#include <string_view>
#include <vector>

#include "core/values.h"

namespace converge {

/// Mount points, of those in `mounts` (proc_pid_mounts(5)), that another process or machine answers for (FUSE, NFS,
/// CIFS and their like) and that did not answer within `patience`. Each is asked by a process of its own, all at the
/// same time; without such mounts nothing is asked.
std::vector<AbsPath> silent_mounts(std::string_view mounts, std::chrono::milliseconds patience);

/// True if `path` is one of `mounts` or lies below one.
bool is_on(const std::vector<AbsPath>& mounts, const AbsPath& path);

/// Runs `ask`, which must make system calls only, in a process of its own. False if it did not end within `patience`;
/// it is killed then.
bool answers(void (*ask)(const void* what), const void* what, std::chrono::milliseconds patience);

}  // namespace converge
