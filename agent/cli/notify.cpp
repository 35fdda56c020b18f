#include "cli/notify.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/outputs.h"
#include "cli/record.h"
#include "core/text.h"
#include "report/step_json.h"
#include "system/network.h"

namespace converge::cli {
namespace {

constexpr int tries = 3;
constexpr auto between_tries = std::chrono::milliseconds(500);
constexpr auto patience = std::chrono::seconds(10);
constexpr std::size_t most_untold = 256U << 10U;  // bytes

/// A label's value in the text format: backslash, quote and newline are escaped.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

class Notifier final : public Reporter {
 public:
  Notifier(const Options& options, System& system, Log& log) : options_(options), system_(system), log_(log) {}

  void run_begins(const RunInfo& info) override { verb_ = info.verb; }
  void doing(const std::string& /*host*/, const std::string& /*what*/) override {}
  void step(const std::string& /*host*/, const Step& /*step*/) override {}
  void note(const std::string& /*host*/, const std::string& /*text*/) override {}
  void compared(const std::string& host, const Compared& what) override {
    Json findings = Json::array();
    for (const Finding& each : what.fresh)
      if (verb_ != Verb::apply || stopped_being_so(each)) findings.push_back(to_json(each));
    hosts_[host].fresh = findings.size();
    if (findings.empty()) return;
    drifted_.push_back({{"host", host}, {"findings", std::move(findings)}});
  }
  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) override {
    hosts_[host].tally = tally;
    hosts_[host].took = took;
    hosts_[host].reached = true;
  }
  void host_failed(const std::string& host, NoRun /*why*/, const Error& /*error*/) override { (void)hosts_[host]; }

  void run_ends(int exit_code, std::chrono::microseconds /*took*/) override {
    if (!options_.textfile.empty()) write_metrics(exit_code);
    if (!options_.on_drift.empty())
      tell("the command of --on-drift", ".untold-command", [&](const std::string& news) { return run(news); });
    if (!options_.webhook.empty())
      tell("the webhook", ".untold-webhook", [&](const std::string& news) { return post(news); });
  }

 private:
  /// An apply finds out of sync also what is declared for the first time, or otherwise than before.
  static bool stopped_being_so(const Finding& finding) {
    return finding.in_sync_until && std::none_of(finding.suspects.begin(), finding.suspects.end(),
                                                 [](const Suspect& each) { return each.kind == "spec"; });
  }

  struct Host {
    bool reached = false;
    Tally tally;
    std::size_t fresh = 0;
    std::chrono::microseconds took{0};
  };

  void write_metrics(int exit_code) {
    std::string out;
    const auto family = [&](const char* name, const char* help) {
      out += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help);
    };
    family("converge_resources", "Resources by host and outcome of the last run.");
    for (const auto& [host, state] : hosts_)
      for (const Outcome outcome : {Outcome::in_sync, Outcome::skipped, Outcome::changed, Outcome::out_of_sync,
                                    Outcome::blocked, Outcome::unknown, Outcome::failed})
        if (state.reached)
          out += fmt::format("converge_resources{{host=\"{}\",outcome=\"{}\"}} {}\n", label(host),
                             one_word(name_of(outcome)), state.tally.of(outcome));
    family("converge_new_drift", "Properties that the last run found out of sync and the one before did not.");
    for (const auto& [host, state] : hosts_)
      if (state.reached) out += fmt::format("converge_new_drift{{host=\"{}\"}} {}\n", label(host), state.fresh);
    family("converge_reached", "1 if the host could be looked at.");
    for (const auto& [host, state] : hosts_)
      out += fmt::format("converge_reached{{host=\"{}\"}} {}\n", label(host), state.reached ? 1 : 0);
    family("converge_run_duration_seconds", "How long the host took.");
    for (const auto& [host, state] : hosts_)
      if (state.reached)
        out += fmt::format("converge_run_duration_seconds{{host=\"{}\"}} {:.6f}\n", label(host),
                           static_cast<double>(state.took.count()) / 1e6);
    family("converge_run_exit_code", "The exit code of the last run.");
    out += fmt::format("converge_run_exit_code{{verb=\"{}\"}} {}\n", name_of(verb_), exit_code);
    family("converge_run_timestamp_seconds", "When the last run ended.");
    out += fmt::format("converge_run_timestamp_seconds {}\n", system_.now().micros / 1'000'000);
    // The collector is another user.
    if (const auto done = replace_file(options_.textfile, out, 0644); !done) log_.warning(done.error().text());
  }

  /// Tells what is new, and what could not be told before: that lies beside the history until it is told.
  template <class Try>
  void tell(const char* what, const char* ending, const Try& attempt) {
    const std::string history = history_file(options_), file = history.empty() ? "" : history + ending;
    Json hosts = file.empty() ? Json::array() : untold(file);
    const bool waited = !hosts.empty();
    hosts.insert(hosts.end(), drifted_.begin(), drifted_.end());
    if (hosts.empty()) return;
    const Json news{{"event", "drift"}, {"version", CONVERGE_VERSION}, {"hosts", hosts}};
    const std::string text = json_text(news) + "\n";
    const Status done = persist([&] { return attempt(text); });
    std::error_code failed;
    if (done) {
      if (waited) std::filesystem::remove(file, failed);
      return;
    }
    const std::string kept = json_text(hosts);
    const bool later = !file.empty() && kept.size() <= most_untold && replace_file(file, kept, 0600);
    log_.warning(fmt::format("{}: {}: nobody was told of this drift{}", what, done.error().text(),
                             later ? "; the next run tries again" : ""));
  }

  static Json untold(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text(most_untold + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    Json hosts = json_from(text);
    return hosts.is_array() ? hosts : Json::array();
  }

  template <class Try>
  Status persist(const Try& attempt) {
    for (int left = tries;; --left) {
      Status done = attempt();
      if (done || left == 1 || done.error().code == Errc::invalid) return done;
      system_.pause(between_tries);
    }
  }

  Status run(const std::string& text) {
    const auto out = system_.run({.argv = options_.on_drift, .input = text, .deadline = patience});
    if (!out) return out.error();
    if (out->exit_code == 0) return ok();
    const std::string_view said = trim(out->err.empty() ? out->out : out->err);
    return Error{Errc::command_failed,
                 fmt::format("it ended with status {}{}{}", out->exit_code, said.empty() ? "" : ": ",
                             said.substr(0, said.find('\n'))),
                 {},
                 {}};
  }

  Status post(const std::string& text) {
    std::string url = options_.webhook;
    if (url.starts_with('@')) {
      const auto path = AbsPath::parse(url.substr(1));
      if (!path) return Error{Errc::invalid, "the file of the URL is not an absolute path", {}, {}};
      const auto seen = system_.read(*path, 4_KiB);
      if (!seen) return seen.error();
      url = trim(seen->content);
      if (url.empty()) return Error{Errc::invalid, fmt::format("'{}' holds no URL", path->str()), {}, {}};
    }
    HttpRequest request;
    request.url = url;
    request.method = "POST";
    request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "converge/" CONVERGE_VERSION}};
    request.body = text;
    request.follow_redirects = false;
    request.timeout = patience;
    const auto answer = system_.http(request);
    // A URL may hold a token: what went wrong is told without it.
    if (!answer)
      return Error{answer.error().code,
                   answer.error().code == Errc::timeout ? "it did not answer in time" : "it could not be reached",
                   {},
                   {}};
    if (answer->status >= 200 && answer->status < 300) return ok();
    return Error{Errc::command_failed, fmt::format("it answered {}", answer->status), {}, {}};
  }

  const Options& options_;
  System& system_;
  Log& log_;
  Verb verb_ = Verb::drift;
  std::map<std::string, Host> hosts_;
  Json drifted_ = Json::array();
};

}  // namespace

std::unique_ptr<Reporter> notifier(const Options& options, System& system, Log& log) {
  if (options.textfile.empty() && options.on_drift.empty() && options.webhook.empty()) return nullptr;
  return std::make_unique<Notifier>(options, system, log);
}

}  // namespace converge::cli
