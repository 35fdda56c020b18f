#include "cli/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "cli/options.h"

namespace converge::cli {
namespace {

// A signal handler may do little more than say that it was here.
std::atomic<int> count{0};
std::atomic<int> bell{-1};  // a descriptor that can be waited on, whichever thread the signal meets
static_assert(std::atomic<int>::is_always_lock_free);

void on_interrupt(int /*signal*/) {
  if (count.fetch_add(1) > 0) _exit(exit_interrupted);
  constexpr std::string_view said = "\ninterrupted: what is in hand is finished; once more stops at once\n";
  (void)!write(STDERR_FILENO, said.data(), said.size());
  const std::uint64_t one = 1;
  (void)!write(bell, &one, sizeof one);
}

}  // namespace

void catch_interrupts() {
  if (bell < 0) bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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

void wait_for_interrupt() {
  constexpr int without_a_bell = 200;  // milliseconds, when there was no descriptor left
  pollfd rung{bell, POLLIN, 0};
  while (!interrupted()) (void)poll(&rung, 1, bell < 0 ? without_a_bell : -1);
}

}  // namespace converge::cli
