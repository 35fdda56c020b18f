#include "cli/history_json.h"

namespace converge::cli {

Json to_json(const history::Run& run) {
  using State = history::Run::State;
  const char* state = run.state == State::running ? "running" : run.state == State::done ? "done" : "interrupted";
  return {{"run", run.id},
          {"uid", run.start.uid},
          {"verb", name_of(run.start.verb)},
          {"began", run.start.began.micros},
          {"ended", run.ended ? Json(run.ended->micros) : Json(nullptr)},
          {"exit", run.exit ? Json(*run.exit) : Json(nullptr)},
          {"state", state},
          {"who", run.start.who},
          {"from", run.start.from},
          {"revision", run.start.revision},
          {"sources", run.start.sources},
          {"words", run.start.words},
          {"version", run.start.version},
          {"root", run.start.root},
          {"hosts", run.hosts},
          {"counts", converge::to_json(run.tally)}};
}

Json to_json(const history::Point& point) {
  return {{"host", point.host},
          {"run", point.run},
          {"verb", name_of(point.verb)},
          {"status", point.status},
          {"ended", point.ended.micros},
          {"micros", point.took.count()},
          {"counts", converge::to_json(point.tally)}};
}

Json to_json(const history::HostRecord& record) {
  Json steps = Json::array();
  for (const Step& step : record.steps) steps.push_back(converge::to_json(step));
  return {{"host", record.host},
          {"status", record.status},
          {"error", record.error.empty() ? Json(nullptr) : Json(record.error)},
          {"ended", record.ended.micros},
          {"micros", record.took.count()},
          {"counts", converge::to_json(record.tally)},
          {"steps", std::move(steps)}};
}

}  // namespace converge::cli
