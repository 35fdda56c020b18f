// What goes to standard error on the way: nothing but warnings, unless asked.
#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "tests/cli/program.h"

namespace converge {
namespace {

constexpr const char* spec =
    "spec: log\nhosts: node1\nconverge:\n  - file: {path: \"/etc/a{}b\", content: new, mode: \"0644\"}\n";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Log, IsSilentUnlessAsked) {
  const Workplace place;
  place.write("specs/log.yaml", spec);
  EXPECT_EQ(place.on_tree("plan").err, "");
  EXPECT_EQ(place.on_tree("plan -v -v --log-level warning").err, "");
}

TEST(Log, IsOneEscapedLineARecordWithTimeAndLevel) {
  const Workplace place;
  place.write("specs/log.yaml", spec);
  place.write("tree/etc/hostname", "na\x1b[31mme\n");
  const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info): [^\x00-\x1f]+)");
  for (const char* asked : {"-v -v", "--log-level debug"}) {
    const Ran ran = place.on_tree(std::string("plan ") + asked);
    const auto lines = lines_of(ran.err);
    EXPECT_GT(lines.size(), 3U) << ran.err;
    for (const auto& line : lines) EXPECT_TRUE(std::regex_match(line, form)) << line;
    EXPECT_NE(ran.err.find(" debug: "), std::string::npos);
    EXPECT_NE(ran.err.find("/etc/a{}b"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("na\\x1b[31mme"), std::string::npos) << ran.err;
    EXPECT_EQ(ran.out.find(" debug: "), std::string::npos);
  }
}

TEST(Log, LeavesLooksAndChangesToTheSecondV) {
  const Workplace place;
  place.write("specs/log.yaml", spec);
  const Ran ran = place.on_tree("plan -v");
  EXPECT_NE(ran.err.find(" info: "), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find(" debug: "), std::string::npos) << ran.err;
  EXPECT_EQ(place.on_tree("plan --log-level loud").exit, 64);
}

}  // namespace
}  // namespace converge
