// What k3s (or RKE2) was told elsewhere, and what that makes of a registries.yaml.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// That k3s reads the file that is declared: its own settings may name another one (private-registry), keep
/// containerd's files elsewhere (data-dir), or give the node another name (node-name); and another service than those
/// expected may run it (k3s-NAME). Nothing of that is ours to change: whatever contradicts is refused, and named,
/// before anything is written.
struct K3sSettings {
  std::string program;             // "k3s" or "rke2": its files are in /etc/rancher/<program>
  std::vector<std::string> units;  // the services that may run it: "k3s.service", "k3s-agent.service"
  AbsPath registries, data_dir;
  std::string node;  // as the cluster knows it
  struct Setting {
    std::string key, value;
    std::string where;  // the file
  };
  struct State {
    std::vector<Setting> settings;            // weakest first: config.yaml, config.yaml.d, environment, command line
    std::vector<std::string> installed;       // of `units`
    std::vector<std::string> other_services;  // k3s-NAME.service that are none of `units`
  };
};

/// The values of `keys` among the words of a unit, an init script or an environment file, in order: "--KEY=VALUE",
/// "--KEY VALUE", quoted or not. Lines that are comments are passed over.
std::vector<K3sSettings::Setting> options_among(std::string_view text, const std::vector<std::string>& keys,
                                                const std::string& where);

ResourceId id(const K3sSettings& p);
Result<K3sSettings::State> inspect(const K3sSettings& p, const SystemView& view);
Checks compare(const K3sSettings& p, const K3sSettings::State& state);
Status preflight(const K3sSettings& p, const K3sSettings::State& state, const SystemView& view);
/// Always a refusal: these are the administrator's.
Status apply(const K3sSettings& p, const K3sSettings::State& state, System& system);
}  // namespace converge
