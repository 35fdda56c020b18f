// Who a path belongs to, and with whose rights it is reached: parameters `owner` and `group` of several modules.
#pragma once
#include <optional>
#include <string_view>

#include "core/result.h"
#include "spec/params.h"
#include "system/facts.h"

namespace converge {

struct Ownership {
  Owner owner;
  std::optional<Person> as;  // whose home the path lies in: root does not follow what a user can plant
};

/// Reads `owner` (a name or a number) and `group` (likewise; absent: the owner's own) of `params`. Errc::refused for a
/// name this host does not know.
Result<Ownership> ownership(const spec::Params& params, const Facts& facts, const AbsPath& path);

/// The rights `path` is reached with when nothing says whose it is: those of the user whose home it lies in, or root's.
std::optional<Person> keeper_of(const AbsPath& path, const Facts& facts);

/// The user `name` (a name or a number). Errc::refused if this host has none.
Result<Person> person(std::string_view name, const Facts& facts);

/// The rows of a field table that ownership() reads.
spec::Field owner_field();
spec::Field group_field();
spec::Field mode_field(std::string_view fallback);
spec::Field state_field();

}  // namespace converge
