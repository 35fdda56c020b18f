#include "checks/gossfile_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "checks/type.h"
#include "core/text.h"
#include "spec/template.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Entry;
using spec::Map;
using spec::Value;

namespace {

constexpr spec::YamlRules rules{true, std::size_t{16} << 20U, 2'000'000, 64};
constexpr std::size_t step = 2;  // columns, where the file does not show its own

Error by_hand(std::string message) { return {Errc::refused, std::move(message), {}, "add it by hand"}; }

// ---- writing --------------------------------------------------------------------------------------------------------

/// True if every YAML reader, of 1.1 too, takes it for this text without quotes.
bool is_plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !(letter(text.front()) || text.front() == '/' || text.front() == '_')) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool within = i + 1 < text.size() && text[i + 1] != ' ';  // ": " and " #" mean something
    if (!letter(c) && !digit(c) && std::string_view("/_.-+@=~").find(c) == std::string_view::npos &&
        !((c == ':' || c == ' ') && within && text[i + 1] != '#'))
      return false;
  }
  static constexpr std::array<std::string_view, 9> words = {"true", "false", "yes", "no", "on",
                                                            "off",  "null",  "y",   "n"};
  const std::string known = lower(text);
  return std::find(words.begin(), words.end(), known) == words.end();
}

std::string scalar(const std::string& text) { return is_plain(text) ? text : spec::write_json(Value(text)); }

std::string inline_value(const Value& value) {
  return value.string() != nullptr ? scalar(*value.string()) : spec::write_json(value);
}

// ---- reading --------------------------------------------------------------------------------------------------------

std::optional<Value> read(const std::string& path, const std::string& text, Sources& sources, std::string& why) {
  Diagnostics said;
  auto value = spec::read_yaml(*sources.add(path, text), rules, said);
  for (const Diagnostic& each : said)
    if (why.empty()) why = fmt::format("{}: {}", each.at.text(), each.message);
  return value;
}

Value* find(Value& map, std::string_view key) {
  if (auto* entries = std::get_if<Map>(&map.data()))
    for (Entry& entry : *entries)
      if (entry.key == key) return &entry.value;
  return nullptr;
}

/// What the file shall say.
Value merged(Value root, const NewEntry& entry, const Value& value) {
  if (root.is_null()) root.data() = Map();
  if (find(root, entry.section) == nullptr) std::get<Map>(root.data()).push_back({entry.section, {}, Value(Map())});
  Value& section = *find(root, entry.section);
  if (section.is_null()) section.data() = Map();
  if (Value* known = find(section, entry.key))
    *known = value;
  else
    std::get<Map>(section.data()).push_back({entry.key, {}, value});
  return root;
}

bool is_common(std::string_view name) {
  const auto all = common_attributes();
  return std::any_of(all.begin(), all.end(), [&](const Attribute& each) { return each.name == name; });
}

/// `fresh`, after what the old entry says that is no assertion.
Value with_what_is_kept(const Value& old, const Value& fresh) {
  Map out;
  if (old.map() != nullptr)
    for (const Entry& entry : *old.map())
      if (is_common(entry.key)) out.push_back(entry);
  for (const Entry& entry : *fresh.map()) out.push_back(entry);
  return Value(std::move(out));
}

bool says_all(const Value& old, const Value& fresh) {
  if (old.map() == nullptr) return false;
  return std::all_of(fresh.map()->begin(), fresh.map()->end(), [&](const Entry& entry) {
    const Value* known = old.find(entry.key);
    return known != nullptr && known->same_as(entry.value);
  });
}

// ---- lines of YAML --------------------------------------------------------------------------------------------------

class Lines {
 public:
  explicit Lines(const std::string& text) {
    for (const std::string_view line : split_lines(std::string_view(text))) lines_.emplace_back(line);
    ending_ = !lines_.empty() && lines_.front().ends_with("\r\n") ? "\r\n" : "\n";
  }
  std::size_t count() const { return lines_.size(); }
  /// Lines count from 1, as places do.
  std::string_view at(std::size_t line) const { return without_ending(lines_[line - 1]); }
  char character(SourcePos at) const {
    const auto line = static_cast<std::size_t>(at.line), column = static_cast<std::size_t>(at.column);
    if (line < 1 || line > lines_.size() || column < 1 || column > lines_[line - 1].size()) return '\0';
    return lines_[line - 1][column - 1];
  }
  /// The last line before `end` that belongs to what is indented by `indent` and more: blank lines and the comments of
  /// what follows do not.
  std::size_t last_before(std::size_t end, std::size_t indent) const {
    while (end > 1) {
      const std::string_view line = at(end - 1);
      const std::string_view said = trim(line);
      const bool comment = said.starts_with('#') && line.find_first_not_of(' ') < indent;
      if (!said.empty() && !comment && line != "..." && line != "---") break;
      --end;
    }
    return end - 1;
  }
  bool has_comment(std::size_t first, std::size_t last) const {
    for (std::size_t i = first; i <= last; ++i)
      if (at(i).find(" #") != std::string_view::npos || trim(at(i)).starts_with('#')) return true;
    return false;
  }
  void replace(std::size_t line, std::string_view text) { lines_[line - 1] = std::string(text) + ending_; }
  void remove(std::size_t first, std::size_t last) {
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(first) - 1,
                 lines_.begin() + static_cast<std::ptrdiff_t>(last));
  }
  void insert_after(std::size_t line, const std::string& text) {
    if (line > 0 && !lines_[line - 1].ends_with('\n')) lines_[line - 1] += ending_;
    std::vector<std::string> fresh;
    for (const std::string_view each : split_lines(std::string_view(text)))
      fresh.push_back(std::string(without_ending(each)) + ending_);
    lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(line), fresh.begin(), fresh.end());
  }
  std::string text() const { return join(lines_, ""); }

 private:
  std::vector<std::string> lines_;
  std::string ending_;
};

std::size_t indent_of(SourcePos at) { return static_cast<std::size_t>(std::max(at.column, 1)) - 1; }
std::size_t line_of(SourcePos at) { return static_cast<std::size_t>(std::max(at.line, 1)); }

/// Puts the entry into lines, `old` aside. False if the file's style has no place for lines.
bool put(Lines& lines, const Value& root, const NewEntry& entry, const Value& value) {
  const Map none;
  const Map& sections = root.map() != nullptr ? *root.map() : none;
  if (!sections.empty() && lines.character(root.at()) == '{') return false;
  const std::size_t outer = sections.empty() ? 0 : indent_of(sections.front().key_at);
  const auto section =
      std::find_if(sections.begin(), sections.end(), [&](const Entry& each) { return each.key == entry.section; });
  if (section == sections.end()) {
    if (sections.empty() && root.map() != nullptr) return false;  // "{}"
    for (std::size_t i = 1; i <= lines.count(); ++i)
      if (lines.at(i) == "...") return false;
    lines.insert_after(lines.count(), fmt::format("{:{}}{}:\n", "", outer, entry.section) +
                                          entry_text(entry.key, value, outer + step));
    return true;
  }
  const std::size_t head = line_of(section->key_at);
  const std::string_view behind = trim(
      lines.at(head).substr(std::min(indent_of(section->key_at) + entry.section.size() + 1, lines.at(head).size())));
  const Map& entries = section->value.map() != nullptr ? *section->value.map() : none;
  if (entries.empty()) {
    if (behind == "{}")
      lines.replace(head, lines.at(head).substr(0, lines.at(head).rfind('{') - 1));
    else if (!behind.empty() && !behind.starts_with('#'))
      return false;
    lines.insert_after(head, entry_text(entry.key, value, outer + step));
    return true;
  }
  if ((!behind.empty() && !behind.starts_with('#')) || line_of(entries.front().key_at) <= head) return false;
  const std::size_t indent = indent_of(entries.front().key_at);
  const std::size_t end = section + 1 == sections.end() ? lines.count() + 1 : line_of((section + 1)->key_at);
  const auto known = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == entry.key; });
  if (known == entries.end()) {
    lines.insert_after(lines.last_before(end, indent), entry_text(entry.key, value, indent));
    return true;
  }
  const std::size_t first = line_of(known->key_at);
  const std::size_t next = known + 1 == entries.end() ? end : line_of((known + 1)->key_at);
  const std::size_t last = lines.last_before(next, indent + 1);
  if (last < first || lines.has_comment(first, last)) return false;
  lines.remove(first, last);
  lines.insert_after(first - 1, entry_text(entry.key, value, indent));
  return true;
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

void write_pretty(const Value& value, std::size_t indent, std::string& out) {
  constexpr std::size_t columns = 4;
  const auto* map = value.map();
  const auto* list = value.list();
  const std::size_t size = map != nullptr ? map->size() : list != nullptr ? list->size() : 0;
  if (size == 0) {
    out += spec::write_json(value);
    return;
  }
  out += map != nullptr ? "{\n" : "[\n";
  for (std::size_t i = 0; i < size; ++i) {
    out.append(indent + columns, ' ');
    if (map != nullptr) out += spec::write_json(Value((*map)[i].key)) + ": ";
    write_pretty(map != nullptr ? (*map)[i].value : (*list)[i], indent + columns, out);
    out += i + 1 < size ? ",\n" : "\n";
  }
  out.append(indent, ' ');
  out += map != nullptr ? "}" : "]";
}

}  // namespace

std::string entry_text(const std::string& key, const Value& value, std::size_t indent) {
  const std::string margin(indent, ' ');
  if (value.map() == nullptr || value.map()->empty()) return fmt::format("{}{}: {{}}\n", margin, scalar(key));
  std::string out = fmt::format("{}{}:\n", margin, scalar(key));
  for (const Entry& entry : *value.map()) {
    const spec::List* list = entry.value.list();
    const bool short_list = list != nullptr && !list->empty() &&
                            std::all_of(list->begin(), list->end(),
                                        [](const Value& v) { return v.map() == nullptr && v.list() == nullptr; });
    if (!short_list) {
      out += fmt::format("{}  {}: {}\n", margin, scalar(entry.key), inline_value(entry.value));
      continue;
    }
    out += fmt::format("{}  {}:\n", margin, scalar(entry.key));
    for (const Value& each : *list) out += fmt::format("{}    - {}\n", margin, inline_value(each));
  }
  return out;
}

Result<EditedFile> with_entry(const std::string& path, const std::string& text, const NewEntry& entry) {
  const bool json = path.ends_with(".json");
  if (!json && !path.ends_with(".yaml") && !path.ends_with(".yml"))
    return Error{Errc::invalid,
                 fmt::format("'{}' is no name of a gossfile", printable(path)),
                 {},
                 "a gossfile ends in .yaml, .yml or .json"};
  if (spec::has_template(text))
    return Error{Errc::invalid,
                 fmt::format("'{}' has templates: what it says is known only when it is used", printable(path)),
                 {},
                 "add to another file, and include it under 'gossfile:'"};
  Sources sources;
  std::string why;
  auto root = trim(text).empty() ? std::optional(Value()) : read(path, text, sources, why);
  if (!root || (root->map() == nullptr && !root->is_null()))
    return Error{
        Errc::invalid,
        root ? fmt::format("'{}' is no gossfile: it holds {}", printable(path), with_article(root->kind())) : why,
        {},
        "mend it first"};
  const Value* section = root->find(entry.section);
  if (section != nullptr && section->map() == nullptr && !section->is_null())
    return Error{
        Errc::invalid, fmt::format("'{}' is no mapping in '{}'", entry.section, printable(path)), {}, "mend it first"};
  const Value* old = section == nullptr ? nullptr : section->find(entry.key);
  if (old != nullptr && says_all(*old, entry.value)) return EditedFile{EditedFile::What::unchanged, text};
  if (old != nullptr && !entry.replace)
    return Error{Errc::exists,
                 fmt::format("'{}: {}' is in '{}' already, and says something else", entry.section,
                             printable(entry.key), printable(path)),
                 {},
                 "give --replace to have it say what is so now"};
  const Value value = old == nullptr ? entry.value : with_what_is_kept(*old, entry.value);
  const Value wanted = merged(*root, entry, value);
  EditedFile out;
  out.what = old == nullptr ? EditedFile::What::added : EditedFile::What::replaced;
  if (json) {
    write_pretty(wanted, 0, out.text);
    out.text += '\n';
  } else {
    Lines lines(text);
    if (!put(lines, *root, entry, value))
      return by_hand(
          fmt::format("'{}' is written so that nothing can be put in without touching more", printable(path)));
    out.text = lines.text();
  }
  const auto now = read(path, out.text, sources, why);
  if (!now || !now->same_as(wanted))
    return by_hand(fmt::format("'{}' would say something else after it", printable(path)));
  return out;
}

}  // namespace converge::checks
