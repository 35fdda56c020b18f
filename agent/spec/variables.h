// Which value a variable has for a host, and where it was written.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "spec/inventory.h"
#include "spec/template.h"

namespace converge::spec {

/// A variable in one of the places that set it.
struct Variable {
  std::shared_ptr<const Value> value;  // never null; hosts may share it
  std::string origin;                  // "group all", "group coulomb", "host CoulombCore", "spec vars", "-e"
};
/// One host's variable, with every place that set it: the last of `history` won.
struct Resolved {
  std::vector<Variable> history;  // lowest precedence first; never empty
  const Value& value() const { return *history.back().value; }
  const std::string& origin() const { return history.back().origin; }
};
using Variables = std::map<std::string, Resolved, std::less<>>;

/// Lowest to highest: spec vars, group all, parent groups, child groups (same depth: by name), host, -e. Within a group
/// or host what group_vars/ and host_vars/ say wins over what the inventory says inline; between groups the nearer one
/// wins, wherever it was written. A mapping replaces a mapping, it is not merged into it. Also defined:
/// inventory_hostname, group_names (without "all"), groups (mapping of lists). Values are as written: {{ }} in them is
/// left to VariableScope. A host that is not in the inventory has the variables of "all".
Variables merge_variables(const Inventory& inventory, std::string_view host, const Map& spec_vars, const Map& extra);

/// What -e said, in order: "key=value" (typed as a plain YAML scalar: 4, true, 1.5, null, everything else a string), a
/// mapping in YAML or JSON ("{...}"), or "@file" with such a mapping. A later one wins over an earlier one.
/// @return nullopt after a diagnostic.
std::optional<Map> parse_extra_vars(const std::vector<std::string>& arguments, const FileReader& files,
                                    Sources& sources, Diagnostics& diagnostics);

/// A scope over `variables` and `facts` (a mapping: {"init": "systemd", ...}) that evaluates variables on first use:
/// one that nobody uses may hold an undefined name without harm. Variables may use each other; a cycle is a diagnostic
/// ("'a' needs 'b' needs 'a'"). A variable that failed reads as null, and has been reported once. The references must
/// outlive it. Locals (for_each's item) are found first; what depends on them is evaluated anew after each change of
/// them.
class VariableScope {
 public:
  VariableScope(const Variables& variables, const Value& facts, Diagnostics& diagnostics);
  ~VariableScope();
  VariableScope(const VariableScope&) = delete;
  VariableScope& operator=(const VariableScope&) = delete;
  const Scope& scope() const;
  /// The parsed templates of this scope: give it what is evaluated often.
  Templates& templates();
  void set_local(std::string name, Value value);
  /// As set_local, without a copy: `value` must outlive its use.
  void refer_local(std::string name, const Value& value);
  void clear_locals();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace converge::spec
