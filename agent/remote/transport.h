// How a program on a node is reached: bytes in, bytes out, and how it ended. ssh_transport.cpp does it over SSH; tests
// and benchmarks have a transport that starts programs on this machine.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace converge::remote {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

/// Where a host is. What is empty is decided by ssh_config(5) and its defaults.
struct Target {
  std::string host;        // its name in the inventory, for messages
  std::string address;     // a name, an alias of ssh_config(5), or an address
  std::uint16_t port = 0;  // 0: not said
  std::string user;
  std::vector<std::string> identity_files;  // tried before those of ssh_config(5)
};

/// What a program wrote, or that it ended.
struct Chunk {
  enum class From { out, err, end } from = From::end;
  std::string bytes;  // never empty unless `from` is end; at most 64 KiB
};

/// How a program ended; neither is set if the other side did not say.
struct Ending {
  std::optional<int> code;
  std::string signal;  // "KILL"
};

/// A program that runs on a node. Destroying it closes its streams; the program itself is told by nothing but that.
class Process {
 public:
  virtual ~Process() = default;
  /// Waits for output. Errc::timeout when the deadline passes (nothing is lost, ask again); Errc::io when the
  /// connection is gone. Once the end was told, it is told again.
  virtual Result<Chunk> read(Deadline deadline) = 0;
  /// Writes all of `bytes` to its standard input. Errc::timeout, or Errc::io when the connection or the program is
  /// gone.
  virtual Status write(std::string_view bytes, Deadline deadline) = 0;
  /// Its standard input ends here.
  virtual Status close_input() = 0;
  /// Known after read() told the end.
  virtual Ending ending() const = 0;
};

struct Traffic {
  std::uint64_t sent = 0, received = 0;  // bytes on the wire, with the transport's own
};

class Connection {
 public:
  virtual ~Connection() = default;
  /// Starts `command`, a line for the login shell of the node's user: words of ours only, never data of a spec.
  virtual Result<std::unique_ptr<Process>> run(const std::string& command, Deadline deadline) = 0;
  virtual Traffic traffic() const = 0;
};

/// Asked now and then by what may take long; true: give up.
using Cancelled = std::function<bool()>;

class Transport {
 public:
  virtual ~Transport() = default;
  /// Reaches a host and proves who it is and who we are. May be called by several threads at once. The error's message
  /// says what a person needs: the name is unknown, nobody listens, the host key is unknown or changed (Errc::refused,
  /// with fingerprint), no key is accepted (Errc::permission), silence (Errc::timeout).
  virtual Result<std::unique_ptr<Connection>> connect(const Target& target, Deadline deadline,
                                                      const Cancelled& cancelled) = 0;
};

}  // namespace converge::remote
