// Events for programs. Every key is always present; null is for nothing. A new key is an addition, never a change.
#include <cstdio>

#include "report/reporter.h"
#include "report/step_json.h"

namespace converge {
namespace {

class JsonReporter final : public Reporter {
 public:
  void run_begins(const RunInfo& info) override {
    drift_ = info.verb == Verb::drift;
    put({{"event", "run"},
         {"format", 1},
         {"version", info.version},
         {"verb", converge::name_of(info.verb)},
         {"hosts", info.hosts},
         {"root", info.root}});
  }
  void doing(const std::string& /*host*/, const std::string& /*what*/) override {}
  void note(const std::string& host, const std::string& text) override {
    put({{"event", "note"}, {"host", host}, {"text", text}});
  }
  void step(const std::string& host, const Step& step) override {
    Json event{{"event", "step"}, {"host", host}};
    event.update(to_json(step));
    put(event);
  }
  void compared(const std::string& host, const Compared& what) override {
    if (!drift_) return;
    const auto tell = [&](const char* state, const std::vector<Finding>& findings) {
      for (const Finding& each : findings) {
        Json event{{"event", "drift"}, {"host", host}, {"state", state}};
        event.update(to_json(each));
        put(event);
      }
    };
    tell("new", what.fresh);
    tell("old", what.old);
    tell("healed", what.healed);
  }
  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) override {
    put({{"event", "host"},
         {"host", host},
         {"reached", true},
         {"status", "done"},
         {"counts", to_json(tally)},
         {"error", nullptr},
         {"micros", took.count()}});
  }
  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    put({{"event", "host"},
         {"host", host},
         {"reached", why != NoRun::unreachable && why != NoRun::not_begun},
         {"status", one_word(converge::name_of(why))},
         {"counts", nullptr},
         {"error", to_json(std::optional<Error>(error))},
         {"micros", 0}});
  }
  void run_ends(int exit_code, std::chrono::microseconds took) override {
    put({{"event", "end"}, {"exit", exit_code}, {"micros", took.count()}});
    (void)std::fflush(stdout);
  }

 private:
  static void put(const Json& event) {
    const std::string line = json_text(event) + "\n";
    (void)std::fwrite(line.data(), 1, line.size(), stdout);
  }

  bool drift_ = false;
};

}  // namespace

std::unique_ptr<Reporter> json_reporter() { return std::make_unique<JsonReporter>(); }

}  // namespace converge
