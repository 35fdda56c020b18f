#include "primitives/loaded_unit.h"

#include <gtest/gtest.h>

#include "primitives/probe_cgroup.h"
#include "tests/primitives/looking.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

const std::string directory = "/etc/systemd/system/user-1000.slice.d/";
const std::string group = "/sys/fs/cgroup/user.slice/user-1000.slice/";

LoadedUnit wanted() {
  LoadedUnit p;
  p.unit = "user-1000.slice";
  p.drop_in = AbsPath(directory + "limits.conf");
  p.properties = {{"MemoryMax", "1572864000", 0, {}}, {"MemorySwapMax", "536870912", 0, {}}};
  return p;
}

FakeSystem with_drop_in() {
  FakeSystem host = fake_debian();
  host.put_file(directory + "limits.conf", "[Slice]\nMemoryMax=1500M\nMemorySwapMax=512M\n");
  return host;
}

FakeSystem converged() {
  FakeSystem host = with_drop_in();
  EXPECT_TRUE(tried(wanted(), host));
  host.forget_mutations();
  return host;
}

TEST(UnitAsLoaded, IsReloadedWhenAndOnlyWhenItIsNeeded) {
  FakeSystem host = with_drop_in();
  EXPECT_EQ(failing(wanted(), host), (Names{"drop-in", "MemoryMax", "MemorySwapMax", "reload needed"}));
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), Names{"run systemctl daemon-reload"});
  EXPECT_EQ(failing(wanted(), host), Names{});
  host.forget_mutations();
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_TRUE(host.mutations().empty());
}

TEST(UnitAsLoaded, EveryPropertyIsMissedAloneAndHealed) {
  const std::vector<std::pair<std::string, std::function<void(FakeSystem&)>>> table{
      {"drop-in",
       [](FakeSystem& h) {  // and systemd says that no reload is needed, as 252 does for a new directory
         h.unit_hook = nullptr;
         h.units["user-1000.slice"]["DropInPaths"] = "/etc/x.conf";
       }},
      {"MemoryMax", [](FakeSystem& h) { h.units["user-1000.slice"]["MemoryMax"] = "infinity"; }},
      {"MemorySwapMax", [](FakeSystem& h) { h.units["user-1000.slice"]["MemorySwapMax"] = "1"; }},
  };
  for (const auto& [property, change] : table) {
    FakeSystem host = converged();
    change(host);
    EXPECT_EQ(failing(wanted(), host), Names{property});
    ASSERT_TRUE(tried(wanted(), host)) << property;
    EXPECT_EQ(failing(wanted(), host), Names{}) << property;
  }
  FakeSystem host = converged();
  host.units["user-1000.slice"]["NeedDaemonReload"] = "yes";
  EXPECT_EQ(failing(wanted(), host), Names{"reload needed"});
}

TEST(UnitAsLoaded, WhatOverridesItIsNamedAndRefusedBeforeAnythingIsReloaded) {
  FakeSystem host = with_drop_in();
  host.put_file("/etc/systemd/system/user-.slice.d/zz.conf", "[Slice]\n# MemoryMax=1\nMemoryMax=1G\n");
  const auto status = tried(wanted(), host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::refused);
  EXPECT_NE(status.error().message.find("overridden by /etc/systemd/system/user-.slice.d/zz.conf:3"), std::string::npos)
      << status.error().text();
  EXPECT_EQ(detail_of(wanted(), host, "MemoryMax"), "overridden by /etc/systemd/system/user-.slice.d/zz.conf:3");
  EXPECT_TRUE(host.mutations().empty());
}

// systemd 252 says that no reload is needed when a directory of drop-ins is new, and shows the old values.
TEST(UnitAsLoaded, AFileThatWinsAtTheNextBootIsSeenBeforeSystemdHasSeenIt) {
  const std::vector<std::pair<std::string, std::string>> winners{
      {"/etc/systemd/system/user-.slice.d/zz.conf", "MemoryMax=2G"},
      {"/run/systemd/system/user-1000.slice.d/zz.conf", "MemoryMax = 2G"},
      {"/etc/systemd/system/slice.d/m.conf", "MemoryMax=2G"},
      {"/etc/systemd/system.control/user-1000.slice.d/zz.conf", "MemoryMax=2G"},
      {"/etc/systemd/system/user-1000.slice.d/zz.conf", "MemoryMax="},
      {"/etc/systemd/system.control/user-.slice.d/limits.conf", "TasksMax=1"},  // hides ours
  };
  for (const auto& [path, line] : winners) {
    FakeSystem host = converged();
    host.unit_hook = nullptr;
    host.put_file(path, "[Slice]\n" + line + "\n");
    EXPECT_EQ(failing(wanted(), host), Names{"at boot"}) << path;
    EXPECT_NE(detail_of(wanted(), host, "at boot").find(path), std::string::npos) << path;
    EXPECT_FALSE(tried(wanted(), host)) << path;
    EXPECT_TRUE(host.mutations().empty()) << path;
  }
  const std::vector<std::pair<std::string, std::string>> harmless{
      {"/etc/systemd/system.control/user-1000.slice.d/50-MemoryMax.conf", "MemoryMax=2G"},  // sorts before ours
      {"/usr/lib/systemd/system/user-.slice.d/limits.conf", "MemoryMax=2G"},                // hidden by ours
      {"/etc/systemd/system/user-.slice.d/zz.conf", "# MemoryMax=2G"},
      {"/etc/systemd/system/user-.slice.d/zz.conf", "MemoryMax=1572864000"},  // the same
      {"/etc/systemd/system/user-.slice.d/zz.conf", "MemoryHigh=2G"},
      {"/etc/systemd/system/user-1001.slice.d/zz.conf", "MemoryMax=2G"},
      {"/etc/systemd/system/user-1000.slice.d/zz.conf.bak", "MemoryMax=2G"},
  };
  for (const auto& [path, line] : harmless) {
    FakeSystem host = converged();
    host.unit_hook = nullptr;
    host.put_file(path, "[Slice]\n" + line + "\n");
    EXPECT_EQ(failing(wanted(), host), Names{}) << path << ": " << line;
  }
  FakeSystem host = converged();
  host.unit_hook = nullptr;
  host.put_symlink("/etc/systemd/system/user-.slice.d/zz.conf", "/dev/null");
  host.put_other("/dev/null", "character device");
  EXPECT_EQ(failing(wanted(), host), Names{});
}

TEST(UnitAsLoaded, AShareOfTheProcessorsIsReadFromTheBusAndFromSystemctl) {
  auto p = wanted();
  for (const auto& [value, spelled] : {std::pair("1500000", "1.500000s"), std::pair("50000", "50ms"),
                                       std::pair("10000000", "10s"), std::pair("90000000", "1min 30s")}) {
    p.properties = {{"CPUQuotaPerSecUSec", value, 0, "CPUQuota", "150%"}};
    FakeSystem host = converged();
    for (const std::string loaded : {value, spelled}) {
      host.units["user-1000.slice"]["CPUQuotaPerSecUSec"] = loaded;
      EXPECT_EQ(failing(p, host), Names{}) << loaded;
    }
    host.units["user-1000.slice"]["CPUQuotaPerSecUSec"] = "5000";
    EXPECT_EQ(value_of(p, host, "CPUQuotaPerSecUSec"), "0.5%");
    for (const std::string loaded : {"infinity", "1.5m", "1.5.0s", "2s", "s"}) {
      host.units["user-1000.slice"]["CPUQuotaPerSecUSec"] = loaded;
      EXPECT_EQ(failing(p, host), Names{"CPUQuotaPerSecUSec"}) << loaded;
    }
  }
}

TEST(UnitAsLoaded, MemoryIsSaidAsPeopleReadIt) {
  FakeSystem host = converged();
  EXPECT_EQ(value_of(wanted(), host, "MemoryMax"), "1500 MiB");
}

TEST(UnitAsLoaded, APropertySystemdDoesNotKnowIsUnknown) {
  FakeSystem host = converged();
  auto p = wanted();
  p.properties.push_back({"NoSuchProperty", "1", 0, {}});
  EXPECT_EQ(failing(p, host), Names{});
  EXPECT_TRUE(any_unknown(looked(p, host)));
}

TEST(UnitAsLoaded, AShareOfTheMemoryMayBeAPageOff) {
  FakeSystem host = converged();
  auto p = wanted();
  p.properties.front() = {"MemoryMax", "1572868096", 4096, {}};
  EXPECT_EQ(failing(p, host), Names{});
  p.properties.front() = {"MemoryMax", "1572868097", 4096, {}};
  EXPECT_EQ(failing(p, host), Names{"MemoryMax"});
}

TEST(UnitAsLoaded, AbsentMeansSystemdHasLetGoOfIt) {
  FakeSystem host = converged();
  host.erase(directory + "limits.conf");
  auto p = wanted();
  p.absent = true;
  EXPECT_EQ(failing(p, host), (Names{"drop-in", "reload needed"}));
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(failing(p, host), Names{});
}

TEST(RoomInASlice, IsRefusedWhereTheKernelWouldKill) {
  auto p = wanted();
  p.ask = LoadedUnit::Ask::room;
  FakeSystem host = with_drop_in();
  EXPECT_EQ(failing(p, host), Names{});
  host.put_file(group + "memory.current", "1572864001\n");
  EXPECT_EQ(failing(p, host), Names{"room for MemoryMax"});
  auto status = tried(p, host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::refused);
  EXPECT_NE(status.error().message.find("at most 1500 MiB"), std::string::npos) << status.error().text();

  p.properties = {{"TasksMax", "40", 0, {}}};
  EXPECT_EQ(failing(p, host), Names{"room for TasksMax"});
  EXPECT_TRUE(host.mutations().empty());
  // A limit that is in force already kills nobody by being declared.
  host.units["user-1000.slice"]["TasksMax"] = "40";
  EXPECT_EQ(failing(p, host), Names{});
  // Nothing runs in a slice that has no cgroup.
  host.units["user-1000.slice"]["TasksMax"] = "infinity";
  host.erase(std::string_view(group).substr(0, group.size() - 1));
  EXPECT_EQ(failing(p, host), Names{});
}

CgroupLimit proof(std::string property, std::string value) {
  CgroupLimit p;
  p.unit = "user-1000.slice";
  p.property = std::move(property);
  p.value = std::move(value);
  return p;
}

TEST(CgroupProbe, ReadsTheKernelsOwnFile) {
  FakeSystem host = converged();
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{});
  EXPECT_EQ(failing(proof("MemorySwapMax", "536870912"), host), Names{});
  EXPECT_EQ(failing(proof("MemoryHigh", "infinity"), host), Names{});
  host.put_file(group + "memory.max", "max\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{"enforced"});
  host.put_file(group + "memory.max", "1499136\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1500001"), host), Names{});
}

TEST(CgroupProbe, ALowerLimitOfASliceAboveIsWhatBinds) {
  FakeSystem host = converged();
  host.put_file("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{});
  host.put_file("/sys/fs/cgroup/user.slice/memory.max", "1572864000\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{});
  host.put_file("/sys/fs/cgroup/user.slice/memory.max", "1073741824\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{"enforced"});
  EXPECT_EQ(value_of(proof("MemoryMax", "1572864000"), host, "enforced"), "1 GiB");
  EXPECT_EQ(detail_of(proof("MemoryMax", "1572864000"), host, "enforced"),
            "user.slice is above it and has a lower limit");
}

TEST(CgroupProbe, AShareOfTheProcessorsIsQuotaByPeriod) {
  FakeSystem host = converged();
  host.put_file("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  const auto limit = proof("CPUQuotaPerSecUSec", "1500000");
  host.put_file(group + "cpu.max", "150000 100000\n");
  EXPECT_EQ(failing(limit, host), Names{});
  host.put_file(group + "cpu.max", "1000 200000\n");
  EXPECT_EQ(failing(proof("CPUQuotaPerSecUSec", "5000"), host), Names{});
  EXPECT_EQ(value_of(limit, host, "enforced"), "0.5%");
  host.put_file(group + "cpu.max", "max 100000\n");
  EXPECT_EQ(failing(limit, host), Names{"enforced"});
  host.put_file(group + "cpu.max", "nonsense\n");
  EXPECT_FALSE(inspect(limit, host));

  host.erase("/sys/fs/cgroup");
  host.put_file("/sys/fs/cgroup/cpu/user.slice/user-1000.slice/cpu.cfs_quota_us", "150000\n");
  host.put_file("/sys/fs/cgroup/cpu/user.slice/user-1000.slice/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(failing(limit, host), Names{});
  host.put_file("/sys/fs/cgroup/cpu/user.slice/user-1000.slice/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(failing(limit, host), Names{"enforced"});
}

TEST(CgroupProbe, SaysWhatItCannotTell) {
  const auto verdict = [](const FakeSystem& host, const CgroupLimit& p) { return looked(p, host).front().verdict; };
  const auto limit = proof("MemoryMax", "1572864000");
  FakeSystem inactive = converged();
  inactive.erase(std::string_view(group).substr(0, group.size() - 1));
  EXPECT_EQ(verdict(inactive, limit), Verdict::skipped);

  FakeSystem disabled = converged();
  disabled.put_file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n");
  EXPECT_EQ(verdict(disabled, limit), Verdict::fail);
  disabled.put_file("/run/systemd/container", "lxc\n");
  EXPECT_EQ(verdict(disabled, limit), Verdict::skipped);

  FakeSystem version1 = converged();
  version1.erase("/sys/fs/cgroup");
  version1.put_file("/sys/fs/cgroup/memory/user.slice/user-1000.slice/memory.limit_in_bytes", "1572864000\n");
  EXPECT_EQ(verdict(version1, limit), Verdict::pass);
  EXPECT_EQ(verdict(version1, proof("MemorySwapMax", "1")), Verdict::unknown);
  version1.put_file("/sys/fs/cgroup/memory/user.slice/user-1000.slice/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(verdict(version1, limit), Verdict::fail);
}

TEST(CgroupLimitProbe, TellsOfProcessesThatWereKilledForLackOfMemory) {
  FakeSystem host = fake_debian();
  host.put_file("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  host.put_file(group + "memory.max", "1572864000\n");
  host.put_file(group + "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 0\noom_group_kill 0\n");
  EXPECT_EQ(looked(proof("MemoryMax", "1572864000"), host).size(), 1U);
  host.put_file(group + "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n");
  EXPECT_EQ(failing(proof("MemoryMax", "1572864000"), host), Names{});
  EXPECT_EQ(detail_of(proof("MemoryMax", "1572864000"), host, "killed"),
            "3 of its processes were killed for lack of memory so far");
}

}  // namespace
}  // namespace converge
