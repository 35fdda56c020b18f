#include "spec/params.h"

#include <gtest/gtest.h>

#include "spec/yaml.h"

namespace converge::spec {
namespace {

const std::vector<Field> fields = {
    {.name = "path", .kind = Kind::path, .doc = "the file", .required = true},
    {.name = "size", .kind = Kind::size, .doc = "how big", .fallback = "1GiB", .min = 4096, .max = 1LL << 40},
    {.name = "mode", .kind = Kind::mode, .doc = "permissions", .fallback = "\"0600\""},
    {.name = "soft", .kind = Kind::integer, .doc = "limit", .min = 1, .max = 100, .unit = "processes"},
    {.name = "swappiness", .kind = Kind::integer, .doc = "eagerness", .fallback = "10", .min = 0},
    {.name = "state", .kind = Kind::text, .doc = "state", .fallback = "present", .choices = {"present", "absent"}},
    {.name = "note", .kind = Kind::text, .doc = "a word"},
    {.name = "content", .kind = Kind::multiline, .doc = "lines"},
    {.name = "enabled", .kind = Kind::boolean, .doc = "at boot", .fallback = "true"},
    {.name = "tags", .kind = Kind::text_list, .doc = "words", .fallback = "[a, b]"},
    {.name = "free", .kind = Kind::mapping, .doc = "anything in it", .fallback = "{x: [1]}"},
    {.name = "hosts",
     .kind = Kind::mapping_list,
     .doc = "each",
     .fallback = "[]",
     .of = {{.name = "name", .kind = Kind::text, .doc = "its name", .required = true},
            {.name = "port", .kind = Kind::integer, .doc = "its port", .fallback = "22", .min = 1, .max = 65535}}},
    {.name = "owner",
     .kind = Kind::mapping,
     .doc = "who",
     .of = {{.name = "user", .kind = Kind::text, .doc = "login"}}},
};

/// Params over a text; keeps what they refer to.
struct Checked {
  explicit Checked(std::string text, bool with_path = true)
      : source{"s.yaml", (with_path ? "path: /x\n" : "") + std::move(text)}, value(read_yaml(source, {}, diagnostics)) {
    params.emplace(*value, fields, diagnostics);
    for (const Diagnostic& one : diagnostics)
      problems.push_back(std::to_string(one.at.line - (with_path ? 1 : 0)) + ":" + std::to_string(one.at.column) + " " +
                         one.message + (one.hint.empty() ? "" : " | " + one.hint));
  }
  Source source;
  Diagnostics diagnostics;
  std::optional<Value> value;
  std::optional<Params> params;
  std::vector<std::string> problems;
};

using Problems = std::vector<std::string>;

TEST(Params, ReadsWhatIsWritten) {
  const Checked checked(
      "size: 4GiB\nmode: \"0644\"\nsoft: 7\nstate: absent\nnote: 12\nenabled: false\ntags: [x, 3]\n"
      "content: |\n  a\n  b\nhosts:\n  - {name: h}\n  - {name: i, port: 2222}\nowner: {user: u}\n");
  ASSERT_EQ(checked.problems, Problems{});
  const Params& params = *checked.params;
  EXPECT_TRUE(params.ok());
  EXPECT_EQ(params.path("path").str(), "/x");
  EXPECT_EQ(params.size("size"), 4_GiB);
  EXPECT_EQ(params.mode("mode").bits, 0644U);
  EXPECT_EQ(params.integer("soft"), 7);
  EXPECT_EQ(params.text("state"), "absent");
  EXPECT_EQ(params.text("note"), "12");
  EXPECT_EQ(params.text("content"), "a\nb\n");
  EXPECT_FALSE(params.boolean("enabled"));
  EXPECT_EQ(params.texts("tags"), (std::vector<std::string>{"x", "3"}));
  const std::vector<Params> hosts = params.each("hosts");
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0].text("name"), "h");
  EXPECT_EQ(hosts[0].integer("port"), 22);
  EXPECT_EQ(hosts[1].integer("port"), 2222);
  EXPECT_EQ(params.each("owner").at(0).text("user"), "u");
  EXPECT_EQ(params.at("soft").line, 4);
}

TEST(Params, FallsBack) {
  const Checked checked("soft:\n");
  ASSERT_EQ(checked.problems, Problems{});
  const Params& params = *checked.params;
  EXPECT_EQ(params.size("size"), 1_GiB);
  EXPECT_EQ(params.mode("mode").bits, 0600U);
  EXPECT_EQ(params.integer("swappiness"), 10);
  EXPECT_EQ(params.text("state"), "present");
  EXPECT_TRUE(params.boolean("enabled"));
  EXPECT_EQ(params.texts("tags"), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(params.has("soft"));
  EXPECT_EQ(params.maybe_integer("soft"), std::nullopt);
  EXPECT_EQ(params.maybe_text("note"), std::nullopt);
  EXPECT_TRUE(params.each("hosts").empty());
  ASSERT_NE(params.raw("free"), nullptr);
  EXPECT_EQ(write_json(*params.raw("free")), R"({"x":[1]})");
  EXPECT_EQ(params.raw("owner"), nullptr);
}

TEST(Params, ReportsEveryMistakeAtItsPlace) {
  const Checked checked("stat: x\nsoft: 0\nzzz: 1\nstate: abcent\nenabled: yes\n");
  EXPECT_FALSE(checked.params->ok());
  ASSERT_EQ(checked.problems.size(), 5U);
  EXPECT_EQ(checked.problems[0], "1:1 unknown key 'stat' | did you mean 'state'?");
  EXPECT_EQ(checked.problems[1], "2:7 'soft' must be between 1 processes and 100 processes, found 0");
  EXPECT_EQ(checked.problems[2].substr(0, 50), "3:1 unknown key 'zzz' | known keys: path, size, mo");
  EXPECT_EQ(checked.problems[3], "4:8 'state' cannot be 'abcent' | did you mean 'absent'?");
  EXPECT_EQ(checked.problems[4],
            "5:10 'enabled' wants true or false, found the string 'yes' | write true, without quotes");
}

TEST(Params, AsksForWhatIsMissing) {
  EXPECT_EQ(Checked("soft: 1\n", false).problems, (Problems{"1:1 'path' is missing | the file"}));
  EXPECT_EQ(Checked("path:\n", false).problems, (Problems{"1:1 'path' has no value | the file"}));
  EXPECT_EQ(Checked("", false).problems, (Problems{"1:1 'path' is missing | the file"}));
  EXPECT_EQ(Checked("hosts:\n  - {port: 1}\n  -\n").problems,
            (Problems{"2:5 'name' is missing | its name",
                      "3:3 an element of 'hosts' is empty | remove it, or give it its keys"}));
}

TEST(Params, WantsAMapping) {
  EXPECT_EQ(Checked("path:/x\n", false).problems,
            (Problems{"1:1 wants a mapping, found the string 'path:/x' | put a blank after the colon"}));
  EXPECT_EQ(Checked("owner: me\n").problems, (Problems{"1:8 'owner' wants a mapping, found the string 'me'"}));
  EXPECT_EQ(Checked("hosts: {name: a}\n").problems,
            (Problems{"1:8 'hosts' wants a list, found a mapping | put '- ' before it, for a list of one"}));
  EXPECT_EQ(Checked("hosts: [{name: a, prot: 2}]\n").problems,
            (Problems{"1:19 unknown key 'prot' | did you mean 'port'?"}));
}

TEST(Params, WantsModesInQuotes) {
  const Problems quoted = {
      "1:7 'mode' is not quoted: YAML readers take 0644 for another number | write it with quotes: \"0644\""};
  EXPECT_EQ(Checked("mode: 0644\n").problems, quoted);
  EXPECT_EQ(Checked("mode: 644\n").problems,
            (Problems{"1:7 'mode' is not quoted: YAML readers take 644 for another number | write it with quotes: "
                      "\"0644\""}));
  EXPECT_EQ(Checked("mode: 9\n").problems,
            (Problems{"1:7 'mode' wants a quoted octal mode, found the integer '9' | such as \"0644\""}));
  EXPECT_FALSE(Checked("mode: \"0999\"\n").params->ok());
  EXPECT_FALSE(Checked("mode: u=rw\n").params->ok());
}

TEST(Params, WantsIntegersAsIntegers) {
  EXPECT_EQ(Checked("soft: \"7\"\n").problems,
            (Problems{"1:7 'soft' wants an integer, found the string '7' | write it without quotes, underscores or "
                      "leading zeros: 7"}));
  EXPECT_EQ(Checked("soft: 1.5\n").problems, (Problems{"1:7 'soft' wants an integer, found the number '1.5'"}));
  EXPECT_EQ(Checked("swappiness: -1\n").problems, (Problems{"1:13 'swappiness' must be at least 0, found -1"}));
}

TEST(Params, RefusesSizesAndPathsThatAreNone) {
  EXPECT_FALSE(Checked("size: 4GB\n").params->ok());
  EXPECT_EQ(Checked("size: 1\n").problems, (Problems{"1:7 'size' must be between 4 KiB and 1 TiB, found 1"}));
  EXPECT_EQ(Checked("size: [1]\n").problems,
            (Problems{"1:7 'size' wants a size, found a list | such as 4GiB or 512MiB"}));
  EXPECT_FALSE(Checked("path: etc/fstab\n", false).params->ok());
  EXPECT_FALSE(Checked("path: /etc/../x\n", false).params->ok());
  EXPECT_FALSE(Checked("path: \"/a\\nb\"\n", false).params->ok());
}

TEST(Params, RefusesControlCharactersInTexts) {
  EXPECT_EQ(Checked("note: \"a\\nb\"\n").problems,
            (Problems{"1:7 'note' may not hold a line break | write it on one line"}));
  EXPECT_FALSE(Checked("note: \"a\\eb\"\n").params->ok());
  EXPECT_FALSE(Checked("content: \"a\\0b\"\n").params->ok());
  EXPECT_FALSE(Checked("tags: [a, \"b\\nc\"]\n").params->ok());
  EXPECT_EQ(Checked("note: true\n").problems,
            (Problems{"1:7 'note' wants a text, found the boolean 'true' | write it with quotes: \"true\""}));
  EXPECT_TRUE(Checked("content: \"a\\tb\\n\"\n").params->ok());
}

TEST(Params, CarriesAModulesObjection) {
  Checked checked("soft: 5\n");
  checked.params->reject("soft", "'soft' is above 'hard'", "lower it");
  EXPECT_FALSE(checked.params->ok());
  ASSERT_EQ(checked.diagnostics.size(), 1U);
  EXPECT_EQ(checked.diagnostics[0].at.line, 2);
}

}  // namespace
}  // namespace converge::spec
