// swapfile, nproc_limits and systemd_slice: what they declare, and what they refuse to.
#include <gtest/gtest.h>

#include "tests/modules/rendering.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

using Names = std::vector<std::string>;

Facts facts() { return fake_facts(fake_debian()); }

TEST(SwapfileModule, DeclaresTheFileThenTheBootThenTheSysctlThenTheProof) {
  const Rendering r("swapfile", "{path: /swapfile, size: 4GiB, swappiness: 10, priority: 5}", facts());
  EXPECT_EQ(r.said, Names{});
  EXPECT_EQ(r.ids(), (Names{"swap:/swapfile", "fstab:/swapfile", "file:/etc/sysctl.d/90-converge-swap.conf",
                            "sysctl:vm.swappiness", "swap-in-effect:/swapfile"}));
  EXPECT_EQ(r.find<Swap>()->size, 4_GiB);
  EXPECT_EQ(r.find<Swap>()->priority, 5);
  EXPECT_EQ(r.find<FstabEntry>()->priority, 5);
  EXPECT_EQ(r.find<File>()->content, "vm.swappiness = 10\n");
}

TEST(SwapfileModule, UnderOpenRcHasServicesThatTurnItOnAtBoot) {
  Facts alpine = facts();
  alpine.init = "openrc";
  const Rendering r("swapfile", "{path: /swapfile, size: 4GiB, swappiness: 10}", alpine);
  EXPECT_EQ(r.ids(),
            (Names{"swap:/swapfile", "fstab:/swapfile", "service:swap", "file:/etc/sysctl.d/90-converge-swap.conf",
                   "sysctl:vm.swappiness", "service:sysctl", "swap-in-effect:/swapfile"}));
  EXPECT_TRUE(r.find<Service>()->enabled.value_or(false) && r.find<Service>()->early);
  const Rendering one("sysctl", "{key: vm.swappiness, value: 10}", alpine);
  EXPECT_EQ(one.ids(),
            (Names{"file:/etc/sysctl.d/90-converge-vm-swappiness.conf", "sysctl:vm.swappiness", "service:sysctl"}));
}

TEST(SwapfileModule, LeavesSwappinessAloneWhenItIsNotGiven) {
  const Rendering r("swapfile", "{size: 4GiB}", facts());
  EXPECT_EQ(r.ids(), (Names{"swap:/swapfile", "fstab:/swapfile", "swap-in-effect:/swapfile"}));
  EXPECT_EQ(r.find<Swap>()->priority, std::nullopt);
}

TEST(SwapfileModule, AbsentIsOutOfUseBeforeItIsOutOfFstab) {
  const Rendering r("swapfile", "{state: absent}", facts());
  EXPECT_EQ(r.ids(), (Names{"swap:/swapfile", "fstab:/swapfile", "file:/etc/sysctl.d/90-converge-swap.conf"}));
  EXPECT_TRUE(r.find<Swap>()->absent && r.find<FstabEntry>()->absent && r.find<File>()->absent);
}

TEST(SwapfileModule, RefusesWhatCannotBe) {
  for (const std::string parameters :
       {"{path: /swapfile}", "{size: 4GB}", "{size: 36KiB}", "{size: 4GiB, swappiness: 201}",
        "{size: 4GiB, swappiness: -1}", "{size: 4GiB, priority: 32768}", "{size: 4GiB, path: swapfile}",
        "{size: 4GiB, path: /}", "{size: 4GiB, state: gone}", "{size: 4GiB, sysctl_file: /etc/x.conf}",
        "{size: 17000T}", "{siez: 4GiB}"}) {
    const Rendering r("swapfile", parameters, facts());
    EXPECT_FALSE(r.said.empty()) << parameters;
    EXPECT_TRUE(r.ids().empty()) << parameters;
  }
}

TEST(NprocLimitsModule, DeclaresTheLinesAndTheProof) {
  const Rendering r("nproc_limits", "{user: tegwick, soft: 512, hard: 1024}", facts());
  EXPECT_EQ(r.said, Names{});
  EXPECT_EQ(r.ids(), (Names{"limits:tegwick:nproc", "login:tegwick:nproc"}));
  EXPECT_EQ(r.find<LoginLimits>()->file.str(), "/etc/security/limits.conf");
  EXPECT_EQ(r.find<LoginLimits>()->user.uid, 1000U);
}

TEST(NprocLimitsModule, RefusesWhatWouldLockOutOrDoNothing) {
  for (const std::string parameters :
       {"{user: tegwick, soft: 2000, hard: 1024}", "{user: tegwick, soft: 0, hard: 1024}", "{user: tegwick, soft: 5}",
        "{user: root, soft: 512, hard: 1024}", "{user: tegwick, soft: 5, hard: 6, file: /etc/security/x.conf}",
        "{user: tegwick, soft: 5, hard: 6, file: /etc/security/limits.d/x}"}) {
    const Rendering r("nproc_limits", parameters, facts());
    EXPECT_FALSE(r.said.empty()) << parameters;
    EXPECT_TRUE(r.ids().empty()) << parameters;
  }
  const Rendering nobody("nproc_limits", "{user: nobody-here, soft: 5, hard: 6}", facts());
  ASSERT_TRUE(nobody.rendered.refusal);
  EXPECT_EQ(nobody.rendered.refusal->code, Errc::not_found);
  auto twin = facts();
  twin.users["toor"] = {"toor", 0, 0, AbsPath("/root")};
  const Rendering root("nproc_limits", "{user: toor, soft: 5, hard: 6}", twin);
  ASSERT_TRUE(root.rendered.refusal);
  EXPECT_EQ(root.rendered.refusal->code, Errc::refused);
}

TEST(SystemdSliceModule, DeclaresTheDropInOfTheUsersOwnSlice) {
  auto host = facts();
  host.users["tegwick"].uid = 1001;
  const Rendering r("systemd_slice", "{user: tegwick, memory_max: 1500M, memory_swap_max: 512M}", host);
  EXPECT_EQ(r.said, Names{});
  EXPECT_EQ(r.ids(), (Names{"room:user-1001.slice", "directory:/etc/systemd/system/user-1001.slice.d",
                            "file:/etc/systemd/system/user-1001.slice.d/limits.conf", "loaded:user-1001.slice",
                            "cgroup:user-1001.slice:MemoryMax", "cgroup:user-1001.slice:MemorySwapMax"}));
  EXPECT_EQ(r.find<File>()->content, "[Slice]\nMemoryMax=1500M\nMemorySwapMax=512M\n");
}

/// What systemd is to load for a value; "" if it is refused.
std::string loads(const std::string& key, const std::string& value) {
  const Rendering r("systemd_slice", "{user: tegwick, " + key + ": \"" + value + "\"}", facts());
  EXPECT_NE(r.said.empty(), r.ids().empty()) << key << " " << value;
  const auto* loaded = r.find<LoadedUnit>();
  return loaded == nullptr ? std::string() : loaded->properties.front().value;
}

TEST(SystemdSliceModule, ReadsSizesAsSystemdDoes) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"1500M", "1572864000"},
      {"1.5G", "1610612736"},
      {"1G512M", "1610612736"},
      {"1500 M", "1572864000"},
      {"50%", "4294967296"},
      {"12.5%", "1073741824"},
      {"100%", "8589934592"},
      {"infinity", "infinity"},
      {"1572864000", "1572864000"},
      {"1T", "1099511627776"},
      {"1048576K", "1073741824"},
      {"1073741824B", "1073741824"},
      {"1500m", ""},
      {"1500MB", ""},
      {"1500MiB", ""},
      {"0", ""},
      {"-1", ""},
      {"150%", ""},
      {"0%", ""},
      {"18446744073709551615", ""},
      {"", ""},
      {"abc", ""},
      {"1.M", ""},
      {"512M1G", ""},
      {"1G1G", ""},
      {"63M", ""},
      {"1,5G", ""},
      {"M", ""},
      {"99999999999999999999", ""},
  };
  for (const auto& [text, number] : table) EXPECT_EQ(loads("memory_max", text), number) << text;
  EXPECT_EQ(loads("memory_swap_max", "0"), "0");
  EXPECT_EQ(loads("tasks_max", "512"), "512");
  EXPECT_EQ(loads("tasks_max", "infinity"), "infinity");
  EXPECT_EQ(loads("tasks_max", "10%"), "3123");
  EXPECT_EQ(loads("tasks_max", "33.33%"), "10410");
  EXPECT_EQ(loads("tasks_max", "100%"), "31234");
  for (const std::string text : {"0", "1K", "0%", "101%", "%", "10 %", "1.234%", "abc"})
    EXPECT_EQ(loads("tasks_max", text), "") << text;
}

TEST(SystemdSliceModule, AShareOfAnUnknownNumberOfThreadsIsRefused) {
  auto host = facts();
  host.most_tasks = 0;
  EXPECT_FALSE(Rendering("systemd_slice", "{user: tegwick, tasks_max: \"10%\"}", host).said.empty());
  EXPECT_TRUE(Rendering("systemd_slice", "{user: tegwick, tasks_max: 512}", host).said.empty());
}

TEST(SystemdSliceModule, ReadsSharesOfTheProcessorsAsSystemdDoes) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"5%", "50000"},
      {"150%", "1500000"},
      {"1000%", "10000000"},
      {"0.5%", "5000"},
      {"12.25%", "122500"},
      {"150", ""},
      {"150 %", ""},
      {"0%", ""},
      {"%", ""},
      {"-5%", ""},
      {"", ""},
      {"infinity", ""},
      {"0.001%", ""},
  };
  for (const auto& [text, number] : table) EXPECT_EQ(loads("cpu_quota", text), number) << text;
  const Rendering r("systemd_slice", "{user: tegwick, cpu_quota: \"150%\"}", facts());
  EXPECT_EQ(r.find<File>()->content, "[Slice]\nCPUQuota=150%\n");
  EXPECT_EQ(r.find<LoadedUnit>()->properties.front().name, "CPUQuotaPerSecUSec");
  EXPECT_EQ(r.find<CgroupLimit>()->property, "CPUQuotaPerSecUSec");
}

TEST(SystemdSliceModule, SaysWhyThisHostCannotHaveIt) {
  const std::string parameters = "{user: tegwick, memory_max: 1G}";
  auto host = facts();
  host.init = "openrc";
  const Rendering openrc("systemd_slice", parameters, host);
  ASSERT_TRUE(openrc.rendered.refusal);
  EXPECT_EQ(openrc.rendered.refusal->code, Errc::unsupported);
  EXPECT_NE(openrc.rendered.refusal->message.find("OpenRC"), std::string::npos);
  EXPECT_TRUE(openrc.ids().empty());
  host.init = "none";
  EXPECT_TRUE(Rendering("systemd_slice", parameters, host).rendered.refusal);
  host.live = false;
  EXPECT_FALSE(Rendering("systemd_slice", parameters, host).rendered.refusal);
  EXPECT_TRUE(Rendering("systemd_slice", "{user: nobody-here, memory_max: 1G}", facts()).rendered.refusal);
}

TEST(SystemdSliceModule, RefusesNamesThatAreNoDropIn) {
  for (const std::string name : {"limits", ".conf", "a/b.conf", "10-defaults.conf", "a b.conf"}) {
    EXPECT_FALSE(
        Rendering("systemd_slice", "{user: tegwick, memory_max: 1G, drop_in: \"" + name + "\"}", facts()).said.empty())
        << name;
  }
  EXPECT_FALSE(Rendering("systemd_slice", "{user: tegwick}", facts()).said.empty());
}

TEST(SystemdSliceModule, NothingIsWrittenWhereTheKernelWouldKill) {
  FakeSystem host = fake_debian();
  host.put_file("/sys/fs/cgroup/user.slice/user-1000.slice/memory.current", "1572864001\n");
  struct Quiet : Observer {
    void begins(const std::string&, const ResourceId&) override {}
    void step(const Step&) override {}
  } quiet;
  for (const bool force : {false, true}) {
    const Rendering r("systemd_slice",
                      std::string("{user: tegwick, memory_max: 1500M, force: ") + (force ? "true}" : "false}"),
                      fake_facts(host));
    Work work{.spec = "test", .item = "slice", .module = "systemd_slice"};
    work.rendered = r.rendered;
    const Tally tally = apply({work}, host, quiet, {});
    EXPECT_EQ(tally.of(Outcome::failed), force ? 0U : 1U);
    EXPECT_EQ(host.mutations().empty(), !force);
  }
}

}  // namespace
}  // namespace converge
