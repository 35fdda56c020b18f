#include "spec/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/regular_expression.h"
#include "core/text.h"

namespace converge::spec {
namespace {

using Names = std::set<std::string_view>;

Error bad(std::string message, std::string hint = {}) {
  return {Errc::invalid, std::move(message), {}, std::move(hint)};
}

/// '*', '?', '[abc]', '[!a-c]', as fnmatch(3). An unclosed '[' is itself. Linear in the name for each '*'.
bool glob_matches(std::string_view glob, std::string_view name) {
  std::size_t g = 0, n = 0, star = std::string_view::npos, resume = 0;
  const auto one = [&](std::size_t& at, char c) {
    if (glob[at] == '?') return ++at, true;
    const std::size_t close = glob[at] == '[' ? glob.find(']', at + 2) : std::string_view::npos;
    if (close == std::string_view::npos) return glob[at] == c ? (++at, true) : false;
    std::string_view set = glob.substr(at + 1, close - at - 1);
    const bool negated = set.size() > 1 && set.front() == '!';
    if (negated) set.remove_prefix(1);
    bool in = false;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (i + 2 < set.size() && set[i + 1] == '-') {
        in = in || (set[i] <= c && c <= set[i + 2]);
        i += 2;
      } else {
        in = in || set[i] == c;
      }
    }
    if (in == negated) return false;
    at = close + 1;
    return true;
  };
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = n;
    } else if (g < glob.size() && one(g, name[n])) {
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

/// Parts at ',' and ':' outside of brackets; of a regex, outside of any bracket.
std::vector<std::string_view> parts_of(std::string_view pattern) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= pattern.size(); ++i) {
    if (i == pattern.size() || ((pattern[i] == ',' || pattern[i] == ':') && depth == 0)) {
      if (const auto part = trim(pattern.substr(start, i - start)); !part.empty()) parts.push_back(part);
      start = i + 1;
      continue;
    }
    std::string_view part = trim(pattern.substr(start, i - start + 1));
    if (!part.empty() && (part.front() == '!' || part.front() == '&')) part.remove_prefix(1);
    const bool regex = part.starts_with('~');
    const char c = pattern[i];
    if (regex && c == '\\') {
      if (i + 1 < pattern.size()) ++i;
    } else if (c == '[' || (regex && (c == '(' || c == '{'))) {
      ++depth;
    } else if ((c == ']' || (regex && (c == ')' || c == '}'))) && depth > 0) {
      --depth;
    }
  }
  return parts;
}

/// "[0]", "[-1]", "[1:3]", "[2:]" at the end of a part.
struct Subscript {
  std::string_view base;
  std::int64_t first = 0;
  std::optional<std::int64_t> last;  // included; none: to the end
  bool one = false;
};
std::optional<Subscript> subscript_of(std::string_view part) {
  const std::size_t open = part.rfind('[');
  if (open == std::string_view::npos || open == 0 || part.back() != ']') return std::nullopt;
  const std::string_view inside = part.substr(open + 1, part.size() - open - 2);
  // Nobody counts with leading zeros: web[01:10] are names, whatever else is called web.
  if (inside.size() > 1 && inside.front() == '0' && inside[1] >= '0' && inside[1] <= '9') return std::nullopt;
  Subscript out;
  out.base = part.substr(0, open);
  if (parse_number(inside, out.first)) {
    out.one = true;
    return out;
  }
  const std::size_t colon = inside.find_first_of(":-");
  if (colon == std::string_view::npos || !parse_number(inside.substr(0, colon), out.first) || out.first < 0)
    return std::nullopt;
  if (const auto end = inside.substr(colon + 1); !end.empty()) {
    std::int64_t last = 0;
    if (!parse_number(end, last) || last < 0) return std::nullopt;
    out.last = last;
  }
  return out;
}

class Selector {
 public:
  explicit Selector(const Inventory& inventory) : inventory_(inventory) {
    for (const Host& host : inventory.hosts) hosts_.emplace(host.name);
  }

  bool is_host(std::string_view name) const { return hosts_.contains(name); }

  /// The hosts of one part without its '!' or '&'.
  Result<Names> part(std::string_view text) const {
    if (text.starts_with('~')) return regex(text);
    if (auto names = exact(text)) return std::move(*names);
    if (text == "*") return *exact("all");
    if (const auto subscript = subscript_of(text)) {
      auto base = exact(subscript->base);
      if (!base && subscript->base.find_first_of("*?[") != std::string_view::npos) base = glob(subscript->base);
      if (base) return pick(*base, *subscript, text);
    }
    if (text.find('[') != std::string_view::npos && text.find(':') != std::string_view::npos) {
      auto names = expand_ranges(text);
      if (!names) return std::move(names).error();
      Names out;
      for (const std::string& name : *names) {
        auto found = part_of_range(name);
        if (!found) return std::move(found).error().during(fmt::format("expanding '{}'", text));
        out.merge(*found);
      }
      return out;
    }
    if (text.find_first_of("*?[") != std::string_view::npos)
      if (auto names = glob(text)) return std::move(*names);
    return nothing(text);
  }

 private:
  Names members(std::string_view group) const {
    Names out;
    for (const std::string& name : inventory_.members(group)) out.insert(*hosts_.find(name));
    return out;
  }

  std::optional<Names> exact(std::string_view name) const {
    if (inventory_.find_group(name) != nullptr) return members(name);
    if (const auto host = hosts_.find(name); host != hosts_.end()) return Names{*host};
    return std::nullopt;
  }

  template <class Matches>
  std::optional<Names> matching(Matches matches) const {
    Names out;
    bool any = false;
    for (const auto& [name, group] : inventory_.groups)
      if (name != "all" && name != "ungrouped" && matches(name)) {
        any = true;
        out.merge(members(name));
      }
    for (const std::string_view host : hosts_)
      if (matches(host)) out.insert(host);
    if (!any && out.empty()) return std::nullopt;
    return out;
  }

  std::optional<Names> glob(std::string_view text) const {
    return matching([&](std::string_view name) { return glob_matches(text, name); });
  }

  Result<Names> part_of_range(std::string_view name) const {
    if (name.find_first_of("*?") != std::string_view::npos)
      if (auto names = glob(name)) return std::move(*names);
    if (auto names = exact(name)) return std::move(*names);
    return nothing(name);
  }

  Result<Names> pick(const Names& base, const Subscript& subscript, std::string_view text) const {
    std::vector<std::string_view> ordered;
    for (const Host& host : inventory_.hosts)
      if (base.contains(host.name)) ordered.push_back(*hosts_.find(host.name));
    const auto size = static_cast<std::int64_t>(ordered.size());
    const std::int64_t first = subscript.first < 0 ? subscript.first + size : subscript.first;
    const std::int64_t last = subscript.one ? first : std::min(subscript.last.value_or(size - 1), size - 1);
    if (first < 0 || first >= size || last < first)
      return bad(fmt::format("'{}' matches no host", text),
                 fmt::format("'{}' has {} host{}, counted from 0", subscript.base, size, size == 1 ? "" : "s"));
    return Names(ordered.begin() + first, ordered.begin() + last + 1);
  }

  Result<Names> regex(std::string_view text) const {
    const std::string_view body = text.substr(1);
    if (body.empty() || body.size() > 1000)
      return bad(fmt::format("'{}' is not a regular expression", text), "write 1 to 1000 bytes of it after the '~'");
    using Kind = RegularExpression::Kind;
    const auto regex = RegularExpression::parse(body, Kind::linear);
    if (!regex)
      return bad(fmt::format("'{}' is not a regular expression: {}", text, regex.error().message),
                 "the syntax is ECMAScript's, without back references");
    if (auto names = matching([&](std::string_view name) { return regex->begins(name); })) return std::move(*names);
    const auto any_case = RegularExpression::parse(body, Kind::linear_any_case);
    const std::string near =
        any_case ? first_name([&](std::string_view name) { return any_case->begins(name); }) : std::string();
    if (!near.empty()) return bad(fmt::format("no host or group matches '{}'", text), small_and_capital(near));
    return bad(fmt::format("no host or group matches '{}'", text),
               "a regular expression is matched from the start of a name; begin it with '.*' to search");
  }

  static std::string small_and_capital(std::string_view near) {
    return fmt::format("small and capital letters differ: did you mean '{}'?", near);
  }

  /// The first host or group that `matches`, or "".
  template <class Matches>
  std::string first_name(Matches matches) const {
    for (const std::string_view host : hosts_)
      if (matches(host)) return std::string(host);
    for (const auto& [name, group] : inventory_.groups)
      if (matches(name)) return name;
    return {};
  }

  Error nothing(std::string_view text) const {
    if (text.find_first_of("*?[") != std::string_view::npos) {
      const std::string glob = lower(text);
      const std::string near = first_name([&](std::string_view name) { return glob_matches(glob, lower(name)); });
      if (!near.empty()) return bad(fmt::format("no host or group matches '{}'", text), small_and_capital(near));
    }
    std::vector<std::string> names(hosts_.begin(), hosts_.end());
    for (const auto& [name, group] : inventory_.groups) names.push_back(name);
    std::string hint = did_you_mean(text, names);
    if (hint.empty()) {
      // A short name for a long one: 'web1' where the inventory has 'web1.example'.
      for (const std::string_view host : hosts_)
        if (host.size() > text.size() && host[text.size()] == '.' && lower(host.substr(0, text.size())) == lower(text))
          hint = fmt::format("did you mean '{}'?", host);
    }
    if (hint.empty()) hint = "see 'converge inventory' for the hosts and groups there are";
    return bad(fmt::format("no host or group matches '{}'", text), std::move(hint));
  }

  const Inventory& inventory_;
  Names hosts_;
};

/// The lines of the files named by '@' in place of them.
Result<std::vector<std::string>> with_files(const std::vector<std::string_view>& parts, const FileReader& files) {
  std::vector<std::string> out;
  for (const std::string_view part : parts) {
    if (!part.starts_with('@')) {
      out.emplace_back(part);
      continue;
    }
    const std::string path(part.substr(1));
    auto text = files.read(path);
    if (!text) return std::move(text).error().during(fmt::format("reading the patterns of '{}'", part));
    bool any = false;
    for (std::string_view line : split_lines(*text)) {
      line = line.substr(0, line.find('#'));
      for (const std::string_view inner : parts_of(line)) {
        if (inner.starts_with('@')) return bad(fmt::format("'{}' in '{}' names a file in a file", inner, path));
        out.emplace_back(inner);
        any = true;
      }
    }
    if (!any) return bad(fmt::format("'{}' holds no pattern", path), "write one host, group or pattern a line");
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> select_hosts(const Inventory& inventory, std::string_view pattern,
                                              const FileReader& files) {
  const Selector selector(inventory);
  const std::string_view whole = trim(pattern);
  if (selector.is_host(whole)) return std::vector<std::string>{std::string(whole)};  // an IPv6 address holds colons
  auto parts = with_files(parts_of(whole), files);
  if (!parts) return std::move(parts).error();
  if (parts->empty()) return bad("the pattern is empty", "name a host or a group, or 'all'");

  Names chosen;
  bool any_union = false;
  for (const char operation : {'+', '&', '!'}) {
    if (operation == '&' && !any_union) chosen = *selector.part("all");
    for (std::string_view part : *parts) {
      const char own = part.front() == '&' || part.front() == '!' ? part.front() : '+';
      if (own != operation) continue;
      if (own != '+') part = trim(part.substr(1));
      if (part.empty()) return bad(fmt::format("'{}' has a lone '{}'", whole, own), "name a host or group after it");
      auto names = selector.part(part);
      if (!names) return std::move(names).error();
      if (own == '+') {
        any_union = true;
        chosen.merge(*names);
      } else {
        std::erase_if(chosen, [&](std::string_view name) { return names->contains(name) == (own == '!'); });
      }
    }
  }
  std::vector<std::string> out;
  for (const Host& host : inventory.hosts)
    if (chosen.contains(host.name)) out.push_back(host.name);
  if (out.empty())
    return bad(fmt::format("'{}' matches no host", whole),
               inventory.hosts.empty() ? "the inventory has no hosts" : "its groups are empty or exclude each other");
  return out;
}

}  // namespace converge::spec
