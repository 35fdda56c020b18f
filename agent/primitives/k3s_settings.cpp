#include "primitives/k3s_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "primitives/reading.h"
#include "spec/yaml.h"

namespace converge {
namespace {

using Setting = K3sSettings::Setting;

const std::vector<std::string> asked{"private-registry", "data-dir", "node-name", "with-node-id"};

std::string text_of(const spec::Value& value) {
  if (const bool* yes = value.boolean()) return *yes ? "true" : "false";
  return value.string() != nullptr ? *value.string() : spec::write_json(value);
}

/// config.yaml and config.yaml.d/*.yaml: keys are the flags without their dashes.
Status read_config(const AbsPath& path, const SystemView& view, std::vector<Setting>& out) {
  auto text = read_text(view, path);
  if (!text) return std::move(text).error();
  if (!*text) return ok();
  Sources sources;
  Diagnostics diagnostics;
  spec::YamlRules rules;
  rules.aliases = true;
  const auto document = spec::read_yaml(*sources.add(path.str(), **text), rules, diagnostics);
  if (!document)
    return Error{Errc::unparsable,
                 fmt::format("'{}' is not understood: {}", path.str(),
                             diagnostics.empty() ? "no document" : diagnostics.front().message),
                 {},
                 {}};
  for (const std::string& key : asked)
    if (const spec::Value* value = document->find(key); value != nullptr && !value->is_null())
      out.push_back({key, text_of(*value), path.str()});
  return ok();
}

std::string without_suffix(std::string_view unit) { return std::string(unit.substr(0, unit.rfind(".service"))); }

/// Where a service is defined, and the file of its environment: systemd's, then OpenRC's.
std::vector<AbsPath> definitions(const std::string& unit) {
  std::vector<AbsPath> out;
  const std::string name = without_suffix(unit);
  for (const char* directory : {"/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/etc/systemd/system"}) {
    const AbsPath at(directory);
    out.push_back(at.child(unit));
    out.push_back(at.child(unit + ".env"));
  }
  out.push_back(AbsPath("/etc/init.d").child(name));
  return out;
}

/// The last, and so the strongest.
const Setting* find(const K3sSettings::State& state, std::string_view key) {
  const auto it =
      std::find_if(state.settings.rbegin(), state.settings.rend(), [&](const Setting& s) { return s.key == key; });
  return it == state.settings.rend() ? nullptr : &*it;
}

Check check_path(const K3sSettings::State& state, std::string_view key, const AbsPath& expected) {
  const Setting* setting = find(state, key);
  if (setting == nullptr) return check_equal(std::string(key), expected.str(), expected.str());
  const auto path = AbsPath::parse(setting->value);
  Check check = check_equal(std::string(key), expected.str(), path ? path->str() : printable(setting->value));
  check.detail = fmt::format("set in {}", setting->where);
  return check;
}

Status objection(const K3sSettings& p, const K3sSettings::State& state) {
  const auto refuse = [](std::string message, std::string hint) -> Status {
    return Error{Errc::refused, std::move(message), {}, std::move(hint)};
  };
  const Checks checks = compare(p, state);
  for (const Check& check : checks) {
    if (check.verdict != Verdict::fail) continue;
    if (check.property == "service")
      return refuse(fmt::format("{} runs as '{}' here", p.program, check.actual),
                    fmt::format("write service: {}", without_suffix(check.actual)));
    if (check.property == "private-registry")
      return refuse(fmt::format("{} reads '{}', not '{}': private-registry is {}", p.program, check.actual,
                                check.expected, check.detail),
                    fmt::format("write path: {}, or take private-registry away", check.actual));
    const bool node = check.property == "node-name";
    return refuse(fmt::format("{} of {} is '{}', not '{}': {}", check.property, p.program, check.actual, check.expected,
                              check.detail),
                  node ? std::string("write node: with the name that 'kubectl get node' shows")
                       : fmt::format("write data_dir: {}", check.actual));
  }
  return ok();
}

}  // namespace

std::vector<Setting> options_among(std::string_view text, const std::vector<std::string>& keys,
                                   const std::string& where) {
  std::vector<Setting> out;
  std::string plain;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (line.starts_with('#')) continue;
    plain += line;
    plain += ' ';
  }
  for (char& c : plain)
    if (c == '\'' || c == '"' || c == '\\') c = ' ';
  const auto words = fields(plain);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "=" || !words[i].starts_with("--")) {
      constexpr std::string_view name = "K3S_NODE_NAME=";
      if (words[i].starts_with(name) && std::find(keys.begin(), keys.end(), "node-name") != keys.end())
        out.push_back({"node-name", std::string(words[i].substr(name.size())), where});
      continue;
    }
    const auto equals = words[i].find('=');
    const std::string key(words[i].substr(2, equals == std::string_view::npos ? equals : equals - 2));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    if (equals != std::string_view::npos && equals + 1 < words[i].size())
      out.push_back({key, std::string(words[i].substr(equals + 1)), where});
    else if (key == "with-node-id")
      out.push_back({key, "true", where});
    else if (i + 1 < words.size() && !words[i + 1].starts_with('-'))
      out.push_back({key, std::string(words[++i]), where});
  }
  return out;
}

ResourceId id(const K3sSettings& p) { return "settings:" + p.program; }

Result<K3sSettings::State> inspect(const K3sSettings& p, const SystemView& view) {
  K3sSettings::State state;
  const AbsPath directory = AbsPath("/etc/rancher").child(p.program);
  if (auto done = read_config(directory.child("config.yaml"), view, state.settings); !done) return done.error();
  auto parts = view.list(directory.child("config.yaml.d"));
  if (!parts) return std::move(parts).error();
  for (const std::string& name : parts->value_or(std::vector<std::string>{}))
    if (name.ends_with(".yaml") || name.ends_with(".yml"))
      if (auto done = read_config(directory.child("config.yaml.d").child(name), view, state.settings); !done)
        return done.error();
  for (const std::string& unit : p.units) {
    bool found = false;
    for (const AbsPath& path : definitions(unit)) {
      auto text = read_text(view, path);
      if (!text) return std::move(text).error();
      if (!*text) continue;
      found = true;
      auto options = options_among(**text, asked, path.str());
      std::move(options.begin(), options.end(), std::back_inserter(state.settings));
    }
    if (found) state.installed.push_back(unit);
  }
  for (const char* place : {"/etc/systemd/system", "/etc/init.d"}) {
    auto names = view.list(AbsPath(place));
    if (!names) return std::move(names).error();
    for (const std::string& name : names->value_or(std::vector<std::string>{})) {
      const bool script = std::string_view(place) == "/etc/init.d";
      const std::string unit = script ? name + ".service" : name;
      if (!name.starts_with(p.program + "-") || (!script && !name.ends_with(".service"))) continue;
      if (std::find(p.units.begin(), p.units.end(), unit) == p.units.end()) state.other_services.push_back(unit);
    }
  }
  return state;
}

Checks compare(const K3sSettings& p, const K3sSettings::State& state) {
  const auto& [program, units, registries, data_dir, node] = p;
  (void)program;
  const auto& [settings, installed, other_services] = state;
  (void)settings;
  Checks checks;
  const bool elsewhere = installed.empty() && !other_services.empty();
  checks.push_back(check_that("service", !elsewhere, without_suffix(units.front()),
                              elsewhere ? other_services.front() : without_suffix(units.front())));
  checks.push_back(check_path(state, "private-registry", registries));
  checks.push_back(check_path(state, "data-dir", data_dir));
  const Setting *name = find(state, "node-name"), *numbered = find(state, "with-node-id");
  const bool with_id = numbered != nullptr && numbered->value == "true";
  if (name == nullptr && !with_id) return checks;
  const std::size_t dash = node.rfind('-');
  const bool has_id = dash != std::string::npos && node.size() - dash == 9;  // '-' and eight hex digits
  const std::string base = with_id && has_id ? node.substr(0, dash) : node;
  const std::string actual = name != nullptr ? lower(name->value) : base;
  checks.push_back(check_that("node-name", base == actual && (!with_id || has_id), node,
                              printable(actual) + (with_id ? "-ID" : "")));
  checks.back().detail = fmt::format("set in {}", with_id ? numbered->where : name->where);
  return checks;
}

Status preflight(const K3sSettings& p, const K3sSettings::State& state, const SystemView& view) {
  (void)view;
  return objection(p, state);
}

Status apply(const K3sSettings& p, const K3sSettings::State& state, System& system) {
  (void)system;
  return objection(p, state);
}

}  // namespace converge
