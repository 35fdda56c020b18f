#include "modules/people.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/diagnostic.h"
#include "core/text.h"

namespace converge {
namespace {

template <class Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

std::optional<std::uint32_t> id_number(std::string_view text) {
  std::uint64_t number = 0;
  if (!parse_number(text, number) || number >= 0xFFFFFFFFULL) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

const Person* with_uid(std::uint32_t uid, const Facts& facts) {
  const auto it = std::find_if(facts.users.begin(), facts.users.end(),
                               [uid](const auto& entry) { return entry.second.uid == uid; });
  return it == facts.users.end() ? nullptr : &it->second;
}

Error unknown(std::string_view kind, std::string_view name, const std::vector<std::string>& known) {
  std::string hint = did_you_mean(name, known);
  if (hint.empty()) hint = fmt::format("make the {} first, or give a number", kind);
  return Error{Errc::refused, fmt::format("there is no {} '{}' on this host", kind, name), {}, std::move(hint)};
}

}  // namespace

Result<Person> person(std::string_view name, const Facts& facts) {
  if (const auto* found = facts.find_user(name)) return *found;
  if (const auto uid = id_number(name))
    if (const auto* found = with_uid(*uid, facts)) return *found;
  return unknown("user", name, names_of(facts.users));
}

std::optional<Person> keeper_of(const AbsPath& path, const Facts& facts) {
  const Person* keeper = nullptr;
  for (const auto& [name, candidate] : facts.users) {
    // The "home" of a system user may be a directory of the system's ("/", "/bin", "/var/mail"): only one below /home
    // or one that is nobody else's tree counts, and root's own never needs other rights.
    if (candidate.uid < 1000 || candidate.home.str() == "/" || path == candidate.home) continue;
    if (!path.is_within(candidate.home)) continue;
    if (keeper == nullptr || candidate.home.str().size() > keeper->home.str().size()) keeper = &candidate;
  }
  return keeper == nullptr ? std::nullopt : std::optional<Person>(*keeper);
}

Result<Ownership> ownership(const spec::Params& params, const Facts& facts, const AbsPath& path) {
  Ownership out;
  out.as = keeper_of(path, facts);
  if (out.as) out.owner = {out.as->uid, out.as->gid};
  if (const auto name = params.maybe_text("owner")) {
    if (const auto known = person(*name, facts))
      out.owner = {known->uid, known->gid};
    else if (const auto uid = id_number(*name))
      out.owner = {*uid, *uid};
    else
      return known.error();
    if (out.as && out.owner.uid != out.as->uid)
      return Error{Errc::refused,
                   fmt::format("'{}' lies in the home of '{}', who could lead another's rights astray there",
                               path.str(), out.as->name),
                   {},
                   fmt::format("give it to '{}', or keep it outside that home", out.as->name)};
  }
  const auto group = params.maybe_text("group");
  if (!group || group->empty()) return out;
  if (const auto it = facts.groups.find(*group); it != facts.groups.end())
    out.owner.gid = it->second;
  else if (const auto gid = id_number(*group))
    out.owner.gid = *gid;
  else
    return unknown("group", *group, names_of(facts.groups));
  return out;
}

spec::Field owner_field() {
  return {.name = "owner",
          .kind = spec::Kind::text,
          .doc = "the user it belongs to, a name or a number; if absent the one whose home it lies in, or root"};
}

spec::Field group_field() {
  return {.name = "group", .kind = spec::Kind::text, .doc = "the group, a name or a number; the owner's own if absent"};
}

spec::Field mode_field(std::string_view fallback) {
  return {.name = "mode", .kind = spec::Kind::mode, .doc = "permission bits, octal and quoted", .fallback = fallback};
}

spec::Field state_field() {
  return {.name = "state",
          .kind = spec::Kind::text,
          .doc = "whether it shall be there",
          .fallback = "present",
          .choices = {"present", "absent"}};
}

}  // namespace converge
