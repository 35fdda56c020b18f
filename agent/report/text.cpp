// Lines for people: what changed or failed, from what to what, asked for where; then what it adds up to.
#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "core/text.h"
#include "report/reporter.h"

namespace converge {
namespace {

std::string seconds(std::chrono::microseconds took) {
  const double s = static_cast<double>(took.count()) / 1e6;
  return s < 0.1 ? fmt::format("{:.0f} ms", s * 1e3) : fmt::format("{:.1f} s", s);
}

/// Columns a terminal needs for valid UTF-8 (no wide characters are printed by us).
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(std::string text, std::size_t to) {
  const std::size_t have = width(text);
  if (have < to) text.append(to - have, ' ');
  return text;
}

/// After a second of one resource, a line on standard error that says which and for how long.
class Progress {
 public:
  Progress() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}
  ~Progress() {
    thread_.request_stop();
    changed_.notify_all();
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void begins(std::string what) {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
    since_ = std::chrono::steady_clock::now();
    clear();
    changed_.notify_all();
  }
  void ends() {
    const std::lock_guard lock(mutex_);
    what_.clear();
    clear();
  }

 private:
  void watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      (void)changed_.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
      const auto spent = std::chrono::steady_clock::now() - since_;
      if (what_.empty() || spent < std::chrono::seconds(1)) continue;
      fmt::print(stderr, "\r\x1b[K  {} … {} s", what_, std::chrono::duration_cast<std::chrono::seconds>(spent).count());
      (void)std::fflush(stderr);
      shown_ = true;
    }
  }
  void clear() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
    shown_ = false;
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string what_;
  std::chrono::steady_clock::time_point since_;
  bool shown_ = false;
  std::jthread thread_;  // last: it uses the others
};

class TextReporter final : public Reporter {
 public:
  explicit TextReporter(TextOptions options) : options_(options) {
    if (options.progress) progress_ = std::make_unique<Progress>();
  }

  void run_begins(const RunInfo& info) override {
    info_ = info;
    for (const std::string& host : info.hosts) host_width_ = std::max(host_width_, width(host));
    if (info.root != "/") fmt::print("in the tree {}\n", printable(info.root));
  }

  void host_begins(const std::string& host, const std::vector<Work>& work) override {
    host_ = host;
    item_width_ = 0;
    for (const Work& item : work) item_width_ = std::max(item_width_, width(item.item));
    item_width_ = std::min<std::size_t>(item_width_, 24);
  }

  void begins(const std::string& item, const ResourceId& /*id*/) override {
    if (progress_) progress_->begins(fmt::format("{}  {}", printable(host_), printable(item)));
  }

  void step(const Step& step) override {
    if (progress_) progress_->ends();
    if (!worth_a_line(step)) return;
    std::string line = padded(printable(host_), host_width_) + "  " + padded(printable(step.item), item_width_) + "  " +
                       coloured(step.outcome, padded(word(step.outcome), 12)) + "  " + printable(step.id);
    const std::string changes = describe(step);
    if (!changes.empty()) line += "  " + changes;
    line += dimmed("  " + printable(step.at));
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
    if (!step.diff.empty()) line += diff_lines(step.diff);
    put(line);
  }

  void host_ends(const std::string& /*host*/, const Tally& tally, std::chrono::microseconds /*took*/) override {
    for (std::size_t i = 0; i < total_.counts.size(); ++i) total_.counts[i] += tally.counts[i];
    total_.interrupted = total_.interrupted || tally.interrupted;
    ++hosts_;
  }

  void host_failed(const std::string& host, const Error& error) override {
    ++unreachable_;
    std::string line = padded(printable(host), host_width_) + "  " + coloured(Outcome::failed, "unreachable") + "  " +
                       printable(error.text()) + "\n";
    if (!error.hint.empty()) line += indent() + printable(error.hint) + "\n";
    put(line);
  }

  void run_ends(int /*exit_code*/, std::chrono::microseconds took) override {
    std::string line = fmt::format("{} host{}", hosts_ + unreachable_, hosts_ + unreachable_ == 1 ? "" : "s");
    const auto count = [&](Outcome outcome, bool always) {
      const std::size_t n = total_.of(outcome);
      if (n == 0 && !always) return;
      const std::string text = fmt::format("{} {}", n, word(outcome));
      line += " · " +
              (n == 0 || outcome == Outcome::in_sync || outcome == Outcome::skipped ? text : coloured(outcome, text));
    };
    count(Outcome::in_sync, true);
    if (info_.verb == Verb::apply)
      count(Outcome::changed, true);
    else
      count(Outcome::out_of_sync, true);
    if (info_.verb == Verb::apply) count(Outcome::out_of_sync, false);
    count(Outcome::skipped, false);
    count(Outcome::blocked, false);
    count(Outcome::unknown, false);
    count(Outcome::failed, info_.verb != Verb::verify);
    if (unreachable_ > 0) line += " · " + coloured(Outcome::failed, fmt::format("{} unreachable", unreachable_));
    if (total_.interrupted) line += " · interrupted";
    line += " · " + seconds(took) + "\n";
    put(line);
    (void)std::fflush(stdout);
  }

 private:
  bool worth_a_line(const Step& step) const {
    if (options_.all) return true;
    if (step.outcome == Outcome::in_sync) return false;
    // What is left for later on purpose is no news; what this tree cannot have, or `when` excludes, is said once.
    return step.outcome != Outcome::skipped || (info_.root != "/" && step.note == "needs a running system");
  }

  std::string word(Outcome outcome) const {
    if (outcome == Outcome::out_of_sync && info_.verb == Verb::plan) return "would change";
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

  std::string indent() const { return std::string(host_width_ + 2 + item_width_ + 2, ' '); }

  std::string coloured(Outcome outcome, const std::string& text) const {
    if (!options_.colour) return text;
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
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
  }
  std::string dimmed(const std::string& text) const { return options_.colour ? "\x1b[2m" + text + "\x1b[0m" : text; }

  std::string diff_lines(const std::string& diff) const {
    std::string out;
    for (const std::string_view line : split_lines(diff)) {
      const std::string text = "    " + printable(without_ending(line), true);
      const bool head = line.starts_with("---") || line.starts_with("+++");
      if (!options_.colour || head)
        out += text;
      else if (line.starts_with("+"))
        out += "\x1b[32m" + text + "\x1b[0m";
      else if (line.starts_with("-"))
        out += "\x1b[31m" + text + "\x1b[0m";
      else
        out += text;
      out += '\n';
    }
    return out;
  }

  static void put(const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

  TextOptions options_;
  RunInfo info_;
  std::string host_;
  std::size_t host_width_ = 0, item_width_ = 0, hosts_ = 0, unreachable_ = 0;
  Tally total_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace

std::unique_ptr<Reporter> text_reporter(TextOptions options) { return std::make_unique<TextReporter>(options); }

}  // namespace converge
