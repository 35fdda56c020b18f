#include "engine/engine.h"

#include <gtest/gtest.h>

#include "checks/gossfile.h"
#include "engine/contradictions.h"
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
  std::string ids() const {
    std::string out;
    for (const Step& step : steps) out += (out.empty() ? "" : ", ") + step.id;
    return out;
  }
};

constexpr const char* fake_limits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             512                  1024                 processes \n";

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

/// A check of a gossfile whose file is there, is not there, cannot be looked at, or is left out.
Work gated(Sources& sources, const std::string& name, std::vector<std::string> needs, const std::string& option = "") {
  checks::GossfileInput input;
  std::string text = "file:\n  /srv/" + name + ": { exists: true" + option + " }\n";
  input.read = [&](const std::string&) -> Result<std::string> { return text; };
  Diagnostics diagnostics;
  auto assertions = checks::assertions_of("goss.yaml", input, sources, diagnostics);
  EXPECT_TRUE(diagnostics.empty());
  Work work{.spec = "s", .item = name, .module = "verify"};
  for (const std::string& need : needs) work.gates.push_back("file:/srv/" + need);
  work.rendered.chain.push_back({std::move(assertions.front()), {"verify", {}}});
  return work;
}

TEST(Engine, AGateIsOpenedByWhatPassesAlone) {
  Sources sources;
  FakeSystem host = fake_debian();
  host.put_file("/srv/there", "x");
  host.put_file("/srv/dark", "x");
  host.fail_look("/srv/dark", Errc::permission);
  const auto outcomes_of = [&](std::vector<Work> work) {
    Recorder recorder;
    (void)verify(work, host, recorder, {});
    std::string out;
    for (const Step& step : recorder.steps)
      out +=
          (out.empty() ? "" : "; ") + std::string(name_of(step.outcome)) + (step.note.empty() ? "" : ": " + step.note);
    return out;
  };
  EXPECT_EQ(outcomes_of({gated(sources, "there", {}), gated(sources, "there", {"there"})}), "in sync; in sync");
  EXPECT_EQ(outcomes_of({gated(sources, "gone", {}), gated(sources, "there", {"gone"})}),
            "out of sync; blocked: needs 'file:/srv/gone', which did not pass");
  EXPECT_EQ(outcomes_of({gated(sources, "dark", {}), gated(sources, "there", {"dark"})}),
            "unknown; unknown: needs 'file:/srv/dark', which could not be determined");
  EXPECT_EQ(outcomes_of({gated(sources, "there", {}, ", skip: true"), gated(sources, "there", {"there"})}),
            "skipped: skip: true; skipped: needs 'file:/srv/there', which was left out");
  // What is blocked shuts the next gate, and the worst of several gates is told.
  EXPECT_EQ(
      outcomes_of({gated(sources, "gone", {}), gated(sources, "there", {"gone"}), gated(sources, "dark", {"there"})}),
      "out of sync; blocked: needs 'file:/srv/gone', which did not pass; "
      "blocked: needs 'file:/srv/there', which was not asked");
  EXPECT_EQ(
      outcomes_of({gated(sources, "dark", {}), gated(sources, "gone", {}), gated(sources, "there", {"dark", "gone"})}),
      "unknown; out of sync; unknown: needs 'file:/srv/dark', which could not be determined");
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

/// Notes, at each call, whether the path was there: what had been done by then.
void note_calls(FakeSystem& host, const std::string& program, const std::string& path, std::vector<bool>& there) {
  host.on_command(program, [&there, path](FakeSystem& now, const Command&, bool) {
    there.push_back(now.exists(path));
    return CommandOutput{.out = fake_limits};
  });
}

RestartedSince restarted() {
  RestartedSince k3s{.units = {"k3s.service"}, .config = AbsPath("/etc/k3s.yaml")};
  k3s.ready["k3s.service"] = {"k3s", "kubectl", "get", "--raw=/readyz"};
  return k3s;
}

TEST(Engine, OtherChainsActWhileOneWaitsAndStepsKeepTheirOrder) {
  FakeSystem host = fake_debian();
  std::vector<bool> b_was_there;
  note_calls(host, "k3s", "/etc/b", b_was_there);
  Recorder recorder;
  const Tally tally = apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted(), file("/etc/after", "x")}),
                             work_of("b", {file("/etc/b", "x")})},
                            host, recorder, {});
  EXPECT_EQ(recorder.ids(), "file:/etc/k3s.yaml, restarted:k3s.service, file:/etc/after, file:/etc/b");
  EXPECT_EQ(recorder.outcomes(), "changed, changed, changed, changed");
  EXPECT_EQ(b_was_there, std::vector<bool>(3, true)) << "it was waited for before the other chain had acted";
  const std::vector<std::string> order{"write /etc/k3s.yaml 0644 0:0", "run systemctl restart --no-block k3s.service",
                                       "write /etc/b 0644 0:0", "write /etc/after 0644 0:0"};
  EXPECT_EQ(host.mutations(), order);
  EXPECT_EQ(exit_code(Verb::apply, tally), 0);
}

LoadedUnit loaded_slice() {
  return {.unit = "user-1000.slice",
          .drop_in = AbsPath("/etc/systemd/system/user-1000.slice.d/a.conf"),
          .properties = {{.name = "TasksMax", .value = "512", .written = "512"}}};
}

std::vector<Work> a_reload_and_others() {
  return {work_of("slice", {Directory{.place = AbsPath("/etc/systemd/system/user-1000.slice.d")},
                            file("/etc/systemd/system/user-1000.slice.d/a.conf", "[Slice]\nTasksMax=512\n"),
                            loaded_slice(), file("/etc/after", "x")}),
          work_of("k3s", {file("/etc/k3s.yaml", "x"), restarted()}), work_of("b", {file("/etc/b", "x")}),
          work_of("c", {file("/etc/c", "x")})};
}

TEST(Engine, OtherChainsActWhileSystemdReadsItsFilesAndWhatAsksItWaits) {
  FakeSystem host = fake_debian();
  host.on_command("k3s", [](FakeSystem&, const Command&, bool) { return CommandOutput{}; });
  host.under_way = [&host](const Command&) { return !host.exists("/etc/b"); };
  Recorder recorder;
  apply(a_reload_and_others(), host, recorder, {});
  const std::vector<std::string> order{"write /etc/k3s.yaml 0644 0:0",
                                       "write /etc/b 0644 0:0",
                                       "run systemctl daemon-reload",
                                       "write /etc/after 0644 0:0",
                                       "run systemctl restart --no-block k3s.service",
                                       "write /etc/c 0644 0:0"};
  std::vector<std::string> made = host.mutations();
  made.erase(made.begin(), made.begin() + 2);
  EXPECT_EQ(made, order);
  EXPECT_EQ(recorder.ids(),
            "directory:/etc/systemd/system/user-1000.slice.d, file:/etc/systemd/system/user-1000.slice.d/a.conf,"
            " loaded:user-1000.slice, file:/etc/after, file:/etc/k3s.yaml, restarted:k3s.service, file:/etc/b,"
            " file:/etc/c");
}

TEST(Engine, TwoReloadsComeOneAfterTheOther) {
  FakeSystem host = fake_debian();
  host.under_way = [](const Command&) { return true; };
  std::vector<Work> work = a_reload_and_others();
  work.push_back(work_of("swap", {FstabEntry{.spec = "/swapfile"}, file("/etc/swapped", "x")}));
  Recorder recorder;
  apply(work, host, recorder, {});
  const std::vector<std::string> all = host.mutations();
  const auto at = [&](const char* what) { return std::find(all.begin(), all.end(), what) - all.begin(); };
  EXPECT_LT(at("run systemctl daemon-reload"), at("write /etc/fstab 0644 0:0")) << "one was begun beside the other";
  EXPECT_EQ(std::count(all.begin(), all.end(), "run systemctl daemon-reload"), 2);
  EXPECT_EQ(recorder.outcomes().find("failed"), std::string::npos) << recorder.outcomes();
}

TEST(Engine, AReloadThatOutlastsAllOthersIsWaitedFor) {
  FakeSystem host = fake_debian();
  host.on_command("k3s", [](FakeSystem&, const Command&, bool) { return CommandOutput{}; });
  host.under_way = [](const Command&) { return true; };
  Recorder recorder;
  const Tally tally = apply(a_reload_and_others(), host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "changed, changed, changed, changed, changed, changed, changed, changed");
  EXPECT_EQ(host.mutations().back(), "run systemctl restart --no-block k3s.service");
  EXPECT_EQ(exit_code(Verb::apply, tally), 0);
}

TEST(Engine, WhatDidNotComeAboutBlocksTheRestOfItsChain) {
  FakeSystem host = fake_debian();
  host.on_command("k3s", [](FakeSystem&, const Command&, bool) { return CommandOutput{.exit_code = 1}; });
  Recorder recorder;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted(), file("/etc/after", "x")}),
         work_of("b", {file("/etc/b", "x")}), work_of("c", {file("/etc/c", "x")}, {"a"})},
        host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "changed, failed, blocked, changed, blocked");
  EXPECT_FALSE(host.exists("/etc/after"));
  EXPECT_FALSE(host.exists("/etc/c"));
}

TEST(Engine, WorkThatNeedsAnotherBeginsWhenThatHasSettled) {
  FakeSystem host = fake_debian();
  std::vector<bool> b_was_there;
  note_calls(host, "k3s", "/etc/b", b_was_there);
  Recorder recorder;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()}), work_of("b", {file("/etc/b", "x")}, {"a"})}, host,
        recorder, {});
  EXPECT_EQ(recorder.outcomes(), "changed, changed, changed");
  EXPECT_EQ(b_was_there, std::vector<bool>(3, false));
}

TEST(Engine, ProofsAreAskedWhenEveryChainHasActed) {
  FakeSystem host = fake_debian();
  std::vector<bool> b_was_there;
  note_calls(host, "systemd-run", "/etc/b", b_was_there);
  const Person user = host.people().at("tegwick");
  Recorder recorder;
  apply({work_of("a", {file("/etc/a", "x"), LoginLimitInEffect{.user = user, .soft = 512, .hard = 1024}}),
         work_of("b", {file("/etc/b", "x")})},
        host, recorder, {});
  EXPECT_EQ(recorder.ids(), "file:/etc/a, login:tegwick:nproc, file:/etc/b");
  EXPECT_EQ(recorder.steps[1].checks.front().actual, "512");
  EXPECT_EQ(b_was_there, std::vector<bool>{true});
}

RunCommand bare_command(const std::string& program) { return RunCommand{.argv = {program}}; }

/// A service that is ready from the third question on; whether it is, is noted at each call of `program`.
void note_readiness(FakeSystem& host, const std::string& program, std::vector<bool>& ready) {
  const auto asked = std::make_shared<int>(0);
  host.on_command(
      "k3s", [asked](FakeSystem&, const Command&, bool) { return CommandOutput{.exit_code = ++*asked < 3 ? 1 : 0}; });
  host.on_command(program, [asked, &ready](FakeSystem&, const Command&, bool) {
    ready.push_back(*asked >= 3);
    return CommandOutput{};
  });
}

TEST(Engine, ACommandRunsWhenWhatIsBeforeItHasBecomeReady) {
  FakeSystem host = fake_debian();
  std::vector<bool> ready;
  note_readiness(host, "deploy", ready);
  Recorder recorder;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()}), work_of("b", {bare_command("deploy")})}, host,
        recorder, {});
  EXPECT_EQ(recorder.outcomes(), "changed, changed, changed");
  EXPECT_EQ(ready, std::vector<bool>{true});
}

TEST(Engine, AServiceIsReachedWhenWhatIsBeforeItHasBecomeReady) {
  FakeSystem host = fake_debian();
  host.asks_ahead = true;
  std::vector<bool> ready;
  note_readiness(host, "git", ready);
  Recorder recorder;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()}),
         work_of("b", {file("/etc/b", "x"), GitReached{host.people().at("tegwick"), AbsPath("/home/tegwick/r")}})},
        host, recorder, {});
  EXPECT_EQ(recorder.outcomes(), "changed, changed, changed, in sync");
  EXPECT_EQ(ready, std::vector<bool>{true});
}

TEST(Engine, AProofIsNotAnsweredFromBeforeWhatItProvesHasComeAbout) {
  FakeSystem host = fake_debian();
  host.asks_ahead = true;
  const Person user = host.people().at("tegwick");
  const LoginLimitInEffect session{.user = user, .soft = 512, .hard = 1024};
  int asked = 0;
  host.on_command(
      "k3s", [&asked](FakeSystem&, const Command&, bool) { return CommandOutput{.exit_code = ++asked < 3 ? 1 : 0}; });
  host.on_command("systemd-run", [&asked](FakeSystem&, const Command&, bool) {
    return CommandOutput{.out = asked < 3 ? "" : fake_limits};
  });
  Recorder recorder;
  apply(
      {work_of("a", {file("/etc/k3s.yaml", "x"), restarted(), session}), work_of("b", {file("/etc/b", "x"), session})},
      host, recorder, {});
  EXPECT_EQ(recorder.steps.at(2).checks.front().actual, "512");
}

/// How often `program` was asked, and after how many changes of the host last.
struct Asked {
  int times = 0;
  std::size_t after = 0;
};

Asked ask_of_a_session(std::vector<Work> more) {
  FakeSystem host = fake_debian();
  host.asks_ahead = true;
  Asked asked;
  host.on_command("systemd-run", [&asked](FakeSystem& now, const Command&, bool) {
    asked = {asked.times + 1, now.mutations().size()};
    return CommandOutput{.out = fake_limits};
  });
  const LoginLimitInEffect session{.user = host.people().at("tegwick"), .soft = 512, .hard = 1024};
  std::vector<Work> work{work_of("a", {file("/etc/a", "x"), session})};
  std::move(more.begin(), more.end(), std::back_inserter(work));
  Recorder recorder;
  apply(work, host, recorder, {});
  EXPECT_EQ(host.mutations().size(), work.size());
  return asked;
}

TEST(Engine, WhatRestsOnRootAloneIsAskedWhileUsersThingsAreChanged) {
  const Person user = fake_debian().people().at("tegwick");
  File theirs = file("/home/tegwick/b", "x");
  theirs.place.as = user;
  theirs.owner = {user.uid, user.gid};
  const Asked before = ask_of_a_session({work_of("b", {theirs})});
  EXPECT_EQ(before.times, 1);
  EXPECT_EQ(before.after, 1U);
  const Asked after = ask_of_a_session({work_of("b", {theirs}), work_of("c", {file("/etc/c", "x")})});
  EXPECT_EQ(after.times, 1);
  EXPECT_EQ(after.after, 3U);
}

TEST(Engine, WhatHasToBeWaitedForGoesOnWhileOthersAct) {
  FakeSystem host = fake_debian();
  host.asks_ahead = true;
  std::vector<std::size_t> after;  // how many changes each question came
  host.on_command("k3s", [&after](FakeSystem& now, const Command&, bool) {
    after.push_back(now.mutations().size());
    return CommandOutput{};
  });
  std::vector<Declared> files;
  for (int i = 0; i < 20; ++i) files.push_back({file("/etc/file" + std::to_string(i), "x"), {}});
  Work others = work_of("b", {});
  others.rendered.chain = std::move(files);
  Recorder recorder;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()}), others}, host, recorder, {});
  EXPECT_EQ(recorder.steps.size(), 22U);
  ASSERT_FALSE(after.empty());
  EXPECT_LT(after.back(), host.mutations().size());
}

TEST(Engine, WhatFollowsAChangeIsAChangeInPlanAndInApply) {
  FakeSystem host = fake_debian();
  const std::string drop_in = "/etc/systemd/system/user-1000.slice.d/limits.conf";
  host.put_directory("/etc/systemd/system/user-1000.slice.d");
  // systemd reads a slice that nobody uses when it is asked for it.
  host.unit_hook = [&](const FakeSystem& now, std::string_view, UnitProperties& unit) {
    if (now.exists(drop_in)) unit["DropInPaths"] = drop_in;
  };
  LoadedUnit slice;
  slice.unit = "user-1000.slice";
  slice.drop_in = AbsPath(drop_in);
  const std::vector<Work> work{work_of("a", {file(drop_in, "[Slice]\nMemoryMax=1G\n"), slice})};
  Recorder planned, applied, again;
  plan(work, host, planned, {});
  apply(work, host, applied, {});
  apply(work, host, again, {});
  EXPECT_EQ(planned.outcomes(), "out of sync, out of sync");
  EXPECT_EQ(applied.outcomes(), "changed, changed");
  EXPECT_EQ(applied.steps[1].note, "follows the change of " + drop_in);
  EXPECT_EQ(again.outcomes(), "in sync, in sync");
}

TEST(Engine, NothingFollowsAChangeOfModeOrWhatIsStopped) {
  FakeSystem host = fake_debian();
  Recorder first, moded, stopped;
  apply({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()})}, host, first, {});
  host.set_mode("/etc/k3s.yaml", Mode{0600});
  plan({work_of("a", {file("/etc/k3s.yaml", "x"), restarted()})}, host, moded, {});
  EXPECT_EQ(moded.outcomes(), "out of sync, in sync");
  host.units["k3s.service"]["ActiveState"] = "inactive";
  plan({work_of("a", {file("/etc/k3s.yaml", "y"), restarted()})}, host, stopped, {});
  EXPECT_EQ(stopped.outcomes(), "out of sync, in sync");
}

TEST(Engine, ADeepProofIsNotAskedWhereNothingChanged) {
  FakeSystem host = fake_debian();
  std::vector<bool> asked;
  note_calls(host, "systemd-run", "/etc/b", asked);
  const Person user = host.people().at("tegwick");
  Recorder recorder;
  apply({work_of("a", {LoginLimitInEffect{.user = user, .soft = 512, .hard = 1024}}),
         work_of("b", {file("/etc/b", "x")})},
        host, recorder, {});
  EXPECT_EQ(recorder.ids(), "file:/etc/b");
  EXPECT_TRUE(asked.empty());
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

std::string contradictions(std::vector<Resource> first, std::vector<Resource> second, std::string skipped = {}) {
  std::vector<Work> work{work_of("a", std::move(first)), work_of("b", std::move(second))};
  work[1].skipped = std::move(skipped);
  Diagnostics found;
  find_contradictions(work, found);
  std::string out;
  for (const Diagnostic& each : found) out += each.message;
  return out;
}

TEST(Contradictions, AreTwoWillsAboutOneThing) {
  const auto said = [](std::string_view what, std::string_view property) {
    return "'" + std::string(what) + "' is declared at - too, with another " + std::string(property);
  };
  const AbsPath x("/etc/x");
  File readable = file("/etc/x", "a\n"), gone{.place = x, .absent = true};
  readable.mode = Mode{0600};
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {file("/etc/x", "b\n")}), said("/etc/x", "content"));
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {readable}), said("/etc/x", "mode"));
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {gone}), said("/etc/x", "state"));
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {Directory{.place = x}}),
            said("/etc/x", "kind: it is a file there"));
  EXPECT_EQ(contradictions({Directory{.place = x}}, {Directory{.place = x, .mode = Mode{0700}}}),
            said("/etc/x", "mode"));
  EXPECT_EQ(contradictions({SymbolicLink{.place = x, .target = "a"}}, {SymbolicLink{.place = x, .target = "b"}}),
            said("/etc/x", "target"));
  EXPECT_EQ(contradictions({Swap{.path = x, .size = 1_GiB}}, {Swap{.path = x, .size = 2_GiB}}), said("/etc/x", "size"));
  EXPECT_EQ(contradictions({Sysctl{"vm.swappiness", "10", x}}, {Sysctl{"vm/swappiness", "20", x}}),
            said("kernel parameter vm.swappiness", "value"));
  EXPECT_EQ(
      contradictions({Service{.name = "k3s", .running = true}}, {Service{.name = "k3s.service", .running = false}}),
      said("service k3s", "running"));
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {Line{.place = x, .line = "b"}}), said("/etc/x", "content"));
  EXPECT_EQ(contradictions({Line{.place = x, .line = "a=1", .match = "^a="}},
                           {Line{.place = x, .line = "a=2", .match = "^a="}}),
            said("line:/etc/x:^a=", "line"));
  EXPECT_EQ(contradictions({Block{.place = x, .name = "n", .content = "b\n"}}, {file("/etc/x", "a\n")}),
            said("/etc/x", "content"));
}

TEST(Contradictions, AreNotWhatHoldsTogether) {
  const AbsPath x("/etc/x");
  EXPECT_EQ(contradictions({Directory{.place = x}}, {Directory{.place = x}}), "");
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {Line{.place = x, .line = "a"}}), "");
  EXPECT_EQ(contradictions({Line{.place = x, .line = "a"}}, {Line{.place = x, .line = "b"}}), "");
  EXPECT_EQ(contradictions({Service{.name = "k3s", .running = true}}, {Service{.name = "k3s", .enabled = false}}), "");
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {file("/etc/x", "b\n")}, "when: is false"), "");
  EXPECT_EQ(contradictions({file("/etc/x", "a\n")}, {file("/etc/y", "b\n")}), "");
}

}  // namespace
}  // namespace converge
