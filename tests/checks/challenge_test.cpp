#include "checks/challenge.h"

#include <gtest/gtest.h>

namespace converge::checks {
namespace {

/// "bearer[realm=x,service=y] basic[abc=]"; "malformed".
std::string shown(std::string_view text) {
  const auto parsed = parse_challenges(text);
  if (!parsed) return "malformed";
  std::string out;
  for (const Challenge& each : *parsed) {
    out += (out.empty() ? "" : " ") + each.scheme + "[" + each.token;
    bool first = true;
    for (const auto& [name, value] : each.values) {
      out += (first ? "" : ",") + name + "=" + value;
      first = false;
    }
    out += "]";
  }
  return out;
}

TEST(Challenges, AreReadByTheGrammarOfRfc9110) {
  constexpr std::pair<std::string_view, std::string_view> table[] = {
      {"", ""},
      {", ,", ""},
      {"Negotiate", "negotiate[]"},
      {"Bearer realm=\"http://a:1/v2/token\",service=\"container_registry\",scope=\"*\"",
       "bearer[realm=http://a:1/v2/token,scope=*,service=container_registry]"},
      {"BEARER Realm = \"a\" , SERVICE=b", "bearer[realm=a,service=b]"},
      {"Basic realm=\"a, b=\\\"c\\\" \\\\\"", "basic[realm=a, b=\"c\" \\]"},
      // The comma separates parameters, and challenges too.
      {"Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
       "newauth[realm=apps,title=Login to \"apps\",type=1] basic[realm=simple]"},
      {"Negotiate, Basic realm=x", "negotiate[] basic[realm=x]"},
      {"Negotiate YWJj==, Bearer realm=x", "negotiate[YWJj==] bearer[realm=x]"},
      {"Bearer a=1,,b=2,", "bearer[a=1,b=2]"},
      {"Basic realm=\"\"", "basic[realm=]"},
      {"Basic realm=\"unfinished", "malformed"},
      {"Basic realm=\"a\\", "malformed"},
      {"Basic realm=a realm=b", "malformed"},
      {"Basic realm=a, realm=b", "malformed"},
      {"Basic realm=\"a\nb\"", "malformed"},
      {"=x", "malformed"},
      {"Basic realm=\"a\"b", "malformed"},
      {"\"Basic\"", "malformed"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(shown(text), expected) << text;
}

}  // namespace
}  // namespace converge::checks
