#include <fmt/format.h>

#include <set>

#include "checks/looking.h"
#include "core/text.h"
#include "primitives/probe_login.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"user", Kind::text, false, "", "whose new session is opened and asked, when the key is another name"},
    {"comm", Kind::text, false, "", "the processes of this name (15 bytes at most) are asked instead"},
    {"pidfile", Kind::text, false, "", "the process whose number this file holds is asked instead"},
    {"item", Kind::text, false, "nproc", "which limit, by the words of limits.conf: nproc, nofile, memlock, core ..."},
    {"soft",
     Kind::size,
     true,
     "",
     "the soft limit, a number (bytes of memory) or unlimited",
     false,
     {},
     {},
     "unlimited"},
    {"hard",
     Kind::size,
     true,
     "",
     "the hard limit, a number (bytes of memory) or unlimited",
     false,
     {},
     {},
     "unlimited"},
};

using Limits = std::pair<std::string, std::string>;  // soft, hard

Value as_value(const std::string& text) {
  std::int64_t number = 0;
  return parse_number(text, number) ? Value(number) : Value(text);
}

/// The limits of running processes; those that have ended are left out.
Result<std::set<Limits>> limits_of(const std::vector<std::uint64_t>& pids, std::string_view item,
                                   const SystemView& view) {
  std::set<Limits> out;
  for (const std::uint64_t pid : pids) {
    auto seen = view.read(AbsPath("/proc").child(fmt::format("{}/limits", pid)), 64_KiB);
    if (!seen) return std::move(seen).error();
    if (std::holds_alternative<Absent>(seen->state)) continue;
    auto limits = parse_proc_limits(seen->content, limits_row(item));
    if (!limits)
      return Error{Errc::unparsable, fmt::format("the limits of process {} are not understood", pid), {}, {}};
    out.insert(*std::move(limits));
  }
  return out;
}

Looked all_nothing(const Asked& asked, const std::string& why) {
  Looked out;
  for (const auto& name : asked.wanted()) out.emplace_back(name, Nothing{why});
  return out;
}

Looked look_at_processes(const Asked& asked, const std::vector<std::uint64_t>& pids, const SystemView& view) {
  const auto limits = limits_of(pids, asked.text("item"), view);
  if (!limits) return all_unknown(asked, limits.error());
  if (limits->empty()) return all_nothing(asked, "no such process");
  Looked out;
  for (const auto& name : asked.wanted()) {
    std::set<std::string> values;
    for (const auto& [soft, hard] : *limits) values.insert(name == "soft" ? soft : hard);
    if (values.size() == 1)
      out.emplace_back(name, as_value(*values.begin()));
    else
      out.emplace_back(name, list_value({values.begin(), values.end()}), "its processes do not have the same limit");
  }
  return out;
}

Looked look_at_session(const Asked& asked, const SystemView& view) {
  const auto person = person_of(asked.subject(), view);
  if (!person) return all_unknown(asked, person.error());
  const auto session = limit_of_session(*person, asked.text("item"), view);
  if (!session) return all_unknown(asked, session.error());
  if (!session->limits)
    return all_unknown(asked, Error{Errc::command_failed, "no session could be opened: " + session->why_not, {}, {}});
  Looked out;
  for (const auto& name : asked.wanted())
    out.emplace_back(name, as_value(name == "soft" ? session->limits->first : session->limits->second),
                     "asked by " + session->how);
  return out;
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  if (const std::string comm = asked.text("comm"); !comm.empty()) {
    const auto& processes = context.processes(view);
    if (!processes) return all_unknown(asked, processes.error());
    const auto found = processes->find(comm);
    return found == processes->end() ? all_nothing(asked, "no such process")
                                     : look_at_processes(asked, found->second, view);
  }
  if (const std::string pidfile = asked.text("pidfile"); !pidfile.empty()) {
    auto path = path_of(pidfile, context, view);
    if (!path) return all_unknown(asked, path.error());
    const auto seen = view.read(*path, 64_KiB);
    if (!seen) return all_unknown(asked, seen.error());
    if (std::holds_alternative<Absent>(seen->state)) return all_nothing(asked, "there is no " + path->str());
    std::uint64_t pid = 0;
    if (!parse_number(trim(seen->content), pid))
      return all_unknown(asked, Error{Errc::unparsable, fmt::format("'{}' holds no number", path->str()), {}, {}});
    return look_at_processes(asked, {pid}, view);
  }
  return look_at_session(asked, view);
}

Status accept(const Asked& asked) {
  if (limits_row(asked.text("item")).empty())
    return Error{Errc::invalid,
                 fmt::format("there is no limit '{}'", printable(asked.text("item"))),
                 {},
                 "one of " + join(limit_items(), ", ")};
  if (!asked.text("comm").empty() && !asked.text("pidfile").empty())
    return Error{Errc::invalid, "'comm' and 'pidfile' exclude each other", {}, "leave one out"};
  return ok();
}

}  // namespace

CheckType rlimit_check() {
  CheckType type{"rlimit", "RLimit", "a limit of resources, as a new session of a user or a process has it", "user",
                 attributes};
  type.example =
      "rlimit:\n"
      "  tegwick: { item: nproc, soft: 512, hard: 1024 }\n"
      "  files of k3s: { comm: k3s-server, item: nofile, soft: { or: [unlimited, { ge: 65536 }] } }\n";
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
