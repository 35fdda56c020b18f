#include <fmt/format.h>

#include <algorithm>

#include "checks/glob.h"
#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the package, when the key is another name; * and ? stand for any"},
    {"installed", Kind::boolean, true, "", "whether it is installed", true},
    {"versions", Kind::list, true, "", "the versions that are installed", false, "version"},
};

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto& all = context.packages(view);
  if (!all) return all_unknown(asked, all.error());
  std::string wanted = asked.subject();
  // "name:arch" is how dpkg names a foreign one.
  if (const auto colon = wanted.find(':'); colon != std::string::npos) wanted.resize(colon);
  std::vector<std::string> versions;
  const auto take = [&](const InstalledPackage& package) {
    if (std::find(versions.begin(), versions.end(), package.version) == versions.end())
      versions.push_back(package.version);
  };
  bool installed = false;
  if (wanted.find_first_of("*?") != std::string::npos) {
    for (const auto& package : *all) {
      if (!matches_glob(package.name, wanted)) continue;
      installed = true;
      take(package);
    }
  } else {
    auto it =
        std::lower_bound(all->begin(), all->end(), wanted,
                         [](const InstalledPackage& package, const std::string& name) { return package.name < name; });
    for (; it != all->end() && it->name == wanted; ++it) {
      installed = true;
      take(*it);
    }
  }
  Looked out;
  for (const auto& name : asked.wanted())
    out.emplace_back(name, name == "installed" ? Value(installed) : list_value(versions));
  return out;
}

}  // namespace

CheckType package_check() {
  CheckType type{"package", "Package", "a package of dpkg, apk, pacman or rpm", "name", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
