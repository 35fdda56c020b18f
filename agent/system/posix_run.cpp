// Commands and units, and the answers gathered ahead.
#include <fmt/format.h>

#include <algorithm>

#include "system/posix_internal.h"
#include "system/posix_system.h"
#include "system/process.h"
#include "system/systemd.h"

namespace converge {
namespace {

constexpr std::size_t max_parallel = 8;

}  // namespace

std::vector<Result<CommandOutput>> PosixSystem::run_commands(const std::vector<Command>& commands) const {
  std::vector<Result<CommandOutput>> answers;
  std::vector<Launch> launches;
  std::vector<std::size_t> which;
  for (const auto& command : commands) {
    Launch launch;
    launch.command = &command;
    std::optional<Error> failed;
    if (command.as) {
      launch.home = command.as->home.str();
      if (privileged_) {
        auto ids = groups(*command.as);
        if (ids) {
          launch.groups = *std::move(ids);
        } else {
          failed = std::move(ids).error();
        }
      } else if (command.as->uid != ::geteuid()) {
        failed = Error{Errc::permission,
                       fmt::format("cannot run '{}' as user '{}': that needs root", command.text(), command.as->name),
                       {},
                       "run converge as root"};
      }
    } else {
      auto home = home_of_ours();
      if (home) launch.home = *std::move(home);
    }
    answers.emplace_back(failed ? *failed : Error{});
    if (!failed) {
      launches.push_back(std::move(launch));
      which.push_back(answers.size() - 1);
    }
  }
  auto outputs = run_all(launches, max_parallel);
  for (std::size_t i = 0; i < outputs.size(); ++i) answers[which[i]] = std::move(outputs[i]);
  return answers;
}

Result<CommandOutput> PosixSystem::query(const Command& command) const {
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  for (const auto& [known, answer] : memory_.commands) {
    if (known == command) return answer;
  }
  return std::move(run_commands({command}).front());
}

Result<CommandOutput> PosixSystem::run(const Command& command) {
  forget();
  if (!live_) return not_live(fmt::format("running '{}'", command.text()));
  return std::move(run_commands({command}).front());
}

Result<UnitProperties> PosixSystem::unit(std::string_view unit) const {
  if (!live_) return not_live(fmt::format("asking for unit '{}'", unit));
  if (const auto it = memory_.units.find(unit); it != memory_.units.end()) return it->second;
  auto answers = unit_properties({std::string(unit)});
  return std::move(answers.begin()->second);
}

void PosixSystem::expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const {
  if (!live_) return;
  std::vector<Command> fresh;
  for (const auto& command : queries) {
    const auto known = [&](const auto& entry) { return entry.first == command; };
    const bool old = std::any_of(memory_.commands.begin(), memory_.commands.end(), known);
    if (!old && std::find(fresh.begin(), fresh.end(), command) == fresh.end()) fresh.push_back(command);
  }
  auto answers = run_commands(fresh);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    memory_.commands.emplace_back(std::move(fresh[i]), std::move(answers[i]));
  }
  std::vector<std::string> wanted;
  for (const auto& unit : units) {
    if (!memory_.units.contains(unit)) wanted.push_back(unit);
  }
  if (!wanted.empty()) memory_.units.merge(unit_properties(wanted));
}

}  // namespace converge
