// A block of lines of ours in a text file that others own.
#include "core/text.h"
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "block";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "the file", .required = true},
      {.name = "name",
       .kind = Kind::text,
       .doc = "tells this block from others in the file: part of its BEGIN and END lines",
       .required = true},
      {.name = "content", .kind = Kind::multiline, .doc = "the lines of the block"},
      {.name = "comment", .kind = Kind::text, .doc = "what starts a comment in that file", .fallback = "\"#\""},
      {.name = "at",
       .kind = Kind::text,
       .doc = "where a new block goes; at top, only comments may stand above it",
       .fallback = "bottom",
       .choices = {"top", "bottom"}},
      {.name = "create", .kind = Kind::boolean, .doc = "make the file when it is not there", .fallback = "true"},
      {.name = "backup",
       .kind = Kind::boolean,
       .doc = "keep the file's previous bytes under /var/lib/converge/backup",
       .fallback = "false"},
      mode_field("\"0644\""),
      owner_field(),
      group_field(),
      state_field(),
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  const bool absent = params.text("state") == "absent";
  if (params.ok() && !absent && !params.has("content")) params.reject("path", "'content' is missing", {});
  if (params.ok() && trim(params.text("name")) != params.text("name"))
    params.reject("name", "a block's name has no blanks around it", {});
  if (params.ok() && trim(params.text("comment")).empty())
    params.reject("comment", "a marker must be a comment of the file", "for example \"#\", \";\" or \"//\"");
  if (!params.ok()) return {};
  const AbsPath path = params.path("path");
  auto whose = ownership(params, facts, path);
  if (!whose) return {{}, std::move(whose).error()};
  std::string content = params.text("content");
  if (!content.empty() && content.back() != '\n') content += '\n';
  Block block{.place = {path, whose->as},
              .name = params.text("name"),
              .comment = params.text("comment"),
              .content = std::move(content),
              .at = params.text("at") == "top" ? Block::At::top : Block::At::bottom,
              .absent = absent,
              .create = params.boolean("create"),
              .mode = params.mode("mode"),
              .owner = whose->owner,
              .backup = params.boolean("backup")};
  return {{declare(module_name, params, "path", std::move(block))}, std::nullopt};
}

}  // namespace

extern const Module block_module;
const Module block_module{
    .name = module_name,
    .summary = "lines of ours between markers in a file that others own",
    .fields = fields(),
    .example =
        "block:\n  path: /etc/hosts\n  name: cluster\n  content: |\n    192.0.2.10 coulombcore\n"
        "    192.0.2.11 railiance01\n",
    .render = render,
};

}  // namespace converge
