// Adding to a gossfile: what is put in, and that every other byte stays.
#include "checks/gossfile_edit.h"

#include <gtest/gtest.h>

namespace converge::checks {
namespace {

using spec::Value;

spec::Value there() { return Value(spec::Map{{"exists", {}, Value(true)}, {"mode", {}, Value(std::string("0644"))}}); }

Result<EditedFile> add(const std::string& text, const std::string& section = "file", const std::string& key = "/a",
                       bool replace = false, const std::string& path = "goss.yaml") {
  return with_entry(path, text, {section, key, there(), replace});
}
/// What it became, or "ERROR: ..." .
std::string added(const std::string& text, const std::string& section = "file", const std::string& key = "/a",
                  bool replace = false) {
  const auto edited = add(text, section, key, replace);
  return edited ? edited->text : "ERROR: " + edited.error().message;
}

const std::string entry = "  /a:\n    exists: true\n    mode: \"0644\"\n";

TEST(GossfileEdit, BeginsAFileAndASection) {
  EXPECT_EQ(added(""), "file:\n" + entry);
  EXPECT_EQ(added("# mine\n"), "# mine\nfile:\n" + entry);
  EXPECT_EQ(added("---\n"), "---\nfile:\n" + entry);
  EXPECT_EQ(added("user:\n  root: {exists: true}  # always"),
            "user:\n  root: {exists: true}  # always\nfile:\n" + entry);
  EXPECT_EQ(added("file:\nuser: {}\n"), "file:\n" + entry + "user: {}\n");
  EXPECT_EQ(added("file: {}\nuser: {}\n"), "file:\n" + entry + "user: {}\n");
  EXPECT_EQ(added("file:  # none yet\n"), "file:  # none yet\n" + entry);
}

TEST(GossfileEdit, PutsAnEntryAtTheEndOfItsSectionAndKeepsEveryOtherByte) {
  EXPECT_EQ(added("file:\n  /b:\n    exists: true   # b\n\n# users\nuser:\n  root:\n    exists: true\n"),
            "file:\n  /b:\n    exists: true   # b\n" + entry + "\n# users\nuser:\n  root:\n    exists: true\n");
  EXPECT_EQ(added("file:\n    /b: {exists: true}\n    # of b\n"),
            "file:\n    /b: {exists: true}\n    # of b\n    /a:\n      exists: true\n      mode: \"0644\"\n");
  EXPECT_EQ(added("file:\r\n  /b: {}\r\n"), "file:\r\n  /b: {}\r\n  /a:\r\n    exists: true\r\n    mode: \"0644\"\r\n");
  EXPECT_EQ(added("file:\n  /b:\n    contents: |\n      x\n      # no comment\n\nuser: {}\n"),
            "file:\n  /b:\n    contents: |\n      x\n      # no comment\n" + entry + "\nuser: {}\n");
}

TEST(GossfileEdit, LeavesAloneWhatSaysItAlready) {
  const std::string more = "file:\n  /a:\n    mode: \"0644\"\n    exists: true\n    contents: [x]\n";
  const auto edited = add(more);
  ASSERT_TRUE(edited);
  EXPECT_EQ(edited->what, EditedFile::What::unchanged);
  EXPECT_EQ(edited->text, more);
}

TEST(GossfileEdit, ReplacesOnlyWhenAskedAndKeepsWhatIsNoAssertion) {
  const std::string other = "file:\n  /a:\n    title: mine\n    exists: false\n\n  # next\n  /b: {}\n";
  const auto refused = add(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exists);
  EXPECT_NE(refused.error().hint.find("--replace"), std::string::npos);
  const auto replaced = add(other, "file", "/a", true);
  ASSERT_TRUE(replaced) << replaced.error().text();
  EXPECT_EQ(replaced->what, EditedFile::What::replaced);
  EXPECT_EQ(replaced->text,
            "file:\n  /a:\n    title: mine\n    exists: true\n    mode: \"0644\"\n\n  # next\n  /b: {}\n");
}

TEST(GossfileEdit, RefusesRatherThanLose) {
  for (const char* text : {"{file: {/b: {}}}\n", "file: {/b: {exists: true}}\n", "x-b: &b {/b: {}}\nfile: *b\n",
                           "file:\n  /b: {}\n...\n"}) {
    const auto edited = add(text);
    if (edited) continue;  // it was put in without changing anything else: that is checked by with_entry() itself
    EXPECT_EQ(edited.error().code, Errc::refused) << text;
    EXPECT_NE(edited.error().hint, "") << text;
  }
  EXPECT_EQ(added("{file: {/b: {}}}\n").substr(0, 6), "ERROR:");
  EXPECT_EQ(added("file: {/b: {exists: true}}\n").substr(0, 6), "ERROR:");
  const auto commented = add("file:\n  /a:\n    exists: false  # why\n", "file", "/a", true);
  ASSERT_FALSE(commented);
  EXPECT_EQ(commented.error().code, Errc::refused);
  for (const char* text : {"file:\n  {{ .Vars.x }}: {exists: true}\n", "- a\n", "file: [a]\n", "file:\n  /a: {\n"}) {
    const auto edited = add(text);
    ASSERT_FALSE(edited) << text;
    EXPECT_EQ(edited.error().code, Errc::invalid) << text;
  }
  EXPECT_EQ(add("", "file", "/a", false, "goss.txt").error().code, Errc::invalid);
}

TEST(GossfileEdit, QuotesWhatReadersWouldTakeForSomethingElse) {
  const auto text = [](const std::string& key) { return entry_text(key, Value(spec::Map())); };
  for (const char* plain : {"/etc/passwd", "tcp:22", "http://localhost:80/x", "echo hi", "sshd"})
    EXPECT_EQ(text(plain), std::string(plain) + ": {}\n");
  for (const char* quoted :
       {"yes", "Off", "null", "22", "0644", "1.0", "-x", "a: b", "a #b", "x:", "::", "é", "*", "~", ""})
    EXPECT_EQ(text(quoted).front(), '"') << quoted;
}

TEST(GossfileEdit, WritesJsonAgainInItsOrder) {
  const auto edited = add("{\"user\": {\"root\": {\"exists\": true}}}", "file", "/a", false, "goss.json");
  ASSERT_TRUE(edited) << edited.error().text();
  EXPECT_EQ(edited->text,
            "{\n    \"user\": {\n        \"root\": {\n            \"exists\": true\n        }\n    },\n"
            "    \"file\": {\n        \"/a\": {\n            \"exists\": true,\n            \"mode\": \"0644\"\n"
            "        }\n    }\n}\n");
}

}  // namespace
}  // namespace converge::checks
