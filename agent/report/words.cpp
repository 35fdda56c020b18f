#include "report/words.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"

namespace converge {

std::string in_words(std::chrono::microseconds took) {
  const double s = static_cast<double>(took.count()) / 1e6;
  return s < 0.1 ? fmt::format("{:.0f} ms", s * 1e3) : fmt::format("{:.1f} s", s);
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(std::string text, std::size_t to) {
  const std::size_t have = width(text);
  if (have < to) text.append(to - have, ' ');
  return text;
}

std::string in_colour(bool colour, const char* code, const std::string& text) {
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

std::string in_columns(const std::vector<std::array<std::string, 6>>& rows) {
  std::array<std::size_t, 5> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) out += padded(row[i], widths[i] + 2);
    out += row.back() + "\n";
  }
  return out;
}

std::string diff_lines(bool colour, const std::string& diff) {
  std::string out;
  for (const std::string_view line : split_lines(diff)) {
    const std::string text = "    " + printable(without_ending(line), true);
    const bool head = line.starts_with("---") || line.starts_with("+++");
    const char* code = line.starts_with("+") ? "32" : line.starts_with("-") ? "31" : "";
    out += (*code == '\0' || head ? text : in_colour(colour, code, text)) + "\n";
  }
  return out;
}

}  // namespace converge
