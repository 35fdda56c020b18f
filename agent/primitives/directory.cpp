#include "primitives/directory.h"

#include "primitives/attributes.h"

namespace converge {

ResourceId id(const Directory& p) { return "directory:" + p.place.path.str(); }

Result<Directory::State> inspect(const Directory& p, const SystemView& view) {
  auto path = view.look(p.place);
  if (!path) return std::move(path).error();
  return Directory::State{*std::move(path)};
}

Checks compare(const Directory& p, const Directory::State& state) {
  const auto& [place, mode, owner, absent] = p;
  Checks checks;
  checks.reserve(3);
  checks.push_back(check_equal("kind", absent ? "absent" : "directory", kind_of(state.path)));
  if (!absent && std::holds_alternative<DirectoryInfo>(state.path)) check_attributes(checks, state.path, mode, owner);
  return checks;
}

Status preflight(const Directory& p, const Directory::State& state, const SystemView& view) {
  if (std::holds_alternative<Absent>(state.path)) return ok();
  if (!std::holds_alternative<DirectoryInfo>(state.path)) return in_the_way(p.place.path, state.path, "directory");
  if (!p.absent) return ok();
  const auto names = view.list(p.place);
  if (!names) return names.error();
  if (!*names || (*names)->empty()) return ok();
  return Error{Errc::refused,
               "directory '" + p.place.path.str() + "' is not empty: '" + (*names)->front() + "'",
               {},
               "declare what is in it as absent too"};
}

Status apply(const Directory& p, const Directory::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  if (p.absent) return system.remove(p.place);
  if (std::holds_alternative<Absent>(state.path)) {
    Status made = system.make_directory(p.place, p.mode, p.owner);
    if (!made && made.error().code == Errc::not_found && made.error().hint.empty())
      made.error().hint = "declare the directory '" + p.place.path.parent().str() + "' first";
    return made;
  }
  if (attributes_differ(state.path, p.mode, p.owner))
    return mend_attributes(p.place, state.path, p.mode, p.owner, {}, system);
  return ok();
}

}  // namespace converge
