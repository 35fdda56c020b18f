// The JSON Schema of gossfiles, from the tables of types and matchers. What it accepts the reader takes; both are
// tested against each other.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "checks/matcher.h"
#include "checks/type.h"
#include "spec/yaml.h"

namespace converge::checks {
namespace {

using spec::Value;

constexpr std::string_view size_pattern = "^ *[0-9]{1,6} *(B|K|KiB|M|MiB|G|GiB|T|TiB)? *$";

std::string quoted(std::string_view text) { return spec::write_json(Value(std::string(text))); }

std::string reference(std::string_view name) { return fmt::format("{{\"$ref\": \"#/$defs/{}\"}}", name); }

/// `schema`, or a template that becomes such a value.
std::string or_template(std::string_view schema) {
  return fmt::format("{{\"anyOf\": [{}, {}]}}", schema, reference("template"));
}

/// The name of a definition of matchers: "matcher" of any values, "size" of bytes, "size_or_unlimited".
std::string matcher_of_sizes(std::string_view word) { return word.empty() ? "size" : fmt::format("size_or_{}", word); }

std::string schema_of(Argument argument, const std::string& matcher, bool of_sizes) {
  switch (argument) {
    case Argument::any:
      return of_sizes ? reference(matcher) : "{}";
    case Argument::text:
      return "{\"type\": \"string\"}";
    case Argument::number:
      if (!of_sizes) return or_template("{\"type\": \"number\"}");
      return or_template(
          fmt::format("{{\"type\": \"integer\"}}, {{\"type\": \"string\", \"pattern\": {}}}", quoted(size_pattern)));
    case Argument::count:
      return or_template("{\"type\": \"integer\"}");
    case Argument::matcher:
      return reference(matcher);
    case Argument::matchers:
      return fmt::format("{{\"type\": \"array\", \"items\": {}}}", reference(matcher));
    case Argument::patterns:
      return fmt::format("{{\"anyOf\": [{{\"type\": \"string\"}}, {}]}}", reference("patterns"));
    case Argument::paths:
      return fmt::format("{{\"type\": \"object\", \"additionalProperties\": {}}}", reference("matcher"));
    case Argument::xpath:
      break;
  }
  return "{\"type\": \"object\", \"properties\": {\"xpath\": {\"type\": \"string\"}, \"result\": {}}, "
         "\"additionalProperties\": false, \"required\": [\"xpath\"]}";
}

/// A mapping of one matcher.
std::string mapping_schema(const std::string& matcher, bool of_sizes) {
  std::string out =
      "{\"type\": \"object\", \"additionalProperties\": false, \"minProperties\": 1, \"maxProperties\": 1, "
      "\"properties\": {";
  bool first = true;
  for (const MatcherName& each : matcher_names())
    out += fmt::format("{}\"{}\": {}", std::exchange(first, false) ? "" : ", ", each.name,
                       schema_of(each.argument, matcher, of_sizes));
  return out + "}}";
}

std::string size_schema(std::string_view word) {
  const std::string name = matcher_of_sizes(word);
  return fmt::format(
      "{{\"anyOf\": [{{\"type\": \"integer\"}}, {{\"type\": \"string\", \"pattern\": {}}}, {}{{\"type\": \"array\", "
      "\"minItems\": 1, \"items\": {}}}, {}, {}]}}",
      quoted(size_pattern), word.empty() ? "" : fmt::format("{{\"const\": \"{}\"}}, ", word), reference(name),
      mapping_schema(name, true), reference("template"));
}

std::string definitions() {
  std::string out = fmt::format(
      "\"template\": {{\"type\": \"string\", \"pattern\": {}}},\n"
      "    \"patterns\": {{\"type\": \"array\", \"minItems\": 1, \"items\": {{\"type\": \"string\"}}}},\n"
      "    \"matcher\": {{\"anyOf\": [{{\"type\": [\"string\", \"number\", \"boolean\"]}}, {{\"type\": \"array\", "
      "\"minItems\": 1, \"items\": {}}}, {}]}},\n"
      "    \"matcher_of_text\": {{\"anyOf\": [{{\"type\": [\"string\", \"number\", \"boolean\"]}}, {}, {}]}},\n"
      "    \"value_of_name\": {{\"anyOf\": [{{\"type\": [\"string\", \"number\", \"boolean\"]}}, {{\"type\": "
      "\"array\", "
      "\"minItems\": 1, \"items\": {}}}, {}]}},\n"
      "    \"names\": {{\"type\": \"object\", \"additionalProperties\": {}}},\n"
      "    \"size\": {}",
      quoted("\\{\\{"), reference("matcher"), mapping_schema("matcher", false), reference("patterns"),
      mapping_schema("matcher", false), reference("value_of_name"), mapping_schema("value_of_name", true),
      reference("value_of_name"), size_schema({}));
  std::vector<std::string_view> words;
  for (const CheckType& type : check_types())
    for (const Attribute& each : type.attributes)
      if (!each.word.empty() && std::find(words.begin(), words.end(), each.word) == words.end())
        words.push_back(each.word);
  for (const std::string_view word : words)
    out += fmt::format(",\n    \"{}\": {}", matcher_of_sizes(word), size_schema(word));
  return out;
}

std::string schema_of(const Attribute& attribute) {
  const auto described = [&](std::string_view schema) {
    return fmt::format("{{\"description\": {}, {}", quoted(attribute.doc), schema.substr(1));
  };
  if (attribute.matchable)
    return described(reference(attribute.kind == Kind::size     ? matcher_of_sizes(attribute.word)
                               : attribute.kind == Kind::named  ? "names"
                               : attribute.kind == Kind::stream ? "matcher_of_text"
                                                                : "matcher"));
  switch (attribute.kind) {
    case Kind::text:
      return described("{\"type\": [\"string\", \"number\", \"boolean\"]}");
    case Kind::integer:
      return described(or_template("{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 2147483647}"));
    case Kind::boolean:
      return described(or_template("{\"type\": \"boolean\"}"));
    case Kind::duration:
      return described(
          or_template("{\"type\": \"integer\", \"minimum\": 0}, {\"type\": \"string\", "
                      "\"pattern\": \"^(0|([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+)$\"}"));
    case Kind::text_list:
      return described(
          "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", "
          "\"items\": {\"type\": [\"string\", \"number\", \"boolean\"]}}]}");
    case Kind::size:
      return described(
          or_template(fmt::format("{{\"type\": \"integer\", \"minimum\": 0}}, {{\"type\": \"string\", "
                                  "\"pattern\": {}}}",
                                  quoted(size_pattern))));
    case Kind::list:
    case Kind::stream:
    case Kind::any:
    case Kind::named:
      break;
  }
  return fmt::format("{{\"description\": {}}}", quoted(attribute.doc));
}

}  // namespace

std::string gossfile_schema() {
  std::string out = fmt::format(
      "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"$defs\": {{\n    {}\n  }},\n"
      "  \"type\": \"object\",\n  \"additionalProperties\": false,\n  \"patternProperties\": {{\"^(x-|[.])\": {{}}}},\n"
      "  \"properties\": {{\n    \"gossfile\": {{\n      \"description\": \"other gossfiles, by path or glob\",\n"
      "      \"type\": \"object\",\n      \"additionalProperties\": {{\n        \"type\": [\"object\", \"null\"],\n"
      "        \"additionalProperties\": false,\n        \"properties\": {{\"file\": {{\"type\": \"string\"}}, "
      "\"skip\": {{\"type\": \"boolean\"}}, \"title\": {{}}, \"meta\": {{}}}}\n      }}\n    }}",
      definitions());
  for (const CheckType& type : check_types()) {
    out += fmt::format(
        ",\n    \"{}\": {{\n      \"description\": {},\n      \"type\": \"object\",\n"
        "      \"additionalProperties\": {{\n        \"type\": \"object\",\n"
        "        \"additionalProperties\": false,\n        \"properties\": {{",
        type.name, quoted(type.summary));
    bool first = true;
    for (const auto attributes : {type.attributes, common_attributes()})
      for (const Attribute& each : attributes) {
        out +=
            fmt::format("{}\n          \"{}\": {}", std::exchange(first, false) ? "" : ",", each.name, schema_of(each));
        if (!each.old.empty()) out += fmt::format(",\n          \"{}\": {}", each.old, schema_of(each));
      }
    out += "\n        }\n      }\n    }";
  }
  return out + "\n  }\n}\n";
}

}  // namespace converge::checks
