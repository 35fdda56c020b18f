#include "checks/glob.h"

#include <optional>

namespace converge::checks {
namespace {

/// What one byte must be, and how much of the pattern says so.
struct Single {
  bool fits = false;
  std::size_t length = 1;
};

Single single(char c, std::string_view glob, bool sets) {
  if (glob.front() == '?') return {true, 1};
  if (glob.front() == '\\' && glob.size() > 1) return {glob[1] == c, 2};
  const auto end = sets && glob.front() == '[' ? glob.find(']', 2) : std::string_view::npos;
  if (end == std::string_view::npos) return {glob.front() == c, 1};
  auto set = glob.substr(1, end - 1);
  const bool inverted = set.starts_with('^');
  if (inverted) set.remove_prefix(1);
  bool in = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      in = in || (c >= set[i] && c <= set[i + 2]);
      i += 2;
    } else {
      in = in || c == set[i];
    }
  }
  return {in != inverted, end + 1};
}

}  // namespace

bool matches_glob(std::string_view text, std::string_view glob, bool sets) {
  // Only the last star has to be tried again: what an earlier one took is never too little.
  std::optional<std::string_view> after_star;
  std::string_view retry;
  while (!text.empty() || !glob.empty()) {
    if (glob.starts_with('*')) {
      glob.remove_prefix(1);
      after_star = glob;
      retry = text;
      continue;
    }
    if (!text.empty() && !glob.empty()) {
      const Single next = single(text.front(), glob, sets);
      if (next.fits) {
        text.remove_prefix(1);
        glob.remove_prefix(next.length);
        continue;
      }
    }
    if (!after_star || retry.empty()) return false;
    retry.remove_prefix(1);
    text = retry;
    glob = *after_star;
  }
  return true;
}

}  // namespace converge::checks
