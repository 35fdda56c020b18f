#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"groupname", Kind::text, false, "", "the group, when the key is another name"},
    {"exists", Kind::boolean, true, "", "whether there is such a group", true},
    {"gid", Kind::integer, true, "", "the number of the group"},
    {"members", Kind::list, true, "", "the users listed in it"},
};

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto group = find_group_entry(asked.subject(), context, view);
  if (!group) return all_unknown(asked, group.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists")
      out.emplace_back(name, Value(group->has_value()));
    else if (!*group)
      out.emplace_back(name, Nothing{"no such group"});
    else if (name == "gid")
      out.emplace_back(name, Value(std::int64_t{(*group)->gid}));
    else
      out.emplace_back(name, list_value((*group)->members));
  }
  return out;
}

}  // namespace

CheckType group_check() {
  CheckType type{"group", "Group", "a group of this host", "groupname", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
