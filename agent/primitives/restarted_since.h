// A service restarted when, and only when, its configuration is newer.
#pragma once
#include <map>

#include "primitives/primitive.h"

namespace converge {

/// A service that read its configuration after the configuration last changed. Not installed or stopped: nothing to
/// restart, and said so. When it does not become ready with the new file, the version before (as kept by whoever wrote
/// the file with a backup) is put back, it is restarted once more, and both are reported. Read from the unit's start
/// and the file's mtime: a run that dies between the change and the restart is mended by the next one. No record of the
/// last restart is kept, for it could be lost or be wrong; so a file that was merely touched is told from a changed one
/// only by what the service has made of it (`containerd`), and where that proves nothing the service is restarted. One
/// that is just starting is waited for.
struct RestartedSince {
  std::vector<std::string> units;  // the first that is loaded counts: "k3s.service", "k3s-agent.service"
  AbsPath config;
  /// By unit, a command that exits 0 once it is ready; without one, active is enough.
  std::map<std::string, std::vector<std::string>> ready;
  /// Where k3s keeps its data: a newer file is as good as read if containerd's files there say all it says.
  std::optional<AbsPath> containerd = std::nullopt;
  /// By unit, a command that exits 0 once its node has its place in the cluster again: asked when it is ready.
  std::map<std::string, std::vector<std::string>> joined;
  std::chrono::milliseconds deadline{300'000};
  struct State {
    std::string unit;     // "" if none is installed
    bool managed = true;  // false: neither systemd nor OpenRC runs here
    bool openrc = false;
    std::string active_state;          // "active", "inactive", "failed", "activating" ...
    std::optional<Timestamp> started;  // of its main process (or of becoming active); nullopt: never
    std::uint64_t restarts = 0;        // by systemd itself, NRestarts
    std::optional<Timestamp> changed;  // of the file; nullopt: absent
    bool loaded = false;               // the file is newer than the start, and yet all of it is in effect
    Timestamp now;
  };
  struct Waiting {
    const std::vector<std::string>* question = nullptr;  // of the readiness commands: asked, its answer not judged yet
    bool pausing = false;                                // until `due`
    int successes = 0;                                   // in a row
    std::optional<std::uint64_t> restarts;               // the fewest that were seen
    std::string last = "it did not become active";       // why it is not ready yet
    std::chrono::milliseconds pause{0}, waited{0};
    Timestamp due;
    std::optional<Status> outcome;
  };
  static constexpr bool live_only = true;
};

ResourceId id(const RestartedSince& p);
Result<RestartedSince::State> inspect(const RestartedSince& p, const SystemView& view);
Checks compare(const RestartedSince& p, const RestartedSince::State& state);
Status preflight(const RestartedSince& p, const RestartedSince::State& state, const SystemView& view);
/// begin: asks for the restart. settle: waits until the new process is ready; goes back if it will not be.
Status begin(const RestartedSince& p, const RestartedSince::State& state, System& system);
void go_on(const RestartedSince& p, const RestartedSince::State& state, RestartedSince::Waiting& waiting,
           System& system);
Status settle(const RestartedSince& p, const RestartedSince::State& state, RestartedSince::Waiting& waiting,
              System& system);
Status apply(const RestartedSince& p, const RestartedSince::State& state, System& system);
Wants wants(const RestartedSince& p);
/// The path whose change in the same chain makes a restart necessary: only what runs is restarted.
std::optional<AbsPath> follows(const RestartedSince& p, const RestartedSince::State& state);
}  // namespace converge
