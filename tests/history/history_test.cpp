// The store of runs: what it answers, and that its file survives what happens to files.
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "history/body.h"
#include "history/sqlite.h"

namespace converge::history {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t minute = 60'000'000;
Timestamp at(int minutes) { return Timestamp{1'700'000'000'000'000 + minutes * minute}; }

Step step(std::string item, std::string id, Outcome outcome, Checks checks = {}) {
  return {.id = std::move(id),
          .item = std::move(item),
          .at = "specs/x.yaml:7:3",
          .outcome = outcome,
          .checks = std::move(checks),
          .took = std::chrono::microseconds(300)};
}
Step in_sync(const std::string& value = "10") {
  return step("swap", "sysctl vm.swappiness", Outcome::in_sync, {check_equal("value", value, value)});
}
Step out(const std::string& actual, const std::string& expected = "10") {
  return step("swap", "sysctl vm.swappiness", Outcome::out_of_sync, {check_equal("value", expected, actual)});
}
Step could_not_tell() {
  Step one = step("swap", "sysctl vm.swappiness", Outcome::unknown);
  one.error = Error{Errc::permission, "permission denied", {}, {}};
  return one;
}

class HistoryTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    history_.reset();
    fs::remove_all(directory_);
  }
  void open() {
    history_.reset();
    auto opened = open_sqlite(path(), Access::write);
    ASSERT_TRUE(opened) << opened.error().text();
    history_ = std::move(*opened);
  }
  /// Ends its use, and brings all that was written into the one file.
  void close() {
    history_.reset();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }
  std::string path() const { return (directory_ / "history.db").string(); }

  std::int64_t begin(int when, Verb verb = Verb::drift, std::int64_t pid = 1) {
    RunStart start{.uid = fmt::format("{:032x}", ++uid_),
                   .verb = verb,
                   .began = at(when),
                   .who = "alice",
                   .from = "wks1",
                   .words = "-l all",
                   .version = "1.0",
                   .root = "/",
                   .boot = "b1",
                   .pid = pid};
    auto id = history_->begin(start, [this](const std::string&, std::int64_t asked) { return asked != dead_; });
    EXPECT_TRUE(id) << id.error().text();
    return id ? *id : 0;
  }
  /// A run of one host, which ends at that minute.
  Compared look(int when, std::vector<Step> steps, Verb verb = Verb::drift, bool whole = true,
                const std::string& host = "web1") {
    const std::int64_t run = begin(when, verb);
    HostRecord record{.host = host, .ended = at(when), .took = std::chrono::milliseconds(11)};
    for (const Step& each : steps) record.tally.add(each.outcome);
    record.steps = std::move(steps);
    record.whole = whole;
    auto compared = history_->record(run, record);
    EXPECT_TRUE(compared) << compared.error().text();
    EXPECT_TRUE(history_->end(run, at(when), 0, false));
    return compared ? std::move(*compared) : Compared{};
  }
  static void close_line(const std::array<int, 2>& line) {
    for (const int end : line) ::close(end);
  }
  std::vector<Finding> open_now() {
    auto found = history_->open_findings();
    EXPECT_TRUE(found);
    return found ? *found : std::vector<Finding>();
  }

  fs::path directory_ = [] {
    std::string name = testing::TempDir() + "history-XXXXXX";
    return fs::path(mkdtemp(name.data()));
  }();
  std::unique_ptr<History> history_;
  int uid_ = 0;
  std::int64_t dead_ = -1;
};

TEST_F(HistoryTest, DatesADriftBetweenTwoLooks) {
  EXPECT_TRUE(look(0, {in_sync()}).fresh.empty());
  EXPECT_TRUE(look(30, {in_sync()}).fresh.empty());
  const Compared found = look(60, {out("60")});
  ASSERT_EQ(found.fresh.size(), 1U);
  const Finding& finding = found.fresh.front();
  EXPECT_EQ(finding.host, "web1");
  EXPECT_EQ(finding.item, "swap");
  EXPECT_EQ(finding.resource, "sysctl vm.swappiness");
  EXPECT_EQ(finding.at, "specs/x.yaml:7:3");
  EXPECT_EQ(finding.property, "value");
  EXPECT_EQ(finding.expected, "10");
  EXPECT_EQ(finding.actual, "60");
  EXPECT_EQ(finding.in_sync_until, at(30));
  EXPECT_EQ(finding.out_since, at(60));
  EXPECT_FALSE(finding.unknown);
}

TEST_F(HistoryTest, NeverSeenInSyncIsNoDate) {
  const Compared found = look(0, {out("60")});
  ASSERT_EQ(found.fresh.size(), 1U);
  EXPECT_EQ(found.fresh.front().in_sync_until, std::nullopt);
}

TEST_F(HistoryTest, TellsOldFromNewAndHealed) {
  look(0, {in_sync()});
  look(30, {out("60")});
  const Compared again = look(60, {out("60")});
  EXPECT_TRUE(again.fresh.empty());
  ASSERT_EQ(again.old.size(), 1U);
  EXPECT_EQ(again.old.front().out_since, at(30));
  const Compared healed = look(90, {in_sync()});
  ASSERT_EQ(healed.healed.size(), 1U);
  EXPECT_EQ(healed.healed.front().how, "healed");
  EXPECT_EQ(healed.healed.front().ended, at(90));
  EXPECT_TRUE(open_now().empty());
  EXPECT_EQ(look(120, {out("60")}).fresh.front().in_sync_until, at(90));
}

TEST_F(HistoryTest, AnAlteredValueIsNewAndKeepsItsDates) {
  look(0, {in_sync()});
  look(30, {out("60")});
  const Compared altered = look(60, {out("70")});
  ASSERT_EQ(altered.fresh.size(), 1U);
  EXPECT_EQ(altered.fresh.front().in_sync_until, at(0));
  EXPECT_EQ(altered.fresh.front().out_since, at(30));
  EXPECT_EQ(altered.fresh.front().began, at(60));
  EXPECT_TRUE(altered.healed.empty());
  EXPECT_EQ(open_now().size(), 1U);
}

TEST_F(HistoryTest, NotKnowingNeitherHealsNorConfirms) {
  look(0, {in_sync()});
  look(30, {out("60")});
  const Compared blind = look(60, {could_not_tell()});
  EXPECT_TRUE(blind.healed.empty());
  ASSERT_EQ(blind.fresh.size(), 1U);
  EXPECT_TRUE(blind.fresh.front().unknown);
  EXPECT_EQ(blind.fresh.front().detail, "permission denied");
  EXPECT_EQ(open_now().size(), 2U);
  const Compared seen = look(90, {out("60")});
  ASSERT_EQ(seen.healed.size(), 1U) << "what could not be told is told again";
  EXPECT_TRUE(seen.healed.front().unknown);
  ASSERT_EQ(seen.old.size(), 1U);
  EXPECT_EQ(seen.old.front().out_since, at(30));
}

TEST_F(HistoryTest, WhatApplyChangedWasOutAndIsConverged) {
  look(0, {in_sync()});
  look(30, {out("60")});
  Step changed = out("60");
  changed.outcome = Outcome::changed;
  const Compared mended = look(60, {changed}, Verb::apply);
  EXPECT_TRUE(mended.fresh.empty());
  ASSERT_EQ(mended.healed.size(), 1U);
  EXPECT_EQ(mended.healed.front().how, "converged");
  EXPECT_EQ(mended.healed.front().out_since, at(30));
  look(90, {in_sync()});
  Step surprised = out("80");
  surprised.outcome = Outcome::changed;
  const Compared both = look(120, {surprised}, Verb::apply);
  ASSERT_EQ(both.fresh.size(), 1U) << "a drift that no look had found before";
  EXPECT_EQ(both.fresh.front().in_sync_until, at(90));
  ASSERT_EQ(both.healed.size(), 1U);
  EXPECT_TRUE(open_now().empty());
}

TEST_F(HistoryTest, ALookAtAPartKeepsTheRest) {
  const Step file = step("motd", "file /etc/motd", Outcome::in_sync, {check_equal("mode", "0644", "0644")});
  Step touched = step("motd", "file /etc/motd", Outcome::out_of_sync, {check_equal("mode", "0644", "0666")});
  look(0, {in_sync(), file});
  look(30, {in_sync()}, Verb::drift, false);  // -t swap
  const Compared found = look(60, {out("60"), touched});
  ASSERT_EQ(found.fresh.size(), 2U);
  EXPECT_EQ(found.fresh[0].in_sync_until, at(30));
  EXPECT_EQ(found.fresh[1].in_sync_until, at(0)) << "it was not looked at in between";
  look(90, {in_sync()}, Verb::drift, false);
  EXPECT_EQ(open_now().size(), 1U) << "the file was not looked at";
}

TEST_F(HistoryTest, WhatIsDeclaredNoMoreIsNoDrift) {
  const Step file = step("motd", "file /etc/motd", Outcome::out_of_sync, {check_equal("mode", "0644", "0666")});
  look(0, {in_sync(), file});
  const Compared found = look(30, {in_sync()});
  ASSERT_EQ(found.healed.size(), 1U);
  EXPECT_EQ(found.healed.front().how, "undeclared");
  const auto items = history_->items();
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 1U);
  EXPECT_EQ(items->front().item, "swap");
  EXPECT_EQ(items->front().resources, 1U);
}

TEST_F(HistoryTest, CountsTheItemsOfHosts) {
  look(0, {in_sync(), step("motd", "file /a", Outcome::in_sync), step("motd", "file /b", Outcome::in_sync)});
  look(30, {out("1"), step("motd", "file /a", Outcome::unknown), step("motd", "file /b", Outcome::in_sync)});
  const auto items = history_->items("web1");
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2U);
  EXPECT_EQ((*items)[0].item, "swap");
  EXPECT_EQ((*items)[0].out, 1U);
  EXPECT_EQ((*items)[1].resources, 2U);
  EXPECT_EQ((*items)[1].unknown, 1U);
  EXPECT_EQ((*items)[1].looked, at(30));
}

TEST_F(HistoryTest, KeepsEveryStepAndCheck) {
  Step failed = could_not_tell();
  failed.error->hint = "run it as root";
  failed.note = "a note";
  look(0, {in_sync(), failed, out("\xff\x01")}, Verb::apply);
  const auto run = history_->run("last");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->start.who, "alice");
  EXPECT_EQ(run->start.verb, Verb::apply);
  EXPECT_EQ(run->hosts, 1U);
  EXPECT_EQ(run->state, Run::State::done);
  const auto hosts = history_->hosts_of(run->id);
  ASSERT_TRUE(hosts);
  ASSERT_EQ(hosts->size(), 1U);
  const HostRecord& record = hosts->front();
  ASSERT_EQ(record.steps.size(), 3U);
  EXPECT_EQ(record.steps[0].checks.front().actual, "10");
  EXPECT_EQ(record.steps[0].took, std::chrono::microseconds(300));
  EXPECT_EQ(record.steps[1].error->text(), "permission denied");
  EXPECT_EQ(record.steps[1].error->hint, "run it as root");
  EXPECT_EQ(record.steps[1].note, "a note");
  EXPECT_EQ(record.tally.of(Outcome::unknown), 1U);
}

TEST_F(HistoryTest, TheSameAgainNeedsAlmostNoRoom) {
  std::vector<Step> steps;
  for (int i = 0; i < 200; ++i)
    steps.push_back(step("files", fmt::format("file /srv/{}", i), Outcome::in_sync,
                         {check_equal("mode", "0644", "0644"), check_equal("content", "a", "a")}));
  look(0, steps);
  close();
  const auto before = fs::file_size(path());
  open();
  for (int i = 1; i <= 100; ++i) look(i, steps);
  close();
  EXPECT_LT(fs::file_size(path()) - before, 100U * 600U);
  open();
}

TEST_F(HistoryTest, TwoResourcesOfOneNameAreTwo) {
  look(0, {in_sync(), in_sync()});
  EXPECT_EQ(look(30, {out("60"), in_sync()}).fresh.size(), 1U);
  EXPECT_EQ(open_now().size(), 1U) << "the second, in sync, heals nothing of the first";
}

TEST_F(HistoryTest, FindsRunsByNumberUidAndLast) {
  look(0, {in_sync()});
  look(30, {in_sync()});
  EXPECT_EQ(history_->run("1")->start.began, at(0));
  EXPECT_EQ(history_->run("last")->start.began, at(30));
  EXPECT_EQ(history_->run(fmt::format("{:032x}", 2))->id, 2);
  EXPECT_EQ(history_->run("0000").error().code, Errc::invalid) << "both begin so";
  EXPECT_EQ(history_->run("17").error().code, Errc::not_found);
  EXPECT_EQ(history_->run("'; DROP TABLE run").error().code, Errc::not_found);
}

TEST_F(HistoryTest, ADeadRunIsCalledInterrupted) {
  const std::int64_t dead = begin(0, Verb::apply, 4711);
  const std::int64_t living = begin(1, Verb::apply, 4712);
  dead_ = 4711;
  begin(2);
  EXPECT_EQ(history_->run(std::to_string(dead))->state, Run::State::interrupted);
  EXPECT_EQ(history_->run(std::to_string(living))->state, Run::State::running);
}

TEST_F(HistoryTest, PruningKeepsWhatIsNewestOfAHost) {
  for (int i = 0; i < 10; ++i) look(i, {out(std::to_string(i))});
  look(20, {in_sync()}, Verb::drift, true, "web2");
  look(40, {in_sync()}, Verb::drift, true, "web2");
  const auto pruned = history_->prune(at(30), 1000);
  ASSERT_TRUE(pruned);
  EXPECT_EQ(pruned->runs, 10U) << "nine of web1, one of web2";
  EXPECT_EQ(pruned->findings, 9U);
  EXPECT_EQ(history_->latest()->size(), 2U);
  EXPECT_EQ(open_now().size(), 1U);
  EXPECT_EQ(history_->runs({})->size(), 2U);
}

TEST_F(HistoryTest, AsksForAHostAndATime) {
  look(0, {in_sync()});
  look(10, {in_sync()}, Verb::drift, true, "web2");
  look(20, {out("1")});
  EXPECT_EQ(history_->runs({.host = "web1"})->size(), 2U);
  EXPECT_EQ(history_->runs({.from = at(5), .until = at(15)})->size(), 1U);
  const auto points = history_->points({.host = "web1", .from = at(5)});
  ASSERT_EQ(points->size(), 1U);
  EXPECT_EQ(points->front().tally.of(Outcome::out_of_sync), 1U);
  EXPECT_EQ(points->front().took, std::chrono::milliseconds(11));
  EXPECT_EQ(history_->findings({.host = "web2"})->size(), 0U);
  EXPECT_EQ(history_->findings({.until = at(15)})->size(), 0U);
  EXPECT_EQ(history_->findings({.from = at(15)})->size(), 1U);
  EXPECT_EQ(*history_->last_look("web1"), at(20));
  EXPECT_EQ(*history_->last_look("db1"), std::nullopt);
}

TEST_F(HistoryTest, KeepsSuspects) {
  look(0, {in_sync()});
  const Compared found = look(30, {out("60")});
  const std::vector<Suspect> suspects{{"edit", "/etc/sysctl.d/x was edited at noon"}, {"sudo", "bob: vi\n/etc/x"}};
  ASSERT_TRUE(history_->suspect(found.fresh.front().id, suspects));
  const auto kept = open_now().front().suspects;
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0], suspects[0]);
  EXPECT_EQ(kept[1].kind, "sudo");
}

TEST_F(HistoryTest, SuspectsTheSpecWhenWhatIsExpectedChanged) {
  look(0, {in_sync("10")});
  const Compared found = look(30, {out("10", "20")});
  ASSERT_EQ(found.fresh.size(), 1U);
  ASSERT_EQ(found.fresh.front().suspects.size(), 1U);
  EXPECT_EQ(found.fresh.front().suspects.front(),
            (Suspect{"spec", "it is declared otherwise since run 1: it was '10'"}));
  EXPECT_EQ(open_now().front().suspects.size(), 1U);
}

TEST_F(HistoryTest, AnUnreachableHostIsRememberedAndHealsNothing) {
  look(0, {out("60")});
  const std::int64_t run = begin(30);
  ASSERT_TRUE(history_->record(run, {.host = "web1", .status = "unreachable", .ended = at(30), .error = "no route"}));
  EXPECT_EQ(open_now().size(), 1U);
  EXPECT_EQ(history_->latest()->front().status, "unreachable");
  EXPECT_EQ(history_->hosts_of(run)->front().error, "no route");
}

TEST_F(HistoryTest, AKillInTheMiddleLosesNoRunThatHadEnded) {
  for (int deaths = 0; deaths < 100; ++deaths) {
    const std::size_t before = history_->runs({.limit = 100'000})->size();
    history_.reset();
    std::array<int, 2> line{};
    ASSERT_EQ(pipe(line.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      open();
      uid_ = 1000 * (deaths + 1);
      for (int i = 0;; ++i) {
        look(i, {out(std::to_string(i)), in_sync()});
        if (write(line[1], "x", 1) != 1) _exit(1);
      }
    }
    // Killed at once after so many runs: somewhere in the next one.
    std::size_t ended = 0;
    for (char byte = 0; ended < 1 + static_cast<std::size_t>(deaths % 3) && read(line[0], &byte, 1) == 1;) ++ended;
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    close_line(line);
    open();
    const auto runs = history_->runs({.limit = 100'000});
    ASSERT_TRUE(runs) << runs.error().text();
    const auto done = static_cast<std::size_t>(std::count_if(
        runs->begin(), runs->end(), [](const history::Run& run) { return run.state == history::Run::State::done; }));
    ASSERT_GE(runs->size(), before + ended) << "at point " << deaths;
    ASSERT_GE(done + static_cast<std::size_t>(deaths) + 1, runs->size()) << "only a run in flight has no end";
  }
  close();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
  std::string answer;
  const auto take = [](void* into, int, char** values, char**) {
    *static_cast<std::string*>(into) += values[0];
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, "PRAGMA integrity_check", take, &answer, nullptr), SQLITE_OK);
  EXPECT_EQ(answer, "ok");
  sqlite3_close(database);
}

TEST_F(HistoryTest, ReadingNeedsAFile) {
  const auto none = open_sqlite(path() + "-not", Access::read);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_FALSE(fs::exists(path() + "-not"));
  ASSERT_TRUE(open_sqlite(path(), Access::read));
}

TEST_F(HistoryTest, ANewerFormIsRefused) {
  close();
  // The form is the big-endian number at byte 60 of the header.
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(63);
  file.put(99);
  file.close();
  const auto refused = open_sqlite(path(), Access::write);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  fs::remove(path());
  open();
}

TEST_F(HistoryTest, WhatIsNoHistoryIsLeftAlone) {
  close();
  std::ofstream(path(), std::ios::trunc) << std::string(8192, 'x');
  const auto refused = open_sqlite(path(), Access::write);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unparsable);
  EXPECT_EQ(fs::file_size(path()), 8192U);
  fs::remove(path());
  open();
}

TEST_F(HistoryTest, ALinkIsNotFollowed) {
  fs::create_symlink(path(), directory_ / "link.db");
  EXPECT_FALSE(open_sqlite((directory_ / "link.db").string(), Access::write));
}

TEST(Body, ComesBackAsItWas) {
  std::vector<Step> steps{in_sync(), out("60"), could_not_tell()};
  steps[1].took = std::chrono::microseconds(1234567);
  auto back = unpack(pack(steps));
  ASSERT_TRUE(back);
  EXPECT_EQ(digest_of(*back), digest_of(steps));
  unpack_times(pack_times(steps), *back);
  EXPECT_EQ((*back)[1].took, steps[1].took);
  EXPECT_EQ(unpack("nonsense"), std::nullopt);
  EXPECT_NE(digest_of({in_sync()}), digest_of({out("60")}));
  EXPECT_EQ(shape_of({in_sync()}), shape_of({out("60")}));
}

TEST_F(HistoryTest, ARunThatHasEndedKnowsWhatItFound) {
  look(0, {in_sync(), out("60")});
  const auto run = history_->run("last");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->hosts, 1U);
  EXPECT_EQ(run->tally.of(Outcome::in_sync), 1U);
  EXPECT_EQ(run->tally.of(Outcome::out_of_sync), 1U);
}

TEST_F(HistoryTest, ARunUnderWayIsAddedUp) {
  const std::int64_t id = begin(0);
  HostRecord record{.host = "web1", .ended = at(0), .steps = {in_sync()}};
  record.tally.add(Outcome::in_sync);
  ASSERT_TRUE(history_->record(id, record));
  const auto run = history_->run("last");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->hosts, 1U);
  EXPECT_EQ(run->tally.of(Outcome::in_sync), 1U);
}

TEST_F(HistoryTest, ASampleIsOfWholeRunsTheNewestAmongThem) {
  for (int i = 0; i < 10; ++i) look(i, {in_sync()});
  const auto few = history_->sample({.limit = 4});
  ASSERT_TRUE(few);
  EXPECT_EQ(few->every, 3U);
  std::vector<Timestamp> when;
  for (const Point& each : few->points) when.push_back(each.ended);
  EXPECT_EQ(when, (std::vector{at(9), at(6), at(3), at(0)}));
  const auto all = history_->sample({.host = "web1", .from = at(4), .limit = 100});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->every, 1U);
  EXPECT_EQ(all->points.size(), 6U);
  EXPECT_TRUE(history_->sample({.host = "nobody", .limit = 100})->points.empty());
}

TEST_F(HistoryTest, FindingsComePageByPage) {
  for (int i = 0; i < 5; ++i) look(i, {out(std::to_string(i))});
  std::vector<std::string> met;
  std::optional<std::int64_t> before;
  for (;;) {
    const auto page = history_->findings({.limit = 2, .before = before});
    ASSERT_TRUE(page);
    for (const Finding& each : *page) met.push_back(each.actual);
    if (page->size() < 2) break;
    before = page->back().id;
  }
  EXPECT_EQ(met, (std::vector<std::string>{"4", "3", "2", "1", "0"}));
}

TEST_F(HistoryTest, FindingsAreAskedForByStateAndItem) {
  look(0, {out("60"), step("motd", "file /etc/motd", Outcome::out_of_sync, {check_equal("mode", "0644", "0600")})});
  look(1, {out("60"), step("motd", "file /etc/motd", Outcome::in_sync, {check_equal("mode", "0644", "0644")})});
  const auto only = [&](const Range& range) {
    const auto found = history_->findings(range);
    EXPECT_TRUE(found);
    return found && found->size() == 1 ? found->front().item : "several, or none";
  };
  EXPECT_EQ(only({.open = true}), "swap");
  EXPECT_EQ(only({.open = false}), "motd");
  EXPECT_EQ(only({.item = "motd"}), "motd");
}

TEST_F(HistoryTest, RunsComePageByPage) {
  for (int i = 0; i < 5; ++i) look(i, {in_sync()});
  for (const std::string& host : {std::string(), std::string("web1")}) {
    const auto first = history_->runs({.host = host, .limit = 3});
    ASSERT_TRUE(first);
    const auto rest = history_->runs({.host = host, .limit = 3, .before = first->back().id});
    ASSERT_TRUE(rest);
    ASSERT_EQ(rest->size(), 2U);
    EXPECT_EQ(rest->front().start.began, at(1));
  }
}

TEST_F(HistoryTest, OneHostOfARun) {
  look(0, {out("60")});
  const auto there = history_->host_of(1, "web1");
  ASSERT_TRUE(there);
  ASSERT_TRUE(*there);
  EXPECT_EQ((*there)->steps.size(), 1U);
  EXPECT_EQ(*history_->host_of(1, "web2"), std::nullopt);
}

TEST_F(HistoryTest, WhatIsDoneTogetherIsUndoneTogether) {
  const Status done = history_->together([&]() -> Status {
    look(0, {out("60")});
    return Error{Errc::io, "no", {}, {}};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "no");
  EXPECT_TRUE(history_->latest()->empty());
  ASSERT_TRUE(history_->together([&] {
    look(0, {out("60")});
    return ok();
  }));
  EXPECT_EQ(history_->latest()->size(), 1U);
}

TEST_F(HistoryTest, ItsStateIsAnotherAfterEachRecord) {
  std::set<std::string> met{*history_->state()};
  look(0, {in_sync()});
  met.insert(*history_->state());
  look(1, {out("60")});
  met.insert(*history_->state());
  ASSERT_TRUE(history_->suspect(open_now().front().id, {{"edit", "somebody was here"}}));
  met.insert(*history_->state());
  EXPECT_EQ(met.size(), 4U);
  EXPECT_TRUE(met.contains(*history_->state()));
}

}  // namespace
}  // namespace converge::history
