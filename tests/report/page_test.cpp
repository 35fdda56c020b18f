// The page of a fleet as text: what is in it, and that nothing in it ends what it stands in.
#include "report/page.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "report/page_files.h"

namespace converge {
namespace {

constexpr std::int64_t second = 1'000'000;

PageFleet fleet() {
  PageFleet out{.made = {100 * second}, .since = {0}, .stale = std::chrono::seconds(60)};
  out.hosts.push_back({.name = "</script><b>", .status = "done", .run = 7, .ended = {90 * second}});
  out.hosts.back().items.push_back({"swap", 3, 1, 0, {90 * second}});
  out.hosts.back().looks.emplace_back(7, std::chrono::milliseconds(12));
  out.findings.push_back({.id = 1,
                          .host = "</script><b>",
                          .item = "swap",
                          .resource = "fstab:/swapfile",
                          .at = "specs/x.yaml:7:3",
                          .property = "entries",
                          .expected = "1",
                          .actual = "0",
                          .out_since = {80 * second},
                          .began = {80 * second},
                          .suspects = {{"edit", "/etc/fstab was edited"}}});
  return out;
}

std::size_t count_of(std::string_view part, std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PageData, TellsWordsOnceAndTimesInMilliseconds) {
  const Json data = to_json(fleet());
  const auto word = [&](const Json& number) { return data["strings"][number.get<std::size_t>()].get<std::string>(); };
  EXPECT_EQ(data["made"], 100'000);
  EXPECT_EQ(data["stale"], 60'000);
  ASSERT_EQ(data["items"].size(), 1U);
  EXPECT_EQ(word(data["items"][0]), "swap");
  EXPECT_EQ(data["hosts"][0]["items"][0], Json({data["items"][0], 3, 1, 0, 90'000}));
  EXPECT_EQ(data["hosts"][0]["looks"], Json({7, 12.0}));
  const Json& finding = data["findings"][0];
  EXPECT_EQ(finding[0], 0);
  EXPECT_EQ(word(finding[1]), "swap");
  EXPECT_EQ(word(finding[3]), "specs/x.yaml:7:3");
  EXPECT_EQ(finding[9], nullptr);  // never seen in sync
  EXPECT_EQ(finding[10], 80'000);
  EXPECT_EQ(finding[14], Json::array({"/etc/fstab was edited"}));
}

TEST(PageData, LeavesOutFindingsOfHostsThatAreNotShown) {
  PageFleet one = fleet();
  one.findings.front().host = "another";
  EXPECT_TRUE(to_json(one)["findings"].empty());
}

TEST(Page, HoldsItsDataWhereNothingEndsIt) {
  const Json data = to_json(fleet());
  const std::string page = page_of(&data);
  EXPECT_EQ(count_of("</script>", page), 2U);  // of the data, and of the script
  EXPECT_EQ(count_of("<script", page), 2U);
  EXPECT_NE(page.find("\\u003c/script>\\u003cb>"), std::string::npos);
  const std::size_t begin = page.find("id=\"data\">") + 10;
  EXPECT_EQ(Json::parse(page.substr(begin, page.find("</script>") - begin)), data);
}

TEST(Page, StandsInvalidUtf8) {
  PageFleet one = fleet();
  one.findings.front().actual = "\xff\xfe";
  const Json data = to_json(one);
  EXPECT_NE(page_of(&data).find("\xEF\xBF\xBD"), std::string::npos);
}

TEST(Page, AllowsItsOwnScriptAndStyleAlone) {
  const std::string policy = page_policy(false);
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("script-src 'sha256-" + base64(sha256(page_js)) + "'"), std::string::npos);
  EXPECT_NE(policy.find("style-src 'sha256-" + base64(sha256(page_css)) + "'"), std::string::npos);
  EXPECT_EQ(policy.find("connect-src"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_NE(page_policy(true).find("connect-src 'self'"), std::string::npos);
  const Json data = to_json(fleet());
  EXPECT_NE(page_of(&data).find("content=\"" + policy + "\""), std::string::npos);
}

TEST(Page, NamesNothingOutsideOfIt) {
  const std::string page = page_of(nullptr);
  for (const char* part : {"src=\"", "url(", "@import", "https://", "innerHTML", "insertAdjacentHTML", "document.write",
                           "eval(", "onclick="})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  EXPECT_EQ(count_of("http://", page), count_of("http://www.w3.org/2000/svg", page));
}

}  // namespace
}  // namespace converge
