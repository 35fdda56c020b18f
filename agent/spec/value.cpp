#include "spec/value.h"

namespace converge::spec {

const Value* Value::find(std::string_view key) const {
  if (const Map* entries = map())
    for (const Entry& entry : *entries)
      if (entry.key == key) return &entry.value;
  return nullptr;
}

}  // namespace converge::spec
