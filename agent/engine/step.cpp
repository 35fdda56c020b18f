#include "engine/step.h"

namespace converge {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::in_sync:
      return "in sync";
    case Outcome::skipped:
      return "skipped";
    case Outcome::changed:
      return "changed";
    case Outcome::out_of_sync:
      return "out of sync";
    case Outcome::blocked:
      return "blocked";
    case Outcome::unknown:
      return "unknown";
    case Outcome::failed:
      return "failed";
  }
  return "";
}

}  // namespace converge
