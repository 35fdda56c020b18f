// A symbolic link, by its text: whether the target exists does not count.
#pragma once
#include "primitives/primitive.h"

namespace converge {

struct SymbolicLink {
  Place place;
  std::string target;
  bool absent = false;
  struct State {
    PathState path;
  };
};

ResourceId id(const SymbolicLink& p);
Result<SymbolicLink::State> inspect(const SymbolicLink& p, const SystemView& view);
Checks compare(const SymbolicLink& p, const SymbolicLink::State& state);
Status preflight(const SymbolicLink& p, const SymbolicLink::State& state, const SystemView& view);
Status apply(const SymbolicLink& p, const SymbolicLink::State& state, System& system);
}  // namespace converge
