// Semantic versions (semver.org 2.0.0) and the ranges of blang/semver, which Goss uses.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace converge::checks {

/// "1.2.3-beta.1+build": exactly three numbers, no "v". Build metadata does not count in comparisons.
struct Semver {
  std::uint64_t major = 0, minor = 0, patch = 0;
  std::vector<std::string> pre;  // identifiers of the pre-release
  static Result<Semver> parse(std::string_view text);
  std::strong_ordering operator<=>(const Semver& other) const;
  bool operator==(const Semver& other) const { return (*this <=> other) == 0; }
};

/// ">=1.0.0 <2.0.0 || >3.0.0 !3.4.0", with "x" for any part ("1.x", ">=2.x"). Blanks mean and, "||" means or.
class SemverRange {
 public:
  static Result<SemverRange> parse(std::string_view text);
  bool contains(const Semver& version) const;

 private:
  struct Bound {
    enum class Op { equal, unequal, below, at_most, above, at_least } op = Op::equal;
    Semver version;
    bool holds(const Semver& of) const;
  };
  std::vector<std::vector<Bound>> any_of_;
};

}  // namespace converge::checks
