#include "spec/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/text.h"
#include "spec/functions_internal.h"

namespace converge::spec {

Error invalid(std::string message, std::string hint) {
  return Error{Errc::invalid, std::move(message), {}, std::move(hint)};
}
Error too_much() { return invalid("it makes too much"); }

std::string shown(const Value& value) {
  std::string text = value.text();
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return fmt::format("the {} '{}'", value.kind(), printable(text));
}

Result<std::string> text_of(const Value& value) {
  if (value.list() != nullptr || value.map() != nullptr)
    return invalid(fmt::format("wants a text, found a {}", value.kind()));
  return value.text();
}

Result<std::int64_t> integer_of(const Value& value) {
  if (const std::int64_t* number = value.integer()) return *number;
  if (const bool* truth = value.boolean()) return static_cast<std::int64_t>(*truth);
  if (const double* real = value.number()) {
    if (std::abs(*real) < 9.2e18) return static_cast<std::int64_t>(*real);
  } else if (const std::string* text = value.string()) {
    std::int64_t parsed = 0;
    if (parse_number(*text, parsed)) return parsed;
  }
  return invalid(fmt::format("wants an integer, found {}", shown(value)));
}

Result<double> number_of(const Value& value) {
  if (const double* real = value.number()) return *real;
  if (const std::string* text = value.string()) {
    double parsed = 0;
    const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), parsed);
    if (failure == std::errc() && end == text->data() + text->size() && std::isfinite(parsed)) return parsed;
    return invalid(fmt::format("wants a number, found {}", shown(value)));
  }
  const Result<std::int64_t> integer = integer_of(value);
  if (!integer) return integer.error();
  return static_cast<double>(*integer);
}

Result<const List*> list_of(const Value& value) {
  if (const List* items = value.list()) return items;
  return invalid(fmt::format("wants a list, found {}", shown(value)));
}
Result<const Map*> map_of(const Value& value) {
  if (const Map* entries = value.map()) return entries;
  return invalid(fmt::format("wants a mapping, found {}", shown(value)));
}

Result<std::vector<std::int64_t>> integers(Arguments args) {
  std::vector<std::int64_t> out;
  for (const Value* arg : args) {
    Result<std::int64_t> number = integer_of(*arg);
    if (!number) return number.error();
    out.push_back(*number);
  }
  return out;
}

namespace {

/// What whoever evaluates may answer (Scope::outside): they look at more than their arguments, or need a library that
/// this folder does without.
constexpr Function outside_functions[] = {
    {"env", 1, 1},
    {"findStringSubmatch", 2, 2},
    {"getEnv", 1, 2},
    {"readFile", 1, 1},
    {"regexFind", 2, 2},
    {"regexFindAll", 3, 3},
    {"regexMatch", 2, 2},
    {"regexReplaceAll", 3, 3},
    {"regexReplaceAllLiteral", 3, 3},
    {"regexSplit", 3, 3},
    {"semver", 1, 1},
    {"semverCompare", 2, 2},
};
static_assert(std::is_sorted(std::begin(outside_functions), std::end(outside_functions), by_name));

std::array<std::span<const Function>, 6> families() {
  return {logic_functions(), text_functions(),  number_functions(),
          list_functions(),  sprig_functions(), outside_functions};
}

/// What a name of Sprig's stands for: its must... functions are the same with an error, which all of ours answer; its
/// os... functions are for paths of this system, which all of ours are.
std::string plain_name(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> others[] = {
      {"trimall", "trimAll"}, {"osBase", "base"}, {"osDir", "dir"}, {"osExt", "ext"}, {"osIsAbs", "isAbs"}};
  for (const auto& [alias, plain] : others)
    if (alias == name) return std::string(plain);
  std::string out(name);
  if (!out.starts_with("must") || out.size() < 5 || out[4] < 'A' || out[4] > 'Z') return out;
  out.erase(0, 4);
  out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

}  // namespace

const Function* find_function(std::string_view name) {
  const std::string plain = plain_name(name);
  for (const auto family : families()) {
    const auto found = std::lower_bound(family.begin(), family.end(), plain,
                                        [](const Function& row, std::string_view wanted) { return row.name < wanted; });
    if (found != family.end() && found->name == plain) return &*found;
  }
  return nullptr;
}

std::string_view refusal_of(std::string_view name) {
  static constexpr std::string_view random[] = {"randAlpha",
                                                "randAlphaNum",
                                                "randAscii",
                                                "randBytes",
                                                "randInt",
                                                "randNumeric",
                                                "shuffle",
                                                "uuidv4",
                                                "now",
                                                "ago",
                                                "date",
                                                "dateInZone",
                                                "date_in_zone",
                                                "date_modify",
                                                "must_date_modify",
                                                "mustDateModify",
                                                "htmlDateInZone",
                                                "toDate",
                                                "mustToDate",
                                                "htmlDate",
                                                "dateModify",
                                                "unixEpoch",
                                                "genCA",
                                                "genCAWithKey",
                                                "genPrivateKey",
                                                "genSelfSignedCert",
                                                "genSelfSignedCertWithKey",
                                                "genSignedCert",
                                                "genSignedCertWithKey",
                                                "bcrypt",
                                                "htpasswd",
                                                "encryptAES",
                                                "buildCustomCert"};
  static constexpr std::string_view outside[] = {"env",      "expandenv", "getHostByName", "getEnv",
                                                 "readFile", "lookup",    "include"};
  static constexpr std::string_view secrets[] = {"decryptAES", "derivePassword"};
  static constexpr std::string_view changing[] = {"set", "unset"};
  const auto in = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  static constexpr std::string_view expressions[] = {"findStringSubmatch", "regexFind",       "regexFindAll",
                                                     "regexMatch",         "regexReplaceAll", "regexReplaceAllLiteral",
                                                     "regexSplit",         "semver",          "semverCompare"};
  if (in(expressions)) return "is a function of gossfiles";
  if (in(random)) return "makes another value on every run, so that no run would ever be in sync";
  if (in(outside)) return "looks outside the spec and its inventory, so that two runs would not agree";
  if (in(secrets)) return "makes a secret, which has no place in a spec";
  if (name == "sha1sum") return "makes a digest nobody should trust: 'sha256sum' makes another";
  if (in(changing)) return "changes a mapping others may be using: 'merge' makes a new one";
  return {};
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const auto family : families()) {
    for (const Function& row : family) names.emplace_back(row.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_true(const Value& value) {
  if (const bool* truth = value.boolean()) return *truth;
  if (const std::int64_t* number = value.integer()) return *number != 0;
  if (const double* real = value.number()) return *real != 0;
  if (const std::string* text = value.string()) return !text->empty();
  if (const List* items = value.list()) return !items->empty();
  if (const Map* entries = value.map()) return !entries->empty();
  return false;
}

}  // namespace converge::spec
