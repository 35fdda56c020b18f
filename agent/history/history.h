// What runs found and did, remembered: a record for people, never an input of a plan. Deleting it changes no host.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/values.h"
#include "engine/engine.h"
#include "engine/finding.h"

namespace converge::history {

/// Of a run that begins.
struct RunStart {
  std::string uid;  // 32 hex digits, unique among all machines
  Verb verb = Verb::apply;
  Timestamp began;            // this machine's clock, as every time here
  std::string who, from;      // "tegwick"; the machine, and where the person came from
  std::string revision;       // of the specs: "4f2a9c1d03be", or ""
  std::string sources;        // SHA-256 of all that was read, first 12 hex digits, or ""
  std::string words;          // what was asked for: "-l coulomb -t limits"
  std::string version, root;  // of converge; "/" or the tree
  std::string boot;           // the boot it runs in, to tell a dead run from a running one
  std::int64_t pid = 0;
};

/// A run as it is remembered.
struct Run {
  std::int64_t id = 0;  // counts up; what people call it by
  RunStart start;
  std::optional<Timestamp> ended;
  std::optional<int> exit;
  enum class State { running, done, interrupted } state = State::running;
  std::size_t hosts = 0;  // that have a record
  Tally tally;            // of all of them
};

/// What a run found or did on one host.
struct HostRecord {
  std::string host;
  std::string status = "done";  // or "unreachable", "lost", "busy", "refused", "not_begun"
  Tally tally;
  Timestamp ended;
  std::chrono::microseconds took{0};
  std::string error;
  std::vector<Step> steps;
  bool whole = false;  // everything the host's specs say was looked at: what is missing is declared no more
};

/// One row for a host in one run, without steps.
struct Point {
  std::int64_t run = 0;
  std::string host, status;
  Verb verb = Verb::apply;
  Timestamp ended;
  Tally tally;
  std::chrono::microseconds took{0};
};

/// How a host is now, by item.
struct ItemState {
  std::string host, item;
  std::size_t resources = 0, out = 0, unknown = 0;
  Timestamp looked;
};

/// Which rows a question is about. Empty: all.
struct Range {
  std::string host;
  std::optional<Timestamp> from, until;  // by when they ended
  std::size_t limit = 50;                // at most so many, the newest
  std::optional<std::int64_t> before;    // runs, findings: only what comes after this one in the order of the answer
  std::string item;                      // findings
  std::optional<bool> open;              // findings: only those that are, or are not
};

/// Rows spread evenly over a range: all hosts of every `every`th run, the newest among them.
struct Sample {
  std::vector<Point> points;
  std::size_t every = 1;
};

struct Pruned {
  std::size_t runs = 0, findings = 0;
};

/// A store of runs. Every function is one transaction; an Error says that nothing of it happened.
class History {
 public:
  virtual ~History() = default;

  /// A run begins. Others that are called running but whose process `alive` denies are called interrupted.
  virtual Result<std::int64_t> begin(const RunStart& start,
                                     const std::function<bool(const std::string& boot, std::int64_t pid)>& alive) = 0;
  /// What became of a host; compares it with what is remembered.
  virtual Result<Compared> record(std::int64_t run, const HostRecord& host) = 0;
  virtual Status suspect(std::int64_t finding, const std::vector<Suspect>& suspects) = 0;
  /// `worth_it`: it is on disk when this returns, with all before it. A run that found nothing may be lost to a power
  /// cut.
  virtual Status end(std::int64_t run, Timestamp ended, int exit, bool worth_it) = 0;
  /// Forgets runs that ended before `before`, but for the newest of each host, at most `most` of them, and findings
  /// that ended before it.
  virtual Result<Pruned> prune(Timestamp before, std::size_t most) = 0;
  /// What `work` does here is one transaction, and quicker so; an Error of its undoes all of it.
  virtual Status together(const std::function<Status()>& work) = 0;

  /// The newest first.
  virtual Result<std::vector<Run>> runs(const Range& range) const = 0;
  /// By its number, the beginning of its uid (at least 4 digits), or "last". Errc::not_found, Errc::invalid if several
  /// begin so.
  virtual Result<Run> run(const std::string& name) const = 0;
  /// Its hosts with their steps, by name.
  virtual Result<std::vector<HostRecord>> hosts_of(std::int64_t run) const = 0;
  /// One of them; nullopt: it was not among them.
  virtual Result<std::optional<HostRecord>> host_of(std::int64_t run, const std::string& host) const = 0;
  /// One row for each host and run, the newest first.
  virtual Result<std::vector<Point>> points(const Range& range) const = 0;
  /// About as many of them as the limit says, the newest runs first.
  virtual Result<Sample> sample(const Range& range) const = 0;
  /// The newest row of each host, by name.
  virtual Result<std::vector<Point>> latest() const = 0;
  /// Findings that were open at some time of the range; the newest first.
  virtual Result<std::vector<Finding>> findings(const Range& range) const = 0;
  virtual Result<std::vector<Finding>> open_findings(const std::string& host = "") const = 0;
  /// By host and item.
  virtual Result<std::vector<ItemState>> items(const std::string& host = "") const = 0;
  /// When a host was looked at last; nullopt: never.
  virtual Result<std::optional<Timestamp>> last_look(const std::string& host) const = 0;
  /// Another word whenever something was recorded since: for telling an old answer from a new one, cheaply.
  virtual Result<std::string> state() const = 0;
};

}  // namespace converge::history
