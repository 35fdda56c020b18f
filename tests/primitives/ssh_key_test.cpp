#include "primitives/ssh_key.h"

#include "tests/primitives/mutation_table.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
constexpr Owner theirs{1000, 1000};
const std::string path = "/home/tegwick/.ssh/id_ed25519_gitea", ssh = "/home/tegwick/.ssh";

SshKey gitea_key() { return {.user = tegwick, .path = AbsPath(path), .comment = "tegwick@coulombcore"}; }

FakeSystem host_with_key(std::string_view cipher = "none", std::string_view type = "ssh-ed25519") {
  FakeSystem host = fake_debian();
  const FakeKey key = fake_key("old", "an old comment", cipher, type);
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
  run_mutation_table(gitea_key(), [] { return host_with_key(); },
                     {{"mode", [](FakeSystem& host) { host.set_mode(path, Mode{0644}); }},
                      {"public key", [](FakeSystem& host) { host.erase(path + ".pub"); }},
                      {"public key's owner", [](FakeSystem& host) { host.set_owner(path + ".pub", root_owner); }},
                      {"left by an interrupted run", [](FakeSystem& host) {
                         host.put_directory(ssh + "/.converge-id_ed25519_gitea", Mode{0700}, theirs);
                       }}});
}

TEST(SshKey, RootLeftIsGivenBack) {
  FakeSystem host = host_with_key();
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
