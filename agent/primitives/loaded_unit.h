// A unit as systemd has loaded it.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// What the service manager has loaded for a unit: our drop-in is among what it read, and the properties have our
/// values. apply is a daemon-reload, done only when one of these fails: also when a run died between the write and the
/// reload.
struct LoadedUnit {
  struct Property {
    std::string name;         // as systemd answers it: "MemoryMax", "CPUQuotaPerSecUSec"
    std::string value;        // "1572864000", or "infinity"
    std::uint64_t slack = 0;  // a number this near is as good: a percentage of memory is rounded to pages
    std::string directive;    // as a drop-in assigns it; empty: the same word as `name`
    std::string written;      // what our drop-in assigns: "1500M"; another file with the same is no obstacle
  };
  std::string unit;  // "user-1000.slice"
  AbsPath drop_in;
  std::vector<Property> properties;
  bool whole = false;   // `drop_in` is the unit's own file, and `properties` do not count
  bool absent = false;  // systemd must not have the drop-in loaded any more; `properties` do not count
  /// loaded: as above. room: only asked before the drop-in is written, because any reload would put it into force: what
  /// the slice uses now is within each MemoryMax and TasksMax of `properties` that is not loaded yet. The kernel would
  /// make room by killing. Never acts.
  enum class Ask { loaded, room } ask = Ask::loaded;
  struct Assignment {
    std::string value, where;  // "2G", "/etc/systemd/system/user-.slice.d/zz.conf:2"
  };
  struct State {
    UnitProperties properties;
    /// Of the drop-ins on disk but ours, whatever systemd has loaded: a directory that is new since the last reload is
    /// not noticed by it, and counts at the next boot. directive: the last assignment read before ours, or after it.
    std::map<std::string, Assignment, std::less<>> before, after;
    std::string hidden_by;  // a file of the same name in a directory that is looked at first; ours is not read then
    std::map<std::string, std::uint64_t, std::less<>> in_use;  // "MemoryMax": bytes, while the slice runs
  };
  struct Waiting {};
  static constexpr bool live_only = true;
  static constexpr bool reloads = true;
};

ResourceId id(const LoadedUnit& p);
Result<LoadedUnit::State> inspect(const LoadedUnit& p, const SystemView& view);
Checks compare(const LoadedUnit& p, const LoadedUnit::State& state);
Status preflight(const LoadedUnit& p, const LoadedUnit::State& state, const SystemView& view);
/// begin: asks for the daemon-reload. settle: waits for it.
Status begin(const LoadedUnit& p, const LoadedUnit::State& state, System& system);
Status settle(const LoadedUnit& p, const LoadedUnit::State& state, LoadedUnit::Waiting& waiting, System& system);
Status apply(const LoadedUnit& p, const LoadedUnit::State& state, System& system);
Wants wants(const LoadedUnit& p);
/// The drop-in: a unit that nothing keeps loaded is read anew when it is asked for, and needs no daemon-reload.
std::optional<AbsPath> follows(const LoadedUnit& p, const LoadedUnit::State& state);
}  // namespace converge
