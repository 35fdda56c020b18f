#include "primitives/fstab_entry.h"

#include <gtest/gtest.h>

#include "core/text.h"
#include "primitives/reading.h"
#include "tests/primitives/looking.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

FstabEntry wanted(std::optional<int> priority = std::nullopt) {
  FstabEntry p;
  p.spec = "/swapfile";
  p.priority = priority;
  return p;
}

std::string edited(std::string_view text, const FstabEntry& p = wanted()) {
  const auto out = edit_fstab(p, text);
  return out ? *out : "error: " + out.error().text();
}

TEST(Fstab, IsReadAsLibmountReadsIt) {
  const auto entries = parse_fstab(
      "# a comment\n"
      "  # another\n"
      "\n"
      " \t/swap\\040file  none\tswap sw 0 0\n"
      "/s3 none swap\n"
      "/s4 none swap sw\r\n"
      "/s5 none swap # c\n"
      "/s6 none swap sw 0 0 # c\n"
      "/s7 none swap #c\n"
      "\"/s8\" none SWAP sw 0x0 0\n"
      "/two fields\n"
      "/s9 none swap sw,pri=3 0 0");
  ASSERT_EQ(entries.size(), 8U);
  EXPECT_EQ(entries[0].spec, "/swap file");
  EXPECT_EQ(entries[0].line, 3U);
  EXPECT_EQ(entries[0].options, "sw");
  EXPECT_EQ(entries[1].options, "");
  EXPECT_TRUE(entries[1].well_formed);
  EXPECT_EQ(entries[2].options, "sw");
  EXPECT_FALSE(entries[3].well_formed);
  EXPECT_TRUE(entries[4].well_formed);
  EXPECT_EQ(entries[5].options, "#c");
  EXPECT_EQ(entries[6].spec, "\"/s8\"");
  EXPECT_EQ(entries[6].type, "SWAP");
  EXPECT_FALSE(entries[6].well_formed);
  EXPECT_EQ(entries[7].options, "sw,pri=3");
}

TEST(Fstab, AnEntryThatWorksStaysByteForByte) {
  for (const std::string text :
       {"/swapfile none swap sw,nofail 0 0\n", "/swapfile none swap sw 0 0\n",
        "/swapfile\tswap\tswap\tdefaults\t0\t0\n", "//swapfile none swap defaults\n",
        "/./swapfile none swap sw 0 0 # by hand\n", "/swapfile none swap\n", "/swapfile none swap sw,pri=7 0 0",
        "/dev/a / ext4 rw 0 1\n  /swapfile none swap noauto,auto\r\n"}) {
    EXPECT_EQ(edited(text), text);
  }
}

TEST(Fstab, OnlyWhatIsWrongIsChanged) {
  const std::string line = "/swapfile none swap sw,nofail 0 0\n";
  const std::vector<std::pair<std::string, std::string>> table{
      {"", line},
      {"/dev/a / ext4 rw 0 1\n", "/dev/a / ext4 rw 0 1\n" + line},
      {"/dev/a / ext4 rw 0 1", "/dev/a / ext4 rw 0 1\n" + line},
      {"# /swapfile none swap sw 0 0\n", "# /swapfile none swap sw 0 0\n" + line},
      {"/swapfile none SWAP sw 0 0\n", "/swapfile none SWAP sw 0 0\n" + line},
      {"\"/swapfile\" none swap sw 0 0\n", "\"/swapfile\" none swap sw 0 0\n" + line},
      {"UUID=0 none swap sw 0 0\n", "UUID=0 none swap sw 0 0\n" + line},
      {"/swapfile /mnt ext4 loop 0 0\n", "/swapfile /mnt ext4 loop 0 0\n" + line},
      {"/swapfile2 none swap sw 0 0\n", "/swapfile2 none swap sw 0 0\n" + line},
      {"/swapfile  none swap sw,noauto 0 0 # x\r\n", "/swapfile  none swap sw 0 0 # x\r\n"},
      {"/swapfile none swap noauto\n", "/swapfile none swap sw\n"},
      {"/swapfile none swap # c\n", line},
      {"a\n/swapfile none swap sw\nb\n/swapfile none swap sw,pri=1\n//swapfile x swap sw\nc",
       "a\n/swapfile none swap sw\nb\nc"},
  };
  for (const auto& [before, after] : table) {
    EXPECT_EQ(edited(before), after);
    EXPECT_EQ(edited(after), after) << "a second time";
  }
}

TEST(Fstab, ThePriorityIsPartOfTheEntry) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"", "/swapfile none swap sw,nofail,pri=5 0 0\n"},
      {"/swapfile none swap sw,pri=5 0 0\n", "/swapfile none swap sw,pri=5 0 0\n"},
      {"/swapfile none swap pri=7,sw 0 0\n", "/swapfile none swap sw,pri=5 0 0\n"},
      {"/swapfile none swap sw,pri=5,pri=7 0 0\n", "/swapfile none swap sw,pri=5 0 0\n"},
      {"/swapfile none swap sw 0 0\n", "/swapfile none swap sw,pri=5 0 0\n"},
      {"/swapfile none swap", "/swapfile none swap sw,pri=5"},
  };
  for (const auto& [before, after] : table) EXPECT_EQ(edited(before, wanted(5)), after);
  EXPECT_FALSE(edit_fstab(wanted(99999), ""));
  EXPECT_FALSE(edit_fstab(wanted(-5), ""));
}

TEST(Fstab, AbsentTakesEveryEntryOfTheFileAndNothingElse) {
  auto p = wanted();
  p.absent = true;
  EXPECT_EQ(edited("a b c\n/swapfile none swap sw\n#/swapfile none swap sw\n//swapfile - swap\nd e f", p),
            "a b c\n#/swapfile none swap sw\nd e f");
}

TEST(Fstab, NamesWithBlanksAreEscaped) {
  auto p = wanted();
  p.spec = "/swap dir/a\tb\\c";
  EXPECT_EQ(edited("", p), "/swap\\040dir/a\\011b\\134c none swap sw,nofail 0 0\n");
  EXPECT_EQ(edited(edited("", p), p), edited("", p));
}

TEST(UnitNames, AreEscapedAsSystemdDoes) {
  EXPECT_EQ(unit_of_path(AbsPath("/swapfile"), ".swap"), "swapfile.swap");
  EXPECT_EQ(unit_of_path(AbsPath("/var/swap-1/a b.c"), ".swap"), "var-swap\\x2d1-a\\x20b.c.swap");
  EXPECT_EQ(unit_of_path(AbsPath("/.hidden/ö"), ".swap"), "\\x2ehidden-\\xc3\\xb6.swap");
  EXPECT_EQ(unit_of_path(AbsPath("/"), ".mount"), "-.mount");
  EXPECT_EQ(cgroup_of_slice("user-1000.slice"), "user.slice/user-1000.slice");
  EXPECT_EQ(cgroup_of_slice("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(cgroup_of_slice("system.slice"), "system.slice");
  EXPECT_EQ(cgroup_of_slice("-.slice"), "");
}

TEST(UnitFiles, TellTheirWhat) {
  EXPECT_EQ(what_of_unit("[Swap]\nWhat=/a b%%c\nOptions=sw\n"), "/a b%c");
  EXPECT_EQ(what_of_unit("[Unit]\nX=y\n"), std::nullopt);
}

FakeSystem converged() {
  FakeSystem host = fake_debian();
  EXPECT_TRUE(tried(wanted(5), host));
  host.forget_mutations();
  return host;
}

TEST(FstabEntryOfAHost, IsWrittenWithABackupAndSystemdReloaded) {
  FakeSystem host = fake_debian();
  const auto before = host.content("/etc/fstab");
  EXPECT_EQ(failing(wanted(5), host), (Names{"entries", "generated unit"}));
  ASSERT_TRUE(tried(wanted(5), host));
  EXPECT_EQ(host.content("/etc/fstab"), before + "/swapfile none swap sw,nofail,pri=5 0 0\n");
  EXPECT_EQ(host.mutations(), (Names{"write /etc/fstab 0644 0:0", "run systemctl daemon-reload"}));
  ASSERT_EQ(host.backups().size(), 1U);
  EXPECT_EQ(host.backups().front().second, before);
  EXPECT_EQ(failing(wanted(5), host), Names{});
}

TEST(FstabEntryOfAHost, EveryPropertyIsMissedAloneAndHealed) {
  const auto replace = [](FakeSystem& host, const std::string& from, const std::string& to) {
    auto text = host.content("/etc/fstab");
    text.replace(text.find(from), from.size(), to);
    host.put_file("/etc/fstab", text);
  };
  const std::vector<std::pair<std::string, std::function<void(FakeSystem&)>>> table{
      {"entries",
       [](FakeSystem& h) {
         h.put_file("/etc/fstab", h.content("/etc/fstab") + "//swapfile none swap sw,pri=5 0 0\n");
       }},
      {"at boot", [&](FakeSystem& h) { replace(h, "nofail", "noauto"); }},
      {"priority", [&](FakeSystem& h) { replace(h, "pri=5", "pri=6"); }},
      {"priority", [&](FakeSystem& h) { replace(h, ",pri=5", ""); }},
      {"format", [&](FakeSystem& h) { replace(h, "pri=5 0 0", "pri=5 # 0"); }},
      {"generated unit", [](FakeSystem& h) { h.erase("/run/systemd/generator/swapfile.swap"); }},
      {"generated unit",
       [](FakeSystem& h) { h.put_file("/run/systemd/generator/swapfile.swap", "[Swap]\nWhat=/other\n"); }},
  };
  for (const auto& [property, change] : table) {
    FakeSystem host = converged();
    change(host);
    EXPECT_EQ(failing(wanted(5), host), Names{property});
    ASSERT_TRUE(tried(wanted(5), host)) << property;
    EXPECT_EQ(failing(wanted(5), host), Names{}) << property;
  }
}

TEST(FstabEntryOfAHost, ADeathBeforeTheReloadHealsWithoutAnotherWrite) {
  FakeSystem host = fake_debian();
  host.die_at_mutation(2);
  EXPECT_THROW((void)tried(wanted(), host), ProcessDied);
  host.clear_faults();
  host.forget_mutations();
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), Names{"run systemctl daemon-reload"});
}

TEST(FstabEntryOfAHost, IsRefusedBeforeAnythingIsTouched) {
  FakeSystem host = fake_debian();
  const auto text = host.content("/etc/fstab");
  host.erase("/etc/fstab");
  host.put_file("/etc/static/fstab", text);
  host.put_symlink("/etc/fstab", "/etc/static/fstab");
  auto status = tried(wanted(), host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::symlink);

  FakeSystem off = fake_debian();
  off.put_file("/proc/cmdline", "root=/dev/vda1 systemd.swap=no\n");
  status = tried(wanted(), off);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("'systemd.swap=no'"), std::string::npos);
  EXPECT_TRUE(host.mutations().empty());
  EXPECT_TRUE(off.mutations().empty());
}

TEST(FstabEntryOfAHost, WithoutSystemdThereIsNoUnitToAskFor) {
  FakeSystem host = fake_debian();
  host.erase("/run/systemd");
  host.systemd = false;
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), Names{"write /etc/fstab 0644 0:0"});
  EXPECT_EQ(find_check(looked(wanted(), host), "generated unit"), nullptr);
}

TEST(FstabEntryOfAHost, AbsentIsRemovedAndTheUnitGoes) {
  FakeSystem host = converged();
  auto p = wanted();
  p.absent = true;
  EXPECT_EQ(failing(p, host), (Names{"entries", "generated unit"}));
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(failing(p, host), Names{});
}

}  // namespace
}  // namespace converge
