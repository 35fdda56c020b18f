#include "remote/deadline.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "system/posix_system.h"

namespace converge::remote {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class Recorder final : public Observer {
 public:
  void begins(const std::string& /*item*/, const ResourceId& /*id*/) override {}
  void step(const Step& step) override {
    text += (text.empty() ? "" : "; ") + step.id + " " + std::string(name_of(step.outcome));
    if (step.error) text += ": " + step.error->message;
  }
  std::string text;
};

/// Three files, one of them in an item that is left out.
std::vector<Work> three() {
  std::vector<Work> work(2);
  for (Work& each : work) each.spec = each.item = each.module = "file";
  for (const char* path : {"/a", "/b"})
    work[0].rendered.chain.push_back({File{.place = AbsPath(path), .content = std::string("x")}, {}});
  work[1].skipped = "when: false";
  return work;
}

TimeLimit soon(milliseconds time = milliseconds(300)) { return {std::chrono::steady_clock::now() + time, "300ms"}; }

Step seen(const char* id) {
  Step step;
  step.id = id;
  step.outcome = Outcome::in_sync;
  return step;
}

constexpr auto never_stop = [] { return false; };
constexpr auto for_ever = [] {
  for (;;) ::pause();
};

TEST(ADeadline, IsNotFeltByALookThatEndsBeforeIt) {
  Recorder recorder;
  const Tally tally = look_until(soon(std::chrono::hours(1)), Verb::verify, three(), recorder, never_stop,
                                 [](Observer& observer, const RunOptions&) {
                                   Tally out;
                                   for (const char* id : {"file:/a", "file:/b", "file"}) {
                                     observer.step(seen(id));
                                     out.add(Outcome::in_sync);
                                   }
                                   return out;
                                 });
  EXPECT_EQ(recorder.text, "file:/a in sync; file:/b in sync; file in sync");
  EXPECT_EQ(tally.of(Outcome::in_sync), 3U);
}

TEST(ADeadline, LeavesUnknownWhatHasNotEndedByIt) {
  Recorder recorder;
  const Tally tally =
      look_until(soon(), Verb::verify, three(), recorder, never_stop, [](Observer& observer, const RunOptions&) {
        observer.step(seen("file:/a"));
        for_ever();
        return Tally();
      });
  EXPECT_EQ(recorder.text,
            "file:/a in sync; file:/b unknown: looking at it had not ended by the deadline of 300ms; "
            "file unknown: it was not looked at before the deadline of 300ms");
  EXPECT_EQ(tally.of(Outcome::unknown), 2U);
  EXPECT_EQ(exit_code(Verb::verify, tally), 4);
}

/// True once the process is no more, or waits to be collected by its parent.
bool has_ended(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return true;
  return stat.substr(stat.rfind(')') + 2, 1) == "Z";
}

TEST(ADeadline, EndsWhatWasStartedWithItsGroup) {
  std::string name = (fs::temp_directory_path() / "converge-deadline-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path place = name;
  Recorder recorder;
  (void)look_until(soon(milliseconds(1500)), Verb::verify, three(), recorder, never_stop,
                   [&](Observer&, const RunOptions&) {
                     const auto system = open_system(AbsPath("/"));
                     // A shell that waits for a child of its own, in the group that the command has.
                     (void)(*system)->query({.argv = {"sh", "-c", "sleep 1000 & echo $$ $! >" + name + "/pids; wait"},
                                             .deadline = std::chrono::hours(1)});
                     return Tally();
                   });
  std::ifstream file(place / "pids");
  std::string shell, sleep;
  file >> shell >> sleep;
  ASSERT_FALSE(sleep.empty());
  for (int tries = 0; tries < 1000 && !(has_ended(shell) && has_ended(sleep)); ++tries) (void)::poll(nullptr, 0, 10);
  EXPECT_TRUE(has_ended(shell));
  EXPECT_TRUE(has_ended(sleep));
  fs::remove_all(place);
}

TEST(ADeadline, HoldsForWhatTheKernelDoesNotAnswer) {
  // A file system that nobody serves, seen by this process alone.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    GTEST_SKIP() << "this process may not mount";
  std::string name = (fs::temp_directory_path() / "converge-deadline-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const int fuse = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options = "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
  if (fuse < 0 || ::mount("nobody", name.c_str(), "fuse", 0, options.c_str()) != 0) {
    ::rmdir(name.c_str());
    GTEST_SKIP() << "there is no FUSE here";
  }
  Recorder recorder;
  const Tally tally =
      look_until(soon(), Verb::verify, three(), recorder, never_stop, [&](Observer&, const RunOptions&) {
        struct stat status = {};
        (void)::stat((name + "/x").c_str(), &status);
        return Tally();
      });
  EXPECT_EQ(tally.of(Outcome::unknown), 3U) << recorder.text;
  ::close(fuse);
  ::umount2(name.c_str(), MNT_DETACH);
  ::rmdir(name.c_str());
}

TEST(ADeadline, TellsOfTheDeathOfWhatLooks) {
  Recorder recorder;
  (void)look_until(soon(std::chrono::hours(1)), Verb::verify, three(), recorder, never_stop,
                   [](Observer& observer, const RunOptions&) {
                     observer.step(seen("file:/a"));
                     ::_exit(9);
                     return Tally();
                   });
  EXPECT_EQ(recorder.text,
            "file:/a in sync; file:/b unknown: the process that looked at it has died; "
            "file unknown: the process that was to look at it has died");
}

TEST(ADeadline, HandsOnThatItIsToStop) {
  Recorder recorder;
  const Tally tally = look_until(
      soon(std::chrono::hours(1)), Verb::verify, three(), recorder, [] { return true; },
      [](Observer&, const RunOptions& options) {
        while (!options.stop()) (void)::poll(nullptr, 0, 1);
        Tally out;
        out.interrupted = true;
        return out;
      });
  EXPECT_TRUE(tally.interrupted);
}

}  // namespace
}  // namespace converge::remote
