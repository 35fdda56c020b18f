// Ctrl-C: once finishes what is in hand and reports, twice stops.
#pragma once

namespace converge::cli {

/// From now on INT and TERM are counted; the second ends the process with 130 at once. HUP and PIPE are ignored: a
/// reader that goes away must not stop half a change.
void catch_interrupts();
bool interrupted();
/// Returns when it has been: at once if it was before. After catch_interrupts().
void wait_for_interrupt();

}  // namespace converge::cli
