// schema: JSON Schema (draft 2020-12) of spec files, for editors. Made from the modules' tables.
#include <fmt/core.h>

#include "checks/type.h"
#include "cli/verbs.h"
#include "modules/module.h"
#include "report/ordered_json.h"

namespace converge::cli {
namespace {

// Any value may also be a template: {{ ... }}.
Json templated() { return {{"type", "string"}, {"pattern", "\\{\\{"}}; }
Json or_template(Json schema) { return {{"anyOf", Json::array({std::move(schema), templated()})}}; }

Json object_of(const std::vector<spec::Field>& fields);

Json schema_of(const spec::Field& field) {
  using spec::Kind;
  Json schema;
  switch (field.kind) {
    case Kind::text:
      schema = {{"type", Json::array({"string", "integer"})}};
      break;
    case Kind::multiline:
      schema = {{"type", "string"}};
      break;
    case Kind::integer: {
      Json integer = {{"type", "integer"}};
      if (field.min != std::numeric_limits<std::int64_t>::min()) integer["minimum"] = field.min;
      if (field.max != std::numeric_limits<std::int64_t>::max()) integer["maximum"] = field.max;
      schema = or_template(std::move(integer));
      break;
    }
    case Kind::boolean:
      schema = or_template({{"type", "boolean"}});
      break;
    case Kind::size:
      schema = or_template({{"type", Json::array({"string", "integer"})}});
      break;
    case Kind::mode:
      schema = or_template({{"type", "string"}, {"pattern", "^[0-7]{3,4}$"}});
      break;
    case Kind::path:
      schema = or_template({{"type", "string"}, {"pattern", "^/"}});
      break;
    case Kind::text_list:
      schema = {{"anyOf", Json::array({{{"type", "array"}, {"items", {{"type", Json::array({"string", "integer"})}}}},
                                       {{"type", "string"}}})}};
      break;
    case Kind::mapping:
      schema = field.of.empty() ? Json{{"type", "object"}} : object_of(field.of);
      break;
    case Kind::mapping_list:
      schema = {{"type", "array"}, {"items", field.of.empty() ? Json{{"type", "object"}} : object_of(field.of)}};
      schema = or_template(std::move(schema));
      break;
    case Kind::any:
      schema = Json::object();
      break;
  }
  if (!field.choices.empty()) schema = or_template({{"enum", field.choices}});
  schema["description"] = field.doc;
  return schema;
}

Json object_of(const std::vector<spec::Field>& fields) {
  Json properties = Json::object(), required = Json::array();
  for (const spec::Field& field : fields) {
    properties[std::string(field.name)] = schema_of(field);
    if (field.required) required.push_back(field.name);
  }
  Json out = {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

}  // namespace

int schema_verb(const Options& /*options*/) {
  const Json texts = {
      {"anyOf", Json::array({{{"type", "array"}, {"items", {{"type", "string"}}}}, {{"type", "string"}}})}};
  Json properties = {
      {"name", {{"type", "string"}, {"description", "what reports call it; the module's name otherwise"}}},
      {"tags", texts},
      {"needs", texts},
      {"when", or_template({{"type", "boolean"}})},
      {"for_each", Json::object()},
  };
  Json one_of = Json::array();
  for (const Module* module : modules()) {
    properties[std::string(module->name)] = object_of(module->fields);
    properties[std::string(module->name)]["description"] = module->summary;
    one_of.push_back({{"required", Json::array({module->name})}});
  }
  const Json item = {{"type", "object"},
                     {"properties", std::move(properties)},
                     {"additionalProperties", false},
                     {"oneOf", std::move(one_of)}};
  // Includes are for gossfiles alone.
  Json checks = json_from(checks::gossfile_schema());
  const Json definitions = checks["$defs"];
  checks.erase("$schema");
  checks.erase("$defs");
  checks["properties"].erase("gossfile");
  checks["description"] = "checks in the vocabulary of gossfiles, asked by `converge verify`";
  const Json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "a converge spec"},
      {"$defs", definitions},
      {"type", "object"},
      {"properties",
       {{"spec", {{"type", "string"}, {"description", "the name it is reported under"}}},
        {"hosts", {{"type", "string"}, {"description", "a host pattern, as for -l"}}},
        {"vars", {{"type", "object"}}},
        {"needs", texts},
        {"tags", texts},
        {"converge", {{"type", "array"}, {"items", item}}},
        {"verify", std::move(checks)}}},
      {"anyOf", Json::array({{{"required", Json::array({"converge"})}}, {{"required", Json::array({"verify"})}}})},
      {"additionalProperties", false}};
  fmt::print("{}\n", json_text(schema, 2));
  return exit_ok;
}

}  // namespace converge::cli
