// Functions of templates: texts, paths and printing.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "core/digest.h"
#include "core/text.h"
#include "spec/functions_internal.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

/// A function of one text.
template <std::string (*change)(std::string_view)>
Outcome on_text(Arguments args, Budget&) {
  Result<std::string> text = text_of(*args[0]);
  if (!text) return text.error();
  return text_value(change(*text));
}
/// A function of two texts, the second being the subject.
template <std::string (*change)(std::string_view, std::string_view)>
Outcome on_texts(Arguments args, Budget&) {
  Result<std::string> first = text_of(*args[0]), second = text_of(*args[1]);
  if (!first) return first.error();
  if (!second) return second.error();
  return text_value(change(*first, *second));
}
template <bool (*test)(std::string_view, std::string_view)>
Outcome on_texts_truth(Arguments args, Budget&) {
  Result<std::string> first = text_of(*args[0]), second = text_of(*args[1]);
  if (!first) return first.error();
  if (!second) return second.error();
  return flag(test(*first, *second));
}

std::string uppercase(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}
std::string title(std::string_view text) {
  std::string out(text);
  bool start = true;
  for (char& c : out) {
    if (start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    start = c == ' ' || c == '\t' || c == '\n' || c == '-';
  }
  return out;
}
std::string trimmed(std::string_view text) { return std::string(trim(text)); }
std::string trim_all(std::string_view set, std::string_view text) {
  const std::size_t first = text.find_first_not_of(set);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(set) - first + 1));
}
std::string trim_prefix(std::string_view prefix, std::string_view text) {
  return std::string(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}
std::string trim_suffix(std::string_view suffix, std::string_view text) {
  return std::string(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}
std::string without_blanks(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') out += c;
  return out;
}
bool contains(std::string_view part, std::string_view text) { return text.find(part) != std::string_view::npos; }
bool has_prefix(std::string_view part, std::string_view text) { return text.starts_with(part); }
bool has_suffix(std::string_view part, std::string_view text) { return text.ends_with(part); }
std::string in_double_quotes(std::string_view text) { return write_json(Value(std::string(text))); }
std::string to_base64(std::string_view text) { return base64(text); }

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return ".";
  return path == "/" ? "/" : std::string(path.substr(path.rfind('/') + 1));
}
std::string directory_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  path = path.substr(0, slash);
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? "/" : std::string(path);
}
std::string extension(std::string_view path) {
  const std::string name(path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1));
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(dot);
}

Outcome replace(Arguments args, Budget& budget) {
  Result<std::string> from = text_of(*args[0]), to = text_of(*args[1]), text = text_of(*args[2]);
  if (!from) return from.error();
  if (!to) return to.error();
  if (!text) return text.error();
  if (from->empty()) return invalid("the text to replace is empty");
  std::string out;
  for (std::size_t i = 0;;) {
    const std::size_t found = text->find(*from, i);
    const std::size_t end = found == std::string::npos ? text->size() : found;
    if (!budget.take_bytes(end - i + to->size())) return too_much();
    out.append(*text, i, end - i);
    if (found == std::string::npos) break;
    out += *to;
    i = found + from->size();
  }
  return text_value(std::move(out));
}

std::vector<std::string_view> parts_of(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  if (separator.empty()) {
    for (std::size_t i = 0; i < text.size(); ++i) parts.push_back(text.substr(i, 1));
    return parts;
  }
  for (;;) {
    const std::size_t found = text.find(separator);
    parts.push_back(text.substr(0, found));
    if (found == std::string_view::npos) return parts;
    text.remove_prefix(found + separator.size());
  }
}

template <bool as_list>
Outcome split_text(Arguments args, Budget& budget) {
  Result<std::string> separator = text_of(*args[0]), text = text_of(*args[1]);
  if (!separator) return separator.error();
  if (!text) return text.error();
  const auto parts = parts_of(*text, *separator);
  if (!budget.take_steps(parts.size())) return too_much();
  List items;
  Map entries;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (as_list)
      items.push_back(text_value(std::string(parts[i])));
    else
      entries.push_back({fmt::format("_{}", i), {}, text_value(std::string(parts[i]))});
  }
  return as_list ? list_value(std::move(items)) : Value(std::move(entries));
}

Outcome join_list(Arguments args, Budget& budget) {
  Result<std::string> separator = text_of(*args[0]);
  Result<const List*> items = list_of(*args[1]);
  if (!separator) return separator.error();
  if (!items) return items.error();
  std::string out;
  for (const Value& item : **items) {
    const std::string text = item.text();
    if (!budget.take_bytes(text.size() + separator->size())) return too_much();
    if (&item != (*items)->data()) out += *separator;
    out += text;
  }
  return text_value(std::move(out));
}

template <bool with_quotes, char quote>
Outcome quoted_each(Arguments args, Budget&) {
  std::string out;
  for (const Value* arg : args) {
    if (!out.empty()) out += ' ';
    if (!with_quotes)
      out += arg->text();
    else if (quote == '"')
      out += in_double_quotes(arg->text());
    else
      out += '\'' + arg->text() + '\'';
  }
  return text_value(std::move(out));
}

Outcome to_string(Arguments args, Budget&) { return text_value(args[0]->text()); }

Outcome from_base64_text(Arguments args, Budget&) {
  Result<std::string> text = text_of(*args[0]);
  if (!text) return text.error();
  const std::optional<std::string> bytes = from_base64(*text);
  if (!bytes) return invalid("this is no base64");
  return text_value(*bytes);
}

Outcome repeat(Arguments args, Budget& budget) {
  Result<std::int64_t> count = integer_of(*args[0]);
  Result<std::string> text = text_of(*args[1]);
  if (!count) return count.error();
  if (!text) return text.error();
  if (*count <= 0 || text->empty()) return text_value("");
  std::size_t size = 0;
  if (__builtin_mul_overflow(text->size(), static_cast<std::size_t>(*count), &size) || !budget.take_bytes(size)) {
    budget.take_bytes(budget.bytes + 1);
    return too_much();
  }
  std::string out;
  for (std::int64_t i = 0; i < *count; ++i) out += *text;
  return text_value(std::move(out));
}

Outcome substring(Arguments args, Budget&) {
  Result<std::int64_t> start = integer_of(*args[0]), end = integer_of(*args[1]);
  Result<std::string> text = text_of(*args[2]);
  if (!start) return start.error();
  if (!end) return end.error();
  if (!text) return text.error();
  const auto size = static_cast<std::int64_t>(text->size());
  const std::int64_t from = std::clamp<std::int64_t>(*start, 0, size);
  const std::int64_t to = *end < 0 || *end > size ? size : *end;
  return text_value(from >= to ? ""
                               : text->substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)));
}

Outcome truncate(Arguments args, Budget&) {
  Result<std::int64_t> count = integer_of(*args[0]);
  Result<std::string> text = text_of(*args[1]);
  if (!count) return count.error();
  if (!text) return text.error();
  const auto size = static_cast<std::int64_t>(text->size());
  if (*count >= 0) return text_value(text->substr(0, static_cast<std::size_t>(std::min(*count, size))));
  return text_value(*count < -size ? *text : text->substr(static_cast<std::size_t>(size + *count)));
}

template <bool newline_first>
Outcome indent(Arguments args, Budget& budget) {
  Result<std::int64_t> count = integer_of(*args[0]);
  Result<std::string> text = text_of(*args[1]);
  if (!count) return count.error();
  if (!text) return text.error();
  if (*count < 0 || *count > 1000) return invalid("an indentation is between 0 and 1000");
  const std::string blanks(static_cast<std::size_t>(*count), ' ');
  std::string out = newline_first ? "\n" : "";
  const auto lines = parts_of(*text, "\n");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!budget.take_bytes(blanks.size() + lines[i].size() + 1)) return too_much();
    if (i > 0) out += '\n';
    out += blanks;
    out += lines[i];
  }
  return text_value(std::move(out));
}

Outcome to_json(Arguments args, Budget&) { return text_value(write_json(*args[0])); }
Outcome to_yaml(Arguments args, Budget&) {
  std::string text = write_yaml(*args[0]);
  if (text.ends_with('\n')) text.pop_back();
  return text_value(std::move(text));
}
Outcome kind_of(Arguments args, Budget&) {
  const Value& value = *args[0];
  if (value.boolean() != nullptr) return text_value("bool");
  if (value.integer() != nullptr) return text_value("int");
  if (value.number() != nullptr) return text_value("float64");
  if (value.list() != nullptr) return text_value("slice");
  if (value.map() != nullptr) return text_value("map");
  return text_value(value.is_null() ? "invalid" : "string");
}

struct Format {
  bool left = false, zero = false, plus = false;
  std::size_t width = 0;
  std::optional<int> precision;
};

Result<std::string> formatted(char verb, const Format& format, const Value& value) {
  std::string text;
  const auto wrong = [&] { return invalid(fmt::format("%{} cannot print {}", verb, shown(value))); };
  switch (verb) {
    case 'v':
    case 's':
      text = value.text();
      if (format.precision && text.size() > static_cast<std::size_t>(*format.precision))
        text.resize(static_cast<std::size_t>(*format.precision));
      break;
    case 'q':
      text = in_double_quotes(value.text());
      break;
    case 't':
      if (value.boolean() == nullptr) return wrong();
      text = value.text();
      break;
    case 'd':
    case 'o':
    case 'b':
      if (value.integer() == nullptr) return wrong();
      text = verb == 'd'   ? fmt::format("{}", *value.integer())
             : verb == 'o' ? fmt::format("{:o}", *value.integer())
                           : fmt::format("{:b}", *value.integer());
      if (format.plus && *value.integer() >= 0) text.insert(0, "+");
      break;
    case 'x':
    case 'X': {
      if (const std::int64_t* number = value.integer())
        text = fmt::format("{:x}", *number);
      else if (const std::string* bytes = value.string())
        for (const char c : *bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
      else
        return wrong();
      if (verb == 'X') text = uppercase(text);
      break;
    }
    case 'f':
    case 'e':
    case 'g': {
      if (value.number() == nullptr && value.integer() == nullptr) return wrong();
      const double real = *number_of(value);
      const int precision = format.precision.value_or(6);
      text = verb == 'f'        ? fmt::format("{:.{}f}", real, precision)
             : verb == 'e'      ? fmt::format("{:.{}e}", real, precision)
             : format.precision ? fmt::format("{:.{}g}", real, precision)
                                : fmt::format("{}", real);
      break;
    }
    default:
      return invalid(fmt::format("unknown verb '%{}'", printable(std::string(1, verb))),
                     "known: %s %d %v %q %x %f %t %%");
  }
  if (text.size() < format.width) {
    const std::size_t missing = format.width - text.size();
    const bool number = verb != 's' && verb != 'v' && verb != 'q' && verb != 't';
    if (format.left)
      text.append(missing, ' ');
    else if (format.zero && number)
      text.insert(text.starts_with('-') || text.starts_with('+') ? 1 : 0, missing, '0');
    else
      text.insert(0, missing, ' ');
  }
  return text;
}

Outcome printf_(Arguments args, Budget& budget) {
  Result<std::string> pattern = text_of(*args[0]);
  if (!pattern) return pattern.error();
  constexpr std::size_t widest = 1000;
  std::string out;
  std::size_t next = 1;
  const std::string_view text = *pattern;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    Format format;
    const auto number = [&] {
      std::size_t value = 0;
      for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i)
        value = std::min(value * 10 + static_cast<std::size_t>(text[i] - '0'), widest + 1);
      return value;
    };
    for (++i; i < text.size() && (text[i] == '-' || text[i] == '0' || text[i] == '+'); ++i)
      (text[i] == '-' ? format.left : text[i] == '0' ? format.zero : format.plus) = true;
    format.width = number();
    if (i < text.size() && text[i] == '.') {
      ++i;
      format.precision = static_cast<int>(number());
    }
    if (format.width > widest || format.precision.value_or(0) > static_cast<int>(widest))
      return invalid("a width or precision above 1000");
    if (i >= text.size()) return invalid("the format ends in the middle of a '%'");
    if (text[i] == '%') {
      out += '%';
      continue;
    }
    if (next >= args.size()) return invalid("the format asks for more values than there are");
    Result<std::string> one = formatted(text[i], format, *args[next++]);
    if (!one) return one.error();
    if (!budget.take_bytes(one->size())) return too_much();
    out += *one;
  }
  if (next != args.size()) return invalid("the format uses fewer values than it is given");
  return text_value(std::move(out));
}

template <bool line>
Outcome print(Arguments args, Budget&) {
  std::string out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    // As Go does: blanks between operands when neither is a string; always in println.
    if (i > 0 && (line || (args[i]->string() == nullptr && args[i - 1]->string() == nullptr))) out += ' ';
    out += args[i]->text();
  }
  if (line) out += '\n';
  return text_value(std::move(out));
}

Outcome is_absolute(Arguments args, Budget&) { return flag(args[0]->text().starts_with('/')); }

constexpr Function table[] = {
    {"b64dec", 1, 1, from_base64_text},
    {"b64enc", 1, 1, on_text<to_base64>},
    {"base", 1, 1, on_text<base_name>},
    {"cat", 0, -1, quoted_each<false, ' '>},
    {"contains", 2, 2, on_texts_truth<contains>},
    {"dir", 1, 1, on_text<directory_name>},
    {"ext", 1, 1, on_text<extension>},
    {"hasPrefix", 2, 2, on_texts_truth<has_prefix>},
    {"hasSuffix", 2, 2, on_texts_truth<has_suffix>},
    {"indent", 2, 2, indent<false>},
    {"isAbs", 1, 1, is_absolute},
    {"join", 2, 2, join_list},
    {"kindOf", 1, 1, kind_of, false, false},
    {"lower", 1, 1, on_text<lower>},
    {"nindent", 2, 2, indent<true>},
    {"nospace", 1, 1, on_text<without_blanks>},
    {"print", 0, -1, print<false>},
    {"printf", 1, -1, printf_},
    {"println", 0, -1, print<true>},
    {"quote", 0, -1, quoted_each<true, '"'>},
    {"repeat", 2, 2, repeat},
    {"replace", 3, 3, replace},
    {"sha256sum", 1, 1, on_text<sha256_hex>},
    {"split", 2, 2, split_text<false>},
    {"splitList", 2, 2, split_text<true>},
    {"squote", 0, -1, quoted_each<true, '\''>},
    {"substr", 3, 3, substring},
    {"title", 1, 1, on_text<title>},
    {"toJson", 1, 1, to_json},
    {"toLower", 1, 1, on_text<lower>},
    {"toString", 1, 1, to_string},
    {"toUpper", 1, 1, on_text<uppercase>},
    {"toYaml", 1, 1, to_yaml},
    {"trim", 1, 1, on_text<trimmed>},
    {"trimAll", 2, 2, on_texts<trim_all>},
    {"trimPrefix", 2, 2, on_texts<trim_prefix>},
    {"trimSuffix", 2, 2, on_texts<trim_suffix>},
    {"trunc", 2, 2, truncate},
    {"upper", 1, 1, on_text<uppercase>},
};
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

std::span<const Function> text_functions() { return table; }

}  // namespace converge::spec
