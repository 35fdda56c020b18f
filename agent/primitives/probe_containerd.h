// The proof that containerd pulls through a declared mirror.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The hosts.toml k3s generated for containerd from registries.yaml. Where k3s does not run this is left out, and said so.
struct MirrorInContainerd {
  std::string registry;                // "92.205.130.254:32166"
  std::vector<std::string> endpoints;  // in order
  AbsPath data_dir{"/var/lib/rancher/k3s"};
  struct State {
    bool k3s_runs = false, generated = false;     // generated: certs.d of k3s is there
    std::optional<std::string> hosts_toml;        // nullopt: no file for this registry
    bool shadowed = false;                        // <host>_<port>_ exists, which wins
  };
  static constexpr bool live_only = true;
};

ResourceId id(const MirrorInContainerd& p);
Result<MirrorInContainerd::State> inspect(const MirrorInContainerd& p, const SystemView& view);
Checks compare(const MirrorInContainerd& p, const MirrorInContainerd::State& state);

}  // namespace converge
