// YAML text to Values. The only header for it; yaml-cpp stays in yaml.cpp.
#pragma once
#include <optional>

#include "core/result.h"
#include "spec/value.h"

namespace converge::spec {

struct YamlRules {
  bool aliases = false;  // anchors, aliases and merge keys: resolved within the limits (inventories) or refused (specs)
  std::size_t max_bytes = 1U << 20U;
  std::size_t max_nodes = 50'000;  // counted after aliases are resolved
  int max_depth = 32;
  bool by_library = false;  // have yaml-cpp read even what the plain reader takes: for comparing the two
};

/// Reads exactly one document. Plain scalars are typed by YAML 1.2's core schema, strictly: true|false, decimal
/// integers without a leading zero, decimal floats, null|~|empty; everything else (yes, on, 0644, 0x1F) is a string.
/// Duplicate keys, a second document, tags, NUL, bad UTF-8, too much of anything: diagnostics, all that can be found,
/// and nullopt.
std::optional<Value> read_yaml(const Source& source, const YamlRules& rules, Diagnostics& diagnostics);

/// Block-style YAML for `value`, ending in a newline: two spaces, strings quoted (double) exactly when a plain scalar
/// would read back as something else. read_yaml() of it gives the same value. An empty or null value is written as
/// such.
std::string write_yaml(const Value& value);

/// One line of JSON for `value`.
std::string write_json(const Value& value);

}  // namespace converge::spec
