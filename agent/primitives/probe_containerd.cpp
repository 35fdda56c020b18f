#include "primitives/probe_containerd.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "core/text.h"
#include "primitives/service_look.h"
#include "spec/yaml.h"

namespace converge {
namespace {

constexpr Bytes limit = 1_MiB;
/// k3s writes its files some time after systemd calls it started.
constexpr std::chrono::microseconds patience = std::chrono::seconds(10);
constexpr std::chrono::milliseconds pause{100};

AbsPath certs_below(const AbsPath& data_dir) { return data_dir.child("agent/etc/containerd/certs.d"); }

AbsPath certs(const MirrorInContainerd& p) { return certs_below(p.data_dir); }

std::string directory_name(const std::string& registry) { return registry == "*" ? "_default" : registry; }

/// containerd looks for HOST_PORT_ before HOST:PORT.
std::optional<std::string> preferred_name(const std::string& registry) {
  const std::size_t colon = registry.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  return registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_";
}

std::string list_of(const std::vector<std::string>& urls) {
  return urls.empty() ? "none" : printable(join(urls, ", "));
}

std::vector<std::string> urls_of(const std::vector<std::string>& endpoints) {
  std::vector<std::string> out;
  std::transform(endpoints.begin(), endpoints.end(), std::back_inserter(out), containerd_url);
  return out;
}

/// The endpoints of each mirror; nullopt if the document says anything that hosts.toml files do not show.
std::optional<std::map<std::string, std::vector<std::string>>> plain_mirrors(const spec::Value& document) {
  std::map<std::string, std::vector<std::string>> out;
  if (document.map() == nullptr) return std::nullopt;
  for (const spec::Entry& part : *document.map()) {
    const bool says_nothing = part.value.is_null() || (part.value.map() != nullptr && part.value.map()->empty());
    if (says_nothing) continue;
    if (part.key != "mirrors" || part.value.map() == nullptr) return std::nullopt;
    for (const spec::Entry& mirror : *part.value.map()) {
      const spec::Value* endpoints = mirror.value.find("endpoint");
      if (endpoints == nullptr || endpoints->list() == nullptr || endpoints->list()->empty()) return std::nullopt;
      if (mirror.value.map()->size() != 1) return std::nullopt;
      for (const spec::Value& endpoint : *endpoints->list()) {
        if (endpoint.string() == nullptr) return std::nullopt;
        out[mirror.key].push_back(endpoint.text());
      }
    }
  }
  return out;
}

/// Can others than root read the file, and pass all directories above it? Links count as passable.
Result<bool> others_can_read(const SystemView& view, const AbsPath& path) {
  auto state = view.look(path);
  if (!state) return std::move(state).error();
  const auto* file = std::get_if<RegularFile>(&*state);
  if (file == nullptr || (file->mode.bits & 0004U) == 0) return false;
  for (AbsPath at = path.parent(); at.str() != "/"; at = at.parent()) {
    auto above = view.look(at);
    if (!above) return std::move(above).error();
    const auto* directory = std::get_if<DirectoryInfo>(&*above);
    if (directory != nullptr && (directory->mode.bits & 0001U) == 0) return false;
  }
  return true;
}

/// What k3s has made of registries.yaml, when it runs.
Result<MirrorInContainerd::State> look_at_files(const MirrorInContainerd& p, const SystemView& view) {
  MirrorInContainerd::State state{.k3s_runs = true};
  auto directory = view.look(certs(p));
  if (!directory) return std::move(directory).error();
  state.generated = std::holds_alternative<DirectoryInfo>(*directory);
  if (!state.generated) return state;
  const AbsPath toml = certs(p).child(directory_name(p.registry)).child("hosts.toml");
  auto seen = view.read(toml, limit);
  if (!seen) return std::move(seen).error();
  if (std::holds_alternative<RegularFile>(seen->state)) state.hosts_toml = std::move(seen->content);
  if (const auto name = preferred_name(p.registry)) {
    const AbsPath other = certs(p).child(*name);
    auto there = view.look(other);
    if (!there) return std::move(there).error();
    if (!std::holds_alternative<Absent>(*there)) state.shadow = other.str();
  }
  const AbsPath containerd = certs(p).parent();
  if (!p.credentials.empty()) {
    auto open = others_can_read(view, containerd.child("config.toml"));
    if (!open) return std::move(open).error();
    state.open_to_others = *open;
  }
  for (const char* name : {"config-v3.toml.tmpl", "config.toml.tmpl"}) {
    auto there = view.look(containerd.child(name));
    if (!there) return std::move(there).error();
    if (std::holds_alternative<Absent>(*there)) continue;
    state.containerd_template = containerd.child(name).str();
    auto made = view.read(containerd.child("config.toml"), limit);
    if (!made) return std::move(made).error();
    state.config_toml = std::move(made->content);
    break;
  }
  return state;
}

}  // namespace

std::string containerd_url(std::string_view endpoint) {
  std::string url(endpoint);
  if (url.find("://") == std::string::npos) {
    const std::string_view authority = endpoint.substr(0, endpoint.find('/'));
    const std::size_t colon = authority.rfind(':');
    const std::string_view host = authority.substr(0, colon);
    const std::string_view port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon + 1);
    const bool local = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
    url.insert(0, local && !port.empty() && port != "443" ? "http://" : "https://");
  }
  const std::size_t path = url.find('/', url.find("://") + 3);
  if (path == std::string::npos) return url + "/v2";
  return path + 1 == url.size() ? url + "v2" : url;
}

std::vector<std::string> parse_hosts_toml(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view raw : split_lines(text)) {
    std::string_view line = trim(raw);
    if (!line.starts_with('[')) continue;
    line = trim(line.substr(1));
    if (!starts_with_word(line, "host") && !line.starts_with("host")) continue;
    line = trim(line.substr(4));
    if (!line.starts_with('.')) continue;
    line = trim(line.substr(1));
    if (line.empty() || (line.front() != '"' && line.front() != '\'')) continue;
    const std::size_t end = line.find(line.front(), 1);
    if (end == std::string_view::npos || !trim(line.substr(end + 1)).starts_with(']')) continue;  // a table below it
    out.emplace_back(line.substr(1, end - 1));
  }
  return out;
}

Result<bool> containerd_has_all_of(const SystemView& view, const AbsPath& registries, const AbsPath& data_dir) {
  auto seen = view.read(registries, limit);
  if (!seen) return std::move(seen).error();
  Diagnostics ignored;  // a file that cannot be read proves nothing
  const Source source{registries.str(), std::move(seen->content)};
  const auto document = spec::read_yaml(source, {}, ignored);
  const auto mirrors = document ? plain_mirrors(*document) : std::nullopt;
  if (!mirrors) return false;
  const AbsPath directory = certs_below(data_dir);
  auto names = view.list(directory);
  if (!names) return std::move(names).error();
  if (!*names) return false;
  std::size_t found = 0;
  for (const std::string& name : **names) {
    auto toml = view.read(directory.child(name).child("hosts.toml"), limit);
    if (!toml) return std::move(toml).error();
    if (!toml->content.starts_with("# File generated by ")) continue;  // the administrator's
    const auto mirror = mirrors->find(name == "_default" ? "*" : name);
    if (mirror == mirrors->end() || parse_hosts_toml(toml->content) != urls_of(mirror->second)) return false;
    ++found;
  }
  return found == mirrors->size();
}

ResourceId id(const MirrorInContainerd& p) { return "containerd_mirror:" + p.registry; }

Wants wants(const MirrorInContainerd& p) { return {.queries = {}, .units = p.units}; }

Result<MirrorInContainerd::State> inspect(const MirrorInContainerd& p, const SystemView& view) {
  bool runs = false;
  std::optional<Timestamp> started;
  for (const std::string& unit : p.units) {
    auto look = look_at_service(view, unit);
    if (!look) return std::move(look).error();
    if (look->state != "active") continue;
    runs = true;
    started = std::max(started, look->started);
  }
  if (!runs) return MirrorInContainerd::State{};
  // Nobody else waits for a k3s that was restarted by a run which then died.
  const bool starting = started && view.now().micros - started->micros < patience.count();
  for (std::chrono::microseconds waited{0};; waited += pause) {
    auto state = look_at_files(p, view);
    if (!state || !starting || waited >= patience) return state;
    const Checks checks = compare(p, *state);
    if (!any_fails(checks) && !any_unknown(checks)) return state;
    view.pause(pause);
  }
}

Checks compare(const MirrorInContainerd& p, const MirrorInContainerd::State& state) {
  const auto& [registry, endpoints, data_dir, units, credentials] = p;
  const auto& [k3s_runs, generated, containerd_template, config_toml, hosts_toml, shadow, open_to_others] = state;
  (void)units;
  const std::vector<std::string> expected = urls_of(endpoints);
  const std::string wanted = list_of(expected);
  if (!k3s_runs) return {check_skipped("endpoints", wanted, "k3s does not run here")};
  if (!generated)
    return {check_unknown("endpoints", wanted,
                          fmt::format("no certs.d below '{}': k3s releases before 2024 have none", data_dir.str()))};
  Checks checks;
  const std::vector<std::string> actual = hosts_toml ? parse_hosts_toml(*hosts_toml) : std::vector<std::string>{};
  checks.push_back(check_that("endpoints", hosts_toml.has_value() && actual == expected, wanted,
                              hosts_toml ? list_of(actual) : fmt::format("no hosts.toml for '{}'", registry)));
  checks.push_back(check_equal("preferred directory", "none", shadow.empty() ? "none" : shadow));
  if (!credentials.empty()) {
    checks.push_back(check_equal("credentials in config.toml", "for root alone",
                                 open_to_others ? "readable by others" : "for root alone"));
    if (open_to_others) checks.back().detail = fmt::format("chmod o-x {}", certs(p).parent().str());
  }
  if (containerd_template.empty()) return checks;
  std::vector<std::string> lines;
  for (const auto line : split_lines(config_toml))
    if (!trim(line).starts_with('#')) lines.emplace_back(line);
  const auto kept = [&](std::string property, std::string_view what) {
    const bool there = std::any_of(lines.begin(), lines.end(),
                                   [&](const std::string& line) { return line.find(what) != std::string::npos; });
    Check check = check_that(std::move(property), there, "in config.toml", there ? "in config.toml" : "left out");
    check.detail = fmt::format("'{}' is what k3s makes containerd's configuration of", containerd_template);
    checks.push_back(std::move(check));
  };
  kept("hosts.toml files", certs(p).str());
  for (const std::string& host : credentials) kept(fmt::format("credentials for {}", host), host);
  return checks;
}

}  // namespace converge
