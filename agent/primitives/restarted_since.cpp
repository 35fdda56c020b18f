#include "primitives/restarted_since.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "primitives/probe_containerd.h"
#include "primitives/service_look.h"

namespace converge {
namespace {

// Asked often at first, for what starts at once, and then ever less often; often again once it answers.
constexpr std::chrono::milliseconds first_pause{2}, longest_pause{500};
constexpr int ready_in_a_row = 3;  // one success may come from the process that is just going away
// A backup is kept right before its file is replaced: one that is older than this was of another change.
constexpr std::chrono::microseconds longest_write = std::chrono::minutes(1);
constexpr std::uint64_t crash_loop = 3;  // restarts by systemd itself that we do not wait beyond

bool stale(const RestartedSince::State& state) {
  return state.changed && state.started && *state.started <= *state.changed;
}

/// The file may say what the service has not read.
bool unread(const RestartedSince::State& state) { return stale(state) && !state.loaded; }

bool from_the_future(const RestartedSince::State& state) { return state.changed && *state.changed > state.now; }

/// It runs, or it should and cannot: what its configuration says matters now.
bool running(const RestartedSince::State& state) { return state.active_state == "active"; }

bool needs_restart(const RestartedSince::State& state) {
  return !state.unit.empty() && unread(state) && state.active_state != "inactive";
}

bool is_starting(const RestartedSince::State& state) { return state.active_state == "activating"; }

bool is_waited_for(const RestartedSince::State& state) { return needs_restart(state) || is_starting(state); }

Error see_journal(const RestartedSince::State& state, std::string message) {
  std::string where = state.openrc ? fmt::format("look at /var/log/{}.log", openrc_name(state.unit))
                                   : fmt::format("journalctl -u {} -n 50", state.unit);
  return {Errc::command_failed, std::move(message), {}, std::move(where)};
}

std::optional<Error> objection(const RestartedSince& p, const RestartedSince::State& state) {
  if (from_the_future(state) && !state.loaded)
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

Status ask_for_restart(const RestartedSince::State& before, System& system) {
  // Type=notify without a start timeout may keep a plain restart waiting for ever.
  Command command{.argv = {"systemctl", "restart", "--no-block", before.unit}};
  if (before.openrc)
    command = {.argv = {"rc-service", openrc_name(before.unit), "restart"}, .deadline = std::chrono::minutes(2)};
  auto done = system.run(command);
  if (!done) return std::move(done).error();
  if (done->exit_code != 0) {
    Error error = see_journal(before, fmt::format("{}: {}", command.text(), printable(trim(done->err))));
    error.code = Errc::io;  // it was not even tried
    return error;
  }
  return ok();
}

/// A readiness command. Whether a service is ready is nothing that a user without root's rights decides.
Command question_of(const std::vector<std::string>& argv) {
  return {.argv = argv, .deadline = std::chrono::seconds(15), .rests_on_root_alone = true};
}

void ask(const std::vector<std::string>& argv, RestartedSince::Waiting& waiting, System& system) {
  system.wait(std::chrono::milliseconds(0));  // what was answered before does not count again
  waiting.question = &argv;
  system.expect({question_of(argv)}, {});
}

void rest(RestartedSince::Waiting& waiting, const System& system) {
  const bool on_the_way = waiting.successes > 0 && waiting.successes < ready_in_a_row;
  waiting.pause =
      on_the_way || waiting.pause.count() == 0 ? first_pause : std::min(waiting.pause * 3 / 2, longest_pause);
  waiting.due = Timestamp{system.now().micros + std::chrono::microseconds(waiting.pause).count()};
  waiting.pausing = true;
}

/// Looks at the unit, and asks whether it is ready if the new process runs. `before` is what was seen of the old one.
void look(const RestartedSince& p, const RestartedSince::State& before, RestartedSince::Waiting& waiting,
          System& system) {
  system.wait(std::chrono::milliseconds(0));
  auto now = inspect(p, system);
  if (!now) {
    waiting.outcome = std::move(now).error();
    return;
  }
  const bool anew = now->started && !unread(*now) && !(needs_restart(before) && now->started == before.started);
  waiting.restarts = std::min(waiting.restarts.value_or(before.restarts), now->restarts);  // one by hand counts anew
  if (now->active_state == "failed" && anew) {
    waiting.outcome = see_journal(before, fmt::format("{} failed to start", before.unit));
  } else if (now->restarts >= *waiting.restarts + crash_loop) {
    waiting.outcome = see_journal(before, fmt::format("{} starts and dies again and again", before.unit));
  } else if (!running(*now) || !anew) {
    waiting.successes = 0;
    waiting.last = fmt::format("it is {}", now->active_state);
    rest(waiting, system);
  } else if (const auto ready = p.ready.find(before.unit); ready == p.ready.end()) {
    waiting.outcome = ok();
  } else {
    ask(ready->second, waiting, system);
  }
}

/// Takes the answer to what was asked. The node is asked when the service has answered well often enough.
void judge(const RestartedSince& p, const RestartedSince::State& before, RestartedSince::Waiting& waiting,
           System& system) {
  const auto joined = p.joined.find(before.unit);
  const auto& question = *std::exchange(waiting.question, nullptr);
  const bool of_node = joined != p.joined.end() && &question == &joined->second;
  auto answer = system.query(question_of(question));
  if (!answer && answer.error().code != Errc::timeout) {
    waiting.outcome = std::move(answer).error().during(
        fmt::format("asking whether {}{} is ready", of_node ? "the node of " : "", before.unit));
    return;
  }
  const bool good = answer && answer->exit_code == 0;
  if (!good) waiting.last = answer ? printable(trim(answer->err)) : answer.error().message;
  if (!of_node) waiting.successes = good ? waiting.successes + 1 : 0;
  if (!good || waiting.successes < ready_in_a_row) {
    rest(waiting, system);
  } else if (of_node || joined == p.joined.end()) {
    waiting.outcome = ok();
  } else {
    ask(joined->second, waiting, system);
  }
}

/// The pause is over. While the service answers well there is no need to look at its unit too.
void next(const RestartedSince& p, const RestartedSince::State& before, RestartedSince::Waiting& waiting,
          System& system) {
  waiting.pausing = false;
  waiting.waited += waiting.pause;
  if (waiting.successes > 0 && waiting.successes < ready_in_a_row)
    ask(p.ready.find(before.unit)->second, waiting, system);
  else
    look(p, before, waiting, system);
}

/// Waits until the new process is ready, or the one that was starting, and its node with it.
Status wait_until_ready(const RestartedSince& p, const RestartedSince::State& before, RestartedSince::Waiting& waiting,
                        System& system) {
  while (!waiting.outcome) {
    if (waiting.question != nullptr) {
      judge(p, before, waiting, system);
    } else if (!waiting.pausing) {
      look(p, before, waiting, system);
    } else if (waiting.waited + waiting.pause >= p.deadline) {
      Error error =
          see_journal(before, fmt::format("{} was not ready {} s {}: {}", before.unit, p.deadline.count() / 1000,
                                          needs_restart(before) ? "after its restart" : "later", waiting.last));
      error.code = Errc::timeout;
      waiting.outcome = std::move(error);
    } else {
      const std::chrono::microseconds left(waiting.due.micros - system.now().micros);
      system.wait(
          std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0), waiting.pause));
      next(p, before, waiting, system);
    }
  }
  return *waiting.outcome;
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
  const std::string by_hand =
      fmt::format("the version before is '{}': cp {} {} && {}", kept->at.str(), kept->at.str(), p.config.str(),
                  state.openrc ? fmt::format("rc-service {} restart", openrc_name(state.unit))
                               : fmt::format("systemctl restart {}", state.unit));
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
  Status again = ask_for_restart(*broken, system);
  RestartedSince::Waiting waiting;
  if (again) again = wait_until_ready(p, *broken, waiting, system);
  if (again) {
    failure.message +=
        fmt::format("; '{}' was put back as it was before, and {} is ready again", p.config.str(), state.unit);
    failure.hint = fmt::format("{} says why; mend the spec, the next run tries again",
                               state.openrc ? fmt::format("/var/log/{}.log", openrc_name(state.unit))
                                            : fmt::format("journalctl -u {}", state.unit));
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
    auto look = look_at_service(view, unit);
    if (!look) return std::move(look).error();
    state.managed = look->manager != ServiceLook::Manager::none;
    state.openrc = look->manager == ServiceLook::Manager::openrc;
    // The first that is installed, unless another one runs.
    if (!look->installed || (!state.unit.empty() && look->state == "inactive")) continue;
    state.unit = unit;
    state.active_state = look->state;
    state.started = look->started;
    state.restarts = look->restarts;
    if (look->state != "inactive") break;
  }
  state.now = view.now();
  if (p.containerd && !state.unit.empty() && (stale(state) || from_the_future(state))) {
    auto loaded = containerd_has_all_of(view, p.config, *p.containerd);
    if (!loaded) return std::move(loaded).error();
    state.loaded = *loaded;
  }
  return state;
}

Checks compare(const RestartedSince& p, const RestartedSince::State& state) {
  const auto& [units, config, ready, containerd, joined, deadline] = p;
  (void)ready, (void)joined, (void)deadline;  // how apply waits
  (void)containerd;                           // for inspect
  const auto& [unit, managed, openrc, active_state, started, restarts, changed, loaded, now] = state;
  (void)restarts, (void)now;
  const std::string what = fmt::format("after '{}' changed", config.str());
  if (!managed)
    return {check_skipped("started", what, "neither systemd nor OpenRC runs here: restart the service yourself")};
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
  if (active_state == "failed" || is_starting(state))
    checks.push_back(check_equal("state", "active", active_state));
  else if (!running(state))
    return {check_unknown("state", "active", fmt::format("{} is {}", unit, active_state))};
  if (!started)
    checks.push_back(check_unknown(
        "started", what, fmt::format("{} does not say when {} started", openrc ? "OpenRC" : "systemd", unit)));
  else
    checks.push_back(check_that("started", loaded || (!stale(state) && !from_the_future(state)),
                                "after " + changed->text(), started->text()));
  if (loaded)
    checks.back().detail = "the file is newer, and containerd has all it says";
  else if (from_the_future(state))
    checks.back().detail = "the file's time of change is still to come";
  return checks;
}

Status preflight(const RestartedSince& p, const RestartedSince::State& state, const SystemView& view) {
  (void)view;
  if (auto error = objection(p, state)) return std::move(*error);
  return ok();
}

std::optional<AbsPath> follows(const RestartedSince& p, const RestartedSince::State& state) {
  if (state.unit.empty() || state.active_state == "inactive") return std::nullopt;
  return p.config;
}

Status begin(const RestartedSince& p, const RestartedSince::State& state, System& system) {
  if (auto error = objection(p, state)) return std::move(*error);
  return needs_restart(state) ? ask_for_restart(state, system) : ok();
}

void go_on(const RestartedSince& p, const RestartedSince::State& state, RestartedSince::Waiting& waiting,
           System& system) {
  if (!is_waited_for(state) || waiting.outcome) return;
  if (waiting.question != nullptr) {
    if (system.answered(question_of(*waiting.question))) judge(p, state, waiting, system);
  } else if (!waiting.pausing) {
    rest(waiting, system);  // the service manager has just begun
  } else if (system.now() >= waiting.due) {
    next(p, state, waiting, system);
  }
}

Status settle(const RestartedSince& p, const RestartedSince::State& state, RestartedSince::Waiting& waiting,
              System& system) {
  if (!is_waited_for(state)) return ok();
  Status done = wait_until_ready(p, state, waiting, system);
  if (done) return done;
  // Only these say that the service cannot live with its file; that it could not be asked says nothing.
  const Errc code = done.error().code;
  if (code != Errc::command_failed && code != Errc::timeout) return done;
  return go_back(p, state, std::move(done).error(), system);
}

Status apply(const RestartedSince& p, const RestartedSince::State& state, System& system) {
  return begin_and_settle(p, state, system);
}

}  // namespace converge
