#include "primitives/sysctl.h"

#include "primitives/file.h"
#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const AbsPath ours("/etc/sysctl.d/60-converge.conf");

Sysctl swappiness() { return {.key = "vm.swappiness", .value = "10", .file = ours}; }

FakeSystem host_with_our_file() {
  FakeSystem host = fake_debian();
  host.put_file(ours.str(), "# Kept by converge.\nvm.swappiness = 10\n");
  return host;
}

/// What systemd-sysctl and `sysctl --system` of procps would set, "-" for nothing, with the place.
std::pair<std::string, std::string> winners(const FakeSystem& host, const Sysctl& p = swappiness()) {
  const auto state = inspect(p, host);
  EXPECT_TRUE(state);
  const auto text = [](const auto& winner) { return winner ? winner->value + " " + winner->where : std::string("-"); };
  return {text(state->systemd), text(state->procps)};
}

using Both = std::pair<std::string, std::string>;
Both both(const std::string& text) { return {text, text}; }

TEST(SysctlMutations, TheRunningValueIsMended) {
  run_mutation_table(swappiness(), host_with_our_file,
                     {{"running", [](FakeSystem& host) { host.put_file("/proc/sys/vm/swappiness", "60\n"); }}});
  FakeSystem host = host_with_our_file();
  ASSERT_TRUE(apply_once(swappiness(), host));
  EXPECT_EQ(std::vector<std::string>{"kernel /proc/sys/vm/swappiness 10"}, host.mutations());
}

TEST(SysctlBoot, TheLastBasenameOverAllDirectoriesWins) {
  FakeSystem host = host_with_our_file();
  EXPECT_EQ(both("10 /etc/sysctl.d/60-converge.conf:2"), winners(host));
  host.put_file("/usr/lib/sysctl.d/70-x.conf", "\nvm/swappiness = 44\n");
  EXPECT_EQ(both("44 /usr/lib/sysctl.d/70-x.conf:2"), winners(host));
  // The same name in a stronger directory replaces it, whatever is in it.
  host.put_file("/run/sysctl.d/70-x.conf", "kernel.sysrq = 1\n");
  EXPECT_EQ(both("10 /etc/sysctl.d/60-converge.conf:2"), winners(host));
  host.erase("/run/sysctl.d/70-x.conf");
  host.put_symlink("/etc/sysctl.d/70-x.conf", "/dev/null");
  host.put_other("/dev/null", "character device");
  EXPECT_EQ(both("10 /etc/sysctl.d/60-converge.conf:2"), winners(host));
  host.put_file("/etc/sysctl.d/70-x.conf", "");
  EXPECT_EQ(both("10 /etc/sysctl.d/60-converge.conf:2"), winners(host));
}

TEST(SysctlBoot, ProcpsReadsSysctlConfOnceMoreAndLast) {
  FakeSystem host = host_with_our_file();
  host.put_file("/etc/sysctl.conf", "# c\nvm.swappiness=44\n");
  EXPECT_EQ(Both("44 /etc/sysctl.d/99-sysctl.conf:2", "44 /etc/sysctl.conf:2"), winners(host));
  host.put_file("/etc/sysctl.d/99-zz.conf", "vm.swappiness=10\n");
  EXPECT_EQ(Both("10 /etc/sysctl.d/99-zz.conf:1", "44 /etc/sysctl.conf:2"), winners(host));
  host.erase("/etc/sysctl.d/99-zz.conf");
  host.erase("/etc/sysctl.d/99-sysctl.conf");  // without Debian's link systemd does not see that file at all
  EXPECT_EQ(Both("10 /etc/sysctl.d/60-converge.conf:2", "44 /etc/sysctl.conf:2"), winners(host));
}

TEST(SysctlBoot, SpellingsBothReadersAccept) {
  for (const auto* line : {"vm.swappiness=10", "  vm/swappiness =  10", "-vm.swappiness=10", "vm.swappiness= 10 # why",
                           "vm.swappiness = 0xa", "vm.swappiness = 012"}) {
    SCOPED_TRACE(line);
    FakeSystem host = fake_debian();
    host.put_file(ours.str(), std::string(line) + "\n");
    host.put_file("/proc/sys/vm/swappiness", "10\n");
    const Checks checks = checks_of(swappiness(), host);
    EXPECT_TRUE(all_pass(checks)) << text_of(checks);
  }
  for (const auto* line :
       {"vm.swappiness 10", "# vm.swappiness=10", ";vm.swappiness=10", "vm.swappinesss=10", "-vm.swappiness"}) {
    FakeSystem host = fake_debian();
    host.put_file(ours.str(), std::string(line) + "\n");
    EXPECT_EQ(both("-"), winners(host)) << line;
  }
}

TEST(SysctlBoot, AGlobDoesNotBeatTheKeyItself) {
  FakeSystem host = host_with_our_file();
  host.put_file("/etc/sysctl.d/80-glob.conf", "vm.swapp*=17\n");
  EXPECT_EQ(both("10 /etc/sysctl.d/60-converge.conf:2"), winners(host));
  host.put_file(ours.str(), "");
  EXPECT_EQ(both("17 /etc/sysctl.d/80-glob.conf:1"), winners(host));
  host.put_file(ours.str(), "-vm.swappiness\n");
  EXPECT_EQ(both("-"), winners(host));
  host.put_file("/etc/sysctl.d/80-glob.conf", "*.swappiness=17\n");
  host.put_file(ours.str(), "");
  EXPECT_EQ(both("17 /etc/sysctl.d/80-glob.conf:1"), winners(host));
  host.put_file("/etc/sysctl.d/80-glob.conf", "*=17\n");  // a star does not cross a separator
  EXPECT_EQ(both("-"), winners(host));
}

TEST(SysctlBoot, DotsInNamesAreKeptBehindASlash) {
  FakeSystem host = fake_debian();
  host.put_file("/proc/sys/net/ipv4/conf/eth0.100/forwarding", "1\n");
  host.put_file(ours.str(), "net/ipv4/conf/eth0.100/forwarding = 1\n");
  const Sysctl p{.key = "net.ipv4.conf.eth0/100.forwarding", .value = "1", .file = ours};
  const Checks checks = checks_of(p, host);
  EXPECT_TRUE(all_pass(checks)) << text_of(checks);
}

TEST(SysctlRefusals, ALaterFileIsNamedAndLeftAlone) {
  FakeSystem host = host_with_our_file();
  host.put_file("/proc/sys/vm/swappiness", "10\n");
  host.put_file("/etc/sysctl.d/99-x.conf", "a.b=1\n\nvm.swappiness=60\n");
  const Checks checks = checks_of(swappiness(), host);
  ASSERT_NE(nullptr, find_check(checks, "boot"));
  EXPECT_EQ(Verdict::fail, find_check(checks, "boot")->verdict);
  EXPECT_EQ("overridden by /etc/sysctl.d/99-x.conf:3", find_check(checks, "boot")->detail);
  expect_refused(swappiness(), host, Errc::refused, "/etc/sysctl.d/99-x.conf:3");
}

TEST(SysctlRefusals, AKeyThisKernelLacks) {
  FakeSystem host = fake_debian();
  host.put_file(ours.str(), "net.bridge.x = 1\n");
  const Sysctl p{.key = "net.bridge.x", .value = "1", .file = ours};
  const Checks checks = checks_of(p, host);
  EXPECT_EQ("no such key", find_check(checks, "running")->actual);
  expect_refused(p, host, Errc::unsupported, "net.bridge.x");
}

TEST(SysctlLooks, AFileThatCannotBeReadIsNoAnswer) {
  FakeSystem host = host_with_our_file();
  host.put_file("/etc/sysctl.d/70-x.conf", "");
  host.fail_look("/etc/sysctl.d/70-x.conf", Errc::permission);
  const auto state = inspect(swappiness(), host);
  ASSERT_FALSE(state);
  EXPECT_EQ(Errc::permission, state.error().code);
}

TEST(SysctlBoot, WhatWouldStillWinIsRefusedBeforeOurFileIsThere) {
  const std::vector<std::pair<std::string, bool>> files{
      {"/etc/sysctl.d/99-zz.conf", true}, {"/usr/lib/sysctl.d/70-x.conf", true},     {"/etc/sysctl.conf", true},
      {"/etc/sysctl.d/10-x.conf", false}, {"/run/sysctl.d/60-converge.conf", false},
  };
  for (const auto& [path, wins] : files) {
    FakeSystem host = fake_debian();
    host.put_file(path, "vm.swappiness=33\n");
    const auto state = inspect(swappiness(), host);
    ASSERT_TRUE(state);
    const auto status = preflight(swappiness(), *state, host);
    EXPECT_EQ(!wins, static_cast<bool>(status)) << path;
    if (!status) {
      EXPECT_NE(std::string::npos, status.error().message.find(path.substr(path.rfind('/') + 1)));
    }
    host.put_file(path, "vm.swappiness=10\n");
    const auto agrees = inspect(swappiness(), host);
    ASSERT_TRUE(agrees);
    EXPECT_TRUE(preflight(swappiness(), *agrees, host)) << path;
  }
}

TEST(SysctlInATree, OnlyTheBootCounts) {
  FakeSystem host = host_with_our_file();
  host.live = false;
  const Checks checks = checks_of(swappiness(), host);
  EXPECT_EQ(Verdict::skipped, find_check(checks, "running")->verdict);
  EXPECT_EQ(Verdict::pass, find_check(checks, "boot")->verdict);
  ASSERT_TRUE(apply_once(swappiness(), host));
  EXPECT_TRUE(host.mutations().empty());
}

TEST(SysctlValues, SeveralNumbersAreComparedOneByOne) {
  FakeSystem host = fake_debian();
  host.put_file("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
  host.put_file(ours.str(), "net.ipv4.tcp_rmem = 4096 131072  6291456\n");
  Sysctl p{.key = "net.ipv4.tcp_rmem", .value = "4096 131072 6291456", .file = ours};
  EXPECT_TRUE(all_pass(checks_of(p, host)));
  p.value = "4096 131072";
  EXPECT_TRUE(any_fails(checks_of(p, host)));
}

}  // namespace
}  // namespace converge
