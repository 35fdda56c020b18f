// undo: which runs of this host can be put back, and putting one back.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "cli/become.h"
#include "cli/interrupt.h"
#include "cli/log.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "remote/bootstrap.h"
#include "report/step_json.h"
#include "report/words.h"
#include "system/lock.h"
#include "system/posix_system.h"
#include "undo/store.h"
#include "undo/undo.h"

namespace converge::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Journals = std::vector<undo::Stored>;

void put(const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

int list(const Options& options, const Journals& journals) {
  const auto history = open_history(options, history::Access::read);  // it knows their numbers
  std::vector<std::array<std::string, 6>> rows{{"UID", "RUN", "WHEN", "HOST", "WHO", "WHAT"}};
  for (const auto& [file, journal] : journals) {
    const undo::RunHead& head = journal.head;
    const auto run = history ? (*history)->run(head.uid) : Result<history::Run>(history.error());
    const std::int64_t number = run ? run->id : 0;  // 0: it has none
    if (options.format == "json") {
      put(json_text(Json{{"uid", head.uid},
                         {"run", number > 0 ? Json(number) : Json(nullptr)},
                         {"began", head.began.micros},
                         {"host", head.host},
                         {"root", head.root},
                         {"who", head.who},
                         {"changed", journal.subjects.size()},
                         {"ended", journal.ended ? Json(journal.ended->micros) : Json(nullptr)},
                         {"undone_by", journal.undone_by.empty() ? Json(nullptr) : Json(journal.undone_by)}}) +
          "\n");
      continue;
    }
    std::string what = fmt::format("{} changed", journal.subjects.size());
    if (!journal.remarks.empty()) what += fmt::format(" · {} for good", journal.remarks.size());
    if (head.root != "/") what += " · in " + printable(head.root);
    if (!journal.ended) what += " · cut off";
    if (!journal.undone_by.empty()) what += " · undone by " + journal.undone_by.substr(0, 8);
    rows.push_back({head.uid.substr(0, 8), number > 0 ? std::to_string(number) : "-", head.began.text(),
                    printable(head.host), printable(head.who), std::move(what)});
  }
  if (options.format == "json") return exit_ok;
  put(journals.empty() ? std::string("no run is on record here\n") : in_columns(rows));
  return exit_ok;
}

bool is_number(const std::string& name) {
  std::uint64_t number = 0;
  return name.size() < 8 && parse_number(name, number);
}

/// The one that people call `name`.
Result<std::size_t> find(const Options& options, const Journals& journals, const std::string& name) {
  if (name == "last") {
    for (std::size_t i = 0; i < journals.size(); ++i)
      if (journals[i].journal.undone_by.empty()) return i;
    return Error{Errc::not_found, "no run is on record that changed this host and is not undone", {}, {}};
  }
  std::string uid = name;
  if (is_number(name)) {
    const auto history = open_history(options, history::Access::read);
    if (!history) return history.error();
    const auto run = (*history)->run(name);
    if (!run) return run.error();
    uid = run->start.uid;
  }
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < journals.size(); ++i) {
    if (uid.size() < 4 || !journals[i].journal.head.uid.starts_with(uid)) continue;
    if (found) return Error{Errc::invalid, fmt::format("several runs begin with '{}'", printable(name)), {}, {}};
    found = i;
  }
  if (found) return *found;
  return Error{
      Errc::not_found,
      fmt::format("run '{}' is not on record: it changed nothing on this host, or is too long ago", printable(name)),
      {},
      "see `converge undo` for those that are"};
}

int put_back(const Options& options, const Journals& journals, std::size_t index) {
  const auto start = Clock::now();
  const undo::Stored& stored = journals[index];
  const undo::RunHead& head = stored.journal.head;
  const auto root = AbsPath::parse(head.root);
  if (!root) return complain(root.error(), exit_internal);
  std::vector<undo::Journal> later;  // those of the same tree
  for (std::size_t i = 0; i < index; ++i)
    if (journals[i].journal.head.root == head.root && journals[i].journal.undone_by.empty())
      later.push_back(journals[i].journal);
  auto system = open_system(*root);
  if (!system) return complain(system.error(), exit_failed);

  catch_interrupts();
  std::optional<RunLock> lock;
  if (!options.check) {
    auto taken = take_run_lock(*root, options);
    if (!taken) return complain(taken.error(), exit_without_lock(taken.error()));
    lock.emplace(std::move(*taken));
  }
  const Verb verb = options.check ? Verb::plan : Verb::undo;
  Options about = options;
  about.root = head.root;
  about.formats.clear();
  std::vector<Error> unwritten;
  const auto told = reporter_for(about, verb, false, unwritten);
  const Loaded nothing{};
  Log log(log_level_of(options));
  const std::string run_id = remote::random_id();
  std::unique_ptr<Reporter> remembering;
  if (!options.check)
    remembering = recording_reporter({about, verb, nothing, **system, {head.host}, run_id, log}, *told);
  Reporter* const reporter = remembering ? remembering.get() : told.get();
  reporter->run_begins({verb, {head.host}, head.root, CONVERGE_VERSION, 4});
  HostObserver observer(*reporter, head.host);
  const undo::Undone undone = options.check ? undo::plan(stored.journal, later, **system, observer)
                                            : undo::undo(stored.journal, later, **system, observer);
  for (const std::string& what : undone.left) reporter->note(head.host, "not undone: " + what);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  reporter->host_ends(head.host, undone.tally, took);
  int code = undone.tally.total() == 0 ? exit_ok : exit_code(verb, undone.tally);
  if (!options.check && code == exit_ok)
    if (auto marked = undo::mark_undone(stored, run_id); !marked) log.warning(marked.error().text());
  reporter->run_ends(code, took);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return exit_internal;
  return code;
}

}  // namespace

int undo_verb(const Options& options) {
  if (options.words.size() > 1)
    return complain(Error{Errc::invalid, "one run at a time", {}, "say `converge undo RUN`"}, exit_usage);
  const std::string directory = undo_directory(options);
  if (directory.empty())
    return complain(Error{Errc::not_found, "no history is kept here", {}, "say where: --history FILE"}, exit_failed);
  const bool of_the_host = directory == undo::host_directory || options.history.empty();
  if (of_the_host && geteuid() != 0)
    return complain(options.become ? become_root(options)
                                   : Error{Errc::permission,
                                           "this needs root's rights, and nothing has been changed",
                                           {},
                                           "run it with sudo, or add -b (--become)"},
                    exit_failed);
  auto journals = undo::journals_in(directory);
  if (!journals && journals.error().code == Errc::not_found) journals = Journals{};
  if (!journals) return complain(journals.error(), exit_failed);
  if (options.words.empty()) return list(options, *journals);
  const auto index = find(options, *journals, options.words.front());
  if (!index) return complain(index.error(), index.error().code == Errc::invalid ? exit_usage : exit_failed);
  return put_back(options, *journals, *index);
}

}  // namespace converge::cli
