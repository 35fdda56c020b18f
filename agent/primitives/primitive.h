// What a primitive is: three functions over a struct. inspect reads, compare decides (pure), apply acts.
#pragma once
#include <concepts>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/result.h"
#include "system/system.h"

namespace converge {

using ResourceId = std::string;  // "file:/etc/fstab", "swap:/swapfile", "unit:k3s.service"

/// What inspect will ask the host's programs and service manager: run together, ahead of time (SystemView::expect).
struct Wants {
  std::vector<Command> queries;
  std::vector<std::string> units;
};

/// id(p); inspect(p, view): the state, or why it could not be told; compare(p, state): one check per property, never
/// empty, pure, opened by a structured binding of all fields so that a new one breaks the build.
template <class P>
concept Primitive = requires(const P& p, const SystemView& view, const typename P::State& state) {
  { id(p) } -> std::same_as<ResourceId>;
  { inspect(p, view) } -> std::same_as<Result<typename P::State>>;
  { compare(p, state) } -> std::same_as<Checks>;
};
/// apply(p, state, system): makes every failing check pass, or says why not. The engine looks again afterwards.
template <class P>
concept Appliable = Primitive<P> && requires(const P& p, const typename P::State& state, System& system) {
  { apply(p, state, system) } -> std::same_as<Status>;
};
/// Optional: an apply that is mostly waiting. begin(p, state, system) sets it going and returns; settle(p, state,
/// waiting, system) waits until it has come about, or says why it has not. apply is one after the other. The engine
/// works on other chains in between, and calls go_on(p, state, waiting, system), if there is one, now and then for what
/// of the waiting can be done without waiting; P::Waiting is what is known of it so far. Nothing of the same chain
/// happens until it has settled.
template <class P>
concept Settling = Appliable<P> &&
    requires(const P& p, const typename P::State& state, typename P::Waiting& waiting, System& system) {
  { begin(p, state, system) } -> std::same_as<Status>;
  { settle(p, state, waiting, system) } -> std::same_as<Status>;
};
/// The apply of one that settles.
template <class P>
Status begin_and_settle(const P& p, const typename P::State& state, System& system) {
  Status begun = begin(p, state, system);
  typename P::Waiting waiting;
  return begun ? settle(p, state, waiting, system) : begun;
}
/// Optional: preflight(p, state, view): why apply must not even begin (Errc::refused, unsupported, no_space ...). Asked
/// in plan and before apply, whenever a check fails.
template <class P>
concept Preflighted = requires(const P& p, const typename P::State& state, const SystemView& view) {
  { preflight(p, state, view) } -> std::same_as<Status>;
};
/// Optional: wants(p): see Wants; or wants(p, view) where that depends on a first look.
template <class P>
concept Wanting = requires(const P& p) {
  { wants(p) } -> std::same_as<Wants>;
};
template <class P>
concept WantingAfterALook = requires(const P& p, const SystemView& view) {
  { wants(p, view) } -> std::same_as<Wants>;
};
/// Optional: diff(p, state): a unified diff of what apply would write; empty if nothing or sensitive.
template <class P>
concept Diffable = requires(const P& p, const typename P::State& state) {
  { diff(p, state) } -> std::same_as<std::string>;
};
// Optional: follows(p, state): the path whose change, earlier in the same chain, makes this one change too, though a
// look at it alone does not tell; nullopt if that is not so here.
// Optional: needs_services(p): what it does or asks may need a service of this host that an item before it restarts;
// the engine then lets that become ready first. What only reads and writes files need not wait.
// Optional: acts_as(p): the user with whose rights it acts, if those are not root's. One that has a `place` acts as
// that says. Optional constants of a primitive:
//   static constexpr bool live_only = true;   needs a running system: left out, and said so, under --root
//   static constexpr bool reloads = true;     what it sets going is a reload (reload.h): what would ask systemd, or
//                                             reload it too, waits until that has ended; other chains go on
//   static constexpr bool deep = true;        a probe too dear for every no-op (it opens a session): asked by verify,
//   and by
//                                             converge after a change in its chain
//   static constexpr bool unverifiable = true; nothing can be looked at afterwards (a bare command)

}  // namespace converge
