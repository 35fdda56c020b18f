#include "core/diagnostic.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"

namespace converge {
namespace {

constexpr std::size_t widest = 160;

std::string_view line_of(const Source& source, int line) {
  std::string_view rest = source.text;
  for (int i = 1; i < line; ++i) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  return without_ending(rest.substr(0, std::min(rest.find('\n'), rest.size())));
}

/// `line` without what follows a key that may be a secret's: a mistake in a line must not publish the rest of it. Also
/// for misspelt keys, which is why words are looked for and not names.
std::string without_secret(std::string_view line) {
  const std::string low = lower(line);
  for (const std::string_view word : {"passw", "passphrase", "secret", "token", "auth:", "auth\":", "auth':"}) {
    const std::size_t at = low.find(word);
    const std::size_t colon = at == std::string::npos ? at : line.find(':', at);
    if (colon == std::string_view::npos || trim(line.substr(colon + 1)).empty()) continue;
    return std::string(line.substr(0, colon + 1)) + " (sensitive)";
  }
  return std::string(line);
}

/// Edits (insert, delete, replace, swap of neighbours) between two words; case differences are free.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::string x = lower(a), y = lower(b);
  std::vector<std::vector<std::size_t>> d(x.size() + 1, std::vector<std::size_t>(y.size() + 1));
  for (std::size_t i = 0; i <= x.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= y.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= x.size(); ++i)
    for (std::size_t j = 1; j <= y.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (x[i - 1] == y[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[x.size()][y.size()];
}

}  // namespace

std::string SourcePos::text() const {
  if (source == nullptr) return "-";
  std::string out = printable(source->name);
  if (line == 0) return out;
  // Asked for every step of a run: fmt::format would take three times as long.
  out.append(1, ':').append(std::to_string(line)).append(1, ':').append(std::to_string(column));
  return out;
}

std::string render(const Diagnostic& diagnostic) {
  const std::string_view severity = diagnostic.severity == Severity::error ? "error" : "warning";
  std::string out;
  if (diagnostic.at.source != nullptr) out += diagnostic.at.text() + ": ";
  out += fmt::format("{}: {}\n", severity, printable(diagnostic.message));
  if (diagnostic.at.source != nullptr && diagnostic.at.line > 0) {
    const std::string whole = without_secret(line_of(*diagnostic.at.source, diagnostic.at.line));
    const std::string_view line = whole;
    auto column = static_cast<std::size_t>(std::max(diagnostic.at.column - 1, 0));
    column = std::min(column, line.size());
    std::size_t start = 0;
    if (line.size() > widest) start = column > widest / 2 ? column - widest / 2 : 0;
    const std::string_view shown = line.substr(start, widest);
    const std::string number = fmt::format("{:>5}", diagnostic.at.line);
    // The caret stands under what the terminal shows, which is wider where something was escaped.
    std::string indent;
    for (const char c : printable(shown.substr(0, column - start)))
      if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) indent += ' ';
    out += fmt::format("{} | {}\n{:>5} | {}^\n", number, printable(shown), "", indent);
  }
  if (!diagnostic.hint.empty()) out += fmt::format("        {}\n", printable(diagnostic.hint));
  return out;
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > 64) return std::nullopt;  // no name of ours is; the table would only grow
  const std::size_t near = word.size() <= 4 ? 1 : 2;
  const std::string* best = nullptr;
  std::size_t least = near + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > word.size() + near || word.size() > candidate.size() + near) continue;
    const std::size_t d = distance(word, candidate);
    if (d < least) {
      least = d;
      best = &candidate;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const auto found = nearest(word, candidates);
  return found ? fmt::format("did you mean '{}'?", printable(*found)) : std::string{};
}

}  // namespace converge
