// What several primitives ask about a path: its kind, mode and owner.
#pragma once
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/values.h"
#include "system/system.h"

namespace converge {

/// Appends the checks "mode" and "owner" of a regular file or directory; for anything else appends nothing (the
/// caller's "kind" check has failed). An owner that is not managed in this tree is skipped, and said so.
void check_attributes(Checks& checks, const PathState& state, Mode mode, Owner owner);

/// True if check_attributes() would add a failing check: without making any text.
bool attributes_differ(const PathState& state, Mode mode, Owner owner);

/// The size of a text for people, and that it is not the one wanted although it is as long: "27 B, other bytes".
Check check_bytes(std::string property, std::string_view wanted, std::string_view actual, bool sensitive);

/// "1000:1000", as chown(1) takes it.
std::string owner_text(Owner owner);

/// Gives `place`, which is there, this mode and owner. What root left in a user's home is given back to the user, a
/// file only if `is_theirs` takes its content: System::take_over().
Status mend_attributes(const Place& place, const PathState& state, Mode mode, Owner owner, const IsTheirs& is_theirs,
                       System& system);

/// Replaces a regular file, or makes it. Refuses one with several hard links, which the replacing would part.
Status replace_file(const Place& place, const PathState& before, std::string_view content, WriteOptions options,
                    System& system);
/// The reasons replace_file() would refuse for, known before anything is written: Errc::refused.
Status may_replace_file(const Place& place, const PathState& before);

/// "'/x' is a directory, not a file": a path that is something we do not replace. Errc::refused.
Error in_the_way(const AbsPath& path, const PathState& state, std::string_view wanted);

/// How many bytes of a text file a primitive is ready to read.
constexpr Bytes text_limit = 16_MiB;

/// What is at a path of a home, read with its user's rights. unreadable: the user may not read it (root left it there,
/// say), so that only what it is could be told; `seen.content` is empty then.
struct ReadAtHome {
  Seen seen;
  bool unreadable = false;
};
/// Without `place.as` a read that is not permitted is an error, as any other failure is.
Result<ReadAtHome> read_at_home(const SystemView& view, const Place& place, Bytes limit);

}  // namespace converge
