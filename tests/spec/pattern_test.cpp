#include "spec/pattern.h"

#include <gtest/gtest.h>

#include "tests/spec/temporary_tree.h"

namespace converge::spec {
namespace {

/// web01..web03 and db1 in groups web and db; eu has web01 and db1; CoulombCore is ungrouped; spare has nobody.
class Pattern : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = tree_.write("hosts.yaml",
                                         "all:\n"
                                         "  hosts: {CoulombCore: }\n"
                                         "  children:\n"
                                         "    web: {hosts: {'web[01:03]': }}\n"
                                         "    db: {hosts: {db1.example: }}\n"
                                         "    eu: {hosts: {web01: , db1.example: }}\n"
                                         "    spare:\n");
    inventory_ = load_inventory(path, files_, sources_, diagnostics_);
    ASSERT_TRUE(inventory_);
  }

  std::string select(const std::string& pattern) const {
    const auto hosts = select_hosts(*inventory_, pattern, files_);
    if (!hosts) {
      EXPECT_EQ(hosts.error().code == Errc::invalid || hosts.error().code == Errc::not_found ||
                    hosts.error().code == Errc::too_big,
                true);
      return "error: " + hosts.error().text() + " | " + hosts.error().hint;
    }
    std::string out;
    for (const std::string& host : *hosts) out += (out.empty() ? "" : " ") + host;
    return out;
  }

  TemporaryTree tree_;
  FileReader files_;
  Sources sources_;
  Diagnostics diagnostics_;
  std::optional<Inventory> inventory_;
};

TEST_F(Pattern, NamesGroupsAndAll) {
  EXPECT_EQ(select("CoulombCore"), "CoulombCore");
  EXPECT_EQ(select("web"), "web01 web02 web03");
  EXPECT_EQ(select("all"), "CoulombCore web01 web02 web03 db1.example");
  EXPECT_EQ(select("*"), select("all"));
  EXPECT_EQ(select("ungrouped"), "CoulombCore");
}

TEST_F(Pattern, UnionIntersectionDifference) {
  EXPECT_EQ(select("db:web01"), "web01 db1.example");
  EXPECT_EQ(select("db,web01"), select("db:web01"));
  EXPECT_EQ(select("web:&eu"), "web01");
  EXPECT_EQ(select("web:!eu"), "web02 web03");
  EXPECT_EQ(select("all:!web:!db"), "CoulombCore");
  EXPECT_EQ(select(" web , !eu "), "web02 web03");
}

TEST_F(Pattern, UnionsComeFirstThenIntersectionsThenDifferences) {
  EXPECT_EQ(select("!web01:web:&eu:db"), "db1.example");
  EXPECT_EQ(select("!web"), "CoulombCore db1.example");
  EXPECT_EQ(select("&eu"), "web01 db1.example");
}

TEST_F(Pattern, Globs) {
  EXPECT_EQ(select("web0?"), "web01 web02 web03");
  EXPECT_EQ(select("web0[!2]"), "web01 web03");
  EXPECT_EQ(select("web0[1-2]"), "web01 web02");
  EXPECT_EQ(select("*.example"), "db1.example");
  EXPECT_EQ(select("*web*3"), "web03");
  EXPECT_EQ(select("d*"), "db1.example");
}

TEST_F(Pattern, AGlobNeverMeansEveryHostByTheNameOfAll) {
  EXPECT_EQ(select("a*").substr(0, 6), "error:");
  EXPECT_EQ(select("~a.*").substr(0, 6), "error:");
}

TEST_F(Pattern, RangesAndSubscripts) {
  EXPECT_EQ(select("web[01:02]"), "web01 web02");
  EXPECT_EQ(select("web[0]"), "web01");
  EXPECT_EQ(select("web[-1]"), "web03");
  EXPECT_EQ(select("web[1:2]"), "web02 web03");
  EXPECT_EQ(select("web[1:]"), "web02 web03");
  EXPECT_EQ(select("web0[1:2]:db"), "web01 web02 db1.example");
  EXPECT_EQ(select("web*[0]"), "web01");
  EXPECT_EQ(select("web[7]"), "error: 'web[7]' matches no host | 'web' has 3 hosts, counted from 0");
  EXPECT_EQ(select("web[-4]").substr(0, 6), "error:");
  EXPECT_EQ(select("web[2:1]").substr(0, 6), "error:");
}

TEST_F(Pattern, ARangeThatNamesAnAbsentHostIsAnError) {
  EXPECT_EQ(select("web0[1:4]").substr(0, 43), "error: no host or group matches 'web04', wh");
}

TEST_F(Pattern, RegexesAreMatchedFromTheStart) {
  EXPECT_EQ(select("~web0(1|3)"), "web01 web03");
  EXPECT_EQ(select("~.*\\.example$"), "db1.example");
  EXPECT_EQ(select("~(?:web|db):!~web0[12]"), "web03 db1.example");
  EXPECT_EQ(select("~example").substr(0, 40), "error: no host or group matches '~exampl");
  EXPECT_EQ(select("~web0[").substr(0, 45), "error: '~web0[' is not a regular expression: ");
}

TEST_F(Pattern, ARegexCannotTakeForEver) {
  EXPECT_EQ(select("~(([a-z])+.)+[A-Z]([a-z])+$:" + std::string("web01")).substr(0, 6), "error:");
  EXPECT_EQ(select("~(x+x+)+y").substr(0, 6), "error:");
  EXPECT_EQ(select("~(a)\\1").substr(0, 6), "error:");
}

TEST_F(Pattern, FilesHoldOnePatternALine) {
  const std::string path = tree_.write("retry", "# failed last time\nweb01\n\ndb   # the database\n");
  EXPECT_EQ(select("@" + path), "web01 db1.example");
  EXPECT_EQ(select("@" + path + ",!db"), "web01");
  EXPECT_EQ(select("@" + tree_.path("none")).substr(0, 6), "error:");
  EXPECT_EQ(select("@" + tree_.path()).substr(0, 6), "error:");
  EXPECT_EQ(select("@" + tree_.write("empty", "# nobody\n")).substr(0, 6), "error:");
  EXPECT_EQ(select("@" + tree_.write("nested", "@" + path)).substr(0, 6), "error:");
}

TEST_F(Pattern, ANearMissIsAnErrorWithDidYouMean) {
  EXPECT_EQ(select("coulombcore"), "error: no host or group matches 'coulombcore' | did you mean 'CoulombCore'?");
  EXPECT_EQ(select("WEB"), "error: no host or group matches 'WEB' | did you mean 'web'?");
  EXPECT_EQ(
      select("coulombc*"),
      "error: no host or group matches 'coulombc*' | small and capital letters differ: did you mean 'CoulombCore'?");
  EXPECT_EQ(
      select("~.*LOMBCORE"),
      "error: no host or group matches '~.*LOMBCORE' | small and capital letters differ: did you mean 'CoulombCore'?");
  EXPECT_EQ(select("db1"), "error: no host or group matches 'db1' | did you mean 'db'?");
  EXPECT_EQ(select("web:nosuchthing").substr(0, 46), "error: no host or group matches 'nosuchthing' ");
  EXPECT_EQ(select("web:!w3b"), "error: no host or group matches 'w3b' | did you mean 'web'?");
}

TEST_F(Pattern, AnEmptyResultIsAnError) {
  EXPECT_EQ(select("web:!web"), "error: 'web:!web' matches no host | its groups are empty or exclude each other");
  EXPECT_EQ(select("spare").substr(0, 29), "error: 'spare' matches no hos");
  EXPECT_EQ(select("web:!spare"), "web01 web02 web03");
  EXPECT_EQ(select(""), "error: the pattern is empty | name a host or a group, or 'all'");
  EXPECT_EQ(select(" :, ").substr(0, 6), "error:");
  EXPECT_EQ(select("web:!").substr(0, 6), "error:");
}

}  // namespace
}  // namespace converge::spec
