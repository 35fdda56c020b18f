#include "spec/template_lexer.h"

#include <fmt/format.h>

#include <charconv>

#include "core/text.h"

namespace converge::spec {
namespace {

Literal wrong(std::size_t at, std::string message, std::string hint) {
  return {{}, at, Problem{at, std::move(message), std::move(hint)}};
}

void append_utf8(std::string& out, unsigned code) {
  const auto add = [&out](unsigned byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0U | (code >> 6U));
    add(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    add(0xE0U | (code >> 12U));
    add(0x80U | ((code >> 6U) & 0x3FU));
    add(0x80U | (code & 0x3FU));
  } else {
    add(0xF0U | (code >> 18U));
    add(0x80U | ((code >> 12U) & 0x3FU));
    add(0x80U | ((code >> 6U) & 0x3FU));
    add(0x80U | (code & 0x3FU));
  }
}

/// The escape at `at`, whose end is then behind it. False if it is none.
bool read_escape(std::string_view text, std::size_t& at, std::string& made) {
  ++at;
  const char letter = at < text.size() ? text[at++] : '\0';
  static constexpr std::string_view letters = "abfnrtv\\\"'", meant = "\a\b\f\n\r\t\v\\\"'";
  if (const std::size_t found = letters.find(letter); letter != '\0' && found != std::string_view::npos) {
    made += meant[found];
    return true;
  }
  const std::size_t length = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
  unsigned code = 0;
  const char* first = text.data() + at;
  if (length > 0 && at + length <= text.size()) {
    const auto [stop, failure] = std::from_chars(first, first + length, code, 16);
    if (failure == std::errc() && stop == first + length && code > 0 && code < 0x110000 &&
        (code < 0xD800 || code > 0xDFFF)) {
      at += length;
      append_utf8(made, code);
      return true;
    }
  }
  return false;
}

}  // namespace

Literal read_number(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() &&
         (is_word(text[end]) || text[end] == '.' ||
          ((text[end] == '-' || text[end] == '+') && (text[end - 1] == 'e' || text[end - 1] == 'E'))))
    ++end;
  const std::string_view written = text.substr(at, end - at);
  const std::string_view digits = written.starts_with('+') ? written.substr(1) : written;
  std::int64_t whole = 0;
  const char *first = digits.data(), *last = first + digits.size();
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    const auto [stop, failure] = std::from_chars(first + 2, last, whole, 16);
    if (failure == std::errc() && stop == last && first + 2 != last) return {Value(whole), end, {}};
  } else if (digits.size() > 1 && digits[0] == '0' && is_digit(digits[1])) {
    return wrong(at, fmt::format("'{}' is octal to some and decimal to others", written),
                 "quote it, or leave the zero out");
  } else if (digits.find_first_not_of("0123456789", digits.starts_with('-') ? 1 : 0) == std::string_view::npos) {
    if (parse_number(digits, whole)) return {Value(whole), end, {}};
  } else {
    double real = 0;
    const auto [stop, failure] = std::from_chars(first, last, real);
    if (failure == std::errc() && stop == last && real - real == 0) return {Value(real), end, {}};
  }
  return wrong(at, fmt::format("'{}' is no number", printable(written)), "quote it if it is a text");
}

Literal read_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  std::size_t i = at + 1;
  std::string made;
  if (quote == '`') {
    const std::size_t close = text.find('`', i);
    if (close == std::string_view::npos) return wrong(at, "a quote is not closed", "close it with '`'");
    made = text.substr(i, close - i);
    return {Value(std::move(made), {}, true), close + 1, {}};
  }
  while (i < text.size() && text[i] != '"') {
    if (text[i] != '\\') {
      made += text[i++];
      continue;
    }
    const std::size_t start = i;
    if (!read_escape(text, i, made)) {
      return wrong(start, "an escape that is none", "write \\\\ for a backslash, or use `...`");
    }
  }
  if (i >= text.size()) return wrong(at, "a quote is not closed", "close it with '\"'");
  return {Value(std::move(made), {}, true), i + 1, {}};
}

}  // namespace converge::spec
