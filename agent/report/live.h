// What is going on, for a person who waits: lines on standard error that are drawn over and vanish.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace converge {

/// One host: a line once something takes longer than a second. Several: a line of counts and one for each of the few
/// hosts that have been longest at what they do. May be used by one thread; it draws from one of its own.
class Live {
 public:
  /// `width`: columns of the terminal.
  Live(std::size_t hosts, std::size_t width);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  void doing(const std::string& host, std::string what);
  void changing(const std::string& host);  // something was changed there, or would be
  void ends(const std::string& host, bool failed);
  /// Takes the lines off the screen, for something to be printed there; they come back by themselves.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  struct Doing {
    std::string what;
    Clock::time_point since;
  };

  void watch(const std::stop_token& stop);
  void draw();
  void wipe();
  std::string cut(std::string line) const;

  const std::size_t hosts_, width_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::map<std::string, Doing> doing_;
  std::map<std::string, bool> changing_;
  std::string drawn_;
  std::size_t done_ = 0, failed_ = 0, shown_ = 0;  // shown_: lines on the screen
  std::jthread thread_;                            // last: it uses the others
};

}  // namespace converge
