// A fleet as one page for a browser: what it shows, as data, and the page itself.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/values.h"
#include "engine/engine.h"
#include "engine/finding.h"
#include "report/step_json.h"

namespace converge {

struct PageItem {
  std::string name;
  std::size_t resources = 0, out = 0, unknown = 0;
  Timestamp looked;
};

/// A host as its newest look found it.
struct PageHost {
  std::string name, status, error;  // "done", or why it was not looked at
  Verb verb = Verb::drift;
  std::int64_t run = 0;
  Timestamp ended;
  std::chrono::microseconds took{0};
  Tally tally;
  std::vector<PageItem> items;
  std::vector<std::pair<std::int64_t, std::chrono::microseconds>> looks;  // run and time of those that were done
};

struct PageRun {
  std::int64_t id = 0;
  Verb verb = Verb::drift;
  std::string state;  // "running", "done", "interrupted"
  Timestamp began;
  std::optional<Timestamp> ended;
  std::size_t hosts = 0;
  Tally tally;
};

/// What the newest look says of a resource that is not as declared, beside its findings.
struct PageDetail {
  std::string host, item, resource;
  std::string diff, error, hint, note;
};

struct PageFleet {
  Timestamp made, since;
  std::chrono::seconds stale{0};  // a host not looked at for longer is marked
  std::vector<PageHost> hosts;
  std::vector<PageRun> runs;      // the newest first
  std::vector<Finding> findings;  // of these hosts: open, or ended since then; others are left out
  bool cut = false;               // there are more findings than these
  std::vector<PageDetail> details;
  std::size_t every = 1;  // looks are of every so manieth run
};

/// As page.js reads it: times in milliseconds; words that come often by their place in "strings".
Json to_json(const PageFleet& fleet);

/// A whole document, with nothing outside of it. Without data it asks the server that gave it.
std::string page_of(const Json* data);
/// What the page may do, as a Content-Security-Policy: its own style and script; to talk to its server if `live`.
std::string page_policy(bool live);

}  // namespace converge
