// The table every primitive owes: for each property one change after which exactly that check fails, and apply heals
// it.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "primitives/primitive.h"
#include "tests/support/fake_commands.h"

namespace converge {

inline std::string text_of(const Checks& checks) {
  std::string out;
  for (const auto& check : checks) {
    const char* verdict = check.verdict == Verdict::pass      ? "pass"
                          : check.verdict == Verdict::fail    ? "FAIL"
                          : check.verdict == Verdict::skipped ? "skipped"
                                                              : "unknown";
    out += std::string("  ") + verdict + " " + check.property + ": " + check.expected + " / " + check.actual + " " +
           check.detail + "\n";
  }
  return out;
}

template <class P>
Checks checks_of(const P& p, const SystemView& view) {
  const auto state = inspect(p, view);
  if (!state) {
    ADD_FAILURE() << id(p) << ": " << state.error().text();
    return {};
  }
  return compare(p, *state);
}

inline bool all_pass(const Checks& checks) {
  for (const auto& check : checks)
    if (check.verdict != Verdict::pass && check.verdict != Verdict::skipped) return false;
  return !checks.empty();
}

/// One round of inspect and apply.
template <class P>
Status apply_once(const P& p, System& system) {
  const auto state = inspect(p, system);
  if (!state) return state.error();
  return apply(p, *state, system);
}

/// Applies, and expects that everything passes then and that a second apply mutates nothing.
template <class P>
void expect_heals(const P& p, FakeSystem& host) {
  const Status done = apply_once(p, host);
  ASSERT_TRUE(done) << done.error().text();
  const Checks after = checks_of(p, host);
  EXPECT_TRUE(all_pass(after)) << id(p) << "\n" << text_of(after);
  host.forget_mutations();
  const Status again = apply_once(p, host);
  EXPECT_TRUE(again) << again.error().text();
  EXPECT_TRUE(host.mutations().empty()) << id(p) << " in sync, and yet: " << host.mutations().front();
}

struct Row {
  std::string property;  // the check that fails, and no other
  std::function<void(FakeSystem&)> change;
};

/// Makes `p` so on the host `start` gives, then changes one thing a row.
template <class P>
void run_mutation_table(const P& p, const std::function<FakeSystem()>& start, const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE("property '" + row.property + "'");
    FakeSystem host = start();
    expect_heals(p, host);
    host.tick();
    row.change(host);
    const Checks checks = checks_of(p, host);
    for (const auto& check : checks)
      EXPECT_EQ(check.property == row.property ? Verdict::fail : Verdict::pass, check.verdict) << check.property << "\n"
                                                                                               << text_of(checks);
    EXPECT_NE(nullptr, find_check(checks, row.property)) << text_of(checks);
    expect_heals(p, host);
  }
}

/// Expects that apply refuses with `code` and changes nothing.
template <class P>
void expect_refused(const P& p, FakeSystem& host, Errc code, std::string_view named) {
  host.forget_mutations();
  const auto before = host.snapshot();
  const auto state = inspect(p, host);
  ASSERT_TRUE(state) << state.error().text();
  const Status done = apply(p, *state, host);
  ASSERT_FALSE(done) << id(p) << " was not refused";
  EXPECT_EQ(code, done.error().code) << done.error().text();
  EXPECT_NE(std::string::npos, (done.error().text() + done.error().hint).find(named)) << done.error().text();
  EXPECT_TRUE(host.mutations().empty());
  EXPECT_EQ(before, host.snapshot());
}

}  // namespace converge
