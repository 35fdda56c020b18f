// One line of a text file.
#include "core/regular_expression.h"
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "line";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "the file", .required = true},
      {.name = "line", .kind = Kind::text, .doc = "the line that shall be there, or, with state: absent, shall not"},
      {.name = "match",
       .kind = Kind::text,
       .doc = "a regular expression (ECMAScript): the last line it finds becomes 'line'; with state: absent all go"},
      {.name = "create", .kind = Kind::boolean, .doc = "make the file when it is not there", .fallback = "false"},
      {.name = "mode", .kind = Kind::mode, .doc = "permission bits of a file it makes", .fallback = "\"0644\""},
      owner_field(),
      group_field(),
      state_field(),
  };
  return table;
}

void check_expression(const spec::Params& params, const std::string& expression) {
  const auto compiled = RegularExpression::parse(expression);
  if (!compiled)
    params.reject("match", "'" + expression + "' is no regular expression: " + compiled.error().message,
                  "the grammar is ECMAScript's; lines are matched one by one");
}

Rendered render(const spec::Params& params, const Facts& facts) {
  const bool absent = params.text("state") == "absent";
  if (params.ok() && !params.has("line") && (!absent || !params.has("match")))
    params.reject("path", absent ? "'line' or 'match' says what to remove" : "'line' is missing", {});
  if (const auto match = params.maybe_text("match"); params.ok() && match) check_expression(params, *match);
  if (!params.ok()) return {};
  const AbsPath path = params.path("path");
  auto whose = ownership(params, facts, path);
  if (!whose) return {{}, std::move(whose).error()};
  Line line{.place = {path, whose->as},
            .line = params.text("line"),
            .match = params.maybe_text("match"),
            .absent = absent,
            .create = params.boolean("create"),
            .mode = params.mode("mode"),
            .owner = whose->owner};
  return {{declare(module_name, params, "path", std::move(line))}, std::nullopt};
}

}  // namespace

extern const Module line_module;
const Module line_module{
    .name = module_name,
    .summary = "one line of a text file, every other byte left as it is (Ansible's lineinfile)",
    .fields = fields(),
    .example = "line:\n  path: /etc/ssh/sshd_config\n  match: '^#?X11Forwarding '\n  line: X11Forwarding no\n",
    .render = render,
};

}  // namespace converge
