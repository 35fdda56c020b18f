// Bad input: every mistake with its place and a way out, all at once, exit 65, and nothing touched.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace converge {
namespace {

/// A row's words as a name that GoogleTest takes.
std::string named(const auto& row) {
  std::string name;
  for (const char c : std::string(row.about)) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

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
    {"keys of an item that is left out",
     "converge:\n  - sysctl: {name: vm.swappiness, value: 1}\n    when: false\n",
     {"specs/x.yaml:2:14: error: ", "'name'", "'key' is missing", "2 errors"}},
    {"keys of a spec for other hosts",
     "hosts: node2\nconverge:\n  - file: {path: /etc/new, contnt: a}\n",
     {"specs/x.yaml:3:28: error: ", "'contnt'", "did you mean 'content'?"}},
    {"two contents of one file",
     "converge:\n  - file: {path: /etc/new, content: a}\n  - file: {path: /etc/new, content: b}\n",
     {"specs/x.yaml:3:18: error: ", "'/etc/new' is declared at specs/x.yaml:2:18 too, with another content"}},
    {"two values of one kernel parameter",
     "converge:\n  - swapfile: {size: 4GiB, swappiness: 10}\n  - sysctl: {key: vm/swappiness, value: 20}\n",
     {"specs/x.yaml:3:41: error: ", "declared at specs/x.yaml:2:40 too, with another value"}},
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
INSTANTIATE_TEST_SUITE_P(Cases, BadSpec, testing::ValuesIn(cases), [](const auto& row) { return named(row.param); });

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
  const Ran misspelt = place.run("-l node1 plann");
  EXPECT_EQ(misspelt.exit, 64);
  EXPECT_EQ(misspelt.err, "converge: there is no verb and no spec 'plann'\n          did you mean 'plan'?\n");
  EXPECT_EQ(place.run("plan --format xml -l node1").exit, 64);
}

struct FleetCase {
  const char* about;
  const char* arguments;
  int exit;
  std::vector<std::string> says;
  const char* vars = "";  // of the host, besides its address
  const char* host = "web1";
};

class BadFleet : public testing::TestWithParam<FleetCase> {};

TEST_P(BadFleet, IsSaidBeforeAnyHostIsReached) {
  const Workplace place;
  place.write("specs/x.yaml", "converge:\n  - file: {path: /etc/new, content: a}\n");
  place.write("inventory/hosts.yaml", std::string("all:\n  hosts:\n    ") + GetParam().host +
                                          ":\n      ansible_host: 127.0.0.1\n      ansible_port: 1\n" +
                                          GetParam().vars);
  // Without a terminal, and with nothing kept of runs before.
  const std::string arguments = GetParam().arguments;
  const Ran ran = place.run("plan -c ssh " + arguments + (arguments.find("-l ") == std::string::npos ? " -l all" : ""),
                            "XDG_STATE_HOME=\"$PWD/state\" setsid --wait");
  EXPECT_EQ(ran.exit, GetParam().exit) << ran.err;
  EXPECT_EQ(ran.out, "");
  for (const std::string& words : GetParam().says)
    EXPECT_NE(ran.err.find(words), std::string::npos) << words << "\n" << ran.err;
  EXPECT_FALSE(std::filesystem::exists(place.here() / "state"));
}

const std::vector<FleetCase> fleet_cases{
    {"serial that is no number",
     "--serial some",
     64,
     {"--serial", "'some' is no number of hosts and no percentage", "5 or 30%"}},
    {"negative serial", "--serial=-1", 64, {"--serial", "'-1' is no number of hosts"}},
    {"serial above 100 percent", "--serial 101%", 64, {"--serial", "'101%' is no number of hosts and no percentage"}},
    {"half a host", "--serial 1.5", 64, {"--serial", "'1.5' is no number of hosts"}},
    {"serial that no number holds",
     "--serial 99999999999999999999",
     64,
     {"--serial", "'99999999999999999999' is no number"}},
    {"max fail that is no number",
     "--max-fail x",
     64,
     {"--max-fail", "'x' is no number of hosts and no percentage", "5 or 30%"}},
    {"negative max fail", "--max-fail=-1", 64, {"--max-fail", "'-1' is no number of hosts"}},
    {"batches of nobody", "--serial 0%", 64, {"--serial", "a batch of 0 hosts never ends"}},
    {"no forks", "-j 0", 64, {"--forks", "0", "1 to 1000"}},
    {"too many forks", "-j 1001", 64, {"--forks", "1001", "1 to 1000"}},
    {"forks that are no number", "-j many", 64, {"--forks", "many"}},
    {"no time to connect", "--connect-timeout 0", 64, {"--connect-timeout", "1 to 600"}},
    {"negative host timeout", "--host-timeout=-1", 64, {"--host-timeout"}},
    {"unknown way to become root", "-b --become-method su", 64, {"--become-method", "su", "sudo", "doas"}},
    {"unknown way to become root in the inventory",
     "-b",
     65,
     {"inventory/hosts.yaml:6:30: error: ", "'pbrun'", "sudo or doas"},
     "      ansible_become_method: pbrun\n"},
    {"nobody to be asked for a password", "-K", 64, {"-K has no terminal"}},
    {"failed hosts of no run", "-l @failed", 65, {"no host failed in the run before this one"}},
    {"a host name that is an option", "", 65, {"inventory/hosts.yaml:3:5: error: ", "begins with '-'"}, "", "-oHost=x"},
    {"an address that is an option",
     "-e ansible_host=-oProxyCommand=id",
     65,
     {"-e:1:14: error: ", "'-oProxyCommand=id' is no name of a host"}},
    {"an address of the inventory that is an option",
     "",
     65,
     {"inventory/hosts.yaml:6:22: error: ", "'-oProxyCommand=id'"},
     "      converge_host: -oProxyCommand=id\n"},
    {"a user who is an option", "-u -oProxyCommand=id", 65, {"'-oProxyCommand=id' is no name of a user"}},
    {"a user of two words", "-u 'a b'", 65, {"'a b' is no name of a user"}},
    {"port 0", "-e ansible_port=0", 65, {"-e:1:14: error: ", "'0' is no port", "1 to 65535"}},
    {"a port that is a name", "-e ansible_port=ssh", 65, {"'ssh' is no port", "1 to 65535"}},
};
INSTANTIATE_TEST_SUITE_P(Cases, BadFleet, testing::ValuesIn(fleet_cases),
                         [](const auto& row) { return named(row.param); });

}  // namespace
}  // namespace converge
