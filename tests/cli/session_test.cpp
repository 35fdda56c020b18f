// Whole sessions of the binary on a directory tree.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace converge {
namespace {

constexpr const char* motd_spec =
    "spec: motd\nhosts: pair\nvars: {greeting: hello}\nconverge:\n"
    "  - file: {path: /etc/motd, content: \"{{ greeting }} {{ inventory_hostname }}\\n\", mode: \"0644\"}\n"
    "    tags: [words]\n"
    "  - line: {path: /etc/hosts, line: 127.0.0.1 localhost, create: true}\n";

TEST(Session, PlanApplyVerifyBreakHeal) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  Ran ran = place.on_tree("plan");
  EXPECT_EQ(ran.exit, 2) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("file:/etc/motd"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("specs/motd.yaml:5:"), std::string::npos) << ran.out;
  EXPECT_FALSE(std::filesystem::exists(place.here() / "tree/etc/motd"));

  ran = place.on_tree("");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_EQ(place.read("tree/etc/motd"), "hello node1\n");
  ran = place.on_tree("");
  EXPECT_EQ(ran.exit, 0);
  EXPECT_NE(ran.out.find("2 in sync · 0 changed"), std::string::npos) << ran.out;

  EXPECT_EQ(place.on_tree("verify").exit, 0);
  place.write("tree/etc/motd", "broken\n");
  ran = place.on_tree("verify");
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.out.find("file:/etc/motd"), std::string::npos) << ran.out;
  EXPECT_EQ(place.on_tree("apply").exit, 0);
  EXPECT_EQ(place.read("tree/etc/motd"), "hello node1\n");
}

TEST(Session, CheckIsPlanAndDiffShowsLines) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  place.write("tree/etc/motd", "old\n");
  const Ran ran = place.on_tree("--check --diff");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_NE(ran.out.find("-old"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("+hello node1"), std::string::npos) << ran.out;
  EXPECT_EQ(place.read("tree/etc/motd"), "old\n");
}

TEST(Session, TagsExtraVarsAndVerbAnywhere) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  EXPECT_EQ(place.on_tree("-t words -e greeting=hi apply").exit, 0);
  EXPECT_EQ(place.read("tree/etc/motd"), "hi node1\n");
  EXPECT_FALSE(std::filesystem::exists(place.here() / "tree/etc/hosts"));
  EXPECT_EQ(place.on_tree("-t nosuchtag").exit, 65);
}

TEST(Session, ASymlinkNamedVerifyVerifies) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  std::filesystem::create_symlink(CONVERGE_BINARY, place.here() / "verify");
  const std::string command = "cd '" + place.here().string() + "' && ./verify -l node1 --root tree >stdout 2>stderr";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1) << place.read("stderr");
  EXPECT_NE(place.read("stdout").find("file:/etc/motd"), std::string::npos);
}

TEST(Session, JsonIsOneEventALineWithEveryKey) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  const Ran ran = place.on_tree("plan --format json");
  std::istringstream lines(ran.out);
  std::vector<std::string> events;
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    events.push_back(event.at("event"));
    if (events.back() != "step") continue;
    for (const char* key : {"host", "item", "id", "at", "outcome", "checks", "error", "note", "diff", "micros"})
      EXPECT_TRUE(event.contains(key)) << key;
    EXPECT_EQ(event.at("outcome"), "out_of_sync");
  }
  EXPECT_EQ(events, (std::vector<std::string>{"run", "step", "step", "host", "end"}));
}

TEST(Session, ColourOnlyWhenAskedForOrOnATerminal) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  EXPECT_EQ(place.on_tree("plan").out.find('\x1b'), std::string::npos);
  EXPECT_NE(place.on_tree("plan --color always").out.find('\x1b'), std::string::npos);
}

TEST(Session, RenderInventoryDocAndSchemaAnswer) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  Ran ran = place.run("render -l node1 --root tree");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_NE(ran.out.find("specs/motd.yaml:5:"), std::string::npos) << ran.out;
  ran = place.run("inventory --explain node1");
  EXPECT_NE(ran.out.find("greeting = hello  specs/motd.yaml:3:18 (spec vars)"), std::string::npos) << ran.out;
  ran = place.run("inventory");
  EXPECT_NE(ran.out.find("node2"), std::string::npos);
  EXPECT_NE(place.run("doc").out.find("swapfile"), std::string::npos);
  EXPECT_NE(place.run("doc swapfile").out.find("swappiness"), std::string::npos);
  ran = place.run("schema");
  EXPECT_TRUE(nlohmann::json::parse(ran.out).contains("properties"));
  for (const char* verb : {"", "apply ", "plan ", "verify ", "render ", "inventory ", "doc ", "schema "}) {
    ran = place.run(std::string(verb) + "--help");
    EXPECT_EQ(ran.exit, 0);
    EXPECT_NE(ran.out.find("examples:"), std::string::npos) << verb;
  }
  EXPECT_EQ(place.run("--version").out, "converge " CONVERGE_VERSION "\n");
}

TEST(Session, ACredentialIsInNoOutput) {
  for (const char* auth :
       {"{username: u, password: CANARY}", "{username: u, passwort: CANARY}", "{username: u, password: [CANARY]}",
        "CANARY", "{token: CANARY}", "{password: \"{{ CANARY\"}"}) {
    for (const char* old : {"configs:\n  \"a:5000\":\n    auth:\n      password: CANARY-old\n",
                            "configs: {\"a:5000\": {auth: {password: CANARY\n",
                            "configs: {\"a:5000\": {auth: {password: CANARY, password: CANARY}}}\n",
                            "configs: {\"a:5000\": {auth: &x {password: CANARY}}}\n"}) {
      const Workplace place;
      place.write("specs/k.yaml", std::string("spec: k\nhosts: pair\nconverge:\n  - k3s_registries:\n      configs:\n"
                                              "        \"a:5000\":\n          auth: ") +
                                      auth + "\n");
      place.write("tree/etc/rancher/k3s/registries.yaml", old);
      for (const char* words : {"plan --diff", "plan --diff --format json", "verify -v -v --diff", "render",
                                "apply -v -v --diff", "apply --format json"}) {
        const Ran ran = place.on_tree(words);
        EXPECT_EQ((ran.out + ran.err).find("CANARY"), std::string::npos) << words << "\n" << ran.out << ran.err;
      }
    }
  }
}

TEST(Session, AReportThatCannotBeWrittenIsNoSuccess) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  EXPECT_EQ(place.run("-l node1 --root tree").exit, 0);
  const std::string command =
      "cd '" + place.here().string() + "' && '" CONVERGE_BINARY "' -l node1 --root tree >/dev/full 2>stderr";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 70);
  EXPECT_NE(place.read("stderr").find("could not be written"), std::string::npos);
}

TEST(Session, AnotherMachineIsUnreachableAndSaysWhatToDo) {
  const Workplace place;
  place.write("specs/motd.yaml", motd_spec);
  const Ran ran = place.run("plan -l node2");
  EXPECT_EQ(ran.exit, 3);
  EXPECT_NE(ran.out.find("-c local"), std::string::npos) << ran.out;
}

TEST(Session, ABlockedChainIsOneLineUnlessAllIsAsked) {
  const Workplace place;
  place.write("specs/k3s.yaml",
              "hosts: node1\nconverge:\n  - k3s_registries:\n"
              "      mirrors: {\"192.0.2.1:5000\": {endpoint: [\"http://192.0.2.1:5000\"]}}\n");
  place.write("tree/etc/rancher", "in the way\n");
  const auto blocked_lines = [](const std::string& out) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = out.find("  blocked  ", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  Ran ran = place.on_tree("apply");
  EXPECT_EQ(ran.exit, 1) << ran.out << ran.err;
  EXPECT_EQ(blocked_lines(ran.out), 1U) << ran.out;
  EXPECT_NE(ran.out.find(" more  specs/k3s.yaml:"), std::string::npos) << ran.out;
  ran = place.on_tree("apply -v");
  EXPECT_GT(blocked_lines(ran.out), 1U) << ran.out;
}

TEST(Session, WhoWaitsForAnotherRunSaysSoAndMayBeInterrupted) {
  const Workplace place;
  place.write("specs/a.yaml", "converge:\n  - file: {path: /etc-a, content: a}\n");
  const std::string tree = (place.here() / "tree").string();
  const int held = open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(held, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(place.on_tree("apply").exit, 75);

  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    if (chdir(place.here().c_str()) == 0)
      execl(CONVERGE_BINARY, "converge", "--wait", "-l", "node1", "--history", "none", "--root", tree.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::string said;
  for (char c = 0; said.find('\n') == std::string::npos && read(ends[0], &c, 1) == 1;) said += c;
  EXPECT_EQ(said, "waiting for another run to end\n");
  kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(std::filesystem::exists(place.here() / "tree/etc-a"));
  close(ends[0]);
  close(held);
}

}  // namespace
}  // namespace converge
