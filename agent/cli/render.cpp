// render: the primitives a spec becomes on this machine, each with the line that asked for it. Looks at facts only.
#include <fmt/core.h>

#include "cli/load.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "spec/yaml.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

std::string describe(const std::vector<Work>& work, bool as_json) {
  std::string out;
  for (const Work& item : work) {
    if (as_json) {
      for (const Declared& declared : item.rendered.chain) {
        spec::Map map;
        const auto add = [&](std::string key, const std::string& text) {
          map.push_back({std::move(key), {}, spec::Value(text, {}, true)});
        };
        add("spec", item.spec);
        add("item", item.item);
        add("module", item.module);
        add("id", id_of(declared.resource));
        add("kind", is_probe(declared.resource) ? "probe" : "resource");
        add("at", declared.from.at.text());
        out += spec::write_json(spec::Value(std::move(map))) + "\n";
      }
      continue;
    }
    out += fmt::format("{}  {}\n", printable(item.item), printable(item.at.text()));
    if (!item.skipped.empty()) out += fmt::format("    left out: {}\n", printable(item.skipped));
    if (item.rendered.refusal) out += fmt::format("    refused: {}\n", printable(item.rendered.refusal->text()));
    for (const Declared& declared : item.rendered.chain)
      out += fmt::format("    {} {:60} {}\n", is_probe(declared.resource) ? "proves" : "makes ",
                         printable(id_of(declared.resource)), printable(declared.from.at.text()));
  }
  return out;
}

}  // namespace

int render_verb(const Options& options) {
  Diagnostics diagnostics;
  Loaded loaded;
  bool good = load_inventory(options, false, loaded, diagnostics);
  good = load_specs(options, loaded, diagnostics) && good;
  if (print_diagnostics(diagnostics) || !good) return exit_bad_input;
  const auto root = root_of(options);
  if (!root) {
    fmt::print(stderr, "converge: {}\n", root.error().text());
    return exit_usage;
  }
  const auto system = open_system(*root);
  if (!system) {
    fmt::print(stderr, "converge: {}\n", printable(system.error().text()));
    return exit_failed;
  }
  auto facts = gather_facts(**system);
  if (!facts) {
    fmt::print(stderr, "converge: {}\n", printable(facts.error().text()));
    return exit_unknown;
  }
  std::string text;
  Diagnostics mistakes;
  for (const std::string& host : loaded.hosts) {
    const std::vector<Work> work = work_for(options, loaded, host, system->get(), *facts, mistakes);
    if (options.format != "json") text += fmt::format("{}, with the facts of this machine\n", printable(host));
    text += describe(work, options.format == "json");
  }
  if (print_diagnostics(mistakes)) return exit_bad_input;
  fmt::print("{}", text);
  return exit_ok;
}

}  // namespace converge::cli
