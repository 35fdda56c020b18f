#include "checks/gjson.h"
#include "checks/looking.h"

namespace converge::checks {

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the file, when the key is a name"},
    {"exists", Kind::boolean, true, "", "whether it is there", true},
    {"values", Kind::any, true, "", "what it holds, as JSON: for the gjson matcher"},
};

Result<std::string> as_json(const AbsPath& path, const std::string& text) {
  if (auto document = Json::parse(text); !document) return std::move(document).error().during("reading " + path.str());
  return text;
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  return look_at_document(asked, context, view, as_json);
}

}  // namespace

CheckType json_check() {
  CheckType type{"json", "JSON", "values in a JSON file", "path", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
