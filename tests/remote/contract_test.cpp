// What every transport promises, over SSH and over pipes.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "remote/ssh_transport.h"
#include "tests/support/pipe_transport.h"
#include "tests/support/ssh_server.h"

namespace converge::remote {
namespace {

Deadline in_seconds(int seconds) { return Clock::now() + std::chrono::seconds(seconds); }

struct Said {
  std::string out, err;
  Ending ending;
  std::string error;
};

Said listen(Process& process) {
  Said said;
  for (;;) {
    auto chunk = process.read(in_seconds(20));
    if (!chunk) {
      said.error = chunk.error().text();
      return said;
    }
    if (chunk->from == Chunk::From::end) break;
    EXPECT_FALSE(chunk->bytes.empty());
    EXPECT_LE(chunk->bytes.size(), 65536U);
    (chunk->from == Chunk::From::out ? said.out : said.err) += chunk->bytes;
  }
  said.ending = process.ending();
  return said;
}

class TransportContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    target_.host = "node";
    if (GetParam() == "pipe") {
      transport_ = pipe_transport([this](const Target&) { return folder_.path("."); });
    } else {
      if (const std::string why = SshServer::unavailable(); !why.empty()) GTEST_SKIP() << why;
      const std::string key = make_key(folder_.path("key"));
      server_ = std::make_unique<SshServer>(folder_, "node", key);
      SshSettings settings;
      settings.config = folder_.write("config", "IdentityAgent none\nUserKnownHostsFile " +
                                                    folder_.write("known_hosts", server_->host_line()) + "\n");
      transport_ = ssh_transport(settings);
      target_.address = "127.0.0.1";
      target_.port = server_->port();
      target_.identity_files = {key};
    }
    auto connected = transport_->connect(target_, in_seconds(20), {});
    ASSERT_TRUE(connected) << connected.error().text() << (server_ ? server_->log() : "");
    connection_ = std::move(*connected);
  }

  std::unique_ptr<Process> run(const std::string& command) {
    auto process = connection_->run(command, in_seconds(20));
    EXPECT_TRUE(process) << process.error().text();
    return process ? std::move(*process) : nullptr;
  }

  Folder folder_;
  std::unique_ptr<SshServer> server_;
  std::unique_ptr<Transport> transport_;
  Target target_;
  std::unique_ptr<Connection> connection_;
};

TEST_P(TransportContract, KeepsOutputAndErrorsApart) {
  auto process = run("echo to out; echo to err >&2; exit 3");
  const Said said = listen(*process);
  EXPECT_EQ(said.out, "to out\n");
  EXPECT_EQ(said.err, "to err\n");
  EXPECT_EQ(said.ending.code, 3);
  EXPECT_EQ(said.ending.signal, "");
}

TEST_P(TransportContract, TellsTheEndAgain) {
  auto process = run("true");
  EXPECT_EQ(process->ending().code, std::nullopt);
  listen(*process);
  auto again = process->read(in_seconds(20));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->from, Chunk::From::end);
  EXPECT_EQ(process->ending().code, 0);
}

TEST_P(TransportContract, NamesTheSignal) {
  auto process = run("exec sh -c 'kill -KILL $$'");
  const Said said = listen(*process);
  EXPECT_EQ(said.ending.code, std::nullopt);
  EXPECT_EQ(said.ending.signal, "KILL");
}

TEST_P(TransportContract, PassesInputUntilItIsClosed) {
  auto process = run("cat; echo done");
  ASSERT_TRUE(process->write("one\n", in_seconds(20)));
  auto first = process->read(in_seconds(20));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes, "one\n");
  ASSERT_TRUE(process->write(std::string_view("\0two", 4), in_seconds(20)));
  ASSERT_TRUE(process->close_input());
  EXPECT_EQ(listen(*process).out, std::string("\0two", 4) + "done\n");
}

TEST_P(TransportContract, WritesTenMegabytesWhileTheOtherSideSpeaks) {
  auto process = run("echo hello; dd bs=65536 count=20 iflag=fullblock 2>/dev/null | wc -c; echo half way >&2; wc -c");
  ASSERT_TRUE(process->write(std::string(10U << 20U, 'x'), in_seconds(60)));
  ASSERT_TRUE(process->close_input());
  const Said said = listen(*process);
  EXPECT_EQ(said.out, "hello\n1310720\n9175040\n");
  EXPECT_EQ(said.err, "half way\n");
  EXPECT_GE(connection_->traffic().sent, 10U << 20U);
}

TEST_P(TransportContract, ReadsTenMegabytes) {
  auto process = run("head -c 10485760 /dev/zero");
  const Said said = listen(*process);
  EXPECT_EQ(said.error, "");
  EXPECT_EQ(said.out.size(), 10U << 20U);
  EXPECT_TRUE(said.out == std::string(10U << 20U, '\0'));
  EXPECT_EQ(said.ending.code, 0);
  EXPECT_GE(connection_->traffic().received, 10U << 20U);
}

TEST_P(TransportContract, LosesNothingToADeadline) {
  auto process = run("read line; echo got $line");
  auto nothing = process->read(Clock::now() + std::chrono::milliseconds(30));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Errc::timeout);
  ASSERT_TRUE(process->write("it\n", in_seconds(20)));
  EXPECT_EQ(listen(*process).out, "got it\n");
}

TEST_P(TransportContract, ARefusedWriteEndsInTime) {
  auto process = run("exec sleep 100");
  auto done = process->write(std::string(8U << 20U, 'x'), Clock::now() + std::chrono::milliseconds(200));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::timeout);
}

TEST_P(TransportContract, AWriteToAProgramThatIsGoneFails) {
  auto process = run("true");
  listen(*process);
  auto done = process->write(std::string(4U << 20U, 'x'), in_seconds(20));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::io);
}

TEST_P(TransportContract, RunsOneProgramAfterAnotherAndTwoAtOnce) {
  auto first = run("cat");
  auto second = run("echo second");
  EXPECT_EQ(listen(*second).out, "second\n");
  ASSERT_TRUE(first->write("first", in_seconds(20)));
  ASSERT_TRUE(first->close_input());
  EXPECT_EQ(listen(*first).out, "first");
  first.reset();
  EXPECT_EQ(listen(*run("echo third")).out, "third\n");
}

TEST_P(TransportContract, GivesUpWhenItIsCancelled) {
  auto connected = transport_->connect(target_, in_seconds(20), [] { return true; });
  ASSERT_FALSE(connected);
  EXPECT_NE(connected.error().message.find("cancelled"), std::string::npos) << connected.error().message;
}

INSTANTIATE_TEST_SUITE_P(Transports, TransportContract, testing::Values("pipe", "ssh"),
                         [](const auto& of) { return of.param; });

}  // namespace
}  // namespace converge::remote
