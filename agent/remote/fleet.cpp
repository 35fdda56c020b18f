#include "remote/fleet.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "core/text.h"

namespace converge::remote {
namespace {

// So many, and no more than so large together; then hosts wait for the listener.
constexpr std::size_t events_kept = 1024, bytes_kept = std::size_t{16} << 20U;

struct Event {
  std::size_t host;
  std::variant<News, HostEnd> what;
};

/// What its texts take: what a host says may be large.
std::size_t size_of(const Step& step) {
  std::size_t size = step.note.size() + step.diff.size();
  for (const Check& check : step.checks) size += check.expected.size() + check.actual.size() + check.detail.size();
  return size;
}
std::size_t size_of(const Event& event) {
  const auto* news = std::get_if<News>(&event.what);
  if (news == nullptr) return 0;
  if (const auto* step = std::get_if<Step>(news)) return size_of(*step);
  const auto* left = std::get_if<LeftRun>(news);
  std::size_t size = 0;
  if (left != nullptr)
    for (const Step& step : left->steps) size += size_of(step);
  return size;
}

/// Events on their way from the hosts' threads to the caller's.
class Events {
 public:
  void put(Event event) {
    const std::size_t size = size_of(event);
    std::unique_lock lock(mutex_);
    changed_.wait(lock,
                  [&] { return events_.empty() || (events_.size() < events_kept && bytes_ + size <= bytes_kept); });
    bytes_ += size;
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  Event take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !events_.empty(); });
    Event event = std::move(events_.front());
    events_.pop_front();
    bytes_ -= size_of(event);
    changed_.notify_all();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::size_t bytes_ = 0;  // of events_
};

}  // namespace

Result<Share> Share::parse(std::string_view text) {
  Share share;
  std::string_view digits = text;
  if (digits.ends_with('%')) {
    share.percent = true;
    digits.remove_suffix(1);
  }
  std::uint64_t number = 0;
  if (!parse_number(digits, number) || (share.percent && number > 100))
    return Error{Errc::invalid,
                 fmt::format("'{}' is no number of hosts and no percentage", printable(text)),
                 {},
                 "say 5 or 30%"};
  share.number = static_cast<std::size_t>(number);
  return share;
}

std::vector<std::size_t> run_fleet(std::size_t hosts, const FleetOptions& options,
                                   const std::function<HostEnd(std::size_t host, const Tell& tell)>& work,
                                   const std::function<void(std::size_t host, News news)>& on_news,
                                   const std::function<bool(std::size_t host, HostEnd end)>& on_end,
                                   const Interrupted& interrupted) {
  const std::size_t batch =
      options.serial ? std::max<std::size_t>(options.serial->of(hosts), 1) : std::max<std::size_t>(hosts, 1);
  Events events;
  std::atomic<std::size_t> next{0};
  std::size_t begun_to = 0;
  bool enough = false;
  for (std::size_t first = 0; first < hosts && !enough; first += batch) {
    const std::size_t end = std::min(hosts, first + batch);
    std::atomic<bool> stop{false};
    next = first;
    const auto worker = [&] {
      while (!stop && !interrupted()) {
        const std::size_t host = next++;
        if (host >= end) return;
        HostEnd ended = work(host, [&](News news) { events.put({host, std::move(news)}); });
        const auto farewell = std::move(ended.farewell);  // takes its time when the end has been told
        events.put({host, std::move(ended)});
      }
    };
    std::atomic<std::size_t> working{0};
    std::vector<std::jthread> threads;
    const std::size_t count = std::min(std::max<std::size_t>(options.parallel, 1), end - first);
    constexpr std::size_t none = SIZE_MAX;  // the host of the event that a thread has ended
    working = count;
    for (std::size_t i = 0; i < count; ++i)
      threads.emplace_back([&] {
        worker();
        events.put({none, HostEnd{}});
      });
    std::size_t failed = 0;
    while (working > 0) {
      Event event = events.take();
      if (event.host == none) {
        --working;
      } else if (auto* news = std::get_if<News>(&event.what)) {
        on_news(event.host, std::move(*news));
      } else if (!on_end(event.host, std::move(std::get<HostEnd>(event.what)))) {
        ++failed;
        if (options.max_fail && failed > options.max_fail->of(end - first)) stop = enough = true;
      }
    }
    begun_to = std::min<std::size_t>(next, end);
    enough = enough || interrupted();
  }
  std::vector<std::size_t> left;
  for (std::size_t host = begun_to; host < hosts; ++host) left.push_back(host);
  return left;
}

}  // namespace converge::remote
