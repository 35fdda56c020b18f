// Drift for people: by host, what is new first, each with its dates and with what may have caused it.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "core/text.h"
#include "report/live.h"
#include "report/reporter.h"
#include "report/words.h"

namespace converge {
namespace {

class DriftReporter final : public Reporter {
 public:
  DriftReporter(TextOptions options, std::function<Timestamp()> now)
      : options_(std::move(options)), now_(std::move(now)) {}

  void run_begins(const RunInfo& info) override {
    for (const std::string& host : info.hosts) host_width_ = std::max(host_width_, width(host));
    item_width_ = std::min<std::size_t>(info.item_width, 24);
    if (options_.progress) live_ = std::make_unique<Live>(info.hosts.size(), options_.columns);
    if (info.root != "/") put(fmt::format("in the tree {}\n", printable(info.root)));
  }
  void doing(const std::string& host, const std::string& what) override {
    if (live_) live_->doing(host, what);
  }
  void note(const std::string& host, const std::string& text) override { put(head(host, printable(text))); }

  void step(const std::string& host, const Step& step) override {
    if (live_ && step.outcome == Outcome::out_of_sync) live_->changing(host);
    if (!step.diff.empty()) diffs_[host][{step.item, step.id}] = step.diff;
    if (options_.all && step.outcome == Outcome::in_sync) row(host, step.item, "in sync", "32", step.id, "", step.at);
  }

  void compared(const std::string& host, const Compared& what) override {
    tell(host, "new", "31", what.fresh);
    tell(host, "old", "33", what.old);
    tell(host, "healed", "32", what.healed);
    for (const Finding& each : what.fresh) ++(each.unknown ? unknown_ : new_);
    for (const Finding& each : what.old) ++(each.unknown ? unknown_ : old_);
    healed_ += what.healed.size();
    diffs_.erase(host);
  }

  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds /*took*/) override {
    in_sync_ += tally.of(Outcome::in_sync);
    interrupted_ = interrupted_ || tally.interrupted;
    ++hosts_;
    if (live_) live_->ends(host, tally.of(Outcome::failed) > 0);
  }

  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    ++missing_[why];
    if (live_) live_->ends(host, true);
    std::string lines =
        head(host, in_colour(options_.colour, "31", std::string(name_of(why))) + "  " + printable(error.text()));
    if (!error.hint.empty()) lines += std::string(host_width_ + 2, ' ') + printable(error.hint) + "\n";
    put(lines);
  }

  void run_ends(int /*exit_code*/, std::chrono::microseconds took) override {
    live_.reset();
    std::size_t hosts = hosts_;
    for (const auto& [why, missing] : missing_) hosts += missing;
    std::string line = fmt::format("{} host{} · {} in sync", hosts, hosts == 1 ? "" : "s", in_sync_);
    const auto count = [&](std::size_t n, const char* word, const char* code, bool always) {
      if (n > 0) line += " · " + in_colour(options_.colour, code, fmt::format("{} {}", n, word));
      if (n == 0 && always) line += fmt::format(" · 0 {}", word);
    };
    count(new_, "new", "31", true);
    count(old_, "old", "33", false);
    count(healed_, "healed", "32", false);
    count(unknown_, "unknown", "35", false);
    for (const auto& [why, missing] : missing_) count(missing, std::string(name_of(why)).c_str(), "31", false);
    if (interrupted_) line += " · interrupted";
    put(line + " · " + in_words(took) + "\n");
    (void)std::fflush(stdout);
  }

 private:
  /// Properties of one resource that went and came together are one line.
  void tell(const std::string& host, const char* word, const char* code, const std::vector<Finding>& findings) {
    for (std::size_t i = 0; i < findings.size();) {
      const Finding& first = findings[i];
      std::string what;
      std::vector<std::string> details;
      std::size_t next = i;
      for (; next < findings.size() && together(first, findings[next]); ++next) {
        const std::string sentence = sentence_of(findings[next]);
        if (!sentence.empty()) what += (what.empty() ? "" : " · ") + sentence;
        if (!findings[next].detail.empty()) details.push_back(printable(findings[next].detail));
      }
      row(host, first.item, first.unknown && !first.ended ? "unknown" : word, first.unknown ? "35" : code,
          first.resource, what, first.at);
      for (const std::string& detail : details) put(indent() + detail + "\n");
      put(indent() + dimmed(dates_of(first)) + "\n");
      for (const Suspect& each : first.suspects) put(indent() + dimmed("perhaps: " + printable(each.text)) + "\n");
      if (!first.ended) put(diff_lines(options_.colour, std::exchange(diffs_[host][{first.item, first.resource}], "")));
      i = next;
    }
  }

  static bool together(const Finding& a, const Finding& b) {
    return a.item == b.item && a.resource == b.resource && a.unknown == b.unknown &&
           a.in_sync_until == b.in_sync_until && a.out_since == b.out_since && a.how == b.how &&
           a.suspects == b.suspects;
  }

  static std::string sentence_of(const Finding& finding) {
    if (finding.property.empty()) return {};
    const std::string property = finding.property == "kind" ? "" : printable(finding.property) + " ";
    const auto or_nothing = [](const std::string& text) { return text.empty() ? "nothing" : printable(text); };
    if (finding.unknown) return printable(finding.property);
    return fmt::format("{}{} {}, not {}", property, finding.ended ? "was" : "is", or_nothing(finding.actual),
                       or_nothing(finding.expected));
  }

  std::string dates_of(const Finding& finding) const {
    const Timestamp now = now_();
    const auto ago = [&](Timestamp when) {
      return fmt::format("{} ({} ago)", when.text(), text_of_span((now.micros - when.micros) / 1'000'000));
    };
    if (finding.ended) {
      const char* how = finding.how == "undeclared"  ? "declared no more"
                        : finding.how == "converged" ? "put right by this run"
                                                     : "in sync again";
      return fmt::format("{}; was out since {}", how, ago(finding.out_since));
    }
    if (!finding.in_sync_until) return fmt::format("never seen in sync; out since {}", ago(finding.out_since));
    return fmt::format("in sync until {}, out since {}", ago(*finding.in_sync_until), finding.out_since.text());
  }

  void row(const std::string& host, const std::string& item, const char* word, const char* code,
           const std::string& resource, const std::string& what, const std::string& at) {
    put(head(host, padded(printable(item), item_width_) + "  " + in_colour(options_.colour, code, padded(word, 7)) +
                       "  " + printable(resource) + (what.empty() ? "" : "  " + what) + dimmed("  " + printable(at))));
  }
  std::string head(const std::string& host, const std::string& text) const {
    return padded(printable(host), host_width_) + "  " + text + "\n";
  }
  std::string indent() const { return std::string(host_width_ + 2 + item_width_ + 2, ' '); }
  std::string dimmed(const std::string& text) const { return in_colour(options_.colour, "2", text); }

  void put(const std::string& text) {
    if (live_) live_->clear();
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    if (live_) (void)std::fflush(stdout);  // before the live lines come back
  }

  TextOptions options_;
  std::function<Timestamp()> now_;
  std::size_t host_width_ = 0, item_width_ = 0, hosts_ = 0;
  std::size_t in_sync_ = 0, new_ = 0, old_ = 0, healed_ = 0, unknown_ = 0;
  bool interrupted_ = false;
  std::map<NoRun, std::size_t> missing_;
  std::map<std::string, std::map<std::pair<std::string, std::string>, std::string>> diffs_;  // by host, item, resource
  std::unique_ptr<Live> live_;
};

}  // namespace

std::unique_ptr<Reporter> drift_reporter(TextOptions options, std::function<Timestamp()> now) {
  return std::make_unique<DriftReporter>(std::move(options), std::move(now));
}

}  // namespace converge
