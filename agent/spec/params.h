// A module's parameters: a table says which keys there are, and reading checks a mapping against it, with positions.
// The same table makes `converge doc`, `converge schema` and the "did you mean".
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/values.h"
#include "spec/value.h"

namespace converge::spec {

enum class Kind {
  text,       // a string; integers are accepted and become their text
  multiline,  // a string that may hold newlines (text refuses control characters)
  integer,
  boolean,
  size,          // Bytes: "4GiB", "1500M"
  mode,          // a quoted octal string: "0644"
  path,          // AbsPath
  text_list,     // a list of strings (one string is a list of one)
  mapping,       // a list or mapping described by `of`, or free if `of` is empty; raw()
  mapping_list,  // a list of mappings described by `of` (or of anything, if `of` is empty)
  any            // raw() only
};

struct Field {
  std::string_view name;
  Kind kind = Kind::text;
  std::string_view doc;  // one sentence
  bool required = false;
  std::string_view fallback;  // the default, as written in YAML; "" for none
  std::int64_t min = std::numeric_limits<std::int64_t>::min(), max = std::numeric_limits<std::int64_t>::max();
  std::string_view unit;                  // "processes", "bytes"
  std::vector<std::string_view> choices;  // the only texts allowed, if not empty
  std::vector<Field> of;                  // the keys of a mapping, or of each element of a mapping_list
};

/// Reports the keys of `written` that `fields` does not have, and those required that it lacks. Nothing is asked of the
/// values: they may be templates still. What is no mapping has no keys.
void check_keys(const Value& written, std::span<const Field> fields, Diagnostics& diagnostics);

/// Parameters checked against a table. Every reader below is for a key of that table and of its kind (asserted). A key
/// that is absent reads as its fallback; without one, the optional readers give nullopt and the others an empty value.
/// After a mistake has been reported the value read is the kind's zero: check ok() before believing anything. The value
/// and the table must outlive it.
class Params {
 public:
  /// Checks `value` (a mapping, or null for none) against `fields`; every mistake goes to `diagnostics`.
  Params(const Value& value, std::span<const Field> fields, Diagnostics& diagnostics);

  bool ok() const { return ok_; }
  bool has(std::string_view key) const;  // written in the spec, and not null
  SourcePos at() const { return value_.at(); }
  SourcePos at(std::string_view key) const;  // of the key's value; the mapping's own place when absent

  std::string text(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  bool boolean(std::string_view key) const;
  Bytes size(std::string_view key) const;
  Mode mode(std::string_view key) const;
  AbsPath path(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  std::optional<std::string> maybe_text(std::string_view key) const;
  std::optional<std::int64_t> maybe_integer(std::string_view key) const;
  std::optional<Mode> maybe_mode(std::string_view key) const;
  const Value* raw(std::string_view key) const;  // null when absent and without a fallback
  /// The elements of a mapping_list (or the one mapping of a mapping), each checked against its table.
  std::vector<Params> each(std::string_view key) const;

  /// The module's own objection to a value, reported at the key.
  void reject(std::string_view key, std::string message, std::string hint = {}) const;
  /// The same, at a place inside a free mapping.
  void reject(SourcePos at, std::string message, std::string hint = {}) const;
  /// A value inside a free mapping, checked against a table of its own. Both must outlive the result.
  Params within(const Value& value, std::span<const Field> fields) const;

 private:
  struct Checked {};  // by the Params this one is a part of
  using Fallbacks = std::vector<std::unique_ptr<const Value>>;
  Params(const Value& value, std::span<const Field> fields, Diagnostics& diagnostics, Checked)
      : value_(value), fields_(fields), diagnostics_(&diagnostics) {}

  const Field& field(std::string_view key) const;
  const Value* find(std::string_view key) const;

  const Value& value_;
  std::span<const Field> fields_;
  Diagnostics* diagnostics_;
  mutable std::shared_ptr<Fallbacks> fallbacks_;  // what raw() and each() have handed out; none in the common case
  mutable bool ok_ = true;
};

}  // namespace converge::spec
