#include "primitives/symlink.h"

#include "primitives/attributes.h"

namespace converge {

ResourceId id(const SymbolicLink& p) { return "symlink:" + p.place.path.str(); }

Result<SymbolicLink::State> inspect(const SymbolicLink& p, const SystemView& view) {
  auto path = view.look(p.place);
  if (!path) return std::move(path).error();
  return SymbolicLink::State{*std::move(path)};
}

Checks compare(const SymbolicLink& p, const SymbolicLink::State& state) {
  const auto& [place, target, absent] = p;
  Checks checks;
  checks.push_back(check_equal("kind", absent ? "absent" : "symlink", kind_of(state.path)));
  if (const auto* link = std::get_if<Symlink>(&state.path); link != nullptr && !absent)
    checks.push_back(check_equal("target", target, link->target));
  return checks;
}

Status preflight(const SymbolicLink& p, const SymbolicLink::State& state, const SystemView& /*view*/) {
  if (std::holds_alternative<Absent>(state.path) || std::holds_alternative<Symlink>(state.path)) return ok();
  return in_the_way(p.place.path, state.path, "symlink");
}

Status apply(const SymbolicLink& p, const SymbolicLink::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  const auto* link = std::get_if<Symlink>(&state.path);
  if (p.absent) return link == nullptr ? ok() : system.remove(p.place);
  if (link != nullptr && link->target == p.target) return ok();
  return system.make_symlink(p.place, p.target);
}

}  // namespace converge
