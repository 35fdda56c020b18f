// The proof that containerd pulls through a declared mirror.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// The hosts.toml k3s generated for containerd from registries.yaml. Where k3s does not run this is left out, and said
/// so. A template of the administrator's (config.toml.tmpl) may leave out what makes containerd read these files, or
/// its credentials: then what was made of it is looked at, too. A k3s that has just started is given some seconds.
struct MirrorInContainerd {
  std::string registry;                // "92.205.130.254:32166", or "*"
  std::vector<std::string> endpoints;  // in order, as registries.yaml has them
  AbsPath data_dir{"/var/lib/rancher/k3s"};
  std::vector<std::string> units{"k3s.service", "k3s-agent.service"};
  std::vector<std::string> credentials;  // hosts of this mirror's endpoints that have some in registries.yaml
  struct State {
    bool k3s_runs = false, generated = false;  // generated: certs.d of k3s is there
    std::string containerd_template;           // config.toml.tmpl or its like; empty if there is none
    std::string config_toml;                   // what k3s made of it; read only with a template
    std::optional<std::string> hosts_toml;     // nullopt: no file for this registry
    std::string shadow;                        // a directory containerd prefers to k3s's; empty if there is none
    /// With credentials: whether others than root can read config.toml, which holds them, at the end of its path.
    bool open_to_others = false;
  };
  static constexpr bool live_only = true;
};

/// The URL k3s makes of an endpoint: https:// without a scheme (http:// for localhost at a port other than 443), /v2
/// when there is no path. k3s's pkg/agent/containerd/config.go.
std::string containerd_url(std::string_view endpoint);
/// The host URLs of a hosts.toml ([host."URL"] tables), in order. Other tables, keys and comments are passed over.
std::vector<std::string> parse_hosts_toml(std::string_view text);

/// True if containerd's files below `data_dir` say all that `registries`, the file of k3s, does: a hosts.toml for every
/// mirror and none of k3s's own beside them. False where that proves nothing: with credentials, certificates, rewrites
/// or mirrors without endpoints, and for a file that is not plain YAML.
Result<bool> containerd_has_all_of(const SystemView& view, const AbsPath& registries, const AbsPath& data_dir);

ResourceId id(const MirrorInContainerd& p);
Result<MirrorInContainerd::State> inspect(const MirrorInContainerd& p, const SystemView& view);
Checks compare(const MirrorInContainerd& p, const MirrorInContainerd::State& state);
Wants wants(const MirrorInContainerd& p);

}  // namespace converge
