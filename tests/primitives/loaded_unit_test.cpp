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

TEST(UnitAsLoaded, WhatOverridesItIsNamed) {
  FakeSystem host = with_drop_in();
  host.put_file("/etc/systemd/system/user-.slice.d/zz.conf", "[Slice]\n# MemoryMax=1\nMemoryMax=1G\n");
  const auto status = tried(wanted(), host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::refused);
  EXPECT_NE(status.error().message.find("overridden by /etc/systemd/system/user-.slice.d/zz.conf:3"), std::string::npos)
      << status.error().text();
  EXPECT_EQ(detail_of(wanted(), host, "MemoryMax"), "overridden by /etc/systemd/system/user-.slice.d/zz.conf:3");
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

}  // namespace
}  // namespace converge
