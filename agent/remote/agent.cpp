#include "remote/agent.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <vector>

#include "core/digest.h"
#include "engine/suspects.h"
#include "engine/work.h"
#include "remote/agent_channel.h"
#include "remote/deadline.h"
#include "system/lock.h"
#include "system/posix_system.h"
#include "system/process.h"
#include "undo/store.h"

namespace converge::remote {
namespace {

namespace fs = std::filesystem;

const AbsPath state_directory("/var/lib/converge");
const AbsPath left_file("/var/lib/converge/last-run.json");
constexpr Bytes left_limit = 512_KiB;
constexpr auto patience_for_bye = std::chrono::seconds(60);

/// The line is kept at high numbers, out of reach of what programs print: 0 is empty, 1 goes where errors go.
std::pair<int, int> take_standard_streams() {
  const int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)dup2(null, STDIN_FILENO);
  (void)dup2(STDERR_FILENO, STDOUT_FILENO);
  if (null > STDERR_FILENO) (void)close(null);
  return {in, out};
}

std::optional<LeftRun> left_run(const SystemView& view) {
  const auto seen = view.read(left_file, left_limit);
  if (!seen || seen->content.empty()) return std::nullopt;
  auto left = decode_left_run(seen->content);
  if (!left) return std::nullopt;
  return std::move(*left);
}

/// Steps of a run on their way to the controller, and what is kept of them in case it is gone at the end.
class Telling final : public Observer {
 public:
  Telling(AgentChannel& channel, bool all) : channel_(channel), all_(all) {}
  void begins(const std::string& item, const ResourceId& id) override { channel_.doing(item + "  " + id); }
  void step(const Step& step) override {
    if (step.outcome != Outcome::in_sync && kept_.size() < 1000) {
      kept_.push_back(step);
      kept_.back().diff.clear();
    }
    if (all_ || step.outcome != Outcome::in_sync) channel_.send(step);
  }
  std::vector<Step> take_kept() { return std::move(kept_); }
  /// Those that are not as declared.
  std::vector<Step> out_of_sync() const {
    std::vector<Step> out;
    std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(out),
                 [](const Step& step) { return step.outcome == Outcome::out_of_sync; });
    return out;
  }

 private:
  AgentChannel& channel_;
  bool all_;
  std::vector<Step> kept_;
};

void leave(System& system, LeftRun left) {
  if (const auto there = system.look(state_directory); there && std::holds_alternative<Absent>(*there))
    (void)system.make_directory(state_directory, Mode{0700}, root_owner);
  left.ended = system.now().text();
  std::string text = encode(left);
  while (text.size() > left_limit.count && !left.steps.empty()) {
    left.steps.resize(left.steps.size() / 2);
    text = encode(left);
  }
  if (const auto written = system.write_file(left_file, text, {.mode = Mode{0600}}); !written)
    fmt::print(stderr, "converge: {}\n", written.error().text());
}

/// What this host knows of who may have changed what is not as declared.
void testify(const SystemView& view, const std::vector<Step>& steps, Timestamp after, AgentChannel& channel) {
  const Timestamp now = view.now();
  Witnesses witnesses(view, after, now);
  for (const Step& step : steps) {
    for (const Finding& finding : findings_of("", step, now)) {
      Testimony evidence{finding.item, finding.resource, finding.property, witnesses.of(finding)};
      if (!evidence.suspects.empty()) channel.send(std::move(evidence));
    }
  }
}

/// What is too long for one message loses what was in sync, and then the rest of its steps.
PastRun within_limit(PastRun run) {
  const auto too_long = [&] { return encode(FromAgent(run)).size() > from_agent_limit; };
  if (!too_long()) return run;
  run.whole = false;
  std::erase_if(run.steps, [](const Step& step) { return step.outcome == Outcome::in_sync; });
  if (too_long()) run.steps.clear();
  return run;
}

Refused because(Error error, Refused::Why why = Refused::Why::other) { return {why, std::move(error), {}}; }

Refused because(const Diagnostics& mistakes) {
  Refused out{Refused::Why::input, std::nullopt, {}};
  for (const Diagnostic& one : mistakes)
    if (one.severity == Severity::error)
      out.mistakes.push_back(
          {one.at.source == nullptr ? "" : one.at.source->name, one.at.line, one.at.column, one.message, one.hint});
  return out;
}

/// What is asked for, once it is whole.
struct Asked {
  std::vector<spec::Item> items;
  RunOrder order;
};
std::optional<Asked> listen(AgentChannel& channel, Sources& sources) {
  Asked asked;
  while (auto message = channel.receive(sources)) {
    if (auto* more = std::get_if<Items>(&*message)) {
      std::move(more->items.begin(), more->items.end(), std::back_inserter(asked.items));
    } else if (auto* order = std::get_if<RunOrder>(&*message)) {
      asked.order = std::move(*order);
      return asked;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// @return why nothing was begun, or the end of the run.
FromAgent run(System& system, Facts& facts, std::vector<spec::Item> items, const RunOrder& order, AgentChannel& channel,
              Telling& telling, std::optional<RunLock>& lock) {
  const auto begun = std::chrono::steady_clock::now();
  const bool writes = order.verb == Verb::apply;
  if (order.verb == Verb::undo)
    return because(Error{Errc::unsupported, "a run is undone on its own host", {}, "run `converge undo` there"});
  if (writes && !facts.privileged)
    return because(Error{Errc::permission,
                         "this needs root's rights, and nothing has been changed",
                         {},
                         "add -b (--become), or log in as root"});
  if (writes) {
    const auto wait = [&](const std::string& /*holder*/) { return order.wait && !channel.stop_requested(); };
    auto taken = RunLock::take(AbsPath("/"), order.by, wait);
    if (!taken) {
      const auto why = taken.error().code == Errc::changed ? Refused::Why::busy : Refused::Why::other;
      return because(std::move(taken).error(), why);
    }
    lock.emplace(std::move(*taken));
  }
  Diagnostics mistakes;
  const auto context = std::make_shared<checks::Context>(checks::CommandSetting{own_environment(), std::nullopt});
  const auto work = render_items(std::move(items), &system, facts, mistakes, context);
  const bool wrong = std::any_of(mistakes.begin(), mistakes.end(),
                                 [](const Diagnostic& one) { return one.severity == Severity::error; });
  if (wrong) return because(mistakes);
  undo::JournalingSystem journaling(system);
  undo::JournalFile journal(undo::host_directory, order.run);
  if (writes) journaling.keep_in(journal, {order.run, facts.hostname, "/", order.by, system.now()});
  const RunOptions options{order.diff, [&] { return channel.stop_requested(); }};
  const bool looks = order.verb == Verb::verify || order.verb == Verb::drift;
  const Tally tally = order.deadline.count() > 0 && looks
                          ? look_until({begun + order.deadline, shown(order.deadline)}, order.verb, work, telling,
                                       options, AbsPath("/"))
                          : converge::run(order.verb, work, journaling, telling, options);
  if (auto kept = journaling.problem() ? Status(*journaling.problem()) : journal.finish(system.now()); !kept)
    fmt::print(stderr, "converge: this run cannot be undone: {}\n", kept.error().text());
  return End{tally};
}

void remove_old_agents(const fs::path& directory, const std::string& keep) {
  std::error_code failed;
  std::vector<std::pair<fs::file_time_type, fs::path>> others;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != keep.size() || name == keep || !entry.is_directory(failed)) continue;
    others.emplace_back(fs::last_write_time(entry.path(), failed), entry.path());
  }
  std::sort(others.rbegin(), others.rend());
  const auto week_ago = fs::file_time_type::clock::now() - std::chrono::hours(24 * 7);
  for (std::size_t i = 1; i < others.size(); ++i)  // with the one just installed, two stay whatever their age
    if (others[i].first < week_ago) fs::remove_all(others[i].second, failed);
}

/// Empty if it cannot be read.
std::string own_digest() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::vector<char> block(256U << 10U);
  Digest digest(Digest::Kind::sha256);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
    digest.add({block.data(), static_cast<std::size_t>(file.gcount())});
  return file.eof() ? digest.hex() : std::string();
}

}  // namespace

AgentImage own_image() {
  struct utsname here = {};
  return {std::async(std::launch::async, own_digest).share(), "/proc/self/exe", uname(&here) == 0 ? here.machine : ""};
}

int serve_agent(const std::string& nonce, const Memory& memory) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)std::signal(SIGHUP, SIG_IGN);  // the resource in hand is finished, whoever goes away
  const auto [in, out] = take_standard_streams();
  auto system = open_system(AbsPath("/"));
  if (!system) {
    fmt::print(stderr, "converge: {}\n", system.error().text());
    return 70;
  }
  auto facts = gather_facts(**system);
  if (!facts) {
    fmt::print(stderr, "converge: {}\n", facts.error().text());
    return 70;
  }
  Hello hello{protocol,          CONVERGE_VERSION, facts->privileged, (*system)->now().micros, facts_value(*facts),
              left_run(**system)};
  const std::string left_id = hello.left ? hello.left->run : "";
  std::string payload = encode(FromAgent(hello));
  if (payload.size() > from_agent_limit && hello.left) {
    hello.left->steps.clear();
    payload = encode(FromAgent(hello));
  }
  AgentChannel channel(in, out, fmt::format("{} {} agent\n", greeting, nonce) + frame(payload));
  auto digest = std::async(std::launch::async, own_digest);  // while the controller thinks about our facts
  Sources sources;
  auto asked = listen(channel, sources);
  if (!asked) return channel.lost() ? 1 : 0;
  if (digest.get() != asked->order.digest) {
    channel.send(because(Error{Errc::changed,
                               "the agent on this host is not the program that was uploaded",
                               {},
                               "remove ~/.cache/converge there, and look who could write it"}));
    (void)channel.finish(Clock::now() + patience_for_bye);
    return 70;
  }
  if (!left_id.empty() && left_id == asked->order.collected) (void)(*system)->remove(left_file);

  const Timestamp heard = (*system)->now();
  std::optional<RunLock> lock;
  Telling telling(channel, asked->order.all);
  const FromAgent last = run(**system, *facts, std::move(asked->items), asked->order, channel, telling, lock);
  if (asked->order.since && std::holds_alternative<End>(last)) {
    const Timestamp after{heard.micros - asked->order.since->count()};
    if (asked->order.verb == Verb::drift) testify(**system, telling.out_of_sync(), after, channel);
    for (PastRun& each : memory(asked->order.host, after)) channel.send(within_limit(std::move(each)));
  }
  channel.send(last);
  const bool told = channel.finish(Clock::now() + patience_for_bye);
  const End* end = std::get_if<End>(&last);
  if (!told && end != nullptr && asked->order.verb == Verb::apply)
    leave(**system, {asked->order.run, asked->order.by, {}, asked->order.verb, end->tally, telling.take_kept()});
  return 0;
}

int install_agent(const std::string& nonce, const std::string& digest) {
  const auto say = [&](std::string_view words) {
    fmt::print("{} {} {}\n", greeting, nonce, words);
    return 1;
  };
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  if (failed || digest.size() != 64) return say("failed: cannot tell where this program is");
  if (own_digest() != digest) {
    fs::remove(self, failed);
    return say("damaged");
  }
  const fs::path directory = self.parent_path(), home = directory / digest;
  if (mkdir(home.c_str(), 0700) != 0 && errno != EEXIST)
    return say(fmt::format("failed: cannot make '{}': {}", home.string(), strerror(errno)));
  const int fd = open(self.c_str(), O_RDONLY | O_CLOEXEC);
  const bool kept =
      fd >= 0 && fchmod(fd, 0500) == 0 && fsync(fd) == 0 && rename(self.c_str(), (home / "converge").c_str()) == 0;
  const int error = errno;
  if (fd >= 0) (void)close(fd);
  if (!kept) return say(fmt::format("failed: cannot put '{}' in place: {}", self.string(), strerror(error)));
  for (const fs::path& path : {home, directory}) {
    const int place = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)fsync(place);
    (void)close(place);
  }
  remove_old_agents(directory, digest);
  (void)say("installed");
  return 0;
}

}  // namespace converge::remote
