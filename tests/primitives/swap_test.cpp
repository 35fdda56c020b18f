#include "primitives/swap.h"

#include <gtest/gtest.h>

#include <functional>

#include "primitives/probe_swap.h"
#include "tests/primitives/looking.h"
#include "tests/support/fake_commands.h"

namespace converge {
namespace {

constexpr std::string_view path = "/swapfile";

Swap wanted() {
  Swap p;
  p.path = AbsPath(path);
  p.size = 64_MiB;
  p.priority = 5;
  return p;
}

FakeSystem converged() {
  FakeSystem host = fake_debian();
  EXPECT_TRUE(tried(wanted(), host));
  host.forget_mutations();
  return host;
}

void use(FakeSystem& host, std::uint64_t used_kib) {
  host.put_file("/proc/swaps",
                "Filename Type Size Used Priority\n/swapfile file 65532 " + std::to_string(used_kib) + " 5\n");
}

/// No room for a helper area.
void fill_disk(FakeSystem& host) { host.set_file_system("/", {"ext4", 2_GiB, 40_GiB, false}); }

void memory(FakeSystem& host, std::uint64_t total_mib, std::uint64_t available_mib) {
  host.put_file("/proc/meminfo", "MemTotal: " + std::to_string(total_mib * 1024) +
                                     " kB\nMemAvailable: " + std::to_string(available_mib * 1024) + " kB\n");
}

TEST(ProcSwaps, AreReadWithTheirEscapes) {
  const auto areas = parse_proc_swaps(
      "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
      "/swapfile                               file\t\t65532\t\t12\t\t-2\n"
      "/swap\\040dir/a\\011b\\134c               file\t\t4194300\t\t0\t\t32767\n"
      "/dev/zram0                              partition\t1\t\t0\t\t100\n"
      "/old\\040(deleted)                       file\t\t65532\t\t0\t\t-3\n");
  ASSERT_TRUE(areas);
  ASSERT_EQ(areas->size(), 4U);
  EXPECT_EQ((*areas)[0].path, "/swapfile");
  EXPECT_EQ((*areas)[0].size.count, 65532U * 1024);
  EXPECT_EQ((*areas)[0].used.count, 12U * 1024);
  EXPECT_EQ((*areas)[0].priority, -2);
  EXPECT_EQ((*areas)[1].path, "/swap dir/a\tb\\c");
  EXPECT_EQ((*areas)[2].type, "partition");
  EXPECT_EQ((*areas)[3].path, "/old");
  EXPECT_TRUE((*areas)[3].deleted);
}

TEST(ProcSwaps, ALineThatIsNotUnderstoodIsAnErrorNotNoSwap) {
  for (const auto* line : {"/swapfile file 65532 0\n", "/swapfile file x 0 -2\n", "/swapfile file 65532 0 99999\n",
                           "/swapfile file -1 0 -2\n"}) {
    const auto areas = parse_proc_swaps(std::string("Filename Type Size Used Priority\n") + line);
    ASSERT_FALSE(areas) << line;
    EXPECT_EQ(areas.error().code, Errc::unparsable);
  }
  ASSERT_TRUE(parse_proc_swaps(""));
  EXPECT_TRUE(parse_proc_swaps("Filename Type Size Used Priority\n")->empty());
}

TEST(SwapFile, IsMadeThenSwitchedOnAndASecondRunChangesNothing) {
  FakeSystem host = fake_debian();
  EXPECT_EQ(failing(wanted(), host), (Names{"kind", "size", "active"}));
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), (Names{"swapfile /swapfile 64 MiB", "swapon /swapfile"}));
  EXPECT_EQ(failing(wanted(), host), Names{});
  EXPECT_EQ(value_of(wanted(), host, "area size"), "65532 KiB");
}

TEST(SwapFile, SizesAreRoundedDownToThePage) {
  FakeSystem host = fake_debian();
  auto p = wanted();
  p.size.count += 4095;
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(failing(p, host), Names{});
}

/// A swap file of which a gibibyte is in use, and too little memory for that.
FakeSystem crowded() {
  FakeSystem host = fake_debian();
  host.put_swap_file(path, 2_GiB, true, 5);
  host.set_swap_used(path, 1_GiB);
  memory(host, 8192, 300);
  return host;
}

Swap larger() {
  Swap p = wanted();
  p.size = 4_GiB;
  return p;
}

TEST(SwapHelper, TakesWhatMemoryCannotWhileTheFileIsReplaced) {
  FakeSystem host = crowded();
  ASSERT_TRUE(tried(larger(), host));
  EXPECT_EQ(host.mutations(),
            (Names{"swapfile /swapfile.converge-new 4 GiB", "swapfile /swapfile.converge-helper 1887444 KiB",
                   "swapon /swapfile.converge-helper", "swapoff /swapfile", "remove /swapfile",
                   "rename /swapfile.converge-new /swapfile", "swapon /swapfile", "swapoff /swapfile.converge-helper",
                   "remove /swapfile.converge-helper"}));
  EXPECT_EQ(failing(larger(), host), Names{});
  EXPECT_EQ(host.swap_used(path), 1_GiB);
  EXPECT_NE(host.content("/proc/meminfo").find("MemAvailable: 307200 kB"), std::string::npos);
}

TEST(SwapHelper, TakesItForAnotherPriorityToo) {
  FakeSystem host = crowded();
  auto p = larger();
  p.size = 2_GiB;
  p.priority = 7;
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(host.mutations()[1], "swapon /swapfile.converge-helper");
  EXPECT_EQ(failing(p, host), Names{});
}

TEST(SwapHelper, ARunThatDiesOrFailsAnywhereIsFinishedByTheNext) {
  for (const bool dies : {true, false}) {
    int n = 1;
    for (;; ++n) {
      SCOPED_TRACE(n);
      FakeSystem host = crowded();
      if (dies)
        host.die_at_mutation(n);
      else
        host.fail_mutation(n);
      Status first = ok();
      try {
        first = tried(larger(), host);
      } catch (const ProcessDied&) {
        first = Error{Errc::io, "died", {}, {}};
      }
      if (first) break;
      host.clear_faults();
      if (n > 1) {
        EXPECT_FALSE(failing(larger(), host).empty());
      }
      const Status healed = tried(larger(), host);
      ASSERT_TRUE(healed) << healed.error().text();
      EXPECT_EQ(failing(larger(), host), Names{});
      EXPECT_EQ(host.swap_used(path), 1_GiB);
      EXPECT_FALSE(host.exists("/swapfile.converge-new"));
      EXPECT_FALSE(host.exists("/swapfile.converge-helper"));
    }
    EXPECT_EQ(n, 10);
  }
}

TEST(SwapHelper, OfARunThatDiedSurvivesAReboot) {
  FakeSystem host = crowded();
  host.die_at_mutation(6);  // the old file is gone, the new one has no name yet
  EXPECT_THROW((void)tried(larger(), host), ProcessDied);
  host.clear_faults();
  host.set_swap_active("/swapfile.converge-helper", false);
  ASSERT_TRUE(tried(larger(), host));
  EXPECT_EQ(failing(larger(), host), Names{});
  EXPECT_FALSE(host.exists("/swapfile.converge-helper"));
}

TEST(SwapHelper, IsNoWayRoundACgroupALackOfDiskOrATooSmallNewFile) {
  struct Case {
    const char* name;
    std::function<void(FakeSystem&)> setup;
    Bytes size;
    const char* says;
  };
  const std::vector<Case> table{
      {"a cgroup",
       [](FakeSystem& h) {
         h.put_file("/sys/fs/cgroup/a.slice/memory.max", "209715200\n");
         h.put_file("/sys/fs/cgroup/a.slice/memory.current", "104857600\n");
         h.put_file("/sys/fs/cgroup/a.slice/memory.swap.current", "419430400\n");
       },
       4_GiB, "cgroup '/a.slice' holds 500 MiB"},
      {"the disk",
       [](FakeSystem& h) {
         h.set_file_system("/", {"ext4", 9_GiB, 80_GiB, false});
       },
       4_GiB, "a helper area of 1843 MiB would not fit on the disk"},
      {"a new file that holds less than is in use", [](FakeSystem&) {}, 512_MiB, "1024 MiB would have to move"},
  };
  for (const auto& [name, setup, size, says] : table) {
    FakeSystem host = crowded();
    setup(host);
    auto p = larger();
    p.size = size;
    const auto status = tried(p, host);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, Errc::refused) << name;
    EXPECT_NE(status.error().message.find(says), std::string::npos) << name << ": " << status.error().text();
    EXPECT_TRUE(host.mutations().empty()) << name;
  }
  FakeSystem host = crowded();
  auto gone = larger();
  gone.absent = true;
  EXPECT_FALSE(tried(gone, host));
  EXPECT_TRUE(host.mutations().empty());
}

TEST(SwapHelper, LeftInUseGoesOnlyWhenThereIsRoomForWhatItHolds) {
  FakeSystem host = fake_debian();
  host.put_swap_file(path, 64_MiB, true, 5);
  host.put_swap_file("/swapfile.converge-helper", 2_GiB, true);
  host.set_swap_used("/swapfile.converge-helper", 1_GiB);
  memory(host, 8192, 300);
  EXPECT_EQ(value_of(wanted(), host, "leftover"), "/swapfile.converge-helper (in use)");
  EXPECT_FALSE(tried(wanted(), host));
  EXPECT_TRUE(host.mutations().empty());
  memory(host, 8192, 4000);
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(wanted(), host), Names{});
  auto gone = wanted();
  gone.absent = true;
  host.put_swap_file("/swapfile.converge-helper", 2_GiB, true);
  ASSERT_TRUE(tried(gone, host));
  EXPECT_EQ(failing(gone, host), Names{});
}

TEST(SwapFile, FilesThatWereBeingMadeWhenARunDiedAreFoundByTheirNames) {
  FakeSystem host = converged();
  const Names ours{"/.swapfile.converge-ab12cd", "/.swapfile.converge-new.converge-ab12cd",
                   "/.swapfile.converge-helper.converge-ab12cd"};
  const Names others{"/.swapfile2.converge-ab12cd", "/.swapfile.converge-ab12cde", "/swapfile.converge-ab12cd"};
  for (const auto& each : ours) host.put_file(each, "");
  for (const auto& each : others) host.put_file(each, "");
  EXPECT_EQ(failing(wanted(), host), Names{"leftover"});
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(wanted(), host), Names{});
  for (const auto& each : ours) EXPECT_FALSE(host.exists(each)) << each;
  for (const auto& each : others) EXPECT_TRUE(host.exists(each)) << each;
}

struct Mutation {
  const char* property;
  std::function<void(FakeSystem&)> change;
};

TEST(SwapFile, EveryPropertyIsMissedAloneAndHealed) {
  const std::vector<Mutation> table{
      {"mode", [](FakeSystem& h) { h.set_mode(path, Mode{0644}); }},
      {"owner",
       [](FakeSystem& h) {
         h.set_owner(path, {1000, 0});
       }},
      {"holes", [](FakeSystem& h) { h.swap_at(path).allocated = 32_MiB; }},
      {"header", [](FakeSystem& h) { h.swap_at(path).header->last_page = 7; }},
      {"header", [](FakeSystem& h) { h.swap_at(path).header->version = 2; }},
      {"leftover", [](FakeSystem& h) { h.put_swap_file("/swapfile.converge-new", 1_MiB, false); }},
      {"leftover", [](FakeSystem& h) { h.put_swap_file("/swapfile.converge-helper", 1_MiB, false); }},
      {"leftover", [](FakeSystem& h) { h.put_swap_file("/swapfile.converge-helper", 1_MiB, true); }},
      {"leftover", [](FakeSystem& h) { h.put_file("/.swapfile.converge-x1y2z3", ""); }},
      {"active", [](FakeSystem& h) { h.set_swap_active(path, false); }},
      {"priority", [](FakeSystem& h) { h.set_swap_active(path, true, 7); }},
      {"area size",
       [](FakeSystem& h) { h.put_file("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 4 0 5\n"); }},
  };
  for (const auto& [property, change] : table) {
    FakeSystem host = converged();
    change(host);
    EXPECT_EQ(failing(wanted(), host), Names{property});
    const auto status = tried(wanted(), host);
    EXPECT_TRUE(status) << property << ": " << (status ? "" : status.error().text());
    EXPECT_EQ(failing(wanted(), host), Names{}) << property;
    EXPECT_FALSE(host.exists("/swapfile.converge-new"));
  }
}

TEST(SwapFile, IsReplacedInAnOrderThatNeverLosesIt) {
  FakeSystem host = fake_debian();
  host.put_swap_file(path, 32_MiB, true, 5);
  host.swap_at(path).header->uuid = "00112233445566778899aabbccddeeff";
  EXPECT_EQ(failing(wanted(), host), (Names{"size", "header", "area size"}));
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), (Names{"swapfile /swapfile.converge-new 64 MiB", "swapoff /swapfile", "remove /swapfile",
                                     "rename /swapfile.converge-new /swapfile", "swapon /swapfile"}));
  EXPECT_EQ(failing(wanted(), host), Names{});
  EXPECT_EQ(host.swap_at(path).header->uuid, "00112233445566778899aabbccddeeff");
}

TEST(SwapFile, AResizeThatDiesAnywhereHealsOnTheNextRun) {
  for (int n = 1; n <= 5; ++n) {
    FakeSystem host = fake_debian();
    host.put_swap_file(path, 32_MiB, true, 5);
    host.die_at_mutation(n);
    EXPECT_THROW((void)tried(wanted(), host), ProcessDied);
    host.clear_faults();
    ASSERT_TRUE(tried(wanted(), host)) << n;
    EXPECT_EQ(failing(wanted(), host), Names{}) << n;
    EXPECT_FALSE(host.exists("/swapfile.converge-new"));
  }
}

TEST(SwapFile, AnInactiveOneMayGoFirstWhenThereIsNoRoomForBoth) {
  FakeSystem host = fake_debian();
  host.put_swap_file(path, 32_MiB, false);
  host.set_file_system("/", {"ext4", 1_GiB, 20_GiB, false});
  auto p = wanted();
  p.reserve = Bytes{(1_GiB).count - (40_MiB).count};
  const auto state = inspect(p, host);
  ASSERT_TRUE(state);
  ASSERT_TRUE(preflight(p, *state, host));
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(host.mutations().front(), "remove /swapfile");
}

TEST(SwapFile, AnEmptyFileMayBeReplaced) {
  FakeSystem host = fake_debian();
  host.put_file(path, "");
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(wanted(), host), Names{});
}

struct Refusal {
  const char* name;
  std::function<void(FakeSystem&)> setup;
  Errc code;
  const char* says;
};

TEST(SwapFile, IsRefusedBeforeAnythingIsTouched) {
  const auto container = [](FakeSystem& h) {
    h.put_file("/run/systemd/container", "systemd-nspawn\n");
    h.put_file("/proc/self/status", "Name:\tconverge\nCapEff:\t000001ffffffffff\n");
  };
  const std::vector<Refusal> table{
      {"a file of somebody's", [](FakeSystem& h) { h.put_file(path, "letters"); }, Errc::refused, "not a swap file"},
      {"a symlink", [](FakeSystem& h) { h.put_symlink(path, "/dev/null"); }, Errc::symlink, "is a symlink"},
      {"a directory", [](FakeSystem& h) { h.put_directory(path); }, Errc::refused, "is a directory"},
      {"a second name",
       [](FakeSystem& h) {
         h.put_swap_file(path, 64_MiB, false);
         h.set_links(path, 2);
       },
       Errc::refused, "has 2 names"},
      {"letters at the temporary name", [](FakeSystem& h) { h.put_file("/swapfile.converge-new", "letters"); },
       Errc::refused, "converge-new' exists"},
      {"letters at the helper's name", [](FakeSystem& h) { h.put_file("/swapfile.converge-helper", "letters"); },
       Errc::refused, "converge-helper' exists"},
      {"overlay",
       [](FakeSystem& h) {
         h.set_file_system("/", {"overlay", 60_GiB, 80_GiB, false});
       },
       Errc::unsupported, "is on overlay"},
      {"tmpfs",
       [](FakeSystem& h) {
         h.set_file_system("/", {"tmpfs", 60_GiB, 80_GiB, false});
       },
       Errc::unsupported, "is on tmpfs"},
      {"zfs",
       [](FakeSystem& h) {
         h.set_file_system("/", {"zfs", 60_GiB, 80_GiB, false});
       },
       Errc::unsupported, "is on zfs"},
      {"unknown",
       [](FakeSystem& h) {
         h.set_file_system("/", {"0x1234", 60_GiB, 80_GiB, false});
       },
       Errc::unsupported, "is on 0x1234"},
      {"read-only",
       [](FakeSystem& h) {
         h.set_file_system("/", {"ext4", 60_GiB, 80_GiB, true});
       },
       Errc::read_only, "mounted read-only"},
      {"no room",
       [](FakeSystem& h) {
         h.set_file_system("/", {"ext4", 1_GiB, 20_GiB, false});
       },
       Errc::no_space, "1024 MiB are free, 64 MiB are needed and 1024 MiB stay in reserve"},
      {"five percent",
       [](FakeSystem& h) {
         h.set_file_system("/", {"ext4", 4_GiB, 100_GiB, false});
       },
       Errc::no_space, "5120 MiB stay in reserve"},
      {"others write to the directory", [](FakeSystem& h) { h.put_directory("/", Mode{0777}); }, Errc::refused,
       "others than root may write"},
      {"somebody's directory",
       [](FakeSystem& h) {
         h.put_directory("/", Mode{0755}, {1000, 1000});
       },
       Errc::refused, "belongs to uid 1000"},
      {"no right", [](FakeSystem& h) { h.put_file("/proc/self/status", "CapEff:\t0000000000000000\n"); },
       Errc::permission, "CAP_SYS_ADMIN"},
      {"container",
       [&](FakeSystem& h) {
         container(h);
         h.on_command("swapoff", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
           return CommandOutput{1, "", "swapoff: Not superuser.\n"};
         });
       },
       Errc::unsupported, "container (systemd-nspawn)"},
      {"hibernation",
       [](FakeSystem& h) {
         h.put_swap_file(path, 32_MiB, false);
         h.put_file("/proc/cmdline", "root=/dev/vda1 resume=/dev/vda1 resume_offset=34816\n");
       },
       Errc::refused, "resumes from a swap file"},
      {"hibernation by /sys",
       [](FakeSystem& h) {
         h.put_swap_file(path, 32_MiB, false);
         h.put_file("/sys/power/resume", "254:1\n");
         h.put_file("/sys/power/resume_offset", "34816\n");
       },
       Errc::refused, "resumes from a swap file"},
  };
  for (const auto& [name, setup, code, says] : table) {
    FakeSystem host = fake_debian();
    setup(host);
    host.forget_mutations();
    const auto status = tried(wanted(), host);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, code) << name << ": " << status.error().text();
    EXPECT_NE(status.error().message.find(says), std::string::npos) << name << ": " << status.error().text();
    EXPECT_TRUE(host.mutations().empty()) << name;
  }
}

TEST(SwapFile, AContainerThatMaySwapDoes) {
  FakeSystem host = fake_debian();
  host.put_file("/run/systemd/container", "systemd-nspawn\n");
  host.on_command("swapoff", [](FakeSystem&, const Command&, bool) -> Result<CommandOutput> {
    return CommandOutput{4, "", "swapoff: /proc/.converge-no-such-file: swapoff failed: No such file or directory\n"};
  });
  EXPECT_TRUE(tried(wanted(), host));
}

TEST(SwapFile, OfAMachineThatResumesFromAPartitionMayBeReplaced) {
  FakeSystem host = fake_debian();
  host.put_swap_file(path, 32_MiB, false);
  host.put_file("/proc/cmdline", "root=/dev/vda1 resume=/dev/vda2\n");
  EXPECT_TRUE(tried(wanted(), host));
}

TEST(SwapOff, IsRefusedWithNumbersWhenItWouldKill) {
  const std::string group = "/sys/fs/cgroup/user.slice/user-1000.slice/";
  const std::vector<Refusal> table{
      {"too little memory",
       [](FakeSystem& h) {
         use(h, 800 * 1024);
         fill_disk(h);
         memory(h, 2048, 1000);
       },
       Errc::refused,
       "800 MiB would have to move into memory, of which 1000 MiB are available and 256 MiB must stay free"},
      {"a tenth of much memory",
       [](FakeSystem& h) {
         use(h, 1024 * 1024);
         fill_disk(h);
         memory(h, 16384, 2000);
       },
       Errc::refused, "1638 MiB must stay free"},
      {"a cgroup",
       [&](FakeSystem& h) {
         use(h, 400 * 1024);
         h.put_file(group + "memory.max", "209715200\n");
         h.put_file(group + "memory.current", "104857600\n");
         h.put_file(group + "memory.swap.current", "419430400\n");
       },
       Errc::refused, "cgroup '/user.slice/user-1000.slice' holds 500 MiB in memory and swap and may hold 200 MiB"},
      {"a cgroup of version 1",
       [](FakeSystem& h) {
         use(h, 400 * 1024);
         h.erase("/sys/fs/cgroup");
         h.put_file("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "209715200\n");
         h.put_file("/sys/fs/cgroup/memory/a/memory.memsw.usage_in_bytes", "524288000\n");
       },
       Errc::refused, "cgroup '/a' holds 500 MiB"},
      {"memory that nobody tells",
       [](FakeSystem& h) {
         use(h, 4);
         h.put_file("/proc/meminfo", "MemTotal: 1 kB\n");
       },
       Errc::unparsable, "cannot tell how much memory"},
  };
  for (const auto& [name, setup, code, says] : table) {
    FakeSystem host = converged();
    setup(host);
    for (const bool absent : {false, true}) {
      auto p = wanted();
      p.absent = absent;
      if (!absent) p.size = 128_MiB;
      const auto status = tried(p, host);
      ASSERT_FALSE(status) << name;
      EXPECT_EQ(status.error().code, code) << name << ": " << status.error().text();
      EXPECT_NE(status.error().message.find(says), std::string::npos) << name << ": " << status.error().text();
      EXPECT_TRUE(host.mutations().empty()) << name;
    }
  }
}

TEST(SwapOff, IsAllowedWhenNothingIsSwappedOutOrAllFits) {
  FakeSystem host = converged();
  memory(host, 1024, 1);
  auto p = wanted();
  p.size = 128_MiB;
  EXPECT_TRUE(tried(p, host));

  host = converged();
  use(host, 100 * 1024);
  host.put_file("/sys/fs/cgroup/user.slice/user-1000.slice/memory.max", "max\n");
  host.put_file("/sys/fs/cgroup/user.slice/user-1000.slice/memory.swap.current", "419430400\n");
  EXPECT_TRUE(tried(p, host));
}

TEST(SwapFile, AbsentIsSwitchedOffAndRemovedButAStrangersFileStays) {
  FakeSystem host = converged();
  auto p = wanted();
  p.absent = true;
  EXPECT_EQ(failing(p, host), (Names{"file", "active"}));
  ASSERT_TRUE(tried(p, host));
  EXPECT_EQ(host.mutations(), (Names{"swapoff /swapfile", "remove /swapfile"}));
  EXPECT_EQ(failing(p, host), Names{});

  host.put_file(path, "letters");
  host.forget_mutations();
  EXPECT_FALSE(tried(p, host));
  EXPECT_TRUE(host.mutations().empty());
}

TEST(SwapFile, InATreeIsMadeAndWhatNeedsAKernelIsLeftOut) {
  FakeSystem host = fake_debian();
  host.live = false;
  host.set_file_system("/", {"overlay", 60_GiB, 80_GiB, false});
  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(host.mutations(), Names{"swapfile /swapfile 64 MiB"});
  EXPECT_EQ(failing(wanted(), host), Names{});
  const auto checks = looked(wanted(), host);
  for (const auto* property : {"active", "area size", "priority"}) {
    ASSERT_NE(find_check(checks, property), nullptr);
    EXPECT_EQ(find_check(checks, property)->verdict, Verdict::skipped) << property;
  }
}

TEST(SwapFile, AnEntryOfProcSwapsOfAnotherContainerIsNotOurs) {
  FakeSystem host = converged();
  host.set_swap_active(path, false);
  host.put_file("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 65532 0 5\n");
  EXPECT_EQ(failing(wanted(), host), Names{"active"});
}

TEST(SwapFile, OfSeveralEntriesOfItsPathTheOneOfItsSizeIsOurs) {
  for (const bool first : {true, false}) {
    FakeSystem host = converged();
    const std::string ours = "/swapfile file 65532 0 5\n", theirs = "/swapfile file 1048572 900000 -3\n";
    host.put_file("/proc/swaps", "Filename Type Size Used Priority\n" + (first ? ours + theirs : theirs + ours));
    EXPECT_EQ(failing(wanted(), host), Names{});
    const auto state = inspect(wanted(), host);
    ASSERT_TRUE(state && state->area);
    EXPECT_EQ(state->area->priority, 5);
    EXPECT_EQ(state->others.size(), 1U);
  }
}

TEST(SwapFile, IsMadeWhereAnotherContainerHasSwapByThatName) {
  FakeSystem host = fake_debian();
  host.put_file("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 65532 60000 5\n");
  const auto state = inspect(wanted(), host);
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->area);
  const Status done = apply(wanted(), *state, host);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_TRUE(host.swap_active(path));
  for (const auto& mutation : host.mutations()) EXPECT_FALSE(mutation.starts_with("swapoff")) << mutation;
}

TEST(SwapFile, WhenItCannotBeToldNothingIsSaid) {
  FakeSystem host = converged();
  host.put_file("/proc/swaps", "Filename Type Size Used Priority\ngarbage\n");
  EXPECT_FALSE(inspect(wanted(), host));
}

SwapInEffect proof() {
  SwapInEffect p;
  p.path = AbsPath(path);
  p.size = 64_MiB;
  return p;
}

TEST(SwapInEffectProbe, MissesEachPropertyAlone) {
  const auto good = [] {
    FakeSystem host = converged();
    host.put_file("/run/systemd/generator/swapfile.swap", "[Swap]\nWhat=/swapfile\n");
    return host;
  };
  FakeSystem host = good();
  EXPECT_EQ(failing(proof(), host), Names{});
  host.put_file("/run/systemd/generator/swapfile.swap", "[Swap]\nWhat=/other\n");
  EXPECT_EQ(failing(proof(), host), Names{"boot unit"});
  host = good();
  host.erase("/run/systemd/generator/swapfile.swap");
  EXPECT_EQ(failing(proof(), host), Names{"boot unit"});
  host = good();
  host.put_file("/proc/swaps", "Filename Type Size Used Priority\n");
  EXPECT_EQ(failing(proof(), host), Names{"/proc/swaps"});
  host = good();
  host.put_file("/proc/meminfo", "SwapTotal: 65528 kB\n");
  EXPECT_EQ(failing(proof(), host), Names{"swap total"});
  host = good();
  const auto swaps = host.content("/proc/swaps"), meminfo = host.content("/proc/meminfo");
  host.set_swap_active(path, false);
  host.put_file("/proc/swaps", swaps);
  host.put_file("/proc/meminfo", meminfo);
  EXPECT_EQ(failing(proof(), host), (Names{"file", "/proc/swaps"}));
}

TEST(SwapFile, UnderOpenRcHasToBeOnTheRootFileSystem) {
  FakeSystem host = fake_debian();
  install_openrc(host);
  host.put_directory("/data");
  host.put_file("/proc/mounts", "/dev/vda1 / ext4 rw 0 0\n/dev/vdb1 /data ext4 rw 0 0\ntmpfs /dat tmpfs rw 0 0\n");
  auto there = wanted();
  there.path = AbsPath("/data/swapfile");
  const auto status = tried(there, host);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("mounted at '/data'"), std::string::npos) << status.error().text();
  EXPECT_TRUE(host.mutations().empty());
  host.put_swap_file(there.path.str(), 64_MiB, true, 5);
  auto probe = proof();
  probe.path = there.path;
  EXPECT_EQ(failing(probe, host), Names{"file system"});

  ASSERT_TRUE(tried(wanted(), host));
  EXPECT_EQ(failing(proof(), host), Names{});
}

TEST(SwapFile, APriorityThatComesBeforeCompressedMemoryIsRemarkedOn) {
  FakeSystem host = converged();
  host.put_file("/proc/swaps",
                "Filename Type Size Used Priority\n/swapfile file 65532 0 5\n/dev/zram0 partition 1000 0 100\n");
  EXPECT_TRUE(detail_of(wanted(), host, "zram first").empty());
  host.put_file("/proc/swaps",
                "Filename Type Size Used Priority\n/swapfile file 65532 0 5\n/dev/zram0 partition 1000 0 5\n");
  EXPECT_NE(detail_of(wanted(), host, "zram first").find("'/dev/zram0' has priority 5"), std::string::npos);
  EXPECT_EQ(failing(wanted(), host), Names{});
}

TEST(SwapFile, SnapshotsOfItsSubvolumeAreRemarkedOn) {
  FakeSystem host = converged();
  host.set_file_system("/", {"btrfs", 60_GiB, 80_GiB, false});
  auto p = wanted();
  p.path = AbsPath("/data/swap/swapfile");
  host.put_directory("/data/swap");
  host.put_swap_file(p.path.str(), 64_MiB, true, 5);
  std::string said = "@data\n\tName: \t\t\tdata\n\tSnapshot(s):\n\t\t\t\t@data/.snapshots/1\n\t\t\t\tdaily\n";
  host.on_command("btrfs", [&](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    if (command.argv.back() != "/data") return CommandOutput{1, {}, "ERROR: Not a Btrfs subvolume: Invalid argument\n"};
    return CommandOutput{0, said, {}};
  });
  for (const char* more : {"", "\tQuota group:\t\tn/a\n"}) {
    said += more;
    EXPECT_EQ(failing(p, host), Names{});
    EXPECT_NE(detail_of(p, host, "snapshots").find("(@data/.snapshots/1, daily)"), std::string::npos);
  }
  said = "@data\n\tName: \t\t\tdata\n\tSnapshot(s):\n\tQuota group:\t\tn/a\n";
  EXPECT_EQ(detail_of(p, host, "snapshots"), "");
  host.without_command("btrfs");
  EXPECT_EQ(failing(p, host), Names{});
  EXPECT_NE(detail_of(p, host, "snapshots").find("cannot be told"), std::string::npos);
}

TEST(SwapFile, OtherNamesOfAFileInUseGoOnlyAfterSwapoff) {
  FakeSystem host = converged();
  host.set_links(path, 2);
  const auto status = tried(wanted(), host);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().hint.find("swapoff"), 0U) << status.error().hint;
}

}  // namespace
}  // namespace converge
