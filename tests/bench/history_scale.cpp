// history_scale measure|make FILE [HOSTS DAYS RUNS-A-DAY [NAME]...] - makes up the history of a fleet, whose first
// hosts have these names. measure: tells in Markdown how long it takes to ask something of it. Without arguments: a
// small one, whose counts are checked, and no times.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string_view>

#include "history/sqlite.h"
#include "tests/bench/made_up_history.h"

namespace converge::bench {
namespace {

using history::Access;
using history::History;

/// Ends the program: here nothing is expected to fail.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    fmt::print(stderr, "history_scale: {}: {}\n", what, result.error().text());
    std::exit(1);
  }
  return std::move(*result);
}
void must_be(bool holds, const char* what) {
  if (holds) return;
  fmt::print(stderr, "history_scale: not so: {}\n", what);
  std::exit(1);
}

Timestamp now() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

struct Took {
  double wall = 0, cpu = 0;  // milliseconds; of this process
};
template <class Work>
Took time_of(const Work& work) {
  const auto before = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  return {std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count(),
          static_cast<double>(std::clock() - cpu) * 1000 / CLOCKS_PER_SEC};
}

double size_of(const std::string& path) {
  std::error_code failed;
  double bytes = 0;
  for (const char* end : {"", "-wal"})
    if (const auto size = std::filesystem::file_size(path + end, failed); !failed) bytes += static_cast<double>(size);
  return bytes;
}

/// Runs until there are so many; in batches, for speed. @return the median of record() by itself, in microseconds, over
/// one more run that is not batched.
double grow(History& history, MadeUpFleet& fleet, std::size_t runs) {
  while (runs > 1) {
    const std::size_t batch = std::min<std::size_t>(runs - 1, 20);
    must(history.together([&] {
      for (std::size_t i = 0; i < batch; ++i)
        if (auto done = fleet.run(); !done) return done;
      return ok();
    }),
         "writing");
    runs -= batch;
  }
  std::vector<double> took;
  must(fleet.run([&](double micros) { took.push_back(micros); }), "writing");
  std::nth_element(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2), took.end());
  return took[took.size() / 2];
}

void check_small() {
  std::string name = (std::filesystem::temp_directory_path() / "converge-scale-XXXXXX").string();
  must_be(mkdtemp(name.data()) != nullptr, "a directory can be made");
  const std::filesystem::path directory = name;
  {
    auto history = must(open_sqlite((directory / "h.db").string(), Access::write), "opening");
    MadeUpFleet fleet(*history, {.hosts = 20, .days = 4, .runs_a_day = 12, .until = {1'700'000'000'000'000}});
    (void)grow(*history, fleet, fleet.runs());
    must_be(must(history->latest(), "latest").size() == 20, "every host has a latest look");
    must_be(must(history->runs({.limit = 1000}), "runs").size() == 48, "every run is remembered");
    must_be(must(history->points({.limit = 10000}), "points").size() == 20 * 48, "every look is remembered");
    const auto sample = must(history->sample({.limit = 100}), "sample");
    must_be(sample.every == 10 && sample.points.size() == 20 * 5, "a sample is of every tenth run");
    std::size_t open = 0;
    for (const auto& item : must(history->items(), "items")) open += item.out + item.unknown;
    must_be(open == must(history->open_findings(), "open").size(), "items and findings agree");
    must_be(!must(history->findings({.limit = 10000, .open = false}), "findings").empty(), "drift came and went");
  }
  std::filesystem::remove_all(directory);
}

void measure(const std::string& path, Shape shape) {
  auto history = must(open_sqlite(path, Access::write), "opening");
  MadeUpFleet fleet(*history, shape);
  const std::size_t looks = shape.hosts * fleet.runs();
  fmt::print("## History: {} hosts, {} days, {} runs a day: {} looks\n\n| | |\n|---|---:|\n", shape.hosts, shape.days,
             shape.runs_a_day, looks);
  const std::size_t few = std::min<std::size_t>(fleet.runs() / 2, std::max<std::size_t>(1000 / shape.hosts, 2));
  const auto row = [](const std::string& what, double value, const char* unit) {
    fmt::print("| {} | {:.1f} {} |\n", what, value, unit);
    (void)std::fflush(stdout);
  };
  row(fmt::format("`record()` of a host, after {} looks, median", shape.hosts * few), grow(*history, fleet, few), "µs");
  const double small = size_of(path);
  row(fmt::format("`record()` of a host, after {} looks, median", looks), grow(*history, fleet, fleet.runs() - few),
      "µs");
  const double grown = (size_of(path) - small) / static_cast<double>(fleet.runs() - few);
  row("the file", size_of(path) / 1e6, "MB");
  row("the file, for each further run", grown / 1e3, "kB");
  row("the file, for each further look", grown / static_cast<double>(shape.hosts), "B");
  history.reset();
  history = must(open_sqlite(path, Access::read), "opening");
  const Timestamp month{shape.until.micros - 30 * 86'400'000'000};
  const auto ask = [&](const char* what, const auto& question) {
    std::size_t rows = 0;
    Took least;  // of three: the first may read from the disk
    for (int i = 0; i < 3; ++i) {
      const Took took = time_of([&] { rows = question(); });
      if (i == 0 || took.wall < least.wall) least = took;
    }
    fmt::print("| {}: {} rows | {:.1f} ms, {:.1f} ms CPU |\n", what, rows, least.wall, least.cpu);
    (void)std::fflush(stdout);
  };
  const std::string host = must(history->latest(), "latest").front().host;
  ask("latest()", [&] { return must(history->latest(), "latest").size(); });
  ask("items()", [&] { return must(history->items(), "items").size(); });
  ask("open_findings()", [&] { return must(history->open_findings(), "open").size(); });
  ask("findings of 30 days", [&] { return must(history->findings({.from = month, .limit = 20'000}), "f").size(); });
  ask("findings of a host", [&] { return must(history->findings({.host = host, .limit = 20'000}), "f").size(); });
  ask("a page of findings", [&] { return must(history->findings({.limit = 100}), "f").size(); });
  ask("runs of 30 days", [&] { return must(history->runs({.from = month, .limit = 2'000}), "runs").size(); });
  ask("runs of a host", [&] { return must(history->runs({.host = host, .limit = 50}), "runs").size(); });
  ask("sample of 30 days", [&] { return must(history->sample({.from = month, .limit = 24'000}), "s").points.size(); });
  ask("looks of a host", [&] { return must(history->points({.host = host, .limit = 10'000}), "p").size(); });
  ask("a run with its steps", [&] { return must(history->hosts_of(must(history->run("last"), "r").id), "h").size(); });
  ask("state()", [&] { return must(history->state(), "state").empty() ? 0U : 1U; });
}

}  // namespace
}  // namespace converge::bench

int main(int argc, char** argv) {
  using namespace converge::bench;
  using converge::history::Access;
  if (argc == 1) {
    check_small();
    return 0;
  }
  if (argc < 3) {
    fmt::print(stderr, "usage: history_scale measure|make FILE [HOSTS DAYS RUNS-A-DAY [NAME]...]\n");
    return 64;
  }
  Shape shape{.until = now()};
  const auto number = [&](int at, std::size_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  shape.hosts = number(3, shape.hosts);
  shape.days = number(4, shape.days);
  shape.runs_a_day = number(5, shape.runs_a_day);
  for (int i = 6; i < argc; ++i) shape.names.emplace_back(argv[i]);
  if (shape.hosts < 20) shape.days_between_drifts = 0.5;  // so that there is something to see
  if (std::string_view(argv[1]) == "measure") {
    measure(argv[2], shape);
  } else {
    auto history = must(open_sqlite(argv[2], Access::write), "opening");
    MadeUpFleet fleet(*history, shape);
    (void)grow(*history, fleet, fleet.runs());
  }
  return 0;
}
