// Ansible's host patterns, for -l and for a spec's `hosts:`.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/inventory.h"

namespace converge::spec {

/// The hosts `pattern` selects, in inventory order. Names, groups, "all" and "*", globs (web*.example), "a:b" and "a,b"
/// (union), "a:&b" (intersection), "a:!b" (difference; & and ! apply after all unions, as in Ansible), ranges in patterns
/// (web[01:10], and Ansible's subscripts group[0], group[1:3], group[-1]), "~regex" (ECMAScript, searched), "@file" (one
/// pattern a line, # comments).
/// Errc::invalid with a hint for: a part that matches nothing ("no host or group matches 'coulombcore': did you mean
/// 'CoulombCore'?"), a bad regex, an empty result ("'a:!a' matches no host").
Result<std::vector<std::string>> select_hosts(const Inventory& inventory, std::string_view pattern,
                                              const FileReader& files);

}  // namespace converge::spec
