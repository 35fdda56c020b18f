#include "core/text.h"

#include <gtest/gtest.h>

#include <random>

namespace converge {
namespace {

TEST(SplitLines, JoinsBackByteForByte) {
  for (const std::string_view text : {"", "\n", "a", "a\nb", "a\r\nb\n", "\n\n\na"}) {
    std::string joined;
    for (const auto line : split_lines(text)) joined += line;
    EXPECT_EQ(joined, text);
  }
  EXPECT_EQ(split_lines("a\r\nb").size(), 2U);
  EXPECT_EQ(without_ending("a\r\n"), "a");
  EXPECT_EQ(without_ending("a\r"), "a\r");
}

TEST(Fields, AreSeparatedByRunsOfBlanks) {
  EXPECT_EQ(fields(" a\t b  c ").size(), 3U);
  EXPECT_TRUE(fields(" \t").empty());
}

TEST(Printable, LetsNoTerminalObey) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("a\nb"), "a\\x0ab");
  EXPECT_EQ(printable("a\tb"), "a\\x09b");
  EXPECT_EQ(printable("a\n\tb", true), "a\n\tb");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");           // C1: an eight-bit CSI
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
}

TEST(ParseNumber, TakesDigitsOnly) {
  std::uint64_t number = 7;
  EXPECT_TRUE(parse_number("18446744073709551615", number));
  EXPECT_FALSE(parse_number("18446744073709551616", number));
  EXPECT_FALSE(parse_number("-1", number));
  EXPECT_FALSE(parse_number("1 ", number));
  EXPECT_FALSE(parse_number("", number));
}

TEST(UnifiedDiff, LooksLikeDiffMinusU) {
  EXPECT_EQ(unified_diff("a\nb\nc\n", "a\nB\nc\n", "/etc/x"),
            "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
  EXPECT_EQ(unified_diff("", "a\n", "f"), "--- f\n+++ f\n@@ -0,0 +1 @@\n+a\n");
  EXPECT_EQ(unified_diff("a", "a\n", "f"), "--- f\n+++ f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
  EXPECT_EQ(unified_diff("same\n", "same\n", "f"), "");
}

TEST(UnifiedDiff, SplitsDistantChangesIntoHunks) {
  std::string before, after;
  for (int i = 1; i <= 30; ++i) {
    before += std::to_string(i) + "\n";
    after += (i == 2 || i == 25) ? "changed\n" : std::to_string(i) + "\n";
  }
  const std::string diff = unified_diff(before, after, "f");
  EXPECT_NE(diff.find("@@ -1,5 +1,5 @@"), std::string::npos);
  EXPECT_NE(diff.find("@@ -22,7 +22,7 @@"), std::string::npos);
}

TEST(UnifiedDiff, AlwaysTellsBothSides) {  // any two texts: '-' and ' ' lines are the first, '+' and ' ' the second
  std::mt19937 random(20261121);
  for (int round = 0; round < 2000; ++round) {
    const auto text = [&] {
      std::string out;
      for (auto i = random() % 4; i > 0; --i) out += std::string(1, static_cast<char>('a' + random() % 3)) + "\n";
      return out;
    };
    const std::string before = text(), after = text();
    const std::string diff = unified_diff(before, after, "f");
    if (before == after) {
      ASSERT_EQ(diff, "");
      continue;
    }
    std::string first, second;
    for (const auto line : split_lines(diff)) {
      if (line.starts_with("---") || line.starts_with("+++") || line.starts_with("@@")) continue;
      if (line[0] != '+') first += line.substr(1);
      if (line[0] != '-') second += line.substr(1);
    }
    ASSERT_EQ(first, before) << diff;
    ASSERT_EQ(second, after) << diff;
  }
}

}  // namespace
}  // namespace converge
