#include "undo/undo.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "core/text.h"
#include "primitives/swap.h"
#include "undo/look.h"

namespace converge::undo {
namespace {

using About = Record::About;
using Kind = State::Kind;

constexpr auto swap_off_deadline = std::chrono::minutes(10);
constexpr auto unit_deadline = std::chrono::minutes(5);

/// One subject, looked at: what it is, what it is to be again.
struct Job {
  const Subject* subject;
  State now, goal;
  Step step;  // in_sync: nothing to do; out_of_sync: to be put back; else why not
};

std::string owner_text(const std::optional<Owner>& owner) {
  return owner ? fmt::format("{}:{}", owner->uid, owner->gid) : std::string("unknown");
}

std::string id_of(const Subject& subject, const State& now, const State& goal) {
  if (subject.about == About::unit) return "service:" + subject.name;
  if (subject.about == About::kernel) {
    constexpr std::string_view below = "/proc/sys/";
    std::string key = subject.name.starts_with(below) ? subject.name.substr(below.size()) : subject.name;
    std::replace(key.begin(), key.end(), '/', '.');
    return "sysctl:" + key;
  }
  const State& thing = goal.kind == Kind::absent ? now : goal;
  const std::string kind = thing.kind == Kind::swap ? "swap" : thing.kind == Kind::absent ? "file" : kind_of(thing);
  return kind + ":" + subject.name;
}

void add_difference(Checks& checks, const char* property, const std::string& expected, const std::string& actual) {
  if (expected != actual) checks.push_back(check_equal(property, expected, actual));
}

/// What is different, property by property.
Checks compare(const State& now, const State& goal) {
  Checks checks;
  add_difference(checks, "kind", kind_of(goal), kind_of(now));
  if (now.kind != goal.kind) return checks;
  const auto attributes = [&] {
    add_difference(checks, "mode", goal.mode.text(), now.mode.text());
    if (now.owner && goal.owner) add_difference(checks, "owner", owner_text(goal.owner), owner_text(now.owner));
  };
  const char* no = "no";
  const char* yes = "yes";
  switch (goal.kind) {
    case Kind::absent:
      break;
    case Kind::file:
      if (!now.digest.empty() && !goal.digest.empty() && now.digest != goal.digest)
        checks.push_back(
            check_equal("content", goal.size.text(), now.size.text() + (now.size == goal.size ? ", other bytes" : "")));
      attributes();
      break;
    case Kind::directory:
      attributes();
      break;
    case Kind::symlink:
    case Kind::other:
      add_difference(checks, "target", goal.text, now.text);
      break;
    case Kind::swap:
      add_difference(checks, "size", goal.size.text(), now.size.text());
      if (now.size == goal.size) add_difference(checks, "uuid", goal.uuid, now.uuid);
      add_difference(checks, "active", goal.on ? yes : no, now.on ? yes : no);
      attributes();
      break;
    case Kind::value:
      add_difference(checks, "running", goal.text, now.text);
      break;
    case Kind::unit:
      add_difference(checks, "running", goal.on ? yes : no, now.on ? yes : no);
      add_difference(checks, "enabled", goal.text, now.text);
      break;
  }
  return checks;
}

Result<State> state_of(const Subject& subject, const SystemView& view) {
  if (subject.about == About::unit) return unit_state(view, subject.name);
  if (subject.about == About::kernel) return kernel_state(view, AbsPath(subject.name));
  return path_state(view, {AbsPath(subject.name), subject.as});
}

/// All the jobs of a journal, in the order of putting back, and what is left.
class Examination {
 public:
  Examination(const Journal& journal, const std::vector<Journal>& later, const SystemView& view)
      : journal_(journal), later_(later), view_(view) {
    for (auto subject = journal.subjects.rbegin(); subject != journal.subjects.rend(); ++subject) look_at(*subject);
    for (Job& job : jobs_) check_directory(job);
    for (const std::string& remark : journal.remarks) left_.push_back(remark);
    if (!journal.ended) left_.emplace_back("what the run did last, if that is not on record: it was cut off");
  }

  std::vector<Job>& jobs() { return jobs_; }
  std::vector<std::string>& left() { return left_; }

 private:
  void look_at(const Subject& subject) {
    Job job{.subject = &subject, .now = {}, .goal = subject.before, .step = {}};
    if (subject.as && job.goal.owner && job.goal.owner->uid != subject.as->uid) {
      left_.push_back(fmt::format("the owner of '{}', which was {}", subject.name, owner_text(job.goal.owner)));
      job.goal.owner = Owner{subject.as->uid, subject.as->gid};
    }
    job.step.id = id_of(subject, job.goal, job.goal);
    auto now = subject.as ? with_their_rights(subject) : state_of(subject, view_);
    if (!now) {
      job.step.outcome = now.error().code == Errc::refused ? Outcome::failed : Outcome::unknown;
      job.step.error = std::move(now).error();
    } else {
      job.now = *std::move(now);
      if (subject.about == About::unit) leave_what_was_not_touched(job);
      job.step.id = id_of(subject, job.now, job.goal);
      judge(job);
    }
    jobs_.push_back(std::move(job));
  }

  /// The user may be another one by now, of the same name.
  Result<State> with_their_rights(const Subject& subject) const {
    const auto there = view_.user(subject.as->name);
    if (!there) return there.error();
    if (!*there || **there != *subject.as)
      return Error{Errc::refused,
                   fmt::format("the user '{}' is no longer who they were at the run", printable(subject.as->name)),
                   {},
                   {}};
    return state_of(subject, view_);
  }

  /// Of a unit only what the run changed counts.
  static void leave_what_was_not_touched(Job& job) {
    const State& before = job.subject->before;
    const auto& made = job.subject->made;
    if (std::all_of(made.begin(), made.end(), [&](const State& each) { return each.text == before.text; }))
      job.goal.text = job.now.text;
    if (std::all_of(made.begin(), made.end(), [&](const State& each) { return each.on == before.on; }))
      job.goal.on = job.now.on;
    // A unit that is gone is as good as disabled: its file was put back first by an undo that was cut off.
    if (job.now.text.empty() && !job.now.on && !job.goal.on && job.goal.text == "disabled") job.goal.text.clear();
  }

  bool the_run_made(const Job& job) const {
    const auto& made = job.subject->made;
    return std::any_of(made.begin(), made.end(), [&](const State& each) {
      if (job.subject->about != About::unit) return same(each, job.now);
      return each.text == job.now.text || job.goal.text == job.now.text;  // running or not: both are the run's
    });
  }

  void judge(Job& job) {
    const Subject& subject = *job.subject;
    if (same(job.now, job.goal)) {
      job.step.outcome = Outcome::in_sync;
      return;
    }
    if (!the_run_made(job) && subject.open) {
      left_.push_back(fmt::format("'{}', which was being changed when the run was cut off", subject.name));
      job.step.outcome = Outcome::in_sync;
      return;
    }
    job.step.checks = compare(job.now, job.goal);
    if (!the_run_made(job)) return refuse(job, fmt::format("'{}' was changed since by somebody else", subject.name));
    if (const std::string why = why_not(job); !why.empty()) {
      left_.push_back(why);
      job.step.checks.clear();
      job.step.outcome = Outcome::in_sync;
      return;
    }
    job.step.outcome = Outcome::out_of_sync;
    if (job.now.kind == Kind::swap && job.now.on &&
        !(job.goal.kind == Kind::swap && job.goal.uuid == job.now.uuid && job.goal.on))
      if (auto may = may_be_turned_off(AbsPath(subject.name)); !may) {
        job.step.outcome = Outcome::failed;
        job.step.error = std::move(may).error();
      }
  }

  void refuse(Job& job, std::string message) const {
    std::string hint = "put it back as the run left it, or put all of it back by hand";
    for (const Journal& each : later_)
      if (std::any_of(each.subjects.begin(), each.subjects.end(), [&](const Subject& its) {
            return its.about == job.subject->about && its.name == job.subject->name;
          })) {
        message = fmt::format("'{}' was changed since by run {}", job.subject->name, each.head.uid.substr(0, 8));
        hint = fmt::format("undo that one first: converge undo {}", each.head.uid.substr(0, 8));
        break;
      }
    job.step.outcome = Outcome::failed;
    job.step.error = Error{Errc::refused, std::move(message), {}, std::move(hint)};
  }

  /// Why it cannot be put back, though nobody else changed it; "" if it can.
  static std::string why_not(const Job& job) {
    const std::string& name = job.subject->name;
    const State& goal = job.goal;
    if (goal.kind == Kind::other) return fmt::format("'{}', which was a {}", name, goal.text);
    const bool bytes_stay = job.now.kind == Kind::file && (goal.digest.empty() || job.now.digest == goal.digest);
    if (goal.kind == Kind::file && !bytes_stay && !goal.content)
      return fmt::format("'{}': what was in it was too long to be kept", name);
    if (goal.kind == Kind::unit && goal.text != job.now.text && goal.text != "enabled" && goal.text != "disabled")
      return fmt::format("'{}', which was '{}' at boot", name, goal.text);
    return {};
  }

  Status may_be_turned_off(const AbsPath& path) const {
    auto table = view_.read(AbsPath("/proc/swaps"), 1_MiB);
    if (!table) return std::move(table).error();
    const auto areas = parse_proc_swaps(table->content);
    if (!areas) return areas.error();
    const auto look = view_.look_swap(path);
    if (!look) return look.error();
    const auto* area = own_area(*areas, path, *look, view_.page_size());
    return area == nullptr ? ok() : may_swap_off(area->used, view_);
  }

  /// A directory that goes must hold nothing but what goes before it.
  void check_directory(Job& job) const {
    if (job.step.outcome != Outcome::out_of_sync || job.now.kind != Kind::directory || job.goal.kind == Kind::directory)
      return;
    const AbsPath path(job.subject->name);
    const auto names = view_.list({path, job.subject->as});
    if (!names) {
      job.step.outcome = Outcome::unknown;
      job.step.error = names.error();
      return;
    }
    for (const std::string& name : names->value_or(std::vector<std::string>())) {
      const bool goes = std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& other) {
        return other.subject->about == About::path && other.subject->name == path.child(name).str() &&
               other.goal.kind == Kind::absent;
      });
      if (!goes)
        return refuse(job, fmt::format("'{}' holds '{}', which is not the run's", path.str(), printable(name)));
    }
  }

  const Journal& journal_;
  const std::vector<Journal>& later_;
  const SystemView& view_;
  std::vector<Job> jobs_;
  std::vector<std::string> left_;
};

class Undoing {
 public:
  explicit Undoing(System& system) : system_(system) {}

  Status put_back(const Job& job) {
    const Subject& subject = *job.subject;
    if (subject.about == About::kernel) return system_.write_kernel(AbsPath(subject.name), job.goal.text);
    if (subject.about == About::unit) return put_back_unit(job);
    files_changed_ = true;
    const Place place(AbsPath(subject.name), subject.as);
    return job.now.kind == Kind::swap || job.goal.kind == Kind::swap ? put_back_swap(place.path, job)
                                                                     : put_back_path(place, job);
  }

  /// Has systemd read its units again, if the run had it do so or they have changed under it.
  Status reload() {
    files_changed_ = false;
    return run({.argv = {"systemctl", "daemon-reload"}});
  }

 private:
  Status run(const Command& command) {
    const auto done = system_.run(command);
    if (!done) return done.error();
    if (done->exit_code == 0) return ok();
    const std::string_view words = trim(done->err);
    return Error{Errc::command_failed,
                 fmt::format("'{}' ended with status {}{}", command.text(), done->exit_code,
                             words.empty() ? "" : ": " + printable(words.substr(0, words.find('\n')))),
                 {},
                 {}};
  }

  Status put_back_unit(const Job& job) {
    const std::string& name = job.subject->name;
    const auto openrc = system_.look(AbsPath("/run/openrc/softlevel"));
    if (!openrc) return openrc.error();
    const bool systemd = std::holds_alternative<Absent>(*openrc);
    const auto to = [&](const char* verb) {
      return run({.argv = systemd ? std::vector<std::string>{"systemctl", verb, name}
                                  : std::vector<std::string>{"rc-service", name, verb},
                  .deadline = unit_deadline});
    };
    if (systemd && files_changed_)
      if (Status done = reload(); !done) return done;
    if (job.now.on && !job.goal.on)
      if (Status done = to("stop"); !done) return done;
    if (job.now.text != job.goal.text)
      if (Status done = to(job.goal.text == "enabled" ? "enable" : "disable"); !done) return done;
    return job.now.on || !job.goal.on ? ok() : to("start");
  }

  Status put_back_swap(const AbsPath& path, const Job& job) {
    const State& goal = job.goal;
    const bool same_area =
        job.now.kind == Kind::swap && goal.kind == Kind::swap && job.now.uuid == goal.uuid && job.now.size == goal.size;
    bool on = job.now.on;
    if (on && !(same_area && goal.on)) {
      if (Status done = system_.swap_off(path, swap_off_deadline); !done) return done;
      on = false;
    }
    if (goal.kind != Kind::swap || !same_area)
      if (Status done = system_.remove(path); !done) return done;
    if (goal.kind != Kind::swap) {
      Job rest = job;
      rest.now = State{};
      return goal.kind == Kind::absent ? ok() : put_back_path(path, rest);
    }
    if (!same_area)
      if (Status done = system_.make_swap_file({path, goal.size, goal.uuid}); !done) return done;
    if (const Mode made{0600};
        goal.mode != (same_area ? job.now.mode : made) || goal.owner.value_or(root_owner) != root_owner)
      if (Status done = system_.set_attributes(path, goal.mode, goal.owner.value_or(root_owner)); !done) return done;
    if (!goal.on || on) return ok();
    const bool chosen = goal.priority && *goal.priority >= 0;  // the kernel gives negative ones by itself
    return system_.swap_on(path, chosen ? goal.priority : std::nullopt);
  }

  Status put_back_path(const Place& place, const Job& job) {
    const State& goal = job.goal;
    const Owner owner = goal.owner.value_or(root_owner);
    const auto there = system_.look(place);
    if (!there) return there.error();
    if (const auto now = path_state(system_, place); !now || !same(*now, job.now))
      return now ? Error{Errc::changed, fmt::format("'{}' was changed just now", place.path.str()), {}, {}}
                 : now.error();
    const bool stays = job.now.kind == goal.kind;
    if (stays && (goal.kind == Kind::directory ||
                  (goal.kind == Kind::file && (goal.digest.empty() || goal.digest == job.now.digest))))
      return system_.set_attributes(place, goal.mode, owner);
    if (!stays && job.now.kind != Kind::absent)
      if (Status done = system_.remove(place); !done) return done;
    if (goal.kind == Kind::directory) return system_.make_directory(place, goal.mode, owner);
    if (goal.kind == Kind::symlink) return system_.make_symlink(place, goal.text);
    if (goal.kind != Kind::file || !goal.content) return ok();
    return system_.write_file(place, *goal.content,
                              {.mode = goal.mode, .owner = owner, .replaces = stays ? *there : PathState{Absent{}}});
  }

  System& system_;
  bool files_changed_ = false;  // since systemd read its units
};

std::vector<Step> only_those_that_keep_us(std::vector<Job>& jobs) {
  std::vector<Step> out;
  for (Job& job : jobs)
    if (job.step.outcome > Outcome::out_of_sync) out.push_back(std::move(job.step));
  return out;
}

void tell(Step step, Undone& out, Observer& observer) {
  step.item = "undo";
  out.tally.add(step.outcome);
  observer.step(step);
}

}  // namespace

Undone plan(const Journal& journal, const std::vector<Journal>& later, const SystemView& view, Observer& observer) {
  Examination found(journal, later, view);
  Undone out;
  for (Job& job : found.jobs()) tell(std::move(job.step), out, observer);
  out.left = std::move(found.left());
  return out;
}

Undone undo(const Journal& journal, const std::vector<Journal>& later, System& system, Observer& observer) {
  Examination found(journal, later, system);
  Undone out;
  out.left = std::move(found.left());
  if (auto steps = only_those_that_keep_us(found.jobs()); !steps.empty()) {
    for (Step& step : steps) tell(std::move(step), out, observer);
    return out;
  }
  Undoing undoing(system);
  std::string stopped_by;
  for (Job& job : found.jobs()) {
    Step step = std::move(job.step);
    if (step.outcome == Outcome::out_of_sync && !stopped_by.empty()) {
      step.outcome = Outcome::blocked;
      step.note = stopped_by + " failed";
    } else if (step.outcome == Outcome::out_of_sync) {
      observer.begins("undo", step.id);
      const auto start = std::chrono::steady_clock::now();
      Status done = undoing.put_back(job);
      auto now = done ? state_of(*job.subject, system) : Result<State>(done.error());
      if (now && !same(*now, job.goal)) now = Error{Errc::io, "it was put back, and is still not as it was", {}, {}};
      step.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
      step.outcome = now ? Outcome::changed : Outcome::failed;
      if (!now) {
        step.error = std::move(now).error().during("putting back " + step.id);
        stopped_by = step.id;
      }
    }
    tell(std::move(step), out, observer);
  }
  if (journal.reloads && stopped_by.empty()) {
    if (Status done = undoing.reload(); !done) {
      Step step{.id = "reloaded:systemd", .outcome = Outcome::failed, .error = std::move(done).error()};
      tell(std::move(step), out, observer);
    }
  }
  return out;
}

}  // namespace converge::undo
