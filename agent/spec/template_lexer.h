// The words of templates: characters, numbers and quoted texts. Of template_*.cpp alone.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

#include "spec/template_tree.h"

namespace converge::spec {

inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_word(char c) { return is_letter(c) || is_digit(c); }
inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// A literal, and where what follows it begins; or what is wrong with it.
struct Literal {
  Value value;
  std::size_t end = 0;
  std::optional<Problem> problem;
};

/// The number that begins at `at`: 4, -4, +4, 0x1f, 1.5, 1e9. "007" and what only begins as a number are mistakes.
Literal read_number(std::string_view text, std::size_t at);

/// The text that begins with the quote at `at`: "with escapes as Go's" or `as it is`.
Literal read_quoted(std::string_view text, std::size_t at);

}  // namespace converge::spec
