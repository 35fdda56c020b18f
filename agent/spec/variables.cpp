#include "spec/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/text.h"
#include "spec/yaml.h"
#include "spec/yaml_plain.h"

namespace converge::spec {
namespace {

void set(Variables& variables, const Map& vars, const std::string& origin) {
  for (const Entry& entry : vars)
    variables[entry.key].history.push_back({std::make_shared<const Value>(entry.value), origin});
}

bool any_template(const Value& value) {
  if (const std::string* text = value.string()) return has_template(*text);
  if (const List* list = value.list()) return std::any_of(list->begin(), list->end(), any_template);
  if (const Map* map = value.map())
    return std::any_of(map->begin(), map->end(),
                       [](const Entry& entry) { return has_template(entry.key) || any_template(entry.value); });
  return false;
}

/// `text` as a plain YAML scalar.
Value plain_scalar(const std::string& text, SourcePos at) {
  if (text.empty()) return Value(text, at, true);
  Value::Data data = typed_scalar(text);
  const bool is_text = std::holds_alternative<std::string>(data);
  return Value(std::move(data), at, is_text);
}

/// True for "a=1 b=2": in Ansible two variables, for us one whose value holds a blank.
bool looks_like_two(std::string_view value) {
  for (std::size_t i = 1; i < value.size(); ++i) {
    if (value[i] != '=') continue;
    std::size_t start = i;
    const auto word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (start > 0 && word(value[start - 1])) --start;
    if (start < i && start > 0 && value[start - 1] == ' ') return true;
  }
  return false;
}

void put(Map& map, Entry entry) {
  const auto found = std::find_if(map.begin(), map.end(), [&](const Entry& e) { return e.key == entry.key; });
  if (found == map.end())
    map.push_back(std::move(entry));
  else
    *found = std::move(entry);
}

}  // namespace

Variables merge_variables(const Inventory& inventory, std::string_view host, const Map& spec_vars, const Map& extra) {
  Variables variables;
  set(variables, spec_vars, "spec vars");
  const Host* found = inventory.find_host(host);
  std::vector<std::string> names = inventory.groups_of(host);
  if (found == nullptr) names.emplace_back("all");
  for (const std::string& name : names)
    if (const Group* group = inventory.find_group(name)) set(variables, group->vars, "group " + name);
  if (found != nullptr) set(variables, found->vars, "host " + found->name);
  set(variables, extra, "-e");
  std::erase(names, "all");
  std::sort(names.begin(), names.end());
  List group_names;
  for (std::string& name : names) group_names.emplace_back(std::move(name), SourcePos{}, true);
  set(variables,
      {{"inventory_hostname", {}, Value(std::string(host), {}, true)},
       {"group_names", {}, Value(std::move(group_names))}},
      "converge");
  variables["groups"].history.push_back({inventory.members_by_group, "converge"});
  return variables;
}

std::optional<Map> parse_extra_vars(const std::vector<std::string>& arguments, const FileReader& files,
                                    Sources& sources, Diagnostics& diagnostics) {
  Map out;
  bool ok = true;
  const auto complain = [&](SourcePos at, std::string message, std::string hint) {
    diagnostics.push_back({at, std::move(message), std::move(hint), Severity::error});
    ok = false;
  };
  for (const std::string& argument : arguments) {
    const std::string_view trimmed = trim(argument);
    if (!trimmed.starts_with('@') && !trimmed.starts_with('{')) {
      const Source* source = sources.add("-e", argument);
      const std::size_t equals = argument.find('=');
      if (equals == std::string::npos) {
        complain({source, 1, 1}, fmt::format("'{}' is no variable", argument),
                 "write -e name=value, -e '{...}' or -e @file");
        continue;
      }
      const std::string_view value = std::string_view(argument).substr(equals + 1);
      if (looks_like_two(value)) {
        complain({source, 1, static_cast<int>(equals) + 2}, fmt::format("'{}' looks like several variables", argument),
                 "give each its own -e, or write one mapping: -e '{name: value}'");
        continue;
      }
      const SourcePos at{source, 1, static_cast<int>(equals) + 2};
      Entry entry{std::string(trim(argument.substr(0, equals))), {source, 1, 1}, plain_scalar(std::string(value), at)};
      const std::size_t before = diagnostics.size();
      check_variable_names({entry}, diagnostics);
      ok = ok && diagnostics.size() == before;
      put(out, std::move(entry));
      continue;
    }
    std::string text = argument, name = "-e";
    if (trimmed.front() == '@') {
      name = trimmed.substr(1);
      auto read = files.read(name);
      if (!read) {
        diagnostics.push_back(cannot_read(name, std::move(read).error(), sources));
        ok = false;
        continue;
      }
      text = std::move(*read);
    }
    YamlRules rules;
    rules.aliases = true;
    rules.max_bytes = files.max_bytes;
    auto value = read_yaml(*sources.add(name, std::move(text)), rules, diagnostics);
    if (!value) {
      ok = false;
    } else if (const Map* map = value->map()) {
      const std::size_t before = diagnostics.size();
      check_variable_names(*map, diagnostics);
      ok = ok && diagnostics.size() == before;
      for (const Entry& entry : *map) put(out, entry);
    } else if (!value->is_null()) {
      complain(value->at(), fmt::format("variables must be a mapping, not a {}", value->kind()), "write 'name: value'");
    }
  }
  if (!ok) return std::nullopt;
  return out;
}

struct VariableScope::State {
  State(const Variables& all, const Value& known, Diagnostics& complaints)
      : variables(all), facts(known), diagnostics(complaints) {}

  struct Local {
    Value own;
    const Value* value = nullptr;  // `own`, or something of the caller's
  };

  const Value* variable(std::string_view name) {
    if (const auto local = locals.find(name); local != locals.end()) {
      ++local_reads;
      return local->second.value != nullptr ? local->second.value : &local->second.own;
    }
    if (const auto found = per_item.find(name); found != per_item.end()) {
      ++local_reads;  // whoever uses it depends on the item as well
      return &found->second;
    }
    if (const auto found = evaluated.find(name); found != evaluated.end()) return &found->second;
    const auto found = variables.find(name);
    if (found == variables.end()) return nullptr;
    const Value& written = found->second.value();
    if (const auto known = plain.find(name); known != plain.end()) return &written;
    if (!any_template(written)) {
      plain.emplace(name);
      return &written;
    }
    return evaluate_variable(found->first, written);
  }

  const Value* evaluate_variable(const std::string& name, const Value& written) {
    if (const auto start = std::find(open.begin(), open.end(), name); start != open.end() || open.size() >= deepest) {
      std::string chain;
      if (start != open.end()) {
        for (auto it = start; it != open.end(); ++it) chain += fmt::format("'{}' needs ", *it);
        diagnostics.push_back({written.at(), chain + fmt::format("'{}'", name),
                               "a variable cannot be made from itself: take one of them out", Severity::error});
      } else {
        diagnostics.push_back({written.at(), fmt::format("variables need each other more than {} deep", deepest),
                               "write some of them out", Severity::error});
      }
      return &nothing;
    }
    open.push_back(name);
    const std::size_t before = local_reads;
    auto value = templates.evaluate_tree(written, scope, diagnostics);
    open.pop_back();
    auto& cache = local_reads == before ? evaluated : per_item;
    return &cache.insert_or_assign(name, value ? std::move(*value) : Value({}, written.at())).first->second;
  }

  const Value* fact(std::string_view path) const {
    if (path.starts_with("Facts.")) path.remove_prefix(6);
    const Value* at = &facts;
    for (const std::string_view part : split(path, '.')) {
      at = at->find(part);
      if (at == nullptr) return nullptr;
    }
    return at;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, resolved] : variables) out.push_back(name);
    for (const auto& [name, local] : locals) out.push_back(name);
    return out;
  }

  static constexpr std::size_t deepest = 64;
  const Variables& variables;
  const Value& facts;
  Diagnostics& diagnostics;
  std::map<std::string, Local, std::less<>> locals;
  std::map<std::string, Value, std::less<>> evaluated, per_item;
  std::set<std::string, std::less<>> plain;  // variables without {{ }}
  std::vector<std::string> open;             // being evaluated, outermost first
  std::size_t local_reads = 0;
  Value nothing;
  Templates templates;
  Scope scope;
};

VariableScope::VariableScope(const Variables& variables, const Value& facts, Diagnostics& diagnostics)
    : state_(std::make_unique<State>(variables, facts, diagnostics)) {
  State* state = state_.get();
  state->scope.variable = [state](std::string_view name) { return state->variable(name); };
  state->scope.fact = [state](std::string_view name) { return state->fact(name); };
  state->scope.names = [state] { return state->names(); };
}
VariableScope::~VariableScope() = default;

const Scope& VariableScope::scope() const { return state_->scope; }
Templates& VariableScope::templates() { return state_->templates; }

void VariableScope::set_local(std::string name, Value value) {
  state_->per_item.clear();
  state_->locals.insert_or_assign(std::move(name), State::Local{std::move(value), nullptr});
}

void VariableScope::refer_local(std::string name, const Value& value) {
  state_->per_item.clear();
  state_->locals.insert_or_assign(std::move(name), State::Local{{}, &value});
}

void VariableScope::clear_locals() {
  state_->per_item.clear();
  state_->locals.clear();
}

}  // namespace converge::spec
