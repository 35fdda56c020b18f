// The closed set. Adding a primitive here makes every place that must know it fail to compile until it does.
#pragma once
#include <variant>

#include "checks/assertion.h"
#include "primitives/block.h"
#include "primitives/command.h"
#include "primitives/directory.h"
#include "primitives/file.h"
#include "primitives/fstab_entry.h"
#include "primitives/git_remote.h"
#include "primitives/k3s_settings.h"
#include "primitives/known_host.h"
#include "primitives/line.h"
#include "primitives/loaded_unit.h"
#include "primitives/login_limits.h"
#include "primitives/probe_cgroup.h"
#include "primitives/probe_containerd.h"
#include "primitives/probe_git.h"
#include "primitives/probe_image.h"
#include "primitives/probe_login.h"
#include "primitives/probe_ssh.h"
#include "primitives/probe_swap.h"
#include "primitives/restarted_since.h"
#include "primitives/service.h"
#include "primitives/ssh_key.h"
#include "primitives/swap.h"
#include "primitives/symlink.h"
#include "primitives/sysctl.h"
#include "primitives/yaml_file.h"

namespace converge {

using AnyResource = std::variant<Block, CgroupLimit, Directory, File, FstabEntry, GitReached, GitRemote, GitUrlInEffect,
                                 ImagePull, K3sSettings, KnownHost, Line, LoadedUnit, LoginLimitInEffect, LoginLimits,
                                 MirrorInContainerd, RestartedSince, RunCommand, Service, SshConfigAnswer, SshKey, Swap,
                                 SwapInEffect, SymbolicLink, Sysctl, YamlFile, checks::Assertion>;

/// std::visit takes it as it is. The members below are in resource.cpp: in every file that handles resources they would
/// be most of its code.
struct Resource : AnyResource {
  using AnyResource::AnyResource;
  Resource(const Resource&);
  Resource(Resource&&) noexcept;
  Resource& operator=(const Resource&);
  Resource& operator=(Resource&&) noexcept;
  ~Resource();
};

}  // namespace converge
