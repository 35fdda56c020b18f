// What several primitives ask about a path: its kind, mode and owner.
#pragma once
#include "core/check.h"
#include "core/values.h"
#include "system/system.h"

namespace converge {

/// Appends the checks "mode" and "owner" of a regular file or directory; for anything else appends nothing (the
/// caller's "kind" check has failed). An owner that is not managed in this tree is skipped, and said so.
void check_attributes(Checks& checks, const PathState& state, Mode mode, Owner owner);

/// True if check_attributes() would add a failing check: without making any text.
bool attributes_differ(const PathState& state, Mode mode, Owner owner);

/// "1000:1000", as chown(1) takes it.
std::string owner_text(Owner owner);

/// "file, expected absent" and the like: a path that is something we do not replace.
Error in_the_way(const AbsPath& path, const PathState& state, std::string_view wanted);

/// How many bytes of a text file a primitive is ready to read.
constexpr Bytes text_limit = 16_MiB;

}  // namespace converge
