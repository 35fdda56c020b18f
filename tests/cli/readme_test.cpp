// README.md is true: its specs load, its table of modules is the program's, its folders are there.
#include <gtest/gtest.h>

#include "core/text.h"
#include "tests/cli/program.h"

namespace converge {
namespace {

std::string readme() {
  std::ifstream in(CONVERGE_SOURCE_DIR "/README.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Readme, ItsSpecsLoadAndRender) {
  const std::string text = readme();
  int found = 0;
  for (std::size_t at = 0; (at = text.find("<!-- spec -->\n```yaml\n", at)) != std::string::npos; ++found) {
    const std::size_t start = text.find("```yaml\n", at) + 8;
    at = text.find("\n```", start);
    const Workplace place;
    place.write("tree/etc/os-release", "ID=debian\n");  // so that no `when` leaves an item out
    place.write("specs/readme.yaml", text.substr(start, at + 1 - start));
    const Ran ran = place.on_tree("render");
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_NE(ran.out.find("file:/etc/web/green.conf"), std::string::npos) << ran.out;
  }
  EXPECT_EQ(found, 1);
}

TEST(Readme, ItsTableOfModulesIsThePrograms) {
  const Workplace place;
  const std::string doc = place.run("doc").out;
  std::string table;
  for (const std::string_view line : split_lines(doc)) {
    const std::size_t blank = line.find("  ");
    if (blank == std::string_view::npos || line.starts_with("`")) continue;
    table +=
        "| `" + std::string(line.substr(0, line.find(' '))) + "` | " + std::string(trim(line.substr(blank))) + " |\n";
  }
  EXPECT_NE(table, "");
  EXPECT_NE(readme().find("|---|---|\n" + table), std::string::npos) << "the table should be\n" << table;
}

TEST(Readme, ItsFoldersAndExitCodesAreThere) {
  const std::string text = readme();
  std::size_t at = text.find("## Map of the code");
  ASSERT_NE(at, std::string::npos);
  int folders = 0;
  while ((at = text.find("\n| `", at)) != std::string::npos) {
    at += 4;
    const std::string name = text.substr(at, text.find('`', at) - at);
    EXPECT_TRUE(std::filesystem::is_directory(std::string(CONVERGE_SOURCE_DIR "/") + name)) << name;
    ++folders;
  }
  EXPECT_GE(folders, 9);
  const std::string help = Workplace().run("--help").out;
  for (const char* code : {"0 ", "1 ", "2 ", "3 ", "4 ", "64 ", "65 ", "70 ", "75 ", "130 "})
    EXPECT_NE(help.find(code), std::string::npos) << code;
}

}  // namespace
}  // namespace converge
