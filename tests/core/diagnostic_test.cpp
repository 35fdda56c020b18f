#include "core/diagnostic.h"

#include <gtest/gtest.h>

namespace converge {
namespace {

TEST(Diagnostic, ShowsPlaceLineCaretAndWayOut) {
  Sources sources;
  const Source* source = sources.add("specs/x.yaml", "spec: x\nconverge:\n  - swapfil: {}\n");
  EXPECT_EQ(render({{source, 3, 5}, "unknown module 'swapfil'", "did you mean 'swapfile'?", Severity::error}),
            "specs/x.yaml:3:5: error: unknown module 'swapfil'\n"
            "    3 |   - swapfil: {}\n"
            "      |     ^\n"
            "        did you mean 'swapfile'?\n");
}

TEST(Diagnostic, CutsALongLineAroundItsColumn) {
  Sources sources;
  const Source* source = sources.add("f", std::string(5000, 'a') + "X" + std::string(5000, 'b'));
  const std::string text = render({{source, 1, 5001}, "m", "", Severity::error});
  EXPECT_LT(text.size(), 450U);
  EXPECT_NE(text.find('X'), std::string::npos);
}

TEST(Diagnostic, EscapesWhatATerminalWouldObey) {
  Sources sources;
  const Source* source = sources.add("f", "a\x1b[2Jb");
  EXPECT_EQ(render({{source, 1, 6}, "m", "", Severity::warning}),
            "f:1:6: warning: m\n    1 | a\\x1b[2Jb\n      |         ^\n");
}

TEST(Diagnostic, DoesNotPublishTheSecretOfABadLine) {
  Sources sources;
  const Source* source = sources.add("f", "a: 1\nauth: {user: u, passwort: hunter2}\n  password: hunter2\nauth:\n");
  for (const int line : {2, 3}) {
    const std::string text = render({{source, line, 20}, "m", "", Severity::error});
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    EXPECT_NE(text.find("(sensitive)"), std::string::npos) << text;
  }
  EXPECT_EQ(render({{source, 4, 1}, "m", "", Severity::error}).find("(sensitive)"), std::string::npos);
}

TEST(DidYouMean, FindsTyposAndOtherCase) {
  EXPECT_EQ(did_you_mean("swpns", {"swappiness", "size"}), "");
  EXPECT_EQ(did_you_mean("swappines", {"swappiness", "size"}), "did you mean 'swappiness'?");
  EXPECT_EQ(did_you_mean("coulombcore", {"Railiance01", "CoulombCore"}), "did you mean 'CoulombCore'?");
  EXPECT_EQ(did_you_mean("szie", {"size"}), "did you mean 'size'?");  // neighbours swapped
  EXPECT_EQ(did_you_mean("x", {"size"}), "");
}

}  // namespace
}  // namespace converge
