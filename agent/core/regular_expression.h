// Regular expressions as ECMAScript has them; std::regex, which is slow to compile, is behind this.
#pragma once
#include <memory>
#include <string_view>

#include "core/result.h"

namespace converge {

class RegularExpression {
 public:
  /// How long a match may take: `linear` in the text has no back references, and refuses them. any_case: small and
  /// capital letters are the same.
  enum class Kind { any, linear, linear_any_case };
  /// Errc::invalid, with the library's sentence alone, if `text` is none.
  static Result<RegularExpression> parse(std::string_view text, Kind kind = Kind::any);

  /// It matches some part of `text`. The stack this takes grows with the text: limit it.
  bool found_in(std::string_view text) const;
  /// It matches a part that begins where `text` begins.
  bool begins(std::string_view text) const;

 private:
  struct Compiled;
  explicit RegularExpression(std::shared_ptr<const Compiled> compiled);
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace converge
