#include "checks/gjson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "checks/glob.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Entry;
using spec::List;
using spec::Map;
using spec::Value;

namespace {

constexpr int deepest = 256;

/// Builds Values from the parser's events: one tree instead of two, and a bounded depth.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return put(Value()); }
  bool boolean(bool value) override { return put(Value(value)); }
  bool number_integer(number_integer_t value) override { return put(Value(std::int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) override {
    return value > INT64_MAX ? put(Value(static_cast<double>(value))) : put(Value(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(Value(double{value})); }
  bool string(string_t& value) override { return put(Value(std::string(value))); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Value(Map())); }
  bool key(string_t& name) override {
    open_.back().key = name;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(Value(List())); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t at, const std::string& /*token*/, const nlohmann::json::exception& /*why*/) override {
    problem = fmt::format("it is no JSON (byte {})", at);
    return false;
  }

  Value root;
  std::string problem = "it is no JSON";

 private:
  struct Open {
    Value value;
    std::string key;
  };
  bool put(Value value) {
    if (open_.empty()) {
      root = std::move(value);
      return true;
    }
    Open& top = open_.back();
    if (auto* list = std::get_if<List>(&top.value.data())) {
      list->push_back(std::move(value));
      return true;
    }
    auto& map = std::get<Map>(top.value.data());
    map.push_back({std::move(top.key), {}, std::move(value)});
    return true;
  }
  bool open(Value value) {
    if (open_.size() >= deepest) {
      problem = "it is nested too deeply";
      return false;
    }
    open_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Value value = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(value));
  }
  std::vector<Open> open_;
};

/// One step of a path.
struct Step {
  std::string text;  // as written, with its escapes
  bool wild = false, modifier = false, query = false, all = false, count = false;
  bool piped = false;  // followed by '|': what comes next works on the result as a whole
};

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

Result<std::vector<Step>> steps_of(std::string_view path) {
  std::vector<Step> steps;
  const auto wrong = [&](std::string_view why) {
    return Error{Errc::invalid, fmt::format("'{}' is no gjson path: {}", printable(path), why), {}, {}};
  };
  Step step;
  bool any = false;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i == path.size() || path[i] == '.' || path[i] == '|') {
      if (!any) return wrong("a part of it is empty");
      step.piped = i < path.size() && path[i] == '|';
      step.count = step.text == "#";
      steps.push_back(std::move(step));
      step = {};
      any = false;
      continue;
    }
    const char c = path[i];
    if (!any && c == '@') step.modifier = true;
    if (!any && c == '#' && i + 1 < path.size() && path[i + 1] == '(') {
      int depth = 0;
      char quote = '\0';
      std::size_t end = i + 1;
      for (; end < path.size(); ++end) {
        if (quote != '\0') {
          if (path[end] == '\\')
            ++end;
          else if (path[end] == quote)
            quote = '\0';
          continue;
        }
        if (path[end] == '"') quote = '"';
        if (path[end] == '(') ++depth;
        if (path[end] == ')' && --depth == 0) break;
      }
      if (end >= path.size()) return wrong("a ')' is missing");
      step.query = true;
      step.text = std::string(path.substr(i + 2, end - i - 2));
      i = end;
      if (i + 1 < path.size() && path[i + 1] == '#') {
        step.all = true;
        ++i;
      }
      any = true;
      continue;
    }
    if (c == '*' || c == '?') step.wild = true;
    step.text += c;
    if (c == '\\' && i + 1 < path.size()) step.text += path[++i];
    any = true;
  }
  return steps;
}

using Found = Result<std::optional<Value>>;

Found walk(const Value& value, const std::vector<Step>& steps, std::size_t at, int depth);

/// The order of two scalars as gjson compares them; nullopt if they are of different kinds.
std::optional<int> order(const Value& a, const Value& b) {
  const auto number = [](const Value& v) -> std::optional<double> {
    if (v.integer() != nullptr) return static_cast<double>(*v.integer());
    if (v.number() != nullptr) return *v.number();
    return std::nullopt;
  };
  if (number(a) && number(b)) return *number(a) < *number(b) ? -1 : *number(a) > *number(b) ? 1 : 0;
  if (a.string() != nullptr && b.string() != nullptr) return a.string()->compare(*b.string());
  if (a.boolean() != nullptr && b.boolean() != nullptr)
    return static_cast<int>(*a.boolean()) - static_cast<int>(*b.boolean());
  if (a.is_null() && b.is_null()) return 0;
  return std::nullopt;
}

/// Whether an element fits "name>40", "==\"x\"" or "name".
Result<bool> fits(const Value& element, std::string_view query, int depth) {
  static constexpr std::string_view operators[] = {"==", "!=", "<=", ">=", "!%", "=", "<", ">", "%"};
  std::size_t place = std::string_view::npos;
  std::string_view sign;
  int nested = 0;
  for (std::size_t i = 0; i < query.size() && place == std::string_view::npos; ++i) {
    if (query[i] == '\\') {
      ++i;
      continue;
    }
    if (query[i] == '(') ++nested;
    if (query[i] == ')') --nested;
    if (nested > 0) continue;
    for (const auto each : operators) {
      if (query.substr(i).starts_with(each)) {
        place = i;
        sign = each;
        break;
      }
    }
  }
  const auto path = trim(query.substr(0, place));
  std::optional<Value> left = element;
  if (!path.empty()) {
    auto steps = steps_of(path);
    if (!steps) return std::move(steps).error();
    auto found = walk(element, *steps, 0, depth + 1);
    if (!found) return std::move(found).error();
    left = *std::move(found);
  }
  if (sign.empty()) return left.has_value();
  if (!left) return false;
  const std::string wanted(trim(query.substr(place + sign.size())));
  auto literal = Json::parse(wanted);
  const Value right = literal ? literal->value() : Value(wanted);
  if (sign == "%" || sign == "!%") {
    const bool same =
        left->string() != nullptr && right.string() != nullptr && matches_glob(*left->string(), *right.string(), false);
    return same == (sign == "%");
  }
  const auto compared = order(*left, right);
  if (!compared) return sign == "!=";
  if (sign == "==" || sign == "=") return *compared == 0;
  if (sign == "!=") return *compared != 0;
  if (sign == "<") return *compared < 0;
  if (sign == "<=") return *compared <= 0;
  if (sign == ">") return *compared > 0;
  return *compared >= 0;
}

Result<Value> modified(const Value& value, std::string_view name) {
  if (name == "@this") return value;
  const List* list = value.list();
  const Map* map = value.map();
  if (name == "@reverse") {
    if (list != nullptr) return Value(List(list->rbegin(), list->rend()));
    if (map != nullptr) return Value(Map(map->rbegin(), map->rend()));
    return value;
  }
  if (name == "@keys" || name == "@values") {
    List out;
    if (map != nullptr)
      for (const Entry& entry : *map) out.push_back(name == "@keys" ? Value(entry.key) : entry.value);
    return Value(std::move(out));
  }
  if (name == "@flatten") {
    List out;
    for (const Value& each : list != nullptr ? *list : List()) {
      if (each.list() != nullptr)
        out.insert(out.end(), each.list()->begin(), each.list()->end());
      else
        out.push_back(each);
    }
    return list != nullptr ? Value(std::move(out)) : value;
  }
  return Error{Errc::invalid,
               fmt::format("the gjson modifier '{}' is not known", printable(name)),
               {},
               "there are @this, @reverse, @keys, @values and @flatten"};
}

/// The rest of the path for each element; those without it are left out. A '|' ends what is done for each.
Found each_of(const List& list, const std::vector<Step>& steps, std::size_t at, int depth) {
  std::size_t end = at;
  while (end < steps.size() && !steps[end].piped && !steps[end].modifier) ++end;
  if (end < steps.size() && steps[end].piped && !steps[end].modifier) ++end;
  const std::vector<Step> part(steps.begin() + static_cast<std::ptrdiff_t>(at),
                               steps.begin() + static_cast<std::ptrdiff_t>(end));
  List out;
  for (const Value& element : list) {
    auto found = walk(element, part, 0, depth + 1);
    if (!found) return found;
    if (*found) out.push_back(**found);
  }
  return walk(Value(std::move(out)), steps, end, depth + 1);
}

Found walk(const Value& value, const std::vector<Step>& steps, std::size_t at, int depth) {
  if (at >= steps.size()) return std::optional<Value>(value);
  if (depth > deepest) return Error{Errc::too_big, "the gjson path is too deep", {}, {}};
  const Step& step = steps[at];
  if (step.modifier) {
    auto changed = modified(value, step.text);
    if (!changed) return std::move(changed).error();
    return walk(*changed, steps, at + 1, depth + 1);
  }
  const List* list = value.list();
  if (step.query) {
    if (list == nullptr) return std::optional<Value>();
    List hits;
    for (const Value& element : *list) {
      auto fit = fits(element, step.text, depth);
      if (!fit) return std::move(fit).error();
      if (!*fit) continue;
      if (!step.all) return walk(element, steps, at + 1, depth + 1);
      hits.push_back(element);
    }
    if (!step.all) return std::optional<Value>();
    if (step.piped || at + 1 == steps.size()) return walk(Value(std::move(hits)), steps, at + 1, depth + 1);
    return each_of(hits, steps, at + 1, depth);
  }
  if (list != nullptr) {
    if (step.count) {
      if (at + 1 == steps.size() || step.piped)
        return walk(Value(static_cast<std::int64_t>(list->size())), steps, at + 1, depth + 1);
      return each_of(*list, steps, at + 1, depth);
    }
    std::uint64_t index = 0;
    if (!parse_number(step.text, index) || index >= list->size()) return std::optional<Value>();
    return walk((*list)[index], steps, at + 1, depth + 1);
  }
  const Map* map = value.map();
  if (map == nullptr) return std::optional<Value>();
  const std::string name = unescaped(step.text);
  for (const Entry& entry : *map)
    if (step.wild ? matches_glob(entry.key, step.text, false) : entry.key == name)
      return walk(entry.value, steps, at + 1, depth + 1);
  return std::optional<Value>();
}

}  // namespace

Result<Json> Json::parse(std::string_view text) {
  Builder builder;
  Json out;
  try {
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
      return Error{Errc::unparsable, builder.problem, {}, {}};
  } catch (const std::exception& problem) {
    return Error{Errc::unparsable, fmt::format("it is no JSON: {}", problem.what()), {}, {}};
  }
  out.root_ = std::move(builder.root);
  return out;
}

Result<std::optional<Value>> Json::get(std::string_view path) const {
  auto steps = steps_of(path);
  if (!steps) return std::move(steps).error();
  return walk(root_, *steps, 0, 0);
}

}  // namespace converge::checks
