// The same assertions on the fake host and on the real one in a temporary tree, so that the fake cannot lie.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "system/posix_system.h"
#include "tests/support/fake_system.h"

namespace converge {
namespace {

/// A host to test, and hands that reach into it past the interface.
class Host {
 public:
  virtual ~Host() = default;
  virtual System& system() = 0;
  virtual void put_file(const std::string& path, const std::string& content, unsigned mode) = 0;
  virtual void put_directory(const std::string& path) = 0;
  virtual void put_symlink(const std::string& path, const std::string& target) = 0;
  virtual void put_fifo(const std::string& path) = 0;
  /// Gives the path to uid and gid 1234; only where owners can be given at all.
  virtual void give(const std::string& path, std::uint32_t id) = 0;
};

class TreeHost final : public Host {
 public:
  TreeHost() {
    char name[] = "/tmp/converge-contract-XXXXXX";
    root_ = ::mkdtemp(name);
    ::chmod(root_.c_str(), 0755);  // users must be able to pass
    system_ = *open_system(AbsPath(root_));
  }
  ~TreeHost() override { std::filesystem::remove_all(root_); }
  System& system() override { return *system_; }
  void put_file(const std::string& path, const std::string& content, unsigned mode) override {
    std::ofstream(root_ + path) << content;
    ::chmod((root_ + path).c_str(), mode);
  }
  void put_directory(const std::string& path) override {
    std::filesystem::create_directories(root_ + path);
    ::chmod((root_ + path).c_str(), 0755);
  }
  void put_symlink(const std::string& path, const std::string& target) override {
    std::filesystem::create_symlink(target, root_ + path);
  }
  void put_fifo(const std::string& path) override { ::mkfifo((root_ + path).c_str(), 0644); }
  void give(const std::string& path, std::uint32_t id) override {
    ASSERT_EQ(::lchown((root_ + path).c_str(), id, id), 0);
  }

 private:
  std::string root_;
  std::unique_ptr<System> system_;
};

class FakeHost final : public Host {
 public:
  FakeHost() { fake_.live = false; }
  System& system() override { return fake_; }
  void put_file(const std::string& path, const std::string& content, unsigned mode) override {
    fake_.put_file(path, content, Mode{mode});
  }
  void put_directory(const std::string& path) override { fake_.put_directory(path); }
  void put_symlink(const std::string& path, const std::string& target) override { fake_.put_symlink(path, target); }
  void put_fifo(const std::string& path) override { fake_.put_other(path, "fifo"); }
  void give(const std::string& path, std::uint32_t id) override { fake_.set_owner(path, {id, id}); }

 private:
  FakeSystem fake_;
};

enum class Kind { fake, real };

class SystemContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::fake) {
      host_ = std::make_unique<FakeHost>();
    } else {
      host_ = std::make_unique<TreeHost>();
    }
    host().put_directory("/etc");
  }
  Host& host() { return *host_; }
  System& system() { return host_->system(); }

  std::string kind(const std::string& path) {
    auto state = system().look(AbsPath(path));
    return state ? kind_of(*state) : state.error().text();
  }
  std::string content(const std::string& path) {
    auto seen = system().read(AbsPath(path), 1_MiB);
    return seen ? seen->content : seen.error().text();
  }
  RegularFile file(const std::string& path) {
    auto state = system().look(AbsPath(path));
    if (state && std::holds_alternative<RegularFile>(*state)) return std::get<RegularFile>(*state);
    ADD_FAILURE() << path << " is no file";
    return {};
  }
  /// Ours: a test that does not run as root can give files to nobody else.
  static WriteOptions options(unsigned mode = 0644) { return {Mode{mode}, Owner{::getuid(), ::getgid()}, {}, false}; }
  /// A user with a home in this host. Root only.
  Person somebody() {
    const Person person{"somebody", 1234, 1234, AbsPath("/home/somebody")};
    host().put_directory("/home/somebody");
    host().give("/home/somebody", 1234);
    host().put_file("/etc/group", "somebody:x:1234:\n", 0644);
    return person;
  }

 private:
  std::unique_ptr<Host> host_;
};

template <class T>
Errc code_of(const Result<T>& result) {
  if (result) {
    ADD_FAILURE() << "expected a failure";
    return Errc::io;
  }
  return result.error().code;
}

#define NEEDS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "only root can take on a user's rights"

TEST_P(SystemContract, NothingThereIsAbsentNotAnError) {
  EXPECT_EQ(kind("/etc/missing"), "absent");
  EXPECT_EQ(kind("/missing/too"), "absent");
  auto names = system().list(AbsPath("/missing"));
  ASSERT_TRUE(names);
  EXPECT_FALSE(names->has_value());
}

TEST_P(SystemContract, APathThroughAFileIsAbsent) {
  host().put_file("/etc/file", "x", 0644);
  EXPECT_EQ(kind("/etc/file/below"), "absent");
}

TEST_P(SystemContract, LookSaysWhatIsThereWithoutFollowing) {
  host().put_file("/etc/file", "abc", 0640);
  host().put_symlink("/etc/link", "file");
  host().put_fifo("/etc/fifo");
  EXPECT_EQ(kind("/etc"), "directory");
  EXPECT_EQ(kind("/etc/file"), "file");
  EXPECT_EQ(kind("/etc/link"), "symlink");
  EXPECT_EQ(kind("/etc/fifo"), "fifo");
  EXPECT_EQ(kind("/"), "directory");
  EXPECT_EQ(file("/etc/file").mode.text(), "0640");
  EXPECT_EQ(file("/etc/file").size.count, 3U);
}

TEST_P(SystemContract, ReadGivesBytesOfRegularFilesOnly) {
  host().put_file("/etc/file", std::string("a\0b", 3), 0644);
  host().put_symlink("/etc/link", "file");
  host().put_fifo("/etc/fifo");
  EXPECT_EQ(content("/etc/file"), std::string("a\0b", 3));
  EXPECT_EQ(content("/etc/link"), "");
  EXPECT_EQ(content("/etc/fifo"), "");
  EXPECT_EQ(content("/etc/missing"), "");
}

TEST_P(SystemContract, ReadRefusesMoreThanItsLimit) {
  host().put_file("/etc/file", "12345", 0644);
  EXPECT_TRUE(system().read(AbsPath("/etc/file"), Bytes{5}));
  EXPECT_EQ(code_of(system().read(AbsPath("/etc/file"), Bytes{4})), Errc::too_big);
}

TEST_P(SystemContract, SymlinksInTheDirectoryPartStayInsideTheRoot) {
  host().put_file("/etc/file", "inside", 0644);
  host().put_symlink("/absolute", "/etc");
  host().put_symlink("/relative", "etc");
  EXPECT_EQ(content("/absolute/file"), "inside");
  EXPECT_EQ(content("/relative/file"), "inside");
}

TEST_P(SystemContract, SymlinksInACircleAreAnError) {
  host().put_symlink("/one", "two");
  host().put_symlink("/two", "one");
  EXPECT_EQ(code_of(system().look(AbsPath("/one/file"))), Errc::symlink);
}

TEST_P(SystemContract, ListSortsByByte) {
  for (const char* name : {"/etc/b", "/etc/B", "/etc/a"}) host().put_file(name, "", 0644);
  auto names = system().list(AbsPath("/etc"));
  ASSERT_TRUE(names && names->has_value());
  EXPECT_EQ(**names, (std::vector<std::string>{"B", "a", "b"}));
}

TEST_P(SystemContract, WriteMakesAFileWithTheModeAsked) {
  ASSERT_TRUE(system().write_file(AbsPath("/etc/new"), "text\n", options(0604)));
  EXPECT_EQ(content("/etc/new"), "text\n");
  EXPECT_EQ(file("/etc/new").mode.text(), "0604");
}

TEST_P(SystemContract, WriteReplacesAFileByANewInode) {
  host().put_file("/etc/file", "old", 0600);
  const auto before = file("/etc/file");
  auto with = options(0644);
  with.replaces = before;
  ASSERT_TRUE(system().write_file(AbsPath("/etc/file"), "new", with));
  EXPECT_EQ(content("/etc/file"), "new");
  EXPECT_EQ(file("/etc/file").mode.text(), "0644");
  EXPECT_NE(file("/etc/file").inode, before.inode);
}

TEST_P(SystemContract, WriteLeavesNothingElseBehind) {
  ASSERT_TRUE(system().write_file(AbsPath("/etc/a"), "1", options()));
  ASSERT_TRUE(system().write_file(AbsPath("/etc/a"), "2", options()));
  EXPECT_EQ(**system().list(AbsPath("/etc")), std::vector<std::string>{"a"});
}

TEST_P(SystemContract, WriteRefusesAFileThatChangedSinceItWasLookedAt) {
  host().put_file("/etc/file", "seen", 0644);
  auto with = options();
  with.replaces = file("/etc/file");
  ASSERT_TRUE(system().write_file(AbsPath("/etc/file"), "another hand", options()));
  EXPECT_EQ(code_of(system().write_file(AbsPath("/etc/file"), "ours", with)), Errc::changed);
  EXPECT_EQ(content("/etc/file"), "another hand");
}

TEST_P(SystemContract, WriteRefusesAFileThatAppearedSinceNoneWasThere) {
  auto with = options();
  with.replaces = PathState(Absent{});
  host().put_file("/etc/file", "came between", 0644);
  EXPECT_EQ(code_of(system().write_file(AbsPath("/etc/file"), "ours", with)), Errc::changed);
  EXPECT_EQ(content("/etc/file"), "came between");
}

TEST_P(SystemContract, WriteRefusesWhatIsNoFile) {
  host().put_directory("/etc/directory");
  host().put_symlink("/etc/link", "file");
  host().put_fifo("/etc/fifo");
  for (const char* path : {"/etc/directory", "/etc/link", "/etc/fifo"}) {
    EXPECT_EQ(code_of(system().write_file(AbsPath(path), "x", options())), Errc::exists) << path;
  }
  EXPECT_EQ(kind("/etc/link"), "symlink");
  EXPECT_EQ(kind("/etc/file"), "absent");
}

TEST_P(SystemContract, WriteNeedsTheDirectory) {
  EXPECT_EQ(code_of(system().write_file(AbsPath("/missing/file"), "x", options())), Errc::not_found);
  EXPECT_EQ(kind("/missing"), "absent");
}

TEST_P(SystemContract, MakeDirectoryWantsNothingThere) {
  const auto mine = options().owner;
  ASSERT_TRUE(system().make_directory(AbsPath("/etc/sub"), Mode{0750}, mine));
  EXPECT_EQ(std::get<DirectoryInfo>(*system().look(AbsPath("/etc/sub"))).mode.text(), "0750");
  EXPECT_EQ(code_of(system().make_directory(AbsPath("/etc/sub"), Mode{0755}, mine)), Errc::exists);
  EXPECT_EQ(code_of(system().make_directory(AbsPath("/etc/no/sub"), Mode{0755}, mine)), Errc::not_found);
}

TEST_P(SystemContract, MakeSymlinkReplacesSymlinksOnly) {
  host().put_file("/etc/file", "kept", 0644);
  ASSERT_TRUE(system().make_symlink(AbsPath("/etc/link"), "one"));
  ASSERT_TRUE(system().make_symlink(AbsPath("/etc/link"), "two"));
  EXPECT_EQ(std::get<Symlink>(*system().look(AbsPath("/etc/link"))).target, "two");
  EXPECT_EQ(code_of(system().make_symlink(AbsPath("/etc/file"), "two")), Errc::exists);
  EXPECT_EQ(content("/etc/file"), "kept");
}

TEST_P(SystemContract, SetAttributesNeverGoesThroughASymlink) {
  host().put_file("/etc/file", "x", 0644);
  host().put_symlink("/etc/link", "file");
  const auto mine = options().owner;
  EXPECT_EQ(code_of(system().set_attributes(AbsPath("/etc/link"), Mode{0600}, mine)), Errc::symlink);
  EXPECT_EQ(file("/etc/file").mode.text(), "0644");
  ASSERT_TRUE(system().set_attributes(AbsPath("/etc/file"), Mode{0600}, mine));
  EXPECT_EQ(file("/etc/file").mode.text(), "0600");
  EXPECT_EQ(code_of(system().set_attributes(AbsPath("/etc/missing"), Mode{0600}, mine)), Errc::not_found);
}

TEST_P(SystemContract, RemoveTakesFilesLinksAndEmptyDirectories) {
  host().put_file("/etc/file", "x", 0644);
  host().put_symlink("/etc/link", "file");
  host().put_directory("/etc/empty");
  host().put_directory("/etc/full");
  host().put_file("/etc/full/file", "x", 0644);
  EXPECT_TRUE(system().remove(AbsPath("/etc/link")));
  EXPECT_EQ(kind("/etc/file"), "file");
  EXPECT_TRUE(system().remove(AbsPath("/etc/file")));
  EXPECT_TRUE(system().remove(AbsPath("/etc/file")));
  EXPECT_TRUE(system().remove(AbsPath("/no/such")));
  EXPECT_TRUE(system().remove(AbsPath("/etc/empty")));
  EXPECT_EQ(code_of(system().remove(AbsPath("/etc/full"))), Errc::exists);
  EXPECT_EQ(kind("/etc/full/file"), "file");
}

TEST_P(SystemContract, RenameRefusesToReplace) {
  host().put_directory("/etc/sub");
  host().put_file("/etc/a", "a", 0644);
  host().put_file("/etc/b", "b", 0644);
  EXPECT_EQ(code_of(system().rename_new(AbsPath("/etc/a"), AbsPath("/etc/b"))), Errc::exists);
  EXPECT_EQ(content("/etc/b"), "b");
  ASSERT_TRUE(system().rename_new(AbsPath("/etc/a"), AbsPath("/etc/sub/c")));
  EXPECT_EQ(kind("/etc/a"), "absent");
  EXPECT_EQ(content("/etc/sub/c"), "a");
  EXPECT_EQ(code_of(system().rename_new(AbsPath("/etc/a"), AbsPath("/etc/d"))), Errc::not_found);
}

TEST_P(SystemContract, ATreeHasNoServicesBehindIt) {
  Command command;
  command.argv = {"true"};
  EXPECT_FALSE(system().is_live());
  EXPECT_EQ(code_of(system().query(command)), Errc::unsupported);
  EXPECT_EQ(code_of(system().run(command)), Errc::unsupported);
  EXPECT_EQ(code_of(system().unit("ssh.service")), Errc::unsupported);
  host().put_file("/etc/swappiness", "60\n", 0644);
  EXPECT_EQ(code_of(system().write_kernel(AbsPath("/etc/swappiness"), "10")), Errc::unsupported);
}

TEST_P(SystemContract, ASwapFileIsWholeBeforeItHasItsName) {
  const auto size = 64 * system().page_size();
  ASSERT_TRUE(system().make_swap_file({AbsPath("/swapfile"), Bytes{size}, "00112233445566778899aabbccddeeff"}));
  auto look = system().look_swap(AbsPath("/swapfile"));
  ASSERT_TRUE(look);
  EXPECT_EQ(file("/swapfile").size.count, size);
  EXPECT_EQ(file("/swapfile").mode.text(), "0600");
  EXPECT_GE(look->allocated.count, size);
  ASSERT_TRUE(look->header);
  EXPECT_EQ(look->header->version, 1U);
  EXPECT_EQ(look->header->last_page, 63U);
  EXPECT_EQ(look->header->uuid, "00112233445566778899aabbccddeeff");
  EXPECT_NE(look->active, SwapFileLook::Active::yes);
}

TEST_P(SystemContract, ASwapFileNeverReplacesAnything) {
  host().put_file("/swapfile", "someone's", 0644);
  EXPECT_EQ(code_of(system().make_swap_file({AbsPath("/swapfile"), 1_MiB, ""})), Errc::exists);
  EXPECT_EQ(content("/swapfile"), "someone's");
}

TEST_P(SystemContract, AnImpossibleSwapFileLeavesNothing) {
  EXPECT_EQ(code_of(system().make_swap_file({AbsPath("/swapfile"), Bytes{4097}, ""})), Errc::invalid);
  EXPECT_EQ(**system().list(AbsPath("/")), std::vector<std::string>{"etc"});
}

TEST_P(SystemContract, AnOrdinaryFileHasNoSwapHeader) {
  host().put_file("/etc/file", "x", 0644);
  auto look = system().look_swap(AbsPath("/etc/file"));
  ASSERT_TRUE(look);
  EXPECT_FALSE(look->header);
  auto none = system().look_swap(AbsPath("/etc/missing"));
  ASSERT_TRUE(none);
  EXPECT_EQ(kind_of(none->state), "absent");
  EXPECT_EQ(none->active, SwapFileLook::Active::no) << "what is not there is not in use";
}

// ---- with a user's rights -----------------------------------------------------------------------------------------

TEST_P(SystemContract, WhatAUserWritesBelongsToThem) {
  NEEDS_ROOT();
  const Person who = somebody();
  const Owner theirs{1234, 1234};
  ASSERT_TRUE(system().make_directory({AbsPath("/home/somebody/.ssh"), who}, Mode{0700}, theirs));
  const Place config(AbsPath("/home/somebody/.ssh/config"), who);
  ASSERT_TRUE(system().write_file(config, "Host x\n", {Mode{0600}, theirs, {}, false}));
  auto seen = system().read(config, 1_MiB);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->content, "Host x\n");
  EXPECT_EQ(std::get<RegularFile>(seen->state).owner, theirs);
  EXPECT_EQ(::geteuid(), 0U);
}

TEST_P(SystemContract, AUsersSymlinkIsNotFollowedBelowTheirHome) {
  NEEDS_ROOT();
  const Person who = somebody();
  host().put_directory("/root-only");
  host().put_symlink("/home/somebody/.ssh", "/root-only");
  const Place config(AbsPath("/home/somebody/.ssh/config"), who);
  EXPECT_EQ(code_of(system().write_file(config, "x", {Mode{0600}, {1234, 1234}, {}, false})), Errc::symlink);
  EXPECT_EQ(code_of(system().look(config)), Errc::symlink);
  EXPECT_EQ(code_of(system().read(config, 1_KiB)), Errc::symlink);
  EXPECT_EQ(kind("/root-only/config"), "absent");
}

TEST_P(SystemContract, TheHomeItselfMayBeReachedByASymlink) {
  NEEDS_ROOT();
  Person who = somebody();
  host().put_symlink("/users", "home");
  who.home = AbsPath("/users/somebody");
  const Place file_in_home(AbsPath("/users/somebody/file"), who);
  ASSERT_TRUE(system().write_file(file_in_home, "x", {Mode{0600}, {1234, 1234}, {}, false}));
  EXPECT_EQ(content("/home/somebody/file"), "x");
}

TEST_P(SystemContract, AUserCannotWriteWhereTheyMayNot) {
  NEEDS_ROOT();
  const Person who = somebody();
  const Place target(AbsPath("/etc/file"), who);
  EXPECT_EQ(code_of(system().write_file(target, "x", {Mode{0644}, {1234, 1234}, {}, false})), Errc::permission);
  EXPECT_EQ(kind("/etc/file"), "absent");
}

TEST_P(SystemContract, AUserCannotGiveFilesAway) {
  NEEDS_ROOT();
  const Person who = somebody();
  const Place target(AbsPath("/home/somebody/file"), who);
  EXPECT_EQ(code_of(system().write_file(target, "x", {Mode{0644}, root_owner, {}, false})), Errc::permission);
  EXPECT_EQ(kind("/home/somebody/file"), "absent");
}

TEST_P(SystemContract, WhatRootLeftInAHomeIsGivenBack) {
  NEEDS_ROOT();
  const Person who = somebody();
  host().put_file("/home/somebody/file", "x", 0644);
  ASSERT_TRUE(system().take_over({AbsPath("/home/somebody/file"), who}, Mode{0600},
                                 [](std::string_view content) { return content == "x"; }));
  EXPECT_EQ(file("/home/somebody/file").owner, (Owner{1234, 1234}));
  EXPECT_EQ(file("/home/somebody/file").mode.text(), "0600");
}

TEST_P(SystemContract, WhatIsNotRecognizedStaysRoots) {
  NEEDS_ROOT();
  const Person who = somebody();
  const auto take = [&](const char* path, const IsTheirs& is_theirs) {
    const Status taken = system().take_over({AbsPath(path), who}, Mode{0600}, is_theirs);
    if (taken) return std::string("given");
    EXPECT_EQ(taken.error().code, Errc::refused);
    EXPECT_EQ(taken.error().hint, "look at it, and if it is theirs: chown somebody: " + std::string(path));
    return taken.error().message;
  };
  const auto any = [](std::string_view) { return true; };
  const auto refusal = [](const std::string& path) {
    return "'" + path + "' belongs to root and does not look like what converge made there";
  };
  const std::string config = "/home/somebody/config", ssh = "/home/somebody/.ssh";
  host().put_file(config, "a secret", 0600);
  EXPECT_EQ(take(config.c_str(), [](std::string_view content) { return content == "ours"; }), refusal(config));
  EXPECT_EQ(take(config.c_str(), {}), refusal(config));
  host().put_file(config, std::string(judged_limit.count + 1, 'x'), 0600);
  EXPECT_EQ(take(config.c_str(), any), refusal(config));
  EXPECT_EQ(file(config).owner, root_owner);
  host().put_file(config, std::string(judged_limit.count, 'x'), 0600);
  EXPECT_EQ(take(config.c_str(), any), "given");
  EXPECT_EQ(take(config.c_str(), {}), "given") << "it is the user's already";

  host().put_directory(ssh);
  host().put_file(ssh + "/id_ed25519_gitea.pub", "x", 0644);
  host().put_file(ssh + "/mine", "x", 0644);
  host().give(ssh + "/mine", 1234);
  host().put_directory(ssh + "/config");
  EXPECT_EQ(take(ssh.c_str(), any), refusal(ssh)) << "a directory is no file of SSH's";
  host().give(ssh + "/config", 1234);
  host().put_file(ssh + "/dump", "a secret", 0644);
  EXPECT_EQ(take(ssh.c_str(), any), refusal(ssh));
  host().give(ssh + "/dump", 999);
  EXPECT_EQ(take(ssh.c_str(), any), refusal(ssh)) << "somebody else's";
  host().give(ssh + "/dump", 1234);
  EXPECT_EQ(take(ssh.c_str(), {}), "given");
}

TEST_P(SystemContract, WhatIsNotPlainlyRootsIsNotGivenAway) {
  NEEDS_ROOT();
  const Person who = somebody();
  host().put_file("/home/somebody/other", "x", 0644);
  host().give("/home/somebody/other", 999);
  host().put_symlink("/home/somebody/link", "/etc/group");
  host().put_fifo("/home/somebody/fifo");
  const auto take = [&](const char* path) {
    return code_of(system().take_over({AbsPath(path), who}, Mode{0600}, [](std::string_view) { return true; }));
  };
  EXPECT_EQ(take("/home/somebody/other"), Errc::refused);
  EXPECT_EQ(take("/home/somebody/link"), Errc::symlink);
  EXPECT_EQ(take("/home/somebody/fifo"), Errc::refused);
  EXPECT_EQ(take("/home/somebody/missing"), Errc::not_found);
  EXPECT_EQ(take("/home/somebody"), Errc::refused);
  EXPECT_EQ(take("/etc/group"), Errc::refused);
  EXPECT_EQ(file("/etc/group").owner, root_owner);
}

INSTANTIATE_TEST_SUITE_P(Both, SystemContract, testing::Values(Kind::fake, Kind::real),
                         [](const auto& each) { return each.param == Kind::fake ? "Fake" : "Posix"; });

}  // namespace
}  // namespace converge
