// A spec file: which hosts, which variables, which items. Items stay unevaluated until a host's variables are known.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "spec/inventory.h"
#include "spec/variables.h"

namespace converge::spec {

/// One entry of `converge:`, as written.
struct RawItem {
  std::string module;      // "swapfile"
  SourcePos at;            // of the module's key
  Value parameters;        // a mapping, or null
  std::string name;        // `name:`, or the module
  std::vector<std::string> tags, needs;
  std::optional<Value> when, for_each;
  SourcePos needs_at;
};

struct Spec {
  std::string name;        // `spec:`, or the file's name without its ending
  SourcePos at;
  std::string hosts;       // a pattern; "all" when absent
  SourcePos hosts_at;
  Map vars;
  std::vector<std::string> needs;  // other specs, by name
  std::vector<std::string> tags;   // of every item
  std::vector<RawItem> items;
  std::string directory;   // for source: and template:
};

/// Reads one spec. Unknown keys, unknown modules (`known_modules`, with "did you mean"), several modules in one item, no
/// items at all, a directory, a file above 1 MiB: diagnostics, all of them.
std::optional<Spec> load_spec(const std::string& path, const std::vector<std::string>& known_modules,
                              const FileReader& files, Sources& sources, Diagnostics& diagnostics);

/// Specs in the order they run: that given, moved so that each stands after what it `needs`. An unknown name or a cycle is
/// a diagnostic. An item may need an earlier item of its spec (by name or module) or a whole spec.
std::vector<Spec> in_order(std::vector<Spec> specs, Diagnostics& diagnostics);

/// An item with its values, ready to be rendered.
struct Item {
  std::string spec, module, name;
  SourcePos at;
  Value parameters;
  std::vector<std::string> tags, needs;
  std::string skipped;     // why it is left out: "when: is false at specs/x.yaml:9:5"; empty if it is not
};

/// Evaluates `when`, `for_each` (a list; each element is `item`; a mapping gives {key, value}; an integer counts from 0) and
/// the parameters of every item of `spec`. `source:` and `template:` of modules in `file_modules` become `content`.
/// An item whose `when` is false has no evaluated parameters: they may use what only other hosts define.
std::vector<Item> evaluate_items(const Spec& spec, const Variables& variables, const Value& facts, const FileReader& files,
                                 Sources& sources, Diagnostics& diagnostics);

/// True if an item with `tags` runs under --tags `wanted` (empty: everything). "always" and "never" as in Ansible; a tag may
/// also be the item's name or module.
bool selected_by_tags(const Item& item, const std::vector<std::string>& wanted, const std::vector<std::string>& skipped);

}  // namespace converge::spec
