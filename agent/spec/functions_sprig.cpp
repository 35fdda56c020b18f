// What else Sprig 3 has and a host's files may want: other spellings of words, numbers with fractions, paths, digests,
// types by Go's names.
#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <cstdint>
#include <functional>

#include "core/digest.h"
#include "core/text.h"
#include "spec/functions_internal.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
char small(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

template <std::string (*change)(std::string_view)>
Outcome on_text(Arguments args, Budget&) {
  auto text = text_of(*args[0]);
  if (!text) return text.error();
  return text_value(change(*text));
}

/// Go prints a float without a fraction as an integer.
Value real(double number) {
  return number == std::floor(number) && std::abs(number) < 1e15 ? whole(static_cast<std::int64_t>(number))
                                                                 : Value(number);
}

template <auto compute>
Outcome on_numbers(Arguments args, Budget&) {
  double out = 0;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto number = number_of(*args[i]);
    if (!number) return number.error();
    out = i == 0 ? *number : compute(out, *number);
  }
  if (!std::isfinite(out)) return invalid("the result is no number");
  return real(out);
}
double plus(double a, double b) { return a + b; }
double minus(double a, double b) { return a - b; }
double times(double a, double b) { return a * b; }
double over(double a, double b) { return a / b; }
double larger(double a, double b) { return std::max(a, b); }
double smaller(double a, double b) { return std::min(a, b); }

Outcome one_more(Arguments args, Budget&) {
  const auto number = number_of(*args[0]);
  if (!number) return number.error();
  return real(*number + 1);
}

Outcome biggest(Arguments args, Budget&) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  return whole(*std::max_element(numbers->begin(), numbers->end()));
}

/// round VALUE DIGITS [FROM]: up from 0.5, or from FROM.
Outcome rounded(Arguments args, Budget&) {
  const auto number = number_of(*args[0]);
  const auto digits = integer_of(*args[1]);
  const auto from = args.size() > 2 ? number_of(*args[2]) : Result<double>(0.5);
  if (!number) return number.error();
  if (!digits) return digits.error();
  if (!from) return from.error();
  if (*digits < 0 || *digits > 15) return invalid("between 0 and 15 digits");
  const double scale = std::pow(10.0, static_cast<double>(*digits)), scaled = *number * scale;
  const double floor = std::floor(scaled);
  return real((scaled - floor >= *from ? floor + 1 : floor) / scale);
}

/// An octal number, as modes are written.
Outcome from_octal(Arguments args, Budget&) {
  auto text = text_of(*args[0]);
  if (!text) return text.error();
  std::int64_t out = 0;
  for (const char c : *text) {
    if (c < '0' || c > '7' || out > (INT64_MAX >> 3)) return whole(0);
    out = out * 8 + (c - '0');
  }
  return whole(out);
}

/// The words in a name, whichever way they are set apart.
std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> out(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '_' || c == '-' || c == '.') {
      if (!out.back().empty()) out.emplace_back();
      continue;
    }
    const bool begins =
        is_upper(c) && i > 0 &&
        (!is_upper(text[i - 1]) || (i + 1 < text.size() && std::islower(static_cast<unsigned char>(text[i + 1])) != 0));
    if (begins && !out.back().empty()) out.emplace_back();
    out.back() += small(c);
  }
  if (out.back().empty()) out.pop_back();
  return out;
}
std::string snake(std::string_view text) { return join(words_in(text), "_"); }
std::string kebab(std::string_view text) { return join(words_in(text), "-"); }
std::string camel(std::string_view text) {
  std::string out;
  for (const auto& word : words_in(text)) out += upper(word[0]) + word.substr(1);
  return out;
}
std::string initials(std::string_view text) {
  std::string out;
  for (const auto word : fields(text)) out += word[0];
  return out;
}
std::string untitle(std::string_view text) {
  std::string out(text);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (i == 0 || out[i - 1] == ' ') out[i] = small(out[i]);
  return out;
}
std::string swapped(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = is_upper(c) ? small(c) : upper(c);
  return out;
}

/// abbrev WIDTH TEXT: at most so many bytes, the last three "...".
Outcome abbreviated(Arguments args, Budget&) {
  const auto width = integer_of(*args[0]);
  auto text = text_of(*args[1]);
  if (!width) return width.error();
  if (!text) return text.error();
  if (*width < 4 || std::cmp_less_equal(text->size(), *width)) return text_value(*std::move(text));
  return text_value(text->substr(0, static_cast<std::size_t>(*width) - 3) + "...");
}

/// abbrevboth OFFSET WIDTH TEXT
Outcome abbreviated_at_both_ends(Arguments args, Budget&) {
  const auto numbers = integers(args.first(2));
  auto text = text_of(*args[2]);
  if (!numbers) return numbers.error();
  if (!text) return text.error();
  const std::int64_t offset = (*numbers)[0], width = (*numbers)[1];
  if (width < 7 || offset < 0 || std::cmp_less_equal(text->size(), width)) return text_value(*std::move(text));
  const auto size = static_cast<std::int64_t>(text->size());
  if (offset <= 4) return text_value(text->substr(0, static_cast<std::size_t>(width - 3)) + "...");
  if (offset + width - 3 >= size) return text_value("..." + text->substr(static_cast<std::size_t>(size - (width - 3))));
  return text_value("..." + text->substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(width - 6)) +
                    "...");
}

Outcome plural(Arguments args, Budget&) {
  const auto count = integer_of(*args[2]);
  if (!count) return count.error();
  return *(*count == 1 ? args[0] : args[1]);
}

/// Lines broken at blanks; a word that is longer stands alone.
std::string wrapped(std::string_view text, std::size_t width, std::string_view separator) {
  std::string out;
  std::size_t column = 0;
  for (const auto word : split(text, ' ')) {
    if (column > 0 && column + 1 + word.size() > width) {
      out += separator;
      column = 0;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}
Outcome wrap(Arguments args, Budget& budget) {
  const auto width = integer_of(*args[0]);
  auto text = text_of(*args.back());
  const auto separator = args.size() == 3 ? text_of(*args[1]) : Result<std::string>("\n");
  if (!width) return width.error();
  if (!text) return text.error();
  if (!separator) return separator.error();
  if (!budget.take_bytes(text->size() * (separator->size() + 1))) return too_much();
  return text_value(wrapped(*text, static_cast<std::size_t>(std::max<std::int64_t>(*width, 1)), *separator));
}

std::string quoted_for_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string sha512_hex(std::string_view text) {
  Digest digest(Digest::Kind::sha512);
  digest.add(text);
  return digest.hex();
}
std::string adler32(std::string_view text) {
  std::uint32_t a = 1, b = 0;
  for (const char c : text) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return fmt::format("{}", (b << 16U) | a);
}

constexpr std::string_view base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
std::string to_base32(std::string_view text) {
  std::string out;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : text) {
    held = (held << 8U) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 5; bits -= 5) out += base32[(held >> (bits - 5)) & 31U];
    held &= 0xFFU;
  }
  if (bits > 0) out += base32[(held << (5 - bits)) & 31U];
  while (out.size() % 8 != 0) out += '=';
  return out;
}
Outcome from_base32(Arguments args, Budget&) {
  auto text = text_of(*args[0]);
  if (!text) return text.error();
  std::string out;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : *text) {
    if (c == '=') break;
    const auto at = base32.find(c);
    if (at == std::string_view::npos) return invalid(fmt::format("{} is no base32", shown(*args[0])));
    held = ((held << 5U) | static_cast<std::uint32_t>(at)) & 0xFFFU;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((held >> bits) & 0xFFU);
  }
  if (!is_utf8(out)) return invalid("what it encodes is no text");
  return text_value(std::move(out));
}

/// Go's path.Clean.
std::string clean(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string> kept;
  for (const auto part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !kept.empty() && kept.back() != "..")
      kept.pop_back();
    else if (part != ".." || !rooted)
      kept.emplace_back(part);
  }
  const std::string out = (rooted ? "/" : "") + join(kept, "/");
  return out.empty() ? "." : out;
}

std::string go_type(const Value& value) {
  if (value.string() != nullptr) return "string";
  if (value.boolean() != nullptr) return "bool";
  if (value.integer() != nullptr) return "int";
  if (value.number() != nullptr) return "float64";
  if (value.list() != nullptr) return "[]interface {}";
  if (value.map() != nullptr) return "map[string]interface {}";
  return "<nil>";
}
std::string go_kind(const Value& value) {
  if (value.list() != nullptr) return "slice";
  if (value.map() != nullptr) return "map";
  return value.is_null() ? "invalid" : go_type(value);
}
Outcome type_of(Arguments args, Budget&) { return text_value(go_type(*args[0])); }
Outcome is_type(Arguments args, Budget&) { return flag(args[0]->text() == go_type(*args[1])); }
Outcome is_kind(Arguments args, Budget&) { return flag(args[0]->text() == go_kind(*args[1])); }

template <bool wanted>
Outcome every(Arguments args, Budget&) {
  for (const Value* each : args)
    if (is_true(*each) != wanted) return flag(!wanted);
  return flag(wanted);
}

Outcome same(Arguments args, Budget&) { return *args[0]; }

/// chunk SIZE LIST
Outcome chunk(Arguments args, Budget&) {
  const auto size = integer_of(*args[0]);
  const auto list = list_of(*args[1]);
  if (!size) return size.error();
  if (!list) return list.error();
  if (*size < 1) return invalid("a chunk has one element at least");
  List out;
  for (const Value& each : **list) {
    if (out.empty() || std::cmp_greater_equal(out.back().list()->size(), *size)) out.push_back(list_value({}));
    std::get<List>(out.back().data()).push_back(each);
  }
  return list_value(std::move(out));
}

/// pluck KEY MAPPING...
Outcome pluck(Arguments args, Budget&) {
  List out;
  for (const Value* each : args.subspan(1))
    if (const Value* found = each->find(args[0]->text())) out.push_back(*found);
  return list_value(std::move(out));
}

/// splitn SEPARATOR COUNT TEXT: {"_0": ..., "_1": ...}
Outcome split_few(Arguments args, Budget& budget) {
  const auto separator = text_of(*args[0]);
  const auto most = integer_of(*args[1]);
  const auto text = text_of(*args[2]);
  if (!separator) return separator.error();
  if (!most) return most.error();
  if (!text) return text.error();
  if (separator->empty()) return invalid("the separator is empty");
  Map out;
  for (std::size_t at = 0;;) {
    if (!budget.take_steps(1)) return too_much();
    const bool last = std::cmp_equal(out.size() + 1, std::max<std::int64_t>(*most, 1));
    const std::size_t end = last ? std::string::npos : text->find(*separator, at);
    out.push_back(
        {fmt::format("_{}", out.size()), {}, text_value(text->substr(at, end == std::string::npos ? end : end - at))});
    if (end == std::string::npos) return Value(std::move(out));
    at = end + separator->size();
  }
}

Outcome from_json(Arguments args, Budget& budget) {
  auto text = text_of(*args[0]);
  if (!text) return text.error();
  if (!budget.take_bytes(text->size())) return too_much();
  const Source source{"JSON", *std::move(text)};
  Diagnostics said;
  auto value = read_yaml(source, {}, said);
  if (!value) return invalid(fmt::format("{} is no JSON", shown(*args[0])));
  // Its places would be in a text that is gone.
  const std::function<void(Value&)> forget = [&](Value& each) {
    if (auto* list = std::get_if<List>(&each.data()))
      for (Value& one : *list) forget(one);
    else if (auto* map = std::get_if<Map>(&each.data()))
      for (Entry& entry : *map) {
        entry.key_at = {};
        forget(entry.value);
      }
    each = Value(std::move(each.data()), {}, each.quoted());
  };
  forget(*value);
  return *std::move(value);
}

void pretty(std::string& out, const Value& value, std::size_t indent) {
  const auto line = [&](std::size_t depth) { out += "\n" + std::string(depth * 2, ' '); };
  if (const List* list = value.list(); list != nullptr && !list->empty()) {
    out += '[';
    for (const Value& each : *list) {
      if (&each != &list->front()) out += ',';
      line(indent + 1);
      pretty(out, each, indent + 1);
    }
    line(indent);
    out += ']';
  } else if (const Map* map = value.map(); map != nullptr && !map->empty()) {
    out += '{';
    for (const Entry& entry : *map) {
      if (&entry != &map->front()) out += ',';
      line(indent + 1);
      out += write_json(Value(entry.key)) + ": ";
      pretty(out, entry.value, indent + 1);
    }
    line(indent);
    out += '}';
  } else {
    out += write_json(value);
  }
}
Outcome to_pretty_json(Arguments args, Budget& budget) {
  std::string out;
  pretty(out, *args[0], 0);
  if (!budget.take_bytes(out.size())) return too_much();
  return text_value(std::move(out));
}
Outcome to_raw_json(Arguments args, Budget& budget) {
  std::string out = write_json(*args[0]);
  if (!budget.take_bytes(out.size())) return too_much();
  return text_value(std::move(out));
}

/// Seconds as Go writes a duration: "1h2m3s".
Outcome duration(Arguments args, Budget&) {
  const auto seconds = integer_of(*args[0]);
  if (!seconds) return seconds.error();
  if (*seconds < 0) return invalid("a duration is not negative");
  std::string out;
  if (*seconds >= 3600) out += fmt::format("{}h", *seconds / 3600);
  if (*seconds >= 60) out += fmt::format("{}m", *seconds / 60 % 60);
  return text_value(out + fmt::format("{}s", *seconds % 60));
}

/// The largest unit alone: "2h", "3d".
Outcome rounded_duration(Arguments args, Budget&) {
  const auto seconds = integer_of(*args[0]);
  if (!seconds) return seconds.error();
  static constexpr std::pair<std::int64_t, const char*> units[] = {
      {31'536'000, "y"}, {2'592'000, "mo"}, {86'400, "d"}, {3600, "h"}, {60, "m"}};
  for (const auto& [size, name] : units)
    if (*seconds >= size) return text_value(fmt::format("{}{}", *seconds / size, name));
  return text_value(fmt::format("{}s", *seconds));
}

Outcome parse_url(Arguments args, Budget&) {
  auto text = text_of(*args[0]);
  if (!text) return text.error();
  std::string_view rest = *text;
  Map out;
  const auto add = [&](const char* name, std::string_view value) {
    out.push_back({name, {}, text_value(std::string(value))});
  };
  const auto cut = [&](std::string_view at) {
    const auto place = rest.find(at);
    std::string_view found;
    if (place != std::string_view::npos) {
      found = rest.substr(place + at.size());
      rest = rest.substr(0, place);
    }
    return found;
  };
  const std::string_view fragment = cut("#"), query = cut("?");
  std::string_view scheme;
  if (const auto end = rest.find("://"); end != std::string_view::npos) {
    scheme = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  std::string_view user, host, hostname;
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const auto slash = std::min(rest.find('/'), rest.size());
    host = rest.substr(0, slash);
    rest.remove_prefix(slash);
    if (const auto at = host.rfind('@'); at != std::string_view::npos) {
      user = host.substr(0, at);
      host.remove_prefix(at + 1);
    }
  }
  hostname = host.substr(0, host.rfind(':') > host.rfind(']') || host.find(']') == std::string_view::npos
                                ? host.rfind(':')
                                : std::string_view::npos);
  add("fragment", fragment);
  add("host", host);
  add("hostname", hostname);
  add("opaque", "");
  add("path", rest);
  add("query", query);
  add("scheme", scheme);
  add("userinfo", user);
  return Value(std::move(out));
}
Outcome join_url(Arguments args, Budget&) {
  const auto part = [&](const char* name) {
    const Value* found = args[0]->find(name);
    return found == nullptr ? std::string() : found->text();
  };
  if (args[0]->map() == nullptr) return invalid(fmt::format("wants a mapping, found {}", shown(*args[0])));
  std::string out = part("scheme").empty() ? "" : part("scheme") + ":";
  if (!part("host").empty()) out += "//" + (part("userinfo").empty() ? "" : part("userinfo") + "@") + part("host");
  out += part("path");
  if (!part("query").empty()) out += "?" + part("query");
  if (!part("fragment").empty()) out += "#" + part("fragment");
  return text_value(std::move(out));
}

constexpr Function table[] = {
    {"abbrev", 2, 2, abbreviated},
    {"abbrevboth", 3, 3, abbreviated_at_both_ends},
    {"add1f", 1, 1, one_more},
    {"addf", 1, -1, on_numbers<plus>},
    {"adler32sum", 1, 1, on_text<adler32>},
    {"all", 0, -1, every<true>},
    {"any", 0, -1, every<false>},
    {"b32dec", 1, 1, from_base32},
    {"b32enc", 1, 1, on_text<to_base32>},
    {"biggest", 1, -1, biggest},
    {"camelcase", 1, 1, on_text<camel>},
    {"chunk", 2, 2, chunk},
    {"clean", 1, 1, on_text<clean>},
    {"deepCopy", 1, 1, same},
    {"divf", 1, -1, on_numbers<over>},
    {"duration", 1, 1, duration},
    {"durationRound", 1, 1, rounded_duration},
    {"fromJson", 1, 1, from_json},
    {"hello", 0, 1, [](Arguments, Budget&) -> Outcome { return text_value("Hello!"); }},
    {"initials", 1, 1, on_text<initials>},
    {"kebabcase", 1, 1, on_text<kebab>},
    {"kindIs", 2, 2, is_kind},
    {"maxf", 1, -1, on_numbers<larger>},
    {"minf", 1, -1, on_numbers<smaller>},
    {"mulf", 1, -1, on_numbers<times>},
    {"osClean", 1, 1, on_text<clean>},
    {"pluck", 1, -1, pluck},
    {"plural", 3, 3, plural},
    {"regexQuoteMeta", 1, 1, on_text<quoted_for_regex>},
    {"round", 2, 3, rounded},
    {"sha512sum", 1, 1, on_text<sha512_hex>},
    {"snakecase", 1, 1, on_text<snake>},
    {"splitn", 3, 3, split_few},
    {"subf", 1, -1, on_numbers<minus>},
    {"swapcase", 1, 1, on_text<swapped>},
    {"toDecimal", 1, 1, from_octal},
    {"toPrettyJson", 1, 1, to_pretty_json},
    {"toRawJson", 1, 1, to_raw_json},
    {"typeIs", 2, 2, is_type},
    {"typeIsLike", 2, 2, is_type},
    {"typeOf", 1, 1, type_of},
    {"untitle", 1, 1, on_text<untitle>},
    {"urlJoin", 1, 1, join_url},
    {"urlParse", 1, 1, parse_url},
    {"wrap", 2, 2, wrap},
    {"wrapWith", 3, 3, wrap},
};
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

std::span<const Function> sprig_functions() { return table; }

}  // namespace converge::spec
