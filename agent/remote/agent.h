// The node's side: the same program, started by a controller with its standard streams as the line.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "remote/session.h"

namespace converge::remote {

/// The runs that this host, `name` in its own inventory, did by itself after about this moment of its clock: rather one
/// too many, for runs are told apart by their uid. The oldest first; the newest 50 at most.
using Memory = std::function<std::vector<PastRun>(const std::string& name, Timestamp after)>;

/// Greets with `nonce`, tells the facts, and does the one run that is asked for, exactly as it would be done locally.
/// Standard input and output are the line; what programs print goes to standard error. When the line dies, the resource
/// in hand is finished, nothing more is begun, and what was done is left in /var/lib/converge/last-run.json for the
/// next contact.
/// @return the exit code; the controller believes the messages, not the code.
int serve_agent(const std::string& nonce, const Memory& memory);

/// This program, which a controller has just uploaded, puts itself in its place beside where it lies now:
/// DIRECTORY/<digest>/converge, if it has that digest. Older agents that were not used for a week are removed but for
/// the newest two. Prints "CONVERGE1 NONCE installed", or what is wrong.
int install_agent(const std::string& nonce, const std::string& digest);

/// What nodes are given: the running program. Its digest is being made when this returns.
AgentImage own_image();

}  // namespace converge::remote
