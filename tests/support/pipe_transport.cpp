#include "tests/support/pipe_transport.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace converge::remote {
namespace {

Error failed(const char* doing) { return {Errc::io, std::string(doing) + ": " + std::strerror(errno), {}, {}}; }

int milliseconds(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

class PipeProcess final : public Process {
 public:
  PipeProcess(pid_t child, int in, int out, int err, Traffic* traffic)
      : child_(child), in_(in), streams_{out, err}, traffic_(traffic) {}
  ~PipeProcess() override {
    close_input_now();
    for (int& fd : streams_) close_now(fd);
    if (!reaped_ && waitpid(child_, nullptr, WNOHANG) == 0) {
      kill(child_, SIGKILL);  // over SSH it would live on; here nobody would reap it
      waitpid(child_, nullptr, 0);
    }
  }

  Result<Chunk> read(Deadline deadline) override {
    while (streams_[0] >= 0 || streams_[1] >= 0) {
      std::array<pollfd, 2> fds{{{streams_[0], POLLIN, 0}, {streams_[1], POLLIN, 0}}};
      const int ready = poll(fds.data(), fds.size(), milliseconds(deadline));
      if (ready < 0 && errno != EINTR) return failed("poll");
      for (std::size_t i = 0; i < 2; ++i) {
        if (fds[i].fd < 0 || fds[i].revents == 0) continue;
        std::string bytes(32768, '\0');
        const ssize_t n = ::read(streams_[i], bytes.data(), bytes.size());
        if (n <= 0) {
          close_now(streams_[i]);
          continue;
        }
        bytes.resize(static_cast<std::size_t>(n));
        traffic_->received += bytes.size();
        return Chunk{i == 0 ? Chunk::From::out : Chunk::From::err, std::move(bytes)};
      }
      if (ready == 0 && Clock::now() >= deadline)
        return Error{Errc::timeout, "timed out while waiting for output", {}, {}};
    }
    if (!reaped_) {
      int status = 0;
      while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
      }
      reaped_ = true;
      if (WIFEXITED(status)) ending_.code = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) ending_.signal = sigabbrev_np(WTERMSIG(status));
    }
    return Chunk{};
  }

  Status write(std::string_view bytes, Deadline deadline) override {
    while (!bytes.empty()) {
      const ssize_t n = in_ < 0 ? -1 : send(in_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
        traffic_->sent += static_cast<std::uint64_t>(n);
        continue;
      }
      if (in_ < 0 || (errno != EAGAIN && errno != EINTR))
        return Error{Errc::io, "the program no longer reads its input", {}, {}};
      pollfd one{in_, POLLOUT, 0};
      if (poll(&one, 1, milliseconds(deadline)) == 0 && Clock::now() >= deadline)
        return Error{Errc::timeout, "timed out while writing to the program", {}, {}};
    }
    return ok();
  }

  Status close_input() override {
    close_input_now();
    return ok();
  }
  Ending ending() const override { return ending_; }

 private:
  static void close_now(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  void close_input_now() { close_now(in_); }

  pid_t child_;
  int in_;
  std::array<int, 2> streams_;
  Traffic* traffic_;
  Ending ending_;
  bool reaped_ = false;
};

class PipeConnection final : public Connection {
 public:
  explicit PipeConnection(std::string home) : home_(std::move(home)) {}

  Result<std::unique_ptr<Process>> run(const std::string& command, Deadline) override {
    std::array<int, 2> in{}, out{}, err{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0 || pipe2(out.data(), O_CLOEXEC) != 0 ||
        pipe2(err.data(), O_CLOEXEC) != 0)
      return failed("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[1], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    posix_spawn_file_actions_addchdir_np(&actions, home_.c_str());
    std::string home = "HOME=" + home_,
                path = "PATH=" + home_ + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string sh = "sh", dash_c = "-c", line = command;
    std::array<char*, 3> environment{home.data(), path.data(), nullptr};
    std::array<char*, 4> arguments{sh.data(), dash_c.data(), line.data(), nullptr};
    pid_t child = -1;
    const int rc = posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    for (const int fd : {in[1], out[1], err[1]}) close(fd);
    if (rc != 0) {
      for (const int fd : {in[0], out[0], err[0]}) close(fd);
      return Error{Errc::io, std::string("cannot start a program: ") + std::strerror(rc), {}, {}};
    }
    return std::unique_ptr<Process>(std::make_unique<PipeProcess>(child, in[0], out[0], err[0], &traffic_));
  }
  Traffic traffic() const override { return traffic_; }

 private:
  std::string home_;
  Traffic traffic_;
};

class PipeTransport final : public Transport {
 public:
  explicit PipeTransport(std::function<std::string(const Target&)> home) : home_(std::move(home)) {}
  Result<std::unique_ptr<Connection>> connect(const Target& target, Deadline, const Cancelled& cancelled) override {
    if (cancelled && cancelled()) return Error{Errc::timeout, "cancelled while connecting", {}, {}};
    const std::string home = home_(target);
    if (home.empty()) return Error{Errc::not_found, "no address is known for '" + target.host + "'", {}, {}};
    return std::unique_ptr<Connection>(std::make_unique<PipeConnection>(home));
  }

 private:
  std::function<std::string(const Target&)> home_;
};

}  // namespace

std::unique_ptr<Transport> pipe_transport(std::function<std::string(const Target&)> home) {
  return std::make_unique<PipeTransport>(std::move(home));
}

}  // namespace converge::remote
