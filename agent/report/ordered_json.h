// JSON that keeps its keys in the order written. The library is heavy: what can be compiled once is, in one file.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace converge {

using Json = nlohmann::ordered_json;

/// On one line without an end, or with `indent` blanks a level. A host's text may be no UTF-8: it is replaced, never
/// thrown at us.
std::string json_text(const Json& json, int indent = -1);
/// is_discarded() if `text` is no JSON.
Json json_from(std::string_view text);

}  // namespace converge
