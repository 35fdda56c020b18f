// Values inside a JSON text by the paths of gjson, which Goss uses. JSON is read by nlohmann-json, here and nowhere
// else.
#pragma once
#include <memory>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "spec/value.h"

namespace converge::checks {

/// A JSON document. Paths: `a.b`, `list.0`, `list.#` (how many), `list.#.name` (of each), `list.#(age>40).name` (the
/// first that fits; `#(...)#` all of them; == != < <= > >= % !%), `a*` and `a?` wildcards, `\` before a sign that is
/// meant itself, and after `|` or `.` the modifiers @this, @reverse, @keys, @values, @flatten.
class Json {
 public:
  /// Errc::unparsable says where it stops being JSON.
  static Result<Json> parse(std::string_view text);
  /// nullopt: there is nothing at `path`. Errc::invalid: it is no path we know.
  Result<std::optional<spec::Value>> get(std::string_view path) const;
  /// All of it.
  const spec::Value& value() const { return root_; }

 private:
  spec::Value root_;
};

}  // namespace converge::checks
