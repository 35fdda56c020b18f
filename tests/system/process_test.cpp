#include "system/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "system/os.h"

namespace converge {
namespace {

Result<CommandOutput> run(Command command) { return std::move(run_all({Launch{&command, {}, "/root"}}, 1).front()); }

Command sh(const std::string& script) {
  Command command;
  command.argv = {"sh", "-c", script};
  return command;
}

TEST(Process, GivesOutputAndStatusApart) {
  auto output = run(sh("echo out; echo err >&2; exit 7"));
  ASSERT_TRUE(output) << output.error().text();
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->exit_code, 7);
}

TEST(Process, ASignalIsAStatusAbove128) { EXPECT_EQ(run(sh("kill -9 $$"))->exit_code, 128 + 9); }

TEST(Process, ArgumentsArriveAsTheyAre) {
  Command command;
  command.argv = {"printf", "%s|", "a b", "$HOME", "", "'\"\n"};
  EXPECT_EQ(run(command)->out, "a b|$HOME||'\"\n|");
}

TEST(Process, InheritsNoEnvironment) {
  ::setenv("CONVERGE_TEST_LEAK", "1", 1);
  Command command;
  command.argv = {"env"};
  command.environment = {{"TZ", "UTC"}};
  const auto out = run(command)->out;
  ::unsetenv("CONVERGE_TEST_LEAK");
  EXPECT_EQ(out.find("LEAK"), std::string::npos);
  for (const char* line : {"PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", "LC_ALL=C\n", "HOME=/root\n", "TZ=UTC\n"}) {
    EXPECT_NE(out.find(line), std::string::npos) << line;
  }
}

TEST(Process, InheritsNoDescriptor) {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd leaked(::fcntl(null.get(), F_DUPFD, 77));  // on purpose without close-on-exec
  ASSERT_EQ(leaked.get(), 77);
  EXPECT_EQ(run(sh("echo /proc/$$/fd/7*"))->out.find("/fd/77"), std::string::npos);
}

TEST(Process, StartsInTheRootDirectoryAndItsOwnGroup) {
  EXPECT_EQ(run(sh("pwd"))->out, "/\n");
  EXPECT_EQ(run(sh("read _ _ _ _ group _ < /proc/$$/stat; [ $group = $$ ]"))->exit_code, 0);
}

TEST(Process, FeedsItsInput) {
  Command command;
  command.argv = {"cat"};
  command.input = std::string(1 << 20, 'x');
  auto output = run(command);
  ASSERT_TRUE(output);
  EXPECT_GT(output->out.size(), 300U << 10U);
  command.argv = {"wc", "-c"};
  EXPECT_EQ(run(command)->out, "1048576\n");
}

TEST(Process, AReaderThatStopsEarlyDoesNotKillUs) {
  Command command;
  command.argv = {"true"};
  command.input = std::string(1 << 20, 'x');
  auto output = run(command);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_code, 0);
}

TEST(Process, DrainsBothStreamsTogether) {
  auto output = run(sh("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero"));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out.size(), 300000U);
  EXPECT_EQ(output->err.size(), 300000U);
}

TEST(Process, BoundsWhatItKeeps) {
  auto output = run(sh("printf begin; head -c 3000000 /dev/zero; printf end"));
  ASSERT_TRUE(output);
  EXPECT_LT(output->out.size(), 330U << 10U);
  EXPECT_TRUE(output->out.starts_with("begin"));
  EXPECT_TRUE(output->out.ends_with("end"));
  EXPECT_NE(output->out.find("... 2672328 bytes left out ..."), std::string::npos);
}

TEST(Process, KillsTheWholeGroupAtTheDeadline) {
  char name[] = "/tmp/converge-process-XXXXXX";
  const Fd file(::mkstemp(name));
  Command command = sh(std::string("sleep 1000 & echo $! > ") + name + "; wait");
  command.deadline = std::chrono::milliseconds(200);
  auto output = run(command);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, Errc::timeout);
  pid_t grandchild = 0;
  std::ifstream(name) >> grandchild;
  ::unlink(name);
  ASSERT_GT(grandchild, 0);
  // A killed process is gone a moment later: the kernel says when. Without the kill the wait ends without an answer.
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, grandchild, 0)));
  if (handle.get() < 0) {
    EXPECT_EQ(errno, ESRCH);
    return;
  }
  struct pollfd ended = {handle.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
}

TEST(Process, DoesNotWaitForWhatWasLeftInTheBackground) {
  // Its stdout is inherited by a process that outlives it, as a badly behaved init script's daemon does.
  auto output = run(sh("sleep 1000 & echo $!"));
  ASSERT_TRUE(output);
  const auto left = static_cast<pid_t>(std::atol(output->out.c_str()));
  ASSERT_GT(left, 0);
  EXPECT_EQ(::kill(left, SIGKILL), 0) << "it was to be left alone";
}

TEST(Process, TellsAMissingProgramFromOneThatMayNotRun) {
  Command command;
  command.argv = {"no-such-program-here"};
  auto missing = run(command);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  command.argv = {"/etc/passwd"};
  auto forbidden = run(command);
  ASSERT_FALSE(forbidden);
  EXPECT_EQ(forbidden.error().code, Errc::permission);
  command.argv = {"/no/such/program"};
  EXPECT_EQ(run(command).error().code, Errc::not_found);
}

TEST(Process, RunsAsTheUserAndNobodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can take on a user's rights";
  Command command;
  command.argv = {"id"};
  command.as = Person{"somebody", 1234, 1235, AbsPath("/")};
  Launch launch{&command, {1235, 1236}, "/"};
  auto output = std::move(run_all({launch}, 1).front());
  ASSERT_TRUE(output) << output.error().text();
  EXPECT_EQ(output->out, "uid=1234 gid=1235 groups=1235,1236\n");
  command.argv = {"sh", "-c", "grep -E '^(Uid|Gid)' /proc/$$/status"};
  EXPECT_EQ(run_all({launch}, 1).front()->out, "Uid:\t1234\t1234\t1234\t1234\nGid:\t1235\t1235\t1235\t1235\n");
}

TEST(Process, ManyKeepTheirOrder) {
  std::vector<Command> commands;
  for (int i = 0; i < 20; ++i) commands.push_back(sh("echo " + std::to_string(i)));
  std::vector<Launch> launches;
  for (const auto& command : commands) launches.push_back(Launch{&command, {}, "/"});
  const auto answers = run_all(launches, 8);
  ASSERT_EQ(answers.size(), 20U);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(answers[static_cast<std::size_t>(i)]->out, std::to_string(i) + "\n");
  }
}

TEST(Jobs, NoMoreThanAllowedRunAtOnceAndAllAreAnswered) {
  const Command one = sh("echo one"), two = sh("echo two"), none{.argv = {"/no/such/program"}};
  Jobs jobs(1);
  const auto first = jobs.start({.command = &one}), second = jobs.start({.command = &two}),
             third = jobs.start({.command = &none});
  EXPECT_EQ(jobs.answer(second)->out, "two\n");
  EXPECT_EQ(jobs.answer(first)->out, "one\n");
  EXPECT_EQ(jobs.answer(third).error().code, Errc::not_found);
}

TEST(Jobs, WhatNobodyWaitsForIsEndedWithTheGroupAndLeavesNoZombie) {
  const Command endless = sh("sleep 1000 & echo $!; wait");
  {
    Jobs jobs(2);
    jobs.start({.command = &endless});
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(CommandText, QuotesWhatAShellWould) {
  Command command;
  command.argv = {"git", "-C", "/srv/a b", "it's", ""};
  EXPECT_EQ(command.text(), R"(git -C '/srv/a b' 'it'\''s' '')");
}

}  // namespace
}  // namespace converge
