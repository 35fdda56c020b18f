#include "checks/gossfile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "checks/glob.h"
#include "checks/template_functions.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Entry;
using spec::Map;
using spec::Value;

namespace {

constexpr int deepest = 50;
constexpr spec::YamlRules gossfile_rules{true, std::size_t{16} << 20U, 2'000'000, 64};

// ---- YAML 1.1's leftovers, which Goss's reader takes ---------------------------------------------------------------

/// "0644", "0x1F", "0o17", "0b1", "+5", "1_000" as Go's yaml.v3 reads them.
std::optional<std::int64_t> odd_integer(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  bool negative = false;
  std::size_t at = 0;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) negative = digits[at++] == '-';
  int base = 10;
  const std::string_view rest = std::string_view(digits).substr(at);
  if (rest.starts_with("0x"))
    base = 16, at += 2;
  else if (rest.starts_with("0o"))
    base = 8, at += 2;
  else if (rest.starts_with("0b"))
    base = 2, at += 2;
  else if (rest.size() > 1 && rest[0] == '0')
    base = 8, at += 1;
  if (at >= digits.size() || text.front() == '_') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data() + at, digits.data() + digits.size(), value, base);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> odd_float(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.eE+-_") != std::string_view::npos ||
      text.find_first_of("0123456789") == std::string_view::npos)
    return std::nullopt;
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  const char* first = digits.data() + (digits[0] == '+' ? 1 : 0);
  double value = 0;
  const auto [end, failure] = std::from_chars(first, digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// Gives plain scalars the types that yaml.v3 gives them; but the mode of a file (an attribute: `depth` 2) stays what
/// was written, which yaml.v3 makes 420 of.
void retype(Value& value, int depth = 0) {
  if (auto* list = std::get_if<spec::List>(&value.data())) {
    for (Value& each : *list) retype(each, depth + 1);
  } else if (auto* map = std::get_if<Map>(&value.data())) {
    for (Entry& entry : *map)
      if (depth != 2 || entry.key != "mode" || entry.value.string() == nullptr) retype(entry.value, depth + 1);
  } else if (const auto* text = value.string(); text != nullptr && !value.quoted()) {
    const std::string written = *text;
    if (written == "True" || written == "TRUE")
      value.data() = true;
    else if (written == "False" || written == "FALSE")
      value.data() = false;
    else if (written == "Null" || written == "NULL")
      value.data() = spec::Null{};
    else if (const auto whole = odd_integer(written))
      value.data() = *whole;
    else if (const auto real = odd_float(written))
      value.data() = *real;
  }
}

/// yes, no, on, off as YAML 1.1 had them; nullopt for anything else.
std::optional<bool> old_boolean(const Value& value) {
  if (value.string() == nullptr || value.quoted()) return std::nullopt;
  const std::string word = lower(*value.string());
  if (word == "yes" || word == "on" || word == "y") return true;
  if (word == "no" || word == "off" || word == "n") return false;
  return std::nullopt;
}

/// A word, or a list of them.
std::vector<std::string> words_of(const Value& value) {
  if (value.list() == nullptr) return {value.text()};
  std::vector<std::string> out;
  for (const Value& each : *value.list()) out.push_back(each.text());
  return out;
}

const Map& entries_of(const Value& value) {
  static const Map none;
  return value.map() == nullptr ? none : *value.map();
}

/// Sizes with a unit as the bytes they are, wherever a value of its own stands in what is expected. `wrong` is told of
/// what is no size.
void count_bytes(Value& value, const std::function<void(const Value&, const Error&)>& wrong) {
  static constexpr std::array<std::string_view, 12> of_values = {
      "equal",      "gt",      "ge", "lt", "le", "not", "and", "or", "contain-element", "contain-elements",
      "consist-of", "have-key"};
  if (auto* list = std::get_if<spec::List>(&value.data())) {
    for (Value& each : *list) count_bytes(each, wrong);
  } else if (auto* map = std::get_if<Map>(&value.data())) {
    for (Entry& entry : *map)
      if (std::find(of_values.begin(), of_values.end(), entry.key) != of_values.end()) count_bytes(entry.value, wrong);
  } else if (value.integer() == nullptr && !value.is_null()) {
    const std::string text = value.text();
    const auto bytes = Bytes::parse(text);
    if (!bytes)
      wrong(value, bytes.error());
    else if (text.find_first_not_of(" 0123456789") != std::string::npos && bytes->count <= INT64_MAX)
      value.data() = static_cast<std::int64_t>(bytes->count);
  }
}

std::optional<std::chrono::milliseconds> duration_of(const Value& value) {
  if (value.integer() != nullptr) return std::chrono::milliseconds(*value.integer());
  return value.string() == nullptr ? std::nullopt : parse_duration(*value.string());
}

// ---- places ---------------------------------------------------------------------------------------------------------

/// Which line of a file each line of what its template made comes from. The template's engine does not say, so lines
/// are recognized: by being the same, or by what stands around their {{ }}.
class LineMap {
 public:
  LineMap(const Source& written, const Source& made) : written_(&written), made_(&made) {
    const auto from = split(written.text, '\n'), to = split(made.text, '\n');
    std::map<std::string_view, std::vector<std::size_t>> same;
    std::vector<std::size_t> templated;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (from[i].find("{{") == std::string_view::npos)
        same[from[i]].push_back(i);
      else
        templated.push_back(i);
    }
    std::size_t last = 0;
    for (const auto line : to) {
      const auto nearest_of = [&](const std::vector<std::size_t>& places) {
        const auto after = std::lower_bound(places.begin(), places.end(), last);
        return after == places.end() ? places.back() : *after;
      };
      std::size_t at = last;
      if (const auto it = same.find(line); it != same.end()) {
        at = nearest_of(it->second);
      } else {
        std::vector<std::size_t> likely;
        for (const std::size_t i : templated) {
          const auto before = from[i].substr(0, from[i].find("{{"));
          const auto end = from[i].rfind("}}");
          const auto after = end == std::string_view::npos ? std::string_view() : from[i].substr(end + 2);
          const bool says_something = !trim(before).empty() || !trim(after).empty();
          if (says_something && line.size() >= before.size() + after.size() && line.starts_with(before) &&
              line.ends_with(after))
            likely.push_back(i);
        }
        if (!likely.empty()) at = nearest_of(likely);
      }
      lines_.push_back(at);
      last = at;
    }
  }

  SourcePos place(SourcePos at) const {
    if (at.source != made_ || at.line < 1 || static_cast<std::size_t>(at.line) > lines_.size()) return at;
    const std::size_t line = lines_[static_cast<std::size_t>(at.line) - 1];
    return {written_, static_cast<int>(line) + 1, at.column};
  }

 private:
  const Source *written_, *made_;
  std::vector<std::size_t> lines_;
};

// ---- paths ----------------------------------------------------------------------------------------------------------

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : slash == 0 ? "/" : path.substr(0, slash);
}

std::string beside(const std::string& directory, const std::string& path) {
  if (path.starts_with('/') || directory.empty()) return path;
  return directory.ends_with('/') ? directory + path : directory + "/" + path;
}

// ---- reading --------------------------------------------------------------------------------------------------------

struct Resource {
  const CheckType* type;
  Entry* entry;  // of the file it is in
  const std::string& key() const { return entry->key; }
  const Value& value() const { return entry->value; }
  SourcePos at() const { return entry->key_at; }
};

class Reader {
 public:
  Reader(const GossfileInput* input, Sources* sources, Diagnostics& diagnostics)
      : input_(input), sources_(sources), diagnostics_(diagnostics) {}

  void load(const std::string& path, int depth, SourcePos from);
  void take(Value file, const std::string& directory, int depth);
  /// What was read is used up.
  std::deque<Assertion> assertions(const std::shared_ptr<Context>& context);
  /// What was read, as one mapping. The reader is empty after it.
  Value mapping();
  bool failed() const { return failed_; }

 private:
  void error(SourcePos at, std::string message, std::string hint = {}) {
    failed_ = true;
    diagnostics_.push_back({placed(at), std::move(message), std::move(hint), Severity::error});
  }
  void warn(SourcePos at, std::string message, std::string hint = {}) {
    diagnostics_.push_back({placed(at), std::move(message), std::move(hint), Severity::warning});
  }
  /// Gives `value` and all in it their places in the files as they were written.
  void place(Value& value) const {
    if (auto* list = std::get_if<spec::List>(&value.data())) {
      for (Value& each : *list) place(each);
    } else if (auto* map = std::get_if<Map>(&value.data())) {
      for (Entry& entry : *map) {
        entry.key_at = placed(entry.key_at);
        place(entry.value);
      }
    }
    value = Value(std::move(value.data()), placed(value.at()), value.quoted());
  }
  SourcePos placed(SourcePos at) const {
    for (const auto& map : maps_)
      if (const SourcePos real = map.place(at); real.source != at.source) return real;
    return at;
  }
  void includes(const Value& section, const std::string& directory, int depth);
  std::vector<std::string> expand(const std::string& pattern) const;
  std::optional<Assertion> assertion(const Resource& resource, const std::shared_ptr<Context>& context);
  void common(const std::string& name, const Value& value, Assertion& out, Notes& notes);
  std::shared_ptr<const std::vector<std::string>> shared(std::vector<std::string> wanted);
  std::optional<Value> option(const Attribute& attribute, const Value& value);
  Matcher matcher(const Attribute& attribute, const Value& written, bool as_reader);
  void order(std::deque<Assertion>& assertions);

  const GossfileInput* input_;
  Sources* sources_;
  Diagnostics& diagnostics_;
  std::deque<Value> files_;
  std::vector<Resource> resources_;
  std::map<std::pair<const CheckType*, std::string_view>, std::size_t> index_;  // into resources_; of several files
  std::map<std::pair<char, std::string>, Matcher> matchers_;                    // of scalars, which files repeat
  std::map<std::vector<std::string>, std::shared_ptr<const std::vector<std::string>>> wanted_;
  std::vector<LineMap> maps_;
  std::string format_;  // the extension of the first file; all of a run have one format
  bool failed_ = false;
};

void Reader::load(const std::string& path, int depth, SourcePos from) {
  if (depth > deepest) return error(from, "gossfiles include each other more than 50 deep", "there may be a circle");
  const auto dot = path.rfind('.');
  const std::string extension =
      dot == std::string::npos || path.find('/', dot) != std::string::npos ? "" : path.substr(dot);
  const bool json = extension == ".json";
  if (!json && extension != ".yaml" && extension != ".yml" && path != "-")
    return error(from, fmt::format("'{}' has an unknown file extension '{}'", printable(path), printable(extension)),
                 "a gossfile ends in .yaml, .yml or .json");
  auto text = input_->read(path);
  if (!text) return error(from, text.error().text(), text.error().hint);
  const Source* source = sources_->add(path, *std::move(text));
  if (spec::has_template(source->text)) {
    Diagnostics said;
    auto made = spec::render_template(*source, scope_of(*input_), said);
    if (!made) failed_ = true;
    diagnostics_.insert(diagnostics_.end(), said.begin(), said.end());
    if (!made) return;
    const Source* rendered = sources_->add(path, *std::move(made));
    maps_.emplace_back(*source, *rendered);
    source = rendered;
  }
  Diagnostics said;
  // An empty text (a template that left everything out) asserts nothing.
  const auto lines = split_lines(source->text);
  const bool nothing = std::all_of(lines.begin(), lines.end(), [](std::string_view line) {
    return trim(line).empty() || trim(line).front() == '#' || trim(line) == "---";
  });
  if (nothing) return;
  auto value = spec::read_yaml(*source, gossfile_rules, said);
  for (auto& each : said) {
    each.at = placed(each.at);
    failed_ = failed_ || each.severity == Severity::error;
    diagnostics_.push_back(std::move(each));
  }
  if (!value) {
    failed_ = true;
    return;
  }
  if (!json) retype(*value);
  if (!maps_.empty()) place(*value);
  take(*std::move(value), directory_of(path), depth);
}

void Reader::take(Value taken, const std::string& directory, int depth) {
  Value& file = files_.emplace_back(std::move(taken));
  if (file.is_null()) return;
  if (file.map() == nullptr)
    return error(file.at(), fmt::format("a gossfile is a mapping, not {}", with_article(file.kind())));
  const Value* inner = nullptr;
  const bool alone = resources_.empty();  // the keys of one file are unique
  for (std::size_t i = 0; !alone && index_.empty() && i < resources_.size(); ++i)
    index_.try_emplace({resources_[i].type, resources_[i].key()}, i);
  for (Entry& section : std::get<Map>(file.data())) {
    if (section.key == "gossfile") {
      inner = &section.value;
      continue;
    }
    const CheckType* type = find_check_type(section.key);
    if (type == nullptr) {
      std::vector<std::string> known{"gossfile"};
      for (const auto& row : check_types()) known.emplace_back(row.name);
      // Anchors are kept under keys of one's own; those begin with "x-" or a dot.
      if (section.key.starts_with("x-") || section.key.starts_with('.')) continue;
      error(section.key_at, fmt::format("unknown check type '{}'", printable(section.key)),
            did_you_mean(section.key, known));
      continue;
    }
    if (section.value.is_null()) continue;
    if (section.value.map() == nullptr) {
      error(section.value.at(), fmt::format("'{}' is a mapping of what is checked, not {}", type->name,
                                            with_article(section.value.kind())));
      continue;
    }
    for (Entry& each : std::get<Map>(section.value.data())) {
      if (!alone) {
        const auto [known, is_new] = index_.try_emplace({type, each.key}, resources_.size());
        if (!is_new) {
          Resource& earlier = resources_[known->second];
          warn(each.key_at, fmt::format("'{}: {}' replaces the one at {}", type->name, printable(each.key),
                                        placed(earlier.at()).text()));
          earlier.entry = &each;
          continue;
        }
      }
      resources_.push_back({type, &each});
    }
  }
  if (inner != nullptr) includes(*inner, directory, depth);
}

void Reader::includes(const Value& section, const std::string& directory, int depth) {
  if (section.is_null()) return;
  if (section.map() == nullptr) return error(section.at(), "'gossfile' is a mapping of files");
  if (input_ == nullptr) return error(section.at(), "a gossfile cannot be included here", "name it with -g");
  Map sorted = *section.map();
  std::sort(sorted.begin(), sorted.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  for (const Entry& entry : sorted) {
    const Value* skip = entry.value.find("skip");
    if (skip != nullptr && (skip->boolean() != nullptr ? *skip->boolean() : old_boolean(*skip).value_or(false)))
      continue;
    if (entry.value.map() != nullptr) {
      static const std::vector<std::string> known{"file", "skip", "title", "meta"};
      for (const Entry& attribute : *entry.value.map())
        if (std::find(known.begin(), known.end(), attribute.key) == known.end())
          error(attribute.key_at, fmt::format("invalid attribute '{}' for a gossfile", printable(attribute.key)),
                did_you_mean(attribute.key, known));
    }
    const Value* file = entry.value.find("file");
    const std::string pattern =
        beside(directory, file != nullptr && file->string() != nullptr ? *file->string() : entry.key);
    const auto found = expand(pattern);
    if (found.empty()) error(entry.key_at, fmt::format("no file matches '{}'", printable(pattern)));
    for (const auto& path : found) load(path, depth + 1, entry.key_at);
  }
}

std::vector<std::string> Reader::expand(const std::string& pattern) const {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  std::vector<std::string> out{pattern.starts_with('/') ? "/" : ""};
  for (const auto part : split(pattern, '/')) {
    if (part.empty()) continue;
    std::vector<std::string> next;
    for (const auto& base : out) {
      if (part.find_first_of("*?[") == std::string_view::npos) {
        next.push_back(beside(base, std::string(part)));
        continue;
      }
      const auto names = input_->list(base);
      if (!names) continue;
      for (const auto& name : *names)
        if (matches_glob(name, part)) next.push_back(beside(base, name));
    }
    out = std::move(next);
  }
  // Parts after a wildcard were not looked up: only what can be read is there.
  if (split(pattern, '/').back().find_first_of("*?[") == std::string_view::npos)
    std::erase_if(out, [&](const std::string& path) { return !input_->read(path); });
  std::sort(out.begin(), out.end());
  return out;
}

void Reader::common(const std::string& name, const Value& value, Assertion& out, Notes& notes) {
  const auto wrong = [&](std::string_view what) {
    error(value.at(), fmt::format("'{}' is {}, not {}", name, what, with_article(value.kind())));
  };
  if (name == "title") {
    notes.title = value.text();
  } else if (name == "meta") {
    notes.meta = value;
  } else if (name == "severity") {
    notes.severity = value.text();
  } else if (name == "skip") {
    const auto old = old_boolean(value);
    if (value.boolean() == nullptr && !old) return wrong("true or false");
    out.skip = value.boolean() != nullptr ? *value.boolean() : *old;
  } else if (name == "retry_count") {
    if (value.integer() == nullptr || *value.integer() < 0 || *value.integer() > INT32_MAX) return wrong("a count");
    out.retries = static_cast<int>(*value.integer());
  } else if (name == "retry_delay") {
    const auto delay = duration_of(value);
    if (!delay || delay->count() < 0) return wrong("milliseconds or a duration such as 2s");
    out.retry_delay = *delay;
  } else if (name == "tags" || name == "needs") {
    if (value.string() == nullptr && value.list() == nullptr) return wrong("a list of words");
    auto& words = name == "tags" ? notes.tags : out.needs;
    for (auto& word : words_of(value)) words.push_back(std::move(word));
  }
}

/// The value of an option, of the kind its table says; nullopt after an error.
std::optional<Value> Reader::option(const Attribute& attribute, const Value& value) {
  const auto wrong = [&](std::string_view what) {
    error(value.at(), fmt::format("'{}' is {}, not {}", attribute.name, what, with_article(value.kind())));
    return std::nullopt;
  };
  switch (attribute.kind) {
    case Kind::boolean:
      if (const auto old = old_boolean(value)) return Value(*old, value.at());
      if (value.boolean() == nullptr) return wrong("true or false");
      return value;
    case Kind::integer:
      if (value.integer() == nullptr) return wrong("an integer");
      return value;
    case Kind::duration: {
      const auto time = duration_of(value);
      if (!time || time->count() < 0) return wrong("milliseconds or a duration such as 2s");
      return Value(static_cast<std::int64_t>(time->count()), value.at());
    }
    case Kind::text_list:
      if (value.string() == nullptr && value.list() == nullptr) return wrong("a list of strings");
      return value;
    case Kind::text:
      if (value.list() != nullptr || value.map() != nullptr) return wrong("a string");
      return Value(value.text(), value.at());
    case Kind::size:
      if (const auto bytes = Bytes::parse(value.text()))
        return Value(static_cast<std::int64_t>(bytes->count), value.at());
      return wrong("a size, such as 4GiB");
    case Kind::list:
    case Kind::stream:
    case Kind::any:
    case Kind::named:
      break;
  }
  return value;
}

/// What is expected of an attribute; what looks wrong is a warning. Scalars stand for themselves, so equal ones share
/// their matcher, but for those there is something to say of.
Matcher Reader::matcher(const Attribute& attribute, const Value& written, bool as_reader) {
  const bool of_text = as_reader || attribute.kind == Kind::stream;
  const bool of_bytes = attribute.kind == Kind::size || attribute.kind == Kind::named;
  const std::string* word = written.quoted() ? nullptr : written.string();
  const bool scalar = written.list() == nullptr && written.map() == nullptr && !written.is_null();
  const bool shareable =
      scalar && !of_bytes && (word == nullptr || (attribute.name != "mode" && !old_boolean(written)));
  std::pair<char, std::string> key;
  if (shareable) {
    key = {static_cast<char>((of_text ? 16 : 0) + static_cast<int>(written.data().index())), written.text()};
    if (const auto known = matchers_.find(key); known != matchers_.end()) return known->second;
  }
  Value value = written;
  if (attribute.kind == Kind::boolean)
    if (const auto old = old_boolean(value)) {
      warn(value.at(), fmt::format("'{}' is read as {}", value.text(), *old ? "true" : "false"), "write true or false");
      value = Value(*old, value.at());
    }
  if (attribute.name == "mode" && word != nullptr && word->starts_with('0')) {
    warn(value.at(), fmt::format("the mode is not quoted, and is read as \"{}\"", printable(*word)),
         "write it in quotes");
    value = Value(*word, value.at(), true);
  }
  if (of_bytes)
    count_bytes(value, [&](const Value& text, const Error& why) {
      if (attribute.kind == Kind::size && text.text() != attribute.word)
        warn(text.at(), why.message + ": this check will fail", why.hint);
    });
  Diagnostics said;
  Matcher out = of_text ? Matcher::parse_for_text(value, said) : Matcher::parse(value, said);
  if (out.is_empty()) warn(value.at(), fmt::format("an empty list asserts nothing of '{}'", attribute.name));
  if (shareable && said.empty() && matchers_.size() < 1000) matchers_.emplace(std::move(key), out);
  for (auto& each : said) warn(each.at, std::move(each.message), std::move(each.hint));
  return out;
}

std::shared_ptr<const std::vector<std::string>> Reader::shared(std::vector<std::string> wanted) {
  auto& kept = wanted_[wanted];
  if (kept == nullptr) kept = std::make_shared<const std::vector<std::string>>(std::move(wanted));
  return kept;
}

std::optional<Assertion> Reader::assertion(const Resource& resource, const std::shared_ptr<Context>& context) {
  const CheckType& type = *resource.type;
  const std::string& key = resource.key();
  const SourcePos at = resource.at();
  if (resource.value().map() == nullptr) {
    error(at, fmt::format("'{}: {}' says nothing", type.name, printable(key)), "write its attributes, or {}");
    return std::nullopt;
  }
  Asked::Options options;
  std::vector<const Entry*> expected(type.attributes.size());
  Assertion out;
  out.type = &type;
  Notes notes;
  bool good = true;
  for (const Entry& entry : *resource.value().map()) {
    const auto is_called = [&](const Attribute& a) {
      return a.name == entry.key || (!a.old.empty() && a.old == entry.key);
    };
    const auto own = std::find_if(type.attributes.begin(), type.attributes.end(), is_called);
    if (own == type.attributes.end()) {
      const auto shared = common_attributes();
      if (std::find_if(shared.begin(), shared.end(), is_called) != shared.end()) {
        common(entry.key, entry.value, out, notes);
        continue;
      }
      std::vector<std::string> known;
      for (const auto attributes : {type.attributes, shared})
        for (const Attribute& each : attributes) known.emplace_back(each.name);
      error(entry.key_at,
            fmt::format("invalid attribute '{}' for '{}: {}'", printable(entry.key), type.name, printable(key)),
            did_you_mean(entry.key, known));
      good = false;
      continue;
    }
    if (entry.key == own->old && own->old != "resolveable")
      warn(entry.key_at, fmt::format("'{}' is now called '{}'", own->old, own->name));
    if (entry.value.is_null()) continue;
    if (own->matchable) {
      expected[static_cast<std::size_t>(own - type.attributes.begin())] = &entry;
      continue;
    }
    auto value = option(*own, entry.value);
    if (!value)
      good = false;
    else
      options.emplace_back(&*own, *std::move(value));
  }
  if (!good) return std::nullopt;

  const bool as_reader = std::any_of(options.begin(), options.end(), [](const auto& o) {
    return o.first->name == "as-reader" && o.second.boolean() != nullptr && *o.second.boolean();
  });
  std::vector<std::string> wanted;
  out.expectations.reserve(
      static_cast<std::size_t>(std::count_if(expected.begin(), expected.end(), [](const auto* e) { return e; })));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Attribute& attribute = type.attributes[i];
    if (!attribute.matchable) continue;
    const std::string_view property = attribute.shown.empty() ? attribute.name : attribute.shown;
    if (expected[i] == nullptr) {
      if (!attribute.required) continue;
      Diagnostics ignored;
      warn(at, fmt::format("'{}' is missing: this check will fail", attribute.name));
      wanted.emplace_back(attribute.name);
      out.expectations.push_back({{}, property, Matcher::parse(Value(spec::Null{}, at), ignored), placed(at)});
      continue;
    }
    const Entry& entry = *expected[i];
    if (attribute.kind == Kind::named) {
      if (entry.value.map() == nullptr) {
        error(entry.value.at(), fmt::format("'{}' is a mapping from names to what is expected, not {}", attribute.name,
                                            with_article(entry.value.kind())));
        return std::nullopt;
      }
      for (const Entry& one : *entry.value.map()) {
        wanted.push_back(fmt::format("{}.{}", attribute.name, one.key));
        out.expectations.push_back({{}, {}, matcher(attribute, one.value, false), placed(one.key_at)});
      }
      continue;
    }
    wanted.emplace_back(attribute.name);
    out.expectations.push_back({{},
                                property,
                                matcher(attribute, entry.value, attribute.kind == Kind::any && as_reader),
                                placed(entry.key_at)});
  }
  const auto names = shared(std::move(wanted));
  for (std::size_t i = 0; i < names->size(); ++i) {
    Expectation& each = out.expectations[i];
    each.attribute = (*names)[i];
    if (each.property.empty()) each.property = each.attribute.substr(each.attribute.find('.') + 1);
  }
  out.asked = Asked(std::move(resource.entry->key), type.key, std::move(options), type.attributes, names);
  if (!notes.title.empty() || !notes.severity.empty() || !notes.meta.is_null() || !notes.tags.empty())
    out.notes = std::make_shared<const Notes>(std::move(notes));
  if (type.accept != nullptr)
    if (const Status fine = type.accept(out.asked); !fine) {
      error(at, fmt::format("'{}: {}': {}", type.name, printable(out.asked.id()), fine.error().message),
            fine.error().hint);
      return std::nullopt;
    }
  out.at = placed(at);
  out.context = context;
  if (type.announce != nullptr && !out.skip && out.needs.empty()) type.announce(out.asked, *context);
  return out;
}

std::deque<Assertion> Reader::assertions(const std::shared_ptr<Context>& context) {
  std::deque<Assertion> out;
  for (const CheckType& type : check_types())
    for (const Resource& resource : resources_) {
      if (resource.type != &type) continue;
      if (auto made = assertion(resource, context)) out.push_back(*std::move(made));
      resource.entry->value = Value();  // what comes next finds its memory here
    }
  order(out);
  if (failed_) out.clear();
  return out;
}

/// Turns what checks need into ids, and puts each check after what it needs; others keep their order.
void Reader::order(std::deque<Assertion>& assertions) {
  if (std::all_of(assertions.begin(), assertions.end(), [](const Assertion& each) { return each.needs.empty(); }))
    return;
  std::map<std::string, std::vector<std::size_t>> called;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < assertions.size(); ++i)
    for (const std::string& name :
         {id(assertions[i]), assertions[i].notes == nullptr ? std::string() : assertions[i].notes->title})
      if (!name.empty()) {
        called[name].push_back(i);
        names.push_back(name);
      }
  std::vector<std::vector<std::size_t>> before(assertions.size());
  for (std::size_t i = 0; i < assertions.size(); ++i) {
    std::vector<ResourceId> ids;
    for (const std::string& need : assertions[i].needs) {
      const auto found = called.find(need);
      if (found == called.end()) {
        if (!failed_)  // what is missing may be what could not be read
          error(assertions[i].at,
                fmt::format("'{}' needs '{}', and there is no such check", id(assertions[i]), printable(need)),
                did_you_mean(need, names));
        continue;
      }
      for (const std::size_t other : found->second) {
        before[i].push_back(other);
        ids.push_back(id(assertions[other]));
      }
    }
    assertions[i].needs = std::move(ids);
  }
  std::vector<std::size_t> sorted;
  std::vector<bool> placed_already(assertions.size());
  for (bool moved = true; moved && sorted.size() < assertions.size();) {
    moved = false;
    for (std::size_t i = 0; i < assertions.size(); ++i) {
      if (placed_already[i] ||
          !std::all_of(before[i].begin(), before[i].end(), [&](std::size_t other) { return placed_already[other]; }))
        continue;
      placed_already[i] = moved = true;
      sorted.push_back(i);
    }
  }
  if (sorted.size() < assertions.size()) {
    const auto stuck = std::find(placed_already.begin(), placed_already.end(), false) - placed_already.begin();
    const Assertion& one = assertions[static_cast<std::size_t>(stuck)];
    return error(one.at, fmt::format("'{}' needs, in the end, itself", id(one)),
                 "take one `needs:` of the circle away");
  }
  std::deque<Assertion> out;
  for (const std::size_t i : sorted) out.push_back(std::move(assertions[i]));
  assertions = std::move(out);
}

Value Reader::mapping() {
  // The sections of a file that stands for itself are handed on as they are.
  const bool alone = files_.size() == 1 && files_.front().map() != nullptr;
  Map out;
  for (const CheckType& type : check_types()) {
    Map section;
    if (alone) {
      for (Entry& entry : std::get<Map>(files_.front().data()))
        if (entry.key == type.name && entry.value.map() != nullptr)
          section = std::move(std::get<Map>(entry.value.data()));
    } else {
      for (const Resource& each : resources_)
        if (each.type == &type) section.push_back(*each.entry);
    }
    if (section.empty()) continue;
    const SourcePos at = section.front().key_at;
    out.push_back({std::string(type.name), at, Value(std::move(section), at)});
  }
  resources_.clear();
  return Value(std::move(out));
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double total = 0;
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || number < 0 || number > 1e9) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.substr(0, text.find_first_of("0123456789."));
    const double factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : unit == "h" ? 3'600'000 : 0;
    if (factor == 0) return std::nullopt;
    total += number * factor;
    text.remove_prefix(unit.size());
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

std::optional<Value> checks_of(const std::string& path, const GossfileInput& input, Sources& sources,
                               Diagnostics& diagnostics) {
  Reader reader(&input, &sources, diagnostics);
  reader.load(path, 1, {});
  if (reader.failed()) {
    (void)reader.assertions(std::make_shared<Context>());  // mistakes in what could be read are told as well
    return std::nullopt;
  }
  Value out = reader.mapping();
  if (!out.map()->empty()) return out;
  diagnostics.push_back({{}, fmt::format("there are no checks in '{}'", printable(path)), "", Severity::error});
  return std::nullopt;
}

Value select_checks(
    const Value& mapping,
    const std::function<bool(const std::string& title, const std::vector<std::string>& tags)>& selected) {
  if (mapping.map() == nullptr) return mapping;
  const auto words_at = [](const Value& check, std::string_view key) {
    const Value* value = check.find(key);
    return value == nullptr || value->is_null() ? std::vector<std::string>() : words_of(*value);
  };
  const auto title_of = [](const Value& check) {
    const Value* title = check.find("title");
    return title == nullptr ? std::string() : title->text();
  };
  std::set<const Entry*> kept;
  std::set<std::string> needed;
  const auto keep = [&](const Entry& check) {
    if (!kept.insert(&check).second) return false;
    for (auto& need : words_at(check.value, "needs")) needed.insert(std::move(need));
    return true;
  };
  for (const Entry& section : *mapping.map())
    for (const Entry& check : entries_of(section.value))
      if (selected(title_of(check.value), words_at(check.value, "tags"))) (void)keep(check);
  for (bool more = true; more;) {
    more = false;
    for (const Entry& section : *mapping.map())
      for (const Entry& check : entries_of(section.value))
        if (needed.contains(section.key + ":" + check.key) || needed.contains(title_of(check.value)))
          more = keep(check) || more;
  }
  Map out;
  for (const Entry& section : *mapping.map()) {
    if (section.value.map() == nullptr) {
      out.push_back(section);  // a mistake, which is told when it is read
      continue;
    }
    Map checks;
    for (const Entry& check : *section.value.map())
      if (kept.contains(&check)) checks.push_back(check);
    if (!checks.empty()) out.push_back({section.key, section.key_at, Value(std::move(checks), section.value.at())});
  }
  return Value(std::move(out), mapping.at());
}

std::deque<Assertion> assertions_of(const std::string& path, const GossfileInput& input, Sources& sources,
                                    Diagnostics& diagnostics) {
  const auto checks = checks_of(path, input, sources, diagnostics);
  if (!checks) return {};
  return assertions_of(*checks, std::make_shared<Context>(input.commands, input.package_manager), diagnostics);
}

std::deque<Assertion> assertions_of(Value mapping, std::shared_ptr<Context> context, Diagnostics& diagnostics) {
  Reader reader(nullptr, nullptr, diagnostics);
  reader.take(std::move(mapping), {}, 1);
  return reader.assertions(context);
}

}  // namespace converge::checks
