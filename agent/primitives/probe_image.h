// The proof that a node can pull an image.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// crictl pull of an image, asked for by the operator: it needs the network, and room for the image. An image that was
/// not there before is removed afterwards. One that is there already proves that its name resolves and that the
/// registry lets us in, not that its layers can be had: the runtime asks the registry for its digest alone. Left out,
/// and said so, where none of `units` runs.
struct ImagePull {
  std::string image;                // "192.0.2.10:32166/coulomb/app:1.0"
  std::vector<std::string> crictl;  // the program and its first arguments
  std::vector<std::string> units;
  struct State {
    bool runs = false;  // one of the services
    bool pulled = false, was_there = false;
    std::string said;  // by crictl, when it failed
  };
  static constexpr bool live_only = true;
  static constexpr bool deep = true;
};

ResourceId id(const ImagePull& p);
Result<ImagePull::State> inspect(const ImagePull& p, const SystemView& view);
Checks compare(const ImagePull& p, const ImagePull::State& state);
}  // namespace converge
