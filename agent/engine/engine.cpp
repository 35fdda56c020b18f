#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace converge {
namespace {

constexpr std::array verbs{std::pair{Verb::plan, "plan"}, std::pair{Verb::verify, "verify"},
                           std::pair{Verb::drift, "drift"}, std::pair{Verb::apply, "apply"},
                           std::pair{Verb::undo, "undo"}};

using Clock = std::chrono::steady_clock;

/// What `resource` will ask, added to `wants`.
void gather(const Resource& resource, const SystemView& view, Wants& wants) {
  Wants more = wants_of(resource, view);
  std::move(more.queries.begin(), more.queries.end(), std::back_inserter(wants.queries));
  std::move(more.units.begin(), more.units.end(), std::back_inserter(wants.units));
}

void announce(const Wants& wants, const SystemView& view) {
  if (!wants.queries.empty() || !wants.units.empty()) view.expect(wants.queries, wants.units);
}

template <class T>
void leave_out(std::vector<T>& these, const std::vector<T>& those) {
  std::erase_if(these, [&](const T& each) { return std::find(those.begin(), those.end(), each) != those.end(); });
}

/// True if something that changes the host may need what items before this one have set going.
bool acts_through_services(const Work& item) {
  const auto& chain = item.rendered.chain;
  return item.skipped.empty() && std::any_of(chain.begin(), chain.end(), [](const Declared& declared) {
           return !is_probe(declared.resource) && rests_on_services(declared.resource);
         });
}

/// The number of items up to the last one that may act with root's rights.
std::size_t items_of_root(const std::vector<Work>& work) {
  const auto last = std::find_if(work.rbegin(), work.rend(), [](const Work& item) {
    const auto& chain = item.rendered.chain;
    return item.skipped.empty() && std::any_of(chain.begin(), chain.end(), [](const Declared& declared) {
             return acts_as_root(declared.resource);
           });
  });
  return static_cast<std::size_t>(work.rend() - last);
}

/// Everything that will be asked, announced at once so that it can be asked together.
void announce(const std::vector<Work>& work, const SystemView& view, bool deep) {
  Wants wants;
  for (const Work& item : work) {
    if (!item.skipped.empty()) continue;
    for (const Declared& declared : item.rendered.chain)
      if (deep || !is_deep(declared.resource)) gather(declared.resource, view, wants);
  }
  announce(wants, view);
}

bool stops_a_chain(Outcome outcome) { return outcome >= Outcome::blocked; }

/// What has happened in a chain so far.
struct ChainState {
  bool changes = false;          // something was changed, or would be
  std::vector<std::string> ids;  // of what changed, or would, in more than mode and owner
  void note(const Step& step) {
    changes = true;
    const bool rewritten = std::any_of(step.checks.begin(), step.checks.end(), [](const Check& check) {
      return check.verdict == Verdict::fail && check.property != "mode" && check.property != "owner";
    });
    if (rewritten) ids.push_back(step.id);
  }
};

/// Handles a resource: is given its chain's state and returns what came of it, or nullopt for what is not asked now.
using Handle = std::function<std::optional<Act>(const Declared&, ChainState&)>;

/// One run: the walk over items and chains that plan, verify and apply share. Every chain is walked in its own order,
/// and steps are reported in the order of the spec, whatever order they ended in.
class Run {
 public:
  struct Way {
    bool failures_block = true;
    /// Walk all chains up to what has to be waited for, or is only to be proved, and then let that go on together. What
    /// they will ask is announced on the way.
    bool waits_overlap = false;
  };

  Run(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options, Way way,
      Handle handle)
      : work_(work), view_(view), observer_(observer), options_(options), way_(way), handle_(std::move(handle)) {}

  Tally walk() {
    for (const Work& item : work_)
      for (const ResourceId& gate : item.gates) outcomes_[item.spec + "\n" + gate] = Outcome::skipped;  // until asked
    const std::size_t of_root = items_of_root(work_);
    std::size_t begun = 0;
    for (const Work& item : work_) {
      if (!item.needs.empty()) finish();  // what it needs has to have ended, well or not
      if (acts_through_services(item)) settle_all();
      open_.push_back({.item = &item});
      begin(open_.back());
      if (++begun == of_root) root_is_done_ = true;
      announce_proofs_of_root();
      if (!way_.waits_overlap)
        finish();
      else if (reported_ == open_.size())
        forget();  // ten thousand files keep nobody waiting, and no memory
    }
    finish();
    return tally_;
  }

 private:
  struct Chain {
    const Work* item;
    std::size_t next = 0;  // of its resources
    std::string blocked_by;
    ChainState state;
    std::optional<Act> begun;  // the resource before `next` has yet to settle
    bool held = false;         // `next` asks the service manager, which is busy
    std::vector<Step> steps;   // not reported yet
    const std::vector<Declared>& resources() const { return item->rendered.chain; }
    bool ended() const { return next == resources().size(); }
  };

  void begin(Chain& chain) {
    const Work& item = *chain.item;
    Step step{.id = item.module, .at = item.at.text()};
    if (!item.skipped.empty()) {
      step.outcome = Outcome::skipped;
      step.note = item.skipped;
      chain.next = chain.resources().size();
      chain.steps.push_back(std::move(step));
    } else if (item.rendered.refusal) {
      step.outcome = Outcome::failed;
      step.error = item.rendered.refusal;
      did_not_succeed(item);
      chain.next = chain.resources().size();
      chain.steps.push_back(std::move(step));
    } else {
      if (way_.failures_block) chain.blocked_by = unmet_need(item);
      advance(chain, !way_.waits_overlap);
    }
    report();
  }

  /// Brings every open chain to its end. Proofs that are due are asked while what has been set going comes about:
  /// their chains have ended all acting, and answers gathered ahead are forgotten at any further change.
  void finish() {
    free_manager();
    announce_proofs();
    settle_all();
    announce_proofs();
    for (Chain& chain : open_) {
      advance(chain, true);
      while (chain.begun) {
        settle(chain);
        advance(chain, true);
      }
      report();
    }
    forget();
  }

  void forget() {
    open_.clear();
    reported_ = 0;
  }

  /// Waits for all that has been set going, and brings its chains as far as the others.
  void settle_all() {
    free_manager();
    for (Chain& chain : open_) {
      while (chain.begun) {
        settle(chain);
        advance(chain, false);
        free_manager();
      }
    }
  }

  static bool holds_manager(const Chain& chain) { return chain.begun && chain.begun->holds_manager; }
  bool is_manager_held() const { return std::any_of(open_.begin(), open_.end(), holds_manager); }

  /// Waits until the service manager answers, and brings the chains that wait for it as far as the others.
  void free_manager() {
    for (Chain& chain : open_) {
      while (holds_manager(chain)) {
        settle(chain);
        advance(chain, false);
      }
    }
    go_on_with_held();
  }

  void go_on_with_held() {
    for (Chain& chain : open_) {
      if (is_manager_held()) return;
      if (std::exchange(chain.held, false)) advance(chain, false);
    }
    announce_proofs_of_root();
  }

  /// Announces what the proofs that are due will ask. While something has yet to settle, that is nothing that its own
  /// proofs will ask too, and nothing that may need what is coming about: those answers would be too old. Of the
  /// others `of_root` leaves what rests on root alone: no more than that is certain while users' things are changed.
  void announce_proofs(bool of_root = false) const {
    if (!way_.waits_overlap) return;  // then they were announced at the beginning
    const bool waiting = std::any_of(open_.begin(), open_.end(), [](const Chain& chain) { return chain.begun; });
    Wants wants, too_early;
    for (const Chain& chain : open_) {
      if (!chain.blocked_by.empty()) continue;
      for (std::size_t i = chain.next; i < chain.resources().size(); ++i) {
        const Resource& resource = chain.resources()[i].resource;
        if (chain.begun) {
          gather(resource, view_, too_early);
          continue;
        }
        if (!is_probe(resource)) break;
        if (waiting && rests_on_services(resource)) continue;
        if (chain.state.changes || !is_deep(resource)) gather(resource, view_, wants);
      }
    }
    leave_out(wants.queries, too_early.queries);
    leave_out(wants.units, too_early.units);
    if (of_root) {
      wants.units.clear();
      std::erase_if(wants.queries, [](const Command& query) { return !query.rests_on_root_alone; });
    }
    announce(wants, view_);
  }

  /// Once, as soon as nothing is left to do with root's rights but to prove.
  void announce_proofs_of_root() {
    if (!root_is_done_ || std::any_of(open_.begin(), open_.end(), [](const Chain& chain) { return chain.held; }))
      return;
    root_is_done_ = false;
    announce_proofs(true);
  }

  /// Announces all looks when the first comes that asks something. Where changes come before it more will follow, most
  /// likely, and each would end what is being asked.
  void ask_ahead(const Resource& next) {
    const Wants wants = wants_of(next, view_);
    if (wants.queries.empty() && wants.units.empty()) return;
    announce(work_, view_, false);
    may_ask_ahead_ = false;
  }

  /// Goes on with a chain until it ends, something has been set going, or (unless `prove`) only proofs remain.
  void advance(Chain& chain, bool prove) {
    const Work& item = *chain.item;
    while (!chain.ended()) {
      const Declared& declared = chain.resources()[chain.next];
      if (!prove && is_probe(declared.resource)) return;
      if (is_manager_held() && asks_manager(declared.resource, view_)) {
        chain.held = true;
        return;
      }
      ++chain.next;
      if (options_.stop && options_.stop()) {
        tally_.interrupted = true;
        chain.blocked_by = "interrupted";
      }
      if (!chain.blocked_by.empty()) {
        did_not_succeed(item);
        chain.steps.push_back({.id = id_of(declared.resource),
                               .at = declared.from.at.text(),
                               .outcome = Outcome::blocked,
                               .note = chain.blocked_by});
        told_now();
        continue;
      }
      if (auto shut = shut_gate(item); shut && chain.blocked_by.empty()) {
        shut->id = id_of(declared.resource);
        shut->at = declared.from.at.text();
        conclude(chain, *std::move(shut));
        told_now();
        continue;
      }
      if (may_ask_ahead_) ask_ahead(declared.resource);
      go_on();
      observer_.begins(item.item, item.module);
      const auto start = Clock::now();
      std::optional<Act> act = handle_(declared, chain.state);
      if (!act) continue;  // a probe that is not asked now
      act->step.took = since(start);
      if (act->settle) {
        may_ask_ahead_ = false;
        chain.begun = std::move(act);
        return;
      }
      conclude(chain, std::move(act->step));
      told_now();
    }
  }

  /// Where nothing is waited for, each step is told of as it ends: whoever listens may not have time for more.
  void told_now() {
    if (!way_.waits_overlap) report();
  }

  /// Whatever waits makes what progress it can.
  void go_on() {
    if (std::exchange(going_on_, true)) return;  // from a chain that is brought on here
    for (Chain& chain : open_) {
      if (!chain.begun) continue;
      if (chain.begun->holds_manager && !chain.begun->holds_manager()) {
        settle(chain);
        advance(chain, false);
        go_on_with_held();
        continue;
      }
      if (!chain.begun->go_on) continue;
      const auto start = Clock::now();
      chain.begun->go_on();
      chain.begun->step.took += since(start);
    }
    going_on_ = false;
  }

  void settle(Chain& chain) {
    Act act = *std::exchange(chain.begun, std::nullopt);
    observer_.begins(chain.item->item, chain.item->module);
    const auto start = Clock::now();
    act.settle(act.step);
    act.step.took += since(start);
    conclude(chain, std::move(act.step));
  }

  /// The end of the step of the resource before `next`.
  void conclude(Chain& chain, Step step) {
    const Resource& resource = chain.resources()[chain.next - 1].resource;
    if (step.outcome == Outcome::changed) {
      may_ask_ahead_ = false;
      chain.state.note(step);
    }
    if (const auto gate = outcomes_.find(chain.item->spec + "\n" + step.id); gate != outcomes_.end())
      gate->second = step.outcome;
    const bool honest = step.outcome == Outcome::unknown && is_unverifiable(resource);  // it said so beforehand
    if (stops_a_chain(step.outcome) && !honest) {
      did_not_succeed(*chain.item);
      if (way_.failures_block && !is_probe(resource))
        chain.blocked_by =
            fmt::format("{} {}", step.id, step.outcome == Outcome::unknown ? "could not be determined" : "failed");
    }
    chain.steps.push_back(std::move(step));
  }

  /// Tells of all that has ended and has nothing before it that has not.
  void report() {
    for (; reported_ < open_.size(); ++reported_) {
      Chain& chain = open_[reported_];
      for (Step& step : std::exchange(chain.steps, {})) {
        step.item = chain.item->item;
        tally_.add(step.outcome);
        observer_.step(step);
      }
      if (!chain.ended() || chain.begun) return;
    }
  }

  static std::chrono::microseconds since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  }

  void did_not_succeed(const Work& item) {
    unsuccessful_.insert(item.spec);
    unsuccessful_.insert(item.spec + "\n" + item.item);
    unsuccessful_.insert(item.spec + "\n" + item.module);
  }

  /// What becomes of work one of whose gates is shut; nullopt where all are open. It stays shut on what is unknown.
  std::optional<Step> shut_gate(const Work& item) const {
    std::optional<Step> worst;
    for (const ResourceId& gate : item.gates) {
      const Outcome was = outcomes_.at(item.spec + "\n" + gate);
      if (was == Outcome::in_sync || was == Outcome::changed) continue;
      Step step;
      step.outcome = was == Outcome::skipped || was == Outcome::unknown ? was : Outcome::blocked;
      step.note = fmt::format("needs '{}', which {}", gate,
                              was == Outcome::skipped   ? "was left out"
                              : was == Outcome::unknown ? "could not be determined"
                              : was == Outcome::blocked ? "was not asked"
                                                        : "did not pass");
      if (!worst || worst->outcome < step.outcome) worst = std::move(step);
    }
    return worst;
  }

  std::string unmet_need(const Work& item) const {
    for (const std::string& need : item.needs)
      if (unsuccessful_.contains(item.spec + "\n" + need) || (need != item.spec && unsuccessful_.contains(need)))
        return fmt::format("needs '{}', which did not succeed", need);
    return {};
  }

  const std::vector<Work>& work_;
  const SystemView& view_;
  Observer& observer_;
  const RunOptions& options_;
  const Way way_;
  const Handle handle_;
  std::vector<Chain> open_;   // begun, in the order of the spec, up to the next finish()
  std::size_t reported_ = 0;  // of them, those of which all is told
  bool may_ask_ahead_ = way_.waits_overlap;
  bool going_on_ = false;
  bool root_is_done_ = false;  // what is left acts with users' rights, and the proofs of root were not announced yet
  Tally tally_;
  std::set<std::string> unsuccessful_;
  std::map<std::string, Outcome> outcomes_;  // of gates, by spec and id
};

}  // namespace

std::size_t Tally::total() const { return std::accumulate(counts.begin(), counts.end(), std::size_t{0}); }

std::string_view name_of(Verb verb) {
  return std::find_if(verbs.begin(), verbs.end(), [&](const auto& row) { return row.first == verb; })->second;
}

std::optional<Verb> verb_from(std::string_view name) {
  const auto row = std::find_if(verbs.begin(), verbs.end(), [&](const auto& each) { return each.second == name; });
  return row == verbs.end() ? std::nullopt : std::optional(row->first);
}

int exit_code(Verb verb, const Tally& tally) {
  if (tally.interrupted) return 130;
  if (tally.of(Outcome::failed) + tally.of(Outcome::blocked) > 0) return 1;
  const bool may_differ = verb == Verb::plan || verb == Verb::drift;
  if (!may_differ && tally.of(Outcome::out_of_sync) > 0) return 1;
  if (tally.of(Outcome::unknown) > 0) return 4;
  if (tally.of(Outcome::out_of_sync) > 0) return 2;
  return tally.total() == 0 ? 1 : 0;
}

Tally plan(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options) {
  announce(work, view, false);
  return Run(work, view, observer, options, {},
             [&](const Declared& declared, ChainState& chain) -> std::optional<Act> {
               if (is_probe(declared.resource) && (chain.changes || is_deep(declared.resource))) return std::nullopt;
               Step step = evaluate(declared, view, {options.diff, true, chain.ids});
               if (step.outcome == Outcome::out_of_sync) {
                 chain.note(step);
                 if (is_probe(declared.resource)) {
                   step.outcome = Outcome::failed;
                   step.error = Error{Errc::refused, "it is declared as it should be, and yet not in effect", {}, {}};
                 }
               }
               return Act{std::move(step), {}};
             })
      .walk();
}

namespace {

/// Looks at everything, with the probes that are dear or without them.
Tally look(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options,
           bool deep) {
  announce(work, view, deep);
  return Run(work, view, observer, options, {.failures_block = false},
             [&](const Declared& declared, ChainState&) -> std::optional<Act> {
               if (!deep && is_deep(declared.resource)) return std::nullopt;
               return Act{evaluate(declared, view, {options.diff, false}), {}};
             })
      .walk();
}

}  // namespace

Tally verify(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options) {
  return look(work, view, observer, options, true);
}

Tally drift(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options) {
  return look(work, view, observer, options, false);
}

Tally apply(const std::vector<Work>& work, System& system, Observer& observer, const RunOptions& options) {
  return Run(work, system, observer, options, {.waits_overlap = true},
             [&](const Declared& declared, ChainState& chain) -> std::optional<Act> {
               if (!is_probe(declared.resource)) return converge(declared, system, {options.diff, true, chain.ids});
               if (is_deep(declared.resource) && !chain.changes) return std::nullopt;
               Step step = evaluate(declared, system, {options.diff, false});
               if (step.outcome == Outcome::out_of_sync) {
                 step.outcome = Outcome::failed;
                 step.error = Error{Errc::refused, "it is declared as it should be, and yet not in effect", {}, {}};
               }
               return Act{std::move(step), {}};
             })
      .walk();
}

Tally run(Verb verb, const std::vector<Work>& work, System& system, Observer& observer, const RunOptions& options) {
  switch (verb) {
    case Verb::plan:
      return plan(work, system, observer, options);
    case Verb::verify:
      return verify(work, system, observer, options);
    case Verb::drift:
      return drift(work, system, observer, options);
    case Verb::apply:
      return apply(work, system, observer, options);
    case Verb::undo:
      break;
  }
  return {};
}

}  // namespace converge
