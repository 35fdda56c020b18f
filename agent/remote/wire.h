// What controller and agent say to each other: bounded frames of JSON, after a line that tells them from noise. The
// controller believes no length that a node sends, and drops what it does not know.
//
//   agent:      "CONVERGE1 NONCE agent\n", then frames
//   a frame:    4 bytes, big endian: the length of the payload; the payload, one JSON object with a "type"
//   agent:      hello
//   controller: items ..., run         (or nothing but bye: somebody only wanted the facts)
//   agent:      doing | step ..., evidence ..., past ..., end  (or refused)
//   controller: bye
//   both, when they have been silent for ten seconds: alive. The controller, at any time: stop.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/diagnostic.h"
#include "engine/engine.h"
#include "engine/finding.h"
#include "spec/spec.h"

namespace converge::remote {

constexpr int protocol = 1;
constexpr std::string_view greeting = "CONVERGE1";
constexpr std::size_t from_agent_limit = 1U << 20U;        // bytes of one payload
constexpr std::size_t from_controller_limit = 32U << 20U;  // an item may hold a whole file
constexpr int json_depth_limit = 256;
constexpr int json_keys_limit = 64;  // of one object

/// `payload` as a frame.
std::string frame(std::string_view payload);

/// Cuts a stream into payloads.
class FrameReader {
 public:
  explicit FrameReader(std::size_t limit) : limit_(limit) {}
  void add(std::string_view bytes) { buffer_ += bytes; }
  /// The next payload; nullopt if it is not whole yet. Errc::too_big for a length above the limit: nothing that
  /// follows can be understood.
  Result<std::optional<std::string>> next();

 private:
  std::size_t limit_;
  std::string buffer_;
  std::size_t at_ = 0;
};

/// What an agent left behind when its controller went away: told at the next contact.
struct LeftRun {
  std::string run, by, ended;  // its id, who ran it, when it ended (the node's clock)
  Verb verb = Verb::apply;
  Tally tally;
  std::vector<Step> steps;  // those that are not in sync
};

struct Hello {
  int protocol = 0;
  std::string version;
  bool privileged = false;
  std::int64_t now_micros = 0;  // the node's wall clock
  spec::Value facts;            // facts_value(), and what `converge facts` shows besides
  std::optional<LeftRun> left;
};
/// What an agent is doing once it has heard stop: it will begin nothing more.
constexpr std::string_view stopping = "stopping after what is in hand";
struct Doing {
  std::string what;
};
struct End {
  Tally tally;
};
/// The run did not begin.
struct Refused {
  enum class Why { input, busy, other } why = Why::other;
  std::optional<Error> error;
  struct Mistake {
    std::string source;
    int line = 0, column = 0;
    std::string message, hint;
  };
  std::vector<Mistake> mistakes;  // for Why::input
};
struct Alive {};
using FromAgent = std::variant<Hello, Doing, Step, Testimony, PastRun, End, Refused, Alive>;

struct Items {
  std::vector<spec::Item> items;
};
struct RunOrder {
  std::string run;     // id of the run: 32 hex digits
  std::string digest;  // SHA-256 the agent must have, hex
  std::string by;      // "the run of alice from wks1 (since ...)": what a second run is told
  Verb verb = Verb::plan;
  bool diff = false, all = false, wait = false;  // all: steps that are in sync are sent too
  std::string collected;                         // id of the left run that was understood and may be forgotten
  /// What the controller remembers of the host ends so long ago; nullopt: it remembers nothing, and wants nothing.
  /// Runs that the host did by itself since are sent, and, for drift, what the host knows of who changed something.
  std::optional<std::chrono::microseconds> since;
  std::string host;                       // its name in the controller's inventory, and in its own
  std::chrono::milliseconds deadline{0};  // of verify and drift, from when the order comes; 0: none
};
struct Stop {};
struct Bye {};
using FromController = std::variant<Items, RunOrder, Stop, Bye, Alive>;

std::string encode(const FromAgent& message);
std::string encode(const FromController& message);

/// Errc::unparsable for anything that is not exactly a message: no exception, no deep recursion, no more memory than a
/// small multiple of the payload.
Result<FromAgent> decode_from_agent(std::string_view payload);
/// Items point into `sources`, which gets one entry for each file they come from (without its text).
Result<FromController> decode_from_controller(std::string_view payload, Sources& sources);

/// A left run as a file holds it, and back.
std::string encode(const LeftRun& left);
Result<LeftRun> decode_left_run(std::string_view text);

}  // namespace converge::remote
