// What the page of a fleet shows, asked of the history.
#pragma once
#include <functional>
#include <string>

#include "history/history.h"
#include "report/page.h"

namespace converge::cli {

struct PageWish {
  Timestamp now, since;
  std::chrono::seconds stale{0};
  std::function<bool(const std::string& host)> wanted;  // none: all hosts
};
Result<PageFleet> page_fleet(const history::History& history, const PageWish& wish);

}  // namespace converge::cli
