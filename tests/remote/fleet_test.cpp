// Which host when, and on whose thread it is heard: with work that is a function of the test's.
#include "remote/fleet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <latch>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

namespace converge::remote {
namespace {

HostEnd good() {
  HostEnd end;
  end.tally = Tally{};
  return end;
}

bool never() { return false; }

/// A run whose hosts fail if they are in `bad`; what was begun and ended, in order.
struct Ran {
  std::vector<std::size_t> begun, ended, left;
};
Ran ran(std::size_t hosts, const FleetOptions& options, const std::set<std::size_t>& bad,
        const Interrupted& interrupted = never) {
  Ran out;
  std::mutex mutex;
  out.left = run_fleet(
      hosts, options,
      [&](std::size_t host, const Tell&) {
        const std::lock_guard lock(mutex);
        out.begun.push_back(host);
        return good();
      },
      [](std::size_t, const News&) {},
      [&](std::size_t host, const HostEnd&) {
        out.ended.push_back(host);
        return !bad.contains(host);
      },
      interrupted);
  return out;
}

std::vector<std::size_t> numbers(std::size_t from, std::size_t to) {
  std::vector<std::size_t> out(to - from);
  std::iota(out.begin(), out.end(), from);
  return out;
}

TEST(RunFleet, HostsThatSayMuchWaitForTheListener) {
  std::atomic<int> told = 0;
  int heard = 0, most_ahead = 0;
  run_fleet(
      2, {.parallel = 2},
      [&](std::size_t, const Tell& tell) {
        for (int i = 0; i < 100; ++i) {
          tell(Step{.diff = std::string(std::size_t{1} << 20U, 'x')});
          ++told;
        }
        return good();
      },
      [&](std::size_t, const News&) {
        // Nobody is heard until the hosts have been still for a while.
        for (int still = 0, before = told; still < 1000; ++still, before = told) {
          std::this_thread::yield();
          if (told != before) still = 0;
        }
        most_ahead = std::max(most_ahead, told - heard++);
      },
      [](std::size_t, const HostEnd&) { return true; }, never);
  EXPECT_EQ(heard, 200);
  EXPECT_LE(most_ahead, 16 + 2);
}

TEST(Share, IsANumberOrAPercentage) {
  EXPECT_EQ(Share::parse("5")->of(100), 5U);
  EXPECT_EQ(Share::parse("0")->of(100), 0U);
  EXPECT_EQ(Share::parse("30%")->of(10), 3U);
  EXPECT_EQ(Share::parse("30%")->of(9), 2U);  // rounded down
  EXPECT_EQ(Share::parse("100%")->of(7), 7U);
  EXPECT_EQ(Share::parse("0%")->of(7), 0U);
  for (const char* text :
       {"", "%", "-1", "+1", "1.5", "101%", "5 ", " 5", "5%%", "abc", "99999999999999999999", "0x5"}) {
    const auto share = Share::parse(text);
    EXPECT_FALSE(share) << text;
    if (!share) {
      EXPECT_EQ(share.error().code, Errc::invalid);
    }
  }
}

TEST(Fleet, OneAtATimeGoesInOrder) {
  const Ran all = ran(20, {.parallel = 1}, {});
  EXPECT_EQ(all.begun, numbers(0, 20));
  EXPECT_EQ(all.ended, numbers(0, 20));
  EXPECT_TRUE(all.left.empty());
}

TEST(Fleet, NoHostsAreNoRun) {
  const Ran none = ran(0, {}, {});
  EXPECT_TRUE(none.begun.empty());
  EXPECT_TRUE(none.left.empty());
}

TEST(Fleet, AsManyAsAllowedAreAtWorkAndNeverMore) {
  constexpr std::size_t parallel = 8, hosts = 64;
  std::atomic<std::size_t> working{0}, most{0};
  std::barrier together(parallel);  // only reached if eight are at work
  const auto left = run_fleet(
      hosts, {.parallel = parallel},
      [&](std::size_t, const Tell&) {
        const std::size_t now = ++working;
        for (std::size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        together.arrive_and_wait();
        --working;
        together.arrive_and_wait();
        return good();
      },
      [](std::size_t, const News&) {}, [](std::size_t, const HostEnd&) { return true; }, never);
  EXPECT_TRUE(left.empty());
  EXPECT_EQ(most, parallel);
}

TEST(Fleet, MoreAtATimeThanHostsIsFine) {
  Ran all = ran(3, {.parallel = 1000}, {});
  std::sort(all.begun.begin(), all.begun.end());
  EXPECT_EQ(all.begun, numbers(0, 3));
  EXPECT_EQ(ran(3, {.parallel = 0}, {}).ended.size(), 3U);
}

TEST(Fleet, ABatchBeginsWhenTheOneBeforeIsDone) {
  std::mutex mutex;
  std::set<std::size_t> done;
  std::size_t early = 0;
  run_fleet(
      10, {.parallel = 10, .serial = Share{4, false}},
      [&](std::size_t host, const Tell&) {
        const std::lock_guard lock(mutex);
        for (std::size_t before = 0; before < host / 4 * 4; ++before) early += done.contains(before) ? 0 : 1;
        done.insert(host);
        return good();
      },
      [](std::size_t, const News&) {}, [](std::size_t, const HostEnd&) { return true; }, never);
  EXPECT_EQ(early, 0U);
  EXPECT_EQ(done.size(), 10U);
}

TEST(Fleet, ABatchHasAtLeastOneHost) {
  EXPECT_EQ(ran(5, {.parallel = 1, .serial = Share{10, true}}, {}).begun, numbers(0, 5));
  EXPECT_EQ(ran(5, {.parallel = 1, .serial = Share{0, false}}, {}).begun, numbers(0, 5));
}

TEST(Fleet, MoreFailuresThanAllowedBeginNoMoreHosts) {
  // Two may fail: the third failure ends it. A host may have been begun by then; none after that.
  const Ran some = ran(20, {.parallel = 1, .serial = Share{10, false}, .max_fail = Share{2, false}}, {1, 3, 5});
  EXPECT_GE(some.begun.size(), 6U);
  EXPECT_LE(some.begun.size(), 10U);  // not the second batch
  EXPECT_EQ(some.left, numbers(some.begun.size(), 20));
  EXPECT_EQ(some.ended, some.begun);
}

TEST(Fleet, AsManyFailuresAsAllowedStopNothing) {
  EXPECT_EQ(ran(20, {.parallel = 1, .max_fail = Share{3, false}}, {1, 3, 5}).begun.size(), 20U);
  EXPECT_EQ(ran(20, {.parallel = 1}, {1, 3, 5, 7, 9}).begun.size(), 20U);
}

TEST(Fleet, FailuresAreCountedForEachBatch) {
  const FleetOptions options{.parallel = 1, .serial = Share{5, false}, .max_fail = Share{20, true}};  // one of five
  EXPECT_EQ(ran(20, options, {0, 5, 10, 15}).begun.size(), 20U);
  const Ran two = ran(20, options, {5, 9});
  EXPECT_EQ(two.begun, numbers(0, 10));
  EXPECT_EQ(two.left, numbers(10, 20));
}

TEST(Fleet, NoneMayFail) {
  const Ran none = ran(20, {.parallel = 1, .serial = Share{1, false}, .max_fail = Share{0, false}}, {2});
  EXPECT_EQ(none.begun, numbers(0, 3));
  EXPECT_EQ(none.left, numbers(3, 20));
}

TEST(Fleet, AnInterruptBeginsNoMoreHostsAndEndsThoseAtWork) {
  std::atomic<bool> interrupt{false};
  std::vector<std::size_t> ended;
  const auto left = run_fleet(
      100, {.parallel = 4},
      [&](std::size_t host, const Tell&) {
        if (host == 10) interrupt = true;
        return good();
      },
      [](std::size_t, const News&) {},
      [&](std::size_t host, const HostEnd&) {
        ended.push_back(host);
        return true;
      },
      [&] { return interrupt.load(); });
  EXPECT_EQ(ended.size() + left.size(), 100U);
  EXPECT_LE(ended.size(), 15U);
  EXPECT_TRUE(std::find(ended.begin(), ended.end(), 10U) != ended.end());
  EXPECT_TRUE(std::is_sorted(left.begin(), left.end()));
  EXPECT_EQ(ran(5, {}, {}, [] { return true; }).left, numbers(0, 5));
}

TEST(Fleet, ASlowHostHoldsUpNoOther) {
  std::latch others(99);
  std::vector<std::size_t> ended;
  run_fleet(
      100, {.parallel = 2},
      [&](std::size_t host, const Tell&) {
        if (host == 0) others.wait();  // until all others were heard of
        return good();
      },
      [](std::size_t, const News&) {},
      [&](std::size_t host, const HostEnd&) {
        ended.push_back(host);
        if (host != 0) others.count_down();
        return true;
      },
      never);
  ASSERT_EQ(ended.size(), 100U);
  EXPECT_EQ(ended.back(), 0U);
}

TEST(Fleet, AllIsHeardOnTheCallersThreadInTheOrderOfEachHost) {
  constexpr std::size_t hosts = 40, words = 100;  // more events than are kept
  const auto here = std::this_thread::get_id();
  std::vector<std::size_t> heard(hosts);
  std::size_t wrong = 0, ends = 0;
  run_fleet(
      hosts, {.parallel = 16},
      [&](std::size_t, const Tell& tell) {
        for (std::size_t i = 0; i < words; ++i) tell(Doing{std::to_string(i)});
        return good();
      },
      [&](std::size_t host, const News& news) {
        wrong +=
            std::this_thread::get_id() == here && std::get<Doing>(news).what == std::to_string(heard[host]) ? 0 : 1;
        ++heard[host];
      },
      [&](std::size_t host, const HostEnd&) {
        wrong += std::this_thread::get_id() == here && heard[host] == words ? 0 : 1;
        ++ends;
        return true;
      },
      never);
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(ends, hosts);
}

TEST(Fleet, AThousandHostsCostLittle) {
  const auto begun = Clock::now();
  std::size_t ended = 0;
  run_fleet(
      1000, {.parallel = 64}, [](std::size_t, const Tell&) { return good(); }, [](std::size_t, const News&) {},
      [&](std::size_t, const HostEnd&) { return ++ended > 0; }, never);
  EXPECT_EQ(ended, 1000U);
  RecordProperty("micros",
                 static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count()));
}

}  // namespace
}  // namespace converge::remote
