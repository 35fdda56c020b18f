// The small words everything else is written in. Values only; nothing here touches a host.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace converge {

/// An absolute, lexically normal path: starts with '/', no empty, '.' or '..' component, no trailing '/', no NUL.
/// There is no operator/: std::filesystem's answers the right side when that is absolute.
class AbsPath {
 public:
  AbsPath() : text_("/") {}
  /// For literals and for paths already checked: aborts if `text` is not absolute or holds '..' or NUL.
  explicit AbsPath(std::string_view text);
  /// Normalises '//' and '/./'. Errc::invalid if `text` is relative, empty, holds NUL or a '..' component.
  static Result<AbsPath> parse(std::string_view text);

  const std::string& str() const { return text_; }
  /// The directory above; "/" for "/".
  AbsPath parent() const;
  /// The last component; empty for "/".
  std::string name() const;
  /// This path with `relative` (no leading '/', no '..') appended. Aborts on anything else; for names we made.
  AbsPath child(std::string_view relative) const;
  /// True if this is `ancestor` or lies below it.
  bool is_within(const AbsPath& ancestor) const;
  auto operator<=>(const AbsPath&) const = default;

 private:
  std::string text_;
};

/// A size. Printed in the largest binary unit that divides it: "4 GiB", "1500 MiB", "27 B".
struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
  std::string text() const;
  /// "4GiB", "512 MiB", "1500M" (M, G, K, T and Ki..Ti mean powers of 1024, as systemd and the operators use them),
  /// or a plain number of bytes. Errc::invalid for "4GB" (which says neither 10^9 nor 2^30), fractions and overflow.
  static Result<Bytes> parse(std::string_view text);
};
constexpr Bytes operator""_KiB(unsigned long long n) { return {n << 10U}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {n << 20U}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {n << 30U}; }

/// Permission bits. Only from octal strings such as "0644": yaml readers take 0600 for 384.
struct Mode {
  unsigned bits = 0;
  auto operator<=>(const Mode&) const = default;
  std::string text() const;                          // "0644"
  static Result<Mode> parse(std::string_view text);  // three or four octal digits
};

struct Owner {
  std::uint32_t uid = 0, gid = 0;
  auto operator<=>(const Owner&) const = default;
};
constexpr Owner root_owner{0, 0};

/// A moment of the wall clock of the host, in microseconds since the epoch.
struct Timestamp {
  std::int64_t micros = 0;
  auto operator<=>(const Timestamp&) const = default;
  std::string text() const;  // "2026-11-21 08:33:28 UTC"
};

/// A span of time for people, in the largest unit that it fills: "45 s", "27 min", "3 h", "12 days".
std::string text_of_span(std::int64_t seconds);
/// "90d", "12h", "30min" (or "30m"), "45s", "2w": seconds. Errc::invalid for anything else, zero among it.
Result<std::int64_t> parse_span(std::string_view text);

/// Something that must appear in no output. Formats as "(sensitive)"; only reveal() lets it out.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  void wipe();  // overwrites it, for what is used once
  bool operator==(const Secret&) const = default;
  static constexpr std::string_view shown = "(sensitive)";

 private:
  std::string value_;
};

}  // namespace converge
