// schedule: a drift check that runs by itself on this host, as a resource like any other.
#include <fmt/core.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

#include "cli/become.h"
#include "cli/load.h"
#include "cli/log.h"
#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "remote/bootstrap.h"
#include "system/lock.h"
#include "system/posix_system.h"
#include "undo/journaling.h"
#include "undo/store.h"

namespace converge::cli {
namespace {

namespace fs = std::filesystem;

/// Nobody but root can change what is run: neither it nor a directory it lies in.
Status only_roots(const fs::path& program) {
  for (fs::path part = program;; part = part.parent_path()) {
    struct stat status = {};
    if (lstat(part.c_str(), &status) != 0)
      return Error{Errc::io, fmt::format("cannot look at '{}'", part.string()), {}, {}};
    if (status.st_uid != 0 || (status.st_mode & 022U) != 0)
      return Error{
          Errc::refused,
          fmt::format("'{}' can be changed by others than root, and the timer would run it as root", part.string()),
          {},
          fmt::format("install it first: install -m 755 {} /usr/local/bin/converge; then run that one",
                      program.string())};
    if (part == part.parent_path()) return ok();
  }
}

/// The user besides root whose inventory and specs the timer is to trust: whoever runs this by sudo, if they are
/// theirs.
Result<std::string> owner_to_trust(const fs::path& directory) {
  std::optional<uid_t> owner;
  for (const char* name : {"inventory", "specs"}) {
    struct stat status = {};
    if (stat((directory / name).c_str(), &status) != 0)
      return Error{Errc::not_found,
                   fmt::format("there is no '{}' in '{}'", name, directory.string()),
                   {},
                   "go to the directory the timer is to run in: it has inventory and specs"};
    if (status.st_uid != 0) owner = status.st_uid;
  }
  if (!owner) return std::string();
  if (spec::caller_of_sudo() != owner)
    return Error{
        Errc::refused,
        fmt::format("inventory and specs in '{}' belong to uid {}, who is not you", directory.string(), *owner),
        {},
        "run this by sudo as that user, or give them to root"};
  const struct passwd* entry = getpwuid(*owner);
  return entry == nullptr ? std::to_string(*owner) : std::string(entry->pw_name);
}

spec::Value parameters_of(const Options& options, const std::string& host, const std::string& directory,
                          const std::string& program, const std::string& owner) {
  spec::Map map;
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) map.push_back({key, {}, spec::Value(text, {}, true)});
  };
  add("limit", host);
  add("directory", directory);
  add("every", options.every);
  add("splay", options.splay);
  add("program", program);
  add("trust_owner", owner);
  add("textfile", options.textfile);
  add("webhook", options.webhook);
  if (options.heal) map.push_back({"apply", {}, spec::Value(true)});
  if (!options.on_drift.empty()) {
    spec::List words;
    for (const std::string& word : options.on_drift) words.emplace_back(word, SourcePos{}, true);
    map.push_back({"on_drift", {}, spec::Value(std::move(words))});
  }
  if (options.words.front() == "remove") add("state", "absent");
  return spec::Value(std::move(map));
}

/// What systemd says of timer and service, in its own words.
int put_status(const SystemView& view) {
  const auto there = [&](const char* path) {
    const auto state = view.look(AbsPath(path));
    return state && !std::holds_alternative<Absent>(*state);
  };
  const auto none = [] {
    fmt::print("no drift check is scheduled on this host\n");
    return exit_failed;
  };
  constexpr const char* timer_file = "/etc/systemd/system/converge-drift.timer";
  if (!view.is_live() && there(timer_file)) {
    const auto seen = view.read(AbsPath(timer_file), 64_KiB);
    if (!seen) return complain(seen.error(), exit_unknown);
    for (const std::string_view raw : split_lines(seen->content))
      if (const std::string_view line = without_ending(raw); line.starts_with("OnCalendar="))
        fmt::print("timer    {}, in a tree that is not running\n", printable(line));
    return exit_ok;
  }
  if (!there("/run/systemd/system")) {
    for (const char* table : {"/etc/crontabs/root", "/etc/cron.d/converge-drift"}) {
      const auto seen = view.read(AbsPath(table), 1_MiB);
      if (!seen) continue;
      for (const std::string_view raw : split_lines(seen->content)) {
        const std::string_view line = without_ending(raw);
        if (line.starts_with('#') || line.find("'-l'") == std::string_view::npos) continue;
        fmt::print("by cron  {}\n", printable(line));
        return exit_ok;
      }
    }
    return none();
  }
  if (!there(timer_file)) return none();
  std::map<std::string, std::string> timer, service;
  for (const auto& [unit, values] :
       {std::pair{"converge-drift.timer", &timer}, std::pair{"converge-drift.service", &service}}) {
    const auto answer = view.query({.argv = {"systemctl", "show", unit}});
    if (!answer) return complain(answer.error(), exit_unknown);
    for (const std::string_view raw : split_lines(answer->out)) {
      const std::string_view line = without_ending(raw);
      const std::size_t equals = line.find('=');
      if (equals != std::string_view::npos) values->emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  const bool ticks = timer["ActiveState"] == "active";
  const auto or_never = [](const std::string& text) { return text.empty() ? "never" : text; };
  fmt::print("timer    {}, {} at boot\n", ticks ? "active" : "not active", timer["UnitFileState"]);
  fmt::print("next     {}\n", ticks ? or_never(timer["NextElapseUSecRealtime"]) : "never");
  fmt::print("last     {}\n", or_never(timer["LastTriggerUSec"]));
  if (const std::string ended = service["ExecMainExitTimestamp"]; !ended.empty()) {
    const std::string status = service["ExecMainStatus"];
    fmt::print("ended    {}, exit {}{}\n", ended, status,
               status == "0"   ? " (in sync)"
               : status == "2" ? " (drift)"
               : status == "4" ? " (something could not be determined)"
                               : "");
  }
  return ticks ? exit_ok : exit_failed;
}

/// The one host of the inventory that is this machine.
Result<std::string> this_host(const Options& options, const Loaded& loaded, const Facts& facts) {
  std::vector<std::string> hosts;
  for (const std::string& host : loaded.hosts)
    if (!options.connection.empty() || is_local(options, loaded, host, facts)) hosts.push_back(host);
  if (hosts.size() == 1) return hosts.front();
  return Error{Errc::invalid,
               hosts.empty() ? fmt::format("no host of the inventory is this machine ('{}')", facts.hostname)
                             : fmt::format("{} hosts of the inventory are this machine", hosts.size()),
               {},
               "name it: -l HOST -c local"};
}

}  // namespace

int schedule_verb(const Options& options) {
  const std::string what = options.words.size() == 1 ? options.words.front() : "";
  if (what != "install" && what != "remove" && what != "status")
    return complain(Error{Errc::invalid, "say `converge schedule install`, `remove` or `status`", {}, {}}, exit_usage);
  const auto root = root_of(options);
  if (!root) return complain(root.error(), exit_usage);
  auto system = open_system(*root);
  if (!system) return complain(system.error(), exit_failed);
  auto facts = gather_facts(**system);
  if (!facts) return complain(facts.error(), exit_unknown);
  if (what == "status") return put_status(**system);
  if (facts->live && !facts->privileged)
    return complain(
        Error{Errc::permission, "this needs root's rights, and nothing has been changed", {}, "run it with sudo"},
        exit_failed);

  std::error_code failed;
  const fs::path directory = fs::current_path(failed), program = fs::read_symlink("/proc/self/exe", failed);
  std::string host = "removed", owner;
  Diagnostics diagnostics;
  Loaded loaded;
  if (what == "install") {
    if (options.inventory != "inventory")
      return complain(Error{Errc::invalid,
                            "the timer reads inventory and specs of the directory it runs in",
                            {},
                            "go to that directory, and leave -i out"},
                      exit_usage);
    if (!options.extra_vars.empty())
      return complain(Error{Errc::invalid,
                            "the timer has no -e: it would look for other values than you",
                            {},
                            "put them into the inventory: group_vars or host_vars"},
                      exit_usage);
    const bool good = load_inventory(options, true, loaded, diagnostics);
    if (print_diagnostics(diagnostics) || !good) return exit_bad_input;
    auto one = this_host(options, loaded, *facts);
    if (!one) return complain(one.error(), exit_usage);
    host = std::move(*one);
    if (facts->live) {
      if (const Status safe = only_roots(program); !safe) return complain(safe.error(), exit_failed);
      auto trusted = owner_to_trust(directory);
      if (!trusted) return complain(trusted.error(), exit_failed);
      owner = std::move(*trusted);
    }
  }
  spec::Item item{.spec = "schedule", .module = "drift_timer", .name = "drift_timer"};
  item.parameters = parameters_of(options, host, directory.string(), program.string(), owner);
  undo::JournalingSystem journaling(**system);
  auto work = render_items({item}, &journaling, *facts, diagnostics);
  if (print_diagnostics(diagnostics)) return exit_usage;

  const auto start = std::chrono::steady_clock::now();
  auto lock = take_run_lock(*root, options);
  if (!lock) return complain(lock.error(), exit_without_lock(lock.error()));
  std::vector<Error> unwritten;
  const auto reporter = reporter_for(options, Verb::apply, false, unwritten);
  const std::string shown = what == "install"          ? host
                            : !options.limit.empty()   ? options.limit
                            : !facts->hostname.empty() ? facts->hostname
                                                       : "localhost";
  const std::string run_id = remote::random_id(), kept_in = undo_directory(options);
  undo::JournalFile journal(kept_in, run_id);
  if (!kept_in.empty()) journaling.keep_in(journal, {run_id, shown, root->str(), who_runs(), journaling.now()});
  reporter->run_begins({Verb::apply, {shown}, root->str(), CONVERGE_VERSION, item.name.size()});
  HostObserver observer(*reporter, shown);
  const Tally tally = apply(work, journaling, observer, {options.diff, {}});
  if (auto kept = journaling.problem() ? Status(*journaling.problem()) : journal.finish(journaling.now()); !kept)
    Log(log_level_of(options)).warning(fmt::format("this cannot be undone: {}", kept.error().text()));
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  reporter->host_ends(shown, tally, took);
  const int code = exit_code(Verb::apply, tally);
  reporter->run_ends(code, took);
  if (code == exit_ok && !owner.empty() && options.format == "text")
    fmt::print("inventory and specs belong to {}: the timer trusts them\n", printable(owner));
  return code;
}

}  // namespace converge::cli
