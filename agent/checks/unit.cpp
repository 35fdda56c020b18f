#include <fmt/format.h>

#include "checks/looking.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the unit with its suffix, when the key is another name"},
    {"loaded", Kind::boolean, true, "", "whether systemd has it loaded", true},
    {"properties", Kind::any, true, "", "its properties by systemd's names, as a mapping"},
};

Foresight foresee(const Asked& asked, const Context& /*context*/) { return {{}, {asked.subject()}}; }

Looked look(const Asked& asked, Context& /*context*/, const SystemView& view) {
  auto unit = view.unit(asked.subject());
  if (!unit) return all_unknown(asked, unit.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "loaded") {
      const auto state = unit->find("LoadState");
      if (state == unit->end())
        out.emplace_back(name, Error{Errc::unsupported, "systemd does not say", {}, {}});
      else
        out.emplace_back(name, Value(state->second == "loaded"));
      continue;
    }
    // As JSON: the gjson matcher then names the property it is about.
    std::string text = "{";
    for (const auto& [key, value] : *unit)
      text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", spec::write_json(Value(key)),
                          spec::write_json(Value(value)));
    out.emplace_back(name, Value(text + "}"));
  }
  return out;
}

}  // namespace

CheckType unit_check() {
  CheckType type{"unit", "Unit", "a systemd unit and its properties in effect", "name", attributes};
  type.first_decides = true;
  type.look = look;
  type.foresee = foresee;
  return type;
}

}  // namespace converge::checks
