// trust: the SSH host keys of hosts, in one list, and into known_hosts once a person has compared them.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/elsewhere.h"
#include "cli/interrupt.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "remote/fleet.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

using remote::HostKey;

struct Row {
  std::string host, address;
  std::optional<HostKey> key;
  Error error;
};

bool agreed(std::size_t count) {
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0) {
    fmt::print(stderr,
               "converge: nothing was pinned: there is no terminal to ask on\n"
               "          compare the fingerprints, then say it again with --yes\n");
    return false;
  }
  const std::string question = fmt::format("pin {}? they must be the ones the hosts' owners told you [y/N] ",
                                           count == 1 ? "this key" : fmt::format("these {} keys", count));
  (void)!write(terminal, question.data(), question.size());
  char answer = 0, rest = 0;
  const bool yes = read(terminal, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
  for (rest = answer; rest != '\n' && read(terminal, &rest, 1) == 1;) {
  }
  (void)close(terminal);
  return yes;
}

/// Adds lines at the end of a known_hosts file; what is there stays, byte for byte.
Status pin(System& system, const std::string& file, const std::vector<std::string>& lines) {
  const auto path = AbsPath::parse(file);
  if (!path) return path.error();
  const auto person = system.look(path->parent());
  if (!person) return person.error();
  const Owner owner{geteuid(), getegid()};
  if (std::holds_alternative<Absent>(*person))
    if (auto made = system.make_directory(path->parent(), Mode{0700}, owner); !made) return made;
  auto seen = system.read(*path, 16_MiB);
  if (!seen) return std::move(seen).error();
  std::string content = seen->content;
  if (!content.empty() && content.back() != '\n') content += '\n';
  for (const std::string& line : lines) content += line + "\n";
  Mode mode{0600};
  Owner keeps = owner;
  if (const auto* regular = std::get_if<RegularFile>(&seen->state)) {
    mode = regular->mode;
    if (regular->owner) keeps = *regular->owner;
  }
  return system.write_file(*path, content, {.mode = mode, .owner = keeps, .replaces = seen->state});
}

}  // namespace

int trust_verb(const Options& options) {
  Diagnostics diagnostics;
  Loaded loaded;
  const bool good = load_inventory(options, false, loaded, diagnostics);
  std::vector<remote::Target> targets;
  std::vector<Row> rows;
  for (const std::string& host : loaded.hosts) {
    targets.push_back(reach_of(options, loaded, host, diagnostics).target);
    rows.push_back({.host = host, .address = targets.back().address});
  }
  if (print_diagnostics(diagnostics) || !good) return exit_bad_input;
  catch_interrupts();
  const remote::SshSettings settings = ssh_settings();
  (void)remote::run_fleet(
      rows.size(), {.parallel = options.parallel},
      [&](std::size_t i, const remote::Tell&) {
        auto key =
            remote::host_key(settings, targets[i], remote::Clock::now() + std::chrono::seconds(options.connect_timeout),
                             [] { return interrupted(); });
        if (key)
          rows[i].key = std::move(*key);
        else
          rows[i].error = std::move(key).error();
        return remote::HostEnd{};
      },
      [](std::size_t, const remote::News&) {}, [](std::size_t, const remote::HostEnd&) { return true; },
      [] { return interrupted(); });

  std::size_t width = 4;
  for (const Row& row : rows) width = std::max(width, printable(row.host).size());
  std::map<std::string, std::vector<std::string>> fresh;  // file to lines
  std::size_t count = 0;
  bool changed = false, unreached = false;
  for (const Row& row : rows) {
    if (!row.key) {
      unreached = true;
      fmt::print("{:{}}  unreachable  {}\n", printable(row.host), width, printable(row.error.text()));
      if (!row.error.hint.empty()) fmt::print("{:{}}  {}\n", "", width, printable(row.error.hint));
      continue;
    }
    const char* state = row.key->known == HostKey::Known::pinned    ? "pinned "
                        : row.key->known == HostKey::Known::unknown ? "new    "
                                                                    : "CHANGED";
    fmt::print("{:{}}  {}  {}  {}\n", printable(row.host), width, state, printable(row.key->fingerprint),
               printable(row.key->type));
    changed = changed || row.key->known == HostKey::Known::changed;
    if (row.key->known != HostKey::Known::unknown) continue;
    fresh[row.key->file].push_back(row.key->line);
    ++count;
  }
  if (changed)
    fmt::print(
        "a changed key is never pinned here: ask the host's owner why it changed; if it is right, forget the old "
        "one with ssh-keygen -R, and trust it again\n");
  (void)std::fflush(stdout);
  if (count > 0 && !options.yes && !agreed(count)) return exit_failed;
  const auto system = open_system(AbsPath("/"));
  for (const auto& [file, lines] : fresh) {
    const Status done = system ? pin(**system, file, lines) : Status(system.error());
    if (!done) {
      fmt::print(stderr, "converge: {}\n", printable(done.error().text()));
      return exit_failed;
    }
    fmt::print("{} pinned in {}\n", lines.size() == 1 ? "1 key" : fmt::format("{} keys", lines.size()),
               printable(file));
  }
  return changed ? exit_failed : unreached ? exit_unreachable : exit_ok;
}

}  // namespace converge::cli
