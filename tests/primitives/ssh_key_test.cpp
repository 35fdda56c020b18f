#include "primitives/ssh_key.h"

#include "tests/primitives/mutation_table.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
constexpr Owner theirs{1000, 1000};
const std::string made_here = "tegwick@coulombcore";  // the declared comment
const std::string path = "/home/tegwick/.ssh/id_ed25519_gitea", ssh = "/home/tegwick/.ssh";

SshKey gitea_key() { return {.user = tegwick, .path = AbsPath(path), .comment = "tegwick@coulombcore"}; }

FakeSystem host_with_key(std::string_view cipher = "none", std::string_view type = "ssh-ed25519",
                         std::string_view comment = "an old comment") {
  FakeSystem host = fake_debian();
  const FakeKey key = fake_key("old", comment, cipher, type);
  host.put_file(path, key.private_key, Mode{0600}, theirs);
  host.put_file(path + ".pub", key.public_key, Mode{0644}, theirs);
  return host;
}

TEST(SshKey, IsMadeWhenAbsentWithTheUsersOwnRights) {
  FakeSystem host = fake_debian();
  expect_heals(gitea_key(), host);
  const auto secret = std::get<RegularFile>(host.state(path));
  EXPECT_EQ(Mode{0600}, secret.mode);
  EXPECT_EQ(theirs, *secret.owner);
  EXPECT_EQ(Mode{0644}, std::get<RegularFile>(host.state(path + ".pub")).mode);
  EXPECT_TRUE(host.content(path + ".pub").ends_with(" tegwick@coulombcore\n"));
}

TEST(SshKey, OfADirectoryTreeIsLeftOutAndSaysSo) {
  FakeSystem host = fake_debian();
  host.live = false;
  const Checks checks = checks_of(gitea_key(), host);
  ASSERT_NE(nullptr, find_check(checks, "key"));
  EXPECT_EQ(Verdict::skipped, find_check(checks, "key")->verdict);
  EXPECT_FALSE(any_fails(checks));
  FakeSystem with_key = host_with_key();
  with_key.live = false;
  with_key.set_mode(path, Mode{0644});
  with_key.erase(path + ".pub");
  EXPECT_EQ(Verdict::skipped, find_check(checks_of(gitea_key(), with_key), "public key")->verdict);
  EXPECT_TRUE(apply_once(gitea_key(), with_key)) << "its mode does not need one";
  EXPECT_EQ(Mode{0600}, std::get<RegularFile>(with_key.state(path)).mode);
  EXPECT_FALSE(any_fails(checks_of(gitea_key(), with_key)));
}

TEST(SshKey, ShowsWhatToRegister) {
  FakeSystem host = host_with_key();
  const Checks checks = checks_of(gitea_key(), host);
  const Check* key = find_check(checks, "key");
  ASSERT_NE(nullptr, key);
  const auto shown = parse_public_key(host.content(path + ".pub"));
  EXPECT_EQ("register this key: " + shown->text() + " (" + shown->fingerprint() + ")", key->detail);
}

TEST(SshKey, IsNeverMadeAgain) {
  FakeSystem host = host_with_key();
  const auto before = host.snapshot();
  EXPECT_TRUE(all_pass(checks_of(gitea_key(), host))) << "another comment is no reason";
  EXPECT_TRUE(apply_once(gitea_key(), host));
  EXPECT_EQ(before, host.snapshot());
}

TEST(SshKey, EachPropertyIsSeenAndMended) {
  run_mutation_table(gitea_key(), [] { return host_with_key("none", "ssh-ed25519", made_here); },
                     {{"mode", [](FakeSystem& host) { host.set_mode(path, Mode{0644}); }},
                      {"public key", [](FakeSystem& host) { host.erase(path + ".pub"); }},
                      {"public key's owner", [](FakeSystem& host) { host.set_owner(path + ".pub", root_owner); }},
                      {"left by an interrupted run", [](FakeSystem& host) {
                         host.put_directory(ssh + "/.converge-id_ed25519_gitea", Mode{0700}, theirs);
                       }}});
}

TEST(SshKey, RootLeftIsGivenBack) {
  FakeSystem host = host_with_key("none", "ssh-ed25519", made_here);
  host.set_owner(path, root_owner);
  host.set_owner(path + ".pub", root_owner);
  const std::string bytes = host.content(path);
  const auto checks = checks_of(gitea_key(), host);
  EXPECT_EQ(Verdict::fail, find_check(checks, "owner")->verdict);
  EXPECT_EQ(Verdict::unknown, find_check(checks, "key")->verdict);
  expect_heals(gitea_key(), host);
  EXPECT_EQ(bytes, host.content(path));
}

TEST(SshKey, InADirectoryOfRootsIsReachedAgain) {
  FakeSystem host = host_with_key();
  host.set_owner(ssh, root_owner);
  EXPECT_EQ(Verdict::fail, find_check(checks_of(gitea_key(), host), "key")->verdict);
  expect_heals(gitea_key(), host);
}

/// Refused, and not a byte or owner of the host changes.
void expect_not_given_away(const SshKey& p, FakeSystem& host) {
  expect_refused(p, host, Errc::refused, "does not look like what converge made");
}

TEST(SshKey, AnotherFileOfRootsUnderItsNameIsNotGivenAway) {
  const FakeKey ours = fake_key("old", made_here, "none", "ssh-ed25519");
  const std::string contents[] = {"a secret of root's\n",
                                  "",
                                  fake_key("root", "root@coulombcore", "none", "ssh-ed25519").private_key,
                                  fake_key("root", made_here, "aes256-ctr", "ssh-ed25519").private_key,
                                  fake_key("root", made_here, "none", "ssh-rsa").private_key,
                                  ours.private_key + std::string(70'000, '\n')};
  for (const std::string& content : contents) {
    FakeSystem host = host_with_key("none", "ssh-ed25519", made_here);
    host.put_file(path, content, Mode{0600}, root_owner);
    expect_not_given_away(gitea_key(), host);
  }
  for (const std::string& content : {std::string("a secret of root's\n"), ours.public_key + "a secret of root's\n",
                                     fake_key("root", "root@coulombcore", "none", "ssh-ed25519").public_key}) {
    FakeSystem host = host_with_key("none", "ssh-ed25519", made_here);
    host.put_file(path + ".pub", content, Mode{0600}, root_owner);
    expect_not_given_away(gitea_key(), host);
  }
}

TEST(SshKey, AKeyOfAnotherTypeMadeHereIsGivenBack) {
  for (const auto& [type, wire] : {std::pair{"rsa", "ssh-rsa"}, std::pair{"ecdsa", "ecdsa-sha2-nistp256"}}) {
    FakeSystem host = host_with_key("none", wire, made_here);
    host.set_owner(path, root_owner);
    SshKey p = gitea_key();
    p.type = type;
    expect_heals(p, host);
  }
}

TEST(SshKey, AnotherDirectoryOfRootsUnderTheDirectorysNameIsNotGivenAway) {
  for (const char* name : {"shadow", ".converge-", "config.d", "known_hosts2"}) {
    FakeSystem host = host_with_key();
    host.put_file(ssh + "/" + name, "a secret of root's\n", Mode{0644}, root_owner);
    host.set_owner(ssh, root_owner);
    expect_not_given_away(gitea_key(), host);
  }
  FakeSystem nested = host_with_key();
  nested.put_directory(ssh + "/id_backup", Mode{0755}, root_owner);
  nested.set_owner(ssh, root_owner);
  expect_not_given_away(gitea_key(), nested);
  FakeSystem usual = host_with_key();
  for (const char* name : {"config", "known_hosts", "authorized_keys", "id_rsa", "id_rsa.pub", ".config.converge-x"})
    usual.put_file(ssh + "/" + name, "", Mode{0600}, root_owner);
  usual.set_owner(ssh, root_owner);
  expect_heals(gitea_key(), usual);
}

TEST(SshKey, IsRefusedWhenItIsNotWhatWasAskedFor) {
  FakeSystem encrypted = host_with_key("aes256-ctr");
  expect_refused(gitea_key(), encrypted, Errc::refused, "passphrase");
  FakeSystem rsa = host_with_key("none", "ssh-rsa");
  expect_refused(gitea_key(), rsa, Errc::refused, "rsa");
  FakeSystem damaged = host_with_key();
  damaged.put_file(path, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", Mode{0600}, theirs);
  expect_refused(gitea_key(), damaged, Errc::refused, "cut short");
  FakeSystem empty = host_with_key();
  empty.put_file(path, "", Mode{0600}, theirs);
  expect_refused(gitea_key(), empty, Errc::refused, "empty");
  FakeSystem mismatch = host_with_key();
  mismatch.put_file(path + ".pub", fake_key("other", "").public_key, Mode{0644}, theirs);
  expect_refused(gitea_key(), mismatch, Errc::refused, "another key");
  FakeSystem alone = host_with_key();
  alone.erase(path);
  expect_refused(gitea_key(), alone, Errc::refused, "its private key is not");
  FakeSystem stranger = host_with_key();
  stranger.set_owner(path, {1001, 1001});
  expect_refused(gitea_key(), stranger, Errc::refused, "uid 1001");
}

TEST(SshKey, IsNotWrittenThroughWhatTheUserPlanted) {
  FakeSystem link = fake_debian();
  link.put_symlink(path, "/etc/shadow");
  expect_refused(gitea_key(), link, Errc::refused, "symlink");
  FakeSystem fifo = fake_debian();
  fifo.put_other(path, "fifo");
  expect_refused(gitea_key(), fifo, Errc::refused, "fifo");
  FakeSystem hard = host_with_key();
  hard.set_owner(path, root_owner);
  hard.set_links(path, 2);
  expect_refused(gitea_key(), hard, Errc::refused, "2 names");
  FakeSystem directory = fake_debian();
  directory.erase(ssh);
  directory.put_symlink(ssh, "/root");
  const auto state = inspect(gitea_key(), directory);
  ASSERT_FALSE(state);
  EXPECT_EQ(Errc::symlink, state.error().code);
}

TEST(SshKey, IsWholeWhereverTheRunDies) {
  for (int n = 1; n < 20; ++n) {
    FakeSystem host = fake_debian();
    host.die_at_mutation(n);
    bool died = false;
    try {
      (void)apply_once(gitea_key(), host);
    } catch (const ProcessDied&) {
      died = true;
    }
    host.clear_faults();
    const std::string made = host.exists(path) ? host.content(path) : "";
    expect_heals(gitea_key(), host);
    if (!made.empty()) {
      EXPECT_EQ(made, host.content(path)) << "a key that had its name is kept, after mutation " << n;
    }
    EXPECT_FALSE(host.exists(ssh + "/.converge-id_ed25519_gitea"));
    if (!died) return;
  }
  FAIL() << "it never ran out of mutations";
}

TEST(SshKey, SaysWhatIsMissing) {
  FakeSystem host = fake_debian();
  host.without_command("ssh-keygen");
  const Status done = apply_once(gitea_key(), host);
  ASSERT_FALSE(done);
  EXPECT_EQ("install openssh-client", done.error().hint);
  EXPECT_FALSE(host.exists(ssh + "/.converge-id_ed25519_gitea")) << "nothing is left behind";
}

}  // namespace
}  // namespace converge
