#include "system/silent_mounts.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "system/posix_system.h"

namespace converge {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// A directory with a file system mounted at `silent` that nobody serves: /dev/fuse is open, and never read. It is seen
/// by this process alone, and gone with it.
class SilentMount : public testing::Test {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      GTEST_SKIP() << "this process may not mount";
    std::string name = (fs::temp_directory_path() / "converge-silent-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    place_ = name;
    fs::create_directory(place_ / "silent");
    fuse_ = Fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    const std::string options = "fd=" + std::to_string(fuse_.get()) + ",rootmode=40000,user_id=0,group_id=0";
    if (!fuse_ || ::mount("nobody", (place_ / "silent").c_str(), "fuse", 0, options.c_str()) != 0)
      GTEST_SKIP() << "there is no FUSE here";
  }
  void TearDown() override {
    fuse_.reset();  // whoever still waits gets an error
    if (place_.empty()) return;
    ::umount2((place_ / "silent").c_str(), MNT_DETACH);
    fs::remove_all(place_);
  }
  AbsPath at(const std::string& name) const { return AbsPath((place_ / name).string()); }

  fs::path place_;
  Fd fuse_;
};

TEST_F(SilentMount, IsFoundAmongThoseOfTheHost) {
  const std::string mounts = "/dev/vda1 / ext4 rw 0 0\nnobody " + at("silent").str() +
                             " fuse rw 0 0\nnobody /no/such\\040place nfs4 rw 0 0\nx " + place_.string() +
                             " ext4 rw 0 0\n";
  EXPECT_EQ(silent_mounts(mounts, milliseconds(300)), std::vector<AbsPath>{at("silent")});
}

TEST_F(SilentMount, IsNeverTouchedAndWhatIsBesideItIsRead) {
  fs::create_symlink("silent/x", place_ / "to-silent");
  fs::create_symlink("/" + fs::relative(place_, "/").string(), place_ / "to-itself");
  FILE* file = std::fopen((place_ / "file").c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fclose(file);
  const auto system = open_system(AbsPath("/"));
  ASSERT_TRUE(system);
  for (const char* name : {"silent", "silent/x", "to-silent/y"}) {
    const auto look = (*system)->look(at(name));
    ASSERT_FALSE(look) << name;
    EXPECT_EQ(look.error().code, Errc::timeout) << look.error().text();
    EXPECT_NE(look.error().message.find(at(name).str() + "': the file system it is on does not answer"),
              std::string::npos)
        << look.error().text();
  }
  EXPECT_FALSE((*system)->read(at("silent/x"), 1_MiB));
  EXPECT_FALSE((*system)->list(at("silent")));
  EXPECT_FALSE((*system)->file_system(at("silent")));
  const Person me{.name = "me", .uid = ::getuid(), .gid = ::getgid(), .home = at("to-itself")};
  EXPECT_FALSE((*system)->look({at("to-itself/silent/x"), me}));

  for (const char* name : {"file", "to-itself/file"}) {
    const auto look = (*system)->look(at(name));
    ASSERT_TRUE(look) << name << ": " << look.error().text();
    EXPECT_TRUE(std::holds_alternative<RegularFile>(*look)) << name;
  }
  const auto link = (*system)->look(at("to-silent"));
  ASSERT_TRUE(link) << link.error().text();
  EXPECT_TRUE(std::holds_alternative<Symlink>(*link));
}

TEST(SilentMounts, OrdinaryFileSystemsAreNotAsked) {
  EXPECT_TRUE(silent_mounts("", milliseconds(1)).empty());
  EXPECT_TRUE(
      silent_mounts("/dev/vda1 / ext4 rw 0 0\nfusectl /sys/fs/fuse/connections fusectl rw 0 0\n", milliseconds(1))
          .empty());
}

}  // namespace
}  // namespace converge
