// g++ 12 takes std::regex's own variant for uninitialized when it optimizes (GCC bug 105562).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include "core/regular_expression.h"

#include <regex>

namespace converge {

struct RegularExpression::Compiled {
  std::regex regex;
};

RegularExpression::RegularExpression(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

Result<RegularExpression> RegularExpression::parse(std::string_view text, Kind kind) try {
  auto flags = std::regex::ECMAScript;
  if (kind != Kind::any) flags |= std::regex_constants::__polynomial;
  if (kind == Kind::linear_any_case) flags |= std::regex::icase;
  return RegularExpression(std::make_shared<Compiled>(Compiled{std::regex(text.begin(), text.end(), flags)}));
} catch (const std::regex_error& error) {
  return Error{Errc::invalid, error.what(), {}, {}};
}

bool RegularExpression::found_in(std::string_view text) const {
  return std::regex_search(text.begin(), text.end(), compiled_->regex);
}

bool RegularExpression::begins(std::string_view text) const {
  return std::regex_search(text.begin(), text.end(), compiled_->regex, std::regex_constants::match_continuous);
}

}  // namespace converge
