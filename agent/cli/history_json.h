// What the history answers, as JSON for programs: times are microseconds since the epoch, null is for nothing.
#pragma once
#include "history/history.h"
#include "report/step_json.h"

namespace converge::cli {

/// {"run", "uid", "verb", "began", "ended", "exit", "state", "who", ..., "hosts", "counts"}
Json to_json(const history::Run& run);
/// {"host", "run", "verb", "status", "ended", "micros", "counts"}
Json to_json(const history::Point& point);
/// {"host", "status", "error", "ended", "micros", "counts", "steps"}
Json to_json(const history::HostRecord& record);

}  // namespace converge::cli
