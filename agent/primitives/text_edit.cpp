#include "primitives/text_edit.h"

#include "core/text.h"

namespace converge {

std::string_view line_ending_of(std::string_view text) {
  const auto newline = text.rfind('\n');
  return newline != std::string_view::npos && newline > 0 && text[newline - 1] == '\r' ? "\r\n" : "\n";
}

void append_line(std::string& text, std::string_view line, std::string_view ending) {
  if (!text.empty() && text.back() != '\n') text += ending;
  text += line;
  text += ending;
}

std::string quoted_line(std::string_view line) {
  constexpr std::size_t longest = 120;
  if (line.size() <= longest) return "'" + std::string(line) + "'";
  return "'" + std::string(line.substr(0, longest)) + "...'";
}

}  // namespace converge
