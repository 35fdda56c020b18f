// history: the runs that were, what one of them found and did, and what lies between two.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "cli/history_json.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "report/step_json.h"
#include "report/words.h"

namespace converge::cli {
namespace {

using history::History;
using history::HostRecord;
using history::Run;

void put(const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }
void put_line(const Json& json) { put(json_text(json) + "\n"); }

std::string result_of(const Run& run) {
  if (run.state == Run::State::running) return "running";
  std::string out = run.state == Run::State::interrupted ? "interrupted" : "";
  for (const Outcome outcome :
       {Outcome::in_sync, Outcome::changed, Outcome::out_of_sync, Outcome::blocked, Outcome::unknown, Outcome::failed})
    if (const std::size_t n = run.tally.of(outcome); n > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : " · ", n, name_of(outcome));
  if (run.exit == exit_unreachable) out += out.empty() ? "unreachable" : " · some unreachable";
  return out.empty() ? "nothing" : out;
}

std::string took(const Run& run) {
  return run.ended ? in_words(std::chrono::microseconds(run.ended->micros - run.start.began.micros)) : "";
}

int list(const Options& options, const History& history, const std::string& host) {
  const auto runs = history.runs({.host = host, .limit = options.last});
  if (!runs) return complain(runs.error());
  if (options.format == "json") {
    for (const Run& run : *runs) put_line(to_json(run));
    return exit_ok;
  }
  if (runs->empty())
    return complain(
        Error{Errc::not_found,
              host.empty() ? "no runs are remembered" : fmt::format("no run of '{}' is remembered", printable(host)),
              {},
              host.empty() ? "" : "see `converge history` for all runs"});
  std::vector<std::array<std::string, 6>> rows{{"RUN", "WHEN", "VERB", "WHO", "HOSTS", "RESULT"}};
  for (const Run& run : *runs)
    rows.push_back({std::to_string(run.id), run.start.began.text(), std::string(name_of(run.start.verb)),
                    printable(run.start.who), std::to_string(run.hosts),
                    result_of(run) + (run.ended ? " · " + took(run) : "")});
  put(in_columns(rows));
  return exit_ok;
}

void put_head(const Run& run) {
  const auto line = [](const char* name, const std::string& text) {
    if (!text.empty()) put(fmt::format("{:9} {}\n", name, printable(text)));
  };
  line("run", fmt::format("{} ({})", run.id, run.start.uid));
  line("verb", std::string(name_of(run.start.verb)) + (run.start.words.empty() ? "" : " " + run.start.words));
  line("by", run.start.who + " on " + run.start.from);
  line("began", run.start.began.text());
  if (run.ended) line("ended", run.ended->text() + ", exit " + std::to_string(run.exit.value_or(0)));
  if (run.state == Run::State::interrupted) line("state", "interrupted");
  std::string specs = run.start.revision.empty() ? "" : "commit " + run.start.revision;
  if (!run.start.sources.empty()) specs += (specs.empty() ? "" : ", ") + ("sources " + run.start.sources);
  line("specs", specs);
  if (run.start.root != "/") line("tree", run.start.root);
  line("converge", run.start.version);
}

/// All of a run, as it was told then, with what was in sync.
int show(const Options& options, const History& history, const std::string& name) {
  const auto run = history.run(name);
  if (!run) return complain(run.error());
  const auto hosts = history.hosts_of(run->id);
  if (!hosts) return complain(hosts.error());
  const bool json = options.format == "json";
  Options all = options;
  all.verbose = 1;
  std::vector<Error> unwritten;
  // What was new drift then is no more: people are told what the look found.
  const Verb told_as = run->start.verb == Verb::drift && !json ? Verb::verify : run->start.verb;
  const auto reporter = reporter_for(all, told_as, false, unwritten);
  RunInfo info{.verb = told_as, .root = run->start.root, .version = run->start.version};
  for (const HostRecord& host : *hosts) {
    info.hosts.push_back(host.host);
    for (const Step& step : host.steps) info.item_width = std::max(info.item_width, step.item.size());
  }
  if (json) {
    put_line(to_json(*run));
  } else {
    put_head(*run);
    put("\n");
  }
  reporter->run_begins(info);
  for (const HostRecord& host : *hosts) {
    for (const Step& step : host.steps) reporter->step(host.host, step);
    if (host.status == "done")
      reporter->host_ends(host.host, host.tally, host.took);
    else if (const auto why = no_run_from(host.status))
      reporter->host_failed(host.host, *why, Error{Errc::io, host.error, {}, {}});
  }
  const std::int64_t micros = run->ended ? run->ended->micros - run->start.began.micros : 0;
  reporter->run_ends(run->exit.value_or(0), std::chrono::microseconds(micros));
  return exit_ok;
}

/// What a step says of each property, for telling two apart.
std::map<std::string, std::string> answers_of(const Step& step) {
  std::map<std::string, std::string> out;
  if (step.checks.empty()) out[""] = step.error ? step.error->text() : std::string(name_of(step.outcome));
  for (const Check& check : step.checks)
    out[check.property] = check.verdict == Verdict::pass || check.verdict == Verdict::fail
                              ? check.actual
                              : std::string(check.verdict == Verdict::skipped ? "left out" : "unknown");
  return out;
}

/// What two runs found differently: after a change, what was before it counts as it was found.
int diff(const Options& options, const History& history, const std::string& first, const std::string& second) {
  using Answers = std::map<std::array<std::string, 4>, std::string>;  // host, item, resource, property
  std::array<Answers, 2> found;
  std::array<std::set<std::array<std::string, 3>>, 2> looked;
  std::array<std::int64_t, 2> ids{};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto run = history.run(i == 0 ? first : second);
    if (!run) return complain(run.error());
    ids[i] = run->id;
    const auto hosts = history.hosts_of(run->id);
    if (!hosts) return complain(hosts.error());
    for (const HostRecord& host : *hosts)
      for (const Step& step : host.steps) {
        if (!was_looked_at(step)) continue;
        looked[i].insert({host.host, step.item, step.id});
        for (auto& [property, answer] : answers_of(step)) found[i][{host.host, step.item, step.id, property}] = answer;
      }
  }
  std::size_t count = 0;
  const auto tell = [&](const std::array<std::string, 4>& key, const std::string& before, const std::string& after) {
    ++count;
    if (options.format == "json")
      put_line(Json{{"host", key[0]},
                    {"item", key[1]},
                    {"id", key[2]},
                    {"property", key[3]},
                    {"before", before},
                    {"after", after}});
    else
      put(fmt::format("{}  {}  {}  {}{} → {}\n", printable(key[0]), printable(key[1]), printable(key[2]),
                      key[3].empty() ? "" : printable(key[3]) + " ", printable(before), printable(after)));
  };
  for (const auto& [key, before] : found[0]) {
    const auto after = found[1].find(key);
    if (after != found[1].end()) {
      if (after->second != before) tell(key, before, after->second);
    } else if (!looked[1].contains({key[0], key[1], key[2]})) {
      tell(key, before, "not looked at");
    }
  }
  for (const auto& [key, after] : found[1])
    if (!found[0].contains(key) && !looked[0].contains({key[0], key[1], key[2]})) tell(key, "not looked at", after);
  if (options.format != "json")
    put(count == 0
            ? fmt::format("runs {} and {} found the same\n", ids[0], ids[1])
            : fmt::format("{} difference{} between run {} and run {}\n", count, count == 1 ? "" : "s", ids[0], ids[1]));
  return count == 0 ? exit_ok : exit_differences;
}

int prune(const Options& options) {
  const auto keep = parse_span(options.keep);
  if (!keep) return complain(keep.error());
  const auto history = open_history(options, history::Access::write);
  if (!history) return complain(history.error());
  const auto pruned = (*history)->prune(Timestamp{wall_clock().micros - *keep * 1'000'000}, SIZE_MAX >> 1U);
  if (!pruned) return complain(pruned.error());
  put(fmt::format("{} run{} and {} finding{} forgotten\n", pruned->runs, pruned->runs == 1 ? "" : "s", pruned->findings,
                  pruned->findings == 1 ? "" : "s"));
  return exit_ok;
}

}  // namespace

int history_verb(const Options& options) {
  const std::vector<std::string>& words = options.words;
  const std::string what = words.empty() ? "" : words.front();
  const auto wants = [&](std::size_t count, const char* usage) -> std::optional<int> {
    if (words.size() == count) return std::nullopt;
    return complain(Error{Errc::invalid, fmt::format("say `converge history {}`", usage), {}, {}});
  };
  if (what == "prune") {
    if (const auto wrong = wants(1, "prune [--keep 90d]")) return *wrong;
    return prune(options);
  }
  const auto history = open_history(options, history::Access::read);
  if (!history) return complain(history.error());
  if (what == "show") {
    if (const auto wrong = wants(2, "show RUN")) return *wrong;
    return show(options, **history, words[1]);
  }
  if (what == "diff") {
    if (const auto wrong = wants(3, "diff RUN RUN")) return *wrong;
    return diff(options, **history, words[1], words[2]);
  }
  if (words.size() > 1)
    return complain(Error{Errc::invalid,
                          fmt::format("there is no `converge history {}`", printable(join(words, " "))),
                          {},
                          "say a host, or show, diff or prune"});
  return list(options, **history, what);
}

}  // namespace converge::cli
