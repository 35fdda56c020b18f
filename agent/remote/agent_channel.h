// The agent's end of the line. A thread of its own reads, writes and says "alive", so that a resource that takes long,
// or a controller that does not read, holds up nothing.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "remote/transport.h"
#include "remote/wire.h"

namespace converge::remote {

class AgentChannel {
 public:
  struct Times {
    std::chrono::milliseconds alive = std::chrono::seconds(10);    // silent for so long, we say that we live
    std::chrono::milliseconds silence = std::chrono::seconds(90);  // of the controller: then it is taken for lost
    std::chrono::milliseconds moment{200};                         // what is done for longer is told
  };
  /// Takes the two descriptors. `hello` is written before anything else, as it is.
  AgentChannel(int in, int out, std::string hello, Times times);
  AgentChannel(int in, int out, std::string hello) : AgentChannel(in, out, std::move(hello), Times()) {}
  ~AgentChannel();
  AgentChannel(const AgentChannel&) = delete;
  AgentChannel& operator=(const AgentChannel&) = delete;

  /// Queues a message. Above 8 MiB that nobody fetched, steps lose their diffs, above 16 MiB they are dropped: the
  /// tally at the end counts them all the same.
  void send(FromAgent message);
  /// What is being done now: told when it takes longer than a moment.
  void doing(std::string what);
  /// The next message of the controller but alive and stop, whose items point into `sources`; nullopt when the line is
  /// dead or says what cannot be understood.
  std::optional<FromController> receive(Sources& sources);
  /// Waits until all is written and the controller has said bye. False if the line died first.
  bool finish(Deadline deadline);

  bool lost() const;            // the controller is gone, or silent for too long
  bool stop_requested() const;  // it said stop, or it is lost

 private:
  void loop(const std::stop_token& stop);
  void queue(std::string bytes);
  void take(std::string_view bytes);
  void fail();

  const Times times_;
  int in_, out_, wake_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  FrameReader reader_{from_controller_limit};
  std::deque<std::string> received_;
  std::deque<std::string> queue_;
  std::size_t queued_ = 0, written_ = 0;  // bytes queued; bytes of the first that are written
  std::string doing_;
  Clock::time_point doing_since_;
  bool doing_told_ = true, stop_ = false, lost_ = false, bye_ = false;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace converge::remote
