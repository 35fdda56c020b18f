#include "primitives/yaml_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/text.h"
#include "primitives/attributes.h"
#include "spec/yaml.h"

namespace converge {
namespace {

using spec::Entry;
using spec::Map;
using spec::Value;

constexpr int most_edits = 200;  // each settles an entry; more than a file of this kind has

/// A text and its tree; the tree's positions point into the text.
struct Document {
  std::unique_ptr<Source> source;
  std::optional<Value> root;
  std::string problem;  // "line 3: ..." if it could not be read
  std::string hint;
};
Document load(std::string_view text, const std::string& name) {
  Document out{.source = std::make_unique<Source>(Source{name, std::string(text)})};
  if (trim(text).empty()) {
    out.root = Value{};
    return out;
  }
  Diagnostics diagnostics;
  out.root = spec::read_yaml(*out.source, {}, diagnostics);
  if (!out.root && !diagnostics.empty()) {
    out.problem = fmt::format("{}: {}", diagnostics.front().at.text(), diagnostics.front().message);
    out.hint = diagnostics.front().hint;
  }
  if (!out.root && out.problem.empty()) out.problem = name + ": not readable as YAML";
  return out;
}

bool empty(const Value& value) { return value.is_null() || (value.map() != nullptr && value.map()->empty()); }
bool mapping(const Value& value) { return value.map() != nullptr || value.is_null(); }
const Map& entries(const Value& value) {
  static const Map none;
  return value.map() == nullptr ? none : *value.map();
}
const Entry* find_entry(const Value& value, std::string_view key) {
  const Map& map = entries(value);
  const auto it = std::find_if(map.begin(), map.end(), [&](const Entry& entry) { return entry.key == key; });
  return it == map.end() ? nullptr : &*it;
}

/// Keys whose values are nobody's business, whoever wrote them.
bool secret_key(std::string_view key) {
  constexpr std::array<std::string_view, 6> keys = {"password", "auth",   "identity_token",
                                                    "token",    "secret", "passphrase"};
  return std::find(keys.begin(), keys.end(), lower(key)) != keys.end();
}
bool holds_secret(const Value& value) {
  if (const auto* map = value.map())
    return std::any_of(map->begin(), map->end(),
                       [](const Entry& entry) { return secret_key(entry.key) || holds_secret(entry.value); });
  if (const auto* list = value.list()) return std::any_of(list->begin(), list->end(), holds_secret);
  return false;
}

struct Difference {
  std::string path, expected, actual;
};
/// The first place where `have` is not what `want` says; nullopt if there is none.
class Comparison {
 public:
  Comparison(bool exact, bool sensitive) : exact_(exact), sensitive_(sensitive) {}

  std::optional<Difference> first(const Value& have, const Value& want, const std::string& path = {},
                                  bool secret = false) const {
    if (!mapping(want)) {
      if (have.same_as(want)) return std::nullopt;
      return Difference{path, shown(want, secret), shown(have, secret)};
    }
    if (!mapping(have)) return Difference{path, shown(want, secret), shown(have, secret)};
    for (const Entry& entry : entries(want)) {
      const std::string below = path.empty() ? entry.key : path + "." + entry.key;
      const bool hidden = secret || secret_key(entry.key);
      const Value* there = have.find(entry.key);
      if (there == nullptr) return Difference{below, shown(entry.value, hidden), "absent"};
      if (auto found = first(*there, entry.value, below, hidden)) return found;
    }
    if (!exact_) return std::nullopt;
    for (const Entry& entry : entries(have))
      if (find_entry(want, entry.key) == nullptr)
        return Difference{path.empty() ? entry.key : path + "." + entry.key, "absent",
                          shown(entry.value, secret || secret_key(entry.key))};
    return std::nullopt;
  }

 private:
  std::string shown(const Value& value, bool secret) const {
    if (sensitive_ || secret || holds_secret(value)) return std::string(Secret::shown);
    return printable(spec::write_json(value));
  }
  bool exact_, sensitive_;
};

/// `have` with everything `want` says.
Value merged(const Value& have, const Value& want) {
  if (!mapping(have) || !mapping(want)) return want;
  Map out = entries(have);
  for (const Entry& entry : entries(want)) {
    const auto it = std::find_if(out.begin(), out.end(), [&](const Entry& e) { return e.key == entry.key; });
    if (it == out.end())
      out.push_back(entry);
    else
      it->value = merged(it->value, entry.value);
  }
  if (out.empty()) return have;
  return Value(std::move(out));
}

// ---- editing the text ------------------------------------------------------------------------------------------
// Every edit is a guess about style that is proved by reading the result again; what cannot be proved is written anew.

std::size_t indentation(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

class Text {
 public:
  explicit Text(std::string_view text) : lines_() {
    for (const std::string_view line : split_lines(text)) lines_.emplace_back(line);
    if (!lines_.empty() && lines_.front().ends_with("\r\n")) ending_ = "\r\n";
    if (!lines_.empty() && !lines_.back().ends_with('\n')) lines_.back() += ending_;
  }

  /// True if nothing but blanks stands before the key: it is an entry of a block mapping.
  bool begins_line(const SourcePos& at) const {
    const auto index = static_cast<std::size_t>(at.line - 1);
    return at.line > 0 && index < lines_.size() &&
           indentation(lines_[index]) + 1 == static_cast<std::size_t>(at.column);
  }
  void append(const Entry& entry) { insert(lines_.size(), entry, 0); }
  /// Right below the line `line` (from 1).
  void insert_below(int line, const Entry& entry, std::size_t indent) {
    insert(static_cast<std::size_t>(line), entry, indent);
  }
  /// The entry whose key stands at `at`, as far as it reaches; comments above what follows it stay.
  void replace(const SourcePos& at, const Entry& entry) {
    const auto begin = static_cast<std::size_t>(at.line - 1);
    const auto indent = static_cast<std::size_t>(at.column - 1);
    std::size_t end = begin + 1, last = begin + 1;
    for (; end < lines_.size(); ++end) {
      const std::string_view line = trim(lines_[end]);
      if (line.empty()) continue;
      const std::size_t depth = indentation(lines_[end]);
      const bool item = line == "-" || line.starts_with("- ");
      if (depth < indent || (depth == indent && !item)) break;
      last = end + 1;
    }
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(begin),
                 lines_.begin() + static_cast<std::ptrdiff_t>(last));
    insert(begin, entry, indent);
  }
  std::string str() const {
    std::string out;
    for (const auto& line : lines_) out += line;
    return out;
  }

 private:
  void insert(std::size_t index, const Entry& entry, std::size_t indent) {
    const std::string text = spec::write_yaml(Value(Map{entry}));
    std::vector<std::string> added;
    for (const std::string_view line : split_lines(text))
      added.push_back(std::string(indent, ' ') + std::string(without_ending(line)) + ending_);
    lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(index), added.begin(), added.end());
  }

  std::vector<std::string> lines_;
  std::string ending_ = "\n";
};

/// One edit that brings `have` (whose own key is `parent`, null for the document) nearer to `want`.
bool edit_once(Text& text, const Value& have, const Entry* parent, const Value& want) {
  for (const Entry& entry : entries(want)) {
    const Entry* there = find_entry(have, entry.key);
    if (there == nullptr) {
      if (parent == nullptr) {
        if (!entries(have).empty() && !text.begins_line(entries(have).front().key_at)) return false;
        text.append(entry);
        return true;
      }
      const Map& siblings = entries(have);
      if (!siblings.empty() && siblings.front().key_at.line > parent->key_at.line &&
          text.begins_line(siblings.front().key_at)) {
        text.insert_below(parent->key_at.line, entry, static_cast<std::size_t>(siblings.front().key_at.column - 1));
        return true;
      }
      if (!text.begins_line(parent->key_at)) return false;
      text.replace(parent->key_at, {parent->key, {}, merged(have, want)});
      return true;
    }
    if (!Comparison(false, false).first(there->value, entry.value)) continue;
    if (mapping(there->value) && mapping(entry.value)) return edit_once(text, there->value, there, entry.value);
    if (!text.begins_line(there->key_at)) {
      if (parent == nullptr || !text.begins_line(parent->key_at)) return false;
      text.replace(parent->key_at, {parent->key, {}, merged(have, want)});
      return true;
    }
    text.replace(there->key_at, {entry.key, {}, merged(there->value, entry.value)});
    return true;
  }
  return false;
}

std::optional<std::string> edited(std::string text, const Value& document, const Value& goal) {
  for (int i = 0; i < most_edits; ++i) {
    const Document now = load(text, "");
    if (!now.root || !mapping(*now.root)) return std::nullopt;
    if (!Comparison(false, false).first(*now.root, document)) {
      if (Comparison(true, false).first(*now.root, goal)) return std::nullopt;
      return text;
    }
    Text lines(text);
    if (!edit_once(lines, *now.root, nullptr, document)) return std::nullopt;
    text = lines.str();
  }
  return std::nullopt;
}

/// Takes the values of secret keys out of lines; nullopt if one may reach over several.
std::optional<std::string> without_secrets(std::string_view text) {
  std::string out;
  for (const std::string_view line : split_lines(text)) {
    std::size_t cut = std::string_view::npos;
    for (std::size_t colon = line.find(':'); colon != std::string_view::npos; colon = line.find(':', colon + 1)) {
      const std::size_t end = line.find_last_not_of(" \"'", colon == 0 ? 0 : colon - 1);
      const std::size_t before = end == std::string_view::npos ? end : line.find_last_of(" \"'{,\t", end);
      const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
      if (end == std::string_view::npos || end < begin || !secret_key(line.substr(begin, end - begin + 1))) continue;
      const std::string_view value = trim(line.substr(colon + 1));
      const bool table = value.empty() && lower(line.substr(begin, end - begin + 1)) == "auth";
      if (table) continue;  // its keys are judged for themselves
      if (value.empty() || value.front() == '|' || value.front() == '>') return std::nullopt;
      cut = colon + 1;
      break;
    }
    if (cut == std::string_view::npos)
      out += line;
    else
      out += fmt::format("{} {}\n", line.substr(0, cut), Secret::shown);
  }
  return out;
}

Result<std::string> wanted_text(const YamlFile& p, const YamlFile::State& state) {
  if (p.manage == YamlFile::Manage::exact) return spec::write_yaml(p.document);
  return merged_yaml(state.seen.content, p.document, p.path.str());
}

std::optional<Difference> difference(const YamlFile& p, const YamlFile::State& state) {
  if (!std::holds_alternative<RegularFile>(state.seen.state))
    return Difference{p.path.str(), "as declared", kind_of(state.seen.state)};
  const Document now = load(state.seen.content, p.path.str());
  if (!now.root) return Difference{p.path.str(), "YAML", now.problem};
  return Comparison(p.manage == YamlFile::Manage::exact, p.sensitive).first(*now.root, p.document);
}

}  // namespace

Result<std::string> merged_yaml(std::string_view text, const Value& document, const std::string& name) {
  const Document now = load(text, name);
  if (!now.root)
    return Error{Errc::refused,
                 fmt::format("{}: merging into this file is not safe", now.problem),
                 {},
                 now.hint.empty() ? "mend the file, or use 'manage: exact' to have it replaced"
                                  : now.hint + ", or use 'manage: exact' to have the file replaced"};
  if (!mapping(*now.root))
    return Error{Errc::refused,
                 fmt::format("{} holds a {}, not a mapping", name, now.root->kind()),
                 {},
                 "use 'manage: exact' to have the file replaced"};
  if (!Comparison(false, false).first(*now.root, document)) return std::string(text);
  const Value goal = merged(*now.root, document);
  if (!empty(*now.root))
    if (auto out = edited(std::string(text), document, goal)) return std::move(*out);
  // Comments of a file that says nothing yet are kept above what it will say.
  if (empty(*now.root) && now.root->map() == nullptr)
    if (auto out = edited(std::string(text), document, goal)) return std::move(*out);
  return spec::write_yaml(goal);
}

ResourceId id(const YamlFile& p) { return "yaml_file:" + p.path.str(); }

Result<YamlFile::State> inspect(const YamlFile& p, const SystemView& view) {
  auto seen = view.read(p.path, text_limit);
  if (!seen) return std::move(seen).error();
  return YamlFile::State{std::move(*seen)};
}

Checks compare(const YamlFile& p, const YamlFile::State& state) {
  const auto& [path, document, manage, mode, owner, sensitive] = p;
  (void)path, (void)document, (void)manage, (void)sensitive;  // difference() compares them
  Checks checks;
  if (const auto found = difference(p, state)) {
    const bool whole = found->path == path.str() || found->path.empty();
    const std::string where = whole ? "" : printable(found->path) + ": ";
    checks.push_back(check_that("content", false, where + found->expected, where + found->actual));
  } else {
    checks.push_back(check_equal("content", "as declared", "as declared"));
  }
  check_attributes(checks, state.seen.state, mode, owner);
  return checks;
}

Status preflight(const YamlFile& p, const YamlFile::State& state, const SystemView& view) {
  (void)view;
  const bool file = std::holds_alternative<RegularFile>(state.seen.state);
  if (!file && !std::holds_alternative<Absent>(state.seen.state)) return in_the_way(p.path, state.seen.state, "file");
  if (auto text = wanted_text(p, state); !text) return std::move(text).error();
  return ok();
}

Status apply(const YamlFile& p, const YamlFile::State& state, System& system) {
  if (auto allowed = preflight(p, state, system); !allowed) return allowed;
  if (!difference(p, state)) {
    // The file's time of change is what a restart is decided by: it moves only with the content.
    return attributes_differ(state.seen.state, p.mode, p.owner) ? system.set_attributes(p.path, p.mode, p.owner) : ok();
  }
  auto text = wanted_text(p, state);
  if (!text) return std::move(text).error();
  return system.write_file(p.path, *text,
                           {.mode = p.mode,
                            .owner = p.owner,
                            .replaces = state.seen.state,
                            .backup = std::holds_alternative<RegularFile>(state.seen.state)});
}

std::string diff(const YamlFile& p, const YamlFile::State& state) {
  if (p.sensitive || !difference(p, state)) return {};
  const auto text = wanted_text(p, state);
  if (!text) return {};
  const auto before = without_secrets(state.seen.content), after = without_secrets(*text);
  return before && after ? unified_diff(*before, *after, p.path.str()) : std::string{};
}

}  // namespace converge
