// Which of several forms of an answer a client wants: the Accept header of RFC 9110, section 12.5.1.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace converge::web {

/// A form there is.
struct Offer {
  std::string media;     // "application/json", "text/plain;version=0.0.4"
  double quality = 1.0;  // below 1: rather not, when the client would as well take another
};

/// The offer with the greatest product of its quality and the client's; of equal ones the first. The first, too, for an
/// empty `accept`; nullopt if the client takes none of them. Ranges that are not well formed count for nothing; a
/// range's charset is not looked at.
std::optional<std::size_t> best_offer(std::string_view accept, const std::vector<Offer>& offers);

}  // namespace converge::web
