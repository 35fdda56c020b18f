#include "report/ordered_json.h"

template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace converge {

std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json json_from(std::string_view text) { return Json::parse(text, nullptr, false); }

}  // namespace converge
