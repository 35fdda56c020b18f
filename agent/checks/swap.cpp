#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the file or device, when the key is a name"},
    {"active", Kind::boolean, true, "", "whether the kernel uses it", true},
    {"size", Kind::size, true, "", "bytes the kernel uses of it"},
    {"used", Kind::size, true, "", "bytes in use"},
    {"priority", Kind::integer, true, "", "its priority"},
};

struct Area {
  std::int64_t size = 0, used = 0, priority = 0;
};

/// A line of /proc/swaps: path, type, KiB, KiB, priority. Blanks in the path are \040.
std::optional<Area> find(std::string_view table, const std::string& wanted) {
  for (const auto line : split(table, '\n')) {
    const auto columns = fields(line);
    Area area;
    if (columns.size() < 5 || columns[0] != wanted) continue;
    if (!parse_number(columns[2], area.size) || !parse_number(columns[3], area.used) ||
        !parse_number(columns[4], area.priority))
      continue;
    area.size *= 1024;
    area.used *= 1024;
    return area;
  }
  return std::nullopt;
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto path = path_of(asked.subject(), context, view);
  if (!path) return all_unknown(asked, path.error());
  auto seen = view.read(AbsPath("/proc/swaps"), 1_MiB);
  if (!seen) return all_unknown(asked, seen.error());
  if (std::holds_alternative<Absent>(seen->state))
    return all_unknown(asked, Error{Errc::not_found, "there is no /proc/swaps", {}, {}});
  std::string wanted;
  for (const char c : path->str()) wanted += c == ' ' ? std::string("\\040") : std::string(1, c);
  const auto area = find(seen->content, wanted);
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "active")
      out.emplace_back(name, Value(area.has_value()));
    else if (!area)
      out.emplace_back(name, Nothing{"not in use"});
    else
      out.emplace_back(name, Value(name == "size" ? area->size : name == "used" ? area->used : area->priority));
  }
  return out;
}

}  // namespace

CheckType swap_check() {
  CheckType type{"swap", "Swap", "a swap area as the kernel uses it", "path", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
