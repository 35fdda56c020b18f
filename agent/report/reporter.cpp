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

std::optional<NoRun> no_run_from(std::string_view name) {
  for (const NoRun why : {NoRun::unreachable, NoRun::lost, NoRun::busy, NoRun::refused, NoRun::not_begun})
    if (name_of(why) == name) return why;
  return std::nullopt;
}

}  // namespace converge
