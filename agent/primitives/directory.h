// A directory. Its parent must exist; what is in it is not looked at.
#pragma once
#include "primitives/primitive.h"

namespace converge {

struct Directory {
  Place place;
  Mode mode{0755};
  Owner owner;
  bool absent = false;  // removed only when empty
  struct State {
    PathState path;
  };
};

ResourceId id(const Directory& p);
Result<Directory::State> inspect(const Directory& p, const SystemView& view);
Checks compare(const Directory& p, const Directory::State& state);
Status preflight(const Directory& p, const Directory::State& state, const SystemView& view);
Status apply(const Directory& p, const Directory::State& state, System& system);
}  // namespace converge
