// A regular file, whole.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// A regular file with these bytes. A symlink or anything else at the path is refused, never replaced.
struct File {
  Place place;
  std::string content;
  Mode mode{0644};
  Owner owner;
  bool sensitive = false;  // content never shown, not even as a diff
  bool absent = false;     // the file must not be there; content, mode and owner do not count
  struct State {
    Seen seen;
    bool unreadable = false;  // the user it is reached as may not read it: what root left in their home
  };
};

ResourceId id(const File& p);
Result<File::State> inspect(const File& p, const SystemView& view);
Checks compare(const File& p, const File::State& state);
Status preflight(const File& p, const File::State& state, const SystemView& view);
Status apply(const File& p, const File::State& state, System& system);
std::string diff(const File& p, const File::State& state);
}  // namespace converge
