// The one template language: {{ }} with the grammar operators know from Helm and Goss. A bare name is a variable.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
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
  /// Gossfiles see more than specs do: {{ .Env.NAME }} (nullopt: it is not set) ...
  std::function<std::optional<std::string>(std::string_view)> environment;
  /// ... and functions that look outside (getEnv, readFile) or that need a library of their own (regexMatch). Without
  /// this they are refused.
  std::function<Result<Value>(std::string_view function, std::span<const Value* const> arguments)> outside;
};

/// True if `text` holds "{{": cheap, for the many values that do not.
bool has_template(std::string_view text);

struct Template;  // parsed

/// Parses each distinct text once, and evaluates it as often as asked. One object serves one run and one thread; the
/// functions below are conveniences that parse every time.
///
/// The language is Go's text/template with the Sprig functions that are pure (functions.h lists them), and bare names
/// for variables: {{ swap_size_gb }}, {{ .Vars.swap_size_gb }}, {{ .Facts.init }}, {{ item.name }}; pipelines,
/// parentheses, literals, {{ $x := 1 }} and {{ $x = 2 }}; {{ if }} {{ else if }} {{ else }} {{ range $i, $x := list }}
/// {{ break }} {{ continue }} {{ with }} {{ end }}, {{- trims -}}, {{/* comments */}}. Differences: an undefined name
/// is a diagnostic at its place, never "", unless `default`, `coalesce`, `required` or `defined` takes it; lists and
/// mappings print as JSON; `seq` makes a list; conversions that fail are errors, not 0; `default` keeps a false or a 0
/// that was given. Output above 1 MiB or more than 100 000 steps: a diagnostic.
class Templates {
 public:
  Templates();
  ~Templates();
  Templates(const Templates&) = delete;
  Templates& operator=(const Templates&) = delete;

  /// Evaluates a scalar. Exactly one `{{ ... }}` and nothing beside it: the expression's own value and type, at the
  /// place of `scalar`. Otherwise text with every `{{ }}` replaced; a string made here counts as quoted. What holds no
  /// template is returned as it is. nullopt after a diagnostic.
  std::optional<Value> evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics);
  /// Evaluates every scalar of a tree, and its keys: {"{{ registry }}": ...}. What comes out of a `{{ }}` is not looked
  /// into again. All mistakes are reported, a key that is no text or is made twice among them.
  std::optional<Value> evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics);
  /// A file rendered from a template: positions are those of `source`.
  std::optional<std::string> render(const Source& source, const Scope& scope, Diagnostics& diagnostics);

 private:
  std::optional<std::string> evaluate_key(const Entry& entry, const Scope& scope, Diagnostics& diagnostics);

  struct Cache;
  std::unique_ptr<Cache> cache_;
};

/// As Templates::evaluate.
std::optional<Value> evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics);
/// As Templates::evaluate_tree.
std::optional<Value> evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics);
/// As Templates::render.
std::optional<std::string> render_template(const Source& source, const Scope& scope, Diagnostics& diagnostics);

}  // namespace converge::spec
