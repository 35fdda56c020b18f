// Regular expressions (RE2, the dialect of Go's regexp), and Goss's patterns over the lines of a text of any length.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace converge::checks {

/// A compiled regular expression; matches anywhere in a text unless it is anchored.
class Regex {
 public:
  /// Errc::invalid with RE2's own words.
  static Result<Regex> parse(std::string_view text);
  bool matches(std::string_view text) const;
  /// The first match and its groups: by name, or by number ("0" is all of it). Empty: there is no match.
  std::vector<std::pair<std::string, std::string>> submatches(std::string_view text) const;
  /// Where the first match at or after `from` begins and ends; nullopt: there is none.
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t from) const;
  /// Every match replaced; "$1" or "${name}" in `by` stand for groups.
  std::string replace_all(std::string_view text, std::string_view by) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  friend class Patterns;
};

/// Patterns that some line of a text must have, or none: `foo` (a line contains foo), `!foo`, `/re/`, `/re/ims`,
/// `!/re/`; a leading `\` takes the meaning of `!` and `/` away. A line's "\n" or "\r\n" is no part of it.
class Patterns {
 public:
  /// Errc::invalid names the pattern that is no regular expression.
  static Result<Patterns> parse(const std::vector<std::string>& texts);

  /// One pass over one text. Give it every piece in order, then finish().
  class Scan {
   public:
    explicit Scan(const Patterns& patterns);
    /// False when what is still to come cannot change the answer.
    bool take(std::string_view piece);
    void finish();
    /// The patterns, as written, that do not hold; in the order given. Empty: all hold.
    std::vector<std::string> unmet() const;
    /// Some pattern was written that the text has, by its index; for "found".
    std::vector<std::string> met() const;
    /// Set when a line was too long (1 MiB) to be held: the answer is not known.
    bool gave_up() const { return gave_up_; }

   private:
    void scan(std::string_view lines);

    const Patterns* patterns_;
    std::vector<bool> found_;
    std::size_t open_ = 0;  // patterns not found yet
    std::string rest_;      // the beginning of a line whose end has not come yet
    bool gave_up_ = false, decided_ = false;
  };

 private:
  struct Pattern {
    std::string written;
    bool absent = false;
    std::string literal;  // of a plain pattern
    std::optional<Regex> regex;
  };
  std::vector<Pattern> patterns_;
};

/// The first place of `needle` in `text`, several bytes at a time; npos if there is none. "" is found at 0.
std::size_t find_bytes(std::string_view text, std::string_view needle);

}  // namespace converge::checks
