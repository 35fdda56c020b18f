#include <fmt/format.h>

#include <set>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"comm", Kind::text, false, "", "the name of the process (15 bytes at most), when the key is another"},
    {"running", Kind::boolean, true, "", "whether such a process is there", true},
    {"owner", Kind::text, true, "", "the user it runs as; a list where several run it"},
};

/// The names of those with whose rights the processes run: the effective uids of /proc/PID/status.
Actual owner_of(const std::vector<std::uint64_t>& pids, Context& context, const SystemView& view) {
  std::set<std::string> owners;
  for (const std::uint64_t pid : pids) {
    const auto status = view.read(AbsPath("/proc").child(fmt::format("{}/status", pid)), 64_KiB);
    if (!status) return status.error();
    for (const auto line : split(status->content, '\n')) {
      const auto columns = fields(line);
      std::uint64_t uid = 0;
      if (columns.size() < 3 || columns[0] != "Uid:" || !parse_number(columns[2], uid)) continue;
      auto account = find_account(static_cast<std::uint32_t>(uid), context, view);
      if (!account) return std::move(account).error();
      owners.insert(*account ? (*account)->name : fmt::format("{}", uid));
    }
  }
  if (owners.empty()) return Nothing{"it has ended"};
  if (owners.size() == 1) return Value(*owners.begin());
  return list_value({owners.begin(), owners.end()});
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto& names = context.processes(view);
  if (!names) return all_unknown(asked, names.error());
  const auto found = names->find(asked.subject());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "running")
      out.emplace_back(name, Value(found != names->end()));
    else if (found == names->end())
      out.emplace_back(name, Nothing{"no such process"});
    else
      out.emplace_back(name, owner_of(found->second, context, view));
  }
  return out;
}

}  // namespace

CheckType process_check() {
  CheckType type{"process", "Process", "a process by its name", "comm", attributes};
  type.look = look;
  return type;
}

}  // namespace converge::checks
