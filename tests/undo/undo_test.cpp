// Journals as bytes and as files, and what undo makes of them beyond the laws of the modules.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/fake_commands.h"
#include "undo/store.h"
#include "undo/undo.h"

namespace converge::undo {
namespace {

namespace fs = std::filesystem;

struct InMemory : Sink {
  std::string pieces;
  bool broken = false;
  Status add(std::string_view piece) override {
    if (broken) return Error{Errc::no_space, "no space left on device", {}, {}};
    pieces += piece;
    return ok();
  }
};

struct Steps : Observer {
  std::vector<Step> all;
  void begins(const std::string&, const ResourceId&) override {}
  void step(const Step& step) override { all.push_back(step); }
};

constexpr const char* uid = "00112233445566778899aabbccddeeff";
const RunHead head{uid, "web1", "/", "alice", Timestamp{1'790'000'000'000'000}};

class Undo : public testing::Test {
 protected:
  Undo() { journaling_.keep_in(kept_, head); }
  Journal journal() const { return *read_journal(kept_.pieces); }
  Undone put_back(const std::vector<Journal>& later = {}) { return undo(journal(), later, host_, steps_); }
  void expect_refused(const std::string& words) {
    host_.forget_mutations();
    const Undone undone = put_back();
    EXPECT_GE(undone.tally.of(Outcome::failed), 1U);
    EXPECT_TRUE(host_.mutations().empty());
    ASSERT_FALSE(steps_.all.empty());
    ASSERT_TRUE(steps_.all.front().error);
    EXPECT_NE(steps_.all.front().error->message.find(words), std::string::npos) << steps_.all.front().error->message;
  }

  FakeSystem host_ = fake_debian();
  JournalingSystem journaling_{host_};
  InMemory kept_;
  Steps steps_;
  const Person tegwick_{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
};

TEST_F(Undo, APieceThatIsCutOffEndsTheJournal) {
  ASSERT_TRUE(journaling_.make_directory(AbsPath("/opt/a"), Mode{0755}, root_owner));
  const std::size_t whole = kept_.pieces.size();
  ASSERT_TRUE(journaling_.make_directory(AbsPath("/opt/b"), Mode{0755}, root_owner));
  for (std::size_t size = whole; size < kept_.pieces.size(); ++size) {
    const auto read = read_journal(std::string_view(kept_.pieces).substr(0, size));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->subjects.size(), 1U);
    EXPECT_EQ(read->whole, whole);
    EXPECT_FALSE(read->ended);
  }
  EXPECT_EQ(journal().subjects.size(), 2U);
  EXPECT_EQ(journal().head.host, "web1");
  EXPECT_FALSE(read_journal("converge undo 1"));
  EXPECT_FALSE(read_journal(""));
}

TEST_F(Undo, BytesThatGoAfterTheModeDidAreKept) {
  host_.put_file("/etc/motd", "first\n", Mode{0600});
  ASSERT_TRUE(journaling_.set_attributes(AbsPath("/etc/motd"), Mode{0644}, root_owner));
  EXPECT_EQ(kept_.pieces.find("first"), std::string::npos) << "nothing of it is needed yet";
  ASSERT_TRUE(journaling_.write_file(AbsPath("/etc/motd"), "second\n", {.mode = Mode{0640}}));
  EXPECT_EQ(put_back().tally.of(Outcome::changed), 1U);
  EXPECT_EQ(host_.content("/etc/motd"), "first\n");
  EXPECT_EQ(std::get<RegularFile>(host_.state("/etc/motd")).mode, Mode{0600});
}

TEST_F(Undo, AFileInADirectoryOfTheRunsIsNotTheRuns) {
  ASSERT_TRUE(journaling_.make_directory(AbsPath("/opt/a"), Mode{0755}, root_owner));
  host_.put_file("/opt/a/mine", "");
  expect_refused("holds 'mine'");
}

TEST_F(Undo, AModeChangedSinceIsSomebodyElses) {
  ASSERT_TRUE(journaling_.write_file(AbsPath("/etc/new"), "x", {}));
  host_.set_mode("/etc/new", Mode{0666});
  expect_refused("'/etc/new' was changed since by somebody else");
}

TEST_F(Undo, WhatALaterRunChangedIsUndoneWithThatFirst) {
  ASSERT_TRUE(journaling_.write_file(AbsPath("/etc/motd"), "one\n", {}));
  JournalingSystem second(host_);
  InMemory kept;
  RunHead later = head;
  later.uid = "ffff0000ffff0000";
  second.keep_in(kept, later);
  ASSERT_TRUE(second.write_file(AbsPath("/etc/motd"), "two\n", {}));
  put_back({*read_journal(kept.pieces)});
  ASSERT_EQ(steps_.all.size(), 1U);
  EXPECT_EQ(steps_.all.front().error->message, "'/etc/motd' was changed since by run ffff0000");
  EXPECT_EQ(steps_.all.front().error->hint, "undo that one first: converge undo ffff0000");
}

TEST_F(Undo, InAHomeWorksWithItsOwnersRights) {
  const Place config(AbsPath("/home/tegwick/.ssh/config"), tegwick_);
  ASSERT_TRUE(journaling_.write_file(config, "Host a\n", {.mode = Mode{0600}, .owner = {1000, 1000}}));
  host_.forget_mutations();
  put_back();
  EXPECT_EQ(host_.mutations(), std::vector<std::string>{"as tegwick remove /home/tegwick/.ssh/config"});
}

TEST_F(Undo, AUserWhoIsAnotherOneByNowIsRefused) {
  const Place config(AbsPath("/home/tegwick/.ssh/config"), tegwick_);
  ASSERT_TRUE(journaling_.write_file(config, "Host a\n", {.mode = Mode{0600}, .owner = {1000, 1000}}));
  host_.add_user({"tegwick", 1001, 1001, AbsPath("/home/tegwick")});
  expect_refused("'tegwick' is no longer who they were");
}

TEST_F(Undo, WhatWasRootsInAHomeKeepsItsNewOwner) {
  host_.put_file("/home/tegwick/.ssh/known_hosts", "a b c\n", Mode{0644}, root_owner);
  const Place place(AbsPath("/home/tegwick/.ssh/known_hosts"), tegwick_);
  ASSERT_TRUE(journaling_.take_over(place, Mode{0600}, [](std::string_view) { return true; }));
  const Undone undone = put_back();
  EXPECT_EQ(undone.tally.of(Outcome::changed), 1U);
  const auto file = std::get<RegularFile>(host_.state(place.path.str()));
  EXPECT_EQ(file.mode, Mode{0644});
  EXPECT_EQ(file.owner, (Owner{1000, 1000}));
  ASSERT_EQ(undone.left.size(), 2U);
  EXPECT_NE(undone.left.front().find("the owner of"), std::string::npos);
}

TEST_F(Undo, AReplacedSwapFileComesBackAsItWas) {
  host_.put_swap_file("/swapfile", 1_GiB, true, 5);
  const auto before = host_.snapshot();
  ASSERT_TRUE(journaling_.make_swap_file({AbsPath("/swapfile.converge-new"), 2_GiB, ""}));
  ASSERT_TRUE(journaling_.swap_off(AbsPath("/swapfile"), std::chrono::seconds(1)));
  ASSERT_TRUE(journaling_.remove(AbsPath("/swapfile")));
  ASSERT_TRUE(journaling_.rename_new(AbsPath("/swapfile.converge-new"), AbsPath("/swapfile")));
  ASSERT_TRUE(journaling_.swap_on(AbsPath("/swapfile"), std::nullopt));
  put_back();
  EXPECT_TRUE(host_.swap_active("/swapfile"));
  EXPECT_EQ(host_.snapshot(), before);
}

TEST_F(Undo, AServiceGoesBackAndWhatWasNotTouchedOfItStays) {
  host_.units["a.service"] = {{"LoadState", "loaded"}, {"ActiveState", "inactive"}, {"UnitFileState", "disabled"}};
  ASSERT_TRUE(journaling_.run({.argv = {"systemctl", "start", "a.service"}}));
  host_.units["a.service"]["UnitFileState"] = "enabled";  // by somebody, later
  put_back();
  EXPECT_EQ(host_.units["a.service"]["ActiveState"], "inactive");
  EXPECT_EQ(host_.units["a.service"]["UnitFileState"], "enabled");
}

TEST_F(Undo, AReloadIsKeptWhenItIsSetGoing) {
  const Command reload{.argv = {"systemctl", "daemon-reload"}};
  ASSERT_TRUE(journaling_.write_file(AbsPath("/etc/systemd/system/a.service"), "[Service]\n", {}));
  ASSERT_TRUE(journaling_.start(reload));
  host_.forget_mutations();
  EXPECT_EQ(put_back().tally.of(Outcome::failed), 0U);
  EXPECT_EQ(host_.mutations().back(), "run systemctl daemon-reload");
  ASSERT_TRUE(journaling_.finish(reload));
}

TEST_F(Undo, WhatCommandsDidIsSaidNotHidden) {
  ASSERT_TRUE(journaling_.run({.argv = {"touch", "/opt/x"}}));
  ASSERT_TRUE(journaling_.run({.argv = {"systemctl", "restart", "--no-block", "k3s.service"}}));
  const Undone undone = put_back();
  EXPECT_EQ(undone.left[0], "what 'touch /opt/x' did: nobody knows it");
  EXPECT_EQ(undone.left[1].substr(0, 31), "k3s.service was told to restart");
  EXPECT_EQ(undone.left[2], "what the run did last, if that is not on record: it was cut off");
}

TEST_F(Undo, AJournalThatCannotBeWrittenKeepsNobodyFromChanging) {
  kept_.broken = true;
  EXPECT_TRUE(journaling_.write_file(AbsPath("/etc/motd"), "x", {}));
  EXPECT_TRUE(journaling_.write_file(AbsPath("/etc/issue"), "x", {}));
  ASSERT_TRUE(journaling_.problem());
  EXPECT_EQ(journaling_.problem()->code, Errc::no_space);
  EXPECT_EQ(host_.content("/etc/issue"), "x");
}

class Stores : public testing::Test {
 protected:
  Stores() {
    std::string name = (fs::temp_directory_path() / "converge-undo-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    here_ = name;
  }
  ~Stores() override { fs::remove_all(here_); }
  std::string directory() const { return (here_ / "lib" / "undo").string(); }
  static unsigned mode(const fs::path& path) {
    struct stat st = {};
    return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777U : 0;
  }
  void keep(const std::string& name, std::int64_t began) {
    JournalFile file(directory(), name);
    RunHead its = head;
    its.uid = name;
    its.began = Timestamp{began};
    ASSERT_TRUE(file.add(encode(its)));
    ASSERT_TRUE(file.finish(Timestamp{began + 1}));
  }
  fs::path here_;
};

TEST_F(Stores, OnlyTheirOwnerMayEnter) {
  keep(uid, 5);
  EXPECT_EQ(mode(directory()), 0700U);
  EXPECT_EQ(mode(directory() + "/" + uid), 0600U);
}

TEST_F(Stores, ARunThatKeepsNothingMakesNothing) {
  JournalFile file(directory(), uid);
  EXPECT_TRUE(file.finish(Timestamp{1}));
  EXPECT_FALSE(fs::exists(here_ / "lib"));
}

TEST_F(Stores, TheNewestFirstAndNoMoreThanTwenty) {
  for (int i = 0; i < 23; ++i) {
    const std::string name = "abcdef00" + std::to_string(100 + i);
    keep(name, i);
    fs::last_write_time(directory() + "/" + name, fs::file_time_type::clock::now() - std::chrono::minutes(100 - i));
  }
  keep("abcdef00999", 999);
  const auto all = journals_in(directory());
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 20U);
  EXPECT_EQ(all->front().journal.head.uid, "abcdef00999");
}

TEST_F(Stores, AnUndoneRunIsMarkedBehindWhatIsWhole) {
  keep(uid, 5);
  std::ofstream(directory() + "/" + uid, std::ios::app) << "17:torn";
  auto all = journals_in(directory());
  ASSERT_TRUE(all && all->size() == 1);
  ASSERT_TRUE(mark_undone(all->front(), "fedcba9876543210"));
  all = journals_in(directory());
  EXPECT_EQ(all->front().journal.undone_by, "fedcba9876543210");
}

TEST_F(Stores, ANameThatLeadsElsewhereIsNone) {
  EXPECT_EQ(JournalFile(directory(), "../../etc").add("x").error().code, Errc::invalid);
}

}  // namespace
}  // namespace converge::undo
