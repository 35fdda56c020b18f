// The agent's end of the line, over pipes: controllers that do not read, fall silent, hang up, and say garbage.
#include "remote/agent_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace converge::remote {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view hello = "CONVERGE1 nonce agent\n";
constexpr AgentChannel::Times prompt{.alive = milliseconds(10), .silence = seconds(60), .moment = milliseconds(5)};

Deadline soon() { return Clock::now() + seconds(10); }

/// A controller: the other ends of the agent's two pipes.
class AgentChannelTest : public testing::Test {
 protected:
  AgentChannelTest() {
    std::array<int, 2> to{}, from{};
    if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) std::abort();
    agent_in_ = to[0];
    say_ = to[1];
    hear_ = from[0];
    agent_out_ = from[1];
  }
  ~AgentChannelTest() override {
    hang_up();
    stop_hearing();
    (void)std::signal(SIGPIPE, pipe_signal_);
  }

  /// To be called once: the channel takes the agent's ends.
  std::unique_ptr<AgentChannel> channel(AgentChannel::Times times = prompt) const {
    return std::make_unique<AgentChannel>(agent_in_, agent_out_, std::string(hello), times);
  }

  void say_bytes(std::string_view bytes) const {
    ASSERT_EQ(write(say_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void say(const FromController& message) const { say_bytes(frame(encode(message))); }
  void hang_up() { shut(say_); }
  void stop_hearing() { shut(hear_); }

  /// The next message, alive too; nullopt when none comes, with a failure unless the line has ended.
  std::optional<FromAgent> hear_any() {
    while (true) {
      if (greeted_) {
        auto payload = reader_.next();
        if (!payload) {
          ADD_FAILURE() << payload.error().text();
          return std::nullopt;
        }
        if (*payload) {
          auto message = decode_from_agent(**payload);
          if (!message) {
            ADD_FAILURE() << message.error().text();
            return std::nullopt;
          }
          return std::move(*message);
        }
      }
      pollfd ready{hear_, POLLIN, 0};
      if (poll(&ready, 1, 10'000) != 1) {
        ADD_FAILURE() << "the agent says nothing";
        return std::nullopt;
      }
      std::array<char, 65536> buffer{};
      const ssize_t got = read(hear_, buffer.data(), greeted_ ? buffer.size() : hello.size());
      if (got <= 0) return std::nullopt;
      heard_bytes_ += static_cast<std::size_t>(got);
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      if (greeted_) {
        reader_.add(bytes);
      } else {
        EXPECT_EQ(bytes, hello);
        greeted_ = true;
      }
    }
  }
  /// The next that is not alive.
  std::optional<FromAgent> hear() {
    for (const auto until = soon(); Clock::now() < until;) {
      auto message = hear_any();
      if (!message || !std::holds_alternative<Alive>(*message)) return message;
    }
    ADD_FAILURE() << "the agent says nothing but that it lives";
    return std::nullopt;
  }
  template <class Message>
  std::optional<Message> hear_a() {
    auto message = hear();
    if (!message) return std::nullopt;
    if (auto* found = std::get_if<Message>(&*message)) return std::move(*found);
    ADD_FAILURE() << "something else was said: " << encode(*message).substr(0, 200);
    return std::nullopt;
  }

  std::size_t heard_bytes_ = 0;

 private:
  static void shut(int& fd) {
    if (fd >= 0) (void)close(std::exchange(fd, -1));
  }

  void (*pipe_signal_)(int) = std::signal(SIGPIPE, SIG_IGN);  // as the agent has it
  int agent_in_ = -1, agent_out_ = -1, say_ = -1, hear_ = -1;
  bool greeted_ = false;
  FrameReader reader_{from_agent_limit};
};

Step step_of(int number, std::size_t diff, std::size_t note) {
  Step step;
  step.id = std::to_string(number);
  step.outcome = Outcome::changed;
  step.diff.assign(diff, 'd');
  step.note.assign(note, 'n');
  return step;
}

TEST_F(AgentChannelTest, SaysWhatIsSentInOrder) {
  const auto agent = channel();
  for (int i = 0; i < 1000; ++i) agent->send(step_of(i, 10, 10));
  agent->send(End{});
  for (int i = 0; i < 1000; ++i) {
    const auto step = hear_a<Step>();
    ASSERT_TRUE(step);
    ASSERT_EQ(step->id, std::to_string(i));
  }
  EXPECT_TRUE(hear_a<End>());
}

TEST_F(AgentChannelTest, SaysThatItLivesAndWhatTakesLong) {
  const auto agent = channel();
  for (int i = 0; i < 3; ++i) {
    const auto message = hear_any();
    ASSERT_TRUE(message);
    EXPECT_TRUE(std::holds_alternative<Alive>(*message));
  }
  agent->doing("a swap file");
  const auto doing = hear_a<Doing>();
  ASSERT_TRUE(doing);
  EXPECT_EQ(doing->what, "a swap file");
}

TEST_F(AgentChannelTest, AReaderThatNeverReadsCostsABoundedQueueAndHearsTheEndWhenItReadsAgain) {
  const auto agent = channel();
  constexpr std::size_t part = 256U << 10U;  // of the note; the diff is as long
  constexpr int sent = 120;
  for (int i = 0; i < sent; ++i) agent->send(step_of(i, part, part));
  Tally tally;
  tally.counts[0] = sent;
  agent->send(End{tally});

  std::vector<Step> steps;
  std::optional<End> end;
  while (auto message = hear()) {
    if (auto* step = std::get_if<Step>(&*message)) steps.push_back(std::move(*step));
    if (const auto* last = std::get_if<End>(&*message)) end = *last;
    if (end) break;
  }
  ASSERT_TRUE(end);
  EXPECT_EQ(end->tally.counts[0], sent);
  EXPECT_LT(heard_bytes_, 18U << 20U);
  std::size_t whole = 0, lean = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].id, std::to_string(i));
    EXPECT_EQ(steps[i].note.size(), part);
    if (steps[i].diff.size() == part) {
      EXPECT_EQ(lean, 0U) << "a diff came after one that was left out";
      ++whole;
    } else {
      EXPECT_EQ(steps[i].diff, "(left out: the controller reads too slowly)\n");
      ++lean;
    }
  }
  EXPECT_NEAR(static_cast<double>(whole), 17, 2);  // 8 MiB of both
  EXPECT_NEAR(static_cast<double>(lean), 32, 3);   // 8 MiB more without their diffs

  agent->send(step_of(sent, part, 0));  // what has been fetched counts no more
  const auto later = hear_a<Step>();
  ASSERT_TRUE(later);
  EXPECT_EQ(later->diff.size(), part);
}

TEST_F(AgentChannelTest, GoesAwayWithoutWaitingForAReader) {
  auto agent = channel();
  for (int i = 0; i < 20; ++i) agent->send(step_of(i, 0, 256U << 10U));
  const auto before = Clock::now();
  agent.reset();
  EXPECT_LT(Clock::now() - before, seconds(10));
}

TEST_F(AgentChannelTest, WhatIsTooLargeForAMessageIsCutAndSaid) {
  const auto agent = channel();
  agent->send(step_of(1, 2U << 20U, 10));
  agent->send(step_of(2, 2U << 20U, 2U << 20U));
  agent->send(Refused{Refused::Why::input, std::nullopt,
                      std::vector<Refused::Mistake>(5000, {"x", 1, 1, std::string(5000, 'm'), {}})});
  const auto diff = hear_a<Step>(), note = hear_a<Step>();
  ASSERT_TRUE(diff && note);
  EXPECT_EQ(diff->diff, "(left out: it is too large)\n");
  EXPECT_EQ(diff->note, "nnnnnnnnnn");
  EXPECT_TRUE(note->note.ends_with("n (cut: it is too long)"));
  const auto refused = hear_a<Refused>();
  ASSERT_TRUE(refused);
  EXPECT_GE(refused->mistakes.size(), 100U);
  EXPECT_TRUE(refused->mistakes.front().message.ends_with("m (cut: it is too long)"));
}

TEST_F(AgentChannelTest, AControllerThatFallsSilentIsLost) {
  const auto agent = channel({.alive = milliseconds(10), .silence = milliseconds(50), .moment = milliseconds(10)});
  EXPECT_FALSE(agent->finish(soon()));
  ASSERT_TRUE(agent->lost());
  EXPECT_TRUE(agent->stop_requested());
  Sources sources;
  EXPECT_FALSE(agent->receive(sources));
}

TEST_F(AgentChannelTest, AControllerThatSaysNoMoreThanAliveIsNotLost) {
  const auto agent = channel({.alive = milliseconds(10), .silence = milliseconds(400), .moment = milliseconds(5)});
  const auto until = Clock::now() + milliseconds(900);
  while (Clock::now() < until) {
    ASSERT_TRUE(hear_any());
    say(Alive{});
  }
  EXPECT_FALSE(agent->lost());
  EXPECT_FALSE(agent->stop_requested());
}

TEST_F(AgentChannelTest, AHangUpIsAStopAfterWhatWasSaidBefore) {
  const auto agent = channel();
  say(RunOrder{.run = "r"});
  hang_up();
  EXPECT_FALSE(agent->finish(soon()));
  ASSERT_TRUE(agent->lost());
  EXPECT_TRUE(agent->stop_requested());
  Sources sources;
  const auto order = agent->receive(sources);
  ASSERT_TRUE(order);
  ASSERT_TRUE(std::holds_alternative<RunOrder>(*order));
  EXPECT_EQ(std::get<RunOrder>(*order).run, "r");
  EXPECT_FALSE(agent->receive(sources));
}

TEST_F(AgentChannelTest, AControllerThatWillHearNothingMoreIsLost) {
  const auto agent = channel();
  stop_hearing();
  agent->send(End{});
  EXPECT_FALSE(agent->finish(soon()));
  EXPECT_TRUE(agent->lost());
}

TEST_F(AgentChannelTest, StopIsToldAndTheStepInHandIsStillToldWhole) {
  const auto agent = channel();
  EXPECT_FALSE(agent->stop_requested());
  say(Stop{});
  const auto doing = hear_a<Doing>();
  ASSERT_TRUE(doing);
  EXPECT_EQ(doing->what, stopping);
  EXPECT_TRUE(agent->stop_requested());
  EXPECT_FALSE(agent->lost());
  agent->send(step_of(7, 100, 0));
  agent->send(End{});
  const auto step = hear_a<Step>();
  ASSERT_TRUE(step);
  EXPECT_EQ(step->id, "7");
  EXPECT_EQ(step->diff.size(), 100U);
  EXPECT_TRUE(hear_a<End>());
}

TEST_F(AgentChannelTest, ByeEndsWellEvenIfTheLineDiesAfterIt) {
  const auto agent = channel();
  say(Bye{});
  ASSERT_TRUE(agent->finish(soon()));
  EXPECT_FALSE(agent->lost());
  Sources sources;
  const auto message = agent->receive(sources);
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::holds_alternative<Bye>(*message));
  hang_up();
  for (const auto until = soon(); !agent->lost() && Clock::now() < until;) std::this_thread::yield();
  EXPECT_TRUE(agent->lost());
  EXPECT_TRUE(agent->finish(soon()));
}

TEST_F(AgentChannelTest, WithoutByeItWaitsNoLongerThanItIsTold) {
  const auto agent = channel();
  EXPECT_FALSE(agent->finish(Clock::now() + milliseconds(20)));
  EXPECT_FALSE(agent->lost());
}

TEST_F(AgentChannelTest, ALengthThatNoMessageHasIsTheEndOfTheLine) {
  const auto agent = channel();
  say_bytes("\xff\xff\xff\xff");
  EXPECT_FALSE(agent->finish(soon()));
  EXPECT_TRUE(agent->lost());
  EXPECT_TRUE(agent->stop_requested());
}

TEST_F(AgentChannelTest, WhatCannotBeUnderstoodIsNoMessage) {
  const auto agent = channel();
  say_bytes(frame("{\"type\": \"dance\"}"));
  Sources sources;
  EXPECT_FALSE(agent->receive(sources));
}

TEST_F(AgentChannelTest, AMessageInPiecesIsHeardWhenItIsWhole) {
  const auto agent = channel();
  const std::string order = frame(encode(FromController(RunOrder{.run = "r"}))),
                    stop = frame(encode(FromController(Stop{})));
  for (const char c : order + stop) say_bytes({&c, 1});
  Sources sources;
  const auto message = agent->receive(sources);
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::holds_alternative<RunOrder>(*message));
  const auto doing = hear_a<Doing>();
  ASSERT_TRUE(doing);
  EXPECT_EQ(doing->what, stopping);
}

}  // namespace
}  // namespace converge::remote
