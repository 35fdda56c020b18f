// A fleet that never was, and what its runs found: the same for the same numbers, with drift that comes and goes.
#pragma once
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "history/history.h"

namespace converge::bench {

struct Shape {
  std::size_t hosts = 500, days = 90, runs_a_day = 48;
  Timestamp until;  // the newest run
  unsigned seed = 1;
  std::vector<std::string> names;  // of the first hosts; the others get some
  double days_between_drifts = 8;  // of a host, on average
};

/// Writes runs of a fleet into a history, the oldest first.
class MadeUpFleet {
 public:
  MadeUpFleet(history::History& history, Shape shape);

  std::size_t runs() const { return shape_.days * shape_.runs_a_day; }
  /// The next run, of all hosts. `recorded`, if given, is told how long each record() took, in microseconds.
  Status run(const std::function<void(double)>& recorded = {});

 private:
  struct Resource {
    std::string item, id, at;
    Checks checks;  // as they are when in sync
  };
  struct Episode {
    std::size_t resource = 0;
    std::size_t left = 0;  // runs
    std::string actual;
    bool unknown = false;
  };
  struct Host {
    std::string name;
    std::vector<Resource> resources;
    std::vector<Episode> episodes;
    std::size_t away = 0;  // runs
    double slowness = 1;
  };

  void live(Host& host);
  std::vector<Step> steps_of(const Host& host) const;
  /// True once in `n`, on average.
  bool once_in(double n) { return std::uniform_real_distribution(0.0, n)(random_) < 1; }

  history::History& history_;
  const Shape shape_;
  std::mt19937_64 random_;
  std::vector<Host> hosts_;
  std::size_t done_ = 0;
};

}  // namespace converge::bench
