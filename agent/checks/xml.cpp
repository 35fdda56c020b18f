#include "checks/xml.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>
#include <string>

#include "core/text.h"

namespace converge::checks {

Status check_xpath(std::string_view xpath) {
  try {
    const pugi::xpath_query query(std::string(xpath).c_str());
    return ok();
  } catch (const std::exception& problem) {
    return Error{Errc::invalid, fmt::format("'{}' is no XPath: {}", printable(xpath), problem.what()), {}, {}};
  }
}

Result<std::optional<spec::Value>> ask_xpath(std::string_view document, std::string_view xpath) {
  using Found = std::optional<spec::Value>;
  try {
    pugi::xml_document tree;
    const auto parsed = tree.load_buffer(document.data(), document.size());
    if (!parsed)
      return Error{
          Errc::unparsable, fmt::format("it is no XML: {} at byte {}", parsed.description(), parsed.offset), {}, {}};
    const pugi::xpath_query query(std::string(xpath).c_str());
    switch (query.return_type()) {
      case pugi::xpath_type_boolean:
        return Found(spec::Value(query.evaluate_boolean(tree)));
      case pugi::xpath_type_number:
        return Found(spec::Value(query.evaluate_number(tree)));
      case pugi::xpath_type_string:
        return Found(spec::Value(query.evaluate_string(tree)));
      case pugi::xpath_type_node_set:
      case pugi::xpath_type_none:
        break;
    }
    const pugi::xpath_node node = query.evaluate_node(tree);
    if (!node) return Found(std::nullopt);
    if (node.attribute()) return Found(spec::Value(std::string(node.attribute().value())));
    if (node.node().type() == pugi::node_pcdata || node.node().type() == pugi::node_cdata)
      return Found(spec::Value(std::string(node.node().value())));
    std::ostringstream out;
    node.node().print(out, "", pugi::format_raw);
    return Found(spec::Value(out.str()));
  } catch (const std::exception& problem) {
    return Error{Errc::invalid, fmt::format("'{}': {}", printable(xpath), problem.what()), {}, {}};
  }
}

}  // namespace converge::checks
