#include "spec/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "core/text.h"
#include "spec/yaml.h"

namespace converge::spec {

namespace {

std::vector<std::string> strings(std::span<const std::string_view> views) { return {views.begin(), views.end()}; }

std::vector<std::string> names_of(std::span<const Field> fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) names.emplace_back(field.name);
  return names;
}

/// What a value is, for a sentence that says it should be something else: "the string 'abc'", "a list".
std::string description(const Value& value) {
  if (value.is_null()) return "nothing";
  if (value.list() != nullptr) return "a list";
  if (value.map() != nullptr) return "a mapping";
  std::string text = value.text();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return fmt::format("the {} '{}'", value.kind(), printable(text));
}

std::string nearest_or_all(std::string_view word, const std::vector<std::string>& known, std::string_view label) {
  std::string hint = did_you_mean(word, known);
  if (!hint.empty() || known.empty()) return hint;
  return fmt::format("{}: {}", label, join(known, ", "));
}

/// Checks a mapping against its table; one object a mapping, no state but the places it writes to.
class Checker {
 public:
  Checker(Diagnostics& diagnostics) : diagnostics_(diagnostics), before_(diagnostics.size()) {}  // NOLINT

  bool found_nothing() const { return diagnostics_.size() == before_; }

  void mapping(const Value& value, std::span<const Field> fields) {
    const Map* entries = value.map();
    if (entries == nullptr && !value.is_null()) {
      std::string hint = "write 'key: value' lines";
      if (const std::string* text = value.string(); text != nullptr && text->find(':') != std::string::npos)
        hint = "put a blank after the colon";
      return report(value.at(), fmt::format("wants a mapping, found {}", description(value)), std::move(hint));
    }
    if (entries != nullptr)
      for (const Entry& entry : *entries)
        if (const Field* field = known(entry, fields); field != nullptr && !entry.value.is_null())
          check(*field, entry.value);
    required(value, fields);
  }

  void keys(const Value& value, std::span<const Field> fields) {
    if (const Map* entries = value.map())
      for (const Entry& entry : *entries) known(entry, fields);
    if (value.map() != nullptr || value.is_null()) required(value, fields);
  }

 private:
  void report(SourcePos at, std::string message, std::string hint) {
    diagnostics_.push_back({at, std::move(message), std::move(hint)});
  }
  void wants(const Field& field, const Value& value, std::string_view wanted, std::string hint = {}) {
    report(value.at(), fmt::format("'{}' wants {}, found {}", field.name, wanted, description(value)), std::move(hint));
  }

  /// The field of an entry's key; null after a diagnostic.
  const Field* known(const Entry& entry, std::span<const Field> fields) {
    for (const Field& field : fields)
      if (field.name == entry.key) return &field;
    std::string hint = fields.empty() ? "it takes none" : nearest_or_all(entry.key, names_of(fields), "known keys");
    report(entry.key_at, fmt::format("unknown key '{}'", printable(entry.key)), std::move(hint));
    return nullptr;
  }

  void required(const Value& value, std::span<const Field> fields) {
    for (const Field& field : fields) {
      if (!field.required) continue;
      const Value* given = value.find(field.name);
      if (given == nullptr)
        report(value.at(), fmt::format("'{}' is missing", field.name), std::string(field.doc));
      else if (given->is_null())
        report(given->at(), fmt::format("'{}' has no value", field.name), std::string(field.doc));
    }
  }

  void check(const Field& field, const Value& value) {
    switch (field.kind) {
      case Kind::text:
      case Kind::multiline:
        return text(field, value);
      case Kind::integer:
        return integer(field, value);
      case Kind::boolean:
        return boolean(field, value);
      case Kind::size:
        return size(field, value);
      case Kind::mode:
        return mode(field, value);
      case Kind::path:
        return path(field, value);
      case Kind::text_list:
        return text_list(field, value);
      case Kind::mapping:
        if (value.map() == nullptr && (value.list() == nullptr || !field.of.empty()))
          return wants(field, value, field.of.empty() ? "a mapping or a list" : "a mapping");
        if (!field.of.empty()) mapping(value, field.of);
        return;
      case Kind::mapping_list:
        return mapping_list(field, value);
      case Kind::any:
        return;
    }
  }

  void text(const Field& field, const Value& value) {
    const std::string* words = value.string();
    if (words == nullptr) {
      if (value.integer() != nullptr) return choice(field, value, value.text());
      const bool scalar = value.list() == nullptr && value.map() == nullptr;
      return wants(field, value, "a text", scalar ? fmt::format("write it with quotes: \"{}\"", value.text()) : "");
    }
    const bool lines = field.kind == Kind::multiline;
    const auto forbidden = [lines](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte < 0x20 && !(lines && (c == '\n' || c == '\t' || c == '\r'))) || byte == 0x7F;
    };
    const auto bad = std::find_if(words->begin(), words->end(), forbidden);
    if (bad != words->end()) {
      if (*bad == '\n')
        return report(value.at(), fmt::format("'{}' may not hold a line break", field.name), "write it on one line");
      return report(value.at(),
                    fmt::format("'{}' may not hold control characters, found 0x{:02X}", field.name,
                                static_cast<unsigned char>(*bad)),
                    "remove it");
    }
    choice(field, value, *words);
  }

  void choice(const Field& field, const Value& value, std::string_view text) {
    if (field.choices.empty() || std::find(field.choices.begin(), field.choices.end(), text) != field.choices.end())
      return;
    report(value.at(), fmt::format("'{}' cannot be '{}'", field.name, printable(text)),
           nearest_or_all(text, strings(field.choices), "one of"));
  }

  void range(const Field& field, const Value& value, std::int64_t number) {
    if (number >= field.min && number <= field.max) return;
    const bool low = field.min != std::numeric_limits<std::int64_t>::min();
    const bool high = field.max != std::numeric_limits<std::int64_t>::max();
    const auto shown = [&](std::int64_t limit) {
      if (field.kind == Kind::size) return Bytes{static_cast<std::uint64_t>(limit)}.text();
      return field.unit.empty() ? std::to_string(limit) : fmt::format("{} {}", limit, field.unit);
    };
    const std::string wanted = low && high ? fmt::format("between {} and {}", shown(field.min), shown(field.max))
                               : low       ? "at least " + shown(field.min)
                                           : "at most " + shown(field.max);
    report(value.at(), fmt::format("'{}' must be {}, found {}", field.name, wanted, printable(value.text())), "");
  }

  void integer(const Field& field, const Value& value) {
    if (const std::int64_t* number = value.integer()) return range(field, value, *number);
    std::string hint;
    std::int64_t parsed = 0;
    if (const std::string* text = value.string()) {
      std::string digits;
      std::copy_if(text->begin(), text->end(), std::back_inserter(digits), [](char c) { return c != '_' && c != ' '; });
      if (parse_number(*text, parsed) || parse_number(digits, parsed))
        hint = fmt::format("write it without quotes, underscores or leading zeros: {}", parsed);
    }
    wants(field, value, "an integer", std::move(hint));
  }

  void boolean(const Field& field, const Value& value) {
    if (value.boolean() != nullptr) return;
    std::string hint = "write true or false, without quotes";
    const std::string word = lower(value.text());
    for (const std::string_view yes : {"yes", "on", "y", "true", "1"})
      if (word == yes) hint = "write true, without quotes";
    for (const std::string_view no : {"no", "off", "n", "false", "0"})
      if (word == no) hint = "write false, without quotes";
    wants(field, value, "true or false", std::move(hint));
  }

  void size(const Field& field, const Value& value) {
    if (value.string() == nullptr && value.integer() == nullptr)
      return wants(field, value, "a size", "such as 4GiB or 512MiB");
    const Result<Bytes> bytes = Bytes::parse(value.text());
    if (!bytes)
      return report(value.at(), fmt::format("'{}': {}", field.name, bytes.error().message), bytes.error().hint);
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (bytes->count > most) return wants(field, value, "a size below 8 EiB");
    range(field, value, static_cast<std::int64_t>(bytes->count));
  }

  void mode(const Field& field, const Value& value) {
    const bool plain = value.integer() != nullptr || (value.string() != nullptr && !value.quoted());
    std::string text = value.text();
    if (plain && text.size() == 3) text.insert(0, "0");
    const Result<Mode> bits = Mode::parse(text);
    if (plain && bits)
      return report(
          value.at(),
          fmt::format("'{}' is not quoted: YAML readers take {} for another number", field.name, value.text()),
          fmt::format("write it with quotes: \"{}\"", bits->text()));
    if (value.string() == nullptr) return wants(field, value, "a quoted octal mode", "such as \"0644\"");
    if (!bits) report(value.at(), fmt::format("'{}': {}", field.name, bits.error().message), bits.error().hint);
  }

  void path(const Field& field, const Value& value) {
    const std::string* text = value.string();
    if (text == nullptr) return wants(field, value, "a path");
    const auto bad = std::find_if(text->begin(), text->end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (bad != text->end())
      return report(value.at(), fmt::format("'{}' may not hold control characters", field.name), "remove them");
    const Result<AbsPath> parsed = AbsPath::parse(*text);
    if (!parsed)
      return report(value.at(), fmt::format("'{}': {}", field.name, parsed.error().message), parsed.error().hint);
    choice(field, value, parsed->str());
  }

  void text_list(const Field& field, const Value& value) {
    const List* items = value.list();
    if (items == nullptr) {
      if (value.map() != nullptr) return wants(field, value, "a list of texts", "put '- ' before each");
      return text(field, value);
    }
    for (const Value& item : *items) text(field, item);
  }

  void mapping_list(const Field& field, const Value& value) {
    const List* items = value.list();
    if (items == nullptr)
      return wants(field, value, "a list", value.map() != nullptr ? "put '- ' before it, for a list of one" : "");
    if (field.of.empty()) return;
    for (const Value& item : *items) {
      if (item.is_null())
        report(item.at(), fmt::format("an element of '{}' is empty", field.name), "remove it, or give it its keys");
      else
        mapping(item, field.of);
    }
  }

  Diagnostics& diagnostics_;
  const std::size_t before_;
};

/// A fallback written with quotes, without them.
std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

Value read_fallback(std::string_view text, SourcePos at) {
  if (text == "[]") return Value(List{}, at);
  if (text == "{}") return Value(Map{}, at);
  const Source source{"fallback", std::string(text)};
  Diagnostics ignored;
  const std::optional<Value> value = read_yaml(source, {}, ignored);
  assert(value && "a field's fallback must be YAML");
  if (!value) return Value(Null{}, at);
  // Nothing of the value may point into `source`.
  const auto moved = [at](const auto& self, const Value& one) -> Value {
    if (const List* items = one.list()) {
      List copy;
      for (const Value& item : *items) copy.push_back(self(self, item));
      return Value(std::move(copy), at);
    }
    if (const Map* entries = one.map()) {
      Map copy;
      for (const Entry& entry : *entries) copy.push_back({entry.key, at, self(self, entry.value)});
      return Value(std::move(copy), at);
    }
    return Value(one.data(), at, one.quoted());
  };
  return moved(moved, *value);
}

}  // namespace

void check_keys(const Value& written, std::span<const Field> fields, Diagnostics& diagnostics) {
  Checker(diagnostics).keys(written, fields);
}

Params::Params(const Value& value, std::span<const Field> fields, Diagnostics& diagnostics)
    : value_(value), fields_(fields), diagnostics_(&diagnostics) {
  Checker checker(diagnostics);
  checker.mapping(value, fields);
  ok_ = checker.found_nothing();
}

const Field& Params::field(std::string_view key) const {
  for (const Field& one : fields_)
    if (one.name == key) return one;
  assert(!"a key that is not in the table");
  static const Field none;
  return none;
}

const Value* Params::find(std::string_view key) const {
  const Value* value = value_.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

bool Params::has(std::string_view key) const { return find(key) != nullptr; }

SourcePos Params::at(std::string_view key) const {
  const Value* value = value_.find(key);
  return value != nullptr ? value->at() : value_.at();
}

std::optional<std::string> Params::maybe_text(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::text || known.kind == Kind::multiline || known.kind == Kind::path);
  if (const Value* value = find(key)) {
    if (const std::string* words = value->string()) return *words;
    return value->text();
  }
  if (known.fallback.empty()) return std::nullopt;
  return std::string(unquoted(known.fallback));
}

std::string Params::text(std::string_view key) const { return maybe_text(key).value_or(std::string()); }

std::optional<std::int64_t> Params::maybe_integer(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::integer);
  if (const Value* value = find(key)) {
    const std::int64_t* number = value->integer();
    return number != nullptr ? *number : 0;
  }
  std::int64_t number = 0;
  if (known.fallback.empty() || !parse_number(known.fallback, number)) return std::nullopt;
  return number;
}

std::int64_t Params::integer(std::string_view key) const { return maybe_integer(key).value_or(0); }

bool Params::boolean(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::boolean);
  if (const Value* value = find(key)) {
    const bool* flag = value->boolean();
    return flag != nullptr && *flag;
  }
  return known.fallback == "true";
}

Bytes Params::size(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::size);
  const Value* value = find(key);
  const Result<Bytes> bytes = Bytes::parse(value != nullptr ? value->text() : std::string(unquoted(known.fallback)));
  return bytes ? *bytes : Bytes{};
}

std::optional<Mode> Params::maybe_mode(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::mode);
  const Value* value = find(key);
  if (value == nullptr && known.fallback.empty()) return std::nullopt;
  const Result<Mode> bits = Mode::parse(value != nullptr ? value->text() : std::string(unquoted(known.fallback)));
  return bits ? *bits : Mode{};
}

Mode Params::mode(std::string_view key) const { return maybe_mode(key).value_or(Mode{}); }

AbsPath Params::path(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::path);
  const Value* value = find(key);
  const Result<AbsPath> parsed =
      AbsPath::parse(value != nullptr ? value->text() : std::string(unquoted(known.fallback)));
  return parsed ? *parsed : AbsPath();
}

std::vector<std::string> Params::texts(std::string_view key) const {
  assert(field(key).kind == Kind::text_list);
  const Value* value = raw(key);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  const List* items = value->list();
  if (items == nullptr) return {value->text()};
  out.reserve(items->size());
  for (const Value& item : *items) out.push_back(item.text());
  return out;
}

const Value* Params::raw(std::string_view key) const {
  const Field& known = field(key);
  if (const Value* value = find(key)) return value;
  if (known.fallback.empty()) return nullptr;
  if (!fallbacks_) fallbacks_ = std::make_shared<Fallbacks>();
  return fallbacks_->emplace_back(std::make_unique<const Value>(read_fallback(known.fallback, at()))).get();
}

std::vector<Params> Params::each(std::string_view key) const {
  const Field& known = field(key);
  assert(known.kind == Kind::mapping || known.kind == Kind::mapping_list);
  std::vector<Params> out;
  const Value* value = raw(key);
  if (value == nullptr) return out;
  const auto add = [&](const Value& one) {
    Params& added = out.emplace_back(Params(one, known.of, *diagnostics_, Checked{}));
    added.fallbacks_ = fallbacks_;  // keeps `one` alive if it is a fallback's
    added.ok_ = ok_;
  };
  if (const List* items = value->list()) {
    out.reserve(items->size());
    for (const Value& item : *items) add(item);
  } else if (value->map() != nullptr) {
    add(*value);
  }
  return out;
}

void Params::reject(std::string_view key, std::string message, std::string hint) const {
  reject(at(key), std::move(message), std::move(hint));
}

void Params::reject(SourcePos at, std::string message, std::string hint) const {
  ok_ = false;
  diagnostics_->push_back({at, std::move(message), std::move(hint)});
}

Params Params::within(const Value& value, std::span<const Field> fields) const {
  Params out(value, fields, *diagnostics_);
  ok_ = ok_ && out.ok();
  return out;
}

}  // namespace converge::spec
