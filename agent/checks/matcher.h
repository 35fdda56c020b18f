// Goss's matchers: what a gossfile expects of a value, parsed once and asked as often as needed.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/check.h"
#include "core/result.h"
#include "spec/value.h"

namespace converge::checks {

/// A text too long to be held: `read` hands it over in pieces until it is told to stop.
struct Text {
  std::function<Status(const std::function<bool(std::string_view)>& take)> read;
};
/// There is nothing to compare, and that is known: no matcher passes. "no answer: connection refused".
struct Nothing {
  std::string why;
  std::string goss = {};  // the same in Goss's words, where it has an error for it
};
/// What was seen of an attribute: a value, a text, nothing, or why it cannot be told.
using Actual = std::variant<spec::Value, Text, Nothing, Error>;

/// What a matcher says of a value.
struct Answer {
  Verdict verdict = Verdict::unknown;
  std::string message;        // "to equal", "not to have patterns": Goss's phrase
  spec::Value expected;       // what follows the phrase
  spec::Value actual;         // as it was compared; of a text its beginning
  spec::List missing, extra;  // of lists: not found, and not wanted
  std::string problem;        // why the matcher could not be applied (a failure), or what is unknown
  std::string hint;           // the way out of it
  std::string goss;           // the problem in Goss's words, where they are others
  std::string chain;          // "to-numeric": what became of the value before it was compared; "" for nothing
  spec::Value raw;            // that value
  bool failed_to_apply() const { return !problem.empty(); }
};

/// The check this answer is, for people: "exists is false, not true".
Check to_check(std::string property, const Answer& answer);

/// The same, part by part.
Evidence to_evidence(const Answer& answer);

/// How Go prints a value with %v; what string matchers compare.
std::string text_of(const spec::Value& value);

/// "an integer", "a list".
std::string with_article(std::string_view kind);

/// What a matcher takes: `number` a number, `count` an integer, `paths` a mapping from gjson's paths to matchers.
enum class Argument { any, text, number, count, matcher, matchers, patterns, paths, xpath };
struct MatcherName {
  std::string_view name;  // "have-prefix"
  Argument argument;
};
/// All that a mapping of one key can be.
std::vector<MatcherName> matcher_names();

class Matcher {
 public:
  /// Never fails: what is no matcher becomes one that fails with the reason, as in Goss, and a warning at its place.
  static Matcher parse(const spec::Value& expected, Diagnostics& diagnostics);
  /// The same for the value of an attribute that is a text: a list holds patterns.
  static Matcher parse_for_text(const spec::Value& expected, Diagnostics& diagnostics);

  Answer match(const Actual& actual) const;
  /// True if it asserts nothing: an empty list.
  bool is_empty() const;

  struct Node;  // of the parsed tree

 private:
  explicit Matcher(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  Answer match_text(const Text& text) const;
  std::shared_ptr<const Node> root_;
};

}  // namespace converge::checks
