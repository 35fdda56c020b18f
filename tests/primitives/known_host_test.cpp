#include "primitives/known_host.h"

#include <algorithm>

#include "core/digest.h"
#include "tests/primitives/mutation_table.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
constexpr Owner theirs{1000, 1000};
const std::string path = "/home/tegwick/.ssh/known_hosts";

PublicKey key(std::string_view seed, std::string_view type = "ssh-ed25519") {
  return *parse_public_key(fake_key(seed, "", "none", type).public_key);
}

KnownHost declared() {
  return {.user = tegwick, .file = AbsPath(path), .host = "localhost", .port = 30022, .key = key("host").text()};
}
KnownHost by_fingerprint() {
  KnownHost p = declared();
  p.key.clear();
  p.fingerprint = key("host").fingerprint();
  return p;
}

FakeSystem host_with(std::string_view text) {
  FakeSystem host = fake_debian();
  host.put_file(path, text, Mode{0600}, theirs);
  return host;
}

TEST(KnownHost, IsPinnedFromADeclaredKey) {
  FakeSystem host = fake_debian();
  expect_heals(declared(), host);
  EXPECT_EQ("[localhost]:30022 " + key("host").text() + "\n", host.content(path));
  EXPECT_EQ(Mode{0600}, std::get<RegularFile>(host.state(path)).mode);
  EXPECT_EQ(theirs, *std::get<RegularFile>(host.state(path)).owner);
}

TEST(KnownHost, LeavesEveryOtherByteAndEndsTheLastLine) {
  const std::string others = "# mine\r\ngithub.example " + key("g").text() + "\n[localhost]:2222 " + key("h").text();
  FakeSystem host = host_with(others);
  expect_heals(declared(), host);
  EXPECT_EQ(others + "\n[localhost]:30022 " + key("host").text() + "\n", host.content(path));
}

TEST(KnownHost, EachPropertyIsSeenAndMended) {
  run_mutation_table(declared(), [] { return host_with(""); },
                     {{"pinned", [](FakeSystem& host) { host.put_file(path, "", Mode{0600}, theirs); }},
                      {"mode", [](FakeSystem& host) { host.set_mode(path, Mode{0666}); }},
                      {"owner", [](FakeSystem& host) {
                         host.set_mode(path, Mode{0644});
                         host.set_owner(path, root_owner);
                       }}});
}

TEST(KnownHost, RootLeftUnreadableIsGivenBackWithItsLines) {
  FakeSystem host = host_with("other " + key("g").text() + "\n");
  host.set_owner(path, root_owner);
  expect_heals(declared(), host);
  EXPECT_TRUE(host.content(path).starts_with("other "));
}

TEST(KnownHost, AnotherFileOfRootsUnderItsNameIsNotGivenAway) {
  for (const std::string& text : {std::string("a secret of root's\n"), std::string("# a secret of root's\n"),
                                  "other " + key("g").text() + "\na secret of root's\n"}) {
    FakeSystem host = host_with(text);
    host.set_owner(path, root_owner);
    expect_refused(declared(), host, Errc::refused, "does not look like what converge made");
  }
}

TEST(KnownHost, IsRecognisedHashedInAListAndBesideOtherKeys) {
  const std::string salt(20, 'x');
  const std::string hashed = "|1|" + base64(salt) + "|" + base64(hmac_sha1(salt, "[localhost]:30022"));
  for (const std::string& text :
       {hashed + " " + key("host").text() + "\n", "a,[localhost]:30022 " + key("host").text() + " c\n",
        "[localhost]:30022 " + key("old").text() + "\n[localhost]:30022 " + key("host").text() + "\n"}) {
    FakeSystem host = host_with(text);
    EXPECT_TRUE(all_pass(checks_of(declared(), host))) << text;
    EXPECT_TRUE(all_pass(checks_of(by_fingerprint(), host))) << text;
  }
}

TEST(KnownHost, NeverReplacesAnotherKeyOfThatType) {
  FakeSystem host = host_with("# c\n[localhost]:30022 " + key("old").text() + "\n");
  expect_refused(declared(), host, Errc::refused, key("old").fingerprint());
  expect_refused(declared(), host, Errc::refused, key("host").fingerprint());
  expect_refused(declared(), host, Errc::refused, "remove line 2");
}

TEST(KnownHost, StandsBesideAKeyOfAnotherType) {
  FakeSystem host = host_with("[localhost]:30022 " + key("old", "ssh-rsa").text() + "\n");
  expect_heals(declared(), host);
}

TEST(KnownHost, IsNotPinnedWhenItIsRevoked) {
  FakeSystem host = host_with("[localhost]:30022 " + key("host").text() + "\n@revoked * " + key("host").text() + "\n");
  EXPECT_EQ(Verdict::fail, find_check(checks_of(declared(), host), "pinned")->verdict);
  expect_refused(declared(), host, Errc::refused, ":2 revokes");
}

TEST(KnownHost, ACertificateAuthorityIsNoPin) {
  FakeSystem host = host_with("@cert-authority * " + key("host").text() + "\n");
  EXPECT_EQ("absent", find_check(checks_of(declared(), host), "pinned")->actual);
}

TEST(KnownHost, IsScannedOnlyToFindTheKeyOfADeclaredFingerprint) {
  FakeSystem host = fake_debian();
  install_ssh_keyscan(host, {key("rsa", "ssh-rsa").text(), key("host").text()});
  EXPECT_TRUE(any_fails(checks_of(by_fingerprint(), host)));
  EXPECT_TRUE(host.queries().empty()) << "looking scans nothing";
  expect_heals(by_fingerprint(), host);
  EXPECT_EQ("[localhost]:30022 " + key("host").text() + "\n", host.content(path));
}

TEST(KnownHost, IsFoundByIpv4WhereTheNameMeansIpv6First) {
  FakeSystem host = fake_debian();
  const std::string line = "[localhost]:30022 " + key("host").text() + "\n";
  host.on_command("ssh-keyscan", [line](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    const bool by_ipv4 = std::find(command.argv.begin(), command.argv.end(), "-4") != command.argv.end();
    return CommandOutput{.exit_code = 0, .out = by_ipv4 ? line : ""};
  });
  expect_heals(by_fingerprint(), host);
  EXPECT_EQ(line, host.content(path));
}

TEST(KnownHost, WithAnotherFingerprintPinsNothing) {
  FakeSystem host = fake_debian();
  install_ssh_keyscan(host, {key("intruder").text()});
  expect_refused(by_fingerprint(), host, Errc::refused, key("intruder").fingerprint());
  FakeSystem changed = host_with("[localhost]:30022 " + key("old").text() + "\n");
  install_ssh_keyscan(changed, {key("host").text()});
  expect_refused(by_fingerprint(), changed, Errc::refused, key("old").fingerprint());
  FakeSystem silent = fake_debian();
  install_ssh_keyscan(silent, {});
  expect_refused(by_fingerprint(), silent, Errc::command_failed, "no host key");
}

TEST(KnownHost, WarnsOfAStaleEntryOfThePlainName) {
  FakeSystem host = host_with("localhost " + key("old").text() + "\n");
  const Checks before = checks_of(declared(), host);
  EXPECT_NE(std::string::npos, find_check(before, "pinned")->detail.find("line 1 of")) << text_of(before);
  expect_heals(declared(), host);
  FakeSystem same = host_with("localhost " + key("host").text() + "\n");
  EXPECT_EQ("", find_check(checks_of(declared(), same), "pinned")->detail);
  KnownHost aliased = declared();
  aliased.name = "gitea-local";
  EXPECT_EQ("", find_check(checks_of(aliased, host), "pinned")->detail);
}

TEST(KnownHost, UnderAnAliasHasNoPort) {
  FakeSystem host = fake_debian();
  KnownHost p = declared();
  p.name = "gitea-local";
  expect_heals(p, host);
  EXPECT_TRUE(host.content(path).starts_with("gitea-local ssh-ed25519 "));
}

TEST(KnownHost, IsNotWrittenThroughASymlink) {
  FakeSystem host = fake_debian();
  host.put_symlink(path, "/etc/shadow");
  expect_refused(declared(), host, Errc::refused, "symlink");
}

}  // namespace
}  // namespace converge
