#include "checks/matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "checks/gjson.h"
#include "checks/patterns.h"
#include "checks/semver.h"
#include "checks/xml.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::List;
using spec::Map;
using spec::Value;

namespace {

constexpr std::size_t longest_text = std::size_t{4} << 20U;  // held at once, for matchers that need all of it
constexpr std::size_t shown = 1024;                          // of a text, in an answer

enum class Op {
  broken,  // Node::problem
  equal_text,
  equal_number,
  equal_bool,
  equal,
  prefix,
  suffix,
  substring,
  regexp,
  number_above,
  number_at_least,
  number_below,
  number_at_most,
  length,
  key,
  element,
  elements,
  exactly,
  patterns,
  negation,
  all,
  any,
  semver,
  gjson,
  xml
};

struct Name {
  std::string_view name, phrase;
  Op op;
  Argument argument;
};
constexpr Name names[] = {
    {"equal", "to equal", Op::equal, Argument::any},
    {"have-prefix", "to have prefix", Op::prefix, Argument::text},
    {"have-suffix", "to have suffix", Op::suffix, Argument::text},
    {"contain-substring", "to contain substring", Op::substring, Argument::text},
    {"match-regexp", "to match regular expression", Op::regexp, Argument::text},
    {"gt", "to be numerically gt", Op::number_above, Argument::number},
    {"ge", "to be numerically ge", Op::number_at_least, Argument::number},
    {"lt", "to be numerically lt", Op::number_below, Argument::number},
    {"le", "to be numerically le", Op::number_at_most, Argument::number},
    {"have-len", "to have length", Op::length, Argument::count},
    {"have-key", "to have key matching", Op::key, Argument::matcher},
    {"contain-element", "to contain element matching", Op::element, Argument::matcher},
    {"contain-elements", "to contain elements matching", Op::elements, Argument::matchers},
    {"consist-of", "to consist of", Op::exactly, Argument::matchers},
    {"have-patterns", "to have patterns", Op::patterns, Argument::patterns},
    {"not", "not", Op::negation, Argument::matcher},
    {"and", "to satisfy all of these matchers", Op::all, Argument::matchers},
    {"or", "to satisfy at least one of these matchers", Op::any, Argument::matchers},
    {"semver-constraint", "to satisfy semver constraint", Op::semver, Argument::text},
    {"gjson", "to satisfy gjson", Op::gjson, Argument::paths},
    {"xml", "to satisfy xml", Op::xml, Argument::xpath},
};

std::optional<double> number_of(const Value& value) {
  if (const auto* whole = value.integer()) return static_cast<double>(*whole);
  if (const auto* real = value.number()) return *real;
  if (const auto* written = value.string()) {
    const std::string text(trim(*written));
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && end == text.c_str() + text.size()) return number;
  }
  return std::nullopt;
}

/// Filled in place: g++ 12 sees uninitialized alternatives in a moved Value.
List list_of(const std::vector<std::string>& texts) {
  List out(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) out[i].data() = texts[i];
  return out;
}

/// The elements a list matcher works on: a list, a map's values, or (for contain-element) the lines of a text.
std::optional<List> elements_of(const Value& value, bool lines) {
  if (const List* list = value.list()) return *list;
  if (const Map* map = value.map()) {
    List out;
    for (const auto& entry : *map) out.push_back(entry.value);
    return out;
  }
  if (!lines) return std::nullopt;
  std::vector<std::string> out;
  const std::string text = text_of(value);
  for (const auto line : split(text, '\n')) out.emplace_back(line);
  return list_of(out);
}

std::string cut(std::string text) {
  if (text.size() > shown) text = text.substr(0, shown) + fmt::format("... ({} bytes)", text.size());
  return text;
}

}  // namespace

struct Matcher::Node {
  Op op = Op::broken;
  std::string phrase;
  Value expected;
  Value written;  // the whole matcher, where `expected` is its argument
  std::vector<Node> parts;
  std::vector<std::string> paths;  // of gjson, one for each part
  std::string problem, goss;       // of Op::broken, in our words and in Goss's
  std::optional<Regex> regex;
  std::optional<Patterns> patterns;
  std::optional<SemverRange> range;

  Answer match(const Value& actual) const;
  Answer on_numbers(const Value& actual) const;
  Answer on_elements(const Value& actual) const;
  Answer on_patterns(const Value& actual) const;
  Answer on_semver(const Value& actual) const;
  Answer on_gjson(const Value& actual) const;
  Answer on_xml(const Value& actual) const;
  Answer on_parts(const Value& actual) const;

  Answer say(bool holds, Value seen) const {
    Answer out;
    out.verdict = holds ? Verdict::pass : Verdict::fail;
    out.message = phrase;
    out.expected = expected;
    out.actual = std::move(seen);
    return out;
  }
  Answer cannot(std::string why, Value seen, std::string in_goss_words = {}) const {
    Answer out = say(false, std::move(seen));
    out.problem = std::move(why);
    out.goss = std::move(in_goss_words);
    return out;
  }
  /// An answer about what `was` became, by Goss's transform of this name.
  Answer after(std::string_view transform, const Value& was, Answer out) const {
    if (out.verdict == Verdict::pass || was.kind() == out.actual.kind()) return out;
    out.chain = transform;
    out.raw = was;
    return out;
  }
};

namespace {

using Node = Matcher::Node;

Node parse(const Value& expected, bool of_text, Diagnostics& diagnostics);

Node broken(const Value& expected, std::string why, std::string hint, Diagnostics& diagnostics, std::string goss = {}) {
  diagnostics.push_back({expected.at(), why + ": this check will fail", std::move(hint), Severity::warning});
  Node node;
  node.op = Op::broken;
  node.phrase = "to match";
  node.expected = expected;
  node.problem = std::move(why);
  node.goss = std::move(goss);
  return node;
}

Node make(Op op, std::string_view phrase, const Value& expected) {
  Node node;
  node.op = op;
  node.phrase = phrase;
  node.expected = expected;
  return node;
}

/// The parts of a list of matchers.
Node parse_list(Op op, std::string_view name, std::string_view phrase, const Value& value, Diagnostics& diagnostics) {
  if (value.list() == nullptr)
    return broken(value, fmt::format("'{}' takes a list of matchers, not {}", name, with_article(value.kind())), {},
                  diagnostics);
  Node node = make(op, phrase, value);
  for (const Value& each : *value.list()) node.parts.push_back(parse(each, false, diagnostics));
  return node;
}

Node parse_patterns(const Value& value, Diagnostics& diagnostics) {
  Node node = make(Op::patterns, "to have patterns", value);
  std::vector<std::string> texts;
  if (const auto* one = value.string()) {
    texts.push_back(*one);
  } else if (value.list() == nullptr) {
    return broken(value, fmt::format("patterns are a list of strings, not {}", with_article(value.kind())), {},
                  diagnostics);
  }
  for (const Value& each : value.list() != nullptr ? *value.list() : List()) {
    const auto* text = each.string();
    if (text == nullptr)
      return broken(
          each, fmt::format("a pattern is a string, not {}", with_article(each.kind())),
          each.map() == nullptr ? "write it in quotes" : "matchers are no patterns: put them outside the list",
          diagnostics, "HavePatterns matcher expects patterns to be a string");
    texts.push_back(*text);
  }
  auto patterns = Patterns::parse(texts);
  if (!patterns) return broken(value, patterns.error().message, patterns.error().hint, diagnostics);
  node.patterns = *std::move(patterns);
  return node;
}

Node parse_gjson(const Value& value, Diagnostics& diagnostics) {
  Node node = make(Op::gjson, "to satisfy gjson", value);
  if (value.map() == nullptr)
    return broken(value, fmt::format("'gjson' takes a mapping of paths, not {}", with_article(value.kind())), {},
                  diagnostics);
  for (const auto& entry : *value.map()) {
    node.paths.push_back(entry.key);
    node.parts.push_back(parse(entry.value, false, diagnostics));
  }
  return node;
}

Node parse_xml(const Value& value, Diagnostics& diagnostics) {
  const Value* xpath = value.find("xpath");
  if (xpath == nullptr || xpath->string() == nullptr)
    return broken(value, "'xml' needs an 'xpath'", "write xml: {xpath: //name, result: text}", diagnostics);
  if (auto known = check_xpath(*xpath->string()); !known) return broken(*xpath, known.error().message, {}, diagnostics);
  return make(Op::xml, "to satisfy xml", value);
}

Node parse_named(const Name& row, const Value& value, Diagnostics& diagnostics) {
  switch (row.op) {
    case Op::equal:
      return make(row.op, row.phrase, value);
    case Op::prefix:
    case Op::suffix:
    case Op::substring:
    case Op::regexp:
    case Op::semver: {
      if (value.string() == nullptr)
        return broken(value, fmt::format("'{}' takes a string, not {}", row.name, with_article(value.kind())),
                      value.list() == nullptr && value.map() == nullptr ? "write it in quotes" : "", diagnostics);
      Node node = make(row.op, row.phrase, value);
      if (row.op == Op::regexp) {
        auto regex = Regex::parse(*value.string());
        if (!regex) return broken(value, regex.error().message, {}, diagnostics);
        node.regex = *std::move(regex);
      }
      if (row.op == Op::semver) {
        auto range = SemverRange::parse(*value.string());
        if (!range) return broken(value, range.error().message, range.error().hint, diagnostics);
        node.range = *std::move(range);
      }
      return node;
    }
    case Op::number_above:
    case Op::number_at_least:
    case Op::number_below:
    case Op::number_at_most:
      if (value.integer() == nullptr && value.number() == nullptr)
        return broken(value, fmt::format("'{}' takes a number, not {}", row.name, with_article(value.kind())), {},
                      diagnostics);
      return make(row.op, row.phrase, value);
    case Op::length:
      if (value.integer() == nullptr)
        return broken(value, fmt::format("'have-len' takes an integer, not {}", with_article(value.kind())), {},
                      diagnostics);
      return make(row.op, row.phrase, value);
    case Op::key:
    case Op::element:
    case Op::negation: {
      Node node = make(row.op, row.phrase, value);
      node.parts.push_back(parse(value, false, diagnostics));
      return node;
    }
    case Op::elements:
    case Op::exactly:
    case Op::all:
    case Op::any:
      return parse_list(row.op, row.name, row.phrase, value, diagnostics);
    case Op::patterns:
      return parse_patterns(value, diagnostics);
    case Op::gjson:
      return parse_gjson(value, diagnostics);
    case Op::xml:
      return parse_xml(value, diagnostics);
    case Op::broken:
    case Op::equal_text:
    case Op::equal_number:
    case Op::equal_bool:
      break;
  }
  return broken(value, fmt::format("'{}' is no matcher", row.name), {}, diagnostics);
}

Node parse_map(const Value& expected, Diagnostics& diagnostics) {
  const Map& map = *expected.map();
  if (map.size() != 1) {
    std::string found, listed;
    for (const auto& entry : map) found += fmt::format("{}'{}'", found.empty() ? "" : ", ", entry.key);
    for (const auto& entry : map) listed += (listed.empty() ? "" : " ") + spec::write_json(Value(entry.key));
    return broken(expected,
                  map.empty() ? std::string("an empty mapping is no matcher")
                              : fmt::format("only one matcher is allowed in a mapping, and there are {}", found),
                  map.empty() ? "" : "put them into a list under 'and'", diagnostics,
                  fmt::format("Syntax Error: Invalid matcher configuration. At a given nesting level, only one matcher "
                              "is allowed. Found multiple matchers: [{}]",
                              listed));
  }
  const std::string& key = map.front().key;
  for (const Name& row : names)
    if (row.name == key) return parse_named(row, map.front().value, diagnostics);
  std::vector<std::string> known;
  for (const Name& row : names) known.emplace_back(row.name);
  return broken(expected, fmt::format("unknown matcher '{}'", printable(key)), did_you_mean(key, known), diagnostics,
                fmt::format("Syntax Error: Unknown matcher: {}", key));
}

Node parse_value(const Value& expected, bool of_text, Diagnostics& diagnostics) {
  if (expected.string() != nullptr) return make(Op::equal_text, "to equal", expected);
  if (expected.integer() != nullptr || expected.number() != nullptr)
    return make(Op::equal_number, "to be numerically eq", expected);
  if (expected.boolean() != nullptr) return make(Op::equal_bool, "to equal", expected);
  if (expected.list() != nullptr) {
    if (of_text) return parse_patterns(expected, diagnostics);
    return parse_list(Op::elements, "contain-elements", "to contain elements matching", expected, diagnostics);
  }
  if (expected.map() != nullptr) return parse_map(expected, diagnostics);
  return broken(expected, "nothing is expected here", "write a value or a matcher", diagnostics,
                "Syntax Error: Missing required attribute");
}

Node parse(const Value& expected, bool of_text, Diagnostics& diagnostics) {
  Node node = parse_value(expected, of_text, diagnostics);
  node.written = expected;
  return node;
}

/// Whether each of `parts` can be given an element of its own (`fits[part]` are those it would take): augmenting paths.
struct Pairing {
  const std::vector<std::vector<std::size_t>>& fits;
  std::vector<std::optional<std::size_t>> taken_by;  // for an element
  std::vector<bool> tried;

  bool place(std::size_t part) {
    for (const std::size_t element : fits[part]) {
      if (tried[element]) continue;
      tried[element] = true;
      if (taken_by[element] && !place(*taken_by[element])) continue;
      taken_by[element] = part;
      return true;
    }
    return false;
  }
};

}  // namespace

Answer Matcher::Node::on_numbers(const Value& actual) const {
  const auto seen = number_of(actual);
  const auto wanted = number_of(expected);
  if (!seen || !wanted) return cannot(fmt::format("'{}' is no number", cut(text_of(actual))), actual);
  const bool holds = op == Op::number_above      ? *seen > *wanted
                     : op == Op::number_at_least ? *seen >= *wanted
                     : op == Op::number_below    ? *seen < *wanted
                     : op == Op::number_at_most  ? *seen <= *wanted
                                                 : *seen == *wanted;
  if (actual.string() == nullptr) return say(holds, actual);
  const bool whole = *seen == std::floor(*seen) && std::abs(*seen) < 1e15;
  return after("to-numeric", actual, say(holds, whole ? Value(static_cast<std::int64_t>(*seen)) : Value(*seen)));
}

Answer Matcher::Node::on_elements(const Value& actual) const {
  const auto elements = elements_of(actual, op == Op::element);
  if (!elements) return cannot(fmt::format("a {} has no elements: a list is needed", actual.kind()), actual);
  std::vector<std::vector<std::size_t>> fits(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::optional<std::string> why;
    for (std::size_t j = 0; j < elements->size(); ++j) {
      const Answer one = parts[i].match((*elements)[j]);
      if (one.verdict == Verdict::pass) fits[i].push_back(j);
      if (one.failed_to_apply() && !why) why = one.problem;
    }
    if (fits[i].empty() && why) return cannot(*why, actual);
  }
  if (op == Op::element) return say(!fits.front().empty(), actual);
  Pairing pairing{fits, std::vector<std::optional<std::size_t>>(elements->size()), {}};
  Answer out = say(true, actual);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    pairing.tried.assign(elements->size(), false);
    if (!pairing.place(i)) out.missing.push_back(parts[i].written);
  }
  if (op == Op::exactly)
    for (std::size_t j = 0; j < elements->size(); ++j)
      if (!pairing.taken_by[j]) out.extra.push_back((*elements)[j]);
  if (!out.missing.empty() || !out.extra.empty()) out.verdict = Verdict::fail;
  return out;
}

Answer Matcher::Node::on_patterns(const Value& actual) const {
  Patterns::Scan scan(*patterns);
  scan.take(text_of(actual));
  scan.finish();
  Answer out = say(true, actual);
  out.missing = list_of(scan.unmet());
  if (!out.missing.empty()) out.verdict = Verdict::fail;
  return out;
}

Answer Matcher::Node::on_semver(const Value& actual) const {
  std::vector<std::string> versions;
  if (const List* list = actual.list()) {
    for (const Value& each : *list) versions.push_back(text_of(each));
  } else {
    versions.push_back(text_of(actual));
  }
  bool holds = true;
  for (const std::string& text : versions) {
    const auto version = Semver::parse(trim(text));
    if (!version) return cannot(version.error().message, actual);
    holds = holds && range->contains(*version);
  }
  return say(holds, actual);
}

Answer Matcher::Node::on_gjson(const Value& actual) const {
  const std::string text = text_of(actual);
  const auto document = Json::parse(text);
  if (!document) return cannot(document.error().message, Value(cut(text)));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto found = document->get(paths[i]);
    if (!found) return cannot(found.error().message, Value(cut(text)));
    if (!*found)
      return cannot(fmt::format("path not found: {}", paths[i]), Value(cut(text)),
                    fmt::format("Path not found: {}", paths[i]));
    Answer out = parts[i].match(**found);
    if (out.verdict == Verdict::pass) continue;
    out.message = fmt::format("at '{}' {}", paths[i], out.message);
    return out;
  }
  return say(true, Value(cut(text)));
}

Answer Matcher::Node::on_xml(const Value& actual) const {
  const std::string text = text_of(actual);
  const auto found = ask_xpath(text, *expected.find("xpath")->string());
  if (!found) return cannot(found.error().message, Value(cut(text)));
  const Value* result = expected.find("result");
  if (result == nullptr || result->is_null() || (result->string() != nullptr && result->string()->empty()))
    return say(*found && !((*found)->boolean() != nullptr && !*(*found)->boolean()), Value(cut(text)));
  if (!*found) return cannot(fmt::format("no node at '{}'", *expected.find("xpath")->string()), Value(cut(text)));
  if (const auto number = number_of(*result); number && (*found)->number() != nullptr)
    return say(*number == *(*found)->number(), **found);
  return say(text_of(**found) == text_of(*result), **found);
}

Answer Matcher::Node::on_parts(const Value& actual) const {
  if (op == Op::negation) {
    Answer out = parts.front().match(actual);
    if (out.failed_to_apply()) return out;
    out.verdict = out.verdict == Verdict::pass ? Verdict::fail : Verdict::pass;
    out.message = "not " + out.message;
    out.missing.clear();
    out.extra.clear();
    return out;
  }
  for (const Node& part : parts) {
    const Answer one = part.match(actual);
    if (op == Op::all && one.verdict != Verdict::pass) return one;
    if (op == Op::any && (one.failed_to_apply() || one.verdict == Verdict::pass)) {
      if (one.failed_to_apply()) return one;
      return say(true, actual);
    }
  }
  return say(op == Op::all, actual);
}

Answer Matcher::Node::match(const Value& actual) const {
  switch (op) {
    case Op::broken:
      return cannot(problem, actual, goss);
    case Op::equal_text:
      return after("to-string", actual, say(text_of(actual) == *expected.string(), Value(text_of(actual))));
    case Op::equal_number:
    case Op::number_above:
    case Op::number_at_least:
    case Op::number_below:
    case Op::number_at_most:
      return on_numbers(actual);
    case Op::equal_bool:
    case Op::equal:
      return say(actual.same_as(expected), actual);
    case Op::prefix:
      return say(text_of(actual).starts_with(*expected.string()), Value(cut(text_of(actual))));
    case Op::suffix:
      return say(text_of(actual).ends_with(*expected.string()), Value(cut(text_of(actual))));
    case Op::substring:
      return say(find_bytes(text_of(actual), *expected.string()) != std::string::npos, Value(cut(text_of(actual))));
    case Op::regexp:
      return say(regex->matches(text_of(actual)), Value(cut(text_of(actual))));
    case Op::length: {
      const auto wanted = *expected.integer();
      if (const auto* text = actual.string()) return say(std::cmp_equal(text->size(), wanted), actual);
      if (const auto* list = actual.list()) return say(std::cmp_equal(list->size(), wanted), actual);
      if (const auto* map = actual.map()) return say(std::cmp_equal(map->size(), wanted), actual);
      return cannot(fmt::format("a {} has no length", actual.kind()), actual);
    }
    case Op::key: {
      const Map* map = actual.map();
      if (map == nullptr) return cannot(fmt::format("a {} has no keys", actual.kind()), actual);
      const bool any = std::any_of(map->begin(), map->end(), [&](const spec::Entry& entry) {
        return parts.front().match(Value(entry.key)).verdict == Verdict::pass;
      });
      return say(any, actual);
    }
    case Op::element:
    case Op::elements:
    case Op::exactly:
      return on_elements(actual);
    case Op::patterns:
      return on_patterns(actual);
    case Op::negation:
    case Op::all:
    case Op::any:
      return on_parts(actual);
    case Op::semver:
      return on_semver(actual);
    case Op::gjson:
      return on_gjson(actual);
    case Op::xml:
      return on_xml(actual);
  }
  return cannot("this matcher is not known", actual);
}

std::string text_of(const Value& value) {
  if (const List* list = value.list()) {
    std::string out;
    for (const Value& each : *list) out += (out.empty() && &each == &list->front() ? "" : "\n") + text_of(each);
    return out;
  }
  if (const auto* real = value.number()) return fmt::format("{}", *real);
  return value.text();
}

Matcher Matcher::parse(const Value& expected, Diagnostics& diagnostics) {
  return Matcher(std::make_shared<const Node>(checks::parse(expected, false, diagnostics)));
}

Matcher Matcher::parse_for_text(const Value& expected, Diagnostics& diagnostics) {
  return Matcher(std::make_shared<const Node>(checks::parse(expected, true, diagnostics)));
}

bool Matcher::is_empty() const { return root_->expected.list() != nullptr && root_->expected.list()->empty(); }

Answer Matcher::match_text(const Text& text) const {
  const auto unknown = [&](const Error& error) {
    Answer out;
    out.message = root_->phrase;
    out.expected = root_->expected;
    out.problem = error.text();
    out.hint = error.hint;
    return out;
  };
  if (root_->op == Op::patterns) {
    if (is_empty()) return root_->say(true, Value(std::string("(not read)")));
    Patterns::Scan scan(*root_->patterns);
    std::string head;
    const Status read = text.read([&](std::string_view piece) {
      if (head.size() <= shown) head += piece.substr(0, shown + 1 - head.size());
      return scan.take(piece);
    });
    if (!read) return unknown(read.error());
    if (scan.gave_up())
      return unknown(
          Error{Errc::too_big, "it has a line longer than 1 MiB", {}, "search it with a command of your own"});
    scan.finish();
    Answer out = root_->say(true, Value(cut(std::move(head))));
    out.missing = list_of(scan.unmet());
    if (!out.missing.empty()) out.verdict = Verdict::fail;
    return out;
  }
  if (root_->op == Op::substring) {
    // The end of one piece may be the beginning of the word.
    const std::string& word = *root_->expected.string();
    std::string rest, head;
    bool found = word.empty();
    const Status read = text.read([&](std::string_view piece) {
      if (head.size() <= shown) head += piece.substr(0, shown + 1 - head.size());
      if (!rest.empty()) {
        rest += piece.substr(0, std::min(piece.size(), word.size()));
        found = found || find_bytes(rest, word) != std::string::npos;
      }
      found = found || find_bytes(piece, word) != std::string::npos;
      if (piece.size() >= word.size()) rest.clear();
      rest += piece.substr(piece.size() - std::min(piece.size(), word.size() - std::min<std::size_t>(word.size(), 1)));
      return !found;
    });
    if (!read) return unknown(read.error());
    return root_->say(found, Value(cut(std::move(head))));
  }
  std::string all;
  bool too_long = false;
  const Status read = text.read([&](std::string_view piece) {
    too_long = all.size() + piece.size() > longest_text;
    if (!too_long) all += piece;
    return !too_long;
  });
  if (!read) return unknown(read.error());
  if (too_long) {
    return unknown(Error{Errc::too_big,
                         "it is longer than 4 MiB, and this matcher needs all of it",
                         {},
                         "give a list of patterns: lines are searched in texts of any length"});
  }
  Answer out = root_->match(Value(std::move(all)));
  if (const auto* seen = out.actual.string(); seen != nullptr && seen->size() > shown) out.actual.data() = cut(*seen);
  return out;
}

std::vector<MatcherName> matcher_names() {
  std::vector<MatcherName> out;
  for (const Name& row : names) out.push_back({row.name, row.argument});
  return out;
}

Answer Matcher::match(const Actual& actual) const {
  if (const auto* text = std::get_if<Text>(&actual)) return match_text(*text);
  if (const auto* error = std::get_if<Error>(&actual)) {
    Answer out;
    out.message = root_->phrase;
    out.expected = root_->expected;
    out.problem = error->text();
    out.hint = error->hint;
    return out;
  }
  if (const auto* nothing = std::get_if<Nothing>(&actual)) {
    Answer out = root_->say(false, Value(nothing->why));
    out.goss = nothing->goss;
    return out;
  }
  return root_->match(std::get<Value>(actual));
}

namespace {
/// A value as one reads it in a sentence: strings without quotes when they are one plain line.
std::string plain(const Value& value) {
  if (const auto* text = value.string()) {
    const bool simple = !text->empty() && text->find('\n') == std::string::npos && trim(*text) == *text;
    return simple ? printable(*text) : spec::write_json(value);
  }
  return spec::write_json(value);
}
}  // namespace

namespace {
/// How a sentence goes on after "is X, not": Goss's phrase for what is expected, as a noun.
std::string expectation(const Answer& answer) {
  struct Words {
    std::string_view phrase, noun;
  };
  static constexpr Words words[] = {
      {"to be numerically eq", ""},
      {"to be numerically gt", "> "},
      {"to be numerically ge", ">= "},
      {"to be numerically lt", "< "},
      {"to be numerically le", "<= "},
      {"to equal", ""},
      {"to match", "matching "},
      {"to have prefix", "with prefix "},
      {"to have suffix", "with suffix "},
      {"to contain substring", "containing "},
      {"to match regular expression", "matching "},
      {"to have length", "of length "},
      {"to have key matching", "with key "},
      {"to contain element matching", "with element "},
      {"to contain elements matching", "with elements "},
      {"to consist of", "exactly "},
      {"to have patterns", "with "},
      {"to satisfy all of these matchers", "all of "},
      {"to satisfy at least one of these matchers", "any of "},
      {"to satisfy semver constraint", "in range "},
      {"to satisfy gjson", "with gjson "},
      {"to satisfy xml", "with xml "},
  };
  std::string_view phrase = answer.message;
  std::string out, place;
  if (phrase.starts_with("at ")) {
    const auto end = phrase.rfind("' ") + 2;
    place = " " + std::string(phrase.substr(0, end - 1));
    phrase.remove_prefix(end);
  }
  while (phrase.starts_with("not ")) {
    out += "anything but ";
    phrase.remove_prefix(4);
  }
  std::string_view noun = phrase;
  for (const auto& row : words)
    if (row.phrase == phrase) noun = row.noun;
  // 42 and "42" differ, and must not read alike.
  const bool alike = answer.actual.kind() != answer.expected.kind() && plain(answer.actual) == plain(answer.expected);
  return out + std::string(noun) + (alike ? spec::write_json(answer.expected) : plain(answer.expected)) + place;
}
}  // namespace

Check to_check(std::string property, const Answer& answer) {
  Check check;
  check.property = std::move(property);
  check.verdict = answer.verdict;
  check.expected = expectation(answer);
  const bool alike = answer.verdict != Verdict::pass && plain(answer.actual) == plain(answer.expected);
  check.actual = answer.verdict == Verdict::unknown ? "unknown"
                 : alike                            ? spec::write_json(answer.actual)
                                                    : plain(answer.actual);
  const auto add = [&](const std::string& text) { check.detail += (check.detail.empty() ? "" : "; ") + text; };
  if (!answer.problem.empty()) add(answer.problem);
  if (!answer.missing.empty()) add("missing: " + spec::write_json(Value(answer.missing)));
  if (!answer.extra.empty()) add("not wanted: " + spec::write_json(Value(answer.extra)));
  if (!answer.hint.empty()) add(answer.hint);
  return check;
}

Evidence to_evidence(const Answer& answer) {
  Evidence out;
  out.message = answer.message;
  out.expected = spec::write_json(answer.expected);
  out.actual = spec::write_json(answer.actual);
  if (!answer.missing.empty()) out.missing = spec::write_json(Value(answer.missing));
  if (!answer.extra.empty()) out.extra = spec::write_json(Value(answer.extra));
  if (!answer.chain.empty()) {
    out.chain = fmt::format("[{{\"{}\":{{}}}}]", answer.chain);
    out.raw = spec::write_json(answer.raw);
  }
  out.problem = answer.goss.empty() ? answer.problem : answer.goss;
  out.more = answer.hint;
  return out;
}

std::string with_article(std::string_view kind) { return fmt::format("{} {}", kind == "integer" ? "an" : "a", kind); }

}  // namespace converge::checks
