#include "spec/yaml.h"
#include "checks/looking.h"

namespace converge::checks {

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the file, when the key is a name"},
    {"exists", Kind::boolean, true, "", "whether it is there", true},
    {"values", Kind::any, true, "", "what it holds, as JSON: for the gjson matcher"},
};

Result<std::string> as_json(const AbsPath& path, const std::string& text) {
  Source source{path.str(), text};
  Diagnostics said;
  const auto value = spec::read_yaml(source, {true}, said);
  if (!value) return Error{Errc::unparsable, said.empty() ? "it is no YAML" : said.front().message, {}, {}};
  return spec::write_json(*value);
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  return look_at_document(asked, context, view, as_json);
}

}  // namespace

CheckType yaml_check() {
  CheckType type{"yaml", "YAML", "values in a YAML file", "path", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
