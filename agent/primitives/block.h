// A block of lines of ours in a text file that others own.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Lines between `# BEGIN converge NAME` and `# END converge NAME`; every other byte stays. A BEGIN without its END, or
/// twice, is refused: somebody's hand was there.
struct Block {
  Place place;
  std::string name;           // of the markers; one line
  std::string comment = "#";  // what starts a comment in that file
  std::string content;        // ends in a newline unless empty
  enum class At {
    top,
    bottom
  } at = At::bottom;  // where a new block goes; at top also means: nothing but comments and blocks of ours above
  bool absent = false;
  bool create = true;
  Mode mode{0644};  // required of the file, existing or made
  Owner owner;
  bool backup = false;
  struct State {
    Seen seen;
    bool unreadable = false;  // root left it in a home; its user may not read it
  };
};

ResourceId id(const Block& p);
Result<Block::State> inspect(const Block& p, const SystemView& view);
Checks compare(const Block& p, const Block::State& state);
Status preflight(const Block& p, const Block::State& state, const SystemView& view);
Status apply(const Block& p, const Block::State& state, System& system);
std::string diff(const Block& p, const Block::State& state);
}  // namespace converge
