#include "engine/engine.h"

#include <gtest/gtest.h>

#include "tests/support/fake_commands.h"

namespace converge {
namespace {

struct Recorder : Observer {
  std::vector<Step> steps;
  void begins(const std::string&, const ResourceId&) override {}
  void step(const Step& step) override { steps.push_back(step); }
  std::string outcomes() const {
    std::string out;
    for (const Step& step : steps) out += std::string(out.empty() ? "" : ", ") + std::string(name_of(step.outcome));
    return out;
  }
};

File file(const std::string& path, const std::string& content) {
  return File{.place = AbsPath(path), .content = content};
}

Work work_of(std::string name, std::vector<Resource> resources, std::vector<std::string> needs = {}) {
  Work work{.spec = "s", .item = name, .module = std::move(name), .needs = std::move(needs)};
  for (Resource& resource : resources) work.rendered.chain.push_back({std::move(resource), {}});
  return work;
}

TEST(Engine, PlanFindsWorkAndWritesNothing) {
  FakeSystem host = fake_debian();
  Recorder recorder;
  const Tally tally = plan({work_of("a", {file("/etc/a", "1\n")})}, host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "out of sync");
  EXPECT_EQ(exit_code(Verb::plan, tally), 2);
  EXPECT_TRUE(host.mutations().empty());
}

TEST(Engine, ApplyChangesOnceAndThenNothing) {
  FakeSystem host = fake_debian();
  const std::vector<Work> work{work_of("a", {file("/etc/a", "1\n")})};
  Recorder first, second;
  EXPECT_EQ(exit_code(Verb::apply, apply(work, host, first, {})), 0);
  EXPECT_EQ(first.outcomes(), "changed");
  host.forget_mutations();
  EXPECT_EQ(exit_code(Verb::apply, apply(work, host, second, {})), 0);
  EXPECT_EQ(second.outcomes(), "in sync");
  EXPECT_TRUE(host.mutations().empty());
}

TEST(Engine, AFailureBlocksTheRestOfItsChainAndNoOther) {
  FakeSystem host = fake_debian();
  host.put_directory("/etc/in-the-way");
  Recorder recorder;
  const Tally tally = apply(
      {work_of("a", {file("/etc/in-the-way", "x"), file("/etc/after", "x")}), work_of("b", {file("/etc/b", "x")})},
      host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "failed, blocked, changed");
  EXPECT_EQ(exit_code(Verb::apply, tally), 1);
  EXPECT_FALSE(host.exists("/etc/after"));
}

TEST(Engine, WhatNeedsAFailedItemIsBlocked) {
  FakeSystem host = fake_debian();
  host.put_directory("/etc/in-the-way");
  Recorder recorder;
  apply({work_of("a", {file("/etc/in-the-way", "x")}), work_of("b", {file("/etc/b", "x")}, {"a"})}, host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "failed, blocked");
  EXPECT_EQ(recorder.steps[1].note, "needs 'a', which did not succeed");
}

TEST(Engine, AWriteThatDidNotStickIsAFailureWhateverApplySaid) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/sysctl.d/99-later.conf", "vm.swappiness=60\n");
  Recorder recorder;
  const Tally tally = apply({work_of("sysctl", {Sysctl{"vm.swappiness", "10", AbsPath("/etc/sysctl.d/90-a.conf")}})},
                            host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "failed");
  EXPECT_EQ(exit_code(Verb::apply, tally), 1);
}

TEST(Engine, NotBeingAbleToLookIsUnknownNeverInSync) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/a", "1\n");
  host.fail_look("/etc/a", Errc::permission);
  Recorder recorder;
  const Tally tally = verify({work_of("a", {file("/etc/a", "1\n")})}, host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "unknown");
  EXPECT_EQ(exit_code(Verb::verify, tally), 4);
}

TEST(Engine, LookingAtNothingIsNoProof) { EXPECT_EQ(exit_code(Verb::verify, Tally{}), 1); }

TEST(Engine, AnInterruptStartsNothingMore) {
  FakeSystem host = fake_debian();
  int asked = 0;
  Recorder recorder;
  const Tally tally = apply({work_of("a", {file("/etc/a", "x"), file("/etc/b", "x")})}, host, recorder,
                            {.stop = [&] { return ++asked > 1; }});
  EXPECT_EQ(recorder.outcomes(), "changed, blocked");
  EXPECT_EQ(exit_code(Verb::apply, tally), 130);
}

TEST(Engine, UnderATreeWhatNeedsARunningSystemIsLeftOutAndSaid) {
  FakeSystem host = fake_debian();
  host.live = false;
  Recorder recorder;
  apply({work_of("s", {Service{.name = "k3s", .running = true, .enabled = std::nullopt}})}, host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "skipped");
  EXPECT_EQ(recorder.steps[0].note, "needs a running system");
}

TEST(Engine, ABareCommandIsHonestlyUnknownInPlanAndRunByApply) {
  FakeSystem host = fake_debian();
  host.on_command("true", [](FakeSystem&, const Command&, bool) { return CommandOutput{}; });
  const std::vector<Work> work{work_of("c", {RunCommand{.argv = {"true"}}}),
                               work_of("b", {file("/etc/b", "x")}, {"c"})};
  Recorder planned, applied;
  plan(work, host, planned, {});
  EXPECT_EQ(planned.outcomes(), "unknown, out of sync");
  apply(work, host, applied, {});
  EXPECT_EQ(applied.outcomes(), "changed, changed");
}

TEST(ExitCode, TheWorstWins) {
  const auto code = [](Verb verb, std::vector<Outcome> outcomes) {
    Tally tally;
    for (const Outcome outcome : outcomes) tally.add(outcome);
    return exit_code(verb, tally);
  };
  EXPECT_EQ(code(Verb::verify, {Outcome::in_sync}), 0);
  EXPECT_EQ(code(Verb::verify, {Outcome::in_sync, Outcome::out_of_sync, Outcome::unknown}), 1);
  EXPECT_EQ(code(Verb::plan, {Outcome::out_of_sync, Outcome::unknown}), 4);
  EXPECT_EQ(code(Verb::plan, {Outcome::out_of_sync, Outcome::in_sync}), 2);
  EXPECT_EQ(code(Verb::plan, {Outcome::failed, Outcome::unknown}), 1);
  EXPECT_EQ(code(Verb::apply, {Outcome::changed, Outcome::skipped}), 0);
}

}  // namespace
}  // namespace converge
