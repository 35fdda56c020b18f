// systemd told to read its unit files again.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Sets it going. With many units it takes a tenth of a second, and systemd answers nobody in that time.
Status begin_reload(System& system);
bool is_reloaded(System& system);  // false: end_reload() would wait
/// Waits for what begin_reload() has set going.
Status end_reload(System& system);

}  // namespace converge
