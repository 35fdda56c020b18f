// The data of specs and inventories: YAML's values, each with the place it was written at.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/diagnostic.h"

namespace converge::spec {

class Value;
struct Entry;
using List = std::vector<Value>;
using Map = std::vector<Entry>;  // in the order written; keys are unique

struct Null {
  bool operator==(const Null&) const = default;
};

class Value {
 public:
  using Data = std::variant<Null, bool, std::int64_t, double, std::string, List, Map>;

  // In value.cpp: every file that handles values would otherwise carry the variant's own code for these.
  Value();
  explicit Value(Data data, SourcePos at = {}, bool quoted = false);
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  const Data& data() const { return data_; }
  Data& data() { return data_; }
  SourcePos at() const { return at_; }
  /// True for a string written with quotes or as a block scalar, and for what a template made.
  bool quoted() const { return quoted_; }

  bool is_null() const { return std::holds_alternative<Null>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data_); }
  const double* number() const { return std::get_if<double>(&data_); }
  const std::string* string() const { return std::get_if<std::string>(&data_); }
  const List* list() const { return std::get_if<List>(&data_); }
  const Map* map() const { return std::get_if<Map>(&data_); }
  const Value* find(std::string_view key) const;  // of a map; null if it is no map or has no such key
  std::string_view kind() const;                  // "null", "boolean", "integer", "number", "string", "list", "mapping"
  /// A scalar as its YAML text ("true", "12", "abc", "" for null); lists and maps as JSON.
  std::string text() const;
  /// Equal data, maps unordered; positions and quoting do not count.
  bool same_as(const Value& other) const;

 private:
  Data data_;
  SourcePos at_;
  bool quoted_ = false;
};

struct Entry {
  std::string key;
  SourcePos key_at;
  Value value;
};

}  // namespace converge::spec
