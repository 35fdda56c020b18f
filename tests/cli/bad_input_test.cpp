// Bad input: every mistake with its place and a way out, all at once, exit 65, and nothing touched.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace converge {
namespace {

struct Case {
  const char* about;
  const char* spec;
  std::vector<std::string> says;  // each must stand in standard error
};

class BadSpec : public testing::TestWithParam<Case> {};

TEST_P(BadSpec, IsSaidWithItsPlaceAndNothingIsTouched) {
  const Workplace place;
  place.write("specs/x.yaml", GetParam().spec);
  place.write("tree/etc/motd", "as it was\n");
  const Ran ran = place.on_tree("apply");
  EXPECT_EQ(ran.exit, 65) << ran.err;
  EXPECT_EQ(ran.out, "");
  for (const std::string& words : GetParam().says)
    EXPECT_NE(ran.err.find(words), std::string::npos) << words << "\n" << ran.err;
  EXPECT_EQ(place.read("tree/etc/motd"), "as it was\n");
  EXPECT_FALSE(std::filesystem::exists(place.here() / "tree/etc/new"));
}

const std::vector<Case> cases{
    {"unknown key of the spec",
     "spec: x\nconvege: []\n",
     {"specs/x.yaml:2:1: error: ", "'convege'", "did you mean 'converge'?"}},
    {"unknown module",
     "converge:\n  - fiel: {path: /etc/new}\n",
     {"specs/x.yaml:2:5: error: ", "'fiel'", "did you mean 'file'?"}},
    {"unknown key of a module",
     "converge:\n  - file: {path: /etc/new, content: a, modus: \"0644\"}\n",
     {"specs/x.yaml:2:40: error: ", "'modus'"}},
    {"duplicate key",
     "converge:\n  - file:\n      path: /etc/new\n      content: a\n      path: /etc/other\n",
     {"specs/x.yaml:5:7: error: ", "'path'"}},
    {"a mode that is no quoted octal string",
     "converge:\n  - file: {path: /etc/new, content: a, mode: 0644}\n",
     {"specs/x.yaml:2:46: error: ", "\"0644\""}},
    {"a wrong type", "converge:\n  - file: {path: [1], content: a}\n", {"specs/x.yaml:2:18: error: "}},
    {"a relative path",
     "converge:\n  - file: {path: etc/new, content: a}\n",
     {"specs/x.yaml:2:18: error: ", "absolute"}},
    {"soft above hard",
     "converge:\n  - nproc_limits: {user: tegwick, soft: 9, hard: 8}\n",
     {"specs/x.yaml:2:", "hard"}},
    {"a size of 0", "converge:\n  - swapfile: {path: /swapfile, size: 0}\n", {"specs/x.yaml:2:39: error: "}},
    {"a decimal unit",
     "converge:\n  - swapfile: {path: /swapfile, size: 4GB}\n",
     {"specs/x.yaml:2:39: error: ", "GiB"}},
    {"negative swappiness",
     "converge:\n  - swapfile: {path: /swapfile, size: 4GiB, swappiness: -1}\n",
     {"specs/x.yaml:2:57: error: "}},
    {"undefined variable",
     "converge:\n  - file: {path: /etc/new, content: \"{{ nobody }}\"}\n",
     {"specs/x.yaml:2:", "'nobody'"}},
    {"a template without quotes",
     "converge:\n  - file: {path: /etc/new, content: {{ a }}}\n",
     {"specs/x.yaml:2:", "quote"}},
    {"YAML that is none", "converge:\n  - file: {path: /etc/new\n", {"specs/x.yaml:", "error: "}},
    {"an alias bomb",
     "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
     {"specs/x.yaml:1:4: error: "}},
    {"two documents", "converge: []\n---\nconverge: []\n", {"specs/x.yaml:2:", "document"}},
    {"nothing to do", "spec: x\nconverge: []\n", {"specs/x.yaml:"}},
    {"several mistakes, all of them",
     "converge:\n  - fiel: {}\n  - file: {path: rel, modus: 1}\n  - swapfile: {size: 0}\n",
     {"specs/x.yaml:2:5", "specs/x.yaml:3:18", "specs/x.yaml:3:23", "specs/x.yaml:4:", "errors; nothing was touched"}},
};
INSTANTIATE_TEST_SUITE_P(Cases, BadSpec, testing::ValuesIn(cases), [](const auto& row) {
  std::string name;
  for (const char c : std::string(row.param.about)) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

TEST(BadFile, OfAHundredMegabytesIsRefusedUnread) {
  const Workplace place;
  place.write("specs/x.yaml", "");
  std::filesystem::resize_file(place.here() / "specs/x.yaml", 100U << 20U);
  const Ran ran = place.on_tree("plan");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_NE(ran.err.find("specs/x.yaml"), std::string::npos) << ran.err;
}

TEST(BadFile, ThatIsADirectoryOrAFifoIsRefused) {
  const Workplace place;
  std::filesystem::create_directories(place.here() / "specs/dir.yaml");
  Ran ran = place.on_tree("plan");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_NE(ran.err.find("specs/dir.yaml"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("directory"), std::string::npos) << ran.err;
  std::filesystem::remove(place.here() / "specs/dir.yaml");
  ran = place.run("plan -l node1 specs/fifo.yaml --root tree", "mkfifo specs/fifo.yaml &&");
  EXPECT_EQ(ran.exit, 65) << ran.err;
}

TEST(BadPattern, IsAnErrorWithDidYouMean) {
  const Workplace place;
  place.write("specs/x.yaml", "converge:\n  - file: {path: /etc/new, content: a}\n");
  const Ran ran = place.run("plan -l Node1 --root tree");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_NE(ran.err.find("did you mean 'node1'?"), std::string::npos) << ran.err;
}

TEST(BadInventory, AHostVarsFileOfNobodyIsSaid) {
  const Workplace place;
  place.write("specs/x.yaml", "converge:\n  - file: {path: /etc/new, content: a}\n");
  place.write("inventory/host_vars/nodde1.yml", "a: 1\n");
  const Ran ran = place.on_tree("plan");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_NE(ran.err.find("nodde1.yml"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("did you mean 'node1'?"), std::string::npos) << ran.err;
}

TEST(BadUsage, IsSixtyFour) {
  const Workplace place;
  EXPECT_EQ(place.run("plan --nonsense").exit, 64);
  EXPECT_EQ(place.run("doc nonsense").exit, 64);
  EXPECT_EQ(place.run("plan --format xml -l node1").exit, 64);
}

}  // namespace
}  // namespace converge
