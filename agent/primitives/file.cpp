#include "primitives/file.h"

#include <algorithm>

#include "core/text.h"
#include "primitives/attributes.h"

namespace converge {

ResourceId id(const File& p) { return "file:" + p.place.path.str(); }

Result<File::State> inspect(const File& p, const SystemView& view) {
  auto read = read_at_home(view, p.place, std::max(text_limit, Bytes{p.content.size()}));
  if (!read) return std::move(read).error();
  return File::State{std::move(read->seen), read->unreadable};
}

Checks compare(const File& p, const File::State& state) {
  const auto& [place, content, mode, owner, sensitive, absent] = p;
  const PathState& path = state.seen.state;
  Checks checks;
  checks.reserve(4);
  checks.push_back(check_equal("kind", absent ? "absent" : "file", kind_of(path)));
  if (absent || !std::holds_alternative<RegularFile>(path)) return checks;
  if (state.unreadable)
    checks.push_back(check_unknown("content", sensitive ? std::string(Secret::shown) : Bytes{content.size()}.text(),
                                   "'" + place.as->name + "' may not read it"));
  else
    checks.push_back(check_bytes("content", content, state.seen.content, sensitive));
  check_attributes(checks, path, mode, owner);
  return checks;
}

Status preflight(const File& p, const File::State& state, const SystemView& /*view*/) {
  const PathState& path = state.seen.state;
  const bool regular = std::holds_alternative<RegularFile>(path);
  if (p.absent) return regular || std::holds_alternative<Absent>(path) ? ok() : in_the_way(p.place.path, path, "file");
  if (regular && (state.unreadable || state.seen.content == p.content))
    return ok();  // attributes do not part hard links
  return may_replace_file(p.place, path);
}

Status apply(const File& p, const File::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  const PathState& path = state.seen.state;
  if (p.absent) return system.remove(p.place);
  const auto is_theirs = [&p](std::string_view content) { return content == p.content; };
  if (state.unreadable) {
    if (Status mended = mend_attributes(p.place, path, p.mode, p.owner, is_theirs, system); !mended) return mended;
    auto again = inspect(p, system);
    if (!again) return std::move(again).error();
    if (again->unreadable)
      return Error{Errc::permission, "'" + p.place.as->name + "' may not read '" + p.place.path.str() + "'", {}, {}};
    return apply(p, *again, system);
  }
  if (!std::holds_alternative<RegularFile>(path) || state.seen.content != p.content)
    return replace_file(p.place, path, p.content, {.mode = p.mode, .owner = p.owner}, system);
  if (attributes_differ(path, p.mode, p.owner))
    return mend_attributes(p.place, path, p.mode, p.owner, is_theirs, system);
  return ok();
}

std::string diff(const File& p, const File::State& state) {
  if (p.sensitive || state.unreadable) return {};
  return unified_diff(state.seen.content, p.absent ? std::string_view() : std::string_view(p.content),
                      p.place.path.str());
}

}  // namespace converge
