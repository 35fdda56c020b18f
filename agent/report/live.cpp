#include "report/live.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "core/text.h"

namespace converge {
namespace {

constexpr std::size_t most_lines = 6;
constexpr auto patience = std::chrono::seconds(1);  // what ends sooner is not worth a line
constexpr auto tick = std::chrono::milliseconds(200);

}  // namespace

Live::Live(std::size_t hosts, std::size_t width)
    : hosts_(hosts),
      width_(std::max<std::size_t>(width, 20)),
      thread_([this](const std::stop_token& stop) { watch(stop); }) {}

Live::~Live() {
  thread_.request_stop();
  ended_.notify_all();
  thread_.join();
  wipe();
}

void Live::doing(const std::string& host, std::string what) {
  const std::lock_guard lock(mutex_);
  doing_[host] = {std::move(what), Clock::now()};
}

void Live::changing(const std::string& host) {
  const std::lock_guard lock(mutex_);
  changing_[host] = true;
}

void Live::ends(const std::string& host, bool failed) {
  const std::lock_guard lock(mutex_);
  doing_.erase(host);
  changing_.erase(host);
  ++done_;
  failed_ += failed ? 1 : 0;
}

void Live::clear() {
  const std::lock_guard lock(mutex_);
  wipe();
}

void Live::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    (void)ended_.wait_for(lock, stop, tick, [] { return false; });
    if (!stop.stop_requested()) draw();
  }
}

void Live::draw() {
  const auto now = Clock::now();
  std::vector<std::pair<Clock::time_point, std::string>> lines;
  for (const auto& [host, doing] : doing_) {
    if (now - doing.since < patience) continue;
    const auto spent = std::chrono::duration_cast<std::chrono::seconds>(now - doing.since).count();
    lines.emplace_back(doing.since, fmt::format("  {}  {} … {} s", printable(host), printable(doing.what), spent));
  }
  std::sort(lines.begin(), lines.end());
  if (lines.size() > most_lines) lines.resize(most_lines);
  std::string text;
  if (hosts_ > 1) {
    text +=
        cut(fmt::format("  {} of {} hosts done · {} changing · {} failed", done_, hosts_, changing_.size(), failed_));
    text += '\n';
  }
  for (const auto& [since, line] : lines) text += cut(line) + "\n";
  if (text == drawn_ && shown_ > 0) return;
  wipe();
  drawn_ = text;
  shown_ = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

void Live::wipe() {
  if (shown_ > 0) fmt::print(stderr, "\x1b[{}A\x1b[J", shown_);
  (void)std::fflush(stderr);
  shown_ = 0;
}

std::string Live::cut(std::string line) const {
  std::size_t columns = 0, at = 0;
  for (; at < line.size(); ++at)
    if ((static_cast<unsigned char>(line[at]) & 0xC0U) != 0x80U && ++columns >= width_) break;
  line.resize(at);
  return line;
}

}  // namespace converge
