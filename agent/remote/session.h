// One host, from connecting to the end of its run.
#pragma once
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/values.h"
#include "remote/bootstrap.h"
#include "remote/transport.h"
#include "remote/wire.h"
#include "report/reporter.h"

namespace converge::remote {

/// The program nodes run: our own. Copies may be used by several threads.
struct AgentImage {
  std::shared_future<std::string> digest;  // SHA-256, hex; made while hosts are being reached; empty: not readable
  std::string path;                        // read when a node has none yet
  std::string arch;                        // as uname(2) has it: only such nodes can run it
};

struct Limits {
  using Time = std::chrono::milliseconds;
  Time connect = std::chrono::seconds(10), handshake = std::chrono::seconds(15), upload = std::chrono::minutes(5);
  Time silence = std::chrono::seconds(90);  // without even an "alive"
  Time step = std::chrono::hours(1);        // without news of the run, however alive
  Time host{0};                             // for everything on a host; 0: no limit
};

/// What is wanted of a host.
struct Order {
  Target target;
  Become become = Become::no;
  const Secret* password = nullptr;  // for sudo; null: there is none
  bool facts_only = false;
  RunOrder run;  // digest and collected are filled in here, and `since` grows while the host is being reached
  /// The items for this host, once its facts are known. An Error ends the host as refused.
  std::function<Result<std::vector<spec::Item>>(const spec::Value& facts)> items;
};

/// News while it goes on.
using News = std::variant<Doing, Step, LeftRun, Testimony, PastRun>;
using Tell = std::function<void(News)>;

/// How it ended: a tally, or why there is none.
struct HostEnd {
  std::optional<Tally> tally;
  NoRun why = NoRun::unreachable;
  std::optional<Error> error;
  std::vector<Refused::Mistake> mistakes;  // what the host found wrong with the items
  std::optional<Hello> hello;              // known when it was reached
  std::chrono::seconds ahead{0};           // the host's clock, against ours
  std::chrono::microseconds took{0};
  Traffic traffic;
  bool uploaded = false;
  std::shared_ptr<void> farewell;  // what is still said to the host: destroyed when there is time to wait for it
};

/// Asked while waiting: how urgently to stop. 1: after the resource in hand. Nothing new is begun on a host that was
/// not reached yet.
using Interrupted = std::function<bool()>;

/// Reaches the host, puts the agent there if it is not, runs the order and tells the news.
HostEnd run_on_host(Transport& transport, const Order& order, const AgentImage& image, const Limits& limits,
                    const Tell& tell, const Interrupted& interrupted);

}  // namespace converge::remote
