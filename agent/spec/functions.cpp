#include "spec/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "core/diagnostic.h"
#include "core/digest.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::spec {

namespace {

using Outcome = Result<Value>;

Value text_value(std::string text) { return Value(std::move(text), {}, true); }
Value whole(std::int64_t number) { return Value(number); }
Value flag(bool truth) { return Value(truth); }
Value list_value(List items) { return Value(std::move(items)); }

Error invalid(std::string message, std::string hint = {}) {
  return Error{Errc::invalid, std::move(message), {}, std::move(hint)};
}
Error too_much() { return invalid("it makes too much"); }

std::string shown(const Value& value) {
  std::string text = value.text();
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return fmt::format("the {} '{}'", value.kind(), printable(text));
}

/// Text of a scalar; lists and mappings where a text is wanted are mistakes.
Result<std::string> text_of(const Value& value) {
  if (value.list() != nullptr || value.map() != nullptr)
    return invalid(fmt::format("wants a text, found a {}", value.kind()));
  return value.text();
}

Result<std::int64_t> integer_of(const Value& value) {
  if (const std::int64_t* number = value.integer()) return *number;
  if (const bool* truth = value.boolean()) return static_cast<std::int64_t>(*truth);
  if (const double* real = value.number()) {
    if (std::abs(*real) < 9.2e18) return static_cast<std::int64_t>(*real);
  } else if (const std::string* text = value.string()) {
    std::int64_t parsed = 0;
    if (parse_number(*text, parsed)) return parsed;
  }
  return invalid(fmt::format("wants an integer, found {}", shown(value)));
}

Result<double> number_of(const Value& value) {
  if (const double* real = value.number()) return *real;
  if (const std::string* text = value.string()) {
    double parsed = 0;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), parsed);
    if (failure == std::errc() && end == text->data() + text->size() && std::isfinite(parsed)) return parsed;
    return invalid(fmt::format("wants a number, found {}", shown(value)));
  }
  const Result<std::int64_t> integer = integer_of(value);
  if (!integer) return integer.error();
  return static_cast<double>(*integer);
}

Result<const List*> list_of(const Value& value) {
  if (const List* items = value.list()) return items;
  return invalid(fmt::format("wants a list, found {}", shown(value)));
}
Result<const Map*> map_of(const Value& value) {
  if (const Map* entries = value.map()) return entries;
  return invalid(fmt::format("wants a mapping, found {}", shown(value)));
}

// --- truth and comparison -------------------------------------------------------------------------------------------

bool both_numbers(const Value& a, const Value& b) {
  const auto numeric = [](const Value& value) { return value.integer() != nullptr || value.number() != nullptr; };
  return numeric(a) && numeric(b);
}

Result<bool> equal(const Value& a, const Value& b) {
  if (a.kind() == b.kind() || a.is_null() || b.is_null()) return a.same_as(b);
  if (both_numbers(a, b)) return *number_of(a) == *number_of(b);
  return invalid(fmt::format("cannot compare {} with {}", shown(a), shown(b)), "convert one: 'int' or 'toString'");
}

Result<bool> less(const Value& a, const Value& b) {
  if (a.integer() != nullptr && b.integer() != nullptr) return *a.integer() < *b.integer();
  if (both_numbers(a, b)) return *number_of(a) < *number_of(b);
  if (a.string() != nullptr && b.string() != nullptr) return *a.string() < *b.string();
  return invalid(fmt::format("cannot compare {} with {}", shown(a), shown(b)), "convert one: 'int' or 'toString'");
}

Outcome eq(Arguments args, Budget&) {
  for (std::size_t i = 1; i < args.size(); ++i) {
    const Result<bool> same = equal(*args[0], *args[i]);
    if (!same) return same.error();
    if (*same) return flag(true);
  }
  return flag(false);
}
Outcome ne(Arguments args, Budget&) {
  const Result<bool> same = equal(*args[0], *args[1]);
  if (!same) return same.error();
  return flag(!*same);
}
template <bool swapped, bool negated>
Outcome order(Arguments args, Budget&) {
  const Result<bool> below = swapped ? less(*args[1], *args[0]) : less(*args[0], *args[1]);
  if (!below) return below.error();
  return flag(*below != negated);
}
Outcome not_(Arguments args, Budget&) { return flag(!is_true(*args[0])); }
/// `and` and `or` stop at the deciding argument: the evaluator gives them none after it.
template <bool wanted>
Outcome deciding(Arguments args, Budget&) {
  for (const Value* arg : args)
    if (is_true(*arg) == wanted) return *arg;
  return *args.back();
}
Outcome deep_equal(Arguments args, Budget&) { return flag(args[0]->same_as(*args[1])); }

// --- what is there and what is not ----------------------------------------------------------------------------------

Outcome default_(Arguments args, Budget&) {
  const Value* given = args.size() == 1 ? nullptr : args[1];
  if (given != nullptr && is_true(*given)) return *given;
  // An explicit false or 0 is a value, as for Ansible's default(): only what is absent or empty is replaced.
  if (given != nullptr && (given->boolean() != nullptr || given->integer() != nullptr || given->number() != nullptr))
    return *given;
  if (args[0] == nullptr) return invalid("the default itself is not defined");
  return *args[0];
}
Outcome required(Arguments args, Budget&) {
  const Value* given = args[1];
  if (given != nullptr && !given->is_null() && !(given->string() != nullptr && given->string()->empty())) return *given;
  return invalid(args[0] == nullptr ? "a required value is not defined" : printable(args[0]->text()));
}
Outcome coalesce(Arguments args, Budget&) {
  for (const Value* arg : args)
    if (arg != nullptr && is_true(*arg)) return *arg;
  return Value();
}
Outcome defined(Arguments args, Budget&) { return flag(args[0] != nullptr); }
Outcome empty(Arguments args, Budget&) { return flag(!is_true(*args[0])); }
Outcome ternary(Arguments args, Budget&) { return is_true(*args[2]) ? *args[0] : *args[1]; }
Outcome fail(Arguments args, Budget&) { return invalid(printable(args[0]->text())); }

// --- texts ----------------------------------------------------------------------------------------------------------

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

// --- numbers --------------------------------------------------------------------------------------------------------

Outcome to_int(Arguments args, Budget&) {
  Result<std::int64_t> number = integer_of(*args[0]);
  if (!number) return number.error();
  return whole(*number);
}
Outcome to_float(Arguments args, Budget&) {
  Result<double> number = number_of(*args[0]);
  if (!number) return number.error();
  return Value(*number);
}

enum class Arithmetic { add, sub, mul, div, mod, max, min };
template <Arithmetic what>
Outcome arithmetic(Arguments args, Budget&) {
  Result<std::int64_t> first = integer_of(*args[0]);
  if (!first) return first.error();
  std::int64_t total = *first;
  for (std::size_t i = 1; i < args.size(); ++i) {
    Result<std::int64_t> operand = integer_of(*args[i]);
    if (!operand) return operand.error();
    const std::int64_t other = *operand;
    bool overflow = false;
    switch (what) {
      case Arithmetic::add:
        overflow = __builtin_add_overflow(total, other, &total);
        break;
      case Arithmetic::sub:
        overflow = __builtin_sub_overflow(total, other, &total);
        break;
      case Arithmetic::mul:
        overflow = __builtin_mul_overflow(total, other, &total);
        break;
      case Arithmetic::div:
      case Arithmetic::mod:
        if (other == 0) return invalid("division by zero");
        if (other == -1)  // the only quotient that can overflow
          overflow =
              what == Arithmetic::div ? __builtin_sub_overflow(std::int64_t{0}, total, &total) : (total = 0, false);
        else
          total = what == Arithmetic::div ? total / other : total % other;
        break;
      case Arithmetic::max:
        total = std::max(total, other);
        break;
      case Arithmetic::min:
        total = std::min(total, other);
        break;
    }
    if (overflow) return invalid("the result is beyond 64 bits");
  }
  return whole(total);
}
Outcome add1(Arguments args, Budget& budget) {
  const Value one(std::int64_t{1});
  const Value* both[] = {args[0], &one};
  return arithmetic<Arithmetic::add>(both, budget);
}
template <double (*change)(double)>
Outcome rounded(Arguments args, Budget&) {
  Result<double> number = number_of(*args[0]);
  if (!number) return number.error();
  return Value(change(*number));
}
double floor_of(double number) { return std::floor(number); }
double ceil_of(double number) { return std::ceil(number); }

Outcome counted(std::int64_t first, std::int64_t last, std::int64_t step, Budget& budget) {
  if (step == 0) return invalid("a step of 0 never ends");
  if ((step > 0 && first > last) || (step < 0 && first < last)) return list_value({});
  std::int64_t span = 0;
  if (__builtin_sub_overflow(last, first, &span) || step == std::numeric_limits<std::int64_t>::min()) return too_much();
  const auto count = static_cast<std::uint64_t>(span / step) + 1;
  if (!budget.take_steps(count)) return too_much();
  List items;
  items.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) items.push_back(whole(first + static_cast<std::int64_t>(i) * step));
  return list_value(std::move(items));
}
Result<std::vector<std::int64_t>> integers(Arguments args) {
  std::vector<std::int64_t> out;
  for (const Value* arg : args) {
    Result<std::int64_t> number = integer_of(*arg);
    if (!number) return number.error();
    out.push_back(*number);
  }
  return out;
}
/// seq LAST, seq FIRST LAST, seq FIRST STEP LAST, as the shell's.
Outcome seq(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  const auto& n = *numbers;
  if (n.size() == 3) return counted(n[0], n[2], n[1], budget);
  const std::int64_t first = n.size() == 2 ? n[0] : 1;
  return counted(first, n.back(), n.back() < first ? -1 : 1, budget);
}
Outcome until(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  return (*numbers)[0] <= 0 ? list_value({}) : counted(0, (*numbers)[0] - 1, 1, budget);
}
Outcome until_step(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  const std::int64_t first = (*numbers)[0], stop = (*numbers)[1], step = (*numbers)[2];
  if (first == stop) return list_value({});
  std::int64_t last = 0;
  if (__builtin_sub_overflow(stop, step > 0 ? 1 : -1, &last)) return too_much();
  return counted(first, last, step, budget);
}

// --- lists and mappings ---------------------------------------------------------------------------------------------

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
Outcome is_absolute(Arguments args, Budget&) { return flag(args[0]->text().starts_with('/')); }

// Sorted by name: found by halving. The order of comparison arguments is Go's.
constexpr Function table[] = {
    {"add", 1, -1, arithmetic<Arithmetic::add>},
    {"add1", 1, 1, add1},
    {"and", 1, -1, deciding<false>, false, false},
    {"append", 2, 2, extended<true>},
    {"atoi", 1, 1, to_int},
    {"b64dec", 1, 1, from_base64_text},
    {"b64enc", 1, 1, on_text<to_base64>},
    {"base", 1, 1, on_text<base_name>},
    {"cat", 0, -1, quoted_each<false, ' '>},
    {"ceil", 1, 1, rounded<ceil_of>},
    {"coalesce", 1, -1, coalesce, true, false},
    {"compact", 1, 1, compact},
    {"concat", 1, -1, concat},
    {"contains", 2, 2, on_texts_truth<contains>},
    {"deepEqual", 2, 2, deep_equal},
    {"default", 1, 2, default_, true, false},
    {"defined", 1, 1, defined, true, false},
    {"dict", 0, -1, make_dict},
    {"dig", 3, -1, dig, false, false},
    {"dir", 1, 1, on_text<directory_name>},
    {"div", 2, 2, arithmetic<Arithmetic::div>},
    {"empty", 1, 1, empty, false, false},
    {"eq", 2, -1, eq},
    {"ext", 1, 1, on_text<extension>},
    {"fail", 1, 1, fail},
    {"first", 1, 1, one_end<true>, false, false},
    {"float64", 1, 1, to_float},
    {"floor", 1, 1, rounded<floor_of>},
    {"ge", 2, 2, order<false, true>},
    {"get", 2, 2, get, false, false},
    {"gt", 2, 2, order<true, false>},
    {"has", 2, 2, has},
    {"hasKey", 2, 2, has_key, false, false},
    {"hasPrefix", 2, 2, on_texts_truth<has_prefix>},
    {"hasSuffix", 2, 2, on_texts_truth<has_suffix>},
    {"indent", 2, 2, indent<false>},
    {"index", 1, -1, index, false, false},
    {"initial", 1, 1, but_one_end<false>},
    {"int", 1, 1, to_int},
    {"int64", 1, 1, to_int},
    {"isAbs", 1, 1, is_absolute},
    {"join", 2, 2, join_list},
    {"keys", 1, -1, keys},
    {"kindOf", 1, 1, kind_of, false, false},
    {"last", 1, 1, one_end<false>, false, false},
    {"le", 2, 2, order<true, true>},
    {"len", 1, 1, length, false, false},
    {"list", 0, -1, make_list},
    {"lower", 1, 1, on_text<lower>},
    {"lt", 2, 2, order<false, false>},
    {"max", 1, -1, arithmetic<Arithmetic::max>},
    {"merge", 1, -1, merge<false>},
    {"mergeOverwrite", 1, -1, merge<true>},
    {"min", 1, -1, arithmetic<Arithmetic::min>},
    {"mod", 2, 2, arithmetic<Arithmetic::mod>},
    {"mul", 1, -1, arithmetic<Arithmetic::mul>},
    {"ne", 2, 2, ne},
    {"nindent", 2, 2, indent<true>},
    {"nospace", 1, 1, on_text<without_blanks>},
    {"not", 1, 1, not_, false, false},
    {"omit", 1, -1, picked<false>},
    {"or", 1, -1, deciding<true>, false, false},
    {"pick", 1, -1, picked<true>},
    {"prepend", 2, 2, extended<false>},
    {"print", 0, -1, print<false>},
    {"printf", 1, -1, printf_},
    {"println", 0, -1, print<true>},
    {"quote", 0, -1, quoted_each<true, '"'>},
    {"repeat", 2, 2, repeat},
    {"replace", 3, 3, replace},
    {"required", 2, 2, required, true, false},
    {"rest", 1, 1, but_one_end<true>},
    {"reverse", 1, 1, reverse},
    {"seq", 1, 3, seq},
    {"sha256sum", 1, 1, on_text<sha256_hex>},
    {"slice", 1, 3, slice},
    {"sortAlpha", 1, 1, sort_alpha},
    {"split", 2, 2, split_text<false>},
    {"splitList", 2, 2, split_text<true>},
    {"squote", 0, -1, quoted_each<true, '\''>},
    {"sub", 2, 2, arithmetic<Arithmetic::sub>},
    {"substr", 3, 3, substring},
    {"ternary", 3, 3, ternary, false, false},
    {"title", 1, 1, on_text<title>},
    {"toJson", 1, 1, to_json},
    {"toString", 1, 1, to_string},
    {"toStrings", 1, 1, to_strings},
    {"toYaml", 1, 1, to_yaml},
    {"trim", 1, 1, on_text<trimmed>},
    {"trimAll", 2, 2, on_texts<trim_all>},
    {"trimPrefix", 2, 2, on_texts<trim_prefix>},
    {"trimSuffix", 2, 2, on_texts<trim_suffix>},
    {"trunc", 2, 2, truncate},
    {"tuple", 0, -1, make_list},
    {"uniq", 1, 1, uniq},
    {"until", 1, 1, until},
    {"untilStep", 3, 3, until_step},
    {"upper", 1, 1, on_text<uppercase>},
    {"values", 1, 1, values},
    {"without", 1, -1, without},
};
constexpr bool by_name(const Function& a, const Function& b) { return a.name < b.name; }
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

const Function* find_function(std::string_view name) {
  const Function* found =
      std::lower_bound(std::begin(table), std::end(table), name,
                       [](const Function& row, std::string_view wanted) { return row.name < wanted; });
  return found != std::end(table) && found->name == name ? found : nullptr;
}

std::string_view refusal_of(std::string_view name) {
  static constexpr std::string_view random[] = {"randAlpha",
                                                "randAlphaNum",
                                                "randAscii",
                                                "randBytes",
                                                "randInt",
                                                "randNumeric",
                                                "shuffle",
                                                "uuidv4",
                                                "now",
                                                "ago",
                                                "date",
                                                "htmlDate",
                                                "dateModify",
                                                "unixEpoch",
                                                "genCA",
                                                "genCAWithKey",
                                                "genPrivateKey",
                                                "genSelfSignedCert",
                                                "genSelfSignedCertWithKey",
                                                "genSignedCert",
                                                "genSignedCertWithKey",
                                                "bcrypt",
                                                "htpasswd",
                                                "encryptAES",
                                                "buildCustomCert"};
  static constexpr std::string_view outside[] = {"env",      "expandenv", "getHostByName", "getEnv",
                                                 "readFile", "lookup",    "include"};
  static constexpr std::string_view secrets[] = {"decryptAES", "derivePassword"};
  static constexpr std::string_view changing[] = {"set", "unset"};
  const auto in = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (in(random)) return "makes another value on every run, so that no run would ever be in sync";
  if (in(outside)) return "looks outside the spec and its inventory, so that two runs would not agree";
  if (in(secrets)) return "makes a secret, which has no place in a spec";
  if (in(changing)) return "changes a mapping others may be using: 'merge' makes a new one";
  return {};
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const Function& row : table) names.emplace_back(row.name);
  return names;
}

bool is_true(const Value& value) {
  if (const bool* truth = value.boolean()) return *truth;
  if (const std::int64_t* number = value.integer()) return *number != 0;
  if (const double* real = value.number()) return *real != 0;
  if (const std::string* text = value.string()) return !text->empty();
  if (const List* items = value.list()) return !items->empty();
  if (const Map* entries = value.map()) return !entries->empty();
  return false;
}

}  // namespace converge::spec
