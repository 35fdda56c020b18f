#include "spec/inventory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/spec/temporary_tree.h"

namespace converge::spec {
namespace {

using Names = std::vector<std::string>;

struct Loaded {
  Sources sources;
  Diagnostics diagnostics;
  std::optional<Inventory> inventory;

  std::string complaints() const {
    std::string out;
    for (const Diagnostic& d : diagnostics) out += d.at.text() + ": " + d.message + " | " + d.hint + "\n";
    return out;
  }
  bool says(const std::string& text) const { return complaints().find(text) != std::string::npos; }
};

std::unique_ptr<Loaded> load_path(const std::string& path, FileReader files = {}) {
  auto out = std::make_unique<Loaded>();
  out->inventory = load_inventory(path, files, out->sources, out->diagnostics);
  return out;
}

std::unique_ptr<Loaded> load_text(const std::string& text) {
  const TemporaryTree tree;
  return load_path(tree.write("hosts.yaml", text));
}

std::string var(const Map& vars, const std::string& name) {
  std::string out = "(none)";
  for (const Entry& entry : vars)
    if (entry.key == name) out = entry.value.text();
  return out;
}

const std::string two = "all:\n  hosts:\n    CoulombCore:\n    Railiance01:\n";

TEST(Inventory, GathersHostsGroupsAndVarsWithPositions) {
  const auto loaded = load_text(
      "all:\n"
      "  vars: {a: 1}\n"
      "  children:\n"
      "    web:\n"
      "      hosts:\n"
      "        w1: {b: 2}\n"
      "        w2:\n"
      "      children:\n"
      "        eu: {hosts: {w3: }}\n"
      "db: {hosts: d1}\n");
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  const Inventory& inventory = *loaded->inventory;
  EXPECT_EQ(inventory.members("all"), (Names{"w1", "w2", "w3", "d1"}));
  EXPECT_EQ(inventory.members("web"), (Names{"w1", "w2", "w3"}));
  EXPECT_EQ(inventory.groups_of("w3"), (Names{"all", "web", "eu"}));
  EXPECT_EQ(inventory.groups_of("d1"), (Names{"all", "db"}));
  EXPECT_EQ(inventory.groups_of("nobody"), Names{});
  EXPECT_EQ(var(inventory.find_host("w1")->vars, "b"), "2");
  EXPECT_EQ(inventory.find_host("w1")->vars.front().value.at().line, 6);
  EXPECT_EQ(inventory.find_host("w1")->at.line, 6);
  EXPECT_EQ(var(inventory.find_group("all")->vars, "a"), "1");
}

TEST(Inventory, AHostInNoGroupIsUngrouped) {
  const auto loaded = load_text("all:\n  hosts: {a: , b: }\n  children: {g: {hosts: {b: }}}\n");
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_EQ(loaded->inventory->members("ungrouped"), Names{"a"});
  EXPECT_EQ(loaded->inventory->groups_of("b"), (Names{"all", "g"}));
}

TEST(Inventory, ParentsStandBeforeChildrenByTheLongestWay) {
  const auto loaded = load_text(
      "all:\n  children:\n    zed: {children: {mid: {children: {low: {hosts: {h: }}}}}}\n    low:\n    apart: {hosts: "
      "{h: }}\n");
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_EQ(loaded->inventory->groups_of("h"), (Names{"all", "apart", "zed", "mid", "low"}));
}

TEST(Inventory, ExpandsRangesInHostNames) {
  const auto loaded = load_text("all:\n  hosts:\n    web[08:10].example: {role: web}\n    db-[a:c]:\n    n[0:4:2]:\n");
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_EQ(loaded->inventory->members("all"),
            (Names{"web08.example", "web09.example", "web10.example", "db-a", "db-b", "db-c", "n0", "n2", "n4"}));
  EXPECT_EQ(var(loaded->inventory->find_host("web09.example")->vars, "role"), "web");
}

TEST(Inventory, RefusesRangesThatAreNone) {
  for (const std::string range :
       {"[3:1]", "[01:100]", "[a:9]", "[1]", "[", "[a:B]", "[1:2:0]", "[1:99999999999999999999]"})
    EXPECT_FALSE(expand_ranges("web" + range)) << range;
  const auto big = expand_ranges("web[1:5000000]");
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().code, Errc::too_big);
  EXPECT_FALSE(expand_ranges("[1:500][1:500]"));
  EXPECT_EQ(*expand_ranges("[1:2][a:b]"), (Names{"1a", "1b", "2a", "2b"}));
}

TEST(Inventory, ReportsAllMistakesAtOnceWithTheirPlaces) {
  const auto loaded = load_text(
      "all:\n"
      "  host:\n"
      "    a:\n"
      "  children: [web]\n"
      "  vars: {ok: 1, not-ok: 2, groups: 3}\n"
      "hosts: {b: }\n");
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("hosts.yaml:2:3: unknown key 'host' in group 'all' | did you mean 'hosts'?"))
      << loaded->complaints();
  EXPECT_TRUE(loaded->says("hosts.yaml:4:13: 'children' must be a mapping, not a list"));
  EXPECT_TRUE(loaded->says("hosts.yaml:5:17: 'not-ok' cannot be the name of a variable"));
  EXPECT_TRUE(loaded->says("'groups' is set by converge itself"));
  EXPECT_TRUE(loaded->says("hosts.yaml:6:1: 'hosts' stands outside of any group"));
  EXPECT_EQ(loaded->diagnostics.size(), 5U);
}

TEST(Inventory, NamesTheGroupsOfACycle) {
  const auto loaded = load_text(
      "all:\n  children:\n    a: {children: {b: }}\n    b: {children: {c: }}\n    c: {children: {b: }}\n    d: {hosts: "
      "{h: }}\n");
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("groups contain each other: b > c > b") ||
              loaded->says("groups contain each other: c > b > c"))
      << loaded->complaints();
  EXPECT_FALSE(load_text("all: {children: {a: {children: {all: }}}}\n")->inventory);
}

TEST(Inventory, RefusesANameThatIsHostAndGroup) {
  const auto loaded = load_text("all:\n  hosts: {web: }\n  children: {web: }\n");
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("'web' is a host and a group")) << loaded->complaints();
}

TEST(Inventory, RefusesNamesThatPatternsCouldNotSay) {
  for (const std::string name : {"'a b'", "'!a'", "'~a'", "'a/b'", "'a,b'", "'*'", "'-a'", "'@a'", "''"})
    EXPECT_FALSE(load_text("all: {hosts: {" + name + ": }}\n")->inventory) << name;
}

TEST(VariableFiles, InLowerCaseServeTheHostOfThatName) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", two);
  tree.write("host_vars/coulombcore.yml", "swap_size_gb: 4\n");
  const auto loaded = load_path(tree.path());
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_EQ(var(loaded->inventory->find_host("CoulombCore")->vars, "swap_size_gb"), "4");
}

TEST(VariableFiles, StandBesideAnInventoryFileToo) {
  const TemporaryTree tree;
  const std::string file = tree.write("hosts.yaml", two);
  tree.write("host_vars/CoulombCore.yaml", "x: 1\n");
  tree.write("host_vars/Railiance01/one.yml", "x: 2\n");
  tree.write("host_vars/Railiance01/two.yml", "x: 3\n");
  tree.write("group_vars/all", "x: 0\n");
  const auto loaded = load_path(file);
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_EQ(var(loaded->inventory->find_host("CoulombCore")->vars, "x"), "1");
  EXPECT_EQ(var(loaded->inventory->find_host("Railiance01")->vars, "x"), "3");
  EXPECT_EQ(var(loaded->inventory->find_group("all")->vars, "x"), "0");
}

TEST(VariableFiles, ThatFitNothingAreErrorsWithDidYouMean) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", "all:\n  hosts: {CoulombCore: }\n  children: {cluster: {hosts: {CoulombCore: }}}\n");
  tree.write("host_vars/coulomcore.yml", "x: 1\n");
  tree.write("host_vars/cluster.yml", "x: 1\n");
  tree.write("group_vars/klaster.yml", "x: 1\n");
  const auto loaded = load_path(tree.path());
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("host_vars/coulomcore.yml: no host is called 'coulomcore'")) << loaded->complaints();
  EXPECT_TRUE(loaded->says("did you mean 'CoulombCore'?"));
  EXPECT_TRUE(loaded->says("there is a group 'cluster': move the file to group_vars"));
  EXPECT_TRUE(loaded->says("did you mean 'cluster'?"));
  EXPECT_EQ(loaded->diagnostics.size(), 3U);
}

TEST(VariableFiles, TwoForOneHostAreAnError) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", two);
  tree.write("host_vars/CoulombCore.yml", "x: 1\n");
  tree.write("host_vars/coulombcore.yml", "x: 2\n");
  const auto loaded = load_path(tree.path());
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("has two files: 'CoulombCore.yml' and 'coulombcore.yml'")) << loaded->complaints();
}

TEST(VariableFiles, ThatMayMeanTwoHostsAreAnError) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", "all: {hosts: {Web: , wEb: }}\n");
  tree.write("host_vars/web.yml", "x: 1\n");
  const auto loaded = load_path(tree.path());
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("may mean any of the hosts 'Web', 'wEb'")) << loaded->complaints();
}

TEST(VariableFiles, OfOtherKindsAreWarnedAboutAndHiddenOnesAreNot) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", two);
  tree.write("host_vars/CoulombCore.yml.bak", "x: 1\n");
  tree.write("host_vars/.CoulombCore.yml.swp", "x: 1\n");
  tree.write("host_vars/coulombcore.yml~", "x: 1\n");
  const auto loaded = load_path(tree.path());
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  ASSERT_EQ(loaded->diagnostics.size(), 1U) << loaded->complaints();
  EXPECT_EQ(loaded->diagnostics[0].severity, Severity::warning);
  EXPECT_EQ(var(loaded->inventory->find_host("CoulombCore")->vars, "x"), "(none)");
}

TEST(VariableFiles, EncryptedByVaultAreRefusedInWords) {
  const TemporaryTree tree;
  tree.write("hosts.yaml", two);
  tree.write("group_vars/all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n");
  const auto loaded = load_path(tree.path());
  EXPECT_FALSE(loaded->inventory);
  EXPECT_TRUE(loaded->says("encrypted by ansible-vault")) << loaded->complaints();
}

TEST(FileReader, RefusesWhatIsNoRegularFile) {
  const TemporaryTree tree;
  const FileReader files;
  EXPECT_EQ(files.read(tree.path()).error().code, Errc::invalid);
  EXPECT_EQ(files.read(tree.path()).error().message, "it is a directory, not a file");
  ASSERT_EQ(::mkfifo(tree.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(files.read(tree.path("fifo")).error().message, "it is a FIFO, not a file");
  EXPECT_EQ(files.read("/dev/zero").error().message, "it is a device, not a file");
  EXPECT_EQ(files.read(tree.path("absent")).error().code, Errc::not_found);
  EXPECT_EQ(files.read(std::string("a\0b", 3)).error().code, Errc::invalid);
}

TEST(FileReader, RefusesBySizeAloneAndReadsUpToTheLimit) {
  const TemporaryTree tree;
  FileReader files;
  files.max_bytes = 10;
  EXPECT_EQ(*files.read(tree.write("ten", "0123456789")), "0123456789");
  EXPECT_EQ(files.read(tree.write("eleven", "0123456789a")).error().code, Errc::too_big);
  // Sparse and of 1 TiB: reading it would be noticed.
  tree.write("huge", "");
  std::filesystem::resize_file(tree.path("huge"), 1ULL << 40U);
  EXPECT_EQ(files.read(tree.path("huge")).error().code, Errc::too_big);
  EXPECT_EQ(files.read("/proc/cpuinfo").error().code, Errc::too_big);  // fstat says 0
}

TEST(FileReader, ListsSortedAndTellsAbsentFromWrong) {
  const TemporaryTree tree;
  const FileReader files;
  tree.write("d/b", "");
  tree.write("d/a", "");
  EXPECT_EQ(*files.list(tree.path("d")), (Names{"a", "b"}));
  EXPECT_EQ(files.list(tree.path("none")).error().code, Errc::not_found);
  EXPECT_EQ(files.list(tree.path("d/a")).error().code, Errc::invalid);
}

TEST(Inventory, SaysWhatIsWrongWithItsFiles) {
  const TemporaryTree tree;
  EXPECT_TRUE(load_path(tree.path("none.yaml"))->says("cannot read"));
  EXPECT_TRUE(load_path(tree.path())->says("holds no inventory"));
  tree.write("notes.txt", "x");
  tree.write("hosts.yaml", two);
  const auto loaded = load_path(tree.path());
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_TRUE(loaded->says("notes.txt: is not read"));
  EXPECT_FALSE(load_text("- a\n- b\n")->inventory);
  EXPECT_FALSE(load_text("all: {hosts: [a, b]}\n")->inventory);
  EXPECT_FALSE(load_text("all: {hosts: {a: }\n")->inventory);
}

TEST(Inventory, AliasBombsAndMultipliedVariablesAreRefused) {
  std::string bomb = "all:\n  vars:\n    a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "    a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 0; k < 8; ++k) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_FALSE(load_text(bomb)->inventory);
  std::string list = "[0";
  for (int i = 0; i < 1000; ++i) list += ", 0";
  EXPECT_TRUE(load_text("all: {hosts: {'w[1:9000]': {big: " + list + "]}}}\n")->says("are too many"));
}

TEST(Inventory, TheOneThatShipsLoads) {
  const auto loaded = load_path(CONVERGE_SOURCE_DIR "/inventory");
  ASSERT_TRUE(loaded->inventory) << loaded->complaints();
  EXPECT_TRUE(loaded->diagnostics.empty()) << loaded->complaints();
  EXPECT_EQ(loaded->inventory->members("all"), (Names{"CoulombCore", "Railiance01", "haskelseed"}));
  EXPECT_EQ(loaded->inventory->members("cluster"), (Names{"CoulombCore", "Railiance01"}));
  EXPECT_EQ(var(loaded->inventory->find_host("CoulombCore")->vars, "swap_size_gb"), "4");
}

TEST(FileReader, AsRootReadsNothingThatAnyoneCanWrite) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TemporaryTree tree;
  const FileReader files;
  const std::string path = tree.write("specs/x.yaml", "spec: x\n");
  ASSERT_TRUE(files.read(path));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  auto open = files.read(path);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Errc::refused);
  EXPECT_EQ(open.error().hint, "chmod o-w " + path);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  for (const char* directory : {"specs", ""}) {
    ASSERT_EQ(::chmod(tree.path(directory).c_str(), 0777), 0);
    EXPECT_FALSE(files.read(path)) << directory;
    ASSERT_EQ(::chmod(tree.path(directory).c_str(), 01777), 0);
    EXPECT_TRUE(files.read(path)) << "the sticky bit keeps others' files from being replaced";
    ASSERT_EQ(::chmod(tree.path(directory).c_str(), 0755), 0);
  }
}

TEST(FileReader, ReadsOnlyWhatRootOrTheCallerOwns) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TemporaryTree tree;
  FileReader files;
  const std::string path = tree.write("specs/x.yaml", "spec: x\n");
  for (const char* name : {"specs/x.yaml", "specs", ""}) {
    ASSERT_EQ(::chown(tree.path(name).c_str(), 1000, 1000), 0);
    files.caller.reset();
    const auto read = files.read(path);
    ASSERT_FALSE(read) << name;
    EXPECT_EQ(read.error().code, Errc::refused);
    EXPECT_NE(read.error().message.find("belongs to uid 1000"), std::string::npos) << read.error().message;
    files.caller = 1000;
    EXPECT_TRUE(files.read(path)) << "it is the caller's: " << name;
    files.caller = 1001;
    EXPECT_FALSE(files.read(path)) << name;
    ASSERT_EQ(::chown(tree.path(name).c_str(), 0, 0), 0);
  }
}

TEST(FileReader, TheCallerIsWhomSudoNames) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::setenv("SUDO_UID", "1000", 1), 0);
  EXPECT_EQ(caller_of_sudo(), 1000U);
  ASSERT_EQ(::setenv("SUDO_UID", "1000x", 1), 0);
  EXPECT_EQ(caller_of_sudo(), std::nullopt);
  ASSERT_EQ(::unsetenv("SUDO_UID"), 0);
  EXPECT_EQ(caller_of_sudo(), std::nullopt);
}

TEST(FileReader, AGroupMayWriteOnlyIfItIsTheOwnersOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TemporaryTree tree;
  FileReader files;
  files.caller = 1000;
  const std::string path = tree.write("specs/x.yaml", "spec: x\n");
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  EXPECT_TRUE(files.read(path)) << "root's group";
  ASSERT_EQ(::chown(path.c_str(), 1000, 1000), 0);
  EXPECT_TRUE(files.read(path)) << "the caller's own group";
  ASSERT_EQ(::chown(path.c_str(), 1000, 100), 0);
  const auto read = files.read(path);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().hint, "chmod g-w " + path);
}

TEST(FileReader, TheDirectoryOfALinkCountsToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TemporaryTree tree;
  const FileReader files;
  tree.write("there/x.yaml", "spec: x\n");
  tree.write("here/y.yaml", "");
  ASSERT_EQ(::symlink("../there/x.yaml", tree.path("here/x.yaml").c_str()), 0);
  EXPECT_TRUE(files.read(tree.path("here/x.yaml")));
  ASSERT_EQ(::chmod(tree.path("here").c_str(), 0777), 0);
  EXPECT_FALSE(files.read(tree.path("here/x.yaml")));
}

}  // namespace
}  // namespace converge::spec
