// The forms other programs read, with texts that would like to be more than text; and the command line of Goss.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace converge {
namespace {

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// A passing, a failing, a skipped and an undetermined check; what the failing one says is hostile.
void write_gossfile(const Workplace& place) {
  place.write("hostile", "<a href=\"x\">]]>&amp;|crit=9 # SKIP\n\x1b[31mred\x01\\ '\"} 1\nok 1 - forged\n");
  place.write("goss.yaml",
              "file:\n  hostile: {exists: true, contents: {equal: x}}\n  gone: {exists: true, mode: \"0644\"}\n"
              "matching:\n  \"a|b=1;\\\"<&>#\\e[31m\": {content: 1, matches: 2}\nregistry:\n  HKLM: {exists: true}\n");
}

Ran verify_as(const Workplace& place, const std::string& format, const std::string& more = "") {
  return place.run("verify -g goss.yaml -f " + format + " " + more);
}

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Outputs, NoneLetsATextOfAHostBeMore) {
  const Workplace place;
  write_gossfile(place);
  for (const char* format : {"documentation", "rspecish", "junit", "tap", "nagios", "prometheus", "goss_json",
                             "json_oneline", "structured", "text", "json"}) {
    const Ran ran = verify_as(place, format, "-o verbose,perfdata -v");
    EXPECT_EQ(ran.exit, std::string_view(format) == "nagios" ? 2 : 1) << format << ran.err;
    EXPECT_FALSE(ran.out.empty()) << format;
    EXPECT_FALSE(has(ran.out, "\x1b")) << format;
    EXPECT_FALSE(has(ran.out, "\x01")) << format;
  }
}

TEST(Outputs, JunitIsXmlWhateverTheHostSays) {
  const Workplace place;
  write_gossfile(place);
  const std::string out = verify_as(place, "junit").out;
  EXPECT_TRUE(has(out, "errors=\"1\" tests=\"6\" failures=\"3\" skipped=\"1\"")) << out;
  EXPECT_TRUE(has(out, "&lt;a href=")) << out;
  EXPECT_FALSE(has(out, "<a ")) << out;
  EXPECT_FALSE(has(out, "]]>")) << out;
}

TEST(Outputs, TapHasAPlanAndNoForgedLines) {
  const Workplace place;
  write_gossfile(place);
  const std::string out = verify_as(place, "tap").out;
  EXPECT_TRUE(out.starts_with("1..6\n")) << out;
  EXPECT_EQ(lines_of(out), 7U) << out;
  EXPECT_FALSE(has(out, "\nok 1 - forged")) << out;
  EXPECT_TRUE(has(out, "\\# SKIP")) << out;  // of the host's text: escaped
}

TEST(Outputs, NagiosHasOneBarAndOneStatus) {
  const Workplace place;
  write_gossfile(place);
  const std::string out = verify_as(place, "nagios", "-o perfdata,verbose").out;
  EXPECT_TRUE(out.starts_with("GOSS CRITICAL - Count: 6, Failed: 4, Skipped: 1, Duration: ")) << out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '|'), 1) << out;
  EXPECT_EQ(lines_of(out), 5U) << out;
}

TEST(Outputs, NagiosExitsAsPlugInsDo) {
  const Workplace place;
  const auto asked = [&](const std::string& gossfile) {
    place.write("goss.yaml", gossfile);
    return place.run("verify -g goss.yaml -f nagios");
  };
  EXPECT_EQ(asked("file: {/etc: {exists: true}}").exit, 0);
  Ran ran = asked("file: {/etc: {exists: false}}");
  EXPECT_EQ(ran.exit, 2);
  EXPECT_TRUE(ran.out.starts_with("GOSS CRITICAL")) << ran.out;
  ran = asked("registry: {HKLM: {exists: true}}");
  EXPECT_EQ(ran.exit, 3) << ran.out;
  EXPECT_TRUE(ran.out.starts_with("GOSS UNKNOWN")) << ran.out;
}

TEST(Outputs, PrometheusLabelsAreQuoted) {
  const Workplace place;
  write_gossfile(place);
  const std::string out = verify_as(place, "prometheus", "-o verbose").out;
  EXPECT_TRUE(has(out, "{outcome=\"fail\",resource_id=\"a|b=1;\\\"<&>#\\\\x1b[31m\",type=\"matching\"} 1\n")) << out;
  EXPECT_TRUE(has(out, "{outcome=\"unknown\",resource_id=\"HKLM\",type=\"registry\"} 1\n")) << out;
  EXPECT_TRUE(has(out, "goss_tests_run_outcomes_total{outcome=\"fail\"} 1\n")) << out;
}

TEST(Outputs, JsonHasGosssKeys) {
  const Workplace place;
  write_gossfile(place);
  const auto json = nlohmann::json::parse(verify_as(place, "goss_json", "-o sort").out);
  EXPECT_EQ(json["summary"]["test-count"], 6);
  EXPECT_EQ(json["summary"]["failed-count"], 4);
  EXPECT_EQ(json["summary"]["skipped-count"], 1);
  const auto& first = json["results"][0];
  EXPECT_EQ(first["resource-type"], "File");
  EXPECT_EQ(first["resource-id"], "gone");
  EXPECT_EQ(first["result"], 1);
  EXPECT_EQ(first["matcher-result"]["actual"], false);
  EXPECT_EQ(lines_of(verify_as(place, "json_oneline", "-o pretty").out), 1U);
}

TEST(Outputs, JsonTellsWhatOfAListWasFound) {
  const Workplace place;
  place.write("goss.yaml",
              "matching:\n  some: {content: [a, b], matches: {contain-elements: [a, c, b]}}\n"
              "  none: {content: [a], matches: [c]}\n  lines: {content: x, as-reader: true, matches: [x, y]}\n"
              "  no line: {content: x, as-reader: true, matches: [z]}\n  exactly: {content: [a], matches: {consist-of: "
              "[a, b]}}\n"
              "  word: {content: a, matches: b}\n");
  const auto json = nlohmann::json::parse(verify_as(place, "goss_json").out, nullptr, false);
  std::string found;
  for (const auto& each : json["results"])
    found += each["resource-id"].get<std::string>() + " " + each["matcher-result"]["found-elements"].dump() + "\n";
  EXPECT_EQ(found, "some [\"a\",\"b\"]\nnone []\nlines [\"x\"]\nno line null\nexactly null\nword null\n");
}

TEST(Outputs, OfGosssForPeopleAreColouredWhereColoursAreWanted) {
  const Workplace place;
  place.write("goss.yaml",
              "matching:\n  good: {content: 1, matches: 1}\n  bad: {content: 1, matches: 2}\n"
              "  left: {content: 1, matches: 1, skip: true}\n");
  const std::string marks = verify_as(place, "rspecish", "--color always").out;
  EXPECT_TRUE(marks.starts_with("\x1b[32m.\x1b[0m\x1b[31mF\x1b[0m\x1b[33mS\x1b[0m\n\n")) << marks;
  EXPECT_TRUE(has(marks, "\x1b[31mCount: 3, Failed: 1, Skipped: 1\x1b[0m\n")) << marks;
  const std::string lines = verify_as(place, "documentation", "--color always").out;
  EXPECT_TRUE(has(lines, "\x1b[32mMatching: good: matches: matches expectation: 1\x1b[0m\n")) << lines;
  EXPECT_TRUE(has(lines, "\x1b[31mMatching: bad: matches:\n")) << lines;
  EXPECT_TRUE(has(lines, "\x1b[33mMatching: left: matches: skipped\x1b[0m\n")) << lines;
  EXPECT_FALSE(has(verify_as(place, "rspecish", "--color never").out, "\x1b"));
  EXPECT_FALSE(has(verify_as(place, "rspecish").out, "\x1b"));  // no terminal
  (void)verify_as(place, "silent", "--color always -f documentation:out.txt");
  EXPECT_FALSE(has(place.read("out.txt"), "\x1b"));
}

TEST(Outputs, SeveralInOneRunGoToTheirFiles) {
  const Workplace place;
  write_gossfile(place);
  const Ran ran = verify_as(place, "text", "-f junit:report.xml -f silent");
  EXPECT_EQ(ran.exit, 64) << "two on standard output";
  const Ran both = verify_as(place, "text", "-f junit:report.xml -f tap:report.tap");
  EXPECT_EQ(both.exit, 1);
  EXPECT_TRUE(has(both.out, "1 host ·")) << both.out;
  EXPECT_TRUE(place.read("report.xml").starts_with("<?xml ")) << both.err;
  EXPECT_TRUE(place.read("report.tap").starts_with("1..6\n"));
  EXPECT_EQ(verify_as(place, "junit:no/such/directory.xml").exit, 70);
  EXPECT_EQ(verify_as(place, "jnuit").exit, 64);
  EXPECT_EQ(verify_as(place, "silent").out, "");
}

TEST(Outputs, AreInGosssWords) {
  const Workplace place;
  place.write("twelve", "12\n");
  place.write("goss.yaml", R"(file:
  twelve: {exists: true, contents: [twelve, "!x"], filetype: link}
  gone: {exists: true, mode: "0644"}
command:
  x: {title: my title, meta: {sev: 3, owner: me}, skip: true, exit-status: 0}
matching:
  a: {content: "128\n", matches: {gt: 200}}
  b: {content: [1], matches: {foo: 1}}
  c: {content: 1, matches: {lt: 1, gt: 1}}
kernel-param:
  no.such: {value: "1"}
)");
  const std::string out = verify_as(place, "rspecish").out;
  const std::string expected = R"(S.FFFSFFFF

Failures/Skipped:

Title: my title
Meta:
    owner: me
    sev: 3
Command: x: exit-status: skipped

File: twelve: filetype:
Expected
    "file"
to equal
    "link"
diff
    --- test
    +++ actual
    @@ -1 +1 @@
    -link
    +file
goss.yaml:2:52
File: twelve: contents:
Expected
    "12\n"
to have patterns
    ["twelve","!x"]
the missing elements were
    ["twelve"]
goss.yaml:2:26

File: gone: exists:
Expected
    false
to equal
    true
goss.yaml:3:10
File: gone: mode: skipped

KernelParam: no.such: value:
Error
    could not find the given key
goss.yaml:11:13

Matching: a: matches:
Expected
    128
to be numerically gt
    200
the transform chain was
    [{"to-numeric":{}}]
the raw value was
    "128\n"
goss.yaml:7:25

Matching: b: matches:
Error
    Syntax Error: Unknown matcher: foo
goss.yaml:8:21

Matching: c: matches:
Error
    Syntax Error: Invalid matcher configuration. At a given nesting level, only one matcher is allowed. Found multiple matchers: ["lt" "gt"]
goss.yaml:9:19

Total Duration: )";
  EXPECT_EQ(out.substr(0, expected.size()), expected);
  EXPECT_TRUE(has(out, "\nCount: 10, Failed: 7, Skipped: 2\n")) << out;
  const std::string tap = verify_as(place, "tap").out;
  EXPECT_TRUE(has(tap, "ok 2 - File: twelve: exists: matches expectation: true\n")) << tap;
  EXPECT_TRUE(has(tap, "not ok 5 - File: gone: exists: Expected false to equal true (goss.yaml:3:10)\n")) << tap;
  EXPECT_TRUE(has(tap, "ok 6 - # SKIP File: gone: mode: skipped\n")) << tap;
  EXPECT_TRUE(has(tap, "[{\"to-numeric\":{}}] the raw value was \"128\\n\" (")) << tap;
  EXPECT_FALSE(has(verify_as(place, "rspecish", "-o exclude_raw").out, "raw value"));
  const auto json = nlohmann::json::parse(verify_as(place, "json_oneline").out)["results"];
  EXPECT_EQ(json[0]["meta"]["sev"], 3);
  EXPECT_EQ(json[3]["matcher-result"]["missing-elements"][0], "twelve");
  EXPECT_EQ(json[3]["matcher-result"]["message"], "to have patterns");
  EXPECT_EQ(json[7]["matcher-result"]["transform-chain"][0].size(), 1U);
  EXPECT_EQ(json[7]["matcher-result"]["untransformed-value"], "128\n");
  EXPECT_EQ(json[8]["err"], "Syntax Error: Unknown matcher: foo");
}

TEST(Goss, ValidatesByALinkOfThatNameWithItsOwnWordsAndExitCodes) {
  const Workplace place;
  std::filesystem::create_symlink(CONVERGE_BINARY, place.here() / "goss");
  place.write("goss.yaml", "file:\n  inventory: {exists: true}\n");
  place.write("bad.yaml", "file:\n  gone: {exists: true}\n");
  place.write("wrong.yaml", "file:\n  gone: {exist: true}\n");
  const auto goss = [&](const std::string& arguments, const std::string& environment = "") {
    const int status = std::system(  // NOLINT: the test's own words
        ("cd '" + place.here().string() + "' && " + environment + " ./goss " + arguments +
         " >stdout 2>stderr </dev/null")
            .c_str());
    return Ran{WEXITSTATUS(status), place.read("stdout"), place.read("stderr")};
  };
  EXPECT_EQ(goss("-v").out, "goss version v0.4.10\n");
  const Ran good = goss("validate");
  EXPECT_EQ(good.exit, 0) << good.err;
  EXPECT_TRUE(good.out.starts_with(".\n\nTotal Duration: ")) << good.out;
  EXPECT_TRUE(has(good.out, "Count: 1, Failed: 0, Skipped: 0\n"));
  EXPECT_EQ(goss("-g bad.yaml validate").exit, 1);
  EXPECT_EQ(goss("v", "GOSS_FILE=bad.yaml GOSS_FMT=nagios").exit, 2);
  EXPECT_EQ(goss("v -g bad.yaml -f structured").exit, 0);
  EXPECT_TRUE(has(goss("v -f json").out, "\"resource-type\":\"File\""));
  EXPECT_EQ(goss("validate -g wrong.yaml").exit, 78);
  EXPECT_EQ(goss("validate -g gone.yaml").exit, 78);
  EXPECT_EQ(goss("validate --max-concurrent 0").exit, 1);
  EXPECT_EQ(goss("validate -f nothing").exit, 1);
  EXPECT_EQ(goss("nothing").exit, 3);
  const Ran late = goss("-g bad.yaml validate --retry-timeout 30ms --sleep 20ms");
  EXPECT_EQ(late.exit, 3) << late.out << late.err;
  EXPECT_TRUE(has(late.out, "Retrying in 20ms (elapsed/timeout time: 0.")) << late.out;
  EXPECT_TRUE(has(late.out, "/30ms)\n\n\nAttempt #2:\n")) << late.out;
  EXPECT_TRUE(late.out.ends_with("Error: timeout of 30ms reached before tests entered a passing state\n")) << late.out;
  const Ran shown = goss("render --vars-inline '{}'");
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_TRUE(nlohmann::json::parse(shown.out)["file"]["inventory"]["exists"]);
}

}  // namespace
}  // namespace converge
