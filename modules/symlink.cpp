// A symbolic link.
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "symlink";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "the link itself; its directory must exist", .required = true},
      {.name = "target", .kind = Kind::text, .doc = "what it says, as written; needs not exist"},
      state_field(),
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  const bool absent = params.text("state") == "absent";
  if (params.ok() && !absent && params.text("target").empty())
    params.reject("path", "a symlink needs a 'target'", "or say 'state: absent'");
  if (!params.ok()) return {};
  const AbsPath path = params.path("path");
  SymbolicLink link{.place = {path, keeper_of(path, facts)}, .target = params.text("target"), .absent = absent};
  return {{declare(module_name, params, "path", std::move(link))}, std::nullopt};
}

}  // namespace

extern const Module symlink_module;
const Module symlink_module{
    .name = module_name,
    .summary = "a symbolic link with this target",
    .fields = fields(),
    .example = "symlink:\n  path: /usr/local/bin/kubectl\n  target: k3s\n",
    .render = render,
};

}  // namespace converge
