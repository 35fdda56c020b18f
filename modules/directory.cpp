// A directory.
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "directory";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "where it is; the directory above must exist", .required = true},
      mode_field("\"0755\""),
      owner_field(),
      group_field(),
      state_field(),
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  if (!params.ok()) return {};
  const AbsPath path = params.path("path");
  if (path.str() == "/") {
    params.reject("path", "'/' is there already, and nobody's to change", "name a directory below it");
    return {};
  }
  auto whose = ownership(params, facts, path);
  if (!whose) return {{}, std::move(whose).error()};
  Directory directory{.place = {path, whose->as},
                      .mode = params.mode("mode"),
                      .owner = whose->owner,
                      .absent = params.text("state") == "absent"};
  return {{declare(module_name, params, "path", std::move(directory))}, std::nullopt};
}

}  // namespace

extern const Module directory_module;
const Module directory_module{
    .name = module_name,
    .summary = "a directory with this mode and owner; what is in it does not count",
    .fields = fields(),
    .example = "directory:\n  path: /opt/coulomb\n  mode: \"0750\"\n  owner: tegwick\n",
    .render = render,
};

}  // namespace converge
