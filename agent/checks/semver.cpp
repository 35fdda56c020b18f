#include "checks/semver.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace converge::checks {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

bool parse_part(std::string_view text, std::uint64_t& out) {
  return is_number(text) && (text.size() == 1 || text.front() != '0') && parse_number(text, out);
}

/// Identifiers of digits are numbers, and come before the others.
std::strong_ordering compare_identifiers(const std::string& a, const std::string& b) {
  if (is_number(a) != is_number(b)) return is_number(a) ? std::strong_ordering::less : std::strong_ordering::greater;
  if (is_number(a) && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace

Result<Semver> Semver::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error{Errc::invalid, fmt::format("'{}' is no semantic version: {}", printable(text), why), {}, {}};
  };
  Semver out;
  std::string_view rest = text;
  if (const auto plus = rest.find('+'); plus != std::string_view::npos) {
    for (const auto each : split(rest.substr(plus + 1), '.'))
      if (!is_identifier(each)) return wrong("its build part is malformed");
    rest = rest.substr(0, plus);
  }
  if (const auto dash = rest.find('-'); dash != std::string_view::npos) {
    for (const auto each : split(rest.substr(dash + 1), '.')) {
      if (!is_identifier(each) || (is_number(each) && each.size() > 1 && each.front() == '0'))
        return wrong("its pre-release part is malformed");
      out.pre.emplace_back(each);
    }
    rest = rest.substr(0, dash);
  }
  const auto parts = split(rest, '.');
  if (parts.size() != 3) return wrong("three numbers are needed");
  if (!parse_part(parts[0], out.major) || !parse_part(parts[1], out.minor) || !parse_part(parts[2], out.patch))
    return wrong("its parts are numbers without leading zeros");
  return out;
}

std::strong_ordering Semver::operator<=>(const Semver& other) const {
  if (const auto order = major <=> other.major; order != 0) return order;
  if (const auto order = minor <=> other.minor; order != 0) return order;
  if (const auto order = patch <=> other.patch; order != 0) return order;
  if (pre.empty() != other.pre.empty()) return pre.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  for (std::size_t i = 0; i < std::min(pre.size(), other.pre.size()); ++i)
    if (const auto order = compare_identifiers(pre[i], other.pre[i]); order != 0) return order;
  return pre.size() <=> other.pre.size();
}

bool SemverRange::Bound::holds(const Semver& of) const {
  switch (op) {
    case Op::equal:
      return of == version;
    case Op::unequal:
      return !(of == version);
    case Op::below:
      return of < version;
    case Op::at_most:
      return of <= version;
    case Op::above:
      return of > version;
    case Op::at_least:
      return of >= version;
  }
  return false;
}

Result<SemverRange> SemverRange::parse(std::string_view text) {
  using Op = Bound::Op;
  const auto wrong = [&](std::string why) {
    return Error{Errc::invalid,
                 fmt::format("'{}' is no range of versions: {}", printable(text), why),
                 {},
                 "write, for example, \">=1.2.0 <2.0.0 || >=3.0.0\""};
  };
  SemverRange out;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const auto bar = rest.find("||");
    more = bar != std::string_view::npos;
    std::vector<Bound> all_of;
    std::string pending;  // an operator that stands apart from its version
    for (const auto word : fields(rest.substr(0, bar))) {
      const std::string whole = pending + std::string(word);
      pending.clear();
      const auto digits = whole.find_first_not_of("<>=!");
      if (digits == std::string::npos) {
        pending = whole;
        continue;
      }
      const std::string_view sign = std::string_view(whole).substr(0, digits);
      std::string_view version = std::string_view(whole).substr(digits);
      Bound bound;
      if (sign == "<")
        bound.op = Op::below;
      else if (sign == "<=")
        bound.op = Op::at_most;
      else if (sign == ">")
        bound.op = Op::above;
      else if (sign == ">=")
        bound.op = Op::at_least;
      else if (sign == "!" || sign == "!=")
        bound.op = Op::unequal;
      else if (!sign.empty() && sign != "=" && sign != "==")
        return wrong(fmt::format("'{}' is no operator", sign));

      // "1.x" and "1.2.x": everything from that version to before the next one.
      auto parts = split(version, '.');
      const auto wild = std::find(parts.begin(), parts.end(), std::string_view("x"));
      if (wild == parts.end()) {
        auto parsed = Semver::parse(version);
        if (!parsed) return wrong(parsed.error().message);
        bound.version = *std::move(parsed);
        all_of.push_back(bound);
        continue;
      }
      const auto kept = wild - parts.begin();
      Semver low;
      if ((kept > 0 && !parse_part(parts[0], low.major)) || (kept > 1 && !parse_part(parts[1], low.minor)) ||
          kept > 2 || kept == 0)
        return wrong(fmt::format("'{}' is malformed", version));
      Semver next = low;
      (kept == 1 ? next.major : next.minor) += 1;
      switch (bound.op) {
        case Op::equal:
          all_of.push_back({Op::at_least, low});
          all_of.push_back({Op::below, next});
          break;
        case Op::above:
        case Op::at_most:
          all_of.push_back({bound.op == Op::above ? Op::at_least : Op::below, next});
          break;
        case Op::at_least:
        case Op::below:
          all_of.push_back({bound.op, low});
          break;
        case Op::unequal:
          return wrong("'!' and 'x' do not go together");
      }
    }
    if (!pending.empty() || all_of.empty()) return wrong("a version is missing");
    out.any_of_.push_back(std::move(all_of));
    if (more) rest = rest.substr(bar + 2);
  }
  return out;
}

bool SemverRange::contains(const Semver& version) const {
  return std::any_of(any_of_.begin(), any_of_.end(), [&](const std::vector<Bound>& all_of) {
    return std::all_of(all_of.begin(), all_of.end(), [&](const Bound& bound) { return bound.holds(version); });
  });
}

}  // namespace converge::checks
