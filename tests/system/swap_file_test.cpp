#include "system/swap_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "system/os.h"

namespace converge {
namespace {

constexpr std::uint64_t page = 4096;
constexpr const char* uuid = "01234567-89ab-cdef-0123-456789abcdef";

class SwapFile : public testing::Test {
 protected:
  SwapFile() {
    char name[] = "/tmp/converge-swap-XXXXXX";
    fd = Fd(::mkstemp(name));
    path = name;
  }
  ~SwapFile() override { ::unlink(path.c_str()); }
  Fd fd;
  std::string path;
};

TEST(SwapHeader, HasTheLayoutOfMkswap) {
  auto header = swap_header(64_KiB, page, uuid);
  ASSERT_TRUE(header);
  ASSERT_EQ(header->size(), page);
  EXPECT_EQ(header->substr(1024, 12), std::string("\1\0\0\0\17\0\0\0\0\0\0\0", 12));
  EXPECT_EQ(header->substr(1036, 4), "\x01\x23\x45\x67");
  EXPECT_EQ(header->substr(page - 10), "SWAPSPACE2");
}

TEST(SwapHeader, RefusesSizesThatMkswapRefuses) {
  EXPECT_EQ(swap_header(Bytes{9 * page}, page, "").error().code, Errc::invalid);
  EXPECT_TRUE(swap_header(Bytes{10 * page}, page, ""));
  EXPECT_EQ(swap_header(Bytes{10 * page + 1}, page, "").error().code, Errc::invalid);
  EXPECT_EQ(swap_header(64_KiB, page, "no uuid").error().code, Errc::invalid);
}

TEST(SwapHeader, ReadsBackWhatItWrote) {
  const auto header = parse_swap_header(*swap_header(1_MiB, page, uuid), page);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->version, 1U);
  EXPECT_EQ(header->last_page, 255U);
  EXPECT_EQ(header->uuid, "0123456789abcdef0123456789abcdef");
}

TEST(SwapHeader, OfAnotherPageSizeIsNone) {
  EXPECT_FALSE(parse_swap_header(*swap_header(1_MiB, 4096, uuid), 16384));
  EXPECT_FALSE(parse_swap_header("short", page));
}

TEST_F(SwapFile, IsFilledWithoutHoles) {
  ASSERT_TRUE(fill_swap_file(fd.get(), 1_MiB, page, uuid, path));
  struct stat st = {};
  ASSERT_EQ(::fstat(fd.get(), &st), 0);
  EXPECT_EQ(st.st_size, 1 << 20);
  EXPECT_GE(st.st_blocks * 512, 1 << 20);
}

TEST_F(SwapFile, TheProbeChangesNothingAndSaysInactive) {
  ASSERT_TRUE(fill_swap_file(fd.get(), 1_MiB, page, uuid, path));
  struct stat before = {};
  struct stat after = {};
  ::fstat(fd.get(), &before);
  EXPECT_EQ(probe_active(fd.get()), SwapFileLook::Active::no);
  ::fstat(fd.get(), &after);
  EXPECT_EQ(before.st_size, after.st_size);
  EXPECT_EQ(before.st_blocks, after.st_blocks);
  EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

TEST_F(SwapFile, AFileOpenForReadingOnlyCannotBeProbed) {
  const Fd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(probe_active(reader.get()), SwapFileLook::Active::unknown);
}

TEST_F(SwapFile, MoreThanTheDiskHoldsIsRefusedBeforeTheDiskIsFull) {
  auto filled = fill_swap_file(fd.get(), Bytes{std::uint64_t{15} << 40U}, page, uuid, path);
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().code, Errc::no_space) << filled.error().text();
  struct stat st = {};
  ASSERT_EQ(::fstat(fd.get(), &st), 0);
  EXPECT_EQ(st.st_blocks, 0);
}

TEST(SwapOn, RefusesAPriorityOutOfRange) {
  EXPECT_EQ(swap_on_path("/no/such/file", 32768).error().code, Errc::invalid);
}

}  // namespace
}  // namespace converge
