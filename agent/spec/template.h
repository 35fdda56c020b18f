// The one template language: {{ }} with the grammar operators know from Helm and Goss. A bare name is a variable.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "spec/value.h"

namespace converge::spec {

/// Where names come from. `find("swap_size_gb")` answers a variable (`{{ swap_size_gb }}`, `{{ .Vars.swap_size_gb }}`);
/// "Facts.init" a fact (`{{ .Facts.init }}`). Null: no such name. `names` lists them for "did you mean".
struct Scope {
  std::function<const Value*(std::string_view)> variable;
  std::function<const Value*(std::string_view)> fact;
  std::function<std::vector<std::string>()> names;
};

/// True if `text` holds "{{": cheap, for the many values that do not.
bool has_template(std::string_view text);

/// Evaluates a scalar. Exactly one `{{ ... }}` and nothing beside it: the expression's own value and type. Otherwise text
/// with every `{{ }}` replaced. Pipelines, functions (eq ne lt le gt ge and or not default required upper lower trim replace
/// split join quote toString int len seq until contains hasPrefix hasSuffix ternary list dict index printf b64enc sha256sum
/// ...), parentheses, literals, field access (item.name, .Facts.init), and in text {{ if }} {{ else }} {{ range }} {{ with }}
/// {{ end }}, {{- trims -}}, {{/* comments */}}. An undefined name is a diagnostic at its place, never "".
/// @return nullopt after a diagnostic. Output above 1 MiB or more than 100 000 steps: a diagnostic.
std::optional<Value> evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics);

/// Evaluates every scalar of a tree (not the keys).
std::optional<Value> evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics);

/// A file rendered from a template: positions are those of `source`.
std::optional<std::string> render_template(const Source& source, const Scope& scope, Diagnostics& diagnostics);

}  // namespace converge::spec
