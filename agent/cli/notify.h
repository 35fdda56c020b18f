// Telling others of drift when a run is over: metrics in a file, a command, a webhook.
#pragma once
#include <memory>
#include <string>

#include "cli/log.h"
#include "cli/options.h"
#include "report/reporter.h"
#include "system/system.h"

namespace converge::cli {

/// Null if nobody is to be told. `system` is this machine, never a tree: it runs the command, and asks the network.
///   --textfile PATH: counters in the text format of Prometheus, for node_exporter's textfile collector; replaced
///   whole.
///   --on-drift WORD...: a command, with the new findings as one JSON object on its standard input.
///   --webhook URL, or @FILE that holds it: the same is posted there.
/// Commands and webhooks are for new drift only, and tried three times, and again by the next run with a history; what
/// fails is a warning, and changes nothing else.
std::unique_ptr<Reporter> notifier(const Options& options, System& system, Log& log);

}  // namespace converge::cli
