#include "engine/suspects.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "core/text.h"

namespace converge {
namespace {

constexpr std::size_t most_suspects = 8;
constexpr std::size_t most_packages = 200;  // a distribution upgrade is one event, not a thousand
constexpr Bytes list_limit = 8_MiB;

/// Resources that live in a file their name does not hold.
struct Home {
  std::string_view prefix, file;
};
constexpr std::array homes{Home{"fstab:", "/etc/fstab"},
                           Home{"limits:", "/etc/security/limits.conf"},
                           Home{"login:", "/etc/security/limits.conf"},
                           Home{"sysctl:", "/etc/sysctl.conf"},
                           Home{"user:", "/etc/passwd"},
                           Home{"group:", "/etc/group"}};

/// The absolute paths in a text: from a '/' at the beginning of a word to what cannot be of it.
void paths_in(std::string_view text, std::vector<AbsPath>& out) {
  for (std::size_t at = text.find('/'); at != std::string_view::npos; at = text.find('/', at)) {
    const bool begins = at == 0 || std::string_view(" :'\"=(").find(text[at - 1]) != std::string_view::npos;
    const std::size_t end = std::min(text.find_first_of(" :'\",;)\n", at), text.size());
    const auto path = AbsPath::parse(text.substr(at, end - at));
    if (begins && path && path->str() != "/" && std::find(out.begin(), out.end(), *path) == out.end())
      out.push_back(*path);
    at = end;
  }
}

/// "1732200000.123456" as a moment.
std::optional<Timestamp> unix_time(std::string_view text) {
  const std::size_t dot = text.find('.');
  std::uint64_t seconds = 0, micros = 0;
  if (!parse_number(text.substr(0, dot), seconds) || seconds > 100'000'000'000) return std::nullopt;
  if (dot != std::string_view::npos && !parse_number(text.substr(dot + 1), micros)) return std::nullopt;
  return Timestamp{static_cast<std::int64_t>(seconds * 1'000'000 + std::min<std::uint64_t>(micros, 999'999))};
}

}  // namespace

std::vector<AbsPath> files_of(const Finding& finding) {
  std::vector<AbsPath> out;
  paths_in(finding.resource, out);
  for (const Home& home : homes)
    if (finding.resource.starts_with(home.prefix)) paths_in(home.file, out);
  paths_in(finding.detail, out);
  return out;
}

bool Witnesses::was_within(Timestamp file_time) const {
  // A file's time is that of the kernel's last tick: up to so many microseconds before the clock's.
  constexpr std::int64_t tick = 10'000;
  return file_time.micros > after_.micros - tick && file_time <= until_;
}

std::vector<Suspect> Witnesses::of(const Finding& finding) {
  std::vector<Suspect> out;
  const std::vector<AbsPath> files = files_of(finding);
  for (const AbsPath& file : files) {
    const auto state = view_.look(file);
    const auto* regular = state ? std::get_if<RegularFile>(&*state) : nullptr;
    if (regular != nullptr && was_within(regular->modified))
      out.push_back({"edit", fmt::format("{} was written at {}", file.str(), regular->modified.text())});
  }
  std::size_t others = 0;
  std::string first;
  for (const Package& package : packages()) {
    const auto owned = std::find_if(files.begin(), files.end(),
                                    [&](const AbsPath& file) { return package.files.contains(file.str()); });
    if (owned != files.end()) {
      out.push_back({"package", fmt::format("the package {}, which owns {}, was unpacked at {}", package.name,
                                            owned->str(), package.unpacked.text())});
    } else {
      if (others++ == 0) first = fmt::format("{} at {}", package.name, package.unpacked.text());
    }
  }
  if (others > 0)
    out.push_back({"package", others == 1 ? fmt::format("a package was unpacked: {}", first)
                                          : fmt::format("{} packages were unpacked, {} among them", others, first)});
  for (const Call& call : calls()) {
    const auto named = std::find_if(files.begin(), files.end(), [&](const AbsPath& file) {
      return call.command.find(file.str()) != std::string::npos;
    });
    // Words of a command line may be secret: the program is told, and a path that we know already.
    const std::string program = call.command.substr(0, call.command.find(' '));
    if (named != files.end())
      out.push_back(
          {"sudo", fmt::format("{} ran {} on {} by sudo at {}", call.who, program, named->str(), call.when.text())});
    else
      out.push_back({"sudo", fmt::format("{} ran {} by sudo at {}", call.who, program, call.when.text())});
  }
  if (out.size() > most_suspects) out.resize(most_suspects);
  return out;
}

const std::vector<Witnesses::Package>& Witnesses::packages() {
  if (packages_) return *packages_;
  packages_.emplace();
  const AbsPath dpkg("/var/lib/dpkg/info");
  if (const auto names = view_.list(dpkg); names && *names) {
    for (const std::string& name : **names) {
      if (!name.ends_with(".list") || packages_->size() >= most_packages) continue;
      const auto state = view_.look(dpkg.child(name));
      const auto* list = state ? std::get_if<RegularFile>(&*state) : nullptr;
      if (list == nullptr || !was_within(list->modified)) continue;
      Package package{name.substr(0, name.size() - 5), list->modified, {}};
      if (const auto seen = view_.read(dpkg.child(name), list_limit))
        for (const std::string_view line : split_lines(seen->content)) package.files.emplace(without_ending(line));
      packages_->push_back(std::move(package));
    }
  }
  for (const char* database : {"/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite"}) {
    const auto state = view_.look(AbsPath(database));
    const auto* file = state ? std::get_if<RegularFile>(&*state) : nullptr;
    if (file != nullptr && was_within(file->modified)) packages_->push_back({database, file->modified, {}});
  }
  return *packages_;
}

const std::vector<Witnesses::Call>& Witnesses::calls() {
  if (calls_) return *calls_;
  calls_.emplace();
  if (!view_.is_live()) return *calls_;
  const auto seconds = [](Timestamp when) { return when.micros / 1'000'000; };
  const auto answer = view_.query({.argv = {"journalctl", "--quiet", "--no-pager", "--output=short-unix",
                                            "--identifier=sudo", fmt::format("--since=@{}", seconds(after_)),
                                            fmt::format("--until=@{}", seconds(until_) + 1), "--lines=200"},
                                   .deadline = std::chrono::seconds(5)});
  if (!answer || answer->exit_code != 0) return *calls_;
  // "1732200000.123456 host sudo[42]:  alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/vi /etc/fstab"
  for (const std::string_view line : split_lines(answer->out)) {
    const std::string_view text = without_ending(line);
    const std::size_t who = text.find("]: "), facts = text.find(" : ", who), command = text.find("COMMAND=");
    const auto when = unix_time(text.substr(0, text.find(' ')));
    if (!when || who == std::string_view::npos || facts == std::string_view::npos || command == std::string_view::npos)
      continue;
    if (*when <= after_ || *when > until_) continue;
    const std::string_view program = text.substr(command + 8, text.find(' ', command) - command - 8);
    if (program.substr(program.rfind('/') + 1) == "converge") continue;  // its own looks
    calls_->push_back({*when, printable(trim(text.substr(who + 3, facts - who - 3))),
                       printable(text.substr(command + std::string_view("COMMAND=").size()))});
  }
  return *calls_;
}

}  // namespace converge
