#include "spec/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/text.h"
#include "spec/template_evaluator.h"
#include "spec/template_lexer.h"
#include "spec/template_tree.h"

namespace converge::spec {
namespace {

/// Where offset `offset` of what a scalar says stands in the file it was written in. Falls back to the scalar's place
/// where the writing is too far from the text (folded blocks, a text that came from elsewhere).
SourcePos place_in_scalar(const Value& scalar, std::size_t offset) {
  const SourcePos at = scalar.at();
  const std::string* text = scalar.string();
  if (at.source == nullptr || text == nullptr || at.line < 1 || at.column < 1) return at;
  const std::string_view file = at.source->text;
  std::size_t i = 0;
  for (int line = 1; line < at.line; ++line) {
    i = file.find('\n', i);
    if (i == std::string_view::npos) return at;
    ++i;
  }
  i += static_cast<std::size_t>(at.column) - 1;
  if (i >= file.size()) return at;
  if (file[i] == '|') {
    const auto line =
        static_cast<int>(std::count(text->begin(), text->begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
    const std::size_t start = offset == 0 ? 0 : text->rfind('\n', offset - 1) + 1;  // npos + 1 is 0
    std::size_t indent = std::string_view::npos;
    std::size_t begin = file.find('\n', i);
    for (; begin != std::string_view::npos && indent == std::string_view::npos; begin = file.find('\n', begin + 1)) {
      const std::string_view content = without_ending(file.substr(begin + 1, file.find('\n', begin + 1) - begin - 1));
      indent = content.find_first_not_of(' ');
    }
    if (indent == std::string_view::npos) return at;
    return {at.source, at.line + 1 + line, static_cast<int>(indent + offset - start) + 1};
  }
  const char quote = file[i] == '"' || file[i] == '\'' ? file[i] : '\0';
  if (quote != '\0') ++i;
  SourcePos place = at;
  std::size_t line_start = i - (static_cast<std::size_t>(at.column) - 1) - (quote != '\0' ? 1 : 0);
  for (std::size_t k = 0; k < offset; ++k) {
    if (i >= file.size()) return at;
    if (quote == '"' && file[i] == '\\') {
      const char letter = i + 1 < file.size() ? file[i + 1] : '\0';
      if (letter == '\n' || letter == 'x' || letter == 'u' || letter == 'U') return at;
      i += 2;
    } else if (quote == '\'' && file[i] == '\'') {
      i += 2;
    } else if (file[i] == '\n' || file[i] == '\r' || (file[i] != (*text)[k])) {
      // A folded line: blanks around the break are one blank of the text.
      if ((*text)[k] != ' ') return at;
      while (i < file.size() && is_blank(file[i])) {
        if (file[i] == '\n') {
          ++place.line;
          line_start = i + 1;
        }
        ++i;
      }
    } else {
      ++i;
    }
  }
  place.column = static_cast<int>(i - line_start) + 1;
  return place;
}

SourcePos place_in_source(const Source& source, std::size_t offset) {
  const std::string_view before = std::string_view(source.text).substr(0, offset);
  const std::size_t start = before.rfind('\n');
  return {&source, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(start == std::string_view::npos ? offset : offset - start - 1) + 1};
}

/// Gives what a function made a place: that of the scalar which asked for it.
void settle(Value& value, SourcePos at) {
  if (value.at().source == nullptr) value = Value(std::move(value.data()), at, value.quoted());
  if (List* items = std::get_if<List>(&value.data()))
    for (Value& item : *items) settle(item, at);
  if (Map* entries = std::get_if<Map>(&value.data()))
    for (Entry& entry : *entries) {
      if (entry.key_at.source == nullptr) entry.key_at = at;
      settle(entry.value, at);
    }
}

std::optional<Value> evaluate_parsed(const Template& parsed, const Value& scalar, const Scope& scope,
                                     Diagnostics& diagnostics) {
  const auto locate = [&scalar](std::size_t offset) { return place_in_scalar(scalar, offset); };
  if (parsed.problem) {
    diagnostics.push_back({locate(parsed.problem->at), parsed.problem->message, parsed.problem->hint});
    return std::nullopt;
  }
  if (const Expr* only = parsed.only()) {
    const auto made = evaluate_expression(*only, scope, diagnostics, locate);
    if (!made) return std::nullopt;
    if (made->list() == nullptr && made->map() == nullptr)
      return Value(made->data(), scalar.at(), made->string() != nullptr);
    Value out(made->data(), scalar.at());
    settle(out, scalar.at());
    return out;
  }
  auto text = evaluate_text(parsed.nodes, scope, diagnostics, locate);
  if (!text) return std::nullopt;
  return Value(*std::move(text), scalar.at(), true);
}

/// False after a diagnostic for each key that is there before.
bool are_distinct(const Map& entries, Diagnostics& diagnostics) {
  std::set<std::string_view> seen;
  bool distinct = true;
  for (const Entry& entry : entries) {
    if (seen.insert(entry.key).second) continue;
    diagnostics.push_back({entry.key_at, fmt::format("the key '{}' is made twice", printable(entry.key)), {}});
    distinct = false;
  }
  return distinct;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace

/// Bounded: a run has few distinct texts; one that has many pays for parsing, not in memory.
struct Templates::Cache {
  static constexpr std::size_t most = 4096, longest = 4096;
  std::unordered_map<std::string, std::shared_ptr<const Template>, TextHash, std::equal_to<>> parsed;

  /// Shared, since evaluating one may lead to another, and that to the end of the cache's patience.
  std::shared_ptr<const Template> get(const std::string& text) {
    const auto found = parsed.find(text);
    if (found != parsed.end()) return found->second;
    auto made = std::make_shared<const Template>(parse_template(text));
    if (text.size() > longest) return made;
    if (parsed.size() >= most) parsed.clear();
    return parsed.emplace(text, std::move(made)).first->second;
  }
};

bool has_template(std::string_view text) { return text.find("{{") != std::string_view::npos; }

Templates::Templates() : cache_(std::make_unique<Cache>()) {}
Templates::~Templates() = default;

std::optional<Value> Templates::evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics) {
  const std::string* text = scalar.string();
  if (text == nullptr || !has_template(*text)) return scalar;
  const std::shared_ptr<const Template> parsed = cache_->get(*text);
  return evaluate_parsed(*parsed, scalar, scope, diagnostics);
}

std::optional<Value> Templates::evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics) {
  bool fine = true;
  if (const List* items = value.list()) {
    List out;
    out.reserve(items->size());
    for (const Value& item : *items) {
      std::optional<Value> made = evaluate_tree(item, scope, diagnostics);
      fine = fine && made;
      if (fine) out.push_back(std::move(*made));
    }
    if (!fine) return std::nullopt;
    return Value(std::move(out), value.at());
  }
  if (const Map* entries = value.map()) {
    Map out;
    out.reserve(entries->size());
    bool renamed = false;
    for (const Entry& entry : *entries) {
      std::optional<std::string> key = entry.key;
      if (has_template(entry.key)) {
        key = evaluate_key(entry, scope, diagnostics);
        renamed = true;
      }
      std::optional<Value> made = evaluate_tree(entry.value, scope, diagnostics);
      fine = fine && key && made;
      if (fine) out.push_back({std::move(*key), entry.key_at, std::move(*made)});
    }
    if (!fine || (renamed && !are_distinct(out, diagnostics))) return std::nullopt;
    return Value(std::move(out), value.at());
  }
  return evaluate(value, scope, diagnostics);
}

std::optional<std::string> Templates::evaluate_key(const Entry& entry, const Scope& scope, Diagnostics& diagnostics) {
  const auto key = evaluate(Value(entry.key, entry.key_at, true), scope, diagnostics);
  if (!key) return std::nullopt;
  if (key->is_null() || key->list() != nullptr || key->map() != nullptr) {
    diagnostics.push_back({entry.key_at, fmt::format("a key must be text, not a {}", key->kind()), {}});
    return std::nullopt;
  }
  return key->text();
}

std::optional<std::string> Templates::render(const Source& source, const Scope& scope, Diagnostics& diagnostics) {
  return render_template(source, scope, diagnostics);
}

std::optional<Value> evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics) {
  const std::string* text = scalar.string();
  if (text == nullptr || !has_template(*text)) return scalar;
  return evaluate_parsed(parse_template(*text), scalar, scope, diagnostics);
}

std::optional<Value> evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics) {
  return Templates().evaluate_tree(value, scope, diagnostics);
}

std::optional<std::string> render_template(const Source& source, const Scope& scope, Diagnostics& diagnostics) {
  if (source.text.size() > max_template_output) {
    diagnostics.push_back({{&source, 1, 1}, "the template has more than 1 MiB", "split it"});
    return std::nullopt;
  }
  const auto locate = [&source](std::size_t offset) { return place_in_source(source, offset); };
  const Template parsed = parse_template(source.text);
  if (parsed.problem) {
    diagnostics.push_back({locate(parsed.problem->at), parsed.problem->message, parsed.problem->hint});
    return std::nullopt;
  }
  return evaluate_text(parsed.nodes, scope, diagnostics, locate);
}

}  // namespace converge::spec
