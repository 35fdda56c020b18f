// XPath over an XML text, by pugixml; used here and nowhere else.
#pragma once
#include <optional>
#include <string_view>

#include "core/result.h"
#include "spec/value.h"

namespace converge::checks {

/// Errc::invalid if `xpath` is no XPath 1.0 expression.
Status check_xpath(std::string_view xpath);

/// What `xpath` is in `document`: a boolean, a number, a string, or for nodes the first one's XML (an attribute's or
/// text's value); nullopt: there is no such node. Errc::unparsable if the document is no XML. External entities are not
/// read.
Result<std::optional<spec::Value>> ask_xpath(std::string_view document, std::string_view xpath);

}  // namespace converge::checks
