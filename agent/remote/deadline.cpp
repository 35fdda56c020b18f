#include "remote/deadline.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "core/text.h"
#include "remote/wire.h"
#include "system/os.h"
#include "system/posix_system.h"

namespace converge::remote {
namespace {

using Clock = std::chrono::steady_clock;

/// A word that both processes see.
class SharedFlag {
 public:
  SharedFlag() {
    void* memory =
        ::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) flag_ = new (memory) std::atomic<bool>(false);
  }
  ~SharedFlag() {
    if (flag_ != nullptr) (void)::munmap(flag_, sizeof *flag_);
  }
  SharedFlag(const SharedFlag&) = delete;
  SharedFlag& operator=(const SharedFlag&) = delete;
  void set() {
    if (flag_ != nullptr) flag_->store(true);
  }
  bool is_set() const { return flag_ != nullptr && flag_->load(); }

 private:
  std::atomic<bool>* flag_ = nullptr;
};

/// Tells of steps in frames, as an agent does.
class Piping final : public Observer {
 public:
  explicit Piping(int to) : to_(to) {}
  void begins(const std::string& /*item*/, const ResourceId& /*id*/) override {}
  void step(const Step& step) override { send(step); }
  void send(const FromAgent& message) const {
    std::string_view left;
    const std::string bytes = frame(encode(message));
    for (left = bytes; !left.empty();) {
      const ssize_t done = ::write(to_, left.data(), left.size());
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) ::_exit(1);  // nobody listens any more
      left.remove_prefix(static_cast<std::size_t>(done));
    }
  }

 private:
  int to_;
};

/// What is told of when all has been looked at, in the order in which it is: an item that is not rendered as itself.
struct Expected {
  const Work* item;
  const Declared* declared;  // null: of the item itself
};
std::vector<Expected> expected_steps(Verb verb, const std::vector<Work>& work) {
  std::vector<Expected> out;
  for (const Work& item : work) {
    if (!item.skipped.empty() || item.rendered.refusal) {
      out.push_back({&item, nullptr});
      continue;
    }
    for (const Declared& declared : item.rendered.chain)
      if (verb == Verb::verify || !is_deep(declared.resource)) out.push_back({&item, &declared});
  }
  return out;
}

Step not_told(const Expected& of, std::string why) {
  Step step;
  step.item = of.item->item;
  step.id = of.declared == nullptr ? ResourceId(of.item->module) : id_of(of.declared->resource);
  step.at = (of.declared == nullptr ? of.item->at : of.declared->from.at).text();
  step.outcome = Outcome::unknown;
  step.error = Error{Errc::timeout, std::move(why), {}, {}};
  return step;
}

/// The processes of `session`, from /proc/PID/stat: state, parent, group and session follow the name.
std::vector<pid_t> processes_of(pid_t session) {
  std::vector<pid_t> out;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    std::int64_t pid = 0, of = 0;
    if (!parse_number(entry.path().filename().string(), pid)) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    const auto name = stat.rfind(')');
    if (name == std::string::npos) continue;
    const auto words = fields(std::string_view(stat).substr(name + 1));
    if (words.size() > 3 && parse_number(words[3], of) && of == session) out.push_back(static_cast<pid_t>(pid));
  }
  return out;
}

/// Ends what looks and all it started. What hears not even KILL is not waited for.
void end(pid_t child) {
  for (const pid_t each : processes_of(child)) {
    if (const pid_t group = ::getpgid(each); group > 0 && group != ::getpgrp()) (void)::kill(-group, SIGKILL);
    (void)::kill(each, SIGKILL);
  }
  (void)::kill(child, SIGKILL);
  (void)::waitpid(child, nullptr, WNOHANG);
}

/// The child's part: never returns. It keeps nothing open that others may wait for the end of, should it never end.
[[noreturn]] void look_and_tell(int to, const SharedFlag& stopped,
                                const std::function<Tally(Observer&, const RunOptions&)>& look) {
  (void)::setsid();  // programs keep it, whatever group they are in: that is how they are found
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null, stream);
  if (to > STDERR_FILENO + 1) (void)::close_range(STDERR_FILENO + 1, static_cast<unsigned>(to - 1), 0);
  (void)::close_range(static_cast<unsigned>(to + 1), UINT_MAX, 0);
  Piping told(to);
  const RunOptions options{false, [&] { return stopped.is_set(); }};
  told.send(End{look(told, options)});
  ::_exit(0);
}

}  // namespace

std::string shown(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? fmt::format("{}s", time.count() / 1000) : fmt::format("{}ms", time.count());
}

Tally look_until(const TimeLimit& deadline, Verb verb, const std::vector<Work>& work, Observer& observer,
                 const std::function<bool()>& stop, const std::function<Tally(Observer&, const RunOptions&)>& look) {
  const auto expected = expected_steps(verb, work);
  std::size_t told = 0;
  Tally tally;
  const auto tell = [&](const Step& step) {
    ++told;
    tally.add(step.outcome);
    observer.step(step);
  };
  const auto give_up = [&](const std::string& in_hand, const std::string& others) {
    for (bool first = true; told < expected.size(); first = false)
      tell(not_told(expected[told], first ? in_hand : others));
    return tally;
  };

  SharedFlag stopped;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return give_up(os_error(errno, "making a pipe").message, "nothing was looked at");
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  (void)std::fflush(nullptr);  // or both would write it
  const pid_t child = ::fork();
  if (child == 0) look_and_tell(theirs.get(), stopped, look);
  theirs = Fd();
  if (child < 0) return give_up("no process could be started to look", "nothing was looked at");

  FrameReader frames(std::size_t{64} << 20U);  // from ourselves: it may be long
  for (;;) {
    if (stop()) stopped.set();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.at - Clock::now()).count();
    if (left <= 0) {
      end(child);
      return give_up(fmt::format("looking at it had not ended by the deadline of {}", deadline.called),
                     fmt::format("it was not looked at before the deadline of {}", deadline.called));
    }
    struct pollfd polled = {ours.get(), POLLIN, 0};
    // Not for ever: who wants us to stop may ring no bell.
    const int ready = ::poll(&polled, 1, static_cast<int>(std::min<std::int64_t>(left, 200)));
    if (ready <= 0) continue;
    char bytes[65536];
    const ssize_t count = ::read(ours.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    frames.add({bytes, static_cast<std::size_t>(count)});
    for (auto payload = frames.next(); payload && *payload; payload = frames.next()) {
      const auto message = decode_from_agent(**payload);
      if (!message) continue;
      if (const auto* step = std::get_if<Step>(&*message)) tell(*step);
      if (const auto* ended = std::get_if<End>(&*message)) {
        (void)::waitpid(child, nullptr, 0);
        return ended->tally;
      }
    }
  }
  end(child);
  return give_up("the process that looked at it has died", "the process that was to look at it has died");
}

Tally look_until(const TimeLimit& deadline, Verb verb, const std::vector<Work>& work, Observer& observer,
                 const RunOptions& options, const AbsPath& root, std::size_t at_once) {
  return look_until(deadline, verb, work, observer, options.stop, [&](Observer& told, const RunOptions& there) {
    const auto own = open_system(root, at_once);
    if (!own) ::_exit(1);  // it has looked at nothing, and the parent says so
    return converge::run(verb, work, **own, told, {options.diff, there.stop});
  });
}

}  // namespace converge::remote
