// Commands and units, and the answers gathered ahead.
#include <fmt/format.h>

#include <algorithm>

#include "system/posix_internal.h"
#include "system/posix_system.h"
#include "system/process.h"
#include "system/systemd.h"

namespace converge {
namespace {

template <class List>
auto find_command(List& list, const Command& command) {
  return std::find_if(list.begin(), list.end(), [&](const auto& each) { return each.command == command; });
}

}  // namespace

Result<Launch> PosixSystem::launch_of(const Command& command) const {
  Launch launch;
  launch.command = &command;
  if (command.as && privileged_) {
    auto ids = groups(*command.as);
    if (!ids) return std::move(ids).error();
    launch.groups = *std::move(ids);
  }
  if (command.as) {
    if (!privileged_ && command.as->uid != ::geteuid()) {
      return Error{Errc::permission,
                   fmt::format("cannot run '{}' as user '{}': that needs root", command.text(), command.as->name),
                   {},
                   "run converge as root"};
    }
    launch.home = command.as->home.str();
  } else if (auto home = home_of_ours()) {
    launch.home = *std::move(home);
  }
  return launch;
}

Result<CommandOutput> PosixSystem::run_now(const Command& command) const {
  auto launch = launch_of(command);
  if (!launch) return std::move(launch).error();
  return memory_.jobs.answer(memory_.jobs.start(*std::move(launch)));
}

void PosixSystem::forget(const std::optional<Person>& who) const {
  if (!who || who->uid == 0 || !privileged_) return forget();
  memory_.units.clear();
  memory_.asked.remove_if([this](const Asked& asked) {
    if (asked.command.rests_on_root_alone) return false;
    if (!asked.answer) memory_.jobs.drop(asked.job);
    return true;
  });
}

Result<CommandOutput> PosixSystem::query(const Command& command) const {
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  const auto asked = find_command(memory_.asked, command);
  if (asked == memory_.asked.end()) return run_now(command);
  if (!asked->answer) asked->answer = memory_.jobs.answer(asked->job);
  return *asked->answer;
}

Result<CommandOutput> PosixSystem::run(const Command& command) {
  forget(command.as);
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  return run_now(command);
}

Status PosixSystem::start(const Command& command) {
  forget(command.as);
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  Asked& begun = begun_.emplace_back(Asked{.command = command, .job = 0, .answer = {}});
  auto launch = launch_of(begun.command);
  if (!launch) {
    begun_.pop_back();
    return std::move(launch).error();
  }
  begun.job = begun_jobs_.start(*std::move(launch));
  return ok();
}

bool PosixSystem::finished(const Command& command) {
  const auto begun = find_command(begun_, command);
  return begun == begun_.end() || begun_jobs_.ended(begun->job);
}

Result<CommandOutput> PosixSystem::finish(const Command& command) {
  const auto begun = find_command(begun_, command);
  if (begun == begun_.end()) return run(command);
  auto answer = begun_jobs_.answer(begun->job);
  begun_.erase(begun);
  forget(command.as);  // what was told while it was under way
  return answer;
}

void PosixSystem::wait(std::chrono::milliseconds time) {
  // What was told of the moment before is not to be told again; what is being asked goes on.
  memory_.units.clear();
  memory_.asked.remove_if([](const Asked& asked) { return asked.answer.has_value(); });
  memory_.jobs.pass(time);
}

Result<UnitProperties> PosixSystem::unit(std::string_view unit) const {
  if (!live_) return not_live(fmt::format("asking for unit '{}'", unit));
  if (const auto it = memory_.units.find(unit); it != memory_.units.end()) return it->second;
  auto answers = unit_properties({std::string(unit)});
  return std::move(answers.begin()->second);
}

std::map<std::string, Result<UnitProperties>, std::less<>> PosixSystem::unit_states(
    const std::vector<std::string>& units) const {
  return live_ ? unit_properties(units, true) : SystemView::unit_states(units);
}

void PosixSystem::expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const {
  if (!live_) return;
  for (const auto& command : queries) {
    if (find_command(memory_.asked, command) != memory_.asked.end()) continue;
    Asked& asked = memory_.asked.emplace_back(Asked{.command = command, .job = 0, .answer = {}});
    if (auto launch = launch_of(asked.command)) {
      asked.job = memory_.jobs.start(*std::move(launch));
    } else {
      asked.answer = std::move(launch).error();
    }
  }
  std::vector<std::string> wanted;
  for (const auto& unit : units) {
    if (!memory_.units.contains(unit)) wanted.push_back(unit);
  }
  if (!wanted.empty()) memory_.units.merge(unit_properties(wanted));
}

bool PosixSystem::answered(const Command& query) const {
  const auto found = find_command(memory_.asked, query);
  return found == memory_.asked.end() || found->answer || memory_.jobs.ended(found->job);
}

}  // namespace converge
