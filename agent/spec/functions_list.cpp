// Functions of templates: lists and mappings.
#include <fmt/format.h>

#include <set>

#include "core/diagnostic.h"
#include "core/text.h"
#include "spec/functions_internal.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

Outcome length(Arguments args, Budget&) {
  const Value& value = *args[0];
  if (const std::string* text = value.string()) return whole(static_cast<std::int64_t>(text->size()));
  if (const List* items = value.list()) return whole(static_cast<std::int64_t>(items->size()));
  if (const Map* entries = value.map()) return whole(static_cast<std::int64_t>(entries->size()));
  return invalid(fmt::format("{} has no length", shown(value)));
}

std::vector<std::string> keys_of(const Map& entries) {
  std::vector<std::string> keys;
  for (const Entry& entry : entries) keys.push_back(entry.key);
  return keys;
}

Result<const Value*> element(const Value& value, const Value& key) {
  if (const Map* entries = value.map()) {
    if (const Value* found = value.find(key.text())) return found;
    return invalid(fmt::format("there is no key '{}'", printable(key.text())),
                   did_you_mean(key.text(), keys_of(*entries)));
  }
  const List* items = value.list();
  if (items == nullptr) return invalid(fmt::format("{} has no elements", shown(value)));
  Result<std::int64_t> at = integer_of(key);
  if (!at) return at.error();
  if (*at < 0 || static_cast<std::uint64_t>(*at) >= items->size())
    return invalid(fmt::format("there is no element {}: the list has {}, counted from 0", *at, items->size()));
  return &(*items)[static_cast<std::size_t>(*at)];
}

Outcome index(Arguments args, Budget&) {
  const Value* value = args[0];
  for (std::size_t i = 1; i < args.size(); ++i) {
    Result<const Value*> found = element(*value, *args[i]);
    if (!found) return found.error();
    value = *found;
  }
  return *value;
}

Outcome slice(Arguments args, Budget&) {
  const std::string* text = args[0]->string();
  const List* items = args[0]->list();
  if (text == nullptr && items == nullptr)
    return invalid(fmt::format("wants a list or a text, found {}", shown(*args[0])));
  const auto bounds = integers(args.subspan(1));
  if (!bounds) return bounds.error();
  const auto size = static_cast<std::int64_t>(text != nullptr ? text->size() : items->size());
  const std::int64_t first = bounds->empty() ? 0 : (*bounds)[0], last = bounds->size() < 2 ? size : (*bounds)[1];
  if (first < 0 || last > size || first > last) return invalid(fmt::format("the bounds are not within 0 and {}", size));
  if (text != nullptr)
    return text_value(text->substr(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)));
  return list_value(List(items->begin() + first, items->begin() + last));
}

Outcome get(Arguments args, Budget&) {
  Result<const Map*> entries = map_of(*args[0]);
  if (!entries) return entries.error();
  const Value* found = args[0]->find(args[1]->text());
  return found != nullptr ? *found : text_value("");
}
Outcome has_key(Arguments args, Budget&) {
  Result<const Map*> entries = map_of(*args[0]);
  if (!entries) return entries.error();
  return flag(args[0]->find(args[1]->text()) != nullptr);
}
/// dig "a" "b" DEFAULT MAPPING
Outcome dig(Arguments args, Budget&) {
  const Value* value = args.back();
  for (std::size_t i = 0; i + 2 < args.size(); ++i) {
    value = value->find(args[i]->text());
    if (value == nullptr) return *args[args.size() - 2];
  }
  return *value;
}
Outcome make_list(Arguments args, Budget&) {
  List items;
  for (const Value* arg : args) items.push_back(*arg);
  return list_value(std::move(items));
}
void put(Map& entries, const std::string& key, const Value& value, bool over) {
  for (Entry& entry : entries)
    if (entry.key == key) {
      if (over) entry.value = value;
      return;
    }
  entries.push_back({key, {}, value});
}
Outcome make_dict(Arguments args, Budget&) {
  if (args.size() % 2 != 0) return invalid("wants pairs of key and value");
  Map entries;
  for (std::size_t i = 0; i < args.size(); i += 2) put(entries, args[i]->text(), *args[i + 1], true);
  return Value(std::move(entries));
}
template <bool over>
Outcome merge(Arguments args, Budget& budget) {
  Map merged;
  for (const Value* arg : args) {
    Result<const Map*> entries = map_of(*arg);
    if (!entries) return entries.error();
    if (!budget.take_steps((*entries)->size() * (merged.size() / 16 + 1))) return too_much();
    for (const Entry& entry : **entries) put(merged, entry.key, entry.value, over);
  }
  return Value(std::move(merged));
}
template <bool keep>
Outcome picked(Arguments args, Budget& budget) {
  Result<const Map*> entries = map_of(*args[0]);
  if (!entries) return entries.error();
  std::set<std::string> names;
  for (const Value* arg : args.subspan(1)) names.insert(arg->text());
  if (!budget.take_steps((*entries)->size())) return too_much();
  Map out;
  for (const Entry& entry : **entries)
    if (names.contains(entry.key) == keep) out.push_back(entry);
  return Value(std::move(out));
}
Outcome keys(Arguments args, Budget&) {
  List out;
  for (const Value* arg : args) {
    Result<const Map*> entries = map_of(*arg);
    if (!entries) return entries.error();
    for (const Entry& entry : **entries) out.push_back(text_value(entry.key));
  }
  return list_value(std::move(out));
}
Outcome values(Arguments args, Budget&) {
  Result<const Map*> entries = map_of(*args[0]);
  if (!entries) return entries.error();
  List out;
  for (const Entry& entry : **entries) out.push_back(entry.value);
  return list_value(std::move(out));
}

template <bool from_front>
Outcome one_end(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  if ((*items)->empty()) return invalid("the list is empty");
  return from_front ? (*items)->front() : (*items)->back();
}
template <bool without_first>
Outcome but_one_end(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  if ((*items)->empty()) return list_value({});
  return without_first ? list_value(List((*items)->begin() + 1, (*items)->end()))
                       : list_value(List((*items)->begin(), (*items)->end() - 1));
}
template <bool at_end>
Outcome extended(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  List out = **items;
  out.insert(at_end ? out.end() : out.begin(), *args[1]);
  return list_value(std::move(out));
}
Outcome concat(Arguments args, Budget&) {
  List out;
  for (const Value* arg : args) {
    Result<const List*> items = list_of(*arg);
    if (!items) return items.error();
    out.insert(out.end(), (*items)->begin(), (*items)->end());
  }
  return list_value(std::move(out));
}
Outcome reverse(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  return list_value(List((*items)->rbegin(), (*items)->rend()));
}
Outcome sort_alpha(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  std::vector<std::string> texts;
  for (const Value& item : **items) texts.push_back(item.text());
  std::sort(texts.begin(), texts.end());
  List out;
  for (std::string& text : texts) out.push_back(text_value(std::move(text)));
  return list_value(std::move(out));
}
Outcome uniq(Arguments args, Budget& budget) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  List out;
  std::set<std::string> seen;
  for (const Value& item : **items) {
    if (!budget.take_steps(1)) return too_much();
    if (seen.insert(std::string(item.kind()) + write_json(item)).second) out.push_back(item);
  }
  return list_value(std::move(out));
}
Outcome compact(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  List out;
  for (const Value& item : **items)
    if (is_true(item)) out.push_back(item);
  return list_value(std::move(out));
}
Outcome has(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[1]);
  if (!items) return items.error();
  return flag(
      std::any_of((*items)->begin(), (*items)->end(), [&](const Value& item) { return item.same_as(*args[0]); }));
}
Outcome without(Arguments args, Budget& budget) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  List out;
  for (const Value& item : **items) {
    if (!budget.take_steps(args.size())) return too_much();
    const auto same = [&](const Value* arg) { return item.same_as(*arg); };
    if (std::none_of(args.begin() + 1, args.end(), same)) out.push_back(item);
  }
  return list_value(std::move(out));
}
Outcome to_strings(Arguments args, Budget&) {
  Result<const List*> items = list_of(*args[0]);
  if (!items) return items.error();
  List out;
  for (const Value& item : **items) out.push_back(text_value(item.text()));
  return list_value(std::move(out));
}

constexpr Function table[] = {
    {"append", 2, 2, extended<true>},
    {"compact", 1, 1, compact},
    {"concat", 1, -1, concat},
    {"dict", 0, -1, make_dict},
    {"dig", 3, -1, dig, false, false},
    {"first", 1, 1, one_end<true>, false, false},
    {"get", 2, 2, get, false, false},
    {"has", 2, 2, has},
    {"hasKey", 2, 2, has_key, false, false},
    {"index", 1, -1, index, false, false},
    {"initial", 1, 1, but_one_end<false>},
    {"keys", 1, -1, keys},
    {"last", 1, 1, one_end<false>, false, false},
    {"len", 1, 1, length, false, false},
    {"list", 0, -1, make_list},
    {"merge", 1, -1, merge<false>},
    {"mergeOverwrite", 1, -1, merge<true>},
    {"mkSlice", 0, -1, make_list},
    {"omit", 1, -1, picked<false>},
    {"pick", 1, -1, picked<true>},
    {"prepend", 2, 2, extended<false>},
    {"rest", 1, 1, but_one_end<true>},
    {"reverse", 1, 1, reverse},
    {"slice", 1, 3, slice},
    {"sortAlpha", 1, 1, sort_alpha},
    {"toStrings", 1, 1, to_strings},
    {"tuple", 0, -1, make_list},
    {"uniq", 1, 1, uniq},
    {"values", 1, 1, values},
    {"without", 1, -1, without},
};
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

std::span<const Function> list_functions() { return table; }

}  // namespace converge::spec
