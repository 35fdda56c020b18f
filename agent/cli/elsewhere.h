// Hosts that are not this machine: how each is reached, what it should be, and the run over all of them.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/load.h"
#include "remote/session.h"
#include "remote/ssh_transport.h"
#include "report/reporter.h"

namespace converge::cli {

/// How to reach a host and become root there, from its variables (converge_NAME before ansible_NAME: host, port, user,
/// private_key_file, become, become_method) and the command line. Values may hold templates.
struct Reach {
  remote::Target target;
  remote::Become become = remote::Become::no;
};
Reach reach_of(const Options& options, Loaded& loaded, const std::string& host, Diagnostics& diagnostics);

/// ~ and agent as ssh(1) has them; a passphrase is asked for on the terminal, if there is one.
remote::SshSettings ssh_settings();

/// Finds mistakes in the items of `hosts` before any is reached, with the facts of this machine in place of theirs.
/// @return those hosts for which there is something to do; the others are told of on standard error.
std::vector<std::string> check_elsewhere(const Options& options, Loaded& loaded, std::vector<std::string> hosts,
                                         Facts& here, Diagnostics& diagnostics);

/// What is to be done on other hosts.
struct FleetOrder {
  Verb verb = Verb::plan;
  std::vector<std::string> hosts;
  const Secret* password = nullptr;         // -K has been asked for, or null
  std::string run;                          // its uid
  std::map<std::string, Timestamp> looked;  // when hosts were looked at last, by what is remembered
  bool remember = false;                    // so that hosts tell what they know besides
};

struct FleetRun {
  int code = exit_ok;               // the worst host's
  std::vector<std::string> failed;  // what @failed will be
};
/// Runs on all of the order's hosts.
FleetRun run_elsewhere(const Options& options, Loaded& loaded, const FleetOrder& order, Reporter& reporter);

/// Asks a question on the terminal without showing the answer; nullopt without a terminal.
std::optional<Secret> ask_secret(const std::string& question);

/// Of two exit codes, the one a run of several hosts ends with.
int worse(int a, int b);

}  // namespace converge::cli
