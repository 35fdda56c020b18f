// What the fleet's site answers, and to whom.
#include "cli/fleet_site.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "history/sqlite.h"
#include "report/step_json.h"

namespace converge::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t minute = 60'000'000;
Timestamp at(int minutes) { return Timestamp{1'700'000'000'000'000 + minutes * minute}; }

class FleetSiteTest : public testing::Test {
 protected:
  FleetSiteTest() {
    auto opened = history::open_sqlite(file(), history::Access::write);
    if (opened) history_ = std::move(*opened);
    site_.open = [this] { return history::open_sqlite(file(), history::Access::read); };
    site_.now = [] { return at(100); };
    site_.stale = std::chrono::hours(1);
    site_.session = Secret("the-cookie-of-this-start");
    look(0, {{"web1", "10"}, {"web2", "10"}});
    look(10, {{"web1", "60"}, {"web2", "10"}});
  }
  ~FleetSiteTest() override {
    history_.reset();
    fs::remove_all(directory_);
  }
  std::string file() const { return (directory_ / "h.db").string(); }

  void look(int minutes, const std::vector<std::pair<std::string, std::string>>& found) {
    history::RunStart start{.uid = std::string(31, '0') + std::to_string(++runs_), .verb = Verb::drift};
    start.began = at(minutes);
    const auto id = history_->begin(start, [](const std::string&, std::int64_t) { return true; });
    ASSERT_TRUE(id);
    for (const auto& [host, value] : found) {
      history::HostRecord record{.host = host, .ended = at(minutes), .took = std::chrono::milliseconds(12)};
      record.steps.push_back({.id = "sysctl:vm.swappiness",
                              .item = "swap",
                              .at = "specs/x.yaml:7:3",
                              .outcome = value == "10" ? Outcome::in_sync : Outcome::out_of_sync,
                              .checks = {check_equal("running", "10", value)}});
      record.tally.add(record.steps.front().outcome);
      ASSERT_TRUE(history_->record(*id, record));
    }
    ASSERT_TRUE(history_->end(*id, at(minutes + 1), 0, false));
  }

  web::Response ask(const std::string& path, web::Fields query = {}, web::Fields headers = {}) const {
    if (std::none_of(headers.begin(), headers.end(), [](const auto& field) { return field.first == "host"; }))
      headers.emplace_back("host", "127.0.0.1:8081");
    return answer(site_, {.method = "GET",
                          .path = path,
                          .query = std::move(query),
                          .headers = std::move(headers),
                          .remote = "127.0.0.1"});
  }
  Json json(const std::string& path, web::Fields query = {}) const {
    const web::Response said = ask(path, std::move(query));
    EXPECT_EQ(said.status, 200) << said.body;
    EXPECT_EQ(said.content_type, "application/json");
    return Json::parse(said.body, nullptr, false);
  }
  static std::string header(const web::Response& response, std::string_view name) {
    for (const auto& [field, value] : response.headers)
      if (field == name) return value;
    return "";
  }

  fs::path directory_ = [] {
    std::string name = testing::TempDir() + "site-XXXXXX";
    return fs::path(mkdtemp(name.data()));
  }();
  std::unique_ptr<history::History> history_;
  FleetSite site_;
  int runs_ = 0;
};

TEST_F(FleetSiteTest, ListsHostsWithTheirItems) {
  const Json hosts = json("/api/v1/hosts")["hosts"];
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0]["host"], "web1");
  EXPECT_EQ(hosts[0]["run"], 2);
  EXPECT_EQ(hosts[0]["counts"]["out_of_sync"], 1);
  EXPECT_EQ(hosts[0]["items"][0]["item"], "swap");
  EXPECT_EQ(hosts[0]["items"][0]["out_of_sync"], 1);
  EXPECT_EQ(hosts[1]["items"][0]["out_of_sync"], 0);
}

TEST_F(FleetSiteTest, TellsOfAHostItsFindingsAndLooks) {
  const Json host = json("/api/v1/hosts/web1");
  EXPECT_EQ(host["findings"][0]["actual"], "60");
  EXPECT_EQ(host["findings"][0]["in_sync_until"], at(0).micros);
  ASSERT_EQ(host["looks"].size(), 2U);
  EXPECT_EQ(host["looks"][0]["micros"], 12'000);
  EXPECT_EQ(json("/api/v1/hosts/web1", {{"since", "95min"}})["looks"].size(), 1U);
  EXPECT_EQ(ask("/api/v1/hosts/nobody").status, 404);
}

TEST_F(FleetSiteTest, GoesThroughRunsByPages) {
  Json page = json("/api/v1/runs", {{"limit", "1"}});
  EXPECT_EQ(page["runs"][0]["run"], 2);
  EXPECT_EQ(page["next"], 2);
  page = json("/api/v1/runs", {{"limit", "2"}, {"before", "2"}});
  EXPECT_EQ(page["runs"][0]["run"], 1);
  EXPECT_EQ(page["next"], nullptr);
}

TEST_F(FleetSiteTest, TellsOfARunEveryStep) {
  const Json run = json("/api/v1/runs/2");
  EXPECT_EQ(run["run"], 2);
  ASSERT_EQ(run["looks"].size(), 2U);
  EXPECT_EQ(run["looks"][0]["steps"][0]["checks"][0]["actual"], "60");
  EXPECT_EQ(ask("/api/v1/runs/99").status, 404);
}

TEST_F(FleetSiteTest, ListsFindingsByWhatIsAsked) {
  look(20, {{"web1", "10"}, {"web2", "60"}});
  EXPECT_EQ(json("/api/v1/findings")["findings"].size(), 2U);
  const Json open = json("/api/v1/findings", {{"state", "open"}})["findings"];
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0]["host"], "web2");
  EXPECT_EQ(json("/api/v1/findings", {{"host", "web1"}})["findings"][0]["how"], "healed");
  EXPECT_TRUE(json("/api/v1/findings", {{"item", "motd"}})["findings"].empty());
}

TEST_F(FleetSiteTest, RefusesWhatItDoesNotUnderstand) {
  for (const auto& [name, value] : web::Fields{{"limit", "0"},
                                               {"limit", "many"},
                                               {"limit", "5000"},
                                               {"since", "soon"},
                                               {"before", "x"},
                                               {"state", "odd"},
                                               {"colour", "red"}}) {
    const web::Response said = ask("/api/v1/findings", {{name, value}});
    EXPECT_EQ(said.status, 400) << name << "=" << value;
    EXPECT_NE(said.body.find("\"error\""), std::string::npos);
  }
  EXPECT_EQ(ask("/api/v1/nothing").status, 404);
  EXPECT_EQ(ask("/etc/passwd").status, 404);
}

TEST_F(FleetSiteTest, SendsThePageItsDataOnce) {
  const web::Response first = ask("/api/v1/page", {{"since", "1d"}});
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(Json::parse(first.body)["hosts"].size(), 2U);
  const std::string tag = header(first, "ETag");
  EXPECT_EQ(ask("/api/v1/page", {{"since", "1d"}}, {{"if-none-match", tag}}).status, 304);
  EXPECT_EQ(ask("/api/v1/page", {{"since", "2d"}}, {{"if-none-match", tag}}).status, 200);
  look(20, {{"web1", "10"}});
  EXPECT_EQ(ask("/api/v1/page", {{"since", "1d"}}, {{"if-none-match", tag}}).status, 200);
}

TEST_F(FleetSiteTest, ThePageBeginsWithTheHistoryIfThatIsYounger) {
  const auto begins = [&](const char* since) {
    const Timestamp millis{Json::parse(ask("/api/v1/page", {{"since", since}}).body)["since"].get<std::int64_t>()};
    return (at(100).micros / 1000 - millis.micros) / 3'600'000;  // hours ago
  };
  EXPECT_EQ(begins("30d"), 24) << "a day at least";
  EXPECT_EQ(begins("6h"), 6);
  look(-2 * 24 * 60 + 100, {{"web1", "10"}});
  EXPECT_EQ(begins("30d"), 48);
}

TEST_F(FleetSiteTest, TellsPrometheusOfEachHost) {
  const std::string text = ask("/metrics").body;
  for (const char* line :
       {"converge_host_resources{host=\"web1\",outcome=\"out_of_sync\"} 1\n",
        "converge_host_resources{host=\"web2\",outcome=\"in_sync\"} 1\n",
        "converge_host_findings{host=\"web1\",kind=\"out_of_sync\"} 1\n", "converge_host_reached{host=\"web2\"} 1\n",
        "converge_host_last_look_timestamp_seconds{host=\"web1\"} 1700000600.000000\n",
        "converge_host_last_look_duration_seconds{host=\"web1\"} 0.012000\n",
        "converge_last_run_duration_seconds{verb=\"drift\"} 60.000000\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(FleetSiteTest, MetricsCannotBeBrokenByAName) {
  look(20, {{"a\"} 1\nevil{x=\"\\", "10"}});
  const std::string text = ask("/metrics").body;
  EXPECT_EQ(text.find("\nevil"), std::string::npos);
  EXPECT_NE(text.find("{host=\"a\\\"} 1\\\\x0aevil{x=\\\"\\\\\""), std::string::npos) << text.substr(0, 400);
}

TEST_F(FleetSiteTest, GuardsEveryAnswer) {
  for (const char* path : {"/", "/runs/1", "/api/v1/hosts", "/metrics", "/healthz", "/nowhere"}) {
    const web::Response said = ask(path);
    EXPECT_NE(header(said, "Content-Security-Policy").find("default-src 'none'"), std::string::npos) << path;
    EXPECT_NE(header(said, "Content-Security-Policy").find("frame-ancestors 'none'"), std::string::npos) << path;
    EXPECT_EQ(header(said, "Referrer-Policy"), "no-referrer") << path;
  }
}

TEST_F(FleetSiteTest, OnThisMachineOnlyItsOwnNamesAreAnswered) {
  for (const char* host :
       {"localhost:8081", "localhost", "127.0.0.1:8081", "127.1.2.3:80", "[::1]:8081", "LOCALHOST:1"})
    EXPECT_EQ(ask("/healthz", {}, {{"host", host}}).status, 200) << host;
  for (const char* host :
       {"", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1:80"})
    EXPECT_EQ(ask("/healthz", {}, {{"host", host}}).status, 421) << host;
  site_.loopback = false;
  EXPECT_EQ(ask("/healthz", {}, {{"host", "status.example"}}).status, 200);
}

TEST_F(FleetSiteTest, ATokenIsAskedForEverywhereButForHealth) {
  site_.token = Secret("0123456789abcdef");
  EXPECT_EQ(ask("/healthz").status, 200);
  EXPECT_EQ(ask("/login").status, 200);
  EXPECT_EQ(ask("/").status, 303);
  EXPECT_EQ(header(ask("/runs/1"), "Location"), "/login");
  for (const char* path : {"/metrics", "/api/v1/hosts", "/api/v1/page", "/nowhere"}) {
    EXPECT_EQ(ask(path).status, 401) << path;
    EXPECT_EQ(header(ask(path), "WWW-Authenticate"), "Bearer realm=\"converge\"");
    EXPECT_EQ(ask(path, {}, {{"authorization", "Bearer 0123456789abcdeX"}}).status, 401) << path;
    EXPECT_EQ(ask(path, {}, {{"authorization", "Bearer "}}).status, 401) << path;
    EXPECT_EQ(ask(path, {}, {{"cookie", "converge="}}).status, 401) << path;
    EXPECT_EQ(ask(path, {}, {{"cookie", "converge=0123456789abcdef"}}).status, 401) << path;  // the token is no cookie
  }
  EXPECT_EQ(ask("/metrics", {}, {{"authorization", "Bearer 0123456789abcdef"}}).status, 200);
}

TEST_F(FleetSiteTest, ABrowserThatShowsTheTokenGetsACookie) {
  site_.token = Secret("0123456789abcdef");
  EXPECT_EQ(ask("/login", {}, {{"authorization", "Bearer wrong"}}).status, 401);
  const web::Response in = ask("/login", {}, {{"authorization", "bearer 0123456789abcdef"}});
  EXPECT_EQ(in.status, 200);
  EXPECT_EQ(header(in, "Set-Cookie"),
            "converge=the-cookie-of-this-start; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
  EXPECT_EQ(ask("/", {}, {{"cookie", "other=1; converge=the-cookie-of-this-start"}}).status, 200);
  site_.encrypted = true;
  EXPECT_TRUE(
      header(ask("/login", {}, {{"authorization", "Bearer 0123456789abcdef"}}), "Set-Cookie").ends_with("; Secure"));
}

TEST_F(FleetSiteTest, NoAnswerHoldsTheToken) {
  site_.token = Secret("0123456789abcdef");
  for (const char* path : {"/", "/login", "/metrics", "/healthz"}) {
    const web::Response said = ask(path, {}, {{"authorization", "Bearer 0123456789abcdef"}});
    EXPECT_EQ(said.body.find("0123456789abcdef"), std::string::npos) << path;
    for (const auto& [name, value] : said.headers) EXPECT_EQ(value.find("0123456789abcdef"), std::string::npos) << name;
  }
}

TEST_F(FleetSiteTest, AReaderDoesNotWaitForAWriter) {
  ASSERT_TRUE(history_->together([&] {
    look(20, {{"web1", "10"}});  // begun, and not yet ended
    EXPECT_EQ(json("/api/v1/hosts")["hosts"][0]["run"], 2);
    return ok();
  }));
  EXPECT_EQ(json("/api/v1/hosts")["hosts"][0]["run"], 3);
}

TEST_F(FleetSiteTest, WithoutAHistoryItIsHealthyAndSaysSo) {
  site_.open = [] { return Error{Errc::not_found, "there is no history yet", {}, {}}; };
  EXPECT_EQ(ask("/healthz").status, 200);
  const web::Response said = ask("/api/v1/page");
  EXPECT_EQ(said.status, 404);
  EXPECT_NE(said.body.find("there is no history yet"), std::string::npos);
}

class TokenFile : public testing::Test {
 protected:
  ~TokenFile() override { fs::remove(path_); }
  Result<Secret> read(const std::string& text, mode_t mode) const {
    std::ofstream(path_) << text;
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    return read_token(path_);
  }
  const std::string path_ = testing::TempDir() + "token-" + std::to_string(getpid());
};

TEST_F(TokenFile, IsItsFirstLine) {
  const auto token = read("0123456789abcdef\nanother\n", 0600);
  ASSERT_TRUE(token) << token.error().text();
  EXPECT_EQ(token->reveal(), "0123456789abcdef");
}

TEST_F(TokenFile, IsRefusedWhenOthersMayReadIt) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U})
    EXPECT_EQ(read("0123456789abcdef\n", mode).error().code, Errc::refused);
}

TEST_F(TokenFile, IsRefusedWhenItIsShortOrNotThere) {
  EXPECT_EQ(read("short\n", 0600).error().code, Errc::invalid);
  EXPECT_EQ(read("", 0600).error().code, Errc::invalid);
  EXPECT_EQ(read_token(path_ + "-none").error().code, Errc::not_found);
}

}  // namespace
}  // namespace converge::cli
