#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>

#include "cli/options.h"

namespace converge::cli {
namespace {

// A signal handler may do little more than say that it was here.
std::atomic<int> count{0};
static_assert(std::atomic<int>::is_always_lock_free);

void on_interrupt(int /*signal*/) {
  if (count.fetch_add(1) > 0) _exit(exit_interrupted);
  constexpr std::string_view said = "\ninterrupted: what is in hand is finished; once more stops at once\n";
  (void)!write(STDERR_FILENO, said.data(), said.size());
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  (void)sigaction(SIGINT, &action, nullptr);
  (void)sigaction(SIGTERM, &action, nullptr);
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &ignore, nullptr);
  (void)sigaction(SIGHUP, &ignore, nullptr);
}

bool interrupted() { return count > 0; }

}  // namespace converge::cli
