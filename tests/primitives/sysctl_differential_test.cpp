// Which file of sysctl.d(5) has the last word, against systemd's own order of them. Skipped without systemd-analyze(1).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "core/text.h"
#include "primitives/sysctl.h"
#include "tests/primitives/differential.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

namespace fs = std::filesystem;

/// The file, below the root, that systemd reads last of those that set vm.swappiness; "" if none does.
std::string last_by_systemd(const fs::path& root) {
  const auto text =
      output_of("exec systemd-analyze --root='" + root.string() + "' --no-pager cat-config sysctl.d 2>&1");
  std::string file, last;
  for (const auto line : split_lines(text)) {
    const std::string heading = "# " + root.string();
    if (line.starts_with(heading)) file = trim(line.substr(heading.size()));
    if (line.starts_with("vm.swappiness=")) last = file;
  }
  return last;
}

TEST(SysctlDifferential, TheLastFileIsTheOneSystemdReadsLast) {
  if (!is_installed("systemd-analyze")) GTEST_SKIP() << "there is no systemd-analyze here";
  const std::vector<std::string> directories{"/etc/sysctl.d/", "/run/sysctl.d/", "/usr/local/lib/sysctl.d/",
                                             "/usr/lib/sysctl.d/"};
  const std::vector<std::string> names{"10-a.conf", "9-a.conf", "60-x.conf", "60-X.conf", "99-sysctl.conf",
                                       "a.conf",    "a.conf~",  "README",    "b.conf.bak"};
  std::mt19937 random(20261121);
  int won = 0;
  for (int i = 0; i < 300; ++i) {
    const Scratch scratch;
    ASSERT_FALSE(scratch.path.empty());
    FakeSystem host = fake_debian();
    for (const auto& place : directories) host.erase(std::string_view(place).substr(0, place.size() - 1));
    host.put_other("/dev/null", "character device");
    std::string listing;
    for (const auto& place : directories) {
      fs::create_directories(scratch.path.string() + place);
      for (const auto& name : names) {
        const auto kind = random() % 8;
        const auto path = place + name;
        if (kind > 3) continue;
        listing += path + "\n";
        if (kind == 0) {
          fs::create_symlink("/dev/null", scratch.path.string() + path);
          host.put_symlink(path, "/dev/null");
          continue;
        }
        const std::string text = kind == 1 ? "" : kind == 2 ? "kernel.sysrq=1\n" : "vm.swappiness=44\n";
        std::ofstream(scratch.path.string() + path) << text;
        host.put_file(path, text);
      }
    }
    const auto state = inspect(Sysctl{"vm.swappiness", "10", AbsPath("/etc/sysctl.d/0-converge.conf")}, host);
    ASSERT_TRUE(state) << listing;
    const auto where = state->systemd ? state->systemd->where : std::string();
    EXPECT_EQ(where.substr(0, where.rfind(':')), last_by_systemd(scratch.path)) << listing;
    won += state->systemd ? 1 : 0;
  }
  EXPECT_GT(won, 100);
}

}  // namespace
}  // namespace converge
