#include "spec/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spec/yaml.h"

namespace converge::spec {

namespace {

/// Shortest digits that read back as `number`, always with a point so that it stays a float.
std::string float_text(double number) {
  if (std::isnan(number)) return ".nan";
  if (std::isinf(number)) return number > 0 ? ".inf" : "-.inf";
  std::string text = fmt::format("{}", number);
  if (text.find('.') != std::string::npos) return text;
  const std::size_t exponent = text.find('e');
  text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  return text;
}

bool same_maps(const Map& left, const Map& right) {
  if (left.size() != right.size()) return false;
  const auto by_key = [](const Map& map) {
    std::vector<const Entry*> order;
    order.reserve(map.size());
    for (const Entry& entry : map) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->key < b->key; });
    return order;
  };
  const auto lefts = by_key(left), rights = by_key(right);
  for (std::size_t i = 0; i < lefts.size(); ++i)
    if (lefts[i]->key != rights[i]->key || !lefts[i]->value.same_as(rights[i]->value)) return false;
  return true;
}

}  // namespace

Value::Value() = default;
Value::Value(Data data, SourcePos at, bool quoted) : data_(std::move(data)), at_(at), quoted_(quoted) {}
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

const Value* Value::find(std::string_view key) const {
  if (const Map* entries = map())
    for (const Entry& entry : *entries)
      if (entry.key == key) return &entry.value;
  return nullptr;
}

std::string_view Value::kind() const {
  static constexpr std::string_view names[] = {"null", "boolean", "integer", "number", "string", "list", "mapping"};
  static_assert(std::size(names) == std::variant_size_v<Data>);
  return names[data_.index()];
}

std::string Value::text() const {
  if (const bool* flag = boolean()) return *flag ? "true" : "false";
  if (const std::int64_t* whole = integer()) return std::to_string(*whole);
  if (const double* real = number()) return float_text(*real);
  if (const std::string* words = string()) return *words;
  if (is_null()) return {};
  return write_json(*this);
}

bool Value::same_as(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (const List* items = list()) {
    const List& others = *other.list();
    return std::equal(items->begin(), items->end(), others.begin(), others.end(),
                      [](const Value& a, const Value& b) { return a.same_as(b); });
  }
  if (const Map* entries = map()) return same_maps(*entries, *other.map());
  if (const bool* flag = boolean()) return *flag == *other.boolean();
  if (const std::int64_t* whole = integer()) return *whole == *other.integer();
  if (const std::string* words = string()) return *words == *other.string();
  if (const double* real = number())
    return *real == *other.number() || (std::isnan(*real) && std::isnan(*other.number()));
  return true;  // both null
}

}  // namespace converge::spec
