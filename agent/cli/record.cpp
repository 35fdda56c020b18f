#include "cli/record.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "core/digest.h"
#include "core/text.h"
#include "engine/suspects.h"
#include "undo/store.h"

namespace converge::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* host_history = "/var/lib/converge/history.db";
constexpr std::int64_t kept_days = 90;
constexpr std::size_t pruned_at_once = 20;  // runs: what a run adds is always less than it may take away

Timestamp now() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

/// The first line of a small file; "" if there is none.
std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line.size() > 4096 ? std::string() : line;
}

std::string boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }

bool is_hash(const std::string& text) {
  return text.size() >= 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The commit that is checked out where the specs lie, shortened; "" if that is no repository. gitrepository-layout(5).
std::string revision_at(fs::path directory) {
  std::error_code failed;
  for (directory = fs::absolute(directory, failed); !failed; directory = directory.parent_path()) {
    const fs::path git = directory / ".git";
    const std::string head = first_line(git / "HEAD");
    if (!head.empty()) {
      if (is_hash(head)) return head.substr(0, 12);
      if (!head.starts_with("ref: refs/") || head.find("..") != std::string::npos) return {};
      const std::string name = head.substr(5);
      if (const std::string hash = first_line(git / name); is_hash(hash)) return hash.substr(0, 12);
      std::ifstream packed(git / "packed-refs");
      for (std::string line; std::getline(packed, line);)
        if (line.ends_with(" " + name) && is_hash(line.substr(0, line.find(' ')))) return line.substr(0, 12);
      return {};
    }
    if (directory == directory.parent_path()) break;
  }
  return {};
}

std::string digest_of_sources(const Sources& sources) {
  if (sources.all().empty()) return {};
  Digest digest(Digest::Kind::sha256);
  for (const Source& each : sources.all()) {
    digest.add(fmt::format("{} {}\n", each.name, each.text.size()));
    digest.add(each.text);
  }
  return digest.hex().substr(0, 12);
}

/// What was asked for, without values of variables: some are secret.
std::string words_of(const Options& options) {
  std::vector<std::string> words;
  if (!options.limit.empty()) words.push_back("-l " + options.limit);
  if (!options.tags.empty()) words.push_back("-t " + join(options.tags, ","));
  if (!options.skip_tags.empty()) words.push_back("--skip-tags " + join(options.skip_tags, ","));
  words.insert(words.end(), options.specs.begin(), options.specs.end());
  words.insert(words.end(), options.words.begin(), options.words.end());
  return join(words, " ");
}

std::string or_nothing(const char* text) { return text == nullptr ? "" : text; }

history::RunStart start_of(const Recording& about, Timestamp began) {
  history::RunStart start{.uid = about.run, .verb = about.verb, .began = began};
  start.who = who_runs();
  struct utsname here = {};
  (void)uname(&here);
  start.from = here.nodename;
  if (const std::string ssh = or_nothing(std::getenv("SSH_CONNECTION")); !ssh.empty())
    start.from += " (ssh from " + ssh.substr(0, ssh.find(' ')) + ")";
  if (!or_nothing(std::getenv("INVOCATION_ID")).empty()) start.from += " (a systemd unit)";
  const auto& specs = about.loaded.specs;
  if (!specs.empty()) start.revision = revision_at(specs.front().directory);
  start.sources = digest_of_sources(about.loaded.sources);
  start.words = words_of(about.options);
  start.version = CONVERGE_VERSION;
  std::error_code failed;
  start.root = fs::absolute(about.options.root, failed).lexically_normal().string();
  if (failed) start.root = about.options.root;
  start.boot = boot_id();
  start.pid = getpid();
  return start;
}

/// What is kept of a unified diff, the same whether it was to be shown or not: its hunks without the lines around them,
/// which may be anybody's. A file that not everybody may read, or a long diff, leaves a digest, so that another change
/// can be told from this one. Of what is made or removed whole nothing is kept.
std::string kept_diff(const std::string& host, const Step& step, bool anybody_may_read) {
  constexpr std::size_t most = 8192;
  if (const Check* kind = find_check(step.checks, "kind"); kind != nullptr && kind->verdict == Verdict::fail) return {};
  std::string out;
  for (const std::string_view line : split_lines(step.diff))
    if (!line.starts_with(' ')) out += line;
  if (anybody_may_read && out.size() <= most) return out;
  return fmt::format("({} are not kept; digest {})\n",
                     anybody_may_read ? "so many lines" : "lines that not everybody may read",
                     sha256_hex(host + "\n" + step.id + "\n" + out).substr(0, 12));
}

class Recorder final : public Reporter {
 public:
  Recorder(Recording about, Reporter& next) : about_(std::move(about)), next_(next), boot_(boot_id()) {
    whole_ = about_.options.tags.empty() && about_.options.skip_tags.empty() && about_.options.gossfiles.empty();
    opening_ = std::async(std::launch::async, [this, began = now()] { return open(began); });
  }

  void run_begins(const RunInfo& info) override { next_.run_begins(info); }
  void doing(const std::string& host, const std::string& what) override { next_.doing(host, what); }
  void note(const std::string& host, const std::string& text) override { next_.note(host, text); }
  void compared(const std::string& host, const Compared& what) override { next_.compared(host, what); }

  void step(const std::string& host, const Step& step) override {
    Step& kept = steps_[host].emplace_back(step);
    if (step.diff.empty()) return next_.step(host, step);
    kept.diff = kept_diff(host, step, anybody_may_read(host, step));
    if (about_.options.diff) return next_.step(host, step);
    Step told = step;
    told.diff.clear();
    next_.step(host, told);
  }

  void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) override {
    history::HostRecord record{.host = host, .tally = tally, .ended = now(), .took = took};
    record.steps = std::move(steps_[host]);
    steps_.erase(host);
    record.whole = whole_ && !tally.interrupted;
    eventful_ = eventful_ || tally.of(Outcome::in_sync) + tally.of(Outcome::skipped) != tally.total();
    Compared found = remember(record);
    // After an apply the host's files say when it wrote them, and no more who did before.
    if (about_.verb == Verb::drift || about_.verb == Verb::verify) find_witnesses(host, found);
    if (about_.verb == Verb::drift || about_.verb == Verb::apply) next_.compared(host, found);
    next_.host_ends(host, tally, took);
  }

  void host_failed(const std::string& host, NoRun why, const Error& error) override {
    history::HostRecord record{.host = host, .status = std::string(name_of(why)), .ended = now()};
    record.error = error.text();
    record.steps = std::move(steps_[host]);  // what came before the connection was lost
    steps_.erase(host);
    (void)remember(record);
    next_.host_failed(host, why, error);
  }

  void evidence(const std::string& host, const Testimony& evidence) override { evidence_[host].push_back(evidence); }

  /// A run of the host's own comes between the look before and this one, and is remembered as it would have been.
  void past(const std::string& host, const PastRun& run) override {
    if (!ready()) return;
    const auto known = history_->run(run.uid);
    if (known || known.error().code != Errc::not_found) return;
    const Timestamp here = now(), began{here.micros - run.began_ago.count()},
                    ended{here.micros - run.ended_ago.count()};
    history::RunStart start{.uid = run.uid,
                            .verb = run.verb,
                            .began = began,
                            .who = run.who,
                            .from = run.from,
                            .revision = run.revision,
                            .sources = run.sources,
                            .words = run.words,
                            .version = run.version,
                            .root = "/",
                            .boot = boot_,
                            .pid = getpid()};
    const auto id = history_->begin(start, [](const std::string&, std::int64_t) { return true; });
    if (!id) return warn(id.error());
    history::HostRecord record{.host = host, .tally = run.tally, .ended = ended, .took = run.took};
    record.steps = run.steps;
    record.whole = run.whole;
    if (const auto done = history_->record(*id, record); !done) return warn(done.error());
    if (const auto done = history_->end(*id, ended, run.exit, false); !done) warn(done.error());
  }

  void run_ends(int exit_code, std::chrono::microseconds took) override {
    if (ready()) {
      const Timestamp before{now().micros - kept_days * 86'400'000'000};
      auto done = history_->end(*run_, now(), exit_code, eventful_);
      if (!done)
        warn(done.error());
      else if (auto pruned = history_->prune(before, pruned_at_once); !pruned)
        warn(pruned.error());
    }
    next_.run_ends(exit_code, took);
  }

 private:
  /// What a step's diff shows: only for whole files it could be what is others' secret.
  bool anybody_may_read(const std::string& host, const Step& step) const {
    constexpr std::string_view file = "file:";
    if (const Check* mode = find_check(step.checks, "mode"); mode != nullptr && !mode->expected.empty())
      return ((mode->expected.back() - '0') & 4) != 0;
    if (!step.id.starts_with(file)) return true;
    const auto path = AbsPath::parse(step.id.substr(file.size()));
    if (!path || !about_.local.contains(host)) return false;
    const auto state = about_.view.look(*path);
    const auto* regular = state ? std::get_if<RegularFile>(&*state) : nullptr;
    return regular != nullptr && (regular->mode.bits & 4U) != 0;
  }

  using Opened = Result<std::pair<std::unique_ptr<history::History>, std::int64_t>>;

  Opened open(Timestamp began) const {
    auto opened = open_history(about_.options, history::Access::write);
    if (!opened) return std::move(opened).error();
    auto run = (*opened)->begin(start_of(about_, began), [&](const std::string& boot, std::int64_t pid) {
      return boot == boot_ && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
    });
    if (!run) return std::move(run).error();
    return std::pair{std::move(*opened), *run};
  }

  /// The history, if there is one that can be written; waits until that is known.
  bool ready() {
    if (opening_.valid()) {
      Opened opened = opening_.get();
      if (opened) {
        history_ = std::move(opened->first);
        run_ = opened->second;
      } else {
        warn(opened.error());
      }
    }
    return history_ != nullptr;
  }

  Compared remember(const history::HostRecord& record) {
    if (ready()) {
      auto compared = history_->record(*run_, record);
      if (compared) return std::move(*compared);
      warn(compared.error());
    }
    Compared out;
    for (const Step& step : record.steps)
      for (Finding& each : findings_of(record.host, step, record.ended)) out.fresh.push_back(std::move(each));
    return out;
  }

  void find_witnesses(const std::string& host, Compared& found) {
    const std::vector<Testimony> told = std::move(evidence_[host]);
    const auto attach = [&](Finding& finding) {
      for (const Testimony& evidence : told)
        if (evidence.is_about(finding)) keep_suspects(finding, evidence.suspects);
    };
    for (Finding& each : found.fresh) attach(each);
    for (Finding& each : found.old)  // found first by a run of the host's own, of which only now is heard
      if (each.suspects.empty()) attach(each);
    if (!about_.local.contains(host)) return;
    std::map<Timestamp, Witnesses> of;  // by when it was in sync last
    for (Finding& each : found.fresh) {
      if (!each.in_sync_until) continue;
      auto it = of.try_emplace(*each.in_sync_until, about_.view, *each.in_sync_until, each.began).first;
      keep_suspects(each, it->second.of(each));
    }
  }

  void keep_suspects(Finding& finding, const std::vector<Suspect>& suspects) {
    if (suspects.empty() || !finding.in_sync_until) return;
    finding.suspects.insert(finding.suspects.end(), suspects.begin(), suspects.end());
    if (finding.id == 0 || history_ == nullptr) return;
    if (auto kept = history_->suspect(finding.id, finding.suspects); !kept) warn(kept.error());
  }

  void warn(const Error& error) {
    if (history_file(about_.options).empty()) return;  // so it was wished
    if (!warned_) about_.log.warning(fmt::format("this run is not in the history: {}", error.text()));
    if (!warned_ && !error.hint.empty()) about_.log.warning(error.hint);
    warned_ = true;
    history_.reset();
  }

  Recording about_;
  Reporter& next_;
  const std::string boot_;
  bool whole_ = false, warned_ = false;
  bool eventful_ = false;                                   // something was changed, or is not as it should be
  std::map<std::string, std::vector<Step>> steps_;          // of hosts that have not ended
  std::map<std::string, std::vector<Testimony>> evidence_;  // of those
  std::unique_ptr<history::History> history_;
  std::optional<std::int64_t> run_;
  std::future<Opened> opening_;  // last: it uses the others
};

}  // namespace

std::string who_runs() {
  for (const char* name : {"SUDO_USER", "USER"})
    if (std::string who = or_nothing(std::getenv(name)); !who.empty()) return who;
  return geteuid() == 0 ? "root" : fmt::format("uid {}", geteuid());
}

std::string undo_directory(const Options& options) {
  const std::string file = history_file(options);
  return file.empty() ? file : file == host_history ? undo::host_directory : file + ".undo";
}

std::string history_file(const Options& options) {
  const auto said = [](const std::string& file) { return file == "none" ? "" : file; };
  if (!options.history.empty()) return said(options.history);
  if (const std::string file = or_nothing(std::getenv("CONVERGE_HISTORY")); !file.empty()) return said(file);
  if (options.root != "/") return {};
  if (geteuid() == 0) return host_history;
  const std::string state = or_nothing(std::getenv("XDG_STATE_HOME"));
  if (state.starts_with('/')) return state + "/converge/history.db";
  const std::string home = or_nothing(std::getenv("HOME"));
  return home.starts_with('/') ? home + "/.local/state/converge/history.db" : "";
}

Result<std::unique_ptr<history::History>> open_history(const Options& options, history::Access access) {
  const fs::path file = history_file(options);
  if (file.empty()) return Error{Errc::not_found, "no history is kept here", {}, "say where: --history FILE"};
  if (access == history::Access::write) {
    std::error_code failed;
    if (!file.parent_path().empty() && !fs::exists(file.parent_path(), failed)) {
      fs::create_directories(file.parent_path().parent_path(), failed);
      if (mkdir(file.parent_path().c_str(), 0700) != 0 && errno != EEXIST)
        return Error{Errc::io,
                     fmt::format("cannot make '{}': {}", printable(file.parent_path().string()), strerror(errno)),
                     {},
                     {}};
    }
    // SQLite would make it as the umask says.
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) (void)close(fd);
  }
  return history::open_sqlite(file.string(), access);
}

std::map<std::string, Timestamp> last_looks(const Options& options) {
  std::map<std::string, Timestamp> out;
  const auto history = open_history(options, history::Access::read);
  if (!history) return out;
  if (const auto latest = (*history)->latest())
    for (const history::Point& each : *latest)
      if (const auto looked = (*history)->last_look(each.host); looked && *looked) out[each.host] = **looked;
  return out;
}

std::vector<PastRun> past_runs(const std::string& name, Timestamp after) {
  constexpr std::size_t most = 50;
  constexpr std::int64_t margin = 60'000'000;  // two clocks, and a line between them
  std::vector<PastRun> out;
  if (geteuid() != 0) return out;
  const auto history = open_history({}, history::Access::read);
  if (!history) return out;
  const Timestamp here = now();
  const auto runs = (*history)->runs({.host = name, .from = Timestamp{after.micros - margin}, .limit = most});
  if (!runs) return out;
  for (auto run = runs->rbegin(); run != runs->rend(); ++run) {
    if (!run->ended || run->start.root != "/") continue;
    auto hosts = (*history)->hosts_of(run->id);
    if (!hosts) continue;
    const std::string& words = run->start.words;
    for (history::HostRecord& host : *hosts) {
      if (host.host != name || host.status != "done") continue;
      PastRun& past = out.emplace_back();
      past.uid = run->start.uid;
      past.who = run->start.who;
      past.from = run->start.from;
      past.revision = run->start.revision;
      past.sources = run->start.sources;
      past.words = words;
      past.version = run->start.version;
      past.verb = run->start.verb;
      past.began_ago = std::chrono::microseconds(std::max<std::int64_t>(here.micros - run->start.began.micros, 0));
      past.ended_ago = std::chrono::microseconds(
          std::clamp<std::int64_t>(here.micros - run->ended->micros, 0, past.began_ago.count()));
      past.took = host.took;
      past.exit = run->exit.value_or(0);
      past.tally = host.tally;
      past.whole = words.find("-t ") == std::string::npos && words.find("--skip-tags ") == std::string::npos;
      past.steps = std::move(host.steps);
    }
  }
  return out;
}

std::unique_ptr<Reporter> recording_reporter(Recording recording, Reporter& next) {
  return std::make_unique<Recorder>(std::move(recording), next);
}

}  // namespace converge::cli
