// What becomes of runs in the history: where it lies, and a reporter that remembers while another one tells.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/load.h"
#include "cli/log.h"
#include "history/sqlite.h"
#include "report/reporter.h"

namespace converge::cli {

/// The file of the history: what --history says, or CONVERGE_HISTORY in the environment; else
/// /var/lib/converge/history.db for root, and for others $XDG_STATE_HOME/converge/history.db, or below ~/.local/state.
/// Empty: none ("none", a tree, no home).
std::string history_file(const Options& options);

/// Where the journals for undo lie: a host's own beside its history, those of another history in FILE.undo. Empty
/// without a history.
std::string undo_directory(const Options& options);

/// Who is at the keyboard, also behind sudo.
std::string who_runs();

/// Opens it. For write, its directory is made if it is absent. Errc::not_found: read, and there is none.
Result<std::unique_ptr<history::History>> open_history(const Options& options, history::Access access);

/// When hosts were looked at last; empty without a history.
std::map<std::string, Timestamp> last_looks(const Options& options);

/// What this host did by itself: see remote::Memory.
std::vector<PastRun> past_runs(const std::string& name, Timestamp after);

struct Recording {
  const Options& options;
  Verb verb;
  const Loaded& loaded;
  const SystemView& view;       // of this machine, asked for evidence of new drift
  std::set<std::string> local;  // hosts that are this machine
  std::string run;              // its uid
  Log& log;
};
/// Tells `next` everything, and remembers it. The history is opened while hosts are looked at; what goes wrong with it
/// is a warning in the log, and changes nothing else. Without a history, drift is told without dates.
std::unique_ptr<Reporter> recording_reporter(Recording recording, Reporter& next);

}  // namespace converge::cli
