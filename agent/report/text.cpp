// Lines for people: what changed or failed, from what to what, asked for where; then what it adds up to.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/text.h"
#include "report/live.h"
#include "report/reporter.h"
#include "report/words.h"

namespace converge {
namespace {

class TextReporter final : public Reporter {
 public:
  explicit TextReporter(TextOptions options) : options_(std::move(options)) {}

  void run_begins(const RunInfo& info) override {
    info_ = info;
    info_.item_width = std::min<std::size_t>(info.item_width, 24);
    for (const std::string& host : info.hosts) host_width_ = std::max(host_width_, width(host));
    if (options_.progress) live_ = std::make_unique<Live>(info.hosts.size(), options_.columns);
    if (info.root != "/") put(fmt::format("in the tree {}\n", printable(info.root)));
  }

  void doing(const std::string& host, const std::string& what) override {
    if (live_) live_->doing(host, what);
  }

  void note(const std::string& host, const std::string& text) override {
    put(padded(printable(host), host_width_) + "  " + printable(text) + "\n");
    (void)std::fflush(stdout);  // a person may be waiting for it
  }

  void step(const std::string& host, const Step& step) override {
    if (live_ && (step.outcome == Outcome::changed || step.outcome == Outcome::out_of_sync)) live_->changing(host);
    if (!worth_a_line(step)) return;
    // A chain that is blocked is one line: what is first in it, and how much more.
    const auto waiting = blocked_.find(host);
    if (waiting != blocked_.end() && step.outcome == Outcome::blocked && step.item == waiting->second.first.item &&
        step.note == waiting->second.first.note) {
      ++waiting->second.more;
      return;
    }
    tell_blocked(host);
    if (step.outcome == Outcome::blocked && !options_.all)
      blocked_.emplace(host, Blocked{step, 0});
    else
      tell(host, step, 0);
  }

  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds /*took*/) override {
    tell_blocked(host);
    for (std::size_t i = 0; i < total_.counts.size(); ++i) total_.counts[i] += tally.counts[i];
    total_.interrupted = total_.interrupted || tally.interrupted;
    ++hosts_;
    if (live_) live_->ends(host, tally.of(Outcome::failed) + tally.of(Outcome::blocked) > 0);
  }

  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    tell_blocked(host);
    ++missing_[why];
    if (live_) live_->ends(host, true);
    std::string& told = told_last_[host];
    told = padded(printable(host), host_width_) + "  " + coloured(Outcome::failed, std::string(name_of(why))) + "  ";
    const std::string text = error.text();
    const std::string before(host_width_ + 2, ' ');  // no line of a host's words looks like a host's line
    for (const std::string_view line : split(text, '\n'))
      told += (line.data() == text.data() ? "" : before) + printable(line) + "\n";
    if (!error.hint.empty()) told += before + printable(error.hint) + "\n";
  }

  void run_ends(int /*exit_code*/, std::chrono::microseconds took) override {
    live_.reset();
    std::size_t hosts = hosts_;
    for (const auto& [why, missing] : missing_) hosts += missing;
    for (const auto& [host, lines] : told_last_) put(lines);
    if (!told_last_.empty() && !options_.retry.empty()) put(fmt::format("to try these again: {}\n", options_.retry));
    std::string line = fmt::format("{} host{}", hosts, hosts == 1 ? "" : "s");
    const auto count = [&](Outcome outcome, bool always) {
      const std::size_t n = total_.of(outcome);
      if (n == 0 && !always) return;
      const std::string text = fmt::format("{} {}", n, word(outcome));
      line += " · " +
              (n == 0 || outcome == Outcome::in_sync || outcome == Outcome::skipped ? text : coloured(outcome, text));
    };
    count(Outcome::in_sync, true);
    const bool acts = info_.verb == Verb::apply || info_.verb == Verb::undo;
    if (acts)
      count(Outcome::changed, true);
    else
      count(Outcome::out_of_sync, true);
    if (acts) count(Outcome::out_of_sync, false);
    count(Outcome::skipped, false);
    count(Outcome::blocked, false);
    count(Outcome::unknown, false);
    count(Outcome::failed, info_.verb != Verb::verify);
    for (const auto& [why, missing] : missing_)
      line += " · " + coloured(Outcome::failed, fmt::format("{} {}", missing, name_of(why)));
    if (total_.interrupted) line += " · interrupted";
    line += " · " + in_words(took) + "\n";
    put(line);
    (void)std::fflush(stdout);
  }

 private:
  struct Blocked {
    Step first;
    std::size_t more = 0;
  };

  void tell_blocked(const std::string& host) {
    const auto waiting = blocked_.extract(host);
    if (!waiting.empty()) tell(host, waiting.mapped().first, waiting.mapped().more);
  }

  /// One step, and how many that are blocked with it.
  void tell(const std::string& host, const Step& step, std::size_t more) {
    std::string line = padded(printable(host), host_width_) + "  " + padded(printable(step.item), info_.item_width) +
                       "  " + coloured(step.outcome, padded(word(step.outcome), 12)) + "  " + printable(step.id);
    if (more > 0) line += fmt::format(" and {} more", more);
    const std::string changes = describe(step);
    if (!changes.empty()) line += "  " + changes;
    if (!step.at.empty() && step.at != "-") line += dimmed("  " + printable(step.at));
    line += '\n';
    if (step.error) {
      line += indent() + printable(step.error->text()) + "\n";
      if (!step.error->hint.empty()) line += indent() + printable(step.error->hint) + "\n";
    }
    if (!step.note.empty()) line += indent() + printable(step.note) + "\n";
    for (const Check& check : step.checks)
      if (!check.detail.empty() && (check.verdict == Verdict::fail || check.verdict == Verdict::unknown) &&
          check.detail != step.note && !(step.error && step.error->text().find(check.detail) != std::string::npos))
        line += indent() + printable(check.property) + ": " + printable(check.detail) + "\n";
    if (!step.diff.empty()) line += diff_lines(options_.colour, step.diff);
    put(line);
  }

  bool worth_a_line(const Step& step) const {
    if (options_.all) return true;
    if (step.outcome == Outcome::in_sync) return false;
    // What is left for later on purpose is no news; what this tree cannot have, or `when` excludes, is said once.
    return step.outcome != Outcome::skipped || (info_.root != "/" && step.note == "needs a running system");
  }

  std::string word(Outcome outcome) const {
    if (outcome == Outcome::out_of_sync && info_.verb == Verb::plan) return "would change";
    if (outcome == Outcome::changed && info_.verb == Verb::undo) return "put back";
    return std::string(name_of(outcome));
  }

  /// "size 0 B → 4 GiB · active no → yes": apply and plan show the way, verify what is against what should be.
  std::string describe(const Step& step) const {
    std::string out;
    for (const Check& check : step.checks) {
      if (check.verdict != Verdict::fail && check.verdict != Verdict::unknown) continue;
      if (!out.empty()) out += " · ";
      const std::string property = check.property == "kind" ? "" : printable(check.property) + " ";  // it is the words
      if (check.verdict == Verdict::unknown) {
        out += printable(check.property) + " unknown";
      } else if (info_.verb == Verb::verify || step.outcome == Outcome::failed) {
        out += fmt::format("{}is {}, not {}", property, or_nothing(check.actual), or_nothing(check.expected));
      } else {
        out += fmt::format("{}{} → {}", property, or_nothing(check.actual), or_nothing(check.expected));
      }
    }
    return out;
  }

  static std::string or_nothing(const std::string& text) { return text.empty() ? "nothing" : printable(text); }

  std::string indent() const { return std::string(host_width_ + 2 + info_.item_width + 2, ' '); }

  std::string coloured(Outcome outcome, const std::string& text) const {
    const char* code = "0";
    switch (outcome) {
      case Outcome::in_sync:
        code = "32";
        break;
      case Outcome::skipped:
        code = "36";
        break;
      case Outcome::changed:
      case Outcome::out_of_sync:
        code = info_.verb == Verb::verify ? "31" : "33";
        break;
      case Outcome::blocked:
        code = "35";
        break;
      case Outcome::unknown:
        code = "35";
        break;
      case Outcome::failed:
        code = "31";
        break;
    }
    return in_colour(options_.colour, code, text);
  }
  std::string dimmed(const std::string& text) const { return in_colour(options_.colour, "2", text); }

  void put(const std::string& text) {
    if (text.empty()) return;
    if (live_) live_->clear();
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    if (live_) (void)std::fflush(stdout);  // before the live lines come back
  }

  TextOptions options_;
  RunInfo info_;
  std::size_t host_width_ = 0, hosts_ = 0;
  std::map<NoRun, std::size_t> missing_;
  std::map<std::string, std::string> told_last_;  // by host
  Tally total_;
  std::map<std::string, Blocked> blocked_;  // by host: not told yet, for more of the chain may follow
  std::unique_ptr<Live> live_;
};

}  // namespace

std::unique_ptr<Reporter> text_reporter(TextOptions options) {
  return std::make_unique<TextReporter>(std::move(options));
}

}  // namespace converge
