#include "spec/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/text.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

constexpr std::int64_t most_items = 100'000;
const std::vector<std::string> spec_keys{"spec", "hosts", "vars", "needs", "tags", "converge", "verify"};
const std::vector<std::string> item_keys{"name", "tags", "when", "needs", "for_each"};

void complain(Diagnostics& diagnostics, SourcePos at, std::string message, std::string hint = {}) {
  diagnostics.push_back({at, std::move(message), std::move(hint), Severity::error});
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// A name for people and for `needs`: one line, not empty.
bool usable_name(std::string_view text) { return !trim(text).empty() && text.size() <= 200 && printable(text) == text; }

class Loader {
 public:
  Loader(const std::vector<std::string>& known_modules, Diagnostics& diagnostics)
      : known_modules_(known_modules), diagnostics_(diagnostics) {}

  void load(const Value& value, Spec& spec) {
    const Map* top = value.map();
    if (top == nullptr) {
      complain(diagnostics_, value.at(), fmt::format("a spec is a mapping, not a {}", value.kind()),
               "begin with 'spec: NAME', 'hosts: PATTERN' and 'converge:'");
      return;
    }
    spec.at = value.at();
    const Value* items = nullptr;
    const Entry* assertions = nullptr;
    for (const Entry& entry : *top) {
      if (entry.key == "spec") {
        spec.at = entry.key_at;
        name(entry, spec.name);
      } else if (entry.key == "hosts") {
        spec.hosts_at = entry.value.at();
        spec.hosts = join(texts(entry), ":");
        if (trim(spec.hosts).empty())
          complain(diagnostics_, entry.value.at(), "'hosts' is empty", "name a host, a group or a pattern, or 'all'");
      } else if (entry.key == "vars") {
        vars(entry, spec.vars);
      } else if (entry.key == "needs") {
        spec.needs_at = entry.value.at();
        spec.needs = texts(entry);
      } else if (entry.key == "tags") {
        spec.tags = texts(entry);
      } else if (entry.key == "converge") {
        items = &entry.value;
      } else if (entry.key == "verify") {
        assertions = &entry;
      } else {
        std::string hint = did_you_mean(entry.key, spec_keys);
        if (hint.empty() && contains(known_modules_, entry.key))
          hint = "put it under 'converge:', as '- " + entry.key + ":'";
        if (hint.empty()) hint = "a spec has " + join(spec_keys, ", ");
        complain(diagnostics_, entry.key_at, fmt::format("unknown key '{}' in a spec", entry.key), std::move(hint));
      }
    }
    if (items != nullptr)
      list_of_items(*items, spec);
    else if (assertions == nullptr)
      complain(diagnostics_, value.at(), "the spec has no 'converge'", "add 'converge:' with a list of modules");
    if (assertions != nullptr) verify(*assertions, spec);
  }

 private:
  void name(const Entry& entry, std::string& into) {
    const std::string* text = entry.value.string();
    if (text == nullptr || !usable_name(*text))
      complain(diagnostics_, entry.value.at(), fmt::format("'{}' must be a name on one line", entry.key));
    else
      into = *text;
  }

  /// One text, or a list of them.
  std::vector<std::string> texts(const Entry& entry) {
    std::vector<std::string> out;
    const auto add = [&](const Value& value) {
      if (value.string() == nullptr && value.integer() == nullptr)
        complain(diagnostics_, value.at(), fmt::format("'{}' must be text, not a {}", entry.key, value.kind()));
      else if (has_template(value.text()))
        complain(diagnostics_, value.at(), fmt::format("'{}' is read before variables are known", entry.key),
                 "write it without {{ }}");
      else
        out.push_back(value.text());
    };
    if (const List* list = entry.value.list())
      for (const Value& element : *list) add(element);
    else
      add(entry.value);
    return out;
  }

  void vars(const Entry& entry, Map& into) {
    if (entry.value.is_null()) return;
    if (const Map* map = entry.value.map()) {
      check_variable_names(*map, diagnostics_);
      into = *map;
    } else {
      complain(diagnostics_, entry.value.at(), fmt::format("'vars' must be a mapping, not a {}", entry.value.kind()));
    }
  }

  /// Assertions are an item like others, of the module "verify" that no list of items can name.
  void verify(const Entry& entry, Spec& spec) {
    if (entry.value.map() == nullptr || entry.value.map()->empty()) {
      complain(diagnostics_, entry.value.at(), "'verify' says nothing",
               "write checks as in a gossfile: a type, below it what is checked, below that what is expected");
      return;
    }
    RawItem item;
    item.module = item.name = "verify";
    item.at = entry.key_at;
    item.parameters = entry.value;
    spec.items.push_back(std::move(item));
  }

  void list_of_items(const Value& value, Spec& spec) {
    const List* list = value.list();
    if (list == nullptr)
      complain(diagnostics_, value.at(), fmt::format("'converge' must be a list of items, not a {}", value.kind()),
               "write '- MODULE:' with its parameters below it");
    else if (list->empty())
      complain(diagnostics_, value.at(), "'converge' has no items", "write '- MODULE:' with its parameters below it");
    else
      for (const Value& element : *list) item(element, spec);
  }

  void item(const Value& value, Spec& spec) {
    const Map* map = value.map();
    if (map == nullptr) {
      std::string hint = "write '- MODULE:' with its parameters below it";
      if (const std::string* text = value.string(); text != nullptr && contains(known_modules_, *text))
        hint = fmt::format("write '- {}:', with a colon", *text);
      complain(diagnostics_, value.at(), fmt::format("an item is a mapping, not a {}", value.kind()), std::move(hint));
      return;
    }
    RawItem item;
    const Entry* module = nullptr;
    bool unknown = false;
    for (const Entry& entry : *map) {
      if (entry.key == "name") {
        name(entry, item.name);
      } else if (entry.key == "tags") {
        item.tags = texts(entry);
      } else if (entry.key == "needs") {
        item.needs = texts(entry);
        item.needs_at = entry.value.at();
      } else if (entry.key == "when") {
        item.when = entry.value;
      } else if (entry.key == "for_each") {
        item.for_each = entry.value;
      } else if (!contains(known_modules_, entry.key)) {
        unknown = true;
        std::vector<std::string> candidates = known_modules_;
        candidates.insert(candidates.end(), item_keys.begin(), item_keys.end());
        std::string hint = did_you_mean(entry.key, candidates);
        if (hint.empty()) hint = "the modules are " + join(known_modules_, ", ");
        complain(diagnostics_, entry.key_at, fmt::format("unknown module or key '{}'", entry.key), std::move(hint));
      } else if (module != nullptr) {
        complain(diagnostics_, entry.key_at,
                 fmt::format("a second module '{}' in the item of '{}'", entry.key, module->key),
                 fmt::format("begin an item of its own: '- {}:'", entry.key));
      } else {
        module = &entry;
      }
    }
    if (module == nullptr) {
      if (!unknown)
        complain(diagnostics_, value.at(), "the item names no module", "the modules are " + join(known_modules_, ", "));
      return;
    }
    const Value& parameters = module->value;
    if (!parameters.is_null() && parameters.map() == nullptr &&
        (parameters.string() == nullptr || !has_template(*parameters.string()))) {
      complain(diagnostics_, parameters.at(),
               fmt::format("the parameters of '{}' must be a mapping, not a {}", module->key, parameters.kind()),
               fmt::format("see 'converge doc {}'", module->key));
      return;
    }
    item.module = module->key;
    item.at = module->key_at;
    item.parameters = parameters;
    if (item.name.empty()) item.name = item.module;
    spec.items.push_back(std::move(item));
  }

  const std::vector<std::string>& known_modules_;
  Diagnostics& diagnostics_;
};

/// One spec on one host: its items with their values.
class Evaluator {
 public:
  Evaluator(const Spec& spec, const Variables& variables, const Value& facts, const FileReader& files, Sources& sources,
            Diagnostics& diagnostics)
      : spec_(spec),
        scope_(variables, facts, diagnostics),
        files_(files),
        sources_(sources),
        diagnostics_(diagnostics) {}

  std::vector<Item> items() {
    for (const RawItem& raw : spec_.items) {
      scope_.clear_locals();
      item(raw);
    }
    return std::move(items_);
  }

 private:
  void item(const RawItem& raw) {
    if (!raw.for_each) {
      one(raw, true);
      return;
    }
    // An item left out for all elements is left out once: its for_each may use what only other hosts define.
    bool per_element = raw.when.has_value();
    if (per_element && raw.when->text().find("item") == std::string::npos) {
      const auto holds = condition(raw);
      if (!holds) return;
      if (!*holds) {
        skip(raw);
        return;
      }
      per_element = false;
    }
    const auto value = scope_.templates().evaluate_tree(*raw.for_each, scope_.scope(), diagnostics_);
    if (value) each(raw, *value, per_element);
  }

  void each(const RawItem& raw, const Value& value, bool per_element) {
    if (const std::int64_t* count = value.integer()) {
      if (*count < 0 || *count > most_items) {
        complain(diagnostics_, raw.for_each->at(), fmt::format("'for_each' cannot count to {}", *count),
                 fmt::format("give a number from 0 to {}", most_items));
        return;
      }
      for (std::int64_t i = 0; i < *count; ++i) {
        scope_.set_local("item", Value(i, raw.for_each->at()));
        if (!one(raw, per_element)) return;
      }
    } else if (const List* list = value.list()) {
      for (const Value& element : *list) {
        scope_.refer_local("item", element);
        if (!one(raw, per_element)) return;
      }
    } else if (const Map* map = value.map()) {
      for (const Entry& entry : *map) {
        scope_.set_local("item", Value(Map{{"key", entry.key_at, Value(entry.key, entry.key_at, true)},
                                           {"value", entry.value.at(), entry.value}},
                                       entry.key_at));
        if (!one(raw, per_element)) return;
      }
    } else {
      complain(diagnostics_, raw.for_each->at(),
               fmt::format("'for_each' must be a list, a mapping or a number, not a {}", value.kind()));
    }
  }

  /// False after a diagnostic.
  bool one(const RawItem& raw, bool ask) {
    const std::size_t before = diagnostics_.size();
    if (ask && raw.when) {
      const auto holds = condition(raw);
      if (!holds) return false;
      if (!*holds) {
        skip(raw);
        return true;
      }
    }
    auto parameters = scope_.templates().evaluate_tree(raw.parameters, scope_.scope(), diagnostics_);
    auto name = text(raw.name, raw.at);
    if (!parameters || !name) return false;
    if (!parameters->is_null() && parameters->map() == nullptr) {
      complain(diagnostics_, raw.parameters.at(),
               fmt::format("the parameters of '{}' must be a mapping, not a {}", raw.module, parameters->kind()));
      return false;
    }
    if (raw.module == "file") file_content(*parameters);
    if (diagnostics_.size() != before) return false;
    add(raw, std::move(*name), std::move(*parameters), {});
    return true;
  }

  void skip(const RawItem& raw) {
    add(raw, has_template(raw.name) ? raw.module : raw.name, Value({}, raw.parameters.at()),
        fmt::format("when: is false at {}", raw.when->at().text()));
  }

  void add(const RawItem& raw, std::string name, Value parameters, std::string skipped) {
    Item& item = items_.emplace_back();
    item.spec = spec_.name;
    item.module = raw.module;
    item.name = std::move(name);
    item.at = raw.at;
    item.parameters = std::move(parameters);
    item.tags = spec_.tags;
    for (const std::string& tag : raw.tags)
      if (!contains(item.tags, tag)) item.tags.push_back(tag);
    item.needs = raw.needs;
    item.skipped = std::move(skipped);
  }

  std::optional<std::string> text(const std::string& written, SourcePos at) {
    if (!has_template(written)) return written;
    const auto value = scope_.templates().evaluate(Value(written, at, true), scope_.scope(), diagnostics_);
    if (!value) return std::nullopt;
    std::string out = value->text();
    if (value->list() == nullptr && value->map() == nullptr && usable_name(out)) return out;
    complain(diagnostics_, at, fmt::format("the name '{}' must be one line of text", printable(written)));
    return std::nullopt;
  }

  /// nullopt after a diagnostic.
  std::optional<bool> condition(const RawItem& raw) {
    const auto value = scope_.templates().evaluate(*raw.when, scope_.scope(), diagnostics_);
    if (!value) return std::nullopt;
    if (const bool* answer = value->boolean()) return *answer;
    if (const std::string* answer = value->string()) {
      if (*answer == "true") return true;
      if (*answer == "false") return false;
    }
    const bool bare = raw.when->string() != nullptr && !has_template(*raw.when->string());
    const bool nested = value->list() != nullptr || value->map() != nullptr;
    complain(diagnostics_, raw.when->at(),
             nested ? fmt::format("'when' must be true or false, not a {}", value->kind())
                    : fmt::format("'when' must be true or false, not '{}'", value->text()),
             bare ? "write it in quotes and braces: \"{{ eq .Facts.init \\\"systemd\\\" }}\""
                  : "compare it: eq, ne, gt, contains ...");
    return std::nullopt;
  }

  /// Turns `source` or `template` into `content`, at the place the path was written.
  void file_content(Value& parameters) {
    Map* map = std::get_if<Map>(&parameters.data());
    if (map == nullptr) return;
    Entry* from = nullptr;
    const Entry* content = nullptr;
    for (Entry& entry : *map) {
      if (entry.key == "content") content = &entry;
      if (entry.key != "source" && entry.key != "template") continue;
      if (from != nullptr) {
        complain(diagnostics_, entry.key_at, fmt::format("'{}' and '{}' exclude each other", from->key, entry.key),
                 "keep one of them");
        return;
      }
      from = &entry;
    }
    if (from == nullptr) return;
    if (content != nullptr) {
      complain(diagnostics_, from->key_at, fmt::format("'{}' and 'content' exclude each other", from->key),
               "keep one of them");
      return;
    }
    const SourcePos at = from->value.at();
    const std::string* path = from->value.string();
    if (path == nullptr || path->empty()) {
      complain(diagnostics_, at,
               fmt::format("'{}' must be a path, not a {}", from->key,
                           path == nullptr ? from->value.kind() : "an empty text"));
      return;
    }
    const auto parts = split(*path, '/');
    if (path->front() == '/' || std::find(parts.begin(), parts.end(), "..") != parts.end()) {
      complain(diagnostics_, at, fmt::format("'{}' leads out of the spec's directory", *path),
               "keep the file below the directory of the spec, and name it from there");
      return;
    }
    const Source* source = file(*path, at);
    if (source == nullptr) return;
    if (from->key == "source") {
      from->value = Value(source->text, at, true);
    } else {
      auto rendered = scope_.templates().render(*source, scope_.scope(), diagnostics_);
      if (!rendered) return;
      from->value = Value(std::move(*rendered), at, true);
    }
    from->key = "content";
  }

  const Source* file(const std::string& path, SourcePos at) {
    const auto known = read_.find(path);
    if (known != read_.end()) return known->second;
    const std::string full = spec_.directory.empty() || spec_.directory == "." ? path : spec_.directory + "/" + path;
    auto text = files_.read(full);
    if (!text) {
      complain(diagnostics_, at, fmt::format("cannot read '{}': {}", full, text.error().text()), text.error().hint);
      return nullptr;
    }
    return read_.emplace(path, sources_.add(full, std::move(*text))).first->second;
  }

  const Spec& spec_;
  VariableScope scope_;
  const FileReader& files_;
  Sources& sources_;
  Diagnostics& diagnostics_;
  std::map<std::string, const Source*> read_;
  std::vector<Item> items_;
};

/// Where each spec stands in the given order, by name.
using Places = std::map<std::string_view, std::size_t>;

/// The specs an item's or a spec's needs lead to; complains about those that lead nowhere.
std::vector<std::set<std::size_t>> edges_of(const std::vector<Spec>& specs, const Places& places,
                                            Diagnostics& diagnostics) {
  std::vector<std::set<std::size_t>> edges(specs.size());
  std::vector<std::string> names;
  for (const Spec& spec : specs) names.push_back(spec.name);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const Spec& spec = specs[i];
    for (const std::string& need : spec.needs) {
      const auto found = places.find(need);
      if (found == places.end()) {
        std::string hint = did_you_mean(need, names);
        if (hint.empty()) hint = "give its file as well";
        complain(diagnostics, spec.needs_at,
                 fmt::format("spec '{}' needs '{}', which is not among the specs", spec.name, need), std::move(hint));
      } else {
        edges[i].insert(found->second);
      }
    }
    std::set<std::string_view> earlier, all;
    for (const RawItem& item : spec.items) all.insert({item.name, item.module});
    for (const RawItem& item : spec.items) {
      for (const std::string& need : item.needs) {
        if (earlier.contains(need)) continue;
        const auto found = places.find(need);
        if (found != places.end() && found->second != i) {
          edges[i].insert(found->second);
        } else if (all.contains(need)) {
          complain(diagnostics, item.needs_at,
                   fmt::format("'{}' needs '{}', which does not come before it", item.name, need),
                   "items run in the order written: move it up");
        } else {
          std::vector<std::string> candidates(all.begin(), all.end());
          candidates.insert(candidates.end(), names.begin(), names.end());
          std::string hint = did_you_mean(need, candidates);
          if (hint.empty()) hint = "name an earlier item of this spec, or a spec";
          complain(diagnostics, item.needs_at,
                   fmt::format("'{}' needs '{}', which is neither an item nor a spec", item.name, need),
                   std::move(hint));
        }
      }
      earlier.insert({item.name, item.module});
    }
  }
  return edges;
}

/// Takes, again and again, the first spec whose needs are all taken. What cannot be taken is on a cycle or after one.
std::vector<std::size_t> sorted(const std::vector<std::set<std::size_t>>& edges) {
  std::vector<std::size_t> order;
  std::vector<bool> taken(edges.size());
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < edges.size() && !more; ++i) {
      if (taken[i] || !std::all_of(edges[i].begin(), edges[i].end(), [&](std::size_t need) { return taken[need]; }))
        continue;
      taken[i] = true;
      order.push_back(i);
      more = true;
    }
  }
  return order;
}

}  // namespace

std::optional<Spec> load_spec(const std::string& path, const std::vector<std::string>& known_modules,
                              const FileReader& files, Sources& sources, Diagnostics& diagnostics) {
  auto text = files.read(path);
  if (!text) {
    diagnostics.push_back(cannot_read(path, std::move(text).error(), sources));
    return std::nullopt;
  }
  YamlRules rules;
  rules.max_bytes = files.max_bytes;
  const auto value = read_yaml(*sources.add(path, std::move(*text)), rules, diagnostics);
  if (!value) return std::nullopt;
  Spec spec;
  const std::size_t slash = path.rfind('/');
  spec.directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  spec.name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (const std::size_t dot = spec.name.rfind('.'); dot != std::string::npos && dot > 0) spec.name.resize(dot);
  spec.hosts = "all";
  spec.hosts_at = value->at();
  Loader(known_modules, diagnostics).load(*value, spec);
  if (spec.items.empty()) return std::nullopt;
  return spec;
}

std::vector<Spec> in_order(std::vector<Spec> specs, Diagnostics& diagnostics) {
  Places places;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto [first, added] = places.emplace(specs[i].name, i);
    if (!added)
      complain(diagnostics, specs[i].at, fmt::format("a second spec is called '{}'", specs[i].name),
               fmt::format("the first is at {}; rename one", specs[first->second].at.text()));
  }
  const auto edges = edges_of(specs, places, diagnostics);
  const auto order = sorted(edges);
  if (order.size() < specs.size()) {
    // From a spec that could not be taken, some need of it could not be taken either: the walk must meet itself.
    const std::set<std::size_t> taken(order.begin(), order.end());
    std::vector<std::size_t> walk;
    std::size_t at = 0;
    while (taken.contains(at)) ++at;
    while (std::find(walk.begin(), walk.end(), at) == walk.end()) {
      walk.push_back(at);
      at = *std::find_if(edges[at].begin(), edges[at].end(), [&](std::size_t need) { return !taken.contains(need); });
    }
    std::string chain;
    for (auto it = std::find(walk.begin(), walk.end(), at); it != walk.end(); ++it)
      chain += fmt::format("'{}' needs ", specs[*it].name);
    complain(diagnostics, specs[at].needs_at.source != nullptr ? specs[at].needs_at : specs[at].at,
             fmt::format("specs need each other: {}'{}'", chain, specs[at].name), "take one of these needs away");
    return specs;
  }
  std::vector<Spec> out;
  out.reserve(specs.size());
  for (const std::size_t i : order) out.push_back(std::move(specs[i]));
  return out;
}

std::vector<Item> evaluate_items(const Spec& spec, const Variables& variables, const Value& facts,
                                 const FileReader& files, Sources& sources, Diagnostics& diagnostics) {
  return Evaluator(spec, variables, facts, files, sources, diagnostics).items();
}

bool selected_by_tags(const Item& item, const std::vector<std::string>& wanted,
                      const std::vector<std::string>& skipped) {
  const bool tagged = !item.tags.empty();
  const bool always = contains(item.tags, "always"), never = contains(item.tags, "never");
  const auto named = [&](const std::vector<std::string>& list) {
    return contains(list, item.name) || contains(list, item.module) ||
           std::any_of(item.tags.begin(), item.tags.end(), [&](const std::string& tag) { return contains(list, tag); });
  };
  bool runs = always || named(wanted);
  if (!never)
    runs = runs || wanted.empty() || contains(wanted, "all") || (tagged && contains(wanted, "tagged")) ||
           (!tagged && contains(wanted, "untagged"));
  if (!runs) return false;
  if (contains(skipped, "all")) return always && !contains(skipped, "always");
  return !named(skipped) && !(tagged && contains(skipped, "tagged")) && !(!tagged && contains(skipped, "untagged"));
}

}  // namespace converge::spec
