// Service and RunCommand.
#include "primitives/command.h"
#include "primitives/service.h"
#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

Service k3s(std::optional<bool> running, std::optional<bool> enabled) {
  return {.name = "k3s", .running = running, .enabled = enabled};
}

FakeSystem fake_alpine() {
  FakeSystem host = fake_debian();
  install_openrc(host);
  put_openrc_service(host, "k3s", true, true);
  return host;
}

void set(FakeSystem& host, const std::string& key, const std::string& value) { host.units["k3s.service"][key] = value; }

TEST(ServiceMutations, EachPropertyAloneUnderSystemd) {
  run_mutation_table(k3s(true, true), fake_debian,
                     {{"running", [](FakeSystem& host) { set(host, "ActiveState", "failed"); }},
                      {"running", [](FakeSystem& host) { set(host, "ActiveState", "activating"); }},
                      {"enabled", [](FakeSystem& host) { set(host, "UnitFileState", "disabled"); }},
                      {"enabled", [](FakeSystem& host) { set(host, "UnitFileState", "enabled-runtime"); }}});
  run_mutation_table(k3s(false, false), fake_debian,
                     {{"running", [](FakeSystem& host) { set(host, "ActiveState", "active"); }},
                      {"enabled", [](FakeSystem& host) { set(host, "UnitFileState", "enabled"); }}});
}

TEST(ServiceMutations, EachPropertyAloneUnderOpenRc) {
  run_mutation_table(k3s(true, true), fake_alpine,
                     {{"running", [](FakeSystem& host) { host.erase("/run/openrc/started/k3s"); }},
                      {"enabled", [](FakeSystem& host) { host.erase("/etc/runlevels/default/k3s"); }}});
  run_mutation_table(k3s(false, false), fake_alpine,
                     {{"running", [](FakeSystem& host) { put_openrc_service(host, "k3s", true, false); }},
                      {"enabled", [](FakeSystem& host) { put_openrc_service(host, "k3s", false, true); }}});
}

TEST(ServiceMutations, WhatIsToRunEarlyIsInRunlevelBootUnderOpenRc) {
  const Service early{.name = "k3s", .running = {}, .enabled = true, .early = true};
  run_mutation_table(early, fake_alpine,
                     {{"enabled", [](FakeSystem& host) { host.erase("/etc/runlevels/boot/k3s"); }},
                      {"enabled", [](FakeSystem& host) {
                         host.erase("/etc/runlevels/boot/k3s");
                         put_openrc_service(host, "k3s", true, true);  // in runlevel default
                       }}});
  FakeSystem host = fake_alpine();
  host.put_symlink("/etc/runlevels/sysinit/k3s", "/etc/init.d/k3s");
  EXPECT_TRUE(all_pass(checks_of(early, host)));
}

TEST(ServiceMutations, AnotherServiceThatDoesTheSameCountsWhereThereIsNoSuchOne) {
  const Service swap{.name = "swap", .running = {}, .enabled = true, .early = true, .instead = {"none", "k3s"}};
  FakeSystem host = fake_alpine();
  expect_heals(swap, host);
  EXPECT_TRUE(host.exists("/etc/runlevels/boot/k3s"));
  put_openrc_service(host, "swap", false, false);
  EXPECT_FALSE(all_pass(checks_of(swap, host)));
  expect_heals(swap, host);
  EXPECT_TRUE(host.exists("/etc/runlevels/boot/swap"));
  host = fake_alpine();
  host.erase("/etc/init.d/k3s");
  expect_refused(swap, host, Errc::refused, "no service 'swap'");
}

TEST(ServiceOrder, WhatRunsIsEnabledFirstAndWhatStopsIsStoppedFirst) {
  FakeSystem host = fake_debian();
  ASSERT_TRUE(apply_once(k3s(false, false), host));
  EXPECT_EQ((std::vector<std::string>{"run systemctl stop k3s.service", "run systemctl disable k3s.service"}),
            host.mutations());
  host.forget_mutations();
  ASSERT_TRUE(apply_once(k3s(true, true), host));
  EXPECT_EQ((std::vector<std::string>{"run systemctl enable k3s.service", "run systemctl start k3s.service"}),
            host.mutations());
}

TEST(ServiceRefusals, MaskedStaticAndMissingUnitsAreExplained) {
  FakeSystem host = fake_debian();
  set(host, "LoadState", "masked");
  set(host, "UnitFileState", "masked");
  set(host, "ActiveState", "inactive");
  expect_refused(k3s(true, std::nullopt), host, Errc::refused, "is masked");
  expect_refused(k3s(std::nullopt, true), host, Errc::refused, "systemctl unmask k3s.service");
  EXPECT_TRUE(all_pass(checks_of(k3s(false, false), host)));
  set(host, "LoadState", "loaded");
  set(host, "UnitFileState", "static");
  expect_refused(k3s(std::nullopt, true), host, Errc::refused, "is static");
  EXPECT_TRUE(all_pass(checks_of(k3s(std::nullopt, false), host)));
  host.units.erase("k3s.service");
  const Checks checks = checks_of(k3s(true, true), host);
  EXPECT_EQ("not found", find_check(checks, "unit")->actual);
  expect_refused(k3s(true, true), host, Errc::refused, "no service 'k3s'");
  EXPECT_TRUE(all_pass(checks_of(k3s(false, false), host)));
}

TEST(ServiceUnknown, WithoutAManagerNothingIsClaimed) {
  FakeSystem host = fake_debian();
  host.systemd = false;
  const Checks checks = checks_of(k3s(true, true), host);
  EXPECT_TRUE(any_unknown(checks));
  EXPECT_FALSE(any_fails(checks));
}

TEST(ServiceFailures, SayWhatTheManagerSaid) {
  FakeSystem host = fake_debian();
  set(host, "ActiveState", "inactive");
  host.on_command("systemctl", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
    return CommandOutput{1, "", "Job for k3s.service failed.\nSee journalctl.\n"};
  });
  const Status done = apply_once(k3s(true, std::nullopt), host);
  ASSERT_FALSE(done);
  EXPECT_EQ(Errc::command_failed, done.error().code);
  EXPECT_EQ("'systemctl start k3s.service' ended with status 1: Job for k3s.service failed.", done.error().message);
  EXPECT_EQ("look at: journalctl -u k3s.service", done.error().hint);
}

RunCommand touch() { return {.argv = {"touch", "/var/lib/x"}, .creates = AbsPath("/var/lib/x")}; }

FakeSystem host_with_touch() {
  FakeSystem host = fake_debian();
  host.on_command("touch", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    now.put_file(command.argv.at(1), "");
    return CommandOutput{};
  });
  host.on_command("test", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    return CommandOutput{now.exists(command.argv.at(2)) ? 0 : 1, "", ""};
  });
  return host;
}

TEST(CommandMutations, CreatesAndUnlessSayWhetherItIsNeeded) {
  run_mutation_table(touch(), host_with_touch, {{"needed", [](FakeSystem& host) { host.erase("/var/lib/x"); }}});
  RunCommand unless = touch();
  unless.creates.reset();
  unless.unless = {"test", "-e", "/var/lib/x"};
  run_mutation_table(unless, host_with_touch, {{"needed", [](FakeSystem& host) { host.erase("/var/lib/x"); }}});
}

TEST(CommandHonesty, WithoutEitherNobodyCanKnow) {
  FakeSystem host = host_with_touch();
  RunCommand bare = touch();
  bare.creates.reset();
  EXPECT_TRUE(unverifiable(bare));
  EXPECT_TRUE(any_unknown(checks_of(bare, host)));
  ASSERT_TRUE(apply_once(bare, host));
  EXPECT_EQ(std::vector<std::string>{"run touch /var/lib/x"}, host.mutations());
  EXPECT_TRUE(any_unknown(checks_of(bare, host)));
}

TEST(CommandFailures, AnExitThatWasNotAllowedIsAFailure) {
  FakeSystem host = host_with_touch();
  host.on_command("touch", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
    return CommandOutput{3, "", "warning\ntouch: no\n"};
  });
  const Status done = apply_once(touch(), host);
  ASSERT_FALSE(done);
  EXPECT_EQ(Errc::command_failed, done.error().code);
  EXPECT_EQ("'touch /var/lib/x' ended with status 3: touch: no", done.error().message);
  RunCommand allowed = touch();
  allowed.ok_exits = {0, 3};
  EXPECT_TRUE(apply_once(allowed, host));
}

TEST(CommandFailures, AMissingUnlessProgramIsNoAnswer) {
  FakeSystem host = host_with_touch();
  RunCommand p = touch();
  p.creates.reset();
  p.unless = {"probe"};
  host.without_command("probe");
  const auto state = inspect(p, host);
  ASSERT_FALSE(state);
  EXPECT_EQ(Errc::not_found, state.error().code);
}

}  // namespace
}  // namespace converge
