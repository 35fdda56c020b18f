// A service: running or stopped, enabled or disabled at boot.
#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "service";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "name", .kind = Kind::text, .doc = "as systemd or OpenRC calls it: k3s, ssh.socket", .required = true},
      {.name = "running", .kind = Kind::boolean, .doc = "true: it runs now; false: it is stopped; absent: either"},
      {.name = "enabled", .kind = Kind::boolean, .doc = "true: it starts at boot; false: it does not; absent: either"},
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  if (!params.ok()) return {};
  const std::string name = params.text("name");
  const bool spelled =
      !name.empty() && name.front() != '-' && name.front() != '.' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@\\") ==
          std::string::npos;
  if (!spelled) params.reject("name", "'" + name + "' is no name of a service", {});
  if (!params.has("running") && !params.has("enabled"))
    params.reject("name", "nothing is said about service '" + name + "'", "say 'running', 'enabled' or both");
  if (!params.ok()) return {};
  if (facts.live && facts.init == "none")
    return {{}, Error{Errc::unsupported, "neither systemd nor OpenRC runs on this host", {}, {}}};
  Service service{.name = name, .running = std::nullopt, .enabled = std::nullopt};
  if (params.has("running")) service.running = params.boolean("running");
  if (params.has("enabled")) service.enabled = params.boolean("enabled");
  return {{declare(module_name, params, "name", std::move(service))}, std::nullopt};
}

}  // namespace

extern const Module service_module;
const Module service_module{
    .name = module_name,
    .summary = "a service of systemd or OpenRC: running or not, enabled at boot or not",
    .fields = fields(),
    .example = "service:\n  name: systemd-timesyncd\n  running: true\n  enabled: true\n",
    .render = render,
};

}  // namespace converge
