#include "checks/patterns.h"

#include <fmt/format.h>
#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/text.h"

namespace converge::checks {
namespace {

constexpr std::size_t longest_line = std::size_t{1} << 20U;

char folded(char c) { return static_cast<char>(static_cast<unsigned char>(c) | 0x20U); }

/// As std::string_view::find, by comparing the first and the last byte of `needle` at 16 places at a time. With `fold`,
/// bytes are compared without bit 5: letters of either case are equal (and some signs too: a filter, no answer).
template <bool fold>
std::size_t find_fast(std::string_view text, std::string_view needle, std::size_t from) {
  const auto equal = [&](std::size_t at) {
    if constexpr (!fold) return std::memcmp(text.data() + at, needle.data(), needle.size()) == 0;
    for (std::size_t i = 0; i < needle.size(); ++i)
      if (folded(text[at + i]) != folded(needle[i])) return false;
    return true;
  };
  if (needle.empty()) return from <= text.size() ? from : std::string_view::npos;
  if (needle.size() > text.size()) return std::string_view::npos;
  const std::size_t last = text.size() - needle.size();
  std::size_t at = from;
#ifdef __SSE2__
  const auto bit = _mm_set1_epi8(0x20);
  const auto first_byte = _mm_set1_epi8(fold ? folded(needle.front()) : needle.front());
  const auto last_byte = _mm_set1_epi8(fold ? folded(needle.back()) : needle.back());
  const auto load = [&](std::size_t place) {
    auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + place));
    if constexpr (fold) block = _mm_or_si128(block, bit);
    return block;
  };
  const std::size_t tail = needle.size() - 1;
  const auto candidates = [&](std::size_t place) {
    return _mm_and_si128(_mm_cmpeq_epi8(load(place), first_byte), _mm_cmpeq_epi8(load(place + tail), last_byte));
  };
  const auto search = [&](std::size_t place, __m128i hits) {
    for (auto mask = static_cast<unsigned>(_mm_movemask_epi8(hits)); mask != 0; mask &= mask - 1) {
      const std::size_t found = place + static_cast<std::size_t>(__builtin_ctz(mask));
      if (equal(found)) return found;
    }
    return std::string_view::npos;
  };
  for (; at + 63 + tail < text.size(); at += 64) {
    const auto a = candidates(at), b = candidates(at + 16), c = candidates(at + 32), d = candidates(at + 48);
    if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) == 0) continue;
    for (const auto& [offset, hits] : {std::pair(0, a), std::pair(16, b), std::pair(32, c), std::pair(48, d)})
      if (const auto found = search(at + static_cast<std::size_t>(offset), hits); found != std::string_view::npos)
        return found;
  }
#endif
  for (; at <= last; ++at)
    if ((fold ? folded(text[at]) == folded(needle[0]) : text[at] == needle[0]) && equal(at)) return at;
  return std::string_view::npos;
}

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// The line of `text` that holds the byte at `at`.
std::pair<std::size_t, std::size_t> line_around(std::string_view text, std::size_t at) {
  const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  return {begin, std::min(text.find('\n', at), text.size())};
}

}  // namespace

std::size_t find_bytes(std::string_view text, std::string_view needle) { return find_fast<false>(text, needle, 0); }

struct Regex::Compiled {
  explicit Compiled(const RE2::Options& options, std::string_view text)
      : regex(re2::StringPiece(text.data(), text.size()), options) {}
  RE2 regex;
  std::vector<std::string> atoms;  // a text without any of these (in any case) has no match; empty: nothing is known
};

Result<Regex> Regex::parse(std::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  auto compiled = std::make_shared<Compiled>(options, text);
  if (!compiled->regex.ok())
    return Error{Errc::invalid,
                 fmt::format("'{}' is no regular expression: {}", printable(text), compiled->regex.error()),
                 {},
                 {}};
  re2::FilteredRE2 filter(3);
  int id = 0;
  if (filter.Add(re2::StringPiece(text.data(), text.size()), options, &id) == RE2::NoError)
    filter.Compile(&compiled->atoms);
  // What can match without any of them makes them useless as a filter.
  std::vector<int> possible;
  filter.AllPotentials({}, &possible);
  if (!possible.empty()) compiled->atoms.clear();
  Regex out;
  out.compiled_ = std::move(compiled);
  return out;
}

bool Regex::matches(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), compiled_->regex);
}

std::vector<std::pair<std::string, std::string>> Regex::submatches(std::string_view text) const {
  const RE2& regex = compiled_->regex;
  const auto count = static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1;
  std::vector<re2::StringPiece> found(count);
  const re2::StringPiece all(text.data(), text.size());
  std::vector<std::pair<std::string, std::string>> out;
  if (!regex.Match(all, 0, text.size(), RE2::UNANCHORED, found.data(), static_cast<int>(count))) return out;
  const auto& names = regex.CapturingGroupNames();
  for (std::size_t i = 0; i < count; ++i) {
    const auto name = names.find(static_cast<int>(i));
    out.emplace_back(name == names.end() ? fmt::format("{}", i) : name->second, std::string(found[i]));
  }
  return out;
}

std::optional<std::pair<std::size_t, std::size_t>> Regex::find(std::string_view text, std::size_t from) const {
  const re2::StringPiece all(text.data(), text.size());
  re2::StringPiece found;
  if (from > text.size() || !compiled_->regex.Match(all, from, text.size(), RE2::UNANCHORED, &found, 1))
    return std::nullopt;
  const auto begin = static_cast<std::size_t>(found.data() - text.data());
  return std::pair(begin, begin + found.size());
}

std::string Regex::replace_all(std::string_view text, std::string_view by) const {
  const RE2& regex = compiled_->regex;
  // RE2 writes \1 where Go writes $1.
  std::string rewrite;
  for (std::size_t i = 0; i < by.size(); ++i) {
    if (by[i] == '\\') {
      rewrite += "\\\\";
      continue;
    }
    if (by[i] != '$' || i + 1 >= by.size()) {
      rewrite += by[i];
      continue;
    }
    if (by[i + 1] == '$') {  // stands for one
      rewrite += by[i++];
      continue;
    }
    const bool braces = by[i + 1] == '{';
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < by.size() && (std::isalnum(static_cast<unsigned char>(by[end])) != 0 || by[end] == '_')) ++end;
    const std::string name(by.substr(begin, end - begin));
    const auto known = regex.NamedCapturingGroups().find(name);
    if (known != regex.NamedCapturingGroups().end())
      rewrite += fmt::format("\\{}", known->second);
    else if (name.size() == 1 && name[0] >= '0' && name[0] <= '9' && name[0] - '0' <= regex.NumberOfCapturingGroups())
      rewrite += "\\" + name;
    i = braces && end < by.size() ? end : end - 1;
  }
  std::string out(text);
  RE2::GlobalReplace(&out, regex, rewrite);
  return out;
}

Result<Patterns> Patterns::parse(const std::vector<std::string>& texts) {
  Patterns out;
  for (const std::string& written : texts) {
    Pattern pattern;
    pattern.written = written;
    std::string_view text = written;
    if (text.starts_with('!')) {
      pattern.absent = true;
      text.remove_prefix(1);
    }
    // "/re/" and "/re/flags"
    const std::size_t slash = text.rfind('/');
    const bool closed = text.starts_with('/') && slash > 0 && slash != std::string_view::npos;
    const std::string_view flags = closed ? text.substr(slash + 1) : std::string_view();
    if (closed && flags.find_first_not_of("ims") == std::string_view::npos) {
      std::string expression(text.substr(1, slash - 1));
      if (!flags.empty()) expression = fmt::format("(?{}){}", flags, expression);
      auto regex = Regex::parse(expression);
      if (!regex) return std::move(regex).error();
      pattern.regex = *std::move(regex);
    } else {
      // An escape, and every sign that could have had a meaning after it.
      if (text.starts_with('\\')) text.remove_prefix(std::min(text.find_first_not_of("\\/!"), text.size()));
      pattern.literal = std::string(text);
    }
    out.patterns_.push_back(std::move(pattern));
  }
  return out;
}

Patterns::Scan::Scan(const Patterns& patterns)
    : patterns_(&patterns), found_(patterns.patterns_.size()), open_(found_.size()) {
  decided_ = open_ == 0;
}

void Patterns::Scan::scan(std::string_view lines) {
  if (lines.empty()) return;
  for (std::size_t i = 0; i < found_.size() && !decided_; ++i) {
    if (found_[i]) continue;
    const Pattern& pattern = patterns_->patterns_[i];
    bool found = false;
    if (!pattern.regex) {
      // A literal with a newline lies in no line; a literal never ends in the "\r" that is no part of it.
      for (std::size_t at = 0; !found && pattern.literal.find('\n') == std::string::npos;) {
        at = find_fast<false>(lines, pattern.literal, at);
        if (at == std::string_view::npos) break;
        const std::size_t end = at + pattern.literal.size();
        const bool into_cr = pattern.literal.ends_with('\r') && (end == lines.size() || lines[end] == '\n');
        found = !into_cr;
        at = end;
      }
    } else {
      const auto& atoms = pattern.regex->compiled_->atoms;
      std::size_t from = 0;
      while (!found && from < lines.size()) {
        std::size_t candidate = atoms.empty() ? from : std::string_view::npos;
        for (const std::string& atom : atoms) {
          const auto at = find_fast<true>(lines.substr(0, candidate), atom, from);
          candidate = std::min(candidate, at);
        }
        if (candidate == std::string_view::npos) break;
        const auto [begin, end] = line_around(lines, candidate);
        found = pattern.regex->matches(without_cr(lines.substr(begin, end - begin)));
        from = end + 1;
      }
    }
    if (!found) continue;
    found_[i] = true;
    --open_;
    // One line that must not be there settles it.
    decided_ = pattern.absent || open_ == 0;
  }
}

bool Patterns::Scan::take(std::string_view piece) {
  if (decided_ || gave_up_) return false;
  const std::size_t last = piece.rfind('\n');
  if (last == std::string_view::npos) {
    rest_ += piece;
    gave_up_ = rest_.size() > longest_line;
    return !gave_up_;
  }
  if (!rest_.empty()) {
    const std::size_t first = piece.find('\n');
    rest_ += piece.substr(0, first + 1);
    scan(rest_);
    rest_.clear();
    scan(piece.substr(first + 1, last - first));
  } else {
    scan(piece.substr(0, last + 1));
  }
  rest_ = piece.substr(last + 1);
  gave_up_ = !decided_ && rest_.size() > longest_line;
  return !decided_ && !gave_up_;
}

void Patterns::Scan::finish() {
  if (!decided_ && !gave_up_) scan(rest_);
  rest_.clear();
}

std::vector<std::string> Patterns::Scan::unmet() const {
  std::vector<std::string> out;
  // A line that must not be there ended the search: what was not found before it may well be there.
  const bool ended = decided_ && open_ != 0;
  for (std::size_t i = 0; i < found_.size(); ++i)
    if (found_[i] == patterns_->patterns_[i].absent && (found_[i] || !ended))
      out.push_back(patterns_->patterns_[i].written);
  return out;
}

std::vector<std::string> Patterns::Scan::met() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < found_.size(); ++i)
    if (found_[i] != patterns_->patterns_[i].absent) out.push_back(patterns_->patterns_[i].written);
  return out;
}

}  // namespace converge::checks
