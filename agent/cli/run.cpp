// apply, plan and verify: which hosts are this machine, with which rights, under which lock; then the engine.
#include <fmt/core.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "checks/gossfile.h"
#include "cli/become.h"
#include "cli/elsewhere.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/log.h"
#include "cli/notify.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/saved_plan.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "remote/deadline.h"
#include "report/reporter.h"
#include "system/lock.h"
#include "system/posix_system.h"
#include "system/tracing.h"
#include "undo/store.h"

namespace converge::cli {
namespace {

using Clock = std::chrono::steady_clock;

Verb verb_of(const Options& options) {
  return options.check ? Verb::plan : verb_from(options.verb).value_or(Verb::apply);
}

/// Keeps the names for -l @failed; none: there is nothing to try again. A home that cannot be written costs only that.
void remember_failed(const std::vector<std::string>& hosts, Log& log) {
  namespace fs = std::filesystem;
  const fs::path file = failed_file();
  if (file.empty()) return;
  std::error_code failed;
  if (hosts.empty()) {
    fs::remove(file, failed);
    return;
  }
  fs::create_directories(file.parent_path(), failed);
  if (!replace_file(file, join(hosts, "\n") + "\n"))
    log.warning(fmt::format("cannot keep the names of the hosts that failed in '{}'", file.string()));
}

std::string digest_of_items(const SavedPlan& plan, const Options& options, Loaded& loaded, const std::string& host,
                            const Facts& facts) {
  Sources sources;
  Diagnostics told;  // when the work was made
  return digest_of_items(plan, items_for(options, loaded, host, facts_value(facts), sources, told));
}

/// Looks again at what the plan would change.
Status still_holds(const SavedPlan& plan, const Options& options, Loaded& loaded, const Facts& facts,
                   const std::vector<std::pair<std::string, std::vector<Work>>>& work, const SystemView& view) {
  std::vector<std::string> lines;
  for (const SavedPlan::Host& host : plan.hosts) {
    const auto its = std::find_if(work.begin(), work.end(), [&](const auto& each) { return each.first == host.name; });
    if (its == work.end() || digest_of_items(plan, options, loaded, host.name, facts) != host.items)
      return Error{
          Errc::refused,
          fmt::format("the specs are no longer what was planned for '{}'; nothing has been changed", host.name),
          {},
          "plan again"};
    Planning now(plan, view, facts, nullptr, false);
    (void)converge::plan(its->second, view, now, {.diff = true});
    for (const std::string& line : differences(host, now.take())) lines.push_back(host.name + "  " + line);
  }
  if (lines.empty()) return ok();
  lines.emplace_back("plan again");
  return Error{Errc::refused, "the plan no longer holds, and nothing has been changed", {}, join(lines, "\n")};
}

/// A plug-in of Nagios has four exit codes of its own: 2 is critical, 3 is unknown.
int exit_for(const Options& options, int code) {
  const auto outputs = parse_outputs(options.formats);
  const bool plug_in = outputs && std::any_of(outputs->begin(), outputs->end(), [](const Output& each) {
                         return each.name == "nagios" && each.file.empty();
                       });
  if (!plug_in || options.as_goss || code == exit_ok) return code;
  return code == exit_failed || code == exit_differences ? 2 : 3;
}

}  // namespace

int run_verb(const Options& typed) {
  if (!typed.add.empty() || !typed.auto_add.empty()) return add_verb(typed);
  if (!typed.serve.empty() && !typed.deadline.empty())
    return complain(Error{Errc::invalid, "--deadline is about one run, and --serve stays", {}, "leave one of them out"},
                    exit_usage);
  if (!typed.serve.empty()) return serve_verb(typed);
  const auto start = Clock::now();
  Options options = typed;
  std::optional<SavedPlan> planned;
  if (typed.verb == "apply" && typed.specs.size() == 1 && is_saved_plan(typed.specs.front())) {
    auto read = read_plan(typed.specs.front());
    if (!read) return complain(read.error(), exit_bad_input);
    auto as_planned = options_of(*read, typed);
    if (!as_planned) return complain(as_planned.error(), exit_usage);
    planned = *std::move(read);
    options = *std::move(as_planned);
  }
  const Verb verb = verb_of(options);
  if (const auto outputs = parse_outputs(options.formats); !outputs) return complain(outputs.error(), exit_usage);
  if (const auto how = parse_format_options(options.format_options); !how) return complain(how.error(), exit_usage);
  const auto time =
      options.deadline.empty() ? std::optional(std::chrono::milliseconds(0)) : checks::parse_duration(options.deadline);
  if (!time || (!options.deadline.empty() && time->count() < 1))
    return complain(
        Error{Errc::invalid, fmt::format("'{}' is no deadline", options.deadline), {}, "write 30s, 1m30s or 500ms"},
        exit_usage);
  Diagnostics diagnostics;
  Loaded loaded;
  bool good = load_inventory(options, false, loaded, diagnostics);
  good = load_specs(options, loaded, diagnostics) && good;
  good = load_gossfile_options(options, loaded, diagnostics) && good;
  // With hosts to look for, go on even so: mistakes in values are reported together with those of form.
  const bool hosts_known = !loaded.hosts.empty();
  if (!good && !hosts_known) {
    (void)print_diagnostics(diagnostics);
    return exit_bad_input;
  }

  if (planned)
    if (const auto same = same_extra(*planned, loaded); !same) return complain(same.error(), exit_usage);
  const auto root = root_of(options);
  if (!root) return complain(root.error(), exit_usage);
  auto opened = open_system(*root, options.at_once);
  if (!opened) return complain(opened.error(), exit_failed);
  Log log(log_level_of(options));
  undo::JournalingSystem journaling(**opened);
  TracingSystem traced(journaling, [&log](const std::string& line) { log.debug(line); });
  System* const system = log.takes(LogLevel::debug) ? static_cast<System*>(&traced) : &journaling;
  auto facts = gather_facts(*system);
  if (!facts) return complain(facts.error().during("gathering facts"), exit_unknown);

  std::vector<std::string> local, elsewhere;
  for (const std::string& host : loaded.hosts)
    (is_local(options, loaded, host, *facts) ? local : elsewhere).push_back(host);
  log.info(fmt::format("this is '{}' ({} {}, init {}); it stands for {}", facts->hostname, facts->os_id,
                       facts->os_version, facts->init, local.empty() ? "no host of these" : join(local, ", ")));
  if (local.size() > 1 && options.root == "/") {
    return complain(Error{Errc::invalid,
                          fmt::format("this machine cannot be {} hosts at once: {}", local.size(), join(local, ", ")),
                          {},
                          "name one of them with -l"},
                    exit_usage);
  }

  if (!elsewhere.empty() && (planned || !options.out.empty()))
    return complain(Error{Errc::unsupported,
                          fmt::format("saved plans are for this machine and --root trees, and '{}' is another machine",
                                      elsewhere.front()),
                          {},
                          "plan and apply on that host itself"},
                    exit_usage);
  if (!elsewhere.empty() && !options.package_manager.empty())
    return complain(Error{Errc::invalid,
                          "--package is about this machine, and there are other hosts",
                          {},
                          "leave it out: each host's package manager is found there"},
                    exit_usage);

  std::vector<std::pair<std::string, std::vector<Work>>> work;
  for (const std::string& host : local)
    work.emplace_back(host, work_for(options, loaded, host, system, *facts, diagnostics));
  elsewhere = check_elsewhere(options, loaded, std::move(elsewhere), *facts, diagnostics);
  if (print_diagnostics(diagnostics) || !good) return exit_bad_input;

  const bool writes = verb == Verb::apply && !local.empty();
  const bool wants_root =
      options.become || (!local.empty() && plain_variable(loaded, local.front(), "ansible_become") == "true");
  if (options.root == "/" && !local.empty() && !facts->privileged) {
    if (wants_root) return complain(become_root(options), exit_failed);
    if (writes)
      return complain(Error{Errc::permission,
                            "this needs root's rights, and nothing has been changed",
                            {},
                            "run it with sudo, or add -b (--become)"},
                      exit_failed);
  }

  std::optional<Secret> password;
  if (options.ask_become_password && !elsewhere.empty()) {
    password = ask_secret("BECOME password: ");
    if (!password)
      return complain(
          Error{Errc::invalid, "-K has no terminal to ask for the password on", {}, "allow NOPASSWD in sudoers"},
          exit_usage);
  }
  catch_interrupts();
  std::optional<RunLock> lock;
  if (writes) {
    auto taken = take_run_lock(*root, options);
    if (!taken) return complain(taken.error(), exit_without_lock(taken.error()));
    lock.emplace(std::move(*taken));
    log.info("the run lock is ours");
    if (planned)
      if (const auto holds = still_holds(*planned, options, loaded, *facts, work, *system); !holds)
        return complain(holds.error(), exit_failed);
  }
  std::optional<SavedPlan> saving;
  if (!options.out.empty()) {
    auto begun = begin_plan(options, loaded);
    if (!begun) return complain(begun.error(), exit_internal);
    saving = *std::move(begun);
  }

  const auto spent = [](Clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - since);
  };
  const bool several = local.size() + elsewhere.size() > 1;
  std::vector<Error> unwritten;
  auto told = reporter_for(options, verb, several, unwritten);
  // Who is told is told from this machine, whatever tree was looked at, and that is nothing to undo.
  std::unique_ptr<System> outside;
  if (options.root != "/" && (!options.on_drift.empty() || !options.webhook.empty())) {
    auto machine = open_system(AbsPath("/"));
    if (!machine) return complain(machine.error(), exit_failed);
    outside = *std::move(machine);
  }
  if (auto others = notifier(options, outside ? *outside : **opened, log)) {
    std::vector<std::unique_ptr<Reporter>> both;
    both.push_back(std::move(told));
    both.push_back(std::move(others));
    told = several_reporters(std::move(both));
  }
  const std::string run_id = remote::random_id();
  std::unique_ptr<Reporter> remembering;
  if (verb != Verb::plan && options.gossfiles.empty() && (verb == Verb::drift || !history_file(options).empty()))
    remembering =
        recording_reporter({options, verb, loaded, *system, {local.begin(), local.end()}, run_id, log}, *told);
  Reporter* const reporter = remembering ? remembering.get() : told.get();
  undo::JournalFile journal(undo_directory(options), run_id);
  if (writes && !undo_directory(options).empty())
    journaling.keep_in(journal, {run_id, join(local, ", "), root->str(), who_runs(), system->now()});
  std::size_t item_width = 0;
  for (const auto& [host, items] : work)
    for (const Work& item : items) item_width = std::max(item_width, item.item.size());
  if (!elsewhere.empty() && !options.gossfiles.empty()) item_width = std::max<std::size_t>(item_width, 12);
  if (!elsewhere.empty())
    for (const spec::Spec& spec : loaded.specs)
      for (const spec::RawItem& item : spec.items) item_width = std::max(item_width, item.name.size());
  std::vector<std::string> hosts = local;
  hosts.insert(hosts.end(), elsewhere.begin(), elsewhere.end());
  reporter->run_begins({verb, hosts, root->str(), CONVERGE_VERSION, item_width});
  int code = exit_ok;
  std::vector<std::string> failed;
  for (const auto& [host, items] : work) {
    const auto since = Clock::now();
    HostObserver observer(*reporter, host);
    std::optional<Planning> planning;
    if (saving) planning.emplace(*saving, *system, *facts, &observer, options.diff);
    Observer& told_of = planning ? static_cast<Observer&>(*planning) : observer;
    const RunOptions how{options.diff || saving || remembering, [] { return interrupted(); }};
    const Tally tally = time->count() > 0 ? remote::look_until({since + *time, remote::shown(*time)}, verb, items,
                                                               told_of, how, *root, options.at_once)
                                          : converge::run(verb, items, *system, told_of, how);
    if (saving)
      saving->hosts.push_back({host, digest_of_items(*saving, options, loaded, host, *facts), planning->take()});
    reporter->host_ends(host, tally, spent(since));
    const int its = exit_code(verb, tally);
    if (its != exit_ok && its != exit_differences) failed.push_back(host);
    code = worse(code, its);
  }
  if (auto kept = journaling.problem() ? Status(*journaling.problem()) : journal.finish(system->now()); !kept)
    log.warning(fmt::format("this run cannot be undone: {}", kept.error().text()));
  lock.reset();  // nothing more happens here; telling others may take its time
  if (!elsewhere.empty()) {
    FleetOrder order{.verb = verb, .hosts = elsewhere, .password = password ? &*password : nullptr, .run = run_id};
    order.remember = remembering != nullptr && !history_file(options).empty();
    if (order.remember) order.looked = last_looks(options);
    const FleetRun fleet = run_elsewhere(options, loaded, order, *reporter);
    code = worse(code, fleet.code);
    for (const std::string& host : elsewhere)  // in the inventory's order, not in that of their ends
      if (std::find(fleet.failed.begin(), fleet.failed.end(), host) != fleet.failed.end()) failed.push_back(host);
  }
  if (several || loaded.hosts.size() > 1 || options.limit.find("@failed") != std::string::npos)
    remember_failed(failed, log);
  reporter->run_ends(code, spent(start));
  if (saving) {
    if (code != exit_ok && code != exit_differences)
      return complain(Error{Errc::refused, "the plan is not kept: not all of it can be done, or is known", {}, {}},
                      code);
    if (const auto kept = write_plan(options.out, *saving); !kept) return complain(kept.error(), exit_internal);
    if (options.format == "text")
      fmt::print("kept: `converge apply {}` does exactly that, or nothing\n", printable(options.out));
  }
  for (const Error& error : unwritten) return complain(error, exit_internal);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    log.error(fmt::format("the report could not be written; the run itself ended with exit code {}", code));
    return exit_internal;
  }
  return exit_for(options, code);
}

}  // namespace converge::cli
