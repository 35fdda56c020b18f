#include "checks/template_functions.h"

#include <fmt/format.h>

#include <algorithm>

#include "checks/patterns.h"
#include "checks/semver.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

using Arguments = std::span<const Value* const>;

std::optional<std::string> variable(const GossfileInput& input, std::string_view name) {
  for (const auto& [key, value] : input.commands.environment)
    if (key == name) return value;
  return std::nullopt;
}

/// "v1.2" as "1.2.0": Sprig's versions may be incomplete.
std::string completed(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto end = std::min(text.find_first_of("-+"), text.size());
  std::string out(text.substr(0, end));
  for (auto dots = std::count(out.begin(), out.end(), '.'); dots < 2; ++dots) out += ".0";
  return out + std::string(text.substr(end));
}

/// Sprig's constraints ("^1.2", "~1.2.3", ">= 1.2, < 2") in the words of SemverRange.
Result<SemverRange> sprig_range(std::string_view text) {
  std::string out, sign;
  std::string words(text);
  for (char& c : words)
    if (c == ',') c = ' ';
  for (const auto word : fields(words)) {
    if (word == "||") {
      out += " ||";
      continue;
    }
    const auto digits = std::min(word.find_first_not_of("<>=!^~"), word.size());
    sign += word.substr(0, digits);
    if (digits == word.size()) continue;
    const auto version = word.substr(digits);
    const bool wild = version.find_first_of("xX*") != std::string_view::npos;
    const auto low = wild ? Result<Semver>(Semver()) : Semver::parse(completed(version));
    if (!low) return low.error();
    if (wild) {
      out += fmt::format(" {}{}", sign, version);
    } else if (sign == "^" || sign == "~") {
      const bool minor = sign == "~" || low->major == 0;
      out += fmt::format(" >={0} <{1}.{2}.0", completed(version), minor ? low->major : low->major + 1,
                         minor ? low->minor + 1 : 0);
    } else {
      out += fmt::format(" {}{}", sign, completed(version));
    }
    sign.clear();
  }
  return SemverRange::parse(out);
}

/// A replacement that stands for itself.
std::string literal(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == '$' ? 2 : 1, c);
  return out;
}

/// At most so many matches (regexFindAll RE TEXT COUNT), or what stands between them (regexSplit); all if it is
/// negative.
Result<Value> several(const Regex& regex, const std::vector<std::string>& texts, bool between) {
  std::int64_t most = 0;
  if (!parse_number(texts[2], most)) return Error{Errc::invalid, fmt::format("'{}' is no count", texts[2]), {}, {}};
  const std::string_view text = texts[1];
  spec::List out;
  const auto add = [&](std::string_view part) { out.emplace_back(std::string(part), SourcePos{}, true); };
  const auto full = [&] { return most >= 0 && std::cmp_greater_equal(out.size() + (between ? 1 : 0), most); };
  std::size_t after = 0;  // the match before
  for (std::size_t from = 0; !full();) {
    const auto found = regex.find(text, from);
    if (!found) break;
    const auto [begin, end] = *found;
    if (!between) add(text.substr(begin, end - begin));
    if (between && end > 0 && begin < text.size()) add(text.substr(after, begin - after));
    if (!(between && (end == 0 || begin == text.size()))) after = end;
    from = end == begin ? end + 1 : end;
  }
  if (between && most != 0) add(text.substr(after));
  return Value(std::move(out));
}

Result<Value> call(const GossfileInput& input, std::string_view function, Arguments arguments) {
  std::vector<std::string> texts;
  for (const Value* each : arguments) texts.push_back(each->text());
  if (function == "getEnv" || function == "env") {
    auto found = variable(input, texts[0]);
    return Value(found ? *std::move(found) : texts.size() > 1 ? texts[1] : std::string());
  }
  if (function == "readFile") {
    auto text = input.read(texts[0]);
    if (!text) return std::move(text).error();
    return Value(std::string(trim(*text)));
  }
  if (function == "semver") {
    const auto version = Semver::parse(completed(texts[0]));
    if (!version) return version.error();
    const auto part = [](std::uint64_t number) { return Value(static_cast<std::int64_t>(number)); };
    return Value(spec::Map{{"Major", {}, part(version->major)},
                           {"Minor", {}, part(version->minor)},
                           {"Patch", {}, part(version->patch)},
                           {"Original", {}, Value(texts[0], {}, true)}});
  }
  if (function == "semverCompare") {
    const auto range = sprig_range(texts[0]);
    if (!range) return range.error();
    const auto version = Semver::parse(completed(texts[1]));
    if (!version) return version.error();
    return Value(range->contains(*version));
  }
  const auto regex = Regex::parse(texts[0]);
  if (!regex) return regex.error();
  if (function == "regexMatch") return Value(regex->matches(texts[1]));
  if (function == "regexReplaceAll") return Value(regex->replace_all(texts[1], texts[2]));
  if (function == "regexReplaceAllLiteral") return Value(regex->replace_all(texts[1], literal(texts[2])));
  if (function == "regexFindAll" || function == "regexSplit") return several(*regex, texts, function == "regexSplit");
  const auto groups = regex->submatches(texts[1]);
  if (function == "regexFind") return Value(groups.empty() ? std::string() : groups.front().second);
  spec::Map out;
  for (const auto& [name, text] : groups) out.push_back({name, {}, Value(text)});
  return Value(std::move(out));
}

}  // namespace

spec::Scope scope_of(const GossfileInput& input) {
  spec::Scope scope = input.scope;
  scope.environment = [&input](std::string_view name) { return variable(input, name); };
  scope.outside = [&input](std::string_view function, Arguments arguments) { return call(input, function, arguments); };
  return scope;
}

}  // namespace converge::checks
