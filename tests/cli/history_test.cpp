// What runs leave behind, and how it is asked for: whole sessions of the binary on a directory tree.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace converge {
namespace {

class RememberedSession : public testing::Test {
 protected:
  RememberedSession() {
    place_.write("specs/motd.yaml",
                 "spec: motd\nhosts: pair\nvars: {token: s3cr3t-token}\nconverge:\n"
                 "  - file: {path: /etc/motd, content: \"hello\\n\", mode: \"0644\"}\n"
                 "  - line: {path: /etc/hosts, line: 127.0.0.1 localhost, create: true}\n");
  }
  Ran run(const std::string& arguments) const { return place_.on_tree(arguments + " --history h.db"); }
  Ran history(const std::string& arguments = "") const { return place_.run("history --history h.db " + arguments); }
  static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

  Workplace place_;
};

TEST_F(RememberedSession, DriftTellsNewOldAndHealed) {
  ASSERT_EQ(run("").exit, 0);
  Ran ran = run("drift");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_TRUE(has(ran.out, "2 in sync · 0 new")) << ran.out;
  place_.write("tree/etc/motd", "broken\n");
  ran = run("drift");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(has(ran.out, "new      file:/etc/motd  content is 7 B, not 6 B  specs/motd.yaml:5:")) << ran.out;
  EXPECT_TRUE(has(ran.out, "in sync until 2")) << ran.out;
  EXPECT_TRUE(has(ran.out, "perhaps: /etc/motd was written at 2")) << ran.out;
  ran = run("drift");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(has(ran.out, "old      file:/etc/motd")) << ran.out;
  EXPECT_TRUE(has(ran.out, "0 new · 1 old")) << ran.out;
  place_.write("tree/etc/motd", "hello\n");
  ran = run("drift");
  EXPECT_EQ(ran.exit, 0);
  EXPECT_TRUE(has(ran.out, "healed   file:/etc/motd  content was 7 B, not 6 B")) << ran.out;
}

TEST_F(RememberedSession, DriftWritesNothingToTheHost) {
  EXPECT_EQ(run("drift").exit, 2);
  EXPECT_FALSE(std::filesystem::exists(place_.here() / "tree/etc/motd"));
  EXPECT_FALSE(std::filesystem::exists(place_.here() / "tree/var"));
}

TEST_F(RememberedSession, DriftAsEvents) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  const Ran ran = run("drift --format json");
  std::istringstream lines(ran.out);
  std::string state;
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    if (event["event"] != "drift") continue;
    state = event["state"];
    EXPECT_EQ(event["id"], "file:/etc/motd");
    EXPECT_EQ(event["property"], "content");
    EXPECT_TRUE(event["in_sync_until"].is_number());
    EXPECT_LE(event["in_sync_until"], event["out_since"]);
    EXPECT_EQ(event["suspects"][0]["kind"], "edit");
  }
  EXPECT_EQ(state, "new");
}

TEST_F(RememberedSession, HistoryListsShowsAndCompares) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  run("verify -t file");
  run("");
  Ran ran = history();
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_TRUE(has(ran.out, "verify")) << ran.out;
  EXPECT_TRUE(has(ran.out, "1 in sync · 1 changed")) << ran.out;
  ran = history("show 2");
  EXPECT_TRUE(has(ran.out, "verify -l node1 -t file")) << ran.out;
  EXPECT_TRUE(has(ran.out, "content is 7 B, not 6 B")) << ran.out;
  ran = history("show 1");
  EXPECT_TRUE(has(ran.out, "absent → file")) << ran.out;
  ran = history("diff 1 3");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(has(ran.out, "difference")) << ran.out;
  EXPECT_EQ(history("diff 3 3").exit, 0);
  EXPECT_EQ(history("node1").exit, 0);
  EXPECT_EQ(history("node2").exit, 1);
  EXPECT_EQ(history("show 77").exit, 1);
  EXPECT_EQ(history("show").exit, 64);
  EXPECT_TRUE(has(history("-n 1").out, "3 ")) << "the newest";
  EXPECT_FALSE(has(history("-n 1").out, "verify"));
  ran = history("--format json");
  EXPECT_EQ(nlohmann::json::parse(ran.out.substr(0, ran.out.find('\n')))["run"], 3);
}

TEST_F(RememberedSession, PruneForgets) {
  run("");
  EXPECT_TRUE(has(history("prune --keep 1d").out, "0 runs")) << "it is younger";
  EXPECT_EQ(history("prune --keep never").exit, 64);
}

TEST_F(RememberedSession, ValuesOfVariablesAreNotKept) {
  run("-e password=s3cr3t-word");
  history("show 1");
  for (const char* file : {"h.db", "h.db-wal"}) EXPECT_FALSE(has(place_.read(file), "s3cr3t")) << file;
}

TEST_F(RememberedSession, AHistoryThatCannotBeWrittenIsAWarning) {
  place_.write("h.db", std::string(5000, 'x'));
  const Ran ran = run("");
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(place_.read("tree/etc/motd"), "hello\n");
  EXPECT_TRUE(has(ran.err, "warning: this run is not in the history")) << ran.err;
  EXPECT_EQ(place_.read("h.db"), std::string(5000, 'x'));
}

TEST_F(RememberedSession, AFullDiskCostsTheHistoryAndNothingElse) {
  // No file may be longer than 8 KiB: the history needs more.
  const Ran ran = place_.run("-l node1 --root tree --history h.db", "trap '' XFSZ; ulimit -f 16;");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_EQ(place_.read("tree/etc/motd"), "hello\n");
  EXPECT_TRUE(has(ran.err, "warning: this run is not in the history")) << ran.err;
  EXPECT_EQ(run("").exit, 0) << "what was begun is no obstacle later";
  EXPECT_EQ(history().exit, 0);
}

TEST_F(RememberedSession, WithoutAHistoryDriftHasNoDates) {
  const Ran ran = place_.on_tree("drift");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(has(ran.out, "never seen in sync")) << ran.out;
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(place_.run("history --history none").exit, 1);
  EXPECT_EQ(history().exit, 1);
}

TEST_F(RememberedSession, MetricsOfARunAreAFile) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  const Ran ran = run("drift --textfile drift.prom");
  EXPECT_EQ(ran.exit, 2) << ran.err;
  const std::string metrics = place_.read("drift.prom");
  EXPECT_TRUE(has(metrics, "converge_resources{host=\"node1\",outcome=\"out_of_sync\"} 1\n")) << metrics;
  EXPECT_TRUE(has(metrics, "converge_new_drift{host=\"node1\"} 1\n")) << metrics;
  EXPECT_TRUE(has(metrics, "converge_run_exit_code{verb=\"drift\"} 2\n")) << metrics;
  EXPECT_EQ(run("drift --textfile /nowhere/drift.prom").exit, 2) << "it changes nothing else";
}

TEST_F(RememberedSession, NobodyIsToldOfOldDrift) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  const Ran ran = run("drift --on-drift /bin/true");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(run("drift --on-drift /bin/false").err, "") << "it is old by now";
}

TEST_F(RememberedSession, WhatNobodyCouldBeToldIsToldByTheNextRun) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  const Ran ran = run("drift --on-drift /bin/false");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(has(ran.err, "ended with status 1: nobody was told of this drift; the next run tries again")) << ran.err;
  place_.write("tree/etc/hosts", "");
  const std::string tell = "drift --on-drift /usr/bin/tee --on-drift '" + (place_.here() / "told").string() + "'";
  EXPECT_EQ(run(tell).err, "");
  const auto hosts = nlohmann::json::parse(place_.read("told"))["hosts"];
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0]["findings"][0]["id"], "file:/etc/motd");
  EXPECT_TRUE(has(hosts[1]["findings"][0]["id"], "line:/etc/hosts"));
  place_.write("told", "");
  run(tell);
  EXPECT_EQ(place_.read("told"), "") << "once";
  EXPECT_FALSE(std::filesystem::exists(place_.here() / "h.db.untold-command"));
}

TEST_F(RememberedSession, WhatAnApplyPutsRightIsTold) {
  const std::string tell = " --on-drift /usr/bin/tee --on-drift '" + (place_.here() / "told").string() + "'";
  EXPECT_EQ(run(tell).exit, 0);
  EXPECT_EQ(place_.read("told"), "") << "what is made for the first time did not stop being so";
  place_.write("tree/etc/motd", "broken\n");
  const Ran ran = run(tell + " --textfile drift.prom");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto told = nlohmann::json::parse(place_.read("told"));
  EXPECT_EQ(told["hosts"][0]["findings"][0]["id"], "file:/etc/motd");
  EXPECT_EQ(told["hosts"][0]["findings"][0]["how"], "converged");
  EXPECT_TRUE(has(place_.read("drift.prom"), "converge_new_drift{host=\"node1\"} 1\n"));
  const Ran undo = place_.run("undo --history h.db");
  EXPECT_FALSE(has(undo.out, "for good")) << "telling is nothing that the run did: " << undo.out;
  place_.write("told", "");
  place_.write("specs/motd.yaml",
               "spec: motd\nhosts: pair\nconverge:\n"
               "  - file: {path: /etc/motd, content: \"hello again\\n\", mode: \"0644\"}\n");
  EXPECT_EQ(run(tell).exit, 0);
  EXPECT_EQ(place_.read("told"), "") << "it is declared otherwise";
}

TEST_F(RememberedSession, DriftIsRememberedWithItsLines) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  EXPECT_FALSE(has(run("drift").out, "-broken"));
  EXPECT_TRUE(has(history("show last").out, "    -broken\n    +hello\n"));
  EXPECT_TRUE(has(run("drift --diff").out, "    -broken\n    +hello\n"));
  EXPECT_TRUE(has(place_.run("report --history h.db").out, "-broken"));
}

TEST_F(RememberedSession, LinesThatNotEverybodyMayReadAreNotKept) {
  place_.write("specs/motd.yaml",
               "hosts: pair\nconverge:\n"
               "  - file: {path: /etc/key, content: \"declared-s3cr3t\\n\", mode: \"0640\"}\n"
               "  - line: {path: /etc/hosts, line: 127.0.0.1 localhost, create: true}\n");
  run("");
  place_.write("tree/etc/key", "found-s3cr3t\n");
  place_.write("tree/etc/hosts", "# s3cr3t of others\n");
  EXPECT_TRUE(has(run("drift --diff").out, "found-s3cr3t"));
  EXPECT_EQ(run("").exit, 0);
  EXPECT_TRUE(has(history("show 2").out, "not kept; digest ")) << history("show 2").out;
  EXPECT_TRUE(has(history("show 2").out, "+127.0.0.1 localhost"));
  EXPECT_FALSE(has(history("show 2").out + history("show 3").out, "s3cr3t"));
  for (const char* file : {"h.db", "h.db-wal"}) EXPECT_FALSE(has(place_.read(file), "s3cr3t")) << file;
}

TEST_F(RememberedSession, AnotherChangeOfTheSameSizeIsNewDrift) {
  run("");
  place_.write("tree/etc/motd", "HELLO\n");
  EXPECT_TRUE(has(run("drift").out, "1 new"));
  EXPECT_TRUE(has(run("drift").out, "0 new · 1 old"));
  place_.write("tree/etc/motd", "OTHER\n");
  const Ran ran = run("drift --diff");
  EXPECT_TRUE(has(ran.out, "1 new")) << ran.out;
  EXPECT_TRUE(has(ran.out, "    -OTHER\n")) << ran.out;
  EXPECT_TRUE(has(run("drift").out, "0 new · 1 old")) << "whether lines are shown or not";
}

TEST_F(RememberedSession, WhatVerifyFindsFirstHasSuspectsToo) {
  run("");
  place_.write("tree/etc/motd", "broken\n");
  EXPECT_EQ(run("verify").exit, 1);
  EXPECT_TRUE(has(run("drift").out, "perhaps: /etc/motd was written at 2"));
}

TEST_F(RememberedSession, AReadOnlyHistoryIsAWarning) {
  run("");
  if (place_.run("history --history h.db", "unshare -m true || exit 77;").exit == 77) GTEST_SKIP() << "needs root";
  place_.write("tree/etc/motd", "broken\n");
  const std::string read_only =
      "mkdir -p ro; rm -r h.db.undo; mv h.db* ro; exec unshare -m sh -c 'mount --bind ro ro; mount -o remount,bind,ro "
      "ro; exec \"$@\"' "
      "sh";
  Ran ran = place_.run("-l node1 --root tree --history ro/h.db", read_only);
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_EQ(place_.read("tree/etc/motd"), "hello\n");
  EXPECT_TRUE(has(ran.err, "warning: this run is not in the history: the history 'ro/h.db' cannot be written"))
      << ran.err;
  EXPECT_TRUE(has(ran.err, "cannot be undone: cannot make 'ro/h.db.undo': Read-only file system")) << ran.err;
  ran = place_.run("history --history ro/h.db");
  EXPECT_TRUE(has(ran.out, "2 changed")) << ran.out << ran.err;
  EXPECT_FALSE(has(ran.out, "1 changed")) << ran.out;
}

TEST_F(RememberedSession, AMetricsFileIsNotWrittenThroughALink) {
  place_.write("victim", "mine\n");
  const Ran ran = place_.run("drift -l node1 --root tree --textfile d.prom", "ln -s victim d.prom.$$; umask 077; exec");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_EQ(place_.read("victim"), "mine\n");
  EXPECT_TRUE(has(place_.read("d.prom"), "converge_run_exit_code"));
  const auto mode = std::filesystem::status(place_.here() / "d.prom").permissions();
  EXPECT_EQ(static_cast<unsigned>(mode), 0644U) << "the collector is another user";
  EXPECT_TRUE(has(run("drift --textfile no/d.prom").err, "cannot write 'no/d.prom': No such file or directory"));
}

class Scheduled : public RememberedSession {
 protected:
  Ran schedule(const std::string& arguments) const {
    return place_.run("schedule " + arguments + " --root '" + place_.here().string() + "/tree'");
  }
  std::string service() const { return place_.read("tree/etc/systemd/system/converge-drift.service"); }
};

TEST_F(Scheduled, ATimerIsMadeKeptAndRemoved) {
  std::filesystem::create_directories(place_.here() / "tree/etc/systemd/system");
  Ran ran =
      schedule("install -l node1 -c local --every 2h --textfile /run/a.prom --on-drift /bin/mail --on-drift 'a b$%'");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_TRUE(
      has(service(), "drift -l node1 -c local --textfile /run/a.prom --on-drift /bin/mail --on-drift \"a b$$%%\"\n"))
      << service();
  EXPECT_TRUE(has(service(), "WorkingDirectory=" + place_.here().string() + "\n"));
  EXPECT_TRUE(has(place_.read("tree/etc/systemd/system/converge-drift.timer"), "OnCalendar=0/2:00\n"));
  ran = schedule("install -l node1 -c local --every 2h --textfile /run/a.prom --on-drift /bin/mail --on-drift 'a b$%'");
  EXPECT_TRUE(has(ran.out, "0 changed")) << ran.out;
  ran = schedule("install -l node1 -c local --apply");
  EXPECT_TRUE(has(service(), "converge -l node1")) << service();
  EXPECT_EQ(schedule("remove").exit, 0);
  EXPECT_EQ(service(), "");
}

TEST_F(Scheduled, WhatCannotBeKeptIsRefused) {
  Ran ran = schedule("install -l node1 -c local --every 7min");
  EXPECT_EQ(ran.exit, 64);
  EXPECT_TRUE(has(ran.err, "'7min' does not divide an hour or a day")) << ran.err;
  EXPECT_EQ(schedule("install -l pair -c local").exit, 64) << "two hosts";
  EXPECT_EQ(schedule("install -l node1 -c local -i elsewhere").exit, 64);
  ran = schedule("install -l node1 -c local -e size=4");
  EXPECT_EQ(ran.exit, 64) << "the timer would look for another size";
  EXPECT_TRUE(has(ran.err, "the timer has no -e")) << ran.err;
  EXPECT_EQ(schedule("sometimes").exit, 64);
  EXPECT_EQ(schedule("status").exit, 1);
}

TEST_F(Scheduled, StatusOfATreeAndUndo) {
  std::filesystem::create_directories(place_.here() / "tree/etc/systemd/system");
  const std::string kept = "export CONVERGE_HISTORY=$PWD/h.db;", tree = " --root '" + place_.here().string() + "/tree'";
  EXPECT_EQ(place_.run("schedule install -l node1 -c local" + tree, kept).exit, 0);
  Ran ran = place_.run("schedule status" + tree);
  EXPECT_EQ(ran.exit, 0);
  EXPECT_TRUE(has(ran.out, "OnCalendar=")) << ran.out << ran.err;
  if (geteuid() != 0) GTEST_SKIP() << "undo is root's";
  EXPECT_TRUE(has(place_.run("undo", kept).out, "in " + place_.here().string() + "/tree")) << "it says which tree";
  ran = place_.run("undo last", kept);
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_EQ(service(), "");
  EXPECT_EQ(place_.run("schedule status" + tree).exit, 1);
}

}  // namespace
}  // namespace converge
