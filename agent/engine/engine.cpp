#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>

namespace converge {
namespace {

using Clock = std::chrono::steady_clock;

/// Everything that will be asked, announced at once so that it can be asked together.
void announce(const std::vector<Work>& work, const SystemView& view, bool deep) {
  std::vector<Command> queries;
  std::vector<std::string> units;
  for (const Work& item : work) {
    if (!item.skipped.empty()) continue;
    for (const Declared& declared : item.rendered.chain) {
      if (is_deep(declared.resource) && !deep) continue;
      Wants wants = wants_of(declared.resource);
      std::move(wants.queries.begin(), wants.queries.end(), std::back_inserter(queries));
      std::move(wants.units.begin(), wants.units.end(), std::back_inserter(units));
    }
  }
  if (!queries.empty() || !units.empty()) view.expect(queries, units);
}

bool stops_a_chain(Outcome outcome) { return outcome >= Outcome::blocked; }

/// One run: the walk over items and chains that plan, verify and apply share.
class Run {
 public:
  Run(const std::vector<Work>& work, Observer& observer, const RunOptions& options)
      : work_(work), observer_(observer), options_(options) {}

  /// `one` handles a resource: it is given the chain's state and returns the step, or nullopt for what is not asked
  /// now.
  template <class One>
  Tally walk(bool failures_block, One&& one) {
    for (const Work& item : work_) {
      if (!item.skipped.empty()) {
        report(item, Step{.id = item.module, .at = item.at.text(), .outcome = Outcome::skipped, .note = item.skipped});
        continue;
      }
      if (item.rendered.refusal) {
        Step step{.id = item.module, .at = item.at.text(), .outcome = Outcome::failed, .error = item.rendered.refusal};
        report(item, std::move(step));
        did_not_succeed(item);
        continue;
      }
      chain(item, failures_block, one);
    }
    return tally_;
  }

 private:
  template <class One>
  void chain(const Work& item, bool failures_block, One& one) {
    std::string blocked_by = failures_block ? unmet_need(item) : std::string{};
    ChainState state;
    for (const Declared& declared : item.rendered.chain) {
      if (options_.stop && options_.stop()) {
        tally_.interrupted = true;
        blocked_by = "interrupted";
      }
      if (!blocked_by.empty()) {
        report(item, Step{.id = id_of(declared.resource),
                          .at = declared.from.at.text(),
                          .outcome = Outcome::blocked,
                          .note = blocked_by});
        did_not_succeed(item);
        continue;
      }
      observer_.begins(item.item, item.module);
      const auto start = Clock::now();
      std::optional<Step> taken = one(declared, state);
      if (!taken) continue;  // a probe that is not asked now
      Step& step = *taken;
      step.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
      const Outcome outcome = step.outcome;
      const bool honest = outcome == Outcome::unknown && is_unverifiable(declared.resource);  // it said so beforehand
      if (stops_a_chain(outcome) && !honest) {
        did_not_succeed(item);
        if (failures_block && !is_probe(declared.resource))
          blocked_by =
              fmt::format("{} {}", step.id, outcome == Outcome::unknown ? "could not be determined" : "failed");
      }
      report(item, std::move(step));
    }
  }

  void report(const Work& item, Step step) {
    step.item = item.item;
    tally_.add(step.outcome);
    observer_.step(step);
  }

  void did_not_succeed(const Work& item) {
    unsuccessful_.insert(item.spec);
    unsuccessful_.insert(item.spec + "\n" + item.item);
    unsuccessful_.insert(item.spec + "\n" + item.module);
  }

  std::string unmet_need(const Work& item) const {
    for (const std::string& need : item.needs)
      if (unsuccessful_.contains(item.spec + "\n" + need) || (need != item.spec && unsuccessful_.contains(need)))
        return fmt::format("needs '{}', which did not succeed", need);
    return {};
  }

 public:
  /// What has happened in a chain so far.
  struct ChainState {
    bool changes = false;          // something was changed, or would be
    std::vector<std::string> ids;  // of what changed, or would
  };

 private:
  const std::vector<Work>& work_;
  Observer& observer_;
  const RunOptions& options_;
  Tally tally_;
  std::set<std::string> unsuccessful_;
};

/// True if one of `ids` is of `path`: ids are "kind:path".
bool names_path(const std::vector<std::string>& ids, const AbsPath& path) {
  return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return id.ends_with(":" + path.str()); });
}

}  // namespace

std::size_t Tally::total() const { return std::accumulate(counts.begin(), counts.end(), std::size_t{0}); }

int exit_code(Verb verb, const Tally& tally) {
  if (tally.interrupted) return 130;
  if (tally.of(Outcome::failed) + tally.of(Outcome::blocked) > 0) return 1;
  if (verb != Verb::plan && tally.of(Outcome::out_of_sync) > 0) return 1;
  if (tally.of(Outcome::unknown) > 0) return 4;
  if (tally.of(Outcome::out_of_sync) > 0) return 2;
  return tally.total() == 0 ? 1 : 0;
}

Tally plan(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options) {
  announce(work, view, false);
  return Run(work, observer, options)
      .walk(true, [&](const Declared& declared, Run::ChainState& chain) -> std::optional<Step> {
        if (is_probe(declared.resource) && (chain.changes || is_deep(declared.resource))) return std::nullopt;
        Step step = evaluate(declared, view, {options.diff, true});
        if (const auto path = followed_by(declared.resource);
            path && step.outcome == Outcome::in_sync && names_path(chain.ids, *path)) {
          step.outcome = Outcome::out_of_sync;
          step.note = fmt::format("follows the change of {}", path->str());
        }
        if (step.outcome == Outcome::out_of_sync) {
          chain.changes = true;
          chain.ids.push_back(step.id);
          if (is_probe(declared.resource)) {
            step.outcome = Outcome::failed;
            step.error = Error{Errc::refused, "it is declared as it should be, and yet not in effect", {}, {}};
          }
        }
        return step;
      });
}

Tally verify(const std::vector<Work>& work, const SystemView& view, Observer& observer, const RunOptions& options) {
  announce(work, view, true);
  return Run(work, observer, options)
      .walk(false, [&](const Declared& declared, Run::ChainState&) -> std::optional<Step> {
        return evaluate(declared, view, {options.diff, false});
      });
}

Tally apply(const std::vector<Work>& work, System& system, Observer& observer, const RunOptions& options) {
  announce(work, system, false);
  return Run(work, observer, options)
      .walk(true, [&](const Declared& declared, Run::ChainState& chain) -> std::optional<Step> {
        if (is_probe(declared.resource)) {
          if (is_deep(declared.resource) && !chain.changes) return std::nullopt;
          Step step = evaluate(declared, system, {options.diff, false});
          if (step.outcome == Outcome::out_of_sync) {
            step.outcome = Outcome::failed;
            step.error = Error{Errc::refused, "it is declared as it should be, and yet not in effect", {}, {}};
          }
          return step;
        }
        Step step = converge(declared, system, {options.diff, true});
        chain.changes = chain.changes || step.outcome == Outcome::changed;
        return step;
      });
}

}  // namespace converge
