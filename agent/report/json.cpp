// Events for programs. Every key is always present; null is for nothing. A new key is an addition, never a change.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "report/reporter.h"

namespace converge {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name_of(Verb verb) {
  switch (verb) {
    case Verb::plan:
      return "plan";
    case Verb::verify:
      return "verify";
    case Verb::apply:
      return "apply";
  }
  return "";
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass:
      return "pass";
    case Verdict::fail:
      return "fail";
    case Verdict::unknown:
      return "unknown";
    case Verdict::skipped:
      return "skipped";
  }
  return "";
}

std::string key_of(Outcome outcome) {
  std::string name(converge::name_of(outcome));
  for (char& c : name)
    if (c == ' ') c = '_';
  return name;
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json to_json(const std::optional<Error>& error) {
  if (!error) return nullptr;
  return {{"message", error->text()}, {"hint", or_null(error->hint)}};
}

Json to_json(const Checks& checks) {
  Json out = Json::array();
  for (const Check& check : checks)
    out.push_back({{"property", check.property},
                   {"expected", check.expected},
                   {"actual", check.actual},
                   {"verdict", name_of(check.verdict)},
                   {"detail", or_null(check.detail)}});
  return out;
}

class JsonReporter final : public Reporter {
 public:
  void run_begins(const RunInfo& info) override {
    verb_ = info.verb;
    put({{"event", "run"},
         {"format", 1},
         {"version", info.version},
         {"verb", name_of(info.verb)},
         {"hosts", info.hosts},
         {"root", info.root}});
  }
  void host_begins(const std::string& host, const std::vector<Work>& /*work*/) override { host_ = host; }
  void begins(const std::string& /*item*/, const ResourceId& /*id*/) override {}
  void step(const Step& step) override {
    put({{"event", "step"},
         {"host", host_},
         {"item", step.item},
         {"id", step.id},
         {"at", step.at},
         {"outcome", key_of(step.outcome)},
         {"checks", to_json(step.checks)},
         {"error", to_json(step.error)},
         {"note", or_null(step.note)},
         {"diff", or_null(step.diff)},
         {"micros", step.took.count()}});
  }
  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) override {
    Json counts;
    for (int i = 0; i <= static_cast<int>(Outcome::failed); ++i)
      counts[key_of(static_cast<Outcome>(i))] = tally.of(static_cast<Outcome>(i));
    put({{"event", "host"},
         {"host", host},
         {"reached", true},
         {"counts", counts},
         {"error", nullptr},
         {"micros", took.count()}});
  }
  void host_failed(const std::string& host, const Error& error) override {
    put({{"event", "host"},
         {"host", host},
         {"reached", false},
         {"counts", nullptr},
         {"error", to_json(error)},
         {"micros", 0}});
  }
  void run_ends(int exit_code, std::chrono::microseconds took) override {
    put({{"event", "end"}, {"exit", exit_code}, {"micros", took.count()}});
    (void)std::fflush(stdout);
  }

 private:
  /// A host's text may be no UTF-8: it is replaced, never thrown at us.
  static void put(const Json& event) {
    const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    (void)std::fwrite(line.data(), 1, line.size(), stdout);
  }

  Verb verb_ = Verb::apply;
  std::string host_;
};

}  // namespace

std::unique_ptr<Reporter> json_reporter() { return std::make_unique<JsonReporter>(); }

}  // namespace converge
