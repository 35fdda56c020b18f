#include "engine/evaluate.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "primitives/reload.h"

namespace converge {
namespace {

template <class P>
constexpr bool live_only() {
  if constexpr (requires { P::live_only; }) return P::live_only;
  return false;
}

/// A primitive that says which path's change makes it change too, as things stand.
template <class P>
concept Following = requires(const P& p, const typename P::State& state) {
  { follows(p, state) } -> std::same_as<std::optional<AbsPath>>;
};

/// True if one of `ids` is of `path`: ids are "kind:path".
bool names_path(const std::vector<std::string>& ids, const AbsPath& path) {
  return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return id.ends_with(":" + path.str()); });
}

template <class P>
bool nothing_to_look_at(const P& p) {
  if constexpr (requires { unverifiable(p); }) return unverifiable(p);
  return false;
}

Outcome outcome_of(const Checks& checks) {
  if (any_fails(checks)) return Outcome::out_of_sync;
  if (any_unknown(checks)) return Outcome::unknown;
  const bool all_left_out =
      std::all_of(checks.begin(), checks.end(), [](const Check& c) { return c.verdict == Verdict::skipped; });
  return all_left_out ? Outcome::skipped : Outcome::in_sync;
}

Step begin(const Declared& declared) {
  Step step;
  step.id = id_of(declared.resource);
  step.at = declared.from.at.text();
  if (const auto* assertion = std::get_if<checks::Assertion>(&declared.resource)) step.meta = meta_of(*assertion);
  return step;
}

void fail(Step& step, Error error, const char* doing) {
  // Refusing and not being able to are answers; anything else that kept us from looking is not.
  step.error = std::move(error).during(fmt::format("{} {}", doing, step.id));
  step.outcome = Outcome::failed;
}

void could_not_look(Step& step, Error error) {
  const bool answer = error.code == Errc::refused || error.code == Errc::unsupported;
  fail(step, std::move(error), "looking at");
  if (!answer) step.outcome = Outcome::unknown;
}

/// Looks, fills checks and outcome; the state, unless it could not be told or is left out.
template <class P>
std::optional<typename P::State> look(const P& p, const SystemView& view, const LookOptions& options, Step& step) {
  if (live_only<P>() && !view.is_live()) {
    step.outcome = Outcome::skipped;
    step.note = "needs a running system";
    return std::nullopt;
  }
  auto state = inspect(p, view);
  if (!state) {
    could_not_look(step, std::move(state).error());
    return std::nullopt;
  }
  step.checks = compare(p, *state);
  step.outcome = outcome_of(step.checks);
  if (step.outcome == Outcome::skipped && step.note.empty()) step.note = step.checks.front().detail;
  if constexpr (Following<P>) {
    const auto path = follows(p, *state);
    if (path && step.outcome == Outcome::in_sync && names_path(options.changed, *path)) {
      step.outcome = Outcome::out_of_sync;
      step.note = fmt::format("follows the change of {}", path->str());
      return std::move(*state);
    }
  }
  if (step.outcome != Outcome::out_of_sync) return std::move(*state);
  if constexpr (Diffable<P>)
    if (options.diff) step.diff = diff(p, *state);
  if constexpr (Preflighted<P>)
    if (options.preflight)
      if (auto allowed = preflight(p, *state, view); !allowed) fail(step, std::move(allowed).error(), "preparing");
  return std::move(*state);
}

/// The checks that a change was about: what did not pass before it.
Checks worth_showing(const Checks& before) {
  Checks out;
  for (const Check& check : before)
    if (check.verdict == Verdict::fail) out.push_back(check);
  return out;
}

void judge(Step& step, const Checks& after) {
  if (!any_fails(after) && !any_unknown(after)) {
    for (const Check& check : after)  // what apply alone could tell: a key to register, say
      if (const Check* shown = find_check(step.checks, check.property); shown != nullptr && !check.detail.empty())
        step.note = check.detail;
    step.checks = worth_showing(step.checks);
    step.outcome = Outcome::changed;
    return;
  }
  step.checks = after;
  fail(step, Error{Errc::io, "it was changed, and is still not as declared", {}, {}}, "converging");
}

/// The second look, at what apply has done.
template <class P>
void look_again(const P& p, const System& system, Step& step) {
  if (nothing_to_look_at(p)) {
    step.outcome = Outcome::changed;
    return;
  }
  auto now = inspect(p, system);
  if (!now) return fail(step, std::move(now).error(), "looking again at");
  judge(step, compare(p, *now));
}

}  // namespace

ResourceId id_of(const Resource& resource) {
  return std::visit([](const auto& p) { return id(p); }, resource);
}

bool is_probe(const Resource& resource) {
  return std::visit([]<class P>(const P&) { return !Appliable<P>; }, resource);
}

bool is_deep(const Resource& resource) {
  return std::visit(
      []<class P>(const P&) {
        if constexpr (requires { P::deep; }) return P::deep;
        return false;
      },
      resource);
}

bool is_unverifiable(const Resource& resource) {
  return std::visit([](const auto& p) { return nothing_to_look_at(p); }, resource);
}

bool rests_on_services(const Resource& resource) {
  return std::visit(
      [](const auto& p) {
        if constexpr (requires { needs_services(p); }) return needs_services(p);
        return false;
      },
      resource);
}

bool asks_manager(const Resource& resource, const SystemView& view) {
  const bool reloads = std::visit(
      []<class P>(const P&) {
        return requires { P::reloads; };
      },
      resource);
  return reloads || rests_on_services(resource) || !wants_of(resource, view).units.empty();
}

bool acts_as_root(const Resource& resource) {
  return std::visit(
      []<class P>(const P& p) {
        if constexpr (!Appliable<P>) return false;
        if constexpr (requires { acts_as(p); }) return acts_as(p).uid == 0;
        if constexpr (requires { p.place.as; }) return !p.place.as || p.place.as->uid == 0;
        return true;
      },
      resource);
}

Wants wants_of(const Resource& resource, const SystemView& view) {
  return std::visit(
      [&]<class P>(const P& p) {
        if constexpr (Wanting<P>) return wants(p);
        if constexpr (WantingAfterALook<P>)
          if (!live_only<P>() || view.is_live()) return wants(p, view);
        return Wants{};
      },
      resource);
}

Step evaluate(const Declared& declared, const SystemView& view, const LookOptions& options) {
  Step step = begin(declared);
  std::visit([&](const auto& p) { (void)look(p, view, options, step); }, declared.resource);
  return step;
}

Act converge(const Declared& declared, System& system, const LookOptions& options) {
  Act act{.step = begin(declared), .settle = {}};
  std::visit(
      [&]<class P>(const P& p) {
        Step& step = act.step;
        auto state = look(p, system, {options.diff, true, options.changed}, step);
        if constexpr (Appliable<P>) {
          if (step.outcome == Outcome::out_of_sync && !any_fails(step.checks)) {  // it came with what it follows
            step.checks.clear();
            step.outcome = Outcome::changed;
            return;
          }
          const bool needed = step.outcome == Outcome::out_of_sync ||
                              (step.outcome == Outcome::unknown && state && nothing_to_look_at(p));
          if (!needed || !state) return;
          if constexpr (Settling<P>) {
            if (auto begun = begin(p, *state, system); !begun)
              return fail(step, std::move(begun).error(), "converging");
            const auto before = std::make_shared<const typename P::State>(*std::move(state));
            const auto waiting = std::make_shared<typename P::Waiting>();
            if constexpr (requires { go_on(p, *before, *waiting, system); })
              act.go_on = [&p, &system, before, waiting] { go_on(p, *before, *waiting, system); };
            if constexpr (requires { P::reloads; }) act.holds_manager = [&system] { return !is_reloaded(system); };
            act.settle = [&p, &system, before, waiting](Step& finished) {
              auto done = settle(p, *before, *waiting, system);
              if (!done) return fail(finished, std::move(done).error(), "converging");
              look_again(p, system, finished);
            };
          } else {
            if (auto done = apply(p, *state, system); !done) return fail(step, std::move(done).error(), "converging");
            look_again(p, system, step);
          }
        }
      },
      declared.resource);
  return act;
}

}  // namespace converge
