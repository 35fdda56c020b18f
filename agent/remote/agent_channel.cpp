#include "remote/agent_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace converge::remote {
namespace {

constexpr std::size_t lean_above = 8U << 20U, drop_above = 16U << 20U;
constexpr std::size_t text_kept = 1000;  // of one text of a message that is too large

/// A message as a frame. One that is too large for the controller loses what is long, piece by piece, until it is not.
std::string wire(FromAgent message) {
  std::string payload = encode(message);
  const auto lose = [&](const auto& part) {
    if (payload.size() <= from_agent_limit) return;
    part();
    payload = encode(message);
  };
  const auto shorten = [](std::string& text) {
    if (text.size() > text_kept) text = text.substr(0, text_kept) + " (cut: it is too long)";
  };
  const auto shorten_error = [&](std::optional<Error>& error) {
    if (!error) return;
    error = Error{error->code, error->text(), {}, error->hint};
    shorten(error->message);
    shorten(error->hint);
  };
  if (auto* step = std::get_if<Step>(&message)) {
    lose([&] { step->diff = "(left out: it is too large)\n"; });
    lose([&] { step->checks.clear(); });
    lose([&] {
      for (std::string* text : {&step->id, &step->item, &step->at, &step->note}) shorten(*text);
      shorten_error(step->error);
    });
  } else if (auto* refused = std::get_if<Refused>(&message)) {
    lose([&] {
      if (refused->mistakes.size() > text_kept) refused->mistakes.resize(text_kept);
      for (Refused::Mistake& one : refused->mistakes) {
        for (std::string* text : {&one.source, &one.message, &one.hint}) shorten(*text);
      }
      shorten_error(refused->error);
    });
    lose([&] { refused->mistakes.resize(std::min<std::size_t>(refused->mistakes.size(), 100)); });
  } else if (auto* doing = std::get_if<Doing>(&message)) {
    lose([&] { shorten(doing->what); });
  }
  return frame(payload);
}

}  // namespace

AgentChannel::AgentChannel(int in, int out, std::string hello, Times times)
    : times_(times), in_(in), out_(out), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const int fd : {in_, out_}) (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  queue(std::move(hello));
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
}

AgentChannel::~AgentChannel() {
  thread_.request_stop();
  (void)eventfd_write(wake_, 1);
  thread_.join();
  for (const int fd : {in_, out_, wake_}) (void)close(fd);
}

void AgentChannel::send(FromAgent message) {
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return;
    if (auto* step = std::get_if<Step>(&message)) {
      doing_told_ = true;
      if (queued_ > drop_above) return;
      if (queued_ > lean_above && !step->diff.empty()) step->diff = "(left out: the controller reads too slowly)\n";
    }
    queue(wire(std::move(message)));
  }
  (void)eventfd_write(wake_, 1);
}

/// Called with the lock held.
void AgentChannel::queue(std::string bytes) {
  queued_ += bytes.size();
  queue_.push_back(std::move(bytes));
}

void AgentChannel::doing(std::string what) {
  const std::lock_guard lock(mutex_);
  doing_ = std::move(what);
  doing_since_ = Clock::now();
  doing_told_ = false;
}

std::optional<FromController> AgentChannel::receive(Sources& sources) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return lost_ || bye_ || !received_.empty(); });
  if (received_.empty()) return bye_ ? std::optional<FromController>(Bye{}) : std::nullopt;
  const std::string payload = std::move(received_.front());
  received_.pop_front();
  lock.unlock();
  auto message = decode_from_controller(payload, sources);
  if (message) return std::move(*message);
  return std::nullopt;
}

bool AgentChannel::finish(Deadline deadline) {
  std::unique_lock lock(mutex_);
  (void)changed_.wait_until(lock, deadline, [&] { return lost_ || bye_; });
  return bye_;
}

bool AgentChannel::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

bool AgentChannel::stop_requested() const {
  const std::lock_guard lock(mutex_);
  return stop_ || lost_;
}

void AgentChannel::fail() {
  lost_ = true;
  queue_.clear();
  queued_ = 0;
  changed_.notify_all();
}

/// Bytes of the controller; called with the lock held.
void AgentChannel::take(std::string_view bytes) {
  reader_.add(bytes);
  while (true) {
    auto payload = reader_.next();
    if (!payload) return fail();
    if (!*payload) return;
    // The three that are short and fixed are understood here: they must be heard while a resource is in hand.
    static const std::string alive = encode(FromController(Alive{})), stop = encode(FromController(Stop{})),
                             bye = encode(FromController(Bye{}));
    if (**payload == alive) continue;
    if (**payload == stop) {
      stop_ = true;
      doing_told_ = true;  // what is in hand has been told, or will be when it is done
      queue(wire(Doing{std::string(stopping)}));
    } else if (**payload == bye) {
      bye_ = true;
    } else {
      received_.push_back(std::move(**payload));
    }
    changed_.notify_all();
  }
}

void AgentChannel::loop(const std::stop_token& stop) {
  auto heard = Clock::now(), spoke = heard;
  std::array<char, 65536> buffer{};
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested() && !lost_) {
    const auto now = Clock::now();
    if (now - heard > times_.silence) return fail();
    if (!doing_told_ && now - doing_since_ > times_.moment) {
      doing_told_ = true;
      if (queued_ <= lean_above) queue(wire(Doing{doing_}));
    } else if (queue_.empty() && now - spoke > times_.alive) {
      queue(wire(Alive{}));
    }
    std::array<pollfd, 3> fds{{{in_, POLLIN, 0}, {wake_, POLLIN, 0}, {queue_.empty() ? -1 : out_, POLLOUT, 0}}};
    lock.unlock();
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(times_.moment.count()));
    eventfd_t ignored = 0;
    (void)eventfd_read(wake_, &ignored);
    ssize_t got = -1;
    if (ready > 0 && fds[0].revents != 0) {
      got = ::read(in_, buffer.data(), buffer.size());
      if (got < 0 && errno != EAGAIN && errno != EINTR) got = 0;
      heard = Clock::now();
    }
    lock.lock();
    if (got > 0) take({buffer.data(), static_cast<std::size_t>(got)});
    if (got == 0) return fail();
    if (lost_ || queue_.empty() || ready <= 0 || fds[2].revents == 0) continue;
    const std::string& first = queue_.front();
    const ssize_t put = ::write(out_, first.data() + written_, first.size() - written_);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return fail();
    if (put > 0) written_ += static_cast<std::size_t>(put);
    spoke = Clock::now();
    if (written_ < first.size()) continue;
    queued_ -= first.size();
    queue_.pop_front();
    written_ = 0;
  }
}

}  // namespace converge::remote
