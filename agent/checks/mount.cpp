#include <fmt/format.h>

#include <cmath>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"mountpoint", Kind::text, false, "", "where it is mounted, when the key is a name"},
    {"timeout", Kind::integer, false, "1000", "milliseconds; accepted for Goss's sake"},
    {"exists", Kind::boolean, true, "", "whether something is mounted there", true},
    {"opts", Kind::list, true, "", "the options of this mount"},
    {"vfs-opts", Kind::list, true, "", "the options of the file system"},
    {"source", Kind::text, true, "", "what is mounted"},
    {"filesystem", Kind::text, true, "", "its type"},
    {"usage", Kind::integer, true, "", "how full it is, in percent"},
};

Actual usage_of(const Mount& mount, const SystemView& view) {
  const auto path = AbsPath::parse(mount.point);
  if (!path) return path.error();
  const auto info = view.file_system(*path);
  if (!info) return info.error();
  if (info->total.count == 0) return Value(std::int64_t{0});
  const double free = static_cast<double>(info->unused.count) / static_cast<double>(info->total.count);
  return Value(static_cast<std::int64_t>(std::lround((1 - free) * 100)));
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto& mounts = context.mounts(view);
  if (!mounts) return all_unknown(asked, mounts.error());
  const std::string wanted = asked.subject();
  const Mount* found = nullptr;  // the last one lies on top
  for (const Mount& mount : *mounts)
    if (mount.point == wanted) found = &mount;
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists")
      out.emplace_back(name, Value(found != nullptr));
    else if (found == nullptr)
      out.emplace_back(name, Nothing{"nothing is mounted there", "Mountpoint not found"});
    else if (name == "opts")
      out.emplace_back(name, list_value(found->options));
    else if (name == "vfs-opts")
      out.emplace_back(name, list_value(found->super_options));
    else if (name == "source")
      out.emplace_back(name, Value(found->source));
    else if (name == "filesystem")
      out.emplace_back(name, Value(found->filesystem));
    else
      out.emplace_back(name, usage_of(*found, view));
  }
  return out;
}

}  // namespace

CheckType mount_check() {
  CheckType type{"mount", "Mount", "a mounted file system", "mountpoint", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
