// verify --serve and goss serve, by the built binary over loopback.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <future>
#include <vector>

#include "tests/cli/served.h"

namespace converge {
namespace {

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }
std::string body(const std::string& answer) {
  return answer.substr(std::min(answer.find("\r\n\r\n") + 4, answer.size()));
}
std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Serve, AnswersWhatTheChecksSay) {
  const Workplace place;
  place.write("there", "hello\n");
  place.write("goss.yaml",
              "file:\n  there: {exists: true, contents: [hello]}\ncommand:\n  test -e there: {exit-status: 0}\n");
  Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0", "--cache", "0s"});
  EXPECT_TRUE(served.said().starts_with("serving http://127.0.0.1:")) << served.said();
  const std::string good = served.ask("/healthz");
  EXPECT_TRUE(good.starts_with("HTTP/1.1 200 OK\r\n")) << good;
  EXPECT_TRUE(has(good, "Content-Type: text/plain; charset=utf-8\r\n")) << good;
  EXPECT_TRUE(has(good, "Vary: Accept\r\n")) << good;
  EXPECT_TRUE(has(good, "Cache-Control: no-store\r\n")) << good;
  EXPECT_TRUE(has(body(good), "Count: 3, Failed: 0, Skipped: 0")) << good;
  std::filesystem::remove(place.here() / "there");
  const std::string bad = served.ask("/healthz");
  EXPECT_TRUE(bad.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << bad;
  EXPECT_TRUE(has(body(bad), "Failed: 2, Skipped: 1")) << bad;
  EXPECT_TRUE(served.ask("/healthz", "", "HEAD").ends_with("\r\n\r\n"));
  EXPECT_TRUE(served.ask("/elsewhere").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(served.ask("/healthz/").starts_with("HTTP/1.1 404 "));
  EXPECT_EQ(served.end(), 0);
}

TEST(Serve, WhatCannotBeToldIsNotHealthy) {
  const Workplace place;
  place.write("goss.yaml", "registry:\n  HKLM: {exists: true}\n");
  const Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0"});
  EXPECT_TRUE(served.ask("/healthz").starts_with("HTTP/1.1 503 "));
}

TEST(Serve, GivesTheFormThatIsAccepted) {
  const Workplace place;
  place.write("goss.yaml", "file:\n  inventory: {exists: true}\n");
  const Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0", "-f", "tap"});
  const auto asked = [&](const std::string& accept) { return served.ask("/healthz", "Accept: " + accept + "\r\n"); };
  EXPECT_TRUE(body(served.ask("/healthz")).starts_with("1..1\nok 1 - "));
  EXPECT_TRUE(body(asked("*/*")).starts_with("1..1\n"));
  for (const char* json : {"application/json", "text/json", "text/plain;q=0.4, application/json;q=0.5"}) {
    EXPECT_TRUE(body(asked(json)).starts_with("{\"results\":[")) << json;
  }
  EXPECT_TRUE(has(asked("application/json"), "Content-Type: application/json\r\n"));
  EXPECT_TRUE(has(asked("application/vnd.goss-documentation"), "Content-Type: application/vnd.goss-documentation\r\n"));
  EXPECT_TRUE(has(body(asked("application/vnd.goss-json")), "\"results\":["));
  EXPECT_TRUE(has(body(asked("application/xml")), "<testsuite "));
  const std::string scraped = asked("application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1");
  EXPECT_TRUE(has(scraped, "Content-Type: text/plain;version=0.0.4; charset=utf-8\r\n")) << scraped;
  EXPECT_TRUE(has(body(scraped), "goss_tests_outcomes_total{")) << scraped;
  const std::string none = asked("image/png");
  EXPECT_TRUE(none.starts_with("HTTP/1.1 406 ")) << none;
  EXPECT_TRUE(has(body(none), "\napplication/vnd.goss-junit\n")) << none;
}

TEST(Serve, SharesOneRunAndKeepsItForAWhile) {
  const Workplace place;
  place.write("goss.yaml", "command:\n  echo x >>runs; cat gate: {exit-status: 0, timeout: 60000}\n");
  ASSERT_EQ(::mkfifo((place.here() / "gate").c_str(), 0600), 0);  // the command waits for its writer
  const Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0", "--cache", "1h"});
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(std::async(std::launch::async, [&] { return served.ask("/healthz"); }));
  // While they wait, nothing else has to.
  EXPECT_TRUE(served.ask("/elsewhere").starts_with("HTTP/1.1 404 "));
  ::close(::open((place.here() / "gate").c_str(), O_WRONLY));
  for (auto& each : answers) EXPECT_TRUE(each.get().starts_with("HTTP/1.1 200 "));
  const std::string later = served.ask("/healthz");
  EXPECT_TRUE(has(later, "Cache-Control: max-age=3600\r\n")) << later;
  EXPECT_TRUE(has(later, "\r\nAge: ")) << later;
  EXPECT_EQ(lines(place.read("runs")), 1U);
}

TEST(Serve, TakesChangedFilesAtOnceAndKeepsTheOldOnesWhenTheyAreBroken) {
  const Workplace place;
  place.write("goss.yaml", "gossfile:\n  more.yaml: {}\n");
  place.write("more.yaml", "file:\n  inventory: {exists: true}\n");
  Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0", "--cache", "1h"});
  EXPECT_TRUE(served.ask("/healthz").starts_with("HTTP/1.1 200 "));
  place.write("more.yaml", "file:\n  inventory: {exists: false}\n");
  EXPECT_TRUE(served.ask("/healthz").starts_with("HTTP/1.1 503 "));
  place.write("more.yaml", "filee: {}\n");
  const std::string old = served.ask("/healthz");
  EXPECT_TRUE(old.starts_with("HTTP/1.1 503 ")) << old;
  EXPECT_TRUE(has(old, "inventory")) << old;
  EXPECT_TRUE(has(served.ask("/metrics"), "\nconverge_reload_failed 1\n"));
  EXPECT_TRUE(has(place.read("log"),
                  "error: the files cannot be used any more, those before stay in use: more.yaml:1:1: "
                  "unknown check type 'filee'"))
      << place.read("log");
  place.write("more.yaml", "file:\n  inventory: {filetype: directory, exists: true}\n");
  EXPECT_TRUE(served.ask("/healthz").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(has(served.ask("/metrics"), "\nconverge_reload_failed 0\n"));
}

TEST(Serve, MetricsTellTheLastRunAndCountAll) {
  const Workplace place;
  place.write("goss.yaml", "file:\n  inventory: {exists: true}\n  a\"b: {exists: true}\n");
  const Served served(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0", "--cache", "0s"});
  (void)served.ask("/healthz");
  const std::string metrics = served.ask("/metrics");
  for (const char* line :
       {"converge_check_passed{type=\"File\",id=\"inventory\",property=\"exists\"} 1",
        "converge_check_passed{type=\"File\",id=\"a\\\"b\",property=\"exists\"} 0", "converge_last_run_passed 0",
        "converge_last_run_checks{outcome=\"pass\"} 1", "goss_tests_outcomes_total{outcome=\"fail\",type=\"file\"} 2",
        "goss_tests_run_outcomes_total{outcome=\"fail\"} 2", "converge_http_responses_total{code=\"503\"} 1",
        "# TYPE converge_last_run_timestamp_seconds gauge"})
    EXPECT_TRUE(has(metrics, std::string("\n") + line + "\n")) << line << "\n" << metrics;
}

TEST(Serve, AssertsASpecOfThisHost) {
  const Workplace place;
  place.write("specs/one.yaml", "hosts: node1\nconverge:\n  - directory: {path: /etc/x, mode: \"0755\"}\n");
  Served served(place, {"verify", "-l", "node1", "--root", (place.here() / "tree").string(), "--serve", "127.0.0.1:0",
                        "--cache", "0s", "--endpoint", "/health"});
  EXPECT_TRUE(served.ask("/health").starts_with("HTTP/1.1 503 "));
  std::filesystem::create_directory(place.here() / "tree/etc/x");
  const std::string good = served.ask("/health");
  EXPECT_TRUE(good.starts_with("HTTP/1.1 200 ")) << good;
  EXPECT_EQ(served.end(), 0);
}

TEST(Serve, SaysAtOnceWhatItCannotDo) {
  const Workplace place;
  place.write("goss.yaml", "file:\n  inventory: {exists: true}\n");
  place.write("bad.yaml", "filee: {}\n");
  const std::string base = "verify --serve 127.0.0.1:0 ";
  const std::pair<std::string, std::pair<int, std::string>> cases[] = {
      {"-g bad.yaml", {65, "bad.yaml:1:1: error: unknown check type 'filee'"}},
      {"-g -", {64, "standard input cannot be read again"}},
      {"-g goss.yaml --cache soon", {64, "'soon' is no duration"}},
      {"-g goss.yaml --endpoint health", {64, "does not begin with '/'"}},
      {"-g goss.yaml --endpoint /metrics", {64, "taken by the metrics"}},
      {"-g goss.yaml -f junit:x.xml", {64, "cannot be served"}},
      {"-g goss.yaml --tls-key x", {64, "name it with --tls-cert"}},
      {"-g goss.yaml --tls-cert missing.pem", {64, "'missing.pem' cannot be used: No such file or directory"}},
      {"-g goss.yaml --serve 127.0.0.1", {64, "the port is missing"}},
      {"-l node2", {64, "'node2' is another machine"}}};
  place.write("specs/one.yaml", "hosts: all\nconverge:\n  - directory: {path: /etc/x}\n");
  for (const auto& [words, expected] : cases) {
    const Ran ran = place.run((has(words, "--serve") ? "verify " : base) + words);
    EXPECT_EQ(ran.exit, expected.first) << words << "\n" << ran.err;
    EXPECT_TRUE(has(ran.err, expected.second)) << words << "\n" << ran.err;
  }
  const Served first(place, {"verify", "-g", "goss.yaml", "--serve", "127.0.0.1:0"});
  const Ran second = place.run("verify -g goss.yaml --serve 127.0.0.1:" + std::to_string(first.port()));
  EXPECT_EQ(second.exit, 1);
  EXPECT_TRUE(has(second.err, "is already in use")) << second.err;
}

TEST(GossServe, TakesItsOptionsAndEnvironment) {
  const Workplace place;
  const std::string goss = (place.here() / "goss").string();
  std::filesystem::create_symlink(CONVERGE_BINARY, goss);
  place.write("goss.yaml", "file:\n  inventory: {exists: true}\n");
  Served served(
      place, {"serve", "-l", "127.0.0.1:0", "-e", "/ready", "-c", "0s", "-f", "json", "--max-concurrent", "5"}, goss);
  EXPECT_TRUE(body(served.ask("/ready")).starts_with("{\"results\":[")) << served.said();
  EXPECT_EQ(served.end(), 0);
  ::setenv("GOSS_LISTEN", "127.0.0.1:0", 1);
  ::setenv("GOSS_FMT", "tap", 1);
  Served by_environment(place, {"-g", "goss.yaml", "s"}, goss);
  ::unsetenv("GOSS_LISTEN");
  ::unsetenv("GOSS_FMT");
  EXPECT_TRUE(body(by_environment.ask("/healthz")).starts_with("1..1\n")) << by_environment.said();
}

}  // namespace
}  // namespace converge
