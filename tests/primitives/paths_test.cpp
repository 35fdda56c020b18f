// File, Directory and SymbolicLink.
#include "primitives/block.h"
#include "primitives/directory.h"
#include "primitives/file.h"
#include "primitives/symlink.h"
#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};

File motd() {
  return {.place = AbsPath("/etc/motd"), .content = "kept by converge\n", .mode = Mode{0640}, .owner = {0, 27}};
}

TEST(FileMutations, EachPropertyAlone) {
  run_mutation_table(motd(), fake_debian,
                     {{"kind", [](FakeSystem& host) { host.erase("/etc/motd"); }},
                      {"content",
                       [](FakeSystem& host) {
                         host.put_file("/etc/motd", "other\n", Mode{0640}, {0, 27});
                       }},
                      {"mode", [](FakeSystem& host) { host.set_mode("/etc/motd", Mode{0666}); }},
                      {"owner", [](FakeSystem& host) {
                         host.set_owner("/etc/motd", {1000, 27});
                       }}});
}

TEST(FileMutations, AttributesAloneAreMendedWithoutWriting) {
  FakeSystem host = fake_debian();
  expect_heals(motd(), host);
  host.set_mode("/etc/motd", Mode{0666});
  ASSERT_TRUE(apply_once(motd(), host));
  EXPECT_EQ(std::vector<std::string>{"attributes /etc/motd 0640 0:27"}, host.mutations());
}

TEST(FileMutations, OtherBytesOfTheSameLengthAreSaid) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/motd", "kept by nobody!!\n", Mode{0640}, {0, 27});
  const Checks checks = checks_of(motd(), host);
  const Check* content = find_check(checks, "content");
  ASSERT_NE(nullptr, content);
  EXPECT_EQ("17 B", content->expected);
  EXPECT_EQ("17 B, other bytes", content->actual);
}

TEST(FileSecrets, NothingOfASensitiveFileIsShown) {
  FakeSystem host = fake_debian();
  File secret = motd();
  secret.sensitive = true;
  host.put_file("/etc/motd", "hunter2", Mode{0640}, {0, 27});
  const auto state = inspect(secret, host);
  ASSERT_TRUE(state);
  EXPECT_EQ("", diff(secret, *state));
  const std::string text = text_of(compare(secret, *state));
  EXPECT_EQ(std::string::npos, text.find("17 B")) << text;
  EXPECT_EQ(std::string::npos, text.find("hunter")) << text;
  secret.sensitive = false;
  EXPECT_NE(std::string::npos, diff(secret, *state).find("+kept by converge"));
}

TEST(FileRefusals, NothingButAFileIsReplaced) {
  FakeSystem host = fake_debian();
  host.put_symlink("/etc/motd", "/etc/shadow");
  expect_refused(motd(), host, Errc::refused, "symlink to '/etc/shadow'");
  host.erase("/etc/motd");
  host.put_directory("/etc/motd");
  expect_refused(motd(), host, Errc::refused, "is a directory");
  host.erase("/etc/motd");
  host.put_other("/etc/motd", "fifo");
  expect_refused(motd(), host, Errc::refused, "is a fifo");
}

TEST(FileRefusals, HardLinksAreNotParted) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/motd", "old\n");
  host.set_links("/etc/motd", 2);
  expect_refused(motd(), host, Errc::refused, "2 hard links");
}

TEST(FileRefusals, AMissingDirectoryIsNamed) {
  FakeSystem host = fake_debian();
  File file = motd();
  file.place = AbsPath("/etc/absent.d/motd");
  expect_refused(file, host, Errc::not_found, "/etc/absent.d");
}

TEST(FileRefusals, AFileThatChangedUnderOurEyesIsLeft) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/motd", "old\n");
  const auto state = inspect(motd(), host);
  ASSERT_TRUE(state);
  host.put_file("/etc/motd", "new\n");
  const Status done = apply(motd(), *state, host);
  ASSERT_FALSE(done);
  EXPECT_EQ(Errc::changed, done.error().code);
  EXPECT_EQ("new\n", host.content("/etc/motd"));
}

TEST(FileAbsent, IsRemovedAndNothingElseIs) {
  FakeSystem host = fake_debian();
  File file = motd();
  file.absent = true;
  expect_heals(file, host);
  host.put_file("/etc/motd", "old\n");
  expect_heals(file, host);
  EXPECT_FALSE(host.exists("/etc/motd"));
  host.put_directory("/etc/motd");
  expect_refused(file, host, Errc::refused, "is a directory");
}

TEST(FileLooks, NotBeingAbleToLookIsNoAnswer) {
  FakeSystem host = fake_debian();
  host.fail_look("/etc/motd", Errc::permission);
  const auto state = inspect(motd(), host);
  ASSERT_FALSE(state);
  EXPECT_EQ(Errc::permission, state.error().code);
}

TEST(FileInHomes, WorksWithTheUsersRightsAndFollowsNoLinkOfTheirs) {
  FakeSystem host = fake_debian();
  File file{.place = {AbsPath("/home/tegwick/.ssh/config"), tegwick},
            .content = "Host *\n",
            .mode = Mode{0600},
            .owner = {1000, 1000}};
  expect_heals(file, host);
  host.set_owner("/home/tegwick/.ssh/config", root_owner);  // what root left there is given back
  host.forget_mutations();
  ASSERT_TRUE(apply_once(file, host));
  EXPECT_EQ(std::vector<std::string>{"takeover /home/tegwick/.ssh/config 0600 tegwick"}, host.mutations());
  host.erase("/home/tegwick/.ssh");
  host.put_symlink("/home/tegwick/.ssh", "/etc");
  const auto state = inspect(file, host);
  ASSERT_FALSE(state);
  EXPECT_EQ(Errc::symlink, state.error().code);
}

TEST(FileInHomes, AnotherFileOfRootsUnderItsNameIsNotGivenAway) {
  FakeSystem host = fake_debian();
  const AbsPath path("/home/tegwick/.ssh/config");
  const File file{.place = {path, tegwick}, .content = "Host *\n", .mode = Mode{0600}, .owner = {1000, 1000}};
  host.put_file(path.str(), "a secret of root's\n", Mode{0600}, root_owner);
  expect_refused(file, host, Errc::refused, "does not look like what converge made");
}

TEST(BlockInHomes, OnlyAFileOfRootsThatHoldsTheBlockIsGivenBack) {
  const AbsPath path("/home/tegwick/.ssh/config");
  const Block block{
      .place = {path, tegwick}, .name = "ours", .content = "Host *\n", .mode = Mode{0600}, .owner = {1000, 1000}};
  FakeSystem host = fake_debian();
  expect_heals(block, host);
  host.set_owner(path.str(), root_owner);
  expect_heals(block, host);
  for (const char* text : {"a secret of root's\n", "# BEGIN converge another\n# END converge another\n"}) {
    host.put_file(path.str(), text, Mode{0600}, root_owner);
    expect_refused(block, host, Errc::refused, "does not look like what converge made");
  }
}

TEST(DirectoryInHomes, OnlyADirectoryOfRootsThatHoldsWhatSshsDoesIsGivenBack) {
  const Directory directory{
      .place = {AbsPath("/home/tegwick/.ssh"), tegwick}, .mode = Mode{0700}, .owner = {1000, 1000}};
  FakeSystem host = fake_debian();
  host.put_file("/home/tegwick/.ssh/known_hosts", "", Mode{0600}, root_owner);
  host.set_owner("/home/tegwick/.ssh", root_owner);
  expect_heals(directory, host);
  host.put_file("/home/tegwick/.ssh/dump", "a secret of root's\n", Mode{0644}, root_owner);
  host.set_owner("/home/tegwick/.ssh", root_owner);
  expect_refused(directory, host, Errc::refused, "does not look like what converge made");
}

TEST(OwnersNotManaged, AreLeftOutAndNotRepaired) {
  FakeSystem host = fake_debian();
  host.owners_managed = false;
  host.put_file("/etc/motd", motd().content, Mode{0640}, {1234, 1234});
  const Checks checks = checks_of(motd(), host);
  ASSERT_NE(nullptr, find_check(checks, "owner"));
  EXPECT_EQ(Verdict::skipped, find_check(checks, "owner")->verdict);
  expect_heals(motd(), host);
}

TEST(DirectoryMutations, EachPropertyAlone) {
  const Directory directory{.place = AbsPath("/opt/coulomb"), .mode = Mode{0750}, .owner = {1000, 1000}};
  run_mutation_table(directory, fake_debian,
                     {{"kind", [](FakeSystem& host) { host.erase("/opt/coulomb"); }},
                      {"mode", [](FakeSystem& host) { host.set_mode("/opt/coulomb", Mode{0777}); }},
                      {"owner", [](FakeSystem& host) { host.set_owner("/opt/coulomb", root_owner); }}});
}

TEST(DirectoryRefusals, WhatIsNoDirectoryOrNotEmptyIsLeft) {
  FakeSystem host = fake_debian();
  host.put_file("/opt/coulomb", "a file\n");
  expect_refused(Directory{.place = AbsPath("/opt/coulomb"), .owner = {}}, host, Errc::refused, "is a file");
  const Directory gone{.place = AbsPath("/etc/security"), .owner = {}, .absent = true};
  expect_refused(gone, host, Errc::refused, "not empty");
  expect_refused(Directory{.place = AbsPath("/a/b"), .owner = {}}, host, Errc::not_found, "'/a'");
  host.put_directory("/opt/old");
  expect_heals(Directory{.place = AbsPath("/opt/old"), .owner = {}, .absent = true}, host);
  EXPECT_FALSE(host.exists("/opt/old"));
}

TEST(SymlinkMutations, EachPropertyAlone) {
  const SymbolicLink link{.place = AbsPath("/usr/local/bin/kubectl"), .target = "k3s"};
  run_mutation_table(link, fake_debian,
                     {{"kind", [](FakeSystem& host) { host.erase("/usr/local/bin/kubectl"); }},
                      {"target", [](FakeSystem& host) { host.put_symlink("/usr/local/bin/kubectl", "other"); }}});
}

TEST(SymlinkRefusals, AFileIsNotReplacedNorRemoved) {
  FakeSystem host = fake_debian();
  host.put_file("/usr/local/bin/kubectl", "binary");
  SymbolicLink link{.place = AbsPath("/usr/local/bin/kubectl"), .target = "k3s"};
  expect_refused(link, host, Errc::refused, "is a file");
  link.absent = true;
  expect_refused(link, host, Errc::refused, "is a file");
  host.put_symlink("/usr/local/bin/kubectl", "anything");
  expect_heals(link, host);
  EXPECT_FALSE(host.exists("/usr/local/bin/kubectl"));
}

}  // namespace
}  // namespace converge
