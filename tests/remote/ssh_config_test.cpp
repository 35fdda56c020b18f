#include "remote/ssh_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "tests/support/ssh_server.h"

namespace converge::remote {
namespace {

SshConfig read(const std::string& file, const SshAsked& asked) {
  auto config = read_ssh_config(file, asked);
  EXPECT_TRUE(config) << config.error().text();
  return config ? *config : SshConfig{};
}

constexpr const char* sample = R"(# comment
Host web1 web2 !web3
  HostName %h.example.net   # trailing
  User="deploy er"
Host web*
  Port 2222
  User other
  IdentityFile ~/.ssh/%r_on_%n
  IdentityFile /keys/second
  IdentitiesOnly yes
Host plain
  HostName 10.0.0.7
  HostKeyAlias Alias
  UserKnownHostsFile /k/one /k/two
  ProxyCommand nc -X "a b" %h %p
  ConnectTimeout 7
Match originalhost plain,other user nobody*
  Compression yes
Match host 10.0.0.* !originalhost web1
  Ciphers aes256-ctr
Host inner
  ProxyJump ann@first:2022,second
  ProxyCommand never
Host quiet
  ProxyJump none
  IdentityAgent none
Include extra/*.conf
Match all
  Port 22
)";

TEST(SshConfigFile, SaysWhatSshSays) {
  if (run_quietly({"ssh", "-V"}) != 0) GTEST_SKIP() << "there is no ssh";
  const Folder folder;
  std::string text = sample;
  folder.write("extra.conf", "Host included\n  HostName inc.example\n  Port 77\n");
  text.replace(text.find("extra/*.conf"), 12, folder.path("extra*.conf"));
  const std::string file = folder.write("config", text);
  for (const char* host :
       {"web1", "web2", "web3", "WEB1", "plain", "other", "inner", "quiet", "included", "10.0.0.9"}) {
    for (const char* user : {"", "nobody2"}) {
      SCOPED_TRACE(std::string(host) + " " + user);
      std::vector<std::string> command{"ssh", "-G", "-F", file};
      if (*user != 0) command.insert(command.end(), {"-l", user});
      command.emplace_back(host);
      std::map<std::string, std::string> theirs;
      std::istringstream lines(output_of(command));
      for (std::string line; std::getline(lines, line);)
        theirs.emplace(line.substr(0, line.find(' ')), line.substr(line.find(' ') + 1));
      ASSERT_FALSE(theirs.empty());
      SshAsked asked;
      asked.host = host;
      asked.user = user;
      const SshConfig ours = read(file, asked);
      EXPECT_EQ(ours.host, theirs["hostname"]);
      EXPECT_EQ(std::to_string(ours.port), theirs["port"]);
      EXPECT_EQ(ours.user, theirs["user"]);
      EXPECT_EQ(ours.host_key_alias, theirs["hostkeyalias"]);
      EXPECT_EQ(ours.identities_only ? "yes" : "no", theirs["identitiesonly"]);
      EXPECT_EQ(ours.compression ? "yes" : "no", theirs["compression"]);
      EXPECT_EQ(ours.connect_timeout == 0 ? "none" : std::to_string(ours.connect_timeout), theirs["connecttimeout"]);
      if (!ours.ciphers.empty()) {
        EXPECT_EQ(ours.ciphers, theirs["ciphers"]);
      }
      std::string jumps;
      for (const auto& jump : ours.jumps) jumps += (jumps.empty() ? "" : ",") + jump;
      EXPECT_EQ(jumps, theirs["proxyjump"]);
      EXPECT_EQ(ours.proxy_command.empty(), !theirs.contains("proxycommand"));
    }
  }
}

TEST(SshConfigFile, ExpandsWhatItIsToldToUse) {
  const Folder folder;
  const std::string file = folder.write("config", sample);
  SshAsked asked;
  asked.host = "web1";
  const SshConfig web = read(file, asked);
  EXPECT_EQ(web.identity_files,
            (std::vector<std::string>{home_directory() + "/.ssh/deploy er_on_web1", "/keys/second"}));
  asked.host = "plain";
  const SshConfig plain = read(file, asked);
  EXPECT_EQ(plain.proxy_command, "nc -X \"a b\" 10.0.0.7 22");
  EXPECT_EQ(plain.user_known_hosts, (std::vector<std::string>{"/k/one", "/k/two"}));
  EXPECT_EQ(plain.host_key_alias, "alias");
}

TEST(SshConfigFile, ACommandOfMatchExecThatDoesNotEndIsEnded) {
  const Folder folder;
  SshAsked asked;
  asked.host = "web1";
  asked.patience = std::chrono::milliseconds(20);
  const std::string fifo = folder.write("unused", "") + ".fifo", who = folder.path("who");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  auto late = read_ssh_config(
      folder.write("late", "Match exec \"echo $$ >" + who + "; exec cat " + fifo + "\"\n  User x\n"), asked);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timeout);
  // It may not even have begun. If it has, it ends, as soon as the kernel gets to it.
  if (pid_t pid = 0; std::ifstream(who) >> pid)
    while (kill(pid, 0) == 0) std::this_thread::yield();
  asked.patience = std::chrono::seconds(20);
  EXPECT_EQ(read(folder.write("good", "Match exec true\n  User x\n"), asked).user, "x");
  EXPECT_NE(read(folder.write("bad", "Match exec false\n  User x\n"), asked).user, "x");
}

TEST(SshConfigFile, WhatWasAskedComesFirst) {
  const Folder folder;
  SshAsked asked{"web1", 99, "me", {"/mine"}, std::vector<std::string>{}};
  const SshConfig config = read(folder.write("config", sample), asked);
  EXPECT_EQ(config.port, 99);
  EXPECT_EQ(config.user, "me");
  EXPECT_EQ(config.identity_files.front(), "/mine");
  asked.host = "inner";
  EXPECT_TRUE(read(folder.path("config"), asked).jumps.empty());
}

TEST(SshConfigFile, NamesTheLineItDoesNotUnderstand) {
  const Folder folder;
  const std::string file = folder.write("config", "Host a\n\nMatch colour red\n");
  const auto config = read_ssh_config(file, {"a", 0, "", {}, {}});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::invalid);
  EXPECT_NE(config.error().text().find(file + ":3"), std::string::npos) << config.error().text();
}

TEST(SshConfigFile, AnIncludeOfItselfEnds) {
  const Folder folder;
  const auto config =
      read_ssh_config(folder.write("config", "Include " + folder.path("config") + "\n"), {"a", 0, "", {}, {}});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::invalid);
}

TEST(JumpHost, IsTakenApart) {
  const auto all = parse_jump("ann@[::1]:2022");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->user, "ann");
  EXPECT_EQ(all->host, "::1");
  EXPECT_EQ(all->port, 2022);
  EXPECT_EQ(parse_jump("ssh://b@h:22/")->host, "h");
  for (const char* bad : {"", "@h", "h:0", "h:99999", "-oProxyCommand=x", "[::1"}) EXPECT_FALSE(parse_jump(bad)) << bad;
}

}  // namespace
}  // namespace converge::remote
