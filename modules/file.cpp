// A regular file, whole.
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "file";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "where it stands; its directory must exist", .required = true},
      {.name = "content", .kind = Kind::multiline, .doc = "its bytes; one of content, source and template is needed"},
      {.name = "source", .kind = Kind::text, .doc = "a file beside the spec that is copied as it is"},
      {.name = "template", .kind = Kind::text, .doc = "a file beside the spec whose {{ }} are filled in"},
      mode_field("\"0644\""),
      owner_field(),
      group_field(),
      {.name = "sensitive",
       .kind = Kind::boolean,
       .doc = "its content is never shown, not even as a diff",
       .fallback = "false"},
      state_field(),
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  const bool absent = params.text("state") == "absent";
  if (params.ok() && !absent && !params.has("content"))
    params.reject("path", "a file needs 'content', 'source' or 'template'", "for an empty one: content: \"\"");
  if (params.ok() && absent && params.has("content"))
    params.reject("content", "a file that shall be absent has no content", "leave one of the two away");
  if (!params.ok()) return {};
  const AbsPath path = params.path("path");
  auto whose = ownership(params, facts, path);
  if (!whose) return {{}, std::move(whose).error()};
  File file{.place = {path, whose->as},
            .content = params.text("content"),
            .mode = params.mode("mode"),
            .owner = whose->owner,
            .sensitive = params.boolean("sensitive"),
            .absent = absent};
  return {{declare(module_name, params, "path", std::move(file))}, std::nullopt};
}

}  // namespace

extern const Module file_module;
const Module file_module{
    .name = module_name,
    .summary = "a regular file with this content, mode and owner",
    .fields = fields(),
    .example = "file:\n  path: /etc/motd\n  content: |\n    This host is kept by converge.\n  mode: \"0644\"\n",
    .render = render,
};

}  // namespace converge
