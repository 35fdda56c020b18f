// What only the real System has: descriptors, attributes of a file system, backups, a directory tree on disk.
#include "system/posix_system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "system/identity.h"
#include "system/resolve.h"
#include "system/tracing.h"

namespace converge {
namespace {

class Tree : public testing::Test {
 protected:
  Tree() {
    char name[] = "/tmp/converge-tree-XXXXXX";
    root = ::mkdtemp(name);
    ::chmod(root.c_str(), 0755);
    std::filesystem::create_directories(root + "/etc");
    system = *open_system(AbsPath(root));
  }
  ~Tree() override { std::filesystem::remove_all(root); }
  void put(const std::string& path, const std::string& content) { std::ofstream(root + path) << content; }
  static WriteOptions ours() { return {Mode{0644}, Owner{::getuid(), ::getgid()}, {}, false}; }
  std::vector<std::string> names(const std::string& path) {
    auto all = system->list(AbsPath(path));
    return all && *all ? **all : std::vector<std::string>();
  }

  std::string root;
  std::unique_ptr<System> system;
};

TEST(OpenSystem, SaysWhichRootIsMissing) {
  auto none = open_system(AbsPath("/no/such/tree"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_NE(none.error().message.find("'/no/such/tree'"), std::string::npos);
}

TEST(AsUser, HasTheRightsOfAUserInItsOwnThreadAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can take on a user's rights";
  std::promise<void> entered;
  auto other = std::async(std::launch::async, [&] {
    entered.get_future().wait();
    return ::geteuid();
  });
  {
    const auto user = AsUser::enter({"nobody", 65534, 65534, AbsPath("/")}, {65534});
    ASSERT_TRUE(user);
    EXPECT_EQ(::geteuid(), 65534U);
    EXPECT_EQ(::getegid(), 65534U);
    entered.set_value();
    EXPECT_EQ(other.get(), 0U);
  }
  EXPECT_EQ(::geteuid(), 0U);
}

TEST(LiveSystem, FilesOfProcSayZeroAndAreReadToTheirEnd) {
  auto live = open_system(AbsPath("/"));
  ASSERT_TRUE(live);
  auto seen = (*live)->read(AbsPath("/proc/self/status"), 1_MiB);
  ASSERT_TRUE(seen);
  EXPECT_NE(seen->content.find("Uid:"), std::string::npos);
}

TEST(LiveSystem, DevicesAreNotRead) {
  auto live = open_system(AbsPath("/"));
  auto seen = (*live)->read(AbsPath("/dev/zero"), 1_KiB);
  ASSERT_TRUE(seen);
  EXPECT_EQ(kind_of(seen->state), "character device");
}

TEST(LiveSystem, AnswersToWhatWasExpectedComeFromMemoryUntilAChange) {
  auto live = open_system(AbsPath("/"));
  System& host = **live;
  char name[] = "/tmp/converge-memory-XXXXXX";
  const std::string directory = ::mkdtemp(name);
  Command count;
  count.argv = {"ls", directory};
  host.expect({count}, {});
  EXPECT_EQ(host.query(count)->out, "");
  std::ofstream(directory + "/late") << "x";
  EXPECT_EQ(host.query(count)->out, "");
  EXPECT_TRUE(host.remove(AbsPath(directory + "/none")));
  EXPECT_EQ(host.query(count)->out, "late\n");
  std::filesystem::remove_all(directory);
}

/// A query that ends when the test writes into the FIFO that it reads.
struct Held {
  char name[26] = "/tmp/converge-held-XXXXXX";
  std::string fifo = std::string(::mkdtemp(name)) + "/fifo";
  Command command{.argv = {"cat", fifo}, .deadline = std::chrono::seconds(20)};
  Held() { ::mkfifo(fifo.c_str(), 0600); }
  ~Held() { std::filesystem::remove_all(name); }
  void let_go() const { std::ofstream(fifo) << "told"; }
};

TEST(LiveSystem, WhatIsExpectedGoesOnWhileTimePassesAndOthersAreAsked) {
  auto live = open_system(AbsPath("/"));
  System& host = **live;
  const Held held;
  host.expect({held.command}, {});  // would not return if it waited
  EXPECT_FALSE(host.answered(held.command));
  EXPECT_EQ(host.query({.argv = {"echo", "other"}})->out, "other\n");
  host.wait(std::chrono::milliseconds(1));
  held.let_go();
  EXPECT_EQ(host.query(held.command)->out, "told");
  EXPECT_TRUE(host.answered(held.command));
}

TEST(LiveSystem, AfterAWaitWhatWasAnsweredIsAskedAnew) {
  auto live = open_system(AbsPath("/"));
  System& host = **live;
  const Held place;
  const Command list{.argv = {"ls", place.name}};
  host.expect({list}, {});
  EXPECT_EQ(host.query(list)->out, "fifo\n");
  std::filesystem::remove(place.fifo);
  EXPECT_EQ(host.query(list)->out, "fifo\n");
  host.wait(std::chrono::milliseconds(1));
  EXPECT_EQ(host.query(list)->out, "");
}

TEST(LiveSystem, AChangeEndsWhatIsStillBeingAsked) {
  auto live = open_system(AbsPath("/"));
  System& host = **live;
  const Held held;
  host.expect({held.command}, {});
  EXPECT_TRUE(host.remove(AbsPath(held.fifo).parent().child("none")));
  // Nobody reads the FIFO any more: O_NONBLOCK says so at once.
  EXPECT_LT(::open(held.fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), 0);
}

TEST_F(Tree, WhatWasStartedOutlivesChangesAndTellsWhatCameOfIt) {
  const auto live = *open_system(AbsPath("/"));
  const AbsPath signal(root + "/go");
  const Command waits{.argv = {"sh", "-c", "until [ -e \"$0\" ]; do :; done; echo there; exit 3", signal.str()}};
  ASSERT_TRUE(live->start(waits));
  EXPECT_FALSE(live->finished(waits));
  ASSERT_TRUE(live->write_file({signal}, "", ours()));
  const auto done = live->finish(waits);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->out, "there\n");
  EXPECT_EQ(done->exit_code, 3);
  EXPECT_TRUE(live->finished(waits));
  EXPECT_EQ(live->finish({.argv = {"echo", "unbegun"}})->out, "unbegun\n");
}

TEST(LiveSystem, WhatRestsOnRootAloneOutlivesAChangeWithAUsersRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can take on a user's rights";
  auto live = open_system(AbsPath("/"));
  System& host = **live;
  const Held held;
  Command of_root{.argv = {"ls", held.name}};
  const Command of_anybody = of_root;
  of_root.rests_on_root_alone = true;
  const Person nobody{.name = "nobody", .uid = 65534, .gid = 65534, .home = AbsPath("/nonexistent")};
  const Command nothing{.argv = {"true"}, .as = nobody};
  host.expect({of_root, of_anybody, held.command}, {});
  EXPECT_EQ(host.query(of_root)->out, "fifo\n");
  EXPECT_EQ(host.query(of_anybody)->out, "fifo\n");
  std::ofstream(std::string(held.name) + "/late") << "x";
  ASSERT_TRUE(host.run(nothing));
  EXPECT_EQ(host.query(of_root)->out, "fifo\n");
  EXPECT_EQ(host.query(of_anybody)->out, "fifo\nlate\n");
  EXPECT_LT(::open(held.fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), 0) << "it is still being asked";
  ASSERT_TRUE(host.run({.argv = {"true"}}));
  EXPECT_EQ(host.query(of_root)->out, "fifo\nlate\n");
}

TEST_F(Tree, DotDotAndAbsoluteLinksCannotLeaveIt) {
  std::filesystem::create_symlink("../../../../../../etc", root + "/up");
  put("/etc/passwd", "inside");
  auto seen = system->read(AbsPath("/up/passwd"), 1_MiB);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->content, "inside");
}

TEST_F(Tree, ASocketIsNamedNotOpened) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = root + "/etc/socket";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  auto seen = system->read(AbsPath("/etc/socket"), 1_KiB);
  ASSERT_TRUE(seen) << seen.error().text();
  EXPECT_EQ(kind_of(seen->state), "socket");
}

TEST_F(Tree, ExtendedAttributesOfTheOldFileAreCarriedOver) {
  put("/etc/file", "old");
  const std::string path = root + "/etc/file";
  if (::setxattr(path.c_str(), "user.origin", "hand", 4, 0) != 0) GTEST_SKIP() << "no extended attributes here";
  ASSERT_TRUE(system->write_file(AbsPath("/etc/file"), "new", ours()));
  char value[16] = {};
  EXPECT_EQ(::getxattr(path.c_str(), "user.origin", value, sizeof(value)), 4);
  EXPECT_STREQ(value, "hand");
}

TEST_F(Tree, TemporariesOfKilledRunsGoAndThoseOfLiveOnesStay) {
  put("/etc/.file.converge-aaaaaa", "left by a killed run a moment ago");
  put("/etc/.file.converge-bbbbbb", "of a run that goes on");
  put("/etc/.other.converge-cccccc", "of another file");
  const int live = ::open((root + "/etc/.file.converge-bbbbbb").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(live, 0);
  ASSERT_EQ(::flock(live, LOCK_EX | LOCK_NB), 0);
  ASSERT_TRUE(system->write_file(AbsPath("/etc/file"), "x", ours()));
  EXPECT_EQ(names("/etc"), (std::vector<std::string>{".file.converge-bbbbbb", ".other.converge-cccccc", "file"}));
  ::close(live);
}

TEST_F(Tree, ABackupKeepsTheFirstStateForRootAlone) {
  put("/etc/fstab", "first");
  auto with = ours();
  with.backup = true;
  ASSERT_TRUE(system->write_file(AbsPath("/etc/fstab"), "second", with));
  ASSERT_TRUE(system->write_file(AbsPath("/etc/fstab"), "third", with));
  const auto runs = names("/var/lib/converge/backup");
  ASSERT_EQ(runs.size(), 1U);
  const AbsPath kept = AbsPath("/var/lib/converge/backup").child(runs.front()).child("etc/fstab");
  auto seen = system->read(kept, 1_MiB);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->content, "first");
  EXPECT_EQ(std::get<RegularFile>(seen->state).mode.text(), "0600");
  EXPECT_EQ(std::get<DirectoryInfo>(*system->look(AbsPath("/var/lib/converge/backup"))).mode.text(), "0700");
}

TEST_F(Tree, BackupsAreBounded) {
  for (int i = 10; i < 40; ++i) {
    std::filesystem::create_directories(root + "/var/lib/converge/backup/200001" + std::to_string(i) +
                                        "T000000Z-1/etc");
    put("/var/lib/converge/backup/200001" + std::to_string(i) + "T000000Z-1/etc/fstab", "old");
  }
  put("/etc/fstab", "now");
  auto with = ours();
  with.backup = true;
  ASSERT_TRUE(system->write_file(AbsPath("/etc/fstab"), "next", with));
  const auto runs = names("/var/lib/converge/backup");
  EXPECT_EQ(runs.size(), 20U);
  EXPECT_EQ(runs.front(), "20000121T000000Z-1");
}

TEST_F(Tree, AReadThatMayNotHappenIsAnErrorNotAbsence) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  put("/etc/shadow", "x");
  ::chmod((root + "/etc/shadow").c_str(), 0);
  auto seen = system->read(AbsPath("/etc/shadow"), 1_KiB);
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code, Errc::permission);
}

TEST_F(Tree, UsersAndGroupsAreThoseOfTheTree) {
  put("/etc/passwd", "broken\nalice:x:2001:2002:A:/home/alice:/bin/sh\nbob:x:notanumber:1::/home/bob:/bin/sh\n");
  put("/etc/group", "wheel:x:10:alice\n");
  auto alice = system->user("alice");
  ASSERT_TRUE(alice && alice->has_value());
  EXPECT_EQ((*alice)->uid, 2001U);
  EXPECT_EQ((*alice)->home.str(), "/home/alice");
  EXPECT_FALSE(system->user("bob")->has_value());
  EXPECT_FALSE(system->user("root")->has_value());
  EXPECT_EQ(**system->group("wheel"), 10U);
  EXPECT_FALSE(system->group("root")->has_value());
}

TEST_F(Tree, TheFileSystemOfAnAbsentPathIsThatOfItsNearestDirectory) {
  auto here = system->file_system(AbsPath("/etc"));
  auto below = system->file_system(AbsPath("/etc/not/yet/there"));
  ASSERT_TRUE(here && below);
  EXPECT_EQ(here->type, below->type);
  EXPECT_GT(below->total.count, 0U);
  EXPECT_LE(below->available.count, below->total.count);
}

TEST_F(Tree, TheTraceNamesLooksAndChangesAndNoContent) {
  std::vector<std::string> lines;
  TracingSystem traced(*system, [&](std::string line) { lines.push_back(std::move(line)); });
  ASSERT_TRUE(traced.write_file(AbsPath("/etc/file"), "the secret", ours()));
  ASSERT_TRUE(traced.look(AbsPath("/etc/file")));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].find("write /etc/file 0644"), 0U);
  EXPECT_EQ(lines[1].find("look /etc/file: file, "), 0U);
  EXPECT_EQ(lines[0].find("secret"), std::string::npos);
}

// ---- the walk for kernels without openat2 -------------------------------------------------------------------------

class Walk : public Tree, public testing::WithParamInterface<bool> {
 protected:
  Resolver resolver() { return Resolver(Fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), GetParam()); }
};

TEST_P(Walk, AgreesWithTheKernel) {
  put("/etc/file", "x");
  std::filesystem::create_symlink("/etc", root + "/absolute");
  std::filesystem::create_symlink("../../etc/file", root + "/etc/up");
  std::filesystem::create_symlink("loop", root + "/loop");
  const Resolver paths = resolver();
  const auto open = [&](const char* path, int flags) {
    const Fd fd(paths.open(AbsPath(path), flags));
    if (fd) return 0;
    return -paths.open(AbsPath(path), flags);
  };
  EXPECT_EQ(open("/", O_PATH), 0);
  EXPECT_EQ(open("/etc/file", O_RDONLY), 0);
  EXPECT_EQ(open("/absolute/file", O_RDONLY), 0);
  EXPECT_EQ(open("/etc/up", O_RDONLY), 0);
  EXPECT_EQ(open("/etc/up", O_PATH | O_NOFOLLOW), 0);
  EXPECT_EQ(open("/etc/up", O_RDONLY | O_NOFOLLOW), ELOOP);
  EXPECT_EQ(open("/loop", O_RDONLY), ELOOP);
  EXPECT_EQ(open("/missing", O_RDONLY), ENOENT);
  EXPECT_EQ(open("/etc/file/below", O_RDONLY), ENOTDIR);
  EXPECT_EQ(open("/etc/file", O_PATH | O_DIRECTORY), ENOTDIR);
}

TEST_P(Walk, FollowsNothingBelowAHome) {
  std::filesystem::create_directories(root + "/home/u/real");
  put("/home/u/real/file", "x");
  std::filesystem::create_symlink("real", root + "/home/u/link");
  const Resolver paths = resolver();
  const Fd home(paths.open(AbsPath("/home/u"), O_PATH | O_DIRECTORY));
  ASSERT_TRUE(home);
  EXPECT_TRUE(Fd(paths.open_below(home.get(), "real/file", O_RDONLY)));
  EXPECT_TRUE(Fd(paths.open_below(home.get(), "", O_PATH)));
  EXPECT_EQ(paths.open_below(home.get(), "link/file", O_RDONLY), -ELOOP);
  EXPECT_EQ(paths.open_below(home.get(), "link", O_PATH | O_DIRECTORY), -ELOOP);
  EXPECT_TRUE(Fd(paths.open_below(home.get(), "link", O_PATH | O_NOFOLLOW)));
}

INSTANTIATE_TEST_SUITE_P(Roads, Walk, testing::Bool(),
                         [](const auto& each) { return each.param ? "ByHand" : "ByOpenat2"; });

}  // namespace
}  // namespace converge
