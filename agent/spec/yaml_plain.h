// The plain part of YAML, read in one pass: what most files are made of. Anything else is yaml-cpp's.
#pragma once
#include <optional>
#include <string>

#include "spec/yaml.h"

namespace converge::spec {

/// The type of a plain scalar, as read_yaml() says.
Value::Data typed_scalar(const std::string& text);

/// What read_yaml() would make of `source`, if that is of block and flow collections with scalars of one line each:
/// printable ASCII, no anchors, aliases, tags, block scalars or mistakes. nullopt: it may be something else, or wrong.
std::optional<Value> read_plain_yaml(const Source& source, const YamlRules& rules);

}  // namespace converge::spec
