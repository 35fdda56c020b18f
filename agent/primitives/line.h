// One line of a text file.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Keys and meaning as Ansible's lineinfile. Every other byte of the file stays, line endings included.
struct Line {
  Place place;
  std::string line;                  // without an ending
  std::optional<std::string> match;  // an ECMAScript regular expression; the last line it matches becomes `line`
  bool absent = false;               // remove every line that matches (or equals `line`)
  bool create = false;               // make the file when it is not there (else that is an error)
  Mode mode{0644};                   // of a file it makes
  Owner owner;
  struct State {
    Seen seen;
  };
};

ResourceId id(const Line& p);
Result<Line::State> inspect(const Line& p, const SystemView& view);
Checks compare(const Line& p, const Line::State& state);
Status preflight(const Line& p, const Line::State& state, const SystemView& view);
Status apply(const Line& p, const Line::State& state, System& system);
std::string diff(const Line& p, const Line::State& state);
}  // namespace converge
