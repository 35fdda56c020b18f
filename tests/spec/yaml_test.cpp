#include "spec/yaml.h"

#include <gtest/gtest.h>

namespace converge::spec {
namespace {

struct Read {
  std::optional<Value> value;
  std::vector<std::string> problems;  // "2:3 message"
  std::vector<std::string> hints;
};

Read read(const std::string& text, YamlRules rules = {}) {
  const Source source{"x.yaml", text};
  Diagnostics diagnostics;
  Read out;
  out.value = read_yaml(source, rules, diagnostics);
  for (const Diagnostic& one : diagnostics) {
    out.problems.push_back(std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + " " + one.message);
    out.hints.push_back(one.hint);
  }
  return out;
}

YamlRules with_aliases() {
  YamlRules rules;
  rules.aliases = true;
  return rules;
}

std::string json(const std::string& text, YamlRules rules = {}) {
  const Read out = read(text, rules);
  if (!out.value) return out.problems.empty() ? "no value, no problem" : out.problems.front();
  return write_json(*out.value);
}

using Problems = std::vector<std::string>;

TEST(ReadYaml, TypesPlainScalarsByTheCoreSchemaStrictly) {
  EXPECT_EQ(json("[true, false, null, ~, 12, -3, 0, 1.5, -0.25, 2.5e3]"),
            "[true,false,null,null,12,-3,0,1.5,-0.25,2500.0]");
  EXPECT_EQ(
      json("[yes, on, True, NULL, Null, 0644, 0x1F, 017, 1_000, +5, -0, 1e3, .5, 5., .inf, 2026-01-01]"),
      R"(["yes","on","True","NULL","Null","0644","0x1F","017","1_000","+5","-0","1e3",".5","5.",".inf","2026-01-01"])");
  EXPECT_EQ(json("99999999999999999999"), R"("99999999999999999999")");
  EXPECT_EQ(json("1.0e999"), R"("1.0e999")");
}

TEST(ReadYaml, KeepsQuotedScalarsAsStrings) {
  const Read out = read("a: \"12\"\nb: 'true'\nc: |\n  12\nd: 12\n");
  ASSERT_TRUE(out.value);
  EXPECT_EQ(write_json(*out.value), R"({"a":"12","b":"true","c":"12\n","d":12})");
  EXPECT_TRUE(out.value->find("a")->quoted());
  EXPECT_TRUE(out.value->find("c")->quoted());
  EXPECT_FALSE(out.value->find("d")->quoted());
}

TEST(ReadYaml, RemembersWhereEverythingIs) {
  const Read out = read("top:\n  - name: x\n    size: 4GiB\n");
  ASSERT_TRUE(out.value);
  const Value& item = out.value->find("top")->list()->front();
  EXPECT_EQ(item.find("size")->at().line, 3);
  EXPECT_EQ(item.find("size")->at().column, 11);
  EXPECT_EQ((*item.map())[1].key_at.column, 5);
}

TEST(ReadYaml, ReadsAnEmptyFileAsNull) {
  EXPECT_EQ(json(""), "null");
  EXPECT_EQ(json("# nothing\n"), "null");
  EXPECT_EQ(json("---\n"), "null");
}

TEST(ReadYaml, ReportsEveryDuplicateKey) {
  EXPECT_EQ(
      read("a: 1\nb: 2\na: 3\nc: {x: 1, x: 2}\n").problems,
      (Problems{"3:1 duplicate key 'a': it is already at line 1", "4:11 duplicate key 'x': it is already at line 4"}));
  std::string many;
  for (int i = 0; i < 40; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(read(many).problems, Problems{});
  EXPECT_EQ(read(many + "k7: 2\n").problems, (Problems{"41:1 duplicate key 'k7': it is already at line 8"}));
}

TEST(ReadYaml, RefusesASecondDocumentAndWhatFollowsTheFirst) {
  EXPECT_EQ(read("a: 1\n---\nb: 2\n").problems, (Problems{"2:1 a second document starts here; a file holds one"}));
  EXPECT_FALSE(read("- a\n,garbage").value);
  EXPECT_FALSE(read(",").value);
  EXPECT_EQ(json("---\na: 1\n...\n"), R"({"a":1})");
}

TEST(ReadYaml, RefusesAnchorsAliasesMergeKeysAndTags) {
  EXPECT_EQ(read("a: &x 1\nb: *x\nc: !secret y\nd:\n  <<: {e: 1}\nf: !!str 5\n").problems,
            (Problems{"1:4 anchors are not accepted here", "2:4 aliases are not accepted here",
                      "3:4 tags such as '!secret' are not accepted", "5:3 merge keys ('<<') are not accepted here",
                      "6:4 tags such as '!!str' are not accepted"}));
}

TEST(ReadYaml, ResolvesAliasesAndMergeKeysWhereTheyAreAllowed) {
  EXPECT_EQ(json("a: &x {p: 1, q: 2}\nb: *x\nc:\n  q: 3\n  <<: *x\n", with_aliases()),
            R"({"a":{"p":1,"q":2},"b":{"p":1,"q":2},"c":{"q":3,"p":1}})");
  EXPECT_EQ(json("a: &x {p: 1}\nb: &y {p: 2, r: 5}\nc: {<<: [*x, *y]}\n", with_aliases()),
            R"({"a":{"p":1},"b":{"p":2,"r":5},"c":{"p":1,"r":5}})");
  EXPECT_EQ(json("a: {<<: 3}", with_aliases()), "1:9 '<<' takes a mapping or a list of mappings, not integer");
  EXPECT_EQ(json("\"<<\": 3"), R"({"<<":3})");
}

TEST(ReadYaml, RefusesAValueThatHoldsItself) {
  EXPECT_EQ(json("&a [*a]", with_aliases()), "1:5 this alias stands inside the very value it refers to");
  EXPECT_EQ(json("&a {b: {c: *a}}", with_aliases()), "1:12 this alias stands inside the very value it refers to");
}

TEST(ReadYaml, CountsWhatAliasesRepeat) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_NE(json(laughs, with_aliases()).find("more than 50000 values"), std::string::npos);

  std::string wide = "a: &a \"" + std::string(100'000, 'x') + "\"\nb: [*a";
  for (int i = 0; i < 1000; ++i) wide += ", *a";
  EXPECT_NE(json(wide + "]", with_aliases()).find("more than 1 MiB of text"), std::string::npos);
}

TEST(ReadYaml, LimitsDepthSizeAndNumber) {
  EXPECT_EQ(json(std::string(33, '[') + std::string(33, ']')), "1:33 more than 32 levels of nesting");
  EXPECT_TRUE(read(std::string(32, '[') + std::string(32, ']')).value);
  EXPECT_FALSE(read(std::string(100'000, '[')).value);
  EXPECT_FALSE(read(std::string(100'000, '{')).value);
  YamlRules tight;
  tight.max_bytes = 4;
  EXPECT_EQ(json("abcde", tight), "1:1 the file has 5 bytes; at most 4 are read");
  tight = {};
  tight.max_nodes = 3;
  EXPECT_EQ(json("[1, 2, 3]", tight).substr(0, 23), "1:8 more than 3 values,");
}

TEST(ReadYaml, RefusesWhatIsNoText) {
  EXPECT_EQ(json(std::string("a: \0b", 5)), "1:4 control character 0x00 in a YAML file");
  EXPECT_EQ(json("a: b\nc: \xFF"), "2:4 byte 0xFF is not valid UTF-8");
  EXPECT_EQ(json("a: \xED\xA0\x80"), "1:4 byte 0xED is not valid UTF-8");
  EXPECT_EQ(json("a: \x1b[2J"), "1:4 control character 0x1B in a YAML file");
  EXPECT_EQ(json("\xEF\xBB\xBF"
                 "a: gr\xC3\xBC\xC3\x9F"),
            "{\"a\":\"gr\xC3\xBC\xC3\x9F\"}");
}

TEST(ReadYaml, KeepsTheTextOfKeysThatAreNoStrings) {
  EXPECT_EQ(json("8080: a\ntrue: b\n1.50: c\n"), R"({"8080":"a","true":"b","1.50":"c"})");
  EXPECT_EQ(json("null: a"), "1:1 a key may not be empty or null");
  EXPECT_EQ(json("[a]: b"), "1:1 a list or a mapping cannot be a key");
  EXPECT_EQ(json("? {a: b}\n: c\n"), "1:3 a list or a mapping cannot be a key");
}

TEST(ReadYaml, AsksForQuotesAroundATemplate) {
  for (const char* text : {"a: 1\nsize: {{ swap }}\nb: 2\n", "a: 1\nsize: {{ swap }}GiB\nb: 2\n",
                           "a: 1\nsize: {{ a | default(1) }}\n", "a: 1\nsize: {{ x\n"}) {
    const Read out = read(text);
    EXPECT_FALSE(out.value) << text;
    ASSERT_EQ(out.problems.size(), 1U) << text;
    EXPECT_EQ(out.problems[0], "2:7 a value that starts with '{{' must be quoted: YAML reads it as a mapping") << text;
    EXPECT_EQ(out.hints[0], "quote it: \"{{ ... }}\", the whole value");
  }
}

TEST(ReadYaml, ExplainsTheUsualSyntaxMistakes) {
  EXPECT_EQ(json("a:\n\tb: 1\n"), "2:1 a tab in the indentation");
  EXPECT_EQ(json("a: 1\nb:2\nc: 3\n"), "2:2 'b:2' has no blank after the colon, so it is no key");
  EXPECT_EQ(json("a: b: c\n"), "1:4 a value that holds ': ' must be quoted");
  EXPECT_EQ(json("a: @x\n"), "1:4 a value may not start with '@'");
  EXPECT_EQ(json("a: %x\n"), "1:4 a value may not start with '%'");
  const Read open = read("a: \"x\nb: 1\n");
  EXPECT_FALSE(open.value);
  EXPECT_EQ(open.hints.at(0), "close the quote");
  EXPECT_EQ(json("a: 'x\n"), "1:4 a quote is not closed");
  EXPECT_EQ(json("a: b\nc\n"), "2:1 'c' has no ':' after it");
  EXPECT_EQ(json("a: {b, 'c': 1}\n"), "1:5 'b' has no ':' after it");
  EXPECT_EQ(json("a:\n'b':\n\"c\" :\n"), R"({"a":null,"b":null,"c":null})");
  EXPECT_EQ(json("a: - b\n"), "1:4 a list with '- ' cannot start on this line");
  EXPECT_FALSE(read("a:\n  b: 1\n c: 2\n").value);
  EXPECT_FALSE(read("a: [1, 2\n").value);
}

TEST(WriteYaml, QuotesExactlyWhatWouldBecomeSomethingElse) {
  const auto written = [](const std::string& text) { return write_yaml(Value(text)); };
  for (const char* plain : {"abc", "/etc/fstab", "4GiB", "10.0.0.1", "1.2.3", "a:b", "http://1.2.3.4:5", "a b", "a#b",
                            "-l", ".hidden", "deploy@host", "92x", "a, b"})
    EXPECT_EQ(written(plain), std::string(plain) + "\n");
  for (const char* quoted :
       {"yes",   "no",      "On",        "off",  "y",     "N",    "true",       "null",     "~",    "",     "12",
        "-3",    "1.5",     "0x1F",      "0o17", "1_000", "1e3",  "2026-01-01", "12:30:45", "0644", ".inf", ".NaN",
        " a",    "a ",      "*a",        "&a",   "!a",    "a: b", "a:",         ": a",      "a #b", "- a",  "-",
        "---",   "...",     "?",         "{a}",  "[a]",   "%a",   "@a",         "`a",       "|",    ">",    "'a'",
        "\"a\"", "{{ a }}", "x {{ a }}", "=",    "<<",    "#a",   ",",          ".5",       "+1",   "1."})
    EXPECT_EQ(written(quoted)[0], '"') << quoted;
}

TEST(WriteYaml, IsReadBackAsTheSameValue) {
  for (const char* text :
       {"a: 1", "a: [1, [2, [], {}], {b: c, d: [e]}]\n", "[]", "{}", "null", "- - - a\n    - b\n  - {c: {d: e}}\n",
        "a: \"x\\ny\\tz\\u0001\\u0085\\u2028\\\\ \\\" '\"", "\"12\": \"yes\"\n\"a: b\": ' '\n",
        "a: 1.0\nb: 1.0e+300\nc: -0.5", "k: \"gr\xC3\xBC\xC3\x9F\"", "a: |\n  x\n  y\n"}) {
    const Read first = read(text);
    ASSERT_TRUE(first.value) << text;
    const std::string written = write_yaml(*first.value);
    const Read second = read(written);
    ASSERT_TRUE(second.value) << written << second.problems.at(0);
    EXPECT_TRUE(first.value->same_as(*second.value)) << written;
    EXPECT_EQ(written, write_yaml(*second.value));
  }
}

TEST(WriteYaml, WritesBlocks) {
  EXPECT_EQ(write_yaml(*read("{a: {b: [1, {c: x, d: y}]}, e: [], f: ''}").value),
            "a:\n  b:\n    - 1\n    - c: x\n      d: \"y\"\ne: []\nf: \"\"\n");
}

TEST(Value, ComparesDataAndNotItsPlaceOrOrder) {
  EXPECT_TRUE(read("{a: 1, b: [x]}").value->same_as(*read("b:\n  - 'x'\na: 1\n").value));
  EXPECT_FALSE(read("{a: 1}").value->same_as(*read("{a: '1'}").value));
  EXPECT_FALSE(read("[1, 2]").value->same_as(*read("[2, 1]").value));
  EXPECT_FALSE(read("{a: 1}").value->same_as(*read("{a: 1, b: 2}").value));
}

TEST(Value, HasTheTextOfItsYaml) {
  EXPECT_EQ(Value(1.0).text(), "1.0");
  EXPECT_EQ(Value(1e300).text(), "1.0e+300");
  EXPECT_EQ(Value(true).text(), "true");
  EXPECT_EQ(Value().text(), "");
  EXPECT_EQ(read("[a, 1]").value->text(), R"(["a",1])");
  EXPECT_EQ(read("{}").value->kind(), "mapping");
}

}  // namespace
}  // namespace converge::spec
