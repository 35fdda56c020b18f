#include "report/reporter.h"

namespace converge {

std::string_view name_of(NoRun why) {
  switch (why) {
    case NoRun::unreachable:
      return "unreachable";
    case NoRun::lost:
      return "lost";
    case NoRun::busy:
      return "busy";
    case NoRun::refused:
      return "refused";
    case NoRun::not_begun:
      return "not begun";
  }
  return "";
}

}  // namespace converge
