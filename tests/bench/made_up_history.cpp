#include "tests/bench/made_up_history.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace converge::bench {
namespace {

/// What the specs of the fleet say: item, resource, line, and property and value, several times.
struct Declared {
  const char *item, *id, *at;
  std::vector<std::pair<const char*, const char*>> properties;
  const char* drifted;  // what it is found to be
};
const std::vector<Declared>& declared() {
  static const std::vector<Declared> all{
      {"swapfile",
       "swap:/swapfile",
       "specs/base.yaml:8:13",
       {{"kind", "file"}, {"size", "4 GiB"}, {"active", "yes"}},
       "no"},
      {"swapfile", "fstab:/swapfile", "specs/base.yaml:7:13", {{"entries", "1"}}, "0"},
      {"swapfile", "file:/etc/sysctl.d/90-converge-swap.conf", "specs/base.yaml:9:19", {{"content", "81 B"}}, "64 B"},
      {"swapfile", "sysctl:vm.swappiness", "specs/base.yaml:9:19", {{"running", "10"}, {"boot", "10"}}, "60"},
      {"nproc_limits", "limits:tegwick:nproc", "specs/base.yaml:14:13", {{"soft", "512"}, {"hard", "1024"}}, "not set"},
      {"systemd_slice",
       "file:/etc/systemd/system/user-1000.slice.d/limits.conf",
       "specs/base.yaml:21:13",
       {{"content", "61 B"}, {"mode", "0644"}},
       "0664"},
      {"systemd_slice",
       "loaded:user-1000.slice",
       "specs/base.yaml:21:13",
       {{"MemoryMax", "1500 MiB"}, {"MemorySwapMax", "512 MiB"}},
       "infinity"},
      {"k3s_registries",
       "yaml_file:/etc/rancher/k3s/registries.yaml",
       "specs/k3s.yaml:29:9",
       {{"content", "as declared"}},
       "another mirror"},
      {"k3s_registries",
       "restarted:k3s.service",
       "specs/k3s.yaml:28:7",
       {{"started", "after its configuration"}},
       "before its configuration"},
      {"ssh_git",
       "directory:/home/tegwick/.ssh",
       "specs/base.yaml:35:13",
       {{"mode", "0700"}, {"owner", "1000:1000"}},
       "0:0"},
      {"ssh_git",
       "ssh_key:/home/tegwick/.ssh/id_ed25519_gitea",
       "specs/base.yaml:36:12",
       {{"key", "ed25519, without a passphrase"}, {"owner", "1000:1000"}},
       "0:0"},
      {"ssh_git",
       "git_remote:/home/tegwick/railiance-infra:origin",
       "specs/base.yaml:42:21",
       {{"url", "ssh://git@gitea-local/coulomb/railiance-infra.git"}},
       "http://registry.lab.example:32166/coulomb/railiance-infra.git"},
      {"file", "file:/etc/motd", "specs/motd.yaml:4:19", {{"content", "27 B"}, {"mode", "0644"}}, "0600"},
      {"line", "line:/etc/hosts", "specs/motd.yaml:5:11", {{"present", "yes"}}, "no"},
      {"service", "service:chrony", "specs/motd.yaml:6:14", {{"running", "yes"}, {"enabled", "yes"}}, "no"},
      {"sysctl", "sysctl:net.core.somaxconn", "specs/motd.yaml:7:13", {{"running", "1024"}, {"boot", "1024"}}, "4096"},
  };
  return all;
}

constexpr const char* kinds[] = {"web", "db", "build", "edge", "k3s"};

}  // namespace

MadeUpFleet::MadeUpFleet(history::History& history, Shape shape)
    : history_(history), shape_(shape), random_(shape.seed) {
  for (std::size_t i = 0; i < shape_.hosts; ++i) {
    Host host{.name = fmt::format("{}{:03}", kinds[i % std::size(kinds)], i / std::size(kinds) + 1)};
    if (i < shape_.names.size()) host.name = shape_.names[i];
    host.slowness = std::lognormal_distribution(0.0, 0.4)(random_);
    for (const Declared& each : declared()) {
      const std::string_view item = each.item;
      if (item == "k3s_registries" && i % std::size(kinds) != 4) continue;
      if (item == "nproc_limits" && i % 3 == 1) continue;
      Resource resource{each.item, each.id, each.at, {}};
      for (const auto& [property, value] : each.properties)
        resource.checks.push_back(check_equal(property, value, value));
      // What a check tells beside its answer differs from host to host, so that few looks are alike byte for byte.
      resource.checks.front().detail = item == "swapfile" ? fmt::format("on /dev/vd{:03}", i) : "";
      host.resources.push_back(std::move(resource));
    }
    hosts_.push_back(std::move(host));
  }
}

void MadeUpFleet::live(Host& host) {
  const auto a_day = static_cast<double>(shape_.runs_a_day);
  for (Episode& each : host.episodes) --each.left;
  std::erase_if(host.episodes, [](const Episode& each) { return each.left == 0; });
  if (host.away > 0) --host.away;
  if (host.away == 0 && once_in(30 * a_day)) host.away = 1 + random_() % shape_.runs_a_day;
  if (!once_in(shape_.days_between_drifts * a_day)) return;
  const std::size_t together = 1 + random_() % 3;
  const auto left = static_cast<std::size_t>(1 + std::exponential_distribution(2.0 / a_day)(random_));
  for (std::size_t n = 0; n < together; ++n) {
    const std::size_t at = random_() % host.resources.size();
    if (std::any_of(host.episodes.begin(), host.episodes.end(), [&](const Episode& e) { return e.resource == at; }))
      continue;
    const auto known = std::find_if(declared().begin(), declared().end(),
                                    [&](const Declared& each) { return each.id == host.resources[at].id; });
    host.episodes.push_back({at, left, known->drifted, random_() % 8 == 0});
  }
}

std::vector<Step> MadeUpFleet::steps_of(const Host& host) const {
  std::vector<Step> out;
  out.reserve(host.resources.size());
  for (std::size_t i = 0; i < host.resources.size(); ++i) {
    const Resource& resource = host.resources[i];
    Step step{.id = resource.id,
              .item = resource.item,
              .at = resource.at,
              .outcome = Outcome::in_sync,
              .checks = resource.checks,
              .took = std::chrono::microseconds(1'000)};
    for (const Episode& each : host.episodes) {
      if (each.resource != i) continue;
      Check& wrong = step.checks.back();
      step.outcome = each.unknown ? Outcome::unknown : Outcome::out_of_sync;
      wrong = each.unknown ? check_unknown(wrong.property, wrong.expected, "permission denied")
                           : check_equal(wrong.property, wrong.expected, each.actual);
      if (!each.unknown && resource.id.starts_with("file:"))
        step.diff = "--- " + resource.id.substr(5) + "\n+++ " + resource.id.substr(5) +
                    "\n@@ -1,2 +1,2 @@\n-# edited by hand\n+# kept by converge\n shared\n";
    }
    out.push_back(std::move(step));
  }
  return out;
}

Status MadeUpFleet::run(const std::function<void(double)>& recorded) {
  const auto interval = static_cast<std::int64_t>(86'400'000'000 / shape_.runs_a_day);
  const Timestamp began{shape_.until.micros - static_cast<std::int64_t>(runs() - 1 - done_) * interval};
  ++done_;
  history::RunStart start{.uid = fmt::format("{:016x}{:016x}", random_(), random_()),
                          .verb = Verb::drift,
                          .began = began,
                          .who = "root",
                          .from = "control (a systemd unit)",
                          .revision = "4f2a9c1d03be",
                          .sources = "0011223344ff",
                          .words = "-l all",
                          .version = "0.1.0",
                          .root = "/",
                          .boot = "b1",
                          .pid = 1};
  auto id = history_.begin(start, [](const std::string&, std::int64_t) { return true; });
  if (!id) return std::move(id).error();
  const double busy = std::lognormal_distribution(0.8, 0.3)(random_);  // seconds beside the slowest host's
  Timestamp ended = began;
  bool differs = false;
  for (Host& host : hosts_) {
    live(host);
    history::HostRecord record{.host = host.name, .whole = true};
    if (host.away > 0) {
      record.status = "unreachable";
      record.error = "timed out while connecting to '198.18.0.12' port 22";
      record.took = std::chrono::seconds(10);
    } else {
      record.steps = steps_of(host);
      for (const Step& each : record.steps) record.tally.add(each.outcome);
      differs = differs || !host.episodes.empty();
      record.took = std::chrono::microseconds(
          static_cast<std::int64_t>(std::lognormal_distribution(11.5, 0.25)(random_) * host.slowness));
    }
    record.ended = Timestamp{began.micros + static_cast<std::int64_t>(busy * 1e6) + record.took.count()};
    ended = std::max(ended, record.ended);
    const auto before = std::chrono::steady_clock::now();
    auto done = history_.record(*id, record);
    if (!done) return std::move(done).error();
    for (const Finding& each : done->fresh) {
      if (each.unknown || each.id % 3 != 0) continue;
      const std::string what = each.resource.substr(each.resource.find(':') + 1);
      auto kept = history_.suspect(each.id, {{"edit", fmt::format("{} was edited at {}", what, each.out_since.text())},
                                             {"sudo", "sudo by mallory: tee " + what}});
      if (!kept) return kept;
    }
    if (recorded)
      recorded(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before).count());
  }
  return history_.end(*id, ended, differs ? 2 : 0, false);
}

}  // namespace converge::bench
