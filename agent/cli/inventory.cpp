// inventory: hosts and groups; with --explain HOST every variable, its value, and the place each value was written at.
#include <fmt/core.h>

#include "cli/load.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "spec/pattern.h"
#include "spec/yaml.h"

namespace converge::cli {
namespace {

std::string place_of(const spec::Variable& variable) {
  const std::string at = variable.value->at().text();
  return at == "-" ? variable.origin : fmt::format("{} ({})", at, variable.origin);
}

std::string shown(const spec::Value& value) {
  const bool scalar = value.list() == nullptr && value.map() == nullptr;
  return printable(scalar ? value.text() : spec::write_json(value));
}

int explain(const Options& options, Loaded& loaded, const std::string& host) {
  spec::Map spec_vars;  // of every spec for this host: lowest precedence
  Diagnostics diagnostics;
  if (loaded.files.is_directory("specs") || !options.specs.empty()) {
    if (!load_specs(options, loaded, diagnostics)) {
      (void)print_diagnostics(diagnostics);
      return exit_bad_input;
    }
    for (const spec::Spec* one : specs_for(loaded, host, diagnostics))
      spec_vars.insert(spec_vars.end(), one->vars.begin(), one->vars.end());
  }
  const spec::Variables variables = spec::merge_variables(loaded.inventory, host, spec_vars, loaded.extra);
  fmt::print("{}  groups: {}\n", printable(host), printable(join(loaded.inventory.groups_of(host), ", ")));
  for (const auto& [name, resolved] : variables) {
    fmt::print("  {} = {}  {}\n", printable(name), shown(resolved.value()),
               printable(place_of(resolved.history.back())));
    for (std::size_t i = resolved.history.size() - 1; i-- > 0;)
      fmt::print("      instead of {}  {}\n", shown(*resolved.history[i].value),
                 printable(place_of(resolved.history[i])));
  }
  return exit_ok;
}

}  // namespace

int inventory_verb(const Options& options) {
  Diagnostics diagnostics;
  Loaded loaded;
  Options selected = options;
  if (!options.explain.empty()) selected.limit = options.explain;
  const bool good = load_inventory(selected, true, loaded, diagnostics);
  if (print_diagnostics(diagnostics) || !good) return exit_bad_input;
  if (!options.explain.empty()) {
    for (const std::string& host : loaded.hosts)
      if (const int code = explain(options, loaded, host); code != exit_ok) return code;
    return exit_ok;
  }
  for (const std::string& host : loaded.hosts) {
    if (options.format == "json") {
      spec::List groups;
      for (const std::string& group : loaded.inventory.groups_of(host))
        groups.emplace_back(spec::Value(group, {}, true));
      spec::Map map{{"host", {}, spec::Value(host, {}, true)}, {"groups", {}, spec::Value(std::move(groups))}};
      fmt::print("{}\n", spec::write_json(spec::Value(std::move(map))));
    } else {
      fmt::print("{:24} {}\n", printable(host), printable(join(loaded.inventory.groups_of(host), ", ")));
    }
  }
  return exit_ok;
}

}  // namespace converge::cli
