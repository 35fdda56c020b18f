#include "primitives/restarted_since.h"

#include "tests/primitives/mutation_table.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

const std::string config = "/etc/rancher/k3s/registries.yaml";

RestartedSince k3s() {
  return {.units = {"k3s.service", "k3s-agent.service"},
          .config = AbsPath(config),
          .ready = {{"k3s.service", {"/usr/local/bin/k3s", "kubectl", "get", "--raw=/readyz"}}}};
}

FakeSystem with_newer_file() {
  FakeSystem host = fake_debian();
  host.tick();
  host.put_file(config, "mirrors: {}\n", Mode{0600});
  host.tick();
  return host;
}

TEST(RestartedSince, AFileNewerThanTheServiceRestartsItOnce) {
  run_mutation_table(k3s(), with_newer_file, {{"started", [](FakeSystem& host) {
                                                 host.put_file(config, "mirrors: {a: {}}\n", Mode{0600});
                                                 host.tick();
                                               }}});
  FakeSystem host = with_newer_file();
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(std::vector<std::string>{"run systemctl restart --no-block k3s.service"}, host.mutations());
}

TEST(RestartedSince, TheAgentUnitCountsWhereThereIsNoServer) {
  FakeSystem host = with_newer_file();
  host.units["k3s-agent.service"] = host.units["k3s.service"];
  host.units.erase("k3s.service");
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(std::vector<std::string>{"run systemctl restart --no-block k3s-agent.service"}, host.mutations());
}

TEST(RestartedSince, NothingIsRestartedThatDoesNotRun) {
  FakeSystem stopped = with_newer_file();
  stopped.units["k3s.service"]["ActiveState"] = "inactive";
  EXPECT_TRUE(all_pass(checks_of(k3s(), stopped)));
  EXPECT_NE(std::string::npos, checks_of(k3s(), stopped).front().detail.find("next start"));
  FakeSystem missing = with_newer_file();
  missing.units.erase("k3s.service");
  EXPECT_TRUE(all_pass(checks_of(k3s(), missing)));
  EXPECT_NE(std::string::npos, checks_of(k3s(), missing).front().detail.find("not installed"));
  FakeSystem no_file = fake_debian();
  EXPECT_TRUE(all_pass(checks_of(k3s(), no_file)));
  FakeSystem neither = with_newer_file();
  neither.systemd = false;
  EXPECT_EQ(Verdict::skipped, checks_of(k3s(), neither).front().verdict);
}

TEST(RestartedSince, TheOneThatRunsCountsBeforeTheFirst) {
  FakeSystem host = with_newer_file();
  host.units["k3s-agent.service"] = host.units["k3s.service"];
  host.units["k3s.service"]["ActiveState"] = "inactive";
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(std::vector<std::string>{"run systemctl restart --no-block k3s-agent.service"}, host.mutations());
}

FakeSystem on_openrc(bool running) {
  FakeSystem host = with_newer_file();
  install_openrc(host);
  put_openrc_service(host, "k3s", running, true);
  host.on_command("k3s", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> { return CommandOutput{}; });
  return host;
}

TEST(RestartedSince, OpenRcSaysWhenItStartedItByItsOwnFiles) {
  for (const std::string file : {"/run/openrc/options/k3s/start_time", "/run/openrc/daemons/k3s/001"}) {
    FakeSystem host = on_openrc(true);
    EXPECT_EQ(Verdict::unknown, checks_of(k3s(), host).front().verdict) << "it does not say";
    host.put_file(file, "x\n");
    host.tick();
    EXPECT_TRUE(all_pass(checks_of(k3s(), host)));
    host.put_file(config, "mirrors: {a: {}}\n", Mode{0600});
    host.tick();
    EXPECT_EQ(Verdict::fail, checks_of(k3s(), host).front().verdict);
  }
  FakeSystem stopped = on_openrc(false);
  EXPECT_TRUE(all_pass(checks_of(k3s(), stopped)));
}

TEST(RestartedSince, UnderOpenRcItIsRestartedByRcService) {
  FakeSystem host = on_openrc(true);
  host.put_file("/run/openrc/daemons/k3s/001", "x\n");
  host.tick();
  host.put_file(config, "mirrors: {a: {}}\n", Mode{0600});
  host.tick();
  expect_heals(k3s(), host);
  host.put_file(config, "mirrors: {b: {}}\n", Mode{0600});
  host.tick();
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(std::vector<std::string>{"run rc-service k3s restart"}, host.mutations());
}

TEST(RestartedSince, IsReadyOnlyWhenItsNodeIs) {
  RestartedSince p = k3s();
  p.joined = {{"k3s.service", {"/usr/local/bin/k3s", "kubectl", "wait", "node/coulombcore"}}};
  FakeSystem host = with_newer_file();
  host.on_command("k3s", [](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    const bool node = command.argv.back() == "node/coulombcore";
    return CommandOutput{node ? 1 : 0, {}, node ? "timed out waiting for the condition\n" : ""};
  });
  const Status done = apply_once(p, host);
  ASSERT_FALSE(done);
  EXPECT_NE(std::string::npos, done.error().message.find("timed out waiting for the condition"));
  install_k3s(host);
  host.put_file(config, "mirrors: {c: {}}\n", Mode{0600});
  host.tick();
  EXPECT_TRUE(apply_once(p, host));
}

TEST(RestartedSince, TheNodeIsAskedWhenTheServiceHasAnsweredThreeTimesInARow) {
  RestartedSince p = k3s();
  p.joined = {{"k3s.service", {"/usr/local/bin/k3s", "node"}}};
  FakeSystem host = with_newer_file();
  std::string asked;
  host.on_command("k3s", [&asked](FakeSystem&, const Command& command, bool) {
    const bool node = command.argv.back() == "node";
    asked += node ? 'n' : 'r';
    // The service is away once after two answers; its node is ready at the second question.
    return CommandOutput{.exit_code = asked == "rrr" || asked == "rrrrrrn" ? 1 : 0};
  });
  EXPECT_TRUE(apply_once(p, host));
  EXPECT_EQ(asked, "rrrrrrnrn");
}

TEST(RestartedSince, AServiceThatIsJustStartingIsWaitedForAndNotRestarted) {
  FakeSystem host = with_newer_file();
  ASSERT_TRUE(apply_once(k3s(), host));
  host.forget_mutations();
  int looks = 0;
  host.unit_hook = [&](const FakeSystem&, std::string_view unit, UnitProperties& properties) {
    if (unit == "k3s.service" && ++looks < 4) properties["ActiveState"] = "activating";
  };
  EXPECT_EQ(Verdict::fail, find_check(checks_of(k3s(), host), "state")->verdict);
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_TRUE(host.mutations().empty());
  EXPECT_TRUE(all_pass(checks_of(k3s(), host)));
}

TEST(RestartedSince, AServiceThatStartsWithAnOldFileIsRestarted) {
  FakeSystem host = with_newer_file();
  host.units["k3s.service"]["ActiveState"] = "activating";
  ASSERT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(std::vector<std::string>{"run systemctl restart --no-block k3s.service"}, host.mutations());
}

TEST(RestartedSince, AServiceThatNeverEndsStartingIsReported) {
  FakeSystem host = with_newer_file();
  ASSERT_TRUE(apply_once(k3s(), host));
  host.units["k3s.service"]["ActiveState"] = "activating";
  const Status done = apply_once(k3s(), host);
  ASSERT_FALSE(done);
  EXPECT_EQ(Errc::timeout, done.error().code);
  EXPECT_NE(std::string::npos, done.error().message.find("not ready 300 s later: it is activating"));
}

/// k3s runs with a mirror, and its file was touched since.
FakeSystem touched(const std::string& content, const std::string& now) {
  FakeSystem host = fake_debian();
  host.put_file(config, content, Mode{0600});
  k3s_has_started(host);
  host.tick();
  host.put_file(config, now, Mode{0600});
  host.tick();
  return host;
}

TEST(RestartedSince, AFileThatWasMerelyTouchedRestartsNothing) {
  RestartedSince p = k3s();
  p.containerd = AbsPath("/var/lib/rancher/k3s");
  const std::string one = "mirrors:\n  \"a:5000\":\n    endpoint:\n      - \"http://a:5000\"\n";
  const std::string two = one + "  \"b:5000\":\n    endpoint:\n      - \"http://b:5000\"\n";
  EXPECT_TRUE(all_pass(checks_of(p, touched(one, one))));
  EXPECT_TRUE(all_pass(checks_of(p, touched(two, "# told\n" + two))));
  EXPECT_FALSE(all_pass(checks_of(k3s(), touched(one, one)))) << "without a proof it is restarted";
  for (const std::string& now :
       {two, std::string("mirrors: {}\n"), std::string("mirrors: {\n"), one + "configs: {a: {auth: {username: x}}}\n",
        one + "    rewrite: {a: b}\n", one + "  c:\n"}) {
    FakeSystem host = touched(one, now);
    EXPECT_EQ(Verdict::fail, find_check(checks_of(p, host), "started")->verdict) << now;
    const Status done = apply_once(p, host);
    EXPECT_EQ(std::vector<std::string>{"run systemctl restart --no-block k3s.service"}, host.mutations()) << now;
  }
  EXPECT_FALSE(all_pass(checks_of(p, touched(two, one)))) << "a mirror that was taken away is still in effect";
  FakeSystem theirs = touched(one, one);
  theirs.put_file("/var/lib/rancher/k3s/agent/etc/containerd/certs.d/x/hosts.toml", "[host.\"http://x/v2\"]\n");
  EXPECT_TRUE(all_pass(checks_of(p, theirs)));
}

TEST(RestartedSince, AFileFromTheFutureIsReportedAndRestartsNothing) {
  FakeSystem host = fake_debian();
  FakeSystem later = host;
  later.tick(std::chrono::hours(1));
  later.put_file(config, "mirrors: {}\n");
  later.tick(-std::chrono::minutes(30));
  expect_refused(k3s(), later, Errc::refused, "still to come");
}

TEST(RestartedSince, AFailedServiceIsStartedByANewFileOnly) {
  FakeSystem host = with_newer_file();
  host.units["k3s.service"]["ActiveState"] = "failed";
  EXPECT_EQ(Verdict::fail, find_check(checks_of(k3s(), host), "state")->verdict);
  expect_heals(k3s(), host);
  host.units["k3s.service"]["ActiveState"] = "failed";
  expect_refused(k3s(), host, Errc::refused, "journalctl -u k3s.service");
}

/// systemctl restart leaves the unit as `after` says, started now.
FakeSystem restarting_into(const UnitProperties& after) {
  FakeSystem host = with_newer_file();
  host.on_command("systemctl", [after](FakeSystem& now, const Command&, bool) -> Result<CommandOutput> {
    auto& unit = now.units["k3s.service"];
    for (const auto& [key, value] : after) unit[key] = value;
    unit["ActiveEnterTimestamp"] = std::to_string(now.now().micros);
    return CommandOutput{};
  });
  return host;
}

TEST(RestartedSince, AStartThatFailsIsReportedWithTheJournal) {
  FakeSystem failed = restarting_into({{"ActiveState", "failed"}});
  const Status done = apply_once(k3s(), failed);
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().message.starts_with("k3s.service failed to start")) << done.error().message;
  EXPECT_NE(std::string::npos, done.error().hint.find("journalctl -u k3s.service")) << done.error().hint;
  FakeSystem loop = restarting_into({{"ActiveState", "activating"}, {"NRestarts", "3"}});
  const Status again = apply_once(k3s(), loop);
  ASSERT_FALSE(again);
  EXPECT_NE(std::string::npos, again.error().message.find("dies again and again"));
}

/// k3s ran with the version before, and does not become ready with the one that was just written.
FakeSystem with_a_bad_file() {
  FakeSystem host = with_newer_file();
  host.put_file(config, "mirrors: {good: {}}\n", Mode{0600});
  host.tick();
  EXPECT_TRUE(apply_once(k3s(), host));
  EXPECT_TRUE(host.write_file(AbsPath(config), "mirrors: {bad: {}}\n", {.mode = Mode{0600}, .backup = true}));
  host.tick();
  host.forget_mutations();
  host.on_command("k3s", [](FakeSystem& now, const Command&, bool) -> Result<CommandOutput> {
    const bool bad = now.content(config).find("bad") != std::string::npos;
    return CommandOutput{bad ? 1 : 0, {}, bad ? "connection refused\n" : ""};
  });
  return host;
}

TEST(RestartedSince, PutsTheVersionBeforeBackWhenTheServiceDoesNotBecomeReady) {
  FakeSystem host = with_a_bad_file();
  const Status done = apply_once(k3s(), host);
  ASSERT_FALSE(done) << "going back is no success";
  EXPECT_EQ(host.content(config), "mirrors: {good: {}}\n");
  EXPECT_EQ(host.mutations(),
            (std::vector<std::string>{"run systemctl restart --no-block k3s.service", "write " + config + " 0600 0:0",
                                      "run systemctl restart --no-block k3s.service"}));
  EXPECT_NE(std::string::npos, done.error().message.find("connection refused")) << done.error().message;
  EXPECT_NE(std::string::npos, done.error().message.find("k3s.service is ready again")) << done.error().message;
  EXPECT_TRUE(all_pass(checks_of(k3s(), host)));
}

TEST(RestartedSince, GoesBackAfterACrashBetweenWriteAndRestartToo) {
  FakeSystem host = with_a_bad_file();
  host.die_at_mutation(1);
  EXPECT_THROW((void)apply_once(k3s(), host), ProcessDied);
  host.clear_faults();
  EXPECT_FALSE(apply_once(k3s(), host));
  EXPECT_EQ(host.content(config), "mirrors: {good: {}}\n");
}

TEST(RestartedSince, SaysWhereTheVersionBeforeIsWhenItCannotPutItBack) {
  FakeSystem host = with_a_bad_file();
  host.fail_mutation(2, Errc::no_space);
  const Status done = apply_once(k3s(), host);
  ASSERT_FALSE(done);
  EXPECT_NE(std::string::npos, done.error().hint.find("cp /var/lib/converge/backup/")) << done.error().hint;
  EXPECT_EQ(host.content(config), "mirrors: {bad: {}}\n");
}

TEST(RestartedSince, DoesNotGoBackToAVersionFromLongAgo) {
  FakeSystem host = with_a_bad_file();
  host.tick(std::chrono::hours(24));
  host.put_file(config, "mirrors: {bad: {by: hand}}\n", Mode{0600});
  host.tick();
  const Status done = apply_once(k3s(), host);
  ASSERT_FALSE(done);
  EXPECT_EQ(host.content(config), "mirrors: {bad: {by: hand}}\n");
  EXPECT_NE(std::string::npos, done.error().message.find("no earlier version")) << done.error().message;
}

TEST(RestartedSince, AProgramThatCannotBeAskedIsNoReasonToGoBack) {
  FakeSystem host = with_a_bad_file();
  host.without_command("k3s");
  EXPECT_FALSE(apply_once(k3s(), host));
  EXPECT_EQ(host.content(config), "mirrors: {bad: {}}\n");
}

TEST(RestartedSince, WaitsForReadinessUntilItsDeadline) {
  FakeSystem host = with_newer_file();
  int asked = 0;
  host.on_command("k3s", [&asked](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
    ++asked;
    return CommandOutput{asked < 5 ? 1 : 0, {}, {}};
  });
  EXPECT_TRUE(apply_once(k3s(), host));
  EXPECT_EQ(7, asked) << "three successes in a row";

  FakeSystem never = with_newer_file();
  never.on_command("k3s", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
    return CommandOutput{1, {}, "connection refused\n"};
  });
  const Timestamp before = never.now();
  const Status done = apply_once(k3s(), never);
  ASSERT_FALSE(done);
  EXPECT_EQ(Errc::timeout, done.error().code);
  EXPECT_NE(std::string::npos, done.error().message.find("connection refused"));
  EXPECT_LT(never.now().micros - before.micros, 310'000'000);
}

}  // namespace
}  // namespace converge
