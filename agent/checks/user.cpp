#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"username", Kind::text, false, "", "the user, when the key is another name"},
    {"exists", Kind::boolean, true, "", "whether there is such a user", true},
    {"uid", Kind::integer, true, "", "the number of the user"},
    {"gid", Kind::integer, true, "", "the number of the user's group"},
    {"groups", Kind::list, true, "", "the groups the user is in, by name"},
    {"home", Kind::text, true, "", "the home directory"},
    {"shell", Kind::text, true, "", "the login shell"},
};

Actual groups_of(const Account& account, Context& context, const SystemView& view) {
  const auto& all = context.groups(view);
  if (!all) return all.error();
  std::vector<std::string> names;
  for (const GroupEntry& group : *all) {
    const bool member = std::find(group.members.begin(), group.members.end(), account.name) != group.members.end();
    if (member || group.gid == account.gid) names.push_back(group.name);
  }
  std::sort(names.begin(), names.end());
  return list_value(names);
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto account = find_account(asked.subject(), context, view);
  if (!account) return all_unknown(asked, account.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists")
      out.emplace_back(name, Value(account->has_value()));
    else if (!*account)
      out.emplace_back(name, Nothing{"no such user"});
    else if (name == "uid")
      out.emplace_back(name, Value(std::int64_t{(*account)->uid}));
    else if (name == "gid")
      out.emplace_back(name, Value(std::int64_t{(*account)->gid}));
    else if (name == "home")
      out.emplace_back(name, Value((*account)->home));
    else if (name == "shell")
      out.emplace_back(name, Value((*account)->shell));
    else
      out.emplace_back(name, groups_of(**account, context, view));
  }
  return out;
}

}  // namespace

CheckType user_check() {
  CheckType type{"user", "User", "a user of this host", "username", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
