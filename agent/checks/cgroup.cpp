#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"
#include "primitives/reading.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"unit", Kind::text, false, "", "the slice, service or scope; or a path below /sys/fs/cgroup that begins with /"},
    {"user", Kind::text, false, "", "the slice of this user's sessions instead: user-UID.slice"},
    {"files", Kind::named, true, "",
     "by name, what the kernel keeps there: memory.max, memory.swap.max, pids.max, cpu.max ...; 1500M is bytes, max is "
     "no limit; memory.events.oom_kill is that line of memory.events",
     true},
};

constexpr std::string_view mount_point = "/sys/fs/cgroup";

/// Where the group is below the mount point, with a leading '/'; "" if the unit runs in none.
Result<std::string> group_of(const std::string& unit, const SystemView& view) {
  if (unit.starts_with('/')) return unit;
  if (unit.ends_with(".slice")) return "/" + cgroup_of_slice(unit);
  auto properties = view.unit(unit);
  if (!properties) return std::move(properties).error();
  const auto group = properties->find("ControlGroup");
  return group == properties->end() ? std::string() : group->second;
}

/// The content of a file, or of one line of it, as an integer where it is one.
Result<std::optional<Value>> file_of(const AbsPath& group, const std::string& name, const SystemView& view) {
  const auto value_of = [](std::string_view text) {
    std::int64_t number = 0;
    return parse_number(text, number) ? Value(number) : Value(std::string(text));
  };
  auto text = read_text(view, group.child(name), 64_KiB);
  if (!text) return std::move(text).error();
  if (*text) return std::optional(value_of(trim(**text)));
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::optional<Value>();
  text = read_text(view, group.child(name.substr(0, dot)), 64_KiB);
  if (!text) return std::move(text).error();
  const std::string lines = text->value_or("");
  for (const auto line : split(lines, '\n')) {
    const auto words = fields(line);
    if (words.size() == 2 && words[0] == std::string_view(name).substr(dot + 1))
      return std::optional(value_of(words[1]));
  }
  return std::optional<Value>();
}

Actual look_at(const std::string& name, const std::string& unit, const std::string& group, bool unified,
               const SystemView& view) {
  // On cgroup v1 each controller has a tree of its own, and files are called otherwise.
  const std::string tree = unified ? "" : "/" + name.substr(0, name.find('.'));
  auto path = AbsPath::parse(fmt::format("{}{}{}", mount_point, tree, group));
  if (!path) return std::move(path).error();
  auto there = view.look(*path);
  if (!there) return std::move(there).error();
  if (group.empty() || !std::holds_alternative<DirectoryInfo>(*there))
    return Error{
        Errc::not_found,
        fmt::format("'{}' does not run{}", printable(unit), unified ? "" : ", or this host has no such controller"),
        {},
        "the kernel keeps these while it runs: for a user's slice, from the next login on"};
  auto value = file_of(*path, name, view);
  if (!value) return std::move(value).error();
  if (*value) return **std::move(value);
  if (!unified)
    return Error{
        Errc::unsupported, fmt::format("this host has cgroup v1, where there is no '{}'", printable(name)), {}, {}};
  return Nothing{fmt::format("there is no '{}': that controller is not enabled there", printable(name))};
}

Looked look(const Asked& asked, Context& /*context*/, const SystemView& view) {
  std::string unit = asked.subject();
  if (const std::string user = asked.text("user"); !user.empty()) {
    const auto person = person_of(user, view);
    if (!person) return all_unknown(asked, person.error());
    unit = fmt::format("user-{}.slice", person->uid);
  }
  const auto group = group_of(unit, view);
  if (!group) return all_unknown(asked, group.error());
  const auto controllers = view.look(AbsPath(mount_point).child("cgroup.controllers"));
  if (!controllers) return all_unknown(asked, controllers.error());
  const bool unified = !std::holds_alternative<Absent>(*controllers);
  Looked out;
  for (const auto& name : asked.wanted())
    out.emplace_back(name, look_at(Asked::name_in(name, "files").value_or(name), unit, *group, unified, view));
  return out;
}

Status accept(const Asked& asked) {
  for (const auto& name : asked.wanted())
    if (const auto file = Asked::name_in(name, "files"); file && file->find('/') != std::string::npos)
      return Error{Errc::invalid, fmt::format("'{}' is no name of a file", printable(*file)), {}, "write memory.max"};
  return ok();
}

}  // namespace

CheckType cgroup_check() {
  CheckType type{"cgroup", "CGroup", "what the kernel enforces and counts for a slice, service or scope", "unit",
                 attributes};
  type.example =
      "cgroup:\n"
      "  sessions: { user: tegwick, files: { memory.max: 1500M, memory.swap.max: 512M } }\n"
      "  k3s.service: { files: { memory.events.oom_kill: 0, pids.current: { lt: 2000 } } }\n";
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
