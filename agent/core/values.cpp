#include "core/values.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/text.h"

namespace converge {
namespace {

[[noreturn]] void broken(std::string_view what, std::string_view value) {
  fmt::print(stderr, "converge: internal error: {} '{}'\n", what, printable(value));
  std::abort();
}

}  // namespace

AbsPath::AbsPath(std::string_view text) {
  auto parsed = parse(text);
  if (!parsed) broken(parsed.error().message, text);
  *this = std::move(*parsed);
}

Result<AbsPath> AbsPath::parse(std::string_view text) {
  if (text.empty() || text.front() != '/')
    return Error{Errc::invalid, fmt::format("'{}' is not an absolute path", printable(text)), {}, "start it with '/'"};
  if (text.find('\0') != std::string_view::npos) return Error{Errc::invalid, "a path with a NUL byte", {}, {}};
  AbsPath out;
  out.text_.clear();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return Error{
          Errc::invalid, fmt::format("'{}' has a '..' component", printable(text)), {}, "write the path it means"};
    out.text_ += '/';
    out.text_ += part;
  }
  if (out.text_.empty()) out.text_ = "/";
  return out;
}

AbsPath AbsPath::parent() const {
  const std::size_t slash = text_.rfind('/');
  AbsPath out;
  if (slash > 0) out.text_ = text_.substr(0, slash);
  return out;
}

std::string AbsPath::name() const { return text_.substr(text_.rfind('/') + 1); }

AbsPath AbsPath::child(std::string_view relative) const {
  if (relative.empty() || relative.front() == '/') broken("not a relative path", relative);
  return AbsPath((text_ == "/" ? "" : text_) + "/" + std::string(relative));
}

bool AbsPath::is_within(const AbsPath& ancestor) const {
  if (ancestor.text_ == "/" || text_ == ancestor.text_) return true;
  return text_.size() > ancestor.text_.size() && text_.compare(0, ancestor.text_.size(), ancestor.text_) == 0 &&
         text_[ancestor.text_.size()] == '/';
}

void Secret::wipe() {
  explicit_bzero(value_.data(), value_.size());
  value_.clear();
}

std::string Bytes::text() const {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::uint64_t number = count;
  std::size_t unit = 0;
  while (number != 0 && number % 1024 == 0 && unit + 1 < units.size()) {
    number /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", number, units[unit]);
}

Result<Bytes> Bytes::parse(std::string_view text) {
  const std::string_view whole = trim(text);
  std::size_t digits = 0;
  while (digits < whole.size() && whole[digits] >= '0' && whole[digits] <= '9') ++digits;
  std::uint64_t number = 0;
  if (digits == 0 || !parse_number(whole.substr(0, digits), number))
    return Error{Errc::invalid,
                 fmt::format("'{}' is not a size", printable(text)),
                 {},
                 "write a whole number and a unit, such as 512MiB or 4GiB"};
  const std::string_view unit = trim(whole.substr(digits));
  unsigned shift = 0;
  if (unit.empty() || unit == "B")
    shift = 0;
  else if (unit == "K" || unit == "KiB")
    shift = 10;
  else if (unit == "M" || unit == "MiB")
    shift = 20;
  else if (unit == "G" || unit == "GiB")
    shift = 30;
  else if (unit == "T" || unit == "TiB")
    shift = 40;
  else {
    std::string hint = "use B, KiB, MiB, GiB or TiB";
    if (unit.size() == 2 && (unit[1] == 'B' || unit[1] == 'b'))
      hint = fmt::format("'{}' could mean a power of 1000 or of 1024: write {}iB", printable(unit),
                         static_cast<char>(unit[0] & ~0x20));
    return Error{Errc::invalid, fmt::format("'{}' has an unknown unit", printable(text)), {}, std::move(hint)};
  }
  if (number > (~std::uint64_t{0} >> shift))
    return Error{Errc::invalid, fmt::format("'{}' is more than a size can be", printable(text)), {}, {}};
  return Bytes{number << shift};
}

std::string Mode::text() const { return fmt::format("{:04o}", bits); }

Result<Mode> Mode::parse(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  bool good = text.size() == 3 || text.size() == 4;
  for (const char c : text) good = good && octal(c);
  if (!good)
    return Error{Errc::invalid,
                 fmt::format("'{}' is not a mode", printable(text)),
                 {},
                 "write three or four octal digits in quotes, such as \"0644\""};
  Mode mode;
  (void)std::from_chars(text.data(), text.data() + text.size(), mode.bits, 8);  // only octal digits by now
  return mode;
}

std::string Timestamp::text() const {
  const std::time_t seconds = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return fmt::format("{} us", micros);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string text_of_span(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

Result<std::int64_t> parse_span(std::string_view text) {
  constexpr std::array units{std::pair{"s", 1},        std::pair{"m", 60},    std::pair{"min", 60},
                             std::pair{"h", 3600},     std::pair{"d", 86400}, std::pair{"days", 86400},
                             std::pair{"w", 7 * 86400}};
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  const std::string_view unit = trim(text.substr(digits.size()));
  std::int64_t count = 0;
  const auto row = std::find_if(units.begin(), units.end(), [&](const auto& each) { return unit == each.first; });
  if (row == units.end() || !parse_number(digits, count) || count == 0 || count > 10'000'000)
    return Error{Errc::invalid, fmt::format("'{}' is no span of time", printable(text)), {}, "say 30min, 12h or 90d"};
  return count * row->second;
}

}  // namespace converge
