#include <fmt/format.h>

#include "checks/gjson.h"
#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the file, when the key is a name"},
    {"exists", Kind::boolean, true, "", "whether it is there", true},
    {"values", Kind::any, true, "", "what it holds, as JSON: for the gjson matcher"},
};

Result<std::string> as_json(const AbsPath& path, std::string text) {
  if (auto document = Json::parse(text); !document) return std::move(document).error().during("reading " + path.str());
  return text;
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto path = path_of(asked.subject(), context, view);
  if (!path) return all_unknown(asked, path.error());
  std::string text;
  bool too_long = false;
  const auto read = view.stream(*path, [&](std::string_view piece) {
    too_long = text.size() + piece.size() > (std::size_t{4} << 20U);
    if (!too_long) text += piece;
    return !too_long;
  });
  if (!read) return all_unknown(asked, read.error());
  if (too_long) return all_unknown(asked, Error{Errc::too_big, "it is longer than 4 MiB", {}, {}});
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists") {
      out.emplace_back(name, Value(*read));
      continue;
    }
    auto made = *read ? as_json(*path, text) : Result<std::string>(Error{Errc::not_found, "it is not there", {}, {}});
    if (!made)
      out.emplace_back(name, made.error());
    else
      out.emplace_back(name, Value(*std::move(made)));
  }
  return out;
}

}  // namespace

CheckType json_check() {
  CheckType type{"json", "JSON", "values in a JSON file", "path", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
