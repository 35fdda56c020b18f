#include "primitives/reload.h"

#include <fmt/core.h>

#include "core/text.h"

namespace converge {
namespace {

Command reload() { return {.argv = {"systemctl", "daemon-reload"}, .input = {}, .as = {}, .environment = {}}; }

}  // namespace

Status begin_reload(System& system) {
  auto begun = system.start(reload());
  return begun ? ok() : std::move(begun).error().during("reloading systemd");
}

bool is_reloaded(System& system) { return system.finished(reload()); }

Status end_reload(System& system) {
  const auto done = system.finish(reload());
  if (!done) return done.error().during("reloading systemd");
  if (done->exit_code == 0) return ok();
  return Error{Errc::command_failed,
               fmt::format("systemctl daemon-reload ended with {}: {}", done->exit_code, printable(trim(done->err))),
               {},
               {}};
}

}  // namespace converge
