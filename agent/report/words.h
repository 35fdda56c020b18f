// What the reports for people share: columns, colours, times.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/step.h"

namespace converge {

/// "12 ms", "1.3 s"
std::string in_words(std::chrono::microseconds took);
/// Columns a terminal needs for valid UTF-8 (no wide characters are printed by us).
std::size_t width(std::string_view text);
/// `text` with blanks up to that width.
std::string padded(std::string text, std::size_t to);
/// A table, the last column as long as it is.
std::string in_columns(const std::vector<std::array<std::string, 6>>& rows);
/// `text` between the escapes of SGR `code` ("31"), ECMA-48 8.3.117, or as it is.
std::string in_colour(bool colour, const char* code, const std::string& text);
/// A unified diff as it is shown: below what it belongs to, escaped.
std::string diff_lines(bool colour, const std::string& diff);

}  // namespace converge
