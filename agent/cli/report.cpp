// report: the fleet as one page, in a file that needs nothing else.
#include <fmt/core.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cli/fleet_page.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/diagnostic.h"
#include "core/text.h"

namespace converge::cli {
namespace {

Error no_such_host(const history::History& history, const std::string& word) {
  std::vector<std::string> known;
  if (const auto latest = history.latest())
    for (const auto& each : *latest) known.push_back(each.host);
  std::string hint = did_you_mean(word, known);
  if (hint.empty()) hint = "see `converge report` without it for all hosts";
  return {Errc::not_found, fmt::format("no host '{}' is remembered", printable(word)), {}, std::move(hint)};
}

}  // namespace

int report_verb(const Options& options) {
  const auto since = parse_span(options.since);
  if (!since) return complain(since.error());
  const auto stale = parse_span(options.stale);
  if (!stale) return complain(stale.error());
  if (options.output.empty() && isatty(STDOUT_FILENO) == 1)
    return complain(Error{Errc::invalid, "a page is not for a terminal", {}, "name a file: -o report.html"});
  const auto history = open_history(options, history::Access::read);
  if (!history) return complain(history.error());
  const Timestamp now = wall_clock();
  std::vector<bool> used(options.words.size());
  PageWish wish{.now = now,
                .since = Timestamp{now.micros - *since * 1'000'000},
                .stale = std::chrono::seconds(*stale),
                .wanted = {}};
  if (!options.words.empty())
    wish.wanted = [&](const std::string& host) {
      bool any = false;
      for (std::size_t i = 0; i < used.size(); ++i)
        if (fnmatch(options.words[i].c_str(), host.c_str(), 0) == 0) any = used[i] = true;
      return any;
    };
  const auto fleet = page_fleet(**history, wish);
  if (!fleet) return complain(fleet.error());
  if (const auto unused = std::find(used.begin(), used.end(), false); unused != used.end())
    return complain(no_such_host(**history, options.words[static_cast<std::size_t>(unused - used.begin())]));
  const Json data = to_json(*fleet);
  const std::string page = page_of(&data);
  if (options.output.empty() || options.output == "-") {
    if (std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0) return exit_ok;
    return complain(Error{Errc::io, "cannot write the report", {}, {}});
  }
  if (auto done = replace_file(options.output, page); !done) return complain(done.error());
  return exit_ok;
}

}  // namespace converge::cli
