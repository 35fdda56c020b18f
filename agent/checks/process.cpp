#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"comm", Kind::text, false, "", "the name of the process (15 bytes at most), when the key is another"},
    {"running", Kind::boolean, true, "", "whether such a process is there", true},
};

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto& names = context.processes(view);
  if (!names) return all_unknown(asked, names.error());
  return {{"running", Value(names->contains(asked.subject()))}};
}

}  // namespace

CheckType process_check() {
  CheckType type{"process", "Process", "a process by its name", "comm", attributes};
  type.look = look;
  return type;
}

}  // namespace converge::checks
