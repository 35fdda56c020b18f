// The challenges of a WWW-Authenticate header. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace converge::checks {

/// How a server wants to be asked: RFC 9110, 11.3.
struct Challenge {
  std::string scheme;                         // in lower case: "bearer", "basic"
  std::string token;                          // what stands there instead of parameters (token68), or ""
  std::map<std::string, std::string> values;  // names in lower case; quotes and backslashes taken off
};

/// All challenges of one header's value; nullopt if it is not well-formed: then none of it is believed.
std::optional<std::vector<Challenge>> parse_challenges(std::string_view text);

}  // namespace converge::checks
