// Runs put back: whole sessions of the binary on a directory tree.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace converge {
namespace {

class UndoSession : public testing::Test {
 protected:
  UndoSession() {
    place_.write("specs/motd.yaml",
                 "hosts: pair\nconverge:\n"
                 "  - directory: {path: /etc/web, mode: \"0755\"}\n"
                 "  - file: {path: /etc/web/web.conf, content: \"workers {{ workers }}\\n\", mode: \"0640\"}\n"
                 "  - symlink: {path: /etc/web/current, target: /etc/web/web.conf}\n"
                 "  - line: {path: /etc/hosts, line: 127.0.0.1 localhost}\n");
    place_.write("tree/etc/hosts", "# mine\n");
    before_ = tree();
  }
  Ran apply(const std::string& arguments = "-e workers=4") const {
    return place_.on_tree(arguments + " --history h.db");
  }
  Ran undo(const std::string& arguments) const { return place_.run("undo --history h.db " + arguments); }
  /// All of the tree but what converge keeps for itself.
  std::string tree() const {
    const std::string list = "find . -path ./var -prune -o -printf '%p %y %m %l\\n' | sort; cat etc/hosts";
    place_.run("", "(cd tree && " + list + ") >listing; true");
    return place_.read("listing");
  }
  static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

  Workplace place_;
  std::string before_;
};

TEST_F(UndoSession, PutsBackEverythingAndIsInTheHistory) {
  ASSERT_EQ(apply().exit, 0);
  ASSERT_NE(tree(), before_);
  Ran ran = undo("last --check");
  EXPECT_EQ(ran.exit, 2) << ran.out << ran.err;
  EXPECT_TRUE(has(ran.out, "would change  file:/etc/web/web.conf  file → absent")) << ran.out;
  EXPECT_NE(tree(), before_) << "--check writes nothing";
  ran = undo("1");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_TRUE(has(ran.out, "put back      file:/etc/hosts  content 27 B → 7 B")) << ran.out;
  EXPECT_EQ(tree(), before_);
  EXPECT_TRUE(has(place_.run("history --history h.db").out, "undo")) << "it is a run like another";
  EXPECT_TRUE(has(undo("").out, "undone by"));
  EXPECT_EQ(undo("last").exit, 1) << "there is none left";
}

TEST_F(UndoSession, RefusesWhatSomebodyChangedAndTouchesNothing) {
  ASSERT_EQ(apply().exit, 0);
  place_.write("tree/etc/web/web.conf", "workers 9\n");
  const std::string edited = tree();
  const Ran ran = undo("last");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_TRUE(has(ran.out, "'/etc/web/web.conf' was changed since by somebody else")) << ran.out;
  EXPECT_EQ(tree(), edited);
}

TEST_F(UndoSession, TheNewerRunIsUndoneFirst) {
  ASSERT_EQ(apply().exit, 0);
  ASSERT_EQ(apply("-e workers=8").exit, 0);
  EXPECT_TRUE(has(undo("1").out, "undo that one first: converge undo "));
  EXPECT_EQ(undo("last").exit, 0);
  EXPECT_EQ(place_.read("tree/etc/web/web.conf"), "workers 4\n");
  EXPECT_EQ(undo("last").exit, 0);
  EXPECT_EQ(tree(), before_);
}

TEST_F(UndoSession, ARunThatChangedNothingIsNotOnRecord) {
  ASSERT_EQ(apply().exit, 0);
  ASSERT_EQ(apply().exit, 0);
  const Ran ran = undo("2");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_TRUE(has(ran.err, "run '2' is not on record: it changed nothing")) << ran.err;
  EXPECT_EQ(undo("1 2").exit, 64);
}

TEST_F(UndoSession, WithoutAHistoryNothingIsKept) {
  ASSERT_EQ(place_.on_tree("-e workers=4").exit, 0);
  EXPECT_FALSE(std::filesystem::exists(place_.here() / "h.db.undo"));
  EXPECT_TRUE(has(undo("").out, "no run is on record here"));
}

}  // namespace
}  // namespace converge
