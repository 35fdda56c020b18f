#include "system/process.h"

// std::filesystem instead of Boost's: nothing of Boost is then linked.
#define BOOST_PROCESS_USE_STD_FS 1
#define BOOST_POSIX_HAS_VFORK 1
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#pragma GCC diagnostic pop

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_set>

#include "system/os.h"

namespace converge {
namespace {

namespace bp = boost::process;
using Clock = std::chrono::steady_clock;

constexpr std::array<const char*, 4> search_path = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
constexpr const char* search_path_text = "/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t tail_limit = std::size_t{64} << 10U;
constexpr std::chrono::milliseconds kill_after{2000};
// A daemon started by the command may hold its stdout open for ever: what came until shortly after the end is the
// answer.
constexpr std::chrono::milliseconds linger{100};

/// The program's path. Errc::not_found, or Errc::permission if only files that may not be executed bear the name.
Result<std::string> find_program(const std::string& name) {
  bool seen = false;
  const auto usable = [&seen](const std::string& path) {
    struct stat st = {};
    if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
    seen = true;
    return (st.st_mode & 0111U) != 0;
  };
  if (name.starts_with('/')) {
    if (usable(name)) return name;
  } else if (!name.empty() && name.find('/') == std::string::npos) {
    for (const char* directory : search_path) {
      std::string path = std::string(directory) + "/" + name;
      if (usable(path)) return path;
    }
  }
  if (seen) return Error{Errc::permission, fmt::format("'{}' is not executable", name), {}, {}};
  if (name.starts_with('/')) return Error{Errc::not_found, fmt::format("there is no program '{}'", name), {}, {}};
  return Error{Errc::not_found,
               fmt::format("there is no program '{}' in {}", name, search_path_text),
               {},
               fmt::format("install the package that has '{}'", name)};
}

/// What the child does between fork and exec. Boost's own initializers order themselves by type; identity, descriptors
/// and group must follow one order, so all of it is here, with async-signal-safe calls only. A failure travels to the
/// parent by Boost's error pipe, with its errno.
struct Prepare : bp::extend::handler {
  const Launch* launch;
  int in, out, err;
  char** environment;

  template <class Executor>
  void on_setup(Executor& executor) const {
    executor.env = environment;
  }

  template <class Executor>
  void on_exec_setup(Executor& executor) const {
    if (const char* step = prepare()) {
      executor.set_error(std::error_code(errno, std::system_category()), step);
      ::_exit(127);
    }
  }

  template <class Executor>
  void on_error(Executor& executor, const std::error_code&) const {
    // Boost reaps the failed child with WNOHANG, which may be too early: no zombie may stay.
    if (executor.pid > 0) {
      while (::waitpid(executor.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }

  const char* prepare() const {
    ::setpgid(0, 0);
    if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) return "connect its standard streams";
    // Ours are close-on-exec by birth; this is for descriptors that whoever started us left open.
    if (::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0) {
      for (int fd = 3; fd < 1024; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (const auto& who = launch->command->as) {
      const auto& groups = launch->groups;
      if (::geteuid() == 0) {
        if (::setgroups(groups.size(), groups.data()) != 0) return "set the groups of the user";
        if (::setresgid(who->gid, who->gid, who->gid) != 0) return "set the group of the user";
        if (::setresuid(who->uid, who->uid, who->uid) != 0) return "set the user";
      }
      uid_t real = 0, effective = 0, saved = 0;
      gid_t real_group = 0, effective_group = 0, saved_group = 0;
      if (::getresuid(&real, &effective, &saved) != 0 ||
          ::getresgid(&real_group, &effective_group, &saved_group) != 0) {
        return "verify the user";
      }
      errno = EPERM;
      if (real != who->uid || effective != who->uid || saved != who->uid) return "become the user";
      if (real_group != who->gid || effective_group != who->gid || saved_group != who->gid) return "become the group";
      if (who->uid != 0 && ::setresuid(static_cast<uid_t>(-1), 0, static_cast<uid_t>(-1)) == 0) return "give up root";
    }
    if (::chdir(launch->command->directory ? launch->command->directory->str().c_str() : "/") != 0)
      return "change to its working directory";
    ::umask(022);
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (const int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGQUIT})
      ::sigaction(signal, &standard, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    return nullptr;
  }
};

struct Pipe {
  Fd read, write;
};

/// A pipe whose ends are above 2, so that dup2 onto the standard streams cannot overwrite one of them.
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_error(errno, "make a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  for (Fd* end : {&pipe.read, &pipe.write}) {
    if (end->get() > 2) continue;
    Fd above(::fcntl(end->get(), F_DUPFD_CLOEXEC, 3));
    if (!above) return os_error(errno, "make a pipe");
    *end = std::move(above);
  }
  return pipe;
}

void set_nonblocking(const Fd& fd) { ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

/// One child, from fork to its last byte.
struct Running {
  std::size_t index = 0;
  const Command* command = nullptr;
  pid_t pid = -1;
  Fd pidfd, in, out, err;
  std::size_t written = 0;
  Capture captured_out, captured_err;
  Clock::time_point deadline, kill_at, give_up;
  bool timed_out = false, killed = false, exited = false;
  int status = 0;

  bool finished(Clock::time_point now) const { return exited && ((!out && !err) || now >= give_up); }
};

/// "NAME=value", each name once; what the command says wins.
std::vector<std::string> environment_of(const Launch& launch) {
  std::vector<std::string> out;
  std::unordered_set<std::string_view> known;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (known.insert(name).second) out.push_back(fmt::format("{}={}", name, value));
  };
  const auto& own = launch.command->environment;
  for (auto it = own.rbegin(); it != own.rend(); ++it) add(it->first, it->second);
  add("PATH", search_path_text);
  add("LC_ALL", "C");
  add("HOME", launch.home);
  return out;
}

Result<std::unique_ptr<Running>> start(const Launch& launch, std::size_t index) {
  const Command& command = *launch.command;
  if (command.argv.empty()) return Error{Errc::invalid, "a command without a program", {}, {}};
  auto program = find_program(command.argv.front());
  if (!program) return std::move(program).error();
  auto out = make_pipe();
  auto err = make_pipe();
  if (!out) return std::move(out).error();
  if (!err) return std::move(err).error();
  Pipe in;
  if (command.input.empty()) {
    in.read = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!in.read) return os_error(errno, "open '/dev/null'");
  } else {
    auto pipe = make_pipe();
    if (!pipe) return std::move(pipe).error();
    in = *std::move(pipe);
    set_nonblocking(in.write);
  }
  set_nonblocking(out->read);
  set_nonblocking(err->read);

  // Boost's own environment copies all of itself at every name that is added.
  std::vector<std::string> environment = environment_of(launch);
  std::vector<char*> names;
  for (std::string& each : environment) names.push_back(each.data());
  names.push_back(nullptr);

  Prepare prepare;
  prepare.environment = names.data();
  prepare.launch = &launch;
  prepare.in = in.read.get();
  prepare.out = out->write.get();
  prepare.err = err->write.get();

  auto running = std::make_unique<Running>();
  running->index = index;
  running->command = &command;
  running->captured_out = Capture(command.keep);
  running->captured_err = Capture(command.keep);
  std::error_code failed;
  try {
    const std::vector<std::string> args(command.argv.begin() + 1, command.argv.end());
    // vfork spares the copy of our page tables. Who becomes a user must not share memory with what is still root.
    bp::child child = command.as
                          ? bp::child(bp::exe = *program, bp::args = args, prepare, failed)
                          : bp::child(bp::exe = *program, bp::args = args, prepare, failed, bp::posix::use_vfork);
    if (!failed) {
      running->pid = child.id();
      child.detach();  // reaped below, together with its group
    }
  } catch (const std::exception& problem) {
    return Error{Errc::io, fmt::format("cannot start '{}': {}", *program, problem.what()), {}, {}};
  }
  if (failed) {
    return os_error(failed.value(), command.as ? fmt::format("execute '{}' as user '{}'", *program, command.as->name)
                                               : fmt::format("execute '{}'", *program));
  }
  running->pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, running->pid, 0U)));
  running->in = std::move(in.write);
  running->out = std::move(out->read);
  running->err = std::move(err->read);
  running->deadline = Clock::now() + command.deadline;
  return running;
}

void drain(Fd& fd, Capture& capture) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n > 0) {
      capture.add({buffer.data(), static_cast<std::size_t>(n)});
      if (static_cast<std::size_t>(n) < buffer.size()) return;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    fd.reset();
    return;
  }
}

void feed(Running& running) {
  const std::string& input = running.command->input;
  while (running.written < input.size()) {
    const ssize_t n = ::write(running.in.get(), input.data() + running.written, input.size() - running.written);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      break;  // EPIPE: it does not want to hear more, which is its affair
    }
    running.written += static_cast<std::size_t>(n);
  }
  running.in.reset();
}

void look_after(Running& running, Clock::time_point now) {
  if (!running.exited) {
    int status = 0;
    const pid_t reaped = ::waitpid(running.pid, &status, WNOHANG);
    if (reaped == running.pid || (reaped < 0 && errno == ECHILD)) {
      running.exited = true;
      running.status = status;
      running.give_up = now + linger;
      if (running.timed_out) ::kill(-running.pid, SIGKILL);  // those it left in its group
    }
  }
  if (!running.exited && !running.timed_out && now >= running.deadline) {
    running.timed_out = true;
    running.kill_at = now + kill_after;
    ::kill(-running.pid, SIGTERM);
  } else if (!running.exited && running.timed_out && !running.killed && now >= running.kill_at) {
    running.killed = true;
    ::kill(-running.pid, SIGKILL);
  }
}

Result<CommandOutput> answer(const Running& running) {
  if (running.timed_out) {
    return Error{Errc::timeout,
                 fmt::format("'{}' did not end within {} s and was killed", running.command->argv.front(),
                             static_cast<double>(running.command->deadline.count()) / 1000.0),
                 {},
                 {}};
  }
  CommandOutput output;
  output.exit_code = WIFSIGNALED(running.status) ? 128 + WTERMSIG(running.status) : WEXITSTATUS(running.status);
  output.signal = WIFSIGNALED(running.status) ? WTERMSIG(running.status) : 0;
  output.out = running.captured_out.text();
  output.err = running.captured_err.text();
  output.cut = running.captured_out.cut() || running.captured_err.cut();
  return output;
}

/// SIGPIPE is ignored while we may write to a child that has stopped reading.
class IgnoreSigpipe {
 public:
  IgnoreSigpipe() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before_);
  }
  ~IgnoreSigpipe() { ::sigaction(SIGPIPE, &before_, nullptr); }
  IgnoreSigpipe(const IgnoreSigpipe&) = delete;
  IgnoreSigpipe& operator=(const IgnoreSigpipe&) = delete;

 private:
  struct sigaction before_ = {};
};

/// Waits until one of the children has something to say, ends, or is due for a signal; or until `until`.
void wait_for_any(std::vector<std::unique_ptr<Running>>& active, Clock::time_point until) {
  std::vector<pollfd> polled;
  std::vector<std::pair<Running*, int>> whose;
  const auto watch = [&](Running& running, const Fd& fd, short events, int role) {
    if (!fd) return;
    polled.push_back({fd.get(), events, 0});
    whose.emplace_back(&running, role);
  };
  auto now = Clock::now();
  auto next = std::min(until, now + std::chrono::minutes(1));
  for (const auto& running : active) {
    watch(*running, running->in, POLLOUT, 0);
    watch(*running, running->out, POLLIN, 1);
    watch(*running, running->err, POLLIN, 2);
    if (!running->exited) watch(*running, running->pidfd, POLLIN, 3);
    if (running->exited) {
      next = std::min(next, running->give_up);
    } else {
      if (!running->killed) next = std::min(next, running->timed_out ? running->kill_at : running->deadline);
      if (!running->pidfd) next = std::min(next, now + std::chrono::milliseconds(5));  // a kernel before 5.3
    }
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
  ::poll(polled.data(), polled.size(), static_cast<int>(std::clamp<long>(wait, 0, 60'000)));
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents == 0) continue;
    auto& [running, role] = whose[i];
    if (role == 0) feed(*running);
    if (role == 1) drain(running->out, running->captured_out);
    if (role == 2) drain(running->err, running->captured_err);
  }
  now = Clock::now();
  for (auto& running : active) look_after(*running, now);
}

}  // namespace

Capture::Capture(Bytes keep) : head_limit_(keep.count > tail_limit ? keep.count - tail_limit : 0) {}

bool Capture::cut() const { return dropped_ != 0 || tail_.size() > tail_limit; }

void Capture::add(std::string_view bytes) {
  const std::size_t to_head = std::min(bytes.size(), head_limit_ - head_.size());
  head_.append(bytes.substr(0, to_head));
  tail_.append(bytes.substr(to_head));
  if (tail_.size() > 2 * tail_limit) {
    dropped_ += tail_.size() - tail_limit;
    tail_.erase(0, tail_.size() - tail_limit);
  }
}

std::string Capture::text() const {
  if (!cut()) return head_ + tail_;
  const std::size_t excess = tail_.size() > tail_limit ? tail_.size() - tail_limit : 0;
  return head_ + fmt::format("\n... {} bytes left out ...\n", dropped_ + excess) + tail_.substr(excess);
}

struct Jobs::State {
  std::size_t parallel = 1;
  std::vector<Launch> launches;
  std::vector<std::optional<Result<CommandOutput>>> answers;  // one for each launch; nullopt: not ended
  std::vector<std::unique_ptr<Running>> active;
  std::size_t next = 0;  // of the launches, to be started

  explicit State(std::size_t at_once) : parallel(std::max<std::size_t>(at_once, 1)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const auto& running : active) end(*running);
  }

  static void end(const Running& running) {
    if (running.exited) return;
    ::kill(-running.pid, SIGKILL);
    while (::waitpid(running.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  void fill() {
    for (; next < launches.size() && active.size() < parallel; ++next) {
      if (launches[next].command == nullptr) continue;  // dropped
      auto started = converge::start(launches[next], next);
      if (started) {
        active.push_back(*std::move(started));
      } else {
        answers[next] = std::move(started).error();
      }
    }
  }

  /// Waits until something happens, at the latest at `until`.
  void step(Clock::time_point until) {
    const IgnoreSigpipe quiet;
    wait_for_any(active, until);
    const auto now = Clock::now();
    for (auto it = active.begin(); it != active.end();) {
      if (!(*it)->finished(now)) {
        ++it;
        continue;
      }
      // Its end may have been noticed before its last words were read.
      if ((*it)->out) drain((*it)->out, (*it)->captured_out);
      if ((*it)->err) drain((*it)->err, (*it)->captured_err);
      answers[(*it)->index] = converge::answer(**it);
      it = active.erase(it);
    }
    fill();
  }
};

Jobs::Jobs(std::size_t parallel) : state_(std::make_unique<State>(parallel)) {}
Jobs::Jobs(Jobs&&) noexcept = default;
Jobs& Jobs::operator=(Jobs&&) noexcept = default;
Jobs::~Jobs() = default;

std::size_t Jobs::start(Launch launch) {
  state_->launches.push_back(std::move(launch));
  state_->answers.emplace_back();
  state_->fill();
  return state_->launches.size() - 1;
}

Result<CommandOutput> Jobs::answer(std::size_t job) {
  while (!state_->answers[job]) state_->step(Clock::time_point::max());
  return *std::move(state_->answers[job]);
}

bool Jobs::ended(std::size_t job) {
  if (!state_->answers[job]) state_->step(Clock::now());
  return state_->answers[job].has_value();
}

void Jobs::drop(std::size_t job) {
  state_->launches[job].command = nullptr;
  std::erase_if(state_->active, [job](const auto& running) {
    if (running->index != job) return false;
    State::end(*running);
    return true;
  });
  state_->fill();
}

void Jobs::pass(std::chrono::milliseconds time) {
  const auto until = Clock::now() + time;
  while (Clock::now() < until) state_->step(until);
}

std::vector<std::pair<std::string, std::string>> own_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string text = *each;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos && equals > 0) out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::vector<Result<CommandOutput>> run_all(const std::vector<Launch>& launches, std::size_t parallel) {
  Jobs jobs(parallel);
  for (const auto& launch : launches) jobs.start(launch);
  std::vector<Result<CommandOutput>> results;
  for (std::size_t i = 0; i < launches.size(); ++i) results.push_back(jobs.answer(i));
  return results;
}

}  // namespace converge
