// Text as operators keep it: lines with their own endings, printed without letting a terminal obey them.
#pragma once
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace converge {

/// The lines of `text`, each with its ending ("\n", "\r\n", or none for a last line without one). Joining them gives
/// `text` back, byte for byte. Views into `text`. Empty for "".
std::vector<std::string_view> split_lines(std::string_view text);
/// The views would outlive a temporary.
template <class Text>
requires std::same_as<Text, std::string> std::vector<std::string_view> split_lines(Text&& text)
= delete;
/// `line` without its "\n" or "\r\n".
std::string_view without_ending(std::string_view line);
/// Fields separated by runs of blanks and tabs; none is empty.
std::vector<std::string_view> fields(std::string_view line);
std::string_view trim(std::string_view text);                                // blanks, tabs, CR, LF at both ends
std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty parts
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string lower(std::string_view text);  // ASCII only
bool starts_with_word(std::string_view text, std::string_view word);

/// True if all of `text` is valid UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

/// For a terminal or a log line: C0 except '\n' and '\t' when `keep_layout`, DEL, C1, bidi controls and invalid UTF-8
/// become \xNN (domain: text from a host is hostile).
std::string printable(std::string_view text, bool keep_layout = false);

/// A unified diff from `before` to `after`, headed by "--- label" and "+++ label". Empty if equal. More than 4000 lines
/// on either side: a sentence with both sizes instead.
std::string unified_diff(std::string_view before, std::string_view after, std::string_view label);
/// The same with a label for each side, and `context` lines around a difference.
std::string unified_diff(std::string_view before, std::string_view after, std::string_view label,
                         std::string_view other_label, std::size_t context);

/// Decimal digits only, no sign, no blanks; false on overflow or anything else (std::from_chars over all of `text`).
bool parse_number(std::string_view text, std::uint64_t& out);
bool parse_number(std::string_view text, std::int64_t& out);  // an optional leading '-'

}  // namespace converge
