// verify --add, --auto-add, goss add and goss autoadd, by the built binary. The law: what was added passes at once.
#include <gtest/gtest.h>

#include "tests/cli/served.h"

namespace converge {
namespace {

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// Adds, and verifies what was written.
void law(const Workplace& place, const std::string& words, const std::string& file = "goss.yaml") {
  const Ran added = place.run("verify --add " + words + " -g " + file);
  ASSERT_EQ(added.exit, 0) << words << "\n" << added.err;
  EXPECT_TRUE(added.out.starts_with("Adding ")) << words << "\n" << added.out;
  const Ran verified = place.run("verify -g " + file);
  EXPECT_EQ(verified.exit, 0) << words << "\n" << place.read(file) << verified.out << verified.err;
  EXPECT_EQ(verified.err, "") << words << "\n" << place.read(file);
  const Ran again = place.run("verify --add " + words + " -g " + file);
  EXPECT_EQ(again.exit, 0) << words << "\n" << again.err;
  EXPECT_TRUE(has(again.out, " already\n")) << words << "\n" << again.out;
}

TEST(Add, WhatIsAddedPasses) {
  const Workplace place;
  place.write("some file", "x\n");
  place.write("other.yaml", "file:\n  tree: {exists: true}\n");
  std::filesystem::create_symlink("some file", place.here() / "link");
  for (const char* words :
       {"file 'some file' inventory link missing /etc/passwd", "user root nobody-of-that-name", "group root",
        "package no-such-package", "service no-such-service", "port tcp:1", "process no-such-process",
        "mount /proc /no/such/mount", "interface lo no-such-interface", "kernel-param kernel.ostype",
        "command 'echo hello; echo \"!odd\"; echo \"/odd/\"; echo \"\\back\"; echo >&2 \"yes: no\"; exit 3'",
        "addr tcp://127.0.0.1:1", "dns localhost", "gossfile other.yaml"}) {
    law(place, words);
  }
  // All of them in one file, and in JSON.
  for (const char* words : {"file inventory", "user root", "command 'echo hello'", "port tcp:1"})
    law(place, words, "goss.json");
}

TEST(Add, WhatListensIsAddedAndPasses) {
  const Workplace place;
  place.write("served.yaml", "file:\n  inventory: {exists: true}\n");
  std::filesystem::create_symlink(CONVERGE_BINARY, place.here() / "served-by-me");
  const Served served(place, {"verify", "-g", "served.yaml", "--serve", "127.0.0.1:0"},
                      (place.here() / "served-by-me").string());
  const std::string port = std::to_string(served.port());
  law(place, "port tcp:" + port);
  EXPECT_TRUE(has(place.read("goss.yaml"), "    listening: true\n    ip:\n      - \"127.0.0.1\"\n"))
      << place.read("goss.yaml");
  law(place, "addr tcp://127.0.0.1:" + port);
  EXPECT_TRUE(has(place.read("goss.yaml"), "    reachable: true\n    timeout: 500\n")) << place.read("goss.yaml");
  law(place, "http http://127.0.0.1:" + port + "/healthz --timeout 3s");
  EXPECT_TRUE(has(place.read("goss.yaml"),
                  "    status: 200\n    allow-insecure: false\n    no-follow-redirects: false\n    timeout: 3000\n"))
      << place.read("goss.yaml");
  law(place, "process served-by-me");

  const Ran found = place.run("verify --auto-add served-by-me -g auto.yaml");
  EXPECT_EQ(found.exit, 0) << found.err;
  EXPECT_EQ(place.read("auto.yaml"), "process:\n  served-by-me:\n    running: true\nport:\n  tcp:" + port +
                                         ":\n    listening: true\n    ip:\n      - \"127.0.0.1\"\n");
  EXPECT_EQ(place.run("verify -g auto.yaml").exit, 0);
}

TEST(Add, FindsWhatGoesByAName) {
  const Workplace place;
  const Ran found = place.run("verify --auto-add root");
  EXPECT_EQ(found.exit, 0) << found.err;
  const std::string text = place.read("goss.yaml");
  EXPECT_TRUE(has(text, "group:\n  root:\n    exists: true\n    gid: 0\n")) << text;
  EXPECT_TRUE(has(text, "user:\n  root:\n    exists: true\n    uid: 0\n    gid: 0\n")) << text;
  EXPECT_EQ(place.run("verify").exit, 65);  // without -g it is about specs
  EXPECT_EQ(place.run("verify -g goss.yaml").exit, 0);
  const Ran nothing = place.run("verify --auto-add nobody-of-that-name");
  EXPECT_EQ(nothing.exit, 1);
  EXPECT_TRUE(has(nothing.err, "nothing here goes by the name of 'nobody-of-that-name'")) << nothing.err;
  EXPECT_EQ(place.read("goss.yaml"), text);
}

TEST(Add, LeavesAttributesOutAndOtherEntriesAlone) {
  const Workplace place;
  place.write("goss.yaml", "# ours\nfile:\n  inventory:\n    exists: true  # of course\n\nuser: {}\n");
  EXPECT_EQ(place.run("verify --add file --exclude-attr mode --exclude-attr 'o*' --exclude-attr group /").exit, 64);
  EXPECT_EQ(place.run("verify --exclude-attr mode --exclude-attr 'o*' --exclude-attr group --add file /").exit, 0);
  EXPECT_EQ(
      place.read("goss.yaml"),
      "# ours\nfile:\n  inventory:\n    exists: true  # of course\n  /:\n    exists: true\n    filetype: directory\n"
      "\nuser: {}\n");
}

TEST(Add, RefusesToOverwriteUnlessAsked) {
  const Workplace place;
  const std::string text = "file:\n  inventory:\n    title: kept\n    exists: false\n";
  place.write("goss.yaml", text);
  const Ran refused = place.run("verify --add file inventory");
  EXPECT_EQ(refused.exit, 1);
  EXPECT_TRUE(has(refused.err, "'file: inventory' is in 'goss.yaml' already, and says something else")) << refused.err;
  EXPECT_EQ(place.read("goss.yaml"), text);
  EXPECT_EQ(place.run("verify --replace --add file inventory").exit, 0);
  EXPECT_TRUE(place.read("goss.yaml").starts_with("file:\n  inventory:\n    title: kept\n    exists: true\n"))
      << place.read("goss.yaml");
  EXPECT_EQ(place.run("verify -g goss.yaml").exit, 0);
}

TEST(Add, WritesNothingWhenOneOfThemCannotBeTold) {
  const Workplace place;
  EXPECT_EQ(place.run("verify --add file inventory missing/../../x").exit, 0);
  const std::string before = place.read("goss.yaml");
  const Ran ran = place.run("verify --add http http://127.0.0.1:1/");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_TRUE(has(ran.err, "no answer")) << ran.err;
  EXPECT_EQ(place.read("goss.yaml"), before);
  for (const char* words : {"fil /a", "file", "matching x", "addr 127.0.0.1:1 --timeout soon", "user root -l node1",
                            "user root -g a.yaml -g b.yaml", "user root -g -", "user root -g x.txt"})
    EXPECT_EQ(place.run(std::string("verify --add ") + words).exit, 64) << words;
}

TEST(Add, KeepsTheFilesModeAndItsLink) {
  const Workplace place;
  place.write("real.yaml", "user: {}\n");
  std::filesystem::permissions(place.here() / "real.yaml", std::filesystem::perms(0600));
  std::filesystem::create_symlink("real.yaml", place.here() / "goss.yaml");
  EXPECT_EQ(place.run("verify --add user root").exit, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(place.here() / "goss.yaml"));
  EXPECT_TRUE(has(place.read("real.yaml"), "user:\n  root:\n"));
  EXPECT_EQ(std::filesystem::status(place.here() / "real.yaml").permissions(), std::filesystem::perms(0600));
}

TEST(GossAdd, TakesGosssWordsAndReplacesAsGossDoes) {
  const Workplace place;
  std::filesystem::create_symlink(CONVERGE_BINARY, place.here() / "goss");
  const auto goss = [&](const std::string& words) {
    const Ran ran = place.run(">/dev/null; ./goss " + words);
    EXPECT_EQ(ran.exit, 0) << words << "\n" << ran.err;
    return ran.out;
  };
  EXPECT_TRUE(goss("a file inventory").starts_with("Adding File to './goss.yaml':\n\ninventory:\n  exists: true\n"));
  goss("-g goss.yaml add --exclude-attr 'g*' user root");
  goss("add command --timeout 2s 'echo hi'");
  goss("aa root");
  goss("add kernel-param kernel.ostype -g goss.yaml");
  goss("add goss other.yaml");
  place.write("other.yaml", "file:\n  inventory: {exists: true}\n");
  EXPECT_TRUE(has(place.read("goss.yaml"), "    timeout: 2000\n")) << place.read("goss.yaml");
  goss("validate");
  place.write("goss.yaml", "file:\n  inventory:\n    exists: false\n");
  EXPECT_TRUE(has(goss("add file inventory"), "Replacing"));
  goss("validate");
}

TEST(GossAdd, ShowsNoPassword) {
  const Workplace place;
  place.write("served.yaml", "file:\n  inventory: {exists: true}\n");
  std::filesystem::create_symlink(CONVERGE_BINARY, place.here() / "goss");
  const Served served(place, {"verify", "-g", "served.yaml", "--serve", "127.0.0.1:0"});
  const Ran ran = place.run(
      ">/dev/null; ./goss add http -u me -p pass-word http://127.0.0.1:" + std::to_string(served.port()) + "/healthz");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_FALSE(has(ran.out, "pass-word")) << ran.out;
  EXPECT_TRUE(has(place.read("goss.yaml"), "    password: pass-word\n")) << place.read("goss.yaml");
}

}  // namespace
}  // namespace converge
