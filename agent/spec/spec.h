// A spec file: which hosts, which variables, which items. Items stay unevaluated until a host's variables are known.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "spec/inventory.h"
#include "spec/variables.h"

namespace converge::spec {

/// One entry of `converge:`, as written; `verify:` is one of the module "verify" after all others.
struct RawItem {
  std::string module;  // "swapfile"
  SourcePos at;        // of the module's key
  Value parameters;    // a mapping, or null
  std::string name;    // `name:`, or the module
  std::vector<std::string> tags, needs;
  std::optional<Value> when, for_each;
  SourcePos needs_at;
};

struct Spec {
  std::string name;  // `spec:`, or the file's name without its ending
  SourcePos at;
  std::string hosts;  // a pattern; "all" when absent
  SourcePos hosts_at;
  Map vars;
  std::vector<std::string> needs;  // other specs, by name
  SourcePos needs_at;
  std::vector<std::string> tags;  // of every item
  std::vector<RawItem> items;
  std::string directory;  // for source: and template:
};

/// Reads one spec. Unknown keys, unknown modules (`known_modules`, with "did you mean"), several modules in one item,
/// no items at all, a directory, a file above the reader's limit: diagnostics, all of them.
/// @return what could be read, so that its values can be checked too; nullopt if that is nothing.
std::optional<Spec> load_spec(const std::string& path, const std::vector<std::string>& known_modules,
                              const FileReader& files, Sources& sources, Diagnostics& diagnostics);

/// Specs in the order they run: that given, moved so that each stands after what it `needs`. An unknown name, a cycle
/// or two specs of one name is a diagnostic. An item may need an earlier item of its spec (by name or module) or a
/// whole spec.
std::vector<Spec> in_order(std::vector<Spec> specs, Diagnostics& diagnostics);

/// An item with its values, ready to be rendered.
struct Item {
  std::string spec, module, name;
  SourcePos at;
  Value parameters;
  std::vector<std::string> tags, needs;
  std::string skipped;  // why it is left out: "when: is false at specs/x.yaml:9:5"; empty if it is not
};

/// Evaluates `when`, `for_each` (a list; each element is `item`; a mapping gives {key, value}; an integer counts from
/// 0) and the parameters of every item of `spec`. `source:` and `template:` of the module `file`, paths below the
/// spec's directory, become `content`. An item whose `when` is false has no evaluated parameters: they may use what
/// only other hosts define. Its for_each is not evaluated either, unless `when` itself uses `item`. Of a for_each only
/// the first element with a mistake is reported.
std::vector<Item> evaluate_items(const Spec& spec, const Variables& variables, const Value& facts,
                                 const FileReader& files, Sources& sources, Diagnostics& diagnostics);

/// True if an item runs under --tags `wanted` (empty: everything) and --skip-tags `skipped`. As in Ansible: "always"
/// runs unless it is skipped by that name or by a tag of its own, "never" only when one of its tags is wanted by name;
/// "all", "tagged" and "untagged" are understood in both lists. A tag may also be the item's name or module.
bool selected_by_tags(const Item& item, const std::vector<std::string>& wanted,
                      const std::vector<std::string>& skipped);

}  // namespace converge::spec
