#include "cli/fleet_page.h"

#include <algorithm>
#include <map>
#include <set>

namespace converge::cli {
namespace {

using history::History;
using history::HostRecord;
using history::Point;
using history::Run;

constexpr std::size_t most_findings = 20'000, most_runs = 3'000, most_looks = 24'000;
constexpr std::int64_t shortest = 86'400'000'000;  // microseconds that a page shows at least

std::string word_of(Run::State state) {
  return state == Run::State::running ? "running" : state == Run::State::done ? "done" : "interrupted";
}

/// What the newest look of a host says of the resources that have a finding.
Status add_details(const History& history, const PageHost& host,
                   const std::set<std::pair<std::string, std::string>>& of, std::vector<PageDetail>& out) {
  const auto record = history.host_of(host.run, host.name);
  if (!record) return record.error();
  if (!*record) return ok();
  for (const Step& step : (*record)->steps) {
    if (!of.contains({step.item, step.id})) continue;
    PageDetail detail{host.name, step.item, step.id, step.diff, {}, {}, step.note};
    if (step.error) {
      detail.error = step.error->text();
      detail.hint = step.error->hint;
    }
    if (!detail.diff.empty() || !detail.error.empty() || !detail.note.empty()) out.push_back(std::move(detail));
  }
  return ok();
}

}  // namespace

Result<PageFleet> page_fleet(const History& history, const PageWish& wish) {
  PageFleet out{.made = wish.now, .since = wish.since, .stale = wish.stale};
  auto latest = history.latest();
  if (!latest) return std::move(latest).error();
  std::map<std::string, std::size_t> places;
  for (Point& each : *latest) {
    if (wish.wanted && !wish.wanted(each.host)) continue;
    places.emplace(each.host, out.hosts.size());
    out.hosts.push_back({.name = each.host,
                         .status = each.status,
                         .verb = each.verb,
                         .run = each.run,
                         .ended = each.ended,
                         .took = each.took,
                         .tally = each.tally});
  }
  const std::string only = out.hosts.size() == 1 ? out.hosts.front().name : "";  // one host is asked for by itself
  const auto host_named = [&](const std::string& name) -> PageHost* {
    const auto it = places.find(name);
    return it == places.end() ? nullptr : &out.hosts[it->second];
  };

  auto items = history.items(only);
  if (!items) return std::move(items).error();
  for (const auto& each : *items)
    if (PageHost* host = host_named(each.host))
      host->items.push_back({each.item, each.resources, each.out, each.unknown, each.looked});

  auto runs = history.runs({.host = only, .from = wish.since, .limit = most_runs});
  if (!runs) return std::move(runs).error();
  for (const Run& run : *runs)
    out.runs.push_back({run.id, run.start.verb, word_of(run.state), run.start.began, run.ended, run.hosts, run.tally});
  // A history younger than what is asked for fills the page, rather than its right edge.
  if (!runs->empty() && runs->size() < most_runs)
    out.since = std::max(wish.since, std::min(runs->back().start.began, Timestamp{wish.now.micros - shortest}));

  auto sample = history.sample({.host = only, .from = wish.since, .limit = most_looks});
  if (!sample) return std::move(sample).error();
  out.every = sample->every;
  for (const Point& each : sample->points)
    if (PageHost* host = host_named(each.host); host != nullptr && each.status == "done")
      host->looks.emplace_back(each.run, each.took);

  auto findings = history.findings({.host = only, .from = wish.since, .limit = most_findings});
  if (!findings) return std::move(findings).error();
  out.cut = findings->size() == most_findings;
  std::map<std::string, std::set<std::pair<std::string, std::string>>> wrong;  // item and resource, by host
  for (Finding& each : *findings) {
    if (!places.contains(each.host)) continue;
    if (!each.ended) wrong[each.host].insert({each.item, each.resource});
    out.findings.push_back(std::move(each));
  }
  for (const auto& [name, resources] : wrong)
    if (auto done = add_details(history, *host_named(name), resources, out.details); !done)
      return std::move(done).error();

  for (PageHost& host : out.hosts) {
    if (host.status == "done") continue;
    auto record = history.host_of(host.run, host.name);
    if (!record) return std::move(record).error();
    if (*record) host.error = (*record)->error;
  }
  return out;
}

}  // namespace converge::cli
