#include "primitives/attributes.h"

#include <fmt/format.h>

namespace converge {
namespace {

struct Attributes {
  Mode mode;
  const std::optional<Owner>* owner;
};

std::optional<Attributes> attributes_of(const PathState& state) {
  if (const auto* file = std::get_if<RegularFile>(&state)) return Attributes{file->mode, &file->owner};
  if (const auto* directory = std::get_if<DirectoryInfo>(&state)) return Attributes{directory->mode, &directory->owner};
  return std::nullopt;
}

}  // namespace

std::string owner_text(Owner owner) { return fmt::format("{}:{}", owner.uid, owner.gid); }

void check_attributes(Checks& checks, const PathState& state, Mode mode, Owner owner) {
  const auto have = attributes_of(state);
  if (!have) return;
  checks.push_back(check_equal("mode", mode.text(), have->mode.text()));
  if (*have->owner)
    checks.push_back(check_equal("owner", owner_text(owner), owner_text(**have->owner)));
  else
    checks.push_back(check_skipped("owner", owner_text(owner), "owners are not managed in this tree"));
}

bool attributes_differ(const PathState& state, Mode mode, Owner owner) {
  const auto have = attributes_of(state);
  return have && (have->mode != mode || (*have->owner && **have->owner != owner));
}

Error in_the_way(const AbsPath& path, const PathState& state, std::string_view wanted) {
  Error error{Errc::refused, fmt::format("'{}' is a {}, not a {}", path.str(), kind_of(state), wanted), {}, {}};
  if (const auto* link = std::get_if<Symlink>(&state)) {
    error.message = fmt::format("'{}' is a symlink to '{}', not a {}", path.str(), link->target, wanted);
    error.hint = "name the target itself, or remove the symlink";
  } else {
    error.hint = fmt::format("move it away, or give the {} another path", wanted);
  }
  return error;
}

}  // namespace converge
