#include "cli/become.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/interrupt.h"
#include "core/text.h"

namespace converge::cli {

Error become_root(const Options& options) {
  std::error_code failed;  // sudo's own PATH need not have us
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return Error{Errc::io, "cannot tell where this program is: " + failed.message(), {}, "run it with sudo"};
  std::vector<std::string> words{"sudo"};
  if (!options.ask_become_password) words.emplace_back("-n");
  words.insert(words.end(), {"--", program.string()});
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  (void)execvp("sudo", argv.data());
  return Error{Errc::permission,
               fmt::format("cannot become root: cannot run 'sudo': {}", strerror(errno)),
               {},
               "log in as root, or install sudo"};
}

namespace {

/// Who holds the run lock, for a second run.
std::string holder_note() {
  const char* user = std::getenv("SUDO_USER");
  if (user == nullptr) user = std::getenv("USER");
  const Timestamp now{
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count()};
  return fmt::format("the run of {} (pid {}, since {})", user == nullptr ? "root" : user, getpid(), now.text());
}

}  // namespace

Result<RunLock> take_run_lock(const AbsPath& root, const Options& options) {
  bool said = false;
  const auto wait = [&](const std::string& holder) {
    if (!options.wait || interrupted()) return false;
    if (!std::exchange(said, true)) fmt::print(stderr, "waiting for {} to end\n", holder);
    return true;
  };
  return RunLock::take(root, holder_note(), wait);
}

int exit_without_lock(const Error& why) {
  if (interrupted()) return exit_interrupted;
  return why.code == Errc::changed ? exit_busy : exit_failed;
}

}  // namespace converge::cli
