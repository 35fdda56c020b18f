#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"content", Kind::any, false, "", "what is matched"},
    {"as-reader", Kind::boolean, false, "false", "take the content as a text of lines"},
    {"matches", Kind::any, true, "", "what is expected of it", true},
};

Looked look(const Asked& asked, Context& /*context*/, const SystemView& /*view*/) {
  const Value* content = asked.raw("content");
  const Value nothing;
  const Value& value = content == nullptr ? nothing : *content;
  Looked out;
  if (asked.boolean("as-reader"))
    out.emplace_back("matches", text_value(text_of(value)));
  else
    out.emplace_back("matches", value);
  return out;
}

}  // namespace

CheckType matching_check() {
  CheckType type{"matching", "Matching", "a value of the file itself, for variables and templates", "", attributes};
  type.look = look;
  return type;
}

}  // namespace converge::checks
