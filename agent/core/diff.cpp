// Unified diffs, as diff -u prints them. Files here are configuration: small. Myers' O(ND) walk, bounded.
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "core/text.h"

namespace converge {
namespace {

using Lines = std::vector<std::string_view>;
struct Edit {
  char kind;  // ' ', '-', '+'
  std::size_t before, after;
};

constexpr std::size_t max_lines = 4000;
constexpr std::ptrdiff_t max_edits = 400;  // beyond this the middle is shown as replaced whole

/// The edits that turn `a` into `b`, which share neither their first nor their last line.
std::vector<Edit> middle(const Lines& a, const Lines& b, std::size_t offset) {
  const auto n = static_cast<std::ptrdiff_t>(a.size()), m = static_cast<std::ptrdiff_t>(b.size());
  const std::ptrdiff_t limit = std::min(n + m, max_edits);
  std::vector<std::ptrdiff_t> reach(static_cast<std::size_t>(2 * limit + 3), 0);
  const auto slot = [&](std::ptrdiff_t k) -> std::ptrdiff_t& { return reach[static_cast<std::size_t>(k + limit + 1)]; };
  std::vector<std::vector<std::ptrdiff_t>> trace;
  std::vector<Edit> edits;
  const auto at = [](std::ptrdiff_t i) { return static_cast<std::size_t>(i); };

  for (std::ptrdiff_t d = 0; d <= limit; ++d) {
    trace.push_back(reach);
    for (std::ptrdiff_t k = -d; k <= d; k += 2) {
      std::ptrdiff_t x = (k == -d || (k != d && slot(k - 1) < slot(k + 1))) ? slot(k + 1) : slot(k - 1) + 1;
      while (x < n && x - k < m && x - k >= 0 && a[at(x)] == b[at(x - k)]) ++x;
      slot(k) = x;
      if (x < n || x - k < m) continue;
      for (std::ptrdiff_t step = d, px = n, py = m; step >= 0; --step) {
        const auto& old = trace[at(step)];
        const auto was = [&](std::ptrdiff_t i) { return old[at(i + limit + 1)]; };
        const std::ptrdiff_t diagonal = px - py;
        const bool down = diagonal == -step || (diagonal != step && was(diagonal - 1) < was(diagonal + 1));
        const std::ptrdiff_t from = down ? diagonal + 1 : diagonal - 1;
        const std::ptrdiff_t sx = step == 0 ? 0 : was(from), sy = step == 0 ? 0 : sx - from;
        while (px > sx && py > sy) {
          --px, --py;
          edits.push_back({' ', at(px) + offset, at(py) + offset});
        }
        if (step == 0) break;
        if (down)
          edits.push_back({'+', at(px) + offset, at(--py) + offset});
        else
          edits.push_back({'-', at(--px) + offset, at(py) + offset});
      }
      std::reverse(edits.begin(), edits.end());
      return edits;
    }
  }
  for (std::size_t i = 0; i < a.size(); ++i) edits.push_back({'-', i + offset, offset});
  for (std::size_t i = 0; i < b.size(); ++i) edits.push_back({'+', a.size() + offset, i + offset});
  return edits;
}

std::vector<Edit> edits_between(const Lines& a, const Lines& b) {
  std::size_t head = 0, tail = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  std::vector<Edit> edits;
  for (std::size_t i = 0; i < head; ++i) edits.push_back({' ', i, i});
  const auto cut = [&](const Lines& lines) {
    return Lines(lines.begin() + static_cast<std::ptrdiff_t>(head), lines.end() - static_cast<std::ptrdiff_t>(tail));
  };
  for (const Edit& edit : middle(cut(a), cut(b), head)) edits.push_back(edit);
  for (std::size_t i = 0; i < tail; ++i) edits.push_back({' ', a.size() - tail + i, b.size() - tail + i});
  return edits;
}

std::string range(std::size_t start, std::size_t length) {
  return length == 1 ? fmt::format("{}", start + 1) : fmt::format("{},{}", length == 0 ? start : start + 1, length);
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after, std::string_view label) {
  return unified_diff(before, after, label, label, 3);
}

std::string unified_diff(std::string_view before, std::string_view after, std::string_view label,
                         std::string_view other_label, std::size_t context) {
  if (before == after) return {};
  const Lines a = split_lines(before), b = split_lines(after);
  std::string out = fmt::format("--- {}\n+++ {}\n", printable(label), printable(other_label));
  if (a.size() > max_lines || b.size() > max_lines)
    return out + fmt::format("  {} lines become {} lines\n", a.size(), b.size());
  const std::vector<Edit> edits = edits_between(a, b);

  for (std::size_t i = 0; i < edits.size();) {
    if (edits[i].kind == ' ') {
      ++i;
      continue;
    }
    const std::size_t first = i - std::min(i, context);
    std::size_t last = i;  // the last changed edit of this hunk
    for (std::size_t j = i; j < edits.size() && j <= last + 2 * context; ++j)
      if (edits[j].kind != ' ') last = j;
    const std::size_t end = std::min(edits.size(), last + context + 1);
    std::size_t removed = 0, added = 0;
    std::string body;
    for (std::size_t j = first; j < end; ++j) {
      const std::string_view line = edits[j].kind == '+' ? b[edits[j].after] : a[edits[j].before];
      removed += edits[j].kind != '+';
      added += edits[j].kind != '-';
      body += edits[j].kind;
      body += printable(without_ending(line), true);
      body += line.back() == '\n' ? "\n" : "\n\\ No newline at end of file\n";
    }
    out += fmt::format("@@ -{} +{} @@\n", range(edits[first].before, removed), range(edits[first].after, added)) + body;
    i = end;
  }
  return out;
}

}  // namespace converge
