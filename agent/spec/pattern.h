// Ansible's host patterns, for -l and for a spec's `hosts:`.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/inventory.h"

namespace converge::spec {

/// The hosts `pattern` selects, in inventory order.
///   name, group, "all", "*"     globs: web*.example, web?, web[a-c]
///   a:b  a,b   union            a:&b  intersection        a:!b  difference (& and ! apply after all unions)
///   web[01:10] the ten names    group[0]  group[-1]  group[1:3]  Ansible's subscripts, both ends included
///   ~regex     ECMAScript without back references, matched from the start of the name as in Ansible
///   @file      one pattern a line, # comments
/// web[1:3] is a subscript where something is called web, and three names otherwise; with a leading zero it is always
/// names. A glob or regex never means "all" or "ungrouped": 'a*' is what begins with a, not every host. Errc::invalid
/// with a hint for: a part that matches nothing ("no host or group matches 'coulombcore'", "did you mean
/// 'CoulombCore'?"), a bad regex, an empty result ("'a:!a' matches no host"). A group that is there and empty is no
/// mistake as a part.
Result<std::vector<std::string>> select_hosts(const Inventory& inventory, std::string_view pattern,
                                              const FileReader& files);

}  // namespace converge::spec
