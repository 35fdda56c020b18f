// Shell wildcards over one name.
#pragma once
#include <string_view>

namespace converge::checks {

/// `*` any run, `?` one byte, `\` the next byte itself and, with `sets`, [a-z] and [^a-z]. Takes time proportional to
/// the product of both lengths at most.
bool matches_glob(std::string_view text, std::string_view glob, bool sets = true);

}  // namespace converge::checks
