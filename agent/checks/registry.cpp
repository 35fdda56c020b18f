#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the key, when the key in the file is another name"},
    {"exists", Kind::boolean, true, "", "whether it is there", true},
    {"value", Kind::text, true, "", "its value"},
    {"type", Kind::text, true, "", "its type"},
};

Looked look(const Asked& asked, Context& /*context*/, const SystemView& /*view*/) {
  return all_unknown(asked, Error{Errc::unsupported,
                                  "only Windows has a registry",
                                  {},
                                  "put this check into a file for Windows, or give it skip: true"});
}

}  // namespace

CheckType registry_check() {
  CheckType type{"registry", "Registry", "a key of the Windows registry: read here, answered nowhere else", "name",
                 attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
