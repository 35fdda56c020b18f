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

#include "cli/become.h"
#include "cli/elsewhere.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/log.h"
#include "cli/notify.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "report/reporter.h"
#include "system/lock.h"
#include "system/posix_system.h"
#include "system/tracing.h"

namespace converge::cli {
namespace {

using Clock = std::chrono::steady_clock;

Verb verb_of(const Options& options) {
  return options.check ? Verb::plan : verb_from(options.verb).value_or(Verb::apply);
}

std::string holder_note() {
  const char* user = std::getenv("SUDO_USER");
  if (user == nullptr) user = std::getenv("USER");
  const Timestamp now{
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count()};
  return fmt::format("the run of {} (pid {}, since {})", user == nullptr ? "root" : user, getpid(), now.text());
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

}  // namespace

int run_verb(const Options& options) {
  if (!options.add.empty() || !options.auto_add.empty()) return add_verb(options);
  if (!options.serve.empty()) return serve_verb(options);
  const auto start = Clock::now();
  const Verb verb = verb_of(options);
  if (const auto outputs = parse_outputs(options.formats); !outputs) return complain(outputs.error(), exit_usage);
  if (const auto how = parse_format_options(options.format_options); !how) return complain(how.error(), exit_usage);
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

  const auto root = root_of(options);
  if (!root) return complain(root.error(), exit_usage);
  auto opened = open_system(*root, options.at_once);
  if (!opened) return complain(opened.error(), exit_failed);
  Log log(log_level_of(options));
  TracingSystem traced(**opened, [&log](const std::string& line) { log.debug(line); });
  System* const system = log.takes(LogLevel::debug) ? static_cast<System*>(&traced) : opened->get();
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
    auto taken = RunLock::take(*root, holder_note(), options.wait);
    if (!taken) return complain(taken.error(), taken.error().code == Errc::changed ? exit_busy : exit_failed);
    lock.emplace(std::move(*taken));
    log.info("the run lock is ours");
  }

  const auto spent = [](Clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - since);
  };
  const bool several = local.size() + elsewhere.size() > 1;
  std::vector<Error> unwritten;
  auto told = reporter_for(options, verb, several, unwritten);
  if (auto others = notifier(options, *system, log)) {
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
    const Tally tally = converge::run(verb, items, *system, observer, {options.diff, [] { return interrupted(); }});
    reporter->host_ends(host, tally, spent(since));
    const int its = exit_code(verb, tally);
    if (its != exit_ok && its != exit_differences) failed.push_back(host);
    code = worse(code, its);
  }
  if (!elsewhere.empty()) {
    lock.reset();  // nothing more happens here
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
  for (const Error& error : unwritten) return complain(error, exit_internal);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    log.error(fmt::format("the report could not be written; the run itself ended with exit code {}", code));
    return exit_internal;
  }
  return code;
}

}  // namespace converge::cli
