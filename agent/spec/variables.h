// Which value a variable has for a host, and where it was written.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "spec/inventory.h"
#include "spec/template.h"

namespace converge::spec {

/// One host's variables, each with every place that set it: the last of `history` won.
struct Resolved {
  Value value;
  std::string origin;
  std::vector<Variable> history;  // lowest precedence first
};
using Variables = std::map<std::string, Resolved, std::less<>>;

/// Lowest to highest: spec vars, group all, parent groups, child groups (same depth: by name), host, -e. Values may use
/// other variables in {{ }}: evaluated here, cycles are diagnostics ("'a' needs 'b' needs 'a'"). Also defined:
/// inventory_hostname, group_names, groups (mapping of lists).
/// @param only evaluates just what is used lazily if empty; a variable nobody uses may hold an undefined name without harm.
Variables merge_variables(const Inventory& inventory, std::string_view host, const Map& spec_vars, const Map& extra);

/// A scope over `variables` and `facts` (a mapping: {"init": "systemd", ...}) that evaluates variables on first use.
/// The references must outlive it. `locals` (for_each's item) are found first.
class VariableScope {
 public:
  VariableScope(const Variables& variables, const Value& facts, Diagnostics& diagnostics);
  ~VariableScope();
  VariableScope(const VariableScope&) = delete;
  VariableScope& operator=(const VariableScope&) = delete;
  const Scope& scope() const;
  void set_local(std::string name, Value value);
  void clear_locals();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace converge::spec
