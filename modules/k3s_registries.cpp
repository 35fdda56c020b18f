// Where k3s pulls images from: registries.yaml, the restart it needs, and the proof that containerd uses it.
#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "k3s_registries";

using spec::Kind;
using spec::Map;
using spec::Value;

const std::vector<spec::Field>& fields() {
  static const std::vector<spec::Field> table{
      {.name = "mirrors",
       .kind = Kind::mapping,
       .doc = "by registry, with the port images are named with: {endpoint: [URL, ...], rewrite: {regex: text}}"},
      {.name = "configs",
       .kind = Kind::mapping,
       .doc = "by host of an endpoint: {auth: {username, password, auth, identity_token}, tls: {ca_file, cert_file, "
              "key_file, insecure_skip_verify}}"},
      {.name = "manage",
       .kind = Kind::text,
       .doc = "merge: other mirrors and configs of the file are kept; exact: there are no others",
       .fallback = "merge",
       .choices = {"merge", "exact"}},
      {.name = "distribution",
       .kind = Kind::text,
       .doc = "what runs here",
       .fallback = "k3s",
       .choices = {"k3s", "rke2"}},
      {.name = "path",
       .kind = Kind::path,
       .doc = "the file it reads; /etc/rancher/k3s/registries.yaml, or rke2's, when not given"},
      {.name = "restart",
       .kind = Kind::boolean,
       .doc = "restart k3s when the file is newer than its start and containerd's files do not say all it says",
       .fallback = "true"},
      {.name = "service",
       .kind = Kind::text,
       .doc = "its service when it is not named k3s or k3s-agent (rke2-server or rke2-agent): k3s-NAME"},
      {.name = "role",
       .kind = Kind::text,
       .doc = "what that service is",
       .fallback = "server",
       .choices = {"server", "agent"}},
      {.name = "node",
       .kind = Kind::text,
       .doc = "its name in the cluster, for being Ready; the host's name in lower case when not given"},
      {.name = "pull",
       .kind = Kind::text_list,
       .doc = "images that verify pulls as the proof, and removes again if they were not there"},
      {.name = "k3s",
       .kind = Kind::path,
       .doc = "the k3s program, asked for readiness",
       .fallback = "/usr/local/bin/k3s"},
      {.name = "data_dir",
       .kind = Kind::path,
       .doc = "its --data-dir; /var/lib/rancher/k3s, or rke2's, when not given"},
  };
  return table;
}

/// The structs of k3s, which ignores keys it does not know: a typo there is a mirror without endpoints.
const std::vector<spec::Field>& mirror_fields() {
  static const std::vector<spec::Field> table{
      {.name = "endpoint", .kind = Kind::text_list, .doc = "URLs, tried in order"},
      {.name = "rewrite", .kind = Kind::mapping, .doc = "regular expression and replacement for repository names"},
  };
  return table;
}
const std::vector<spec::Field>& config_fields() {
  static const std::vector<spec::Field> table{
      {.name = "auth",
       .kind = Kind::mapping,
       .doc = "credentials",
       .of = {{.name = "username", .kind = Kind::text},
              {.name = "password", .kind = Kind::text},
              {.name = "auth", .kind = Kind::text},
              {.name = "identity_token", .kind = Kind::text}}},
      {.name = "tls",
       .kind = Kind::mapping,
       .doc = "certificates",
       .of = {{.name = "ca_file", .kind = Kind::path},
              {.name = "cert_file", .kind = Kind::path},
              {.name = "key_file", .kind = Kind::path},
              {.name = "insecure_skip_verify", .kind = Kind::boolean}}},
  };
  return table;
}

Value text_value(std::string text) { return Value(std::move(text)); }

bool has_bad_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

/// "host", "host:port" or "[v6]:port".
bool is_authority(std::string_view text) {
  if (text.empty() || has_bad_byte(text) || text.find_first_of("/@\\\"'?#") != std::string_view::npos) return false;
  const std::size_t close = text.rfind(']');
  const std::size_t colon = text.find(':', close == std::string_view::npos ? 0 : close);
  if (colon == 0) return false;
  if (colon == std::string_view::npos) return true;
  std::uint64_t port = 0;
  return parse_number(text.substr(colon + 1), port) && port >= 1 && port <= 65535;
}

/// Mirrors and hosts of configs. Only mirrors may be "*".
bool check_name(const spec::Params& params, const spec::Entry& entry) {
  if (entry.key == "*" || is_authority(entry.key)) return true;
  const bool url = entry.key.find("://") != std::string::npos;
  params.reject(entry.key_at, fmt::format("'{}' is no registry", printable(entry.key)),
                url ? "write host:port alone, as in the names of images; the URL is an endpoint's"
                    : "write host or host:port, as in the names of images, or \"*\"");
  return false;
}

void check_endpoint(const spec::Params& params, const std::string& endpoint, SourcePos at) {
  const std::size_t scheme_end = endpoint.find("://");
  if (scheme_end == std::string::npos)
    return params.reject(
        at, fmt::format("endpoint '{}' has no scheme", printable(endpoint)),
        fmt::format("k3s would take it for https://{0}; write that, or http://{0}", printable(endpoint)));
  const std::string scheme = endpoint.substr(0, scheme_end), rest = endpoint.substr(scheme_end + 3);
  if (scheme != "http" && scheme != "https")
    return params.reject(at, fmt::format("'{}' is not a scheme of a registry", printable(scheme)),
                         "write http:// or https://");
  const std::string authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string::npos)
    return params.reject(at, "an endpoint must hold no credentials",
                         "write them in 'configs:', under the endpoint's host");
  if (!is_authority(authority) || has_bad_byte(rest) || rest.find_first_of("?#\"'\\") != std::string::npos)
    params.reject(at, fmt::format("endpoint '{}' is no URL", printable(endpoint)), "write http://host:port");
}

std::optional<Value> mirror(const spec::Params& params, const spec::Entry& entry) {
  if (!check_name(params, entry)) return std::nullopt;
  if (entry.value.is_null()) return Value{};  // means something to the embedded registry
  const spec::Params mirror = params.within(entry.value, mirror_fields());
  if (!mirror.ok()) return std::nullopt;
  Map out;
  if (mirror.has("endpoint")) {
    spec::List endpoints;
    for (const std::string& endpoint : mirror.texts("endpoint")) {
      check_endpoint(params, endpoint, mirror.at("endpoint"));
      endpoints.push_back(text_value(endpoint));
    }
    out.push_back({"endpoint", {}, Value(std::move(endpoints))});
  }
  if (const Value* rewrite = mirror.raw("rewrite")) {
    Map rules;
    if (rewrite->map() == nullptr) {
      params.reject(rewrite->at(), "rewrite wants a mapping", "write {\"^(.*)$\": \"prefix/$1\"}");
      return std::nullopt;
    }
    for (const spec::Entry& rule : *rewrite->map()) {
      if (rule.value.string() == nullptr)
        params.reject(rule.value.at(), fmt::format("the replacement for '{}' is not text", printable(rule.key)),
                      "quote it");
      rules.push_back({rule.key, {}, text_value(rule.value.text())});
    }
    out.push_back({"rewrite", {}, Value(std::move(rules))});
  }
  return Value(std::move(out));
}

std::optional<Value> config(const spec::Params& params, const spec::Entry& entry) {
  if (!check_name(params, entry)) return std::nullopt;
  if (const Value* auth = entry.value.find("auth")) {
    if (auth->map() == nullptr) {
      params.reject(auth->at(), "'auth' wants a mapping", "write {username: ..., password: ...}");
      return std::nullopt;
    }
    if (entry.key == "*") {
      params.reject(auth->at(), "credentials under \"*\" are never used by k3s", "name the host of the endpoint");
      return std::nullopt;
    }
    if (const Value* token = auth->find("token")) {
      params.reject(token->at(), "k3s has no 'token' here and would ignore it", "write 'identity_token'");
      return std::nullopt;
    }
  }
  const spec::Params config = params.within(entry.value, config_fields());
  if (!config.ok()) return std::nullopt;
  Map out;
  for (const spec::Params& auth : config.each("auth")) {
    Map keys;
    for (const char* key : {"username", "password", "auth", "identity_token"})
      if (auth.has(key)) keys.push_back({key, {}, text_value(auth.text(key))});
    out.push_back({"auth", {}, Value(std::move(keys))});
  }
  for (const spec::Params& tls : config.each("tls")) {
    Map keys;
    for (const char* key : {"ca_file", "cert_file", "key_file"})
      if (tls.has(key)) keys.push_back({key, {}, text_value(tls.path(key).str())});
    if (tls.has("insecure_skip_verify"))
      keys.push_back({"insecure_skip_verify", {}, Value(tls.boolean("insecure_skip_verify"))});
    out.push_back({"tls", {}, Value(std::move(keys))});
  }
  return Value(std::move(out));
}

/// One of the two halves of the document; empty entries that were not accepted have been objected to.
template <class One>
void half(const spec::Params& params, std::string_view name, Map& document, One&& one) {
  const Value* value = params.raw(name);
  if (value == nullptr || value->is_null()) return;
  if (value->map() == nullptr) {
    params.reject(name, fmt::format("'{}' wants a mapping", name), "write one entry a registry");
    return;
  }
  Map out;
  for (const spec::Entry& entry : *value->map())
    if (auto accepted = one(params, entry)) out.push_back({entry.key, {}, *std::move(accepted)});
  document.push_back({std::string(name), {}, Value(std::move(out))});
}

bool holds_credentials(const Map& document) {
  return std::any_of(document.begin(), document.end(), [](const spec::Entry& part) {
    return part.value.map() != nullptr && std::any_of(part.value.map()->begin(), part.value.map()->end(),
                                                      [](auto& entry) { return entry.value.find("auth") != nullptr; });
  });
}

bool has_credentials(const Map& document, const std::string& host) {
  return std::any_of(document.begin(), document.end(), [&](const spec::Entry& part) {
    const Value* config = part.key == "configs" ? part.value.find(host) : nullptr;
    return config != nullptr && config->find("auth") != nullptr;
  });
}

/// "http://host:port/path" without scheme and path.
std::string authority_of(std::string_view url) {
  const std::size_t begin = url.find("://");
  if (begin != std::string_view::npos) url.remove_prefix(begin + 3);
  return std::string(url.substr(0, url.find('/')));
}

/// What differs between k3s and RKE2: names, places, and how to ask.
struct Distribution {
  std::string name;
  std::vector<std::string> units;
  bool named = false, named_agent = false;  // the one unit is a name of the operator's, and what it is
  AbsPath data_dir;
  std::string node;
  std::vector<std::string> crictl, server_ready, server_joined, agent_ready;
  bool is_agent(const std::string& unit) const { return named ? named_agent : unit.ends_with("-agent.service"); }
};

Distribution distribution(const spec::Params& params, const Facts& facts) {
  Distribution it{.name = params.text("distribution")};
  const bool rke2 = it.name == "rke2";
  it.named = params.has("service");
  it.named_agent = params.text("role") == "agent";
  if (it.named)
    it.units = {params.text("service") + ".service"};
  else
    it.units = {rke2 ? "rke2-server.service" : "k3s.service", it.name + "-agent.service"};
  it.data_dir = params.has("data_dir") ? params.path("data_dir") : AbsPath("/var/lib/rancher").child(it.name);
  it.node = params.maybe_text("node").value_or(lower(facts.hostname));
  const std::string k3s = params.path("k3s").str(), bin = it.data_dir.child("bin").str();
  it.crictl =
      rke2 ? std::vector<std::string>{bin + "/crictl", "--config=" + it.data_dir.child("agent/etc/crictl.yaml").str()}
           : std::vector<std::string>{k3s, "crictl"};
  it.server_ready = rke2 ? std::vector<std::string>{bin + "/kubectl", "--kubeconfig=/etc/rancher/rke2/rke2.yaml"}
                         : std::vector<std::string>{k3s, "kubectl"};
  it.server_joined = it.server_ready;
  it.server_joined.insert(it.server_joined.end(), {"wait", "--for=condition=Ready", "--timeout=1s", "node/" + it.node});
  it.server_ready.insert(it.server_ready.end(), {"get", "--raw=/readyz"});
  // The kubelet's own answer; there is no API server on an agent.
  it.agent_ready = rke2 ? std::vector<std::string>{bin + "/kubectl"} : std::vector<std::string>{k3s, "kubectl"};
  it.agent_ready.insert(it.agent_ready.end(), {"--server=http://127.0.0.1:10248", "get", "--raw=/healthz"});
  return it;
}

void validate(const spec::Params& params) {
  const auto plain = [](std::string_view text, std::string_view others) {
    return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             others.find(c) != std::string_view::npos;
    });
  };
  if (const auto name = params.maybe_text("service"); name && (!plain(*name, "._-@") || name->ends_with(".service")))
    params.reject("service", fmt::format("'{}' is no name of a service", printable(*name)), "write it like k3s-NAME");
  if (const auto node = params.maybe_text("node"); node && (!plain(*node, ".-") || *node != lower(*node)))
    params.reject("node", fmt::format("'{}' is no name of a node", printable(*node)),
                  "write what 'kubectl get node' shows");
  for (const std::string& image : params.texts("pull"))
    if (!plain(image, "._-/:@"))
      params.reject("pull", fmt::format("'{}' is no image", printable(image)), "write host:port/name:tag");
}

Rendered render(const spec::Params& params, const Facts& facts) {
  validate(params);
  Rendered out;
  Map document;
  half(params, "mirrors", document, mirror);
  half(params, "configs", document, config);
  const bool merge = params.text("manage") == "merge";
  if (document.empty() && merge && params.ok())
    params.reject("mirrors", "there is neither a mirror nor a config", "add 'mirrors:' or 'configs:'");
  if (!params.ok()) return out;

  const auto add = [&](std::string_view at, Resource resource) {
    out.chain.push_back(declare(module_name, params, at, std::move(resource)));
  };
  const Distribution it = distribution(params, facts);
  const AbsPath directory = AbsPath("/etc/rancher").child(it.name);
  const AbsPath path = params.has("path") ? params.path("path") : directory.child("registries.yaml");
  add("path",
      K3sSettings{.program = it.name, .units = it.units, .registries = path, .data_dir = it.data_dir, .node = it.node});
  if (path.parent() == directory) {
    add("path", Directory{.place = directory.parent()});
    add("path", Directory{.place = directory});
  }
  YamlFile file{.path = path};
  file.sensitive = holds_credentials(document);
  file.manage = merge ? YamlFile::Manage::merge : YamlFile::Manage::exact;
  std::vector<MirrorInContainerd> probes;
  for (const spec::Entry& part : document) {
    if (part.key != "mirrors") continue;
    for (const spec::Entry& one : *part.value.map()) {
      const Value* endpoints = one.value.find("endpoint");
      if (endpoints == nullptr || endpoints->list()->empty()) continue;
      MirrorInContainerd probe{.registry = one.key, .data_dir = it.data_dir, .units = it.units};
      for (const Value& endpoint : *endpoints->list()) {
        probe.endpoints.push_back(endpoint.text());
        const std::string host = authority_of(endpoint.text());
        if (has_credentials(document, host)) probe.credentials.push_back(host);
      }
      probes.push_back(std::move(probe));
    }
  }
  file.document = Value(std::move(document));
  const std::string_view first = params.has("mirrors") ? "mirrors" : "configs";
  add(first, std::move(file));
  if (!params.boolean("restart")) return out;

  RestartedSince restarted{.units = it.units, .config = path, .containerd = it.data_dir};
  for (const std::string& unit : it.units) {
    restarted.ready[unit] = it.is_agent(unit) ? it.agent_ready : it.server_ready;
    if (!it.is_agent(unit)) restarted.joined[unit] = it.server_joined;
  }
  add("restart", std::move(restarted));
  for (MirrorInContainerd& probe : probes) add("mirrors", std::move(probe));
  for (const std::string& image : params.texts("pull"))
    add("pull", ImagePull{.image = image, .crictl = it.crictl, .units = it.units});
  return out;
}

}  // namespace

extern const Module k3s_registries_module;
const Module k3s_registries_module{
    .name = module_name,
    .summary = "where k3s pulls images from: registries.yaml, the restart it needs, containerd's view",
    .fields = fields(),
    .example =
        "k3s_registries:\n  mirrors:\n    \"192.0.2.10:32166\":\n      endpoint: [\"http://192.0.2.10:32166\"]\n",
    .render = render,
};

}  // namespace converge
