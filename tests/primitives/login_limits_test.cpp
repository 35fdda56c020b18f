#include "primitives/login_limits.h"

#include <gtest/gtest.h>

#include "primitives/probe_login.h"
#include "tests/primitives/looking.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

LoginLimits wanted() {
  LoginLimits p;
  p.user = {"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
  p.soft = 512;
  p.hard = 1024;
  return p;
}

/// "512/1024", "-" for what nobody sets.
std::string limits(const Files& files) {
  const LimitsSubject who{"tegwick", 1000, {{"tegwick", 1000}, {"sudo", 27}}};
  const auto result = effective_limit(files, who, "nproc");
  if (!result.cancelled.empty()) return "cancelled by " + result.cancelled;
  return (result.soft ? result.soft->text() : "-") + "/" + (result.hard ? result.hard->text() : "-");
}
std::string limits(const std::string& text) { return limits(Files{{"limits.conf", text}}); }

TEST(PamLimits, RanksAndOrderDecideAsPamLimitsDoes) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"tegwick soft nproc 512\ntegwick hard nproc 1024\n", "512/1024"},
      {"tegwick - nproc 700", "700/700"},
      {"tegwick soft nproc 512\ntegwick soft nproc 600\n", "600/-"},
      {"tegwick soft nproc 512\n* soft nproc 100\n", "512/-"},
      {"* soft nproc 100\ntegwick soft nproc 512\n", "512/-"},
      {"@sudo soft nproc 300\n* soft nproc 100\n", "300/-"},
      {"* soft nproc 100\n@sudo soft nproc 300\n", "300/-"},
      {"@other soft nproc 300\n", "-/-"},
      {"tegwick soft nproc 512\n1000:1000 soft nproc 7\n", "7/-"},
      {":1000 soft nproc 8\n", "8/-"},
      {":999 soft nproc 8\n", "-/-"},
      {"500: soft nproc 9\n", "9/-"},
      {"1001: soft nproc 9\n", "-/-"},
      {"500:999 soft nproc 9\n", "-/-"},
      {":2000 soft nproc 8\n", "-/-"},
      {"@:27 soft nproc 11\n", "11/-"},
      {"@1:999 soft nproc 11\n", "-/-"},
      {"@1000: soft nproc 12\n", "12/-"},
      {"tegwick soft nproc 512\n@27: soft nproc 5\n", "512/-"},
      {"% soft nproc 5\n%sudo soft nproc 5\n", "-/-"},
      {"tegwick soft nproc 2000\ntegwick hard nproc 1000\n", "1000/1000"},
      {"tegwick soft nproc unlimited\ntegwick hard nproc 1000\n", "1000/1000"},
      {"tegwick - nproc unlimited\n", "unlimited/unlimited"},
      {"tegwick - nproc -1\n", "unlimited/unlimited"},
      {"tegwick - nproc infinity\n", "unlimited/unlimited"},
      {"tegwick - nproc -\n", "unlimited/unlimited"},
      {"tegwick soft nproc 12abc\n", "12/-"},
      {"tegwick soft nproc 7\ntegwick soft nproc abc\n", "7/-"},
      {"TEGWICK soft nproc 7\n", "-/-"},
      {"tegwick SOFT NPROC 7\n", "7/-"},
      {"  tegwick\tsoft  nproc 7 # x\r\n", "7/-"},
      {"#tegwick soft nproc 7\n", "-/-"},
      {"tegwick soft nproc 7#8\n", "7/-"},
      {"tegwick soft nproc # 8\n", "-/-"},
      {"tegwick soft nofile 7\n", "-/-"},
      {"tegwick sort nproc 7\n", "-/-"},
      {"tegwick soft nproc 7 and more\n", "7/-"},
      {"tegwick soft nproc 7\ntegwick -\n", "cancelled by limits.conf:2"},
      {"@sudo -\ntegwick soft nproc 7\n", "cancelled by limits.conf:1"},
      {"@other -\nother -\n* -\ntegwick soft nproc 7\n", "7/-"},
      {"tegwick soft nproc 0x10\n", "0/-"},
      {"tegwick soft nproc 99999999999999999999\n", "unlimited/-"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(limits(text), expected) << text;
}

TEST(PamLimits, FilesAreReadInTheOrderGiven) {
  EXPECT_EQ(limits(Files{{"a", "tegwick soft nproc 1\n"}, {"b", "tegwick soft nproc 2\n"}}), "2/-");
  EXPECT_EQ(limits(Files{{"a", "tegwick soft nproc 1\n"}, {"b", "* soft nproc 2\n"}}), "1/-");
  EXPECT_EQ(limits(Files{{"a", "tegwick soft nproc 1\n"}, {"b", "\ntegwick -\n"}, {"c", "tegwick soft nproc 3\n"}}),
            "cancelled by b:2");
}

TEST(LimitsFile, OnlyOurLinesAreTouched) {
  const std::string both = "tegwick soft nproc 512\ntegwick hard nproc 1024\n";
  const std::vector<std::pair<std::string, std::string>> table{
      {"", both},
      {"# End of file", "# End of file\n" + both},
      {"* soft core 0\n", "* soft core 0\n" + both},
      {both + "# End of file\n", both + "# End of file\n"},
      {"tegwick\tsoft\tnproc\t100 # why\n", "tegwick\tsoft\tnproc\t512 # why\ntegwick hard nproc 1024\n"},
      {"tegwick hard nproc 100\nx", both + "x"},
      {"tegwick - nproc 100\n@x - nproc 5\n", "@x - nproc 5\n" + both},
      {"tegwick soft nproc 1\nx\ntegwick soft nproc 2\ntegwick hard nproc 1024",
       "x\n" + both.substr(0, both.size() - 1)},
      {"tegwick soft nofile 1\ntegwick2 soft nproc 1\n", "tegwick soft nofile 1\ntegwick2 soft nproc 1\n" + both},
      {"# a\r\n", "# a\r\ntegwick soft nproc 512\r\ntegwick hard nproc 1024\r\n"},
      {"tegwick soft nproc 512abc\ntegwick hard nproc 1024\n", "tegwick soft nproc 512abc\ntegwick hard nproc 1024\n"},
      {"tegwick soft nproc 5", "tegwick soft nproc 512\ntegwick hard nproc 1024\n"},
  };
  for (const auto& [before, after] : table) {
    EXPECT_EQ(edit_limits(wanted(), before), after) << before;
    EXPECT_EQ(edit_limits(wanted(), after), after) << "a second time";
  }
  auto same = wanted();
  same.soft = 1024;
  EXPECT_EQ(edit_limits(same, "tegwick - nproc 5\n"), "tegwick - nproc 1024\n");
  EXPECT_EQ(edit_limits(same, "tegwick - nproc 1024\n"), "tegwick - nproc 1024\n");
}

FakeSystem converged() {
  FakeSystem host = fake_debian();
  EXPECT_TRUE(tried(wanted(), host));
  host.forget_mutations();
  return host;
}

TEST(LoginLimitsOfAHost, AreWrittenWithABackupAndTheRestStays) {
  FakeSystem host = fake_debian();
  const auto before = host.content("/etc/security/limits.conf");
  EXPECT_EQ(failing(wanted(), host), (Names{"soft", "soft in effect", "hard", "hard in effect"}));
  ASSERT_TRUE(tried(wanted(), host));
  const auto after = host.content("/etc/security/limits.conf");
  EXPECT_TRUE(after.starts_with(before));
  EXPECT_EQ(host.mutations(), Names{"write /etc/security/limits.conf 0644 0:0"});
  EXPECT_EQ(host.backups().size(), 1U);
  EXPECT_EQ(failing(wanted(), host), Names{});
}

TEST(LoginLimitsOfAHost, EveryPropertyIsMissedAndHealed) {
  const auto replace = [](FakeSystem& host, const std::string& from, const std::string& to) {
    auto text = host.content("/etc/security/limits.conf");
    text.replace(text.find(from), from.size(), to);
    host.put_file("/etc/security/limits.conf", text);
  };
  FakeSystem host = converged();
  replace(host, "soft nproc 512", "soft nproc 511");
  EXPECT_EQ(failing(wanted(), host), (Names{"soft", "soft in effect"}));
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(wanted(), host), Names{});
  replace(host, "hard nproc 1024", "hard nproc unlimited");
  EXPECT_EQ(failing(wanted(), host), (Names{"hard", "hard in effect"}));
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(wanted(), host), Names{});
}

TEST(LoginLimitsOfAHost, WhatALaterFileOverridesIsNamedAndThatFileStays) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"tegwick soft nproc 100\n", "overridden by /etc/security/limits.d/90-x.conf:1"},
      {"\n1000:1000 soft nproc 100\n", "overridden by /etc/security/limits.d/90-x.conf:2"},
      {"tegwick -\n", "cancelled by /etc/security/limits.d/90-x.conf:1"},
      {"@sudo -\n", "cancelled by /etc/security/limits.d/90-x.conf:1"},
  };
  for (const auto& [text, says] : table) {
    for (FakeSystem host : {fake_debian(), converged()}) {
      host.put_file("/etc/security/limits.d/90-x.conf", text);
      EXPECT_EQ(detail_of(wanted(), host, "soft in effect"), says);
      EXPECT_EQ(find_check(looked(wanted(), host), "soft in effect")->verdict, Verdict::fail);
      const auto status = tried(wanted(), host);
      ASSERT_FALSE(status) << text;
      EXPECT_EQ(status.error().code, Errc::refused);
      EXPECT_NE(status.error().message.find(says), std::string::npos) << status.error().text();
      EXPECT_TRUE(host.mutations().empty());
    }
  }
}

TEST(LoginLimitsOfAHost, ALineOfTheSameFileIsNamedAsItStandsThereNow) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/security/limits.conf", "tegwick - nproc 100\n@x soft nproc 5\ntegwick -\n");
  const auto cancelled = tried(wanted(), host);
  ASSERT_FALSE(cancelled);
  EXPECT_NE(cancelled.error().message.find("cancelled by /etc/security/limits.conf:3"), std::string::npos)
      << cancelled.error().text();
  EXPECT_EQ(cancelled.error().hint, "remove that line: wherever it stands, it cancels all limits of the user");
  host.put_file("/etc/security/limits.conf", "tegwick - nproc 100\ntegwick soft nproc 1\n1000:1000 soft nproc 7\n");
  const auto overridden = tried(wanted(), host);
  ASSERT_FALSE(overridden);
  EXPECT_NE(overridden.error().message.find("overridden by /etc/security/limits.conf:3"), std::string::npos)
      << overridden.error().text();
}

TEST(LoginLimitsOfAHost, WhatDoesNotWinDoesNotMatter) {
  FakeSystem host = converged();
  host.put_file("/etc/security/limits.d/zz.conf", "* - nproc 100\n@sudo - nproc 5\n");
  host.put_file("/etc/security/limits.d/zz.conf.bak", "tegwick - nproc 1\n");
  EXPECT_EQ(failing(wanted(), host), Names{});
}

TEST(LoginLimitsOfAHost, AFileOfOurOwnIsReadByNameInByteOrder) {
  auto p = wanted();
  p.file = AbsPath("/etc/security/limits.d/a.conf");
  FakeSystem host = fake_debian();
  host.put_file("/etc/security/limits.d/B.conf", "tegwick - nproc 7\n");
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(host.content("/etc/security/limits.d/a.conf"), "tegwick soft nproc 512\ntegwick hard nproc 1024\n");
  EXPECT_EQ(failing(p, host), Names{});

  p.file = AbsPath("/etc/security/limits.d/10-a.conf");
  FakeSystem other = fake_debian();
  other.put_file("/etc/security/limits.d/9-a.conf", "tegwick - nproc 7\n");
  EXPECT_FALSE(tried(p, other));
  EXPECT_TRUE(other.mutations().empty());
}

TEST(LoginLimitsOfAHost, AreRefusedBeforeAnybodyIsLockedOut) {
  FakeSystem host = fake_debian();
  host.put_file("/proc/100/status", "Name:\ta\nUid:\t1000\t1000\t1000\t1000\nThreads:\t900\n");
  host.put_file("/proc/101/status", "Name:\tb\nUid:\t1000\t0\t0\t0\nThreads:\t100\n");
  host.put_file("/proc/102/status", "Name:\tc\nUid:\t0\t1000\t0\t0\nThreads:\t500\n");
  auto status = tried(wanted(), host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::refused);
  EXPECT_NE(status.error().message.find("runs 1000 threads now"), std::string::npos) << status.error().text();
  auto root = wanted();
  root.user = {"root", 0, 0, AbsPath("/root")};
  EXPECT_EQ(tried(root, host).error().code, Errc::refused);
  EXPECT_TRUE(host.mutations().empty());
  auto forced = wanted();
  forced.force = true;
  EXPECT_TRUE(tried(forced, host));

  FakeSystem alpine = fake_debian();
  alpine.erase("/etc/security");
  status = tried(wanted(), alpine);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::unsupported);
  EXPECT_TRUE(alpine.mutations().empty());
}

TEST(ProcLimits, AreReadByTheColumnsOfTheHeader) {
  const std::string text =
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max cpu time              unlimited            unlimited            seconds   \n"
      "Max processes             512                  unlimited            processes \n";
  EXPECT_EQ(parse_proc_limits(text, "Max processes"), (std::pair<std::string, std::string>("512", "unlimited")));
  EXPECT_EQ(parse_proc_limits(text, "Max open files"), std::nullopt);
  EXPECT_EQ(parse_proc_limits("Max processes 1 2 processes\n", "Max processes"), std::nullopt);
}

LoginLimitInEffect proof() {
  LoginLimitInEffect p;
  p.user = wanted().user;
  p.soft = 512;
  p.hard = 1024;
  return p;
}

TEST(LoginProbe, AsksANewSessionAndNotTheAgent) {
  FakeSystem host = converged();
  EXPECT_EQ(failing(proof(), host), Names{});
  EXPECT_NE(host.queries().front().find("systemd-run"), std::string::npos);
  EXPECT_NE(host.queries().front().find("PAMName=sshd"), std::string::npos);
}

TEST(LoginProbe, MissesEachPropertyAlone) {
  const auto with = [](const std::function<void(FakeSystem&)>& change) {
    FakeSystem host = converged();
    change(host);
    return failing(proof(), host);
  };
  const auto limit = [](FakeSystem& h, const std::string& from, const std::string& to) {
    auto text = h.content("/etc/security/limits.conf");
    text.replace(text.find(from), from.size(), to);
    h.put_file("/etc/security/limits.conf", text);
  };
  EXPECT_EQ(with([&](FakeSystem& h) { limit(h, "512", "500"); }), Names{"soft in a new session"});
  EXPECT_EQ(with([&](FakeSystem& h) { limit(h, "1024", "1000"); }), Names{"hard in a new session"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/pam.d/login", "session required pam_unix.so\n"); }),
            Names{"pam_limits"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/pam.d/login", "auth required pam_limits.so\n"); }),
            Names{"pam_limits"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/pam.d/login", "session required pam_limits.so conf=/x\n"); }),
            Names{"pam_limits"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/pam.d/login", "#session required pam_limits.so\n"); }),
            Names{"pam_limits"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/ssh/sshd_config.d/10-x.conf", "usepam no\n"); }),
            Names{"sshd UsePAM"});
  EXPECT_EQ(with([](FakeSystem& h) { h.put_file("/etc/ssh/sshd_config", "Port 22\n"); }), Names{"sshd UsePAM"});
}

TEST(LoginProbe, FollowsWhatStacksInclude) {
  for (const auto* line :
       {"@include limits\n", "session include limits\n", "session substack limits\n",
        "-session\trequired /lib/x86_64-linux-gnu/security/pam_limits.so\n",
        "session [success=ok default=bad] pam_limits.so\n", "session required \\\n  pam_limits.so\n"}) {
    FakeSystem host = converged();
    host.put_file("/etc/pam.d/login", line);
    host.put_file("/usr/lib/pam.d/limits", "session required pam_limits.so\n");
    EXPECT_EQ(failing(proof(), host), Names{}) << line;
  }
}

TEST(LoginProbe, WithoutASessionItIsUnknownAndNotAPass) {
  FakeSystem host = converged();
  host.without_command("systemd-run");
  host.without_command("runuser");
  EXPECT_TRUE(any_unknown(looked(proof(), host)));
  EXPECT_EQ(failing(proof(), host), Names{});
}

}  // namespace
}  // namespace converge
