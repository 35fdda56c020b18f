#include "primitives/restarted_since.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"

namespace converge {
namespace {

// Asked often at first, for what starts at once, and then ever less often.
constexpr std::chrono::milliseconds first_pause{20}, longest_pause{500};
constexpr int ready_in_a_row = 3;  // one success may come from the process that is just going away
// A backup is kept right before its file is replaced: one that is older than this was of another change.
constexpr std::chrono::microseconds longest_write = std::chrono::minutes(1);
constexpr std::uint64_t crash_loop = 3;  // restarts by systemd itself that we do not wait beyond

std::optional<std::string> property(const UnitProperties& properties, std::string_view name) {
  const auto it = properties.find(name);
  return it == properties.end() ? std::nullopt : std::optional(it->second);
}

/// A systemd time: microseconds since the epoch; nullopt for "0" (never) and for none.
std::optional<Timestamp> moment(const UnitProperties& properties, std::string_view name) {
  const auto text = property(properties, name);
  std::int64_t micros = 0;
  if (!text || !parse_number(*text, micros) || micros <= 0) return std::nullopt;
  return Timestamp{micros};
}

bool stale(const RestartedSince::State& state) {
  return state.changed && state.started && *state.started <= *state.changed;
}

bool from_the_future(const RestartedSince::State& state) { return state.changed && *state.changed > state.now; }

/// It runs, or it should and cannot: what its configuration says matters now.
bool running(const RestartedSince::State& state) { return state.active_state == "active"; }

Error see_journal(const RestartedSince::State& state, std::string message) {
  return {Errc::command_failed, std::move(message), {}, fmt::format("journalctl -u {} -n 50", state.unit)};
}

std::optional<Error> objection(const RestartedSince& p, const RestartedSince::State& state) {
  if (from_the_future(state))
    return Error{Errc::refused,
                 fmt::format("'{}' was changed at {}, which is still to come: no restart would be later",
                             p.config.str(), state.changed->text()),
                 {},
                 fmt::format("set the clock, then: touch {}", p.config.str())};
  if (state.active_state == "failed" && !stale(state)) {
    Error error = see_journal(state, fmt::format("{} has failed since it read '{}'", state.unit, p.config.str()));
    error.code = Errc::refused;
    return error;
  }
  return std::nullopt;
}

/// Restarts the unit and waits until the new process is ready. `before` is what was seen of the old one.
Status restart(const RestartedSince& p, const RestartedSince::State& before, System& system) {
  // Type=notify without a start timeout may keep a plain restart waiting for ever.
  auto done = system.run({.argv = {"systemctl", "restart", "--no-block", before.unit}});
  if (!done) return std::move(done).error();
  if (done->exit_code != 0) {
    Error error = see_journal(before, fmt::format("systemctl restart {}: {}", before.unit, printable(trim(done->err))));
    error.code = Errc::io;  // it was not even tried
    return error;
  }
  const auto ready = p.ready.find(before.unit);
  int successes = 0;
  std::uint64_t restarts = before.restarts;
  std::string last = "it did not become active";
  std::chrono::milliseconds pause = first_pause;
  for (std::chrono::milliseconds waited{0}; waited < p.deadline; waited += pause) {
    if (waited > first_pause) pause = std::min(pause * 3 / 2, longest_pause);
    auto now = inspect(p, system);
    if (!now) return std::move(now).error();
    const bool anew = now->started && now->started != before.started && !stale(*now);
    if (now->active_state == "failed" && anew)
      return see_journal(before, fmt::format("{} failed to start", before.unit));
    restarts = std::min(restarts, now->restarts);  // a start by hand begins to count anew
    if (now->restarts >= restarts + crash_loop)
      return see_journal(before, fmt::format("{} starts and dies again and again", before.unit));
    if (running(*now) && anew) {
      if (ready == p.ready.end()) return ok();
      auto answer = system.query({.argv = ready->second, .deadline = std::chrono::seconds(15)});
      if (!answer && answer.error().code != Errc::timeout)
        return std::move(answer).error().during(fmt::format("asking whether {} is ready", before.unit));
      const bool good = answer && answer->exit_code == 0;
      successes = good ? successes + 1 : 0;
      if (successes == ready_in_a_row) return ok();
      last = !answer ? answer.error().message : printable(trim(answer->err));
    } else {
      successes = 0;
      last = fmt::format("it is {}", now->active_state);
    }
    system.wait(pause);
  }
  Error error = see_journal(
      before, fmt::format("{} was not ready {} s after its restart: {}", before.unit, p.deadline.count() / 1000, last));
  error.code = Errc::timeout;
  return error;
}

/// The version of the file before the one that `state` saw; nullopt if there is none, or if somebody else has written
/// the file since, so that what we kept is not what was there before.
std::optional<KeptFile> previous_version(const RestartedSince& p, const RestartedSince::State& state,
                                         const SystemView& view) {
  auto kept = view.newest_backup(p.config);
  if (!kept || !*kept || !state.changed) return std::nullopt;
  const std::int64_t apart = state.changed->micros - (*kept)->kept.micros;
  if (apart < 0 || apart > longest_write.count()) return std::nullopt;
  return **kept;
}

/// The service ran with the previous file and does not with this one: puts that back, restarts once, and tells both.
Status go_back(const RestartedSince& p, const RestartedSince::State& state, Error failure, System& system) {
  if (state.active_state != "active") return failure;  // the previous file did not serve either
  const auto kept = previous_version(p, state, system);
  if (!kept) {
    failure.message += fmt::format("; there is no earlier version of '{}' to go back to", p.config.str());
    return failure;
  }
  auto broken = inspect(p, system);
  auto there = system.look(p.config);
  const auto* file = there ? std::get_if<RegularFile>(&*there) : nullptr;
  const std::string by_hand = fmt::format("the version before is '{}': cp {} {} && systemctl restart {}",
                                          kept->at.str(), kept->at.str(), p.config.str(), state.unit);
  if (!broken || file == nullptr || state.changed != file->modified) {
    failure.message += fmt::format("; '{}' was changed in the meantime and is left as it is", p.config.str());
    failure.hint = by_hand;
    return failure;
  }
  const Status back =
      system.write_file(p.config, kept->content,
                        {.mode = file->mode, .owner = file->owner.value_or(root_owner), .replaces = PathState(*file)});
  if (!back) {
    failure.message += fmt::format("; the version before could not be put back: {}", back.error().text());
    failure.hint = by_hand;
    return failure;
  }
  const Status again = restart(p, *broken, system);
  if (again) {
    failure.message +=
        fmt::format("; '{}' was put back as it was before, and {} is ready again", p.config.str(), state.unit);
    failure.hint = fmt::format("journalctl -u {} says why; mend the spec, the next run tries again", state.unit);
  } else {
    failure.message +=
        fmt::format("; '{}' was put back as it was before, and still: {}", p.config.str(), again.error().text());
  }
  return failure;
}

}  // namespace

ResourceId id(const RestartedSince& p) { return fmt::format("restarted:{}", p.units.empty() ? "" : p.units.front()); }

Wants wants(const RestartedSince& p) { return {.queries = {}, .units = p.units}; }

Result<RestartedSince::State> inspect(const RestartedSince& p, const SystemView& view) {
  RestartedSince::State state;
  auto looked = view.look(p.config);
  if (!looked) return std::move(looked).error();
  if (const auto* file = std::get_if<RegularFile>(&*looked)) state.changed = file->modified;
  for (const std::string& unit : p.units) {
    auto properties = view.unit(unit);
    if (!properties && properties.error().code == Errc::unsupported) {
      state.systemd = false;
      break;
    }
    if (!properties) return std::move(properties).error();
    const auto loaded = property(*properties, "LoadState"), active = property(*properties, "ActiveState");
    if (!loaded) return Error{Errc::unparsable, fmt::format("systemd does not say whether {} is loaded", unit), {}, {}};
    if (*loaded != "loaded") continue;
    if (!active) return Error{Errc::unparsable, fmt::format("systemd does not say whether {} is active", unit), {}, {}};
    state.unit = unit;
    state.active_state = *active;
    state.started = moment(*properties, "ExecMainStartTimestamp");
    if (!state.started) state.started = moment(*properties, "ActiveEnterTimestamp");
    if (const auto count = property(*properties, "NRestarts")) (void)parse_number(*count, state.restarts);
    break;
  }
  state.now = view.now();
  return state;
}

Checks compare(const RestartedSince& p, const RestartedSince::State& state) {
  const auto& [units, config, ready, deadline] = p;
  (void)ready, (void)deadline;  // how apply waits
  const auto& [unit, systemd, active_state, started, restarts, changed, now] = state;
  (void)restarts, (void)now;
  const std::string what = fmt::format("after '{}' changed", config.str());
  if (!systemd) return {check_skipped("started", what, "systemd is not what runs here: restart the service yourself")};
  const auto nothing_to_do = [&](std::string why) {
    Check check = check_that("started", true, what, what);
    check.detail = std::move(why);
    return Checks{std::move(check)};
  };
  if (unit.empty())
    return nothing_to_do(fmt::format("{} is not installed here: the file is read at its first start",
                                     units.empty() ? "the service" : units.front()));
  if (!changed) return nothing_to_do("there is no such file");
  if (active_state == "inactive")
    return nothing_to_do(fmt::format("{} is stopped: it reads the file at its next start", unit));

  Checks checks;
  if (active_state == "failed")
    checks.push_back(check_equal("state", "active", "failed"));
  else if (!running(state))
    return {check_unknown("state", "active", fmt::format("{} is {}", unit, active_state))};
  if (!started)
    checks.push_back(check_unknown("started", what, fmt::format("systemd does not say when {} started", unit)));
  else
    checks.push_back(
        check_that("started", !stale(state) && !from_the_future(state), "after " + changed->text(), started->text()));
  if (from_the_future(state)) checks.back().detail = "the file's time of change is still to come";
  return checks;
}

Status preflight(const RestartedSince& p, const RestartedSince::State& state, const SystemView& view) {
  (void)view;
  if (auto error = objection(p, state)) return std::move(*error);
  return ok();
}

Status apply(const RestartedSince& p, const RestartedSince::State& state, System& system) {
  if (auto error = objection(p, state)) return std::move(*error);
  if (state.unit.empty() || !stale(state) || state.active_state == "inactive") return ok();
  Status done = restart(p, state, system);
  if (done) return done;
  // Only these say that the service cannot live with its file; that it could not be asked says nothing.
  const Errc code = done.error().code;
  if (code != Errc::command_failed && code != Errc::timeout) return done;
  return go_back(p, state, std::move(done).error(), system);
}

}  // namespace converge
