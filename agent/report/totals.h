// Prometheus' text exposition format 0.0.4: Goss's counters summed over runs, and gauges of the last run.
#pragma once
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "report/formats.h"

namespace converge {

class Totals {
 public:
  /// `by_resource`: a counter for each resource, too.
  void add(const Results& results, bool by_resource);
  /// Goss's four families of counters.
  std::string text() const;

 private:
  struct Sum {
    std::size_t count = 0;
    std::chrono::microseconds took{0};
  };
  std::map<std::string, Sum> tests_, runs_;  // by labels
};

/// What the last run was: converge_check_passed for each check that was not skipped, when the run ended, how long it
/// took.
std::string last_run_gauges(const Results& results);

/// The two lines before a family's samples; `kind`: "counter", "gauge".
std::string metric_head(std::string_view name, std::string_view kind, std::string_view help);

}  // namespace converge
