// A transport to this machine: each target is a directory that programs take for the user's home. For tests, and for
// the scheduler's benchmark, which needs many hosts and no network.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "remote/transport.h"

namespace converge::remote {

/// `home` gives the directory of a target; empty: nobody answers there (Errc::not_found). Programs are started by
/// /bin/sh -c in it, with HOME, PATH (its bin/ first) and nothing else.
std::unique_ptr<Transport> pipe_transport(std::function<std::string(const Target&)> home);

}  // namespace converge::remote
