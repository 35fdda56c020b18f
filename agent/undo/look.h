// What things are, as undo wants to know it.
#pragma once
#include "undo/journal.h"

namespace converge::undo {

/// So much of a file is kept, and told apart by its bytes; of a longer one only mode, owner and size count.
constexpr Bytes kept_of_a_file = 8_MiB;

/// What is at `place`, a file with its content unless that is longer than kept_of_a_file or may not be read. A swap
/// file is told from another one only with root's rights. Follows no symlink in the last component.
Result<State> path_state(const SystemView& view, const Place& place);
/// The words of a value, separated by one blank.
std::string words_of(std::string_view value);
/// The value of a file below /proc/sys, as words_of().
Result<State> kernel_state(const SystemView& view, const AbsPath& path);
/// Whether it runs, and with systemd what it does at boot (UnitFileState, or "masked"). OpenRC's runlevels are links,
/// and so paths.
Result<State> unit_state(const SystemView& view, const std::string& name);

}  // namespace converge::undo
