#include "system/facts.h"

#include <gtest/gtest.h>

#include "system/identity.h"
#include "tests/support/fake_system.h"

namespace converge {
namespace {

TEST(Passwd, SkipsWhatIsMalformedAndKeepsTheFirstOfAName) {
  const auto people = parse_passwd(
      "root:x:0:0:root:/root:/bin/bash\n"
      "+::::::\n"
      "short:x:1\n"
      "big:x:4294967295:1::/:/bin/sh\n"
      "relative:x:5:5::home:/bin/sh\n"
      "u:x:1000:1001:A,B:/home/u:/bin/zsh\n"
      "u:x:0:0::/root:/bin/sh\n");
  ASSERT_EQ(people.size(), 2U);
  EXPECT_EQ(people.at("u").uid, 1000U);
  EXPECT_EQ(people.at("u").gid, 1001U);
  EXPECT_EQ(people.at("u").home.str(), "/home/u");
}

TEST(Group, ListsPrimaryAndMemberships) {
  const char* group = "root:x:0:\nadm:x:4:syslog,u\nu:x:1000:\nxu:x:7:xu\nbroken\n";
  EXPECT_EQ(groups_of(group, "u", 1000), (std::vector<gid_t>{1000, 4}));
  EXPECT_EQ(find_group(group, "adm"), std::optional<std::uint32_t>(4));
  EXPECT_EQ(find_group(group, "none"), std::nullopt);
}

TEST(Facts, OfATreeAreReadFromItsFiles) {
  FakeSystem host;
  host.live = false;
  host.put_file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
  host.put_file("/usr/lib/os-release", "NAME='x'\nID=rocky\nVERSION_ID=\"9.3\"\nID_LIKE=\"rhel centos fedora\"\n");
  host.put_symlink("/etc/os-release", "../usr/lib/os-release");
  host.put_file("/etc/hostname", "image\n");
  host.put_file("/usr/lib/systemd/systemd", "");
  auto facts = gather_facts(host);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->os_id, "rocky");
  EXPECT_EQ(facts->os_version, "9.3");
  EXPECT_EQ(facts->os_family, "rhel");
  EXPECT_EQ(facts->hostname, "image");
  EXPECT_EQ(facts->init, "systemd");
  EXPECT_EQ(facts->container, "");
  EXPECT_FALSE(facts->live);
  EXPECT_NE(facts->find_user("root"), nullptr);
}

TEST(Facts, TheInitThatRunsIsNotTheOneThatIsInstalled) {
  FakeSystem host;
  host.put_file("/etc/passwd", "");
  host.put_file("/usr/lib/systemd/systemd", "");
  EXPECT_EQ(gather_facts(host)->init, "none");
  host.put_file("/run/openrc/softlevel", "default\n");
  EXPECT_EQ(gather_facts(host)->init, "openrc");
  host.put_directory("/run/systemd/system");
  EXPECT_EQ(gather_facts(host)->init, "systemd");
}

TEST(Facts, AContainerSaysItsKind) {
  FakeSystem host;
  host.put_file("/etc/passwd", "");
  host.put_file("/proc/1/environ", std::string("PATH=/bin\0container=lxc\0", 24));
  host.put_file("/proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
  auto facts = gather_facts(host);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->container, "lxc");
  EXPECT_EQ(facts->memory, 2_MiB);
  host.put_file("/run/systemd/container", "systemd-nspawn\n");
  EXPECT_EQ(gather_facts(host)->container, "systemd-nspawn");
}

TEST(Facts, TheMostTasksAreTheLeastOfThreeLimits) {
  FakeSystem host;
  host.put_file("/etc/passwd", "");
  EXPECT_EQ(gather_facts(host)->most_tasks, 0U) << "not known is no number";
  host.put_file("/proc/sys/kernel/threads-max", "30000\n");
  host.put_file("/proc/sys/kernel/pid_max", "4194304\n");
  EXPECT_EQ(gather_facts(host)->most_tasks, 30'000U);
  host.put_file("/proc/sys/kernel/pid_max", "20000\n");
  EXPECT_EQ(gather_facts(host)->most_tasks, 19'999U) << "there is no PID 0";
  host.put_file("/proc/1/cgroup", "0::/machine.slice/a.scope/init.scope\n");
  host.put_file("/sys/fs/cgroup/machine.slice/a.scope/pids.max", "max\n");
  EXPECT_EQ(gather_facts(host)->most_tasks, 19'999U);
  host.put_file("/sys/fs/cgroup/machine.slice/a.scope/pids.max", "16384\n");
  EXPECT_EQ(gather_facts(host)->most_tasks, 16'384U);
  host.put_file("/proc/1/cgroup", "8:pids:/init.scope\n1:name=systemd:/init.scope\n");
  host.put_file("/sys/fs/cgroup/pids/pids.max", "500\n");
  EXPECT_EQ(gather_facts(host)->most_tasks, 500U) << "cgroup v1";
}

TEST(Facts, UnreadablePasswdIsAnError) {
  FakeSystem host;
  host.put_file("/etc/passwd", "");
  host.fail_look("/etc/passwd", Errc::permission);
  EXPECT_FALSE(gather_facts(host));
}

TEST(Facts, GroupsAreThoseOfEtcGroup) {
  FakeSystem host;
  host.put_file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  host.put_file("/etc/group", "root:x:0:\nbroken\nstaff:x:50:tegwick\n");
  const auto facts = gather_facts(host);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->groups, (std::map<std::string, std::uint32_t, std::less<>>{{"root", 0}, {"staff", 50}}));
}

}  // namespace
}  // namespace converge
