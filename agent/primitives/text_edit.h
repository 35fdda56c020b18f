// Edits of text files that others own: lines with their own endings, everything else byte for byte.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace converge {

/// "\r\n" if the last line of `text` that has an ending has that one, else "\n".
std::string_view line_ending_of(std::string_view text);

/// Appends `line` (without an ending) as a line of its own, completing a last line that has no ending.
void append_line(std::string& text, std::string_view line, std::string_view ending);

/// For people: at most 120 bytes of `line`, in quotes.
std::string quoted_line(std::string_view line);

}  // namespace converge
