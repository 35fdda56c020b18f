#include "spec/template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "spec/functions.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

const Source vars_source{"vars.yaml", R"yaml(
size: 4
name: web
flag: true
off: false
zero: 0
nothing: null
empty: ""
half: 0.5
list: [a, b, c]
numbers: [3, 1, 2]
users:
  - {name: ann, id: 1000}
  - {name: bob, id: 1001}
map: {b: 2, a: 1}
nested: {one: {two: deep}}
)yaml"};
const Source facts_source{"facts", "init: systemd\nos: {id: debian}\n"};

Value parsed(const Source& source) {
  Diagnostics diagnostics;
  return read_yaml(source, {}, diagnostics).value();
}

class Templating : public testing::Test {
 protected:
  Templating() {
    scope_.variable = [this](std::string_view name) { return vars_.find(name); };
    scope_.fact = [this](std::string_view name) { return facts_.find(name); };
    scope_.names = [this] {
      std::vector<std::string> names;
      for (const Entry& entry : *vars_.map()) names.push_back(entry.key);
      return names;
    };
  }

  /// The result as JSON, or the first diagnostic as "line:column message | hint".
  std::string eval(const std::string& text) {
    const Source source{"t", text};
    return eval(Value(text, SourcePos{&source, 1, 1}, true));
  }
  std::string eval(const Value& scalar) {
    Diagnostics diagnostics;
    const std::optional<Value> value = templates_.evaluate(scalar, scope_, diagnostics);
    if (!diagnostics.empty()) {
      EXPECT_FALSE(value.has_value());
      const Diagnostic& one = diagnostics.front();
      return std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + " " + one.message +
             (one.hint.empty() ? "" : " | " + one.hint);
    }
    return value ? write_json(*value) : "nothing";
  }
  /// Without the place, which these tests do not look at.
  std::string problem(const std::string& text) {
    const std::string out = eval(text);
    return out.substr(std::min(out.find(' ') + 1, out.size()));
  }
  /// The place of the first problem of a YAML file's value `v`.
  std::string place(const std::string& yaml) {
    const Source source{"s.yaml", yaml};
    const Value document = parsed(source);
    const std::string out = eval(*document.find("v"));
    return out.substr(0, out.find(' '));
  }

  const Value vars_ = parsed(vars_source), facts_ = parsed(facts_source);
  Scope scope_;
  Templates templates_;
};

TEST_F(Templating, LeavesWhatHoldsNoTemplate) {
  EXPECT_EQ(eval("plain } text {"), R"("plain } text {")");
  EXPECT_EQ(eval(Value(std::int64_t{4})), "4");
}

TEST_F(Templating, KeepsTheTypeOfASingleExpression) {
  EXPECT_EQ(eval("{{ size }}"), "4");
  EXPECT_EQ(eval("{{size}}"), "4");
  EXPECT_EQ(eval("{{ flag }}"), "true");
  EXPECT_EQ(eval("{{ half }}"), "0.5");
  EXPECT_EQ(eval("{{ list }}"), R"(["a","b","c"])");
  EXPECT_EQ(eval("{{ map }}"), R"({"b":2,"a":1})");
  EXPECT_EQ(eval("{{ nothing }}"), "null");
  EXPECT_EQ(eval("{{- size -}}"), "4");
}

TEST_F(Templating, MakesTextOfAnythingElse) {
  EXPECT_EQ(eval("{{ size }}GiB"), R"("4GiB")");
  EXPECT_EQ(eval(" {{ size }}"), R"(" 4")");
  EXPECT_EQ(eval("{{ size }}{{ size }}"), R"("44")");
  EXPECT_EQ(eval("{{ name }}-{{ flag }}-{{ half }}"), R"("web-true-0.5")");
  Diagnostics diagnostics;
  EXPECT_TRUE(templates_.evaluate(Value("{{ name }}"), scope_, diagnostics)->quoted());
}

TEST_F(Templating, FindsVariablesAndFactsInEveryWriting) {
  EXPECT_EQ(eval("{{ .Vars.size }}"), "4");
  EXPECT_EQ(eval("{{ $.Vars.size }}"), "4");
  EXPECT_EQ(eval("{{ .Facts.init }}"), R"("systemd")");
  EXPECT_EQ(eval("{{ .Facts.os.id }}"), R"("debian")");
  EXPECT_EQ(eval("{{ nested.one.two }}"), R"("deep")");
  EXPECT_EQ(eval("{{ .Vars.nested.one.two }}"), R"("deep")");
  EXPECT_EQ(eval("{{ (nested.one).two }}"), R"("deep")");
  EXPECT_EQ(eval("{{ index .Vars \"size\" }}"), "4");
  EXPECT_EQ(eval("{{ hasKey .Vars \"sice\" }}"), "false");
}

TEST_F(Templating, SaysWhatIsNotDefined) {
  EXPECT_EQ(eval("{{ sise }}"), "1:4 'sise' is not defined | did you mean 'size'?");
  EXPECT_EQ(eval("a {{ .Vars.nam }}"), "1:12 'nam' is not defined | did you mean 'name'?");
  EXPECT_EQ(problem("{{ .Facts.inut }}"), "the fact 'inut' is not defined");
  EXPECT_EQ(problem("{{ nested.on }}"), "there is no 'on' in it | did you mean 'one'?");
  EXPECT_EQ(problem("{{ name.first }}"), "a string has no '.first'");
  EXPECT_EQ(problem("{{ .Env.HOME }}"),
            "the top level has .Vars and .Facts, no '.Env' | templates see no environment: pass it with -e NAME=value");
  EXPECT_EQ(problem("{{ .size }}"),
            "the top level has .Vars and .Facts, no '.size' | write {{ size }} or {{ .Vars.size }}");
  EXPECT_EQ(problem("{{ .Vars }}").substr(0, 16), "this is all ther");
}

TEST_F(Templating, TakesADefaultForWhatIsNotDefined) {
  EXPECT_EQ(eval("{{ x | default 3 }}"), "3");
  EXPECT_EQ(eval("{{ default 3 x }}"), "3");
  EXPECT_EQ(eval("{{ x | default(3) }}"), "3");
  EXPECT_EQ(eval("{{ nested.x.y | default \"d\" }}"), R"("d")");
  EXPECT_EQ(eval("{{ .Facts.x | default \"d\" }}"), R"("d")");
  EXPECT_EQ(eval("{{ empty | default \"d\" }}"), R"("d")");
  EXPECT_EQ(eval("{{ nothing | default \"d\" }}"), R"("d")");
  EXPECT_EQ(eval("{{ size | default 3 }}"), "4");
  EXPECT_EQ(eval("{{ off | default true }}"), "false");
  EXPECT_EQ(eval("{{ zero | default 10 }}"), "0");
  EXPECT_EQ(eval("{{ x | default y | default 5 }}"), "1:8 default: the default itself is not defined");
  EXPECT_EQ(problem("{{ default x }}"), "default: the default itself is not defined");
  EXPECT_EQ(eval("{{ coalesce x empty name }}"), R"("web")");
  EXPECT_EQ(eval("{{ defined x }}"), "false");
  EXPECT_EQ(problem("{{ required \"set the token\" token }}"), "required: set the token");
}

TEST_F(Templating, Compares) {
  EXPECT_EQ(eval("{{ eq .Facts.init \"systemd\" }}"), "true");
  EXPECT_EQ(eval("{{ eq name \"a\" \"web\" }}"), "true");
  EXPECT_EQ(eval("{{ ne size 4 }}"), "false");
  EXPECT_EQ(eval("{{ lt size 5 }}{{ le size 4 }}{{ gt size 4 }}{{ ge size 4 }}"), R"("truetruefalsetrue")");
  EXPECT_EQ(eval("{{ eq size 4.0 }}"), "true");
  EXPECT_EQ(eval("{{ and flag (not off) (gt size 3) }}"), "true");
  EXPECT_EQ(eval("{{ or empty name }}"), R"("web")");
  EXPECT_EQ(eval("{{ or flag undefined_but_not_reached }}"), "true");
  EXPECT_EQ(problem("{{ eq size \"4\" }}").substr(0, 56), "eq: cannot compare the integer '4' with the string '4' |");
}

TEST_F(Templating, RunsPipelines) {
  EXPECT_EQ(eval("{{ name | upper | printf \"%03d\" }}"), "1:19 printf: %d cannot print the string 'WEB'");
  EXPECT_EQ(eval("{{ name | upper | quote }}"), R"("\"WEB\"")");
  EXPECT_EQ(eval("{{ printf \"%s-%03d|%5.1f|%-4s|%q|%x\" name 7 half \"a\" \"b\" 255 }}"),
            R"("web-007|  0.5|a   |\"b\"|ff")");
  EXPECT_EQ(eval("{{ \"a,b\" | splitList \",\" | join \"+\" }}"), R"("a+b")");
  EXPECT_EQ(eval("{{ (split \"/\" \"x/y\")._1 }}"), R"("y")");
  EXPECT_EQ(eval("{{ `raw\\n` }}{{ \"\\u00fc\\t\" }}"), "\"raw\\\\n\xC3\xBC\\t\"");
}

TEST_F(Templating, HasTheFunctionsOperatorsKnow) {
  const std::pair<const char*, const char*> cases[] = {
      {"{{ replace \"e\" \"3\" name }}", R"("w3b")"},
      {"{{ trim \" a \" }}", R"("a")"},
      {"{{ trimPrefix \"w\" name }}{{ trimSuffix \"b\" name }}{{ trimAll \"$\" \"$5$\" }}", R"("ebwe5")"},
      {"{{ contains \"e\" name }}", "true"},
      {"{{ hasPrefix \"we\" name }}", "true"},
      {"{{ hasSuffix \"we\" name }}", "false"},
      {"{{ ternary \"y\" \"n\" flag }}", R"("y")"},
      {"{{ list 1 \"a\" true }}", R"([1,"a",true])"},
      {"{{ dict \"a\" 1 \"b\" size }}", R"({"a":1,"b":4})"},
      {"{{ index list 1 }}", R"("b")"},
      {"{{ index users 1 \"name\" }}", R"("bob")"},
      {"{{ len list }}{{ len name }}{{ len map }}", R"("332")"},
      {"{{ int \"12\" }}", "12"},
      {"{{ toString 12 }}", R"("12")"},
      {"{{ seq 3 }}{{ seq 2 4 }}{{ seq 10 -5 0 }}", R"("[1,2,3][2,3,4][10,5,0]")"},
      {"{{ until 3 }}", "[0,1,2]"},
      {"{{ untilStep 0 6 2 }}", "[0,2,4]"},
      {"{{ add 1 2 3 }} {{ sub 5 3 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ max 1 3 2 }}", R"("6 2 6 3 1 3")"},
      {"{{ b64enc \"ab\" }} {{ b64dec \"YWI=\" }}", R"("YWI= ab")"},
      {"{{ sha256sum \"\" | trunc 8 }}", R"("e3b0c442")"},
      {"{{ keys map | sortAlpha }}", R"(["a","b"])"},
      {"{{ pick map \"a\" }}{{ omit map \"a\" }}", R"("{\"a\":1}{\"b\":2}")"},
      {"{{ merge (dict \"a\" 9) map }}", R"({"a":9,"b":2})"},
      {"{{ first list }}{{ last list }}{{ rest list }}{{ initial list }}", R"("ac[\"b\",\"c\"][\"a\",\"b\"]")"},
      {"{{ append list \"d\" | len }}", "4"},
      {"{{ has \"b\" list }}", "true"},
      {"{{ uniq (concat list list) }}", R"(["a","b","c"])"},
      {"{{ without list \"b\" }}", R"(["a","c"])"},
      {"{{ dig \"one\" \"two\" \"d\" nested }}{{ dig \"x\" \"y\" \"d\" nested }}", R"("deepd")"},
      {"{{ toJson map }}", R"("{\"b\":2,\"a\":1}")"},
      {"{{ toYaml map | nindent 2 }}", R"("\n  b: 2\n  a: 1")"},
      {"{{ base \"/a/b.c\" }} {{ dir \"/a/b.c\" }} {{ ext \"/a/b.c\" }}", R"("b.c /a .c")"},
      {"{{ repeat 3 \"ab\" }}", R"("ababab")"},
      {"{{ substr 1 2 name }}", R"("e")"},
      {"{{ slice list 1 3 }}", R"(["b","c"])"},
      {"{{ list }}", R"(["a","b","c"])"},
      {"{{ dict | len }}", "0"},
      {"{{ empty zero }}{{ empty name }}", R"("truefalse")"},
      {"{{ kindOf list }}", R"("slice")"},
  };
  for (const auto& [text, wanted] : cases) EXPECT_EQ(eval(text), wanted) << text;
}

TEST_F(Templating, BranchesAndLoops) {
  EXPECT_EQ(eval("{{ if eq size 3 }}a{{ else if eq size 4 }}b{{ else }}c{{ end }}"), R"("b")");
  EXPECT_EQ(eval("{{ if off }}a{{ end }}"), R"("")");
  EXPECT_EQ(eval("{{ range list }}{{ . }},{{ end }}"), R"("a,b,c,")");
  EXPECT_EQ(eval("{{ range $i, $u := users }}{{ $i }}{{ $u.name }}{{ .id }} {{ end }}"), R"("0ann1000 1bob1001 ")");
  EXPECT_EQ(eval("{{ range $k, $v := map }}{{ $k }}={{ $v }};{{ end }}"), R"("a=1;b=2;")");
  EXPECT_EQ(eval("{{ range until 0 }}x{{ else }}none{{ end }}"), R"("none")");
  EXPECT_EQ(eval("{{ range 3 }}{{ . }}{{ end }}"), R"("012")");
  EXPECT_EQ(eval("{{ range list }}{{ if eq . \"b\" }}{{ continue }}{{ end }}{{ . }}{{ end }}"), R"("ac")");
  EXPECT_EQ(eval("{{ range list }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}{{ end }}"), R"("a")");
  EXPECT_EQ(eval("{{ with nested.one }}{{ .two }}{{ $.Vars.size }}{{ end }}"), R"("deep4")");
  EXPECT_EQ(eval("{{ with empty }}x{{ else }}y{{ end }}"), R"("y")");
  EXPECT_EQ(eval("{{ range users }}{{ range list }}{{ . }}{{ end }}{{ .name }}{{ end }}"), R"("abcannabcbob")");
}

TEST_F(Templating, HasVariablesOfItsOwn) {
  EXPECT_EQ(eval("{{ $x := 1 }}{{ range list }}{{ $x = add $x 1 }}{{ end }}{{ $x }}"), R"("4")");
  EXPECT_EQ(eval("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}"), R"("1")");
  EXPECT_EQ(eval("{{ $l := list }}{{ range $l }}{{ $l = list . }}{{ end }}{{ $l }}"), R"("[\"c\"]")");
  EXPECT_EQ(eval("{{ $y := 0 }}{{ range (list 1 2) }}{{ $y = . }}{{ end }}{{ $y }}"), R"("2")");
  EXPECT_EQ(problem("{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}"), "'$x' is not declared");
  EXPECT_EQ(problem("{{ $x = 2 }}"), "'$x' is not declared | write $x := ...");
}

TEST_F(Templating, TrimsAndComments) {
  EXPECT_EQ(eval("a \n {{- 1 -}} \n b"), R"("a1b")");
  EXPECT_EQ(eval("a{{/* no */}}b{{- /* no */ -}} c"), R"("abc")");
  EXPECT_EQ(eval("{{ \"{{\" }}"), R"("{{")");
}

TEST_F(Templating, SaysWhatIsWrongWithTheSyntax) {
  EXPECT_EQ(eval("ab {{ name"), "1:4 '{{' is not closed | close it with '}}'");
  EXPECT_EQ(problem("{{ }}"), "nothing between '{{' and '}}'");
  EXPECT_EQ(problem("{{ name | }}"), "nothing after '|'");
  EXPECT_EQ(problem("{{ upprr name }}"), "there is no function 'upprr' | did you mean 'upper'?");
  EXPECT_EQ(problem("{{ name | upprr }}"), "there is no function 'upprr' | did you mean 'upper'?");
  EXPECT_EQ(problem("{{ upper }}"), "the function 'upper' is given nothing, and no variable has its name");
  EXPECT_EQ(problem("{{ upper name name }}"), "'upper' takes 1 argument, not 2");
  EXPECT_EQ(problem("{{ if flag }}x"), "'if' has no '{{ end }}' | add {{ end }}");
  EXPECT_EQ(problem("x{{ end }}"), "'{{ end }}' without a block it could belong to");
  EXPECT_EQ(problem("{{ else }}"), "'{{ else }}' without a block it could belong to");
  EXPECT_EQ(problem("{{ break }}"), "'break' outside of a range");
  EXPECT_EQ(problem("{{ (name }}"), "'(' is not closed | close it with ')'");
  EXPECT_EQ(problem("{{ \"a }}"), "a quote is not closed | close it with '\"'");
  EXPECT_EQ(problem("{{ 'a' }}"), "single quotes make no text in a template | use \"...\" or `...`");
  EXPECT_EQ(problem("{{ size == 4 }}").substr(0, 48), "'==' is no operator here: functions come first |");
  EXPECT_EQ(problem("{{ x is defined }}").substr(0, 39), "'is' does not stand between its values:");
  EXPECT_EQ(problem("{{ users[0] }}").substr(0, 40), "brackets select no element in a template");
  EXPECT_EQ(problem("{{ 0644 }}").substr(0, 20), "'0644' is octal to s");
  EXPECT_EQ(problem("{{ template \"x\" }}").substr(0, 27), "'template' is not available");
}

TEST_F(Templating, RefusesWhatMakesRunsDiffer) {
  for (const char* name :
       {"genPrivateKey \"rsa\"", "randAlphaNum 8", "uuidv4", "now", "env \"HOME\"", "htpasswd \"a\" \"b\""})
    EXPECT_NE(problem(std::string("{{ ") + name + " }}").find("is not available: it "), std::string::npos) << name;
}

TEST_F(Templating, ReportsWhatFunctionsObjectTo) {
  EXPECT_EQ(problem("{{ div 1 0 }}"), "div: division by zero");
  EXPECT_EQ(problem("{{ add 9223372036854775807 1 }}"), "add: the result is beyond 64 bits");
  EXPECT_EQ(problem("{{ div (sub (mul -1 9223372036854775807) 1) -1 }}"), "div: the result is beyond 64 bits");
  EXPECT_EQ(problem("{{ mod (sub (mul -1 9223372036854775807) 1) -1 }}"), "0");
  EXPECT_EQ(problem("{{ int \"4x\" }}"), "int: wants an integer, found the string '4x'");
  EXPECT_EQ(problem("{{ index list 3 }}"), "index: there is no element 3: the list has 3, counted from 0");
  EXPECT_EQ(problem("{{ index map \"c\" }}").substr(0, 24), "index: there is no key '");
  EXPECT_EQ(problem("{{ fail \"not on this host\" }}"), "fail: not on this host");
  EXPECT_EQ(problem("{{ range name }}{{ end }}"), "cannot range over a string | give it a list, a mapping or a number");
}

TEST_F(Templating, EndsWhatWouldNot) {
  const std::string steps = "the template takes more than 100000 steps | loop over less";
  EXPECT_EQ(problem("{{ range (seq 1 1000000000) }}x{{ end }}"), steps);
  EXPECT_EQ(problem("{{ range 1000000000 }}{{ end }}"), steps);
  EXPECT_EQ(problem("{{ until 9223372036854775807 }}"), steps);
  EXPECT_EQ(problem("{{ seq -9223372036854775807 9223372036854775807 }}"), "seq: it makes too much");
  EXPECT_EQ(problem("{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}"), steps);
  EXPECT_EQ(problem("{{ $x := list 1 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}"), steps);
  EXPECT_EQ(problem("{{ repeat 1000000000 \"x\" }}"), "the template makes more than 4 MiB of text on its way");
  EXPECT_EQ(problem("{{ $x := repeat 1000000 \"x\" }}{{ $x }}{{ $x }}"), "the template makes more than 1 MiB of text");
  EXPECT_EQ(problem("{{ $x := \"xx\" }}{{ range 60 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}").substr(0, 18),
            "the template makes");
  std::string deep = "{{ ";
  for (int i = 0; i < 100'000; ++i) deep += "(";
  EXPECT_EQ(problem(deep), "parentheses are nested too deep");
  std::string pipes = "{{ 1";
  for (int i = 0; i < 100'000; ++i) pipes += "|int";
  EXPECT_EQ(problem(pipes + "}}").substr(0, 12), "more than 32");
  std::string blocks;
  for (int i = 0; i < 100'000; ++i) blocks += "{{if 1}}";
  EXPECT_EQ(problem(blocks), "blocks are nested too deep");
}

TEST_F(Templating, PointsIntoTheScalar) {
  EXPECT_EQ(place("v: \"a {{ nope }}\"\n"), "1:10");
  EXPECT_EQ(place("v: 'a {{ nope }}'\n"), "1:10");
  EXPECT_EQ(place("v: a {{ nope }}\n"), "1:9");
  EXPECT_EQ(place("v: \"{{ eq name \\\"x\\\" }}{{ nope }}\"\n"), "1:27");
  EXPECT_EQ(place("v: 'it''s {{ nope }}'\n"), "1:14");
  EXPECT_EQ(place("v: |\n  one\n\n  a {{ nope }}\n"), "4:8");
  EXPECT_EQ(place("v: |-\n\n    {{ nope }}\n"), "3:8");
  EXPECT_EQ(place("v: \"a\n   {{ nope }}\"\n"), "2:7");
  EXPECT_EQ(place("v: >\n  one\n  {{ nope }}\n"), "1:4");
}

TEST_F(Templating, EvaluatesTreesAndReportsAllMistakes) {
  const Source source{"s.yaml", "a: \"{{ size }}\"\nb: [\"{{ name }}\", {c: \"{{ nope }}\"}]\nd: \"{{ nada }}\"\n"};
  Diagnostics diagnostics;
  EXPECT_FALSE(evaluate_tree(parsed(source), scope_, diagnostics));
  EXPECT_EQ(diagnostics.size(), 2U);
  const Source good{"g.yaml", "a: \"{{ size }}\"\nb: [\"{{ name }}x\"]\n"};
  diagnostics.clear();
  const std::optional<Value> made = evaluate_tree(parsed(good), scope_, diagnostics);
  ASSERT_TRUE(made);
  EXPECT_EQ(write_json(*made), R"({"a":4,"b":["webx"]})");
  EXPECT_EQ(made->find("a")->at().line, 1);
}

TEST_F(Templating, EvaluatesKeysWithTheTreeAndReportsTheirMistakesToo) {
  const Source good{"g.yaml", "\"{{ name }}-a\": {\"{{ size }}\": \"{{ name }}\"}\n"};
  Diagnostics diagnostics;
  const std::optional<Value> made = evaluate_tree(parsed(good), scope_, diagnostics);
  ASSERT_TRUE(made);
  EXPECT_EQ(write_json(*made), R"({"web-a":{"4":"web"}})");
  const Source bad{"b.yaml", "\"{{ nope }}\": \"{{ nada }}\"\nb: {\"{{ name }}\": 1, web: 2}\n"};
  EXPECT_FALSE(evaluate_tree(parsed(bad), scope_, diagnostics));
  ASSERT_EQ(diagnostics.size(), 3U);
  EXPECT_EQ(diagnostics[2].message, "the key 'web' is made twice");
}

TEST_F(Templating, RendersAFile) {
  const Source source{"x.conf", "size {{ size }}\n{{- range users }}\n{{ .name }}\n{{- end }}\nend\n"};
  Diagnostics diagnostics;
  EXPECT_EQ(render_template(source, scope_, diagnostics), "size 4\nann\nbob\nend\n");
  const Source bad{"x.conf", "one\ntwo {{ nope }}\n"};
  EXPECT_FALSE(render_template(bad, scope_, diagnostics));
  ASSERT_EQ(diagnostics.size(), 1U);
  EXPECT_EQ(diagnostics[0].at.text(), "x.conf:2:8");
}

TEST_F(Templating, LeavesAFailedVariableToWhoReportedIt) {
  Diagnostics diagnostics;
  scope_.variable = [&](std::string_view) -> const Value* {
    diagnostics.push_back({{}, "a cycle", ""});
    return nullptr;
  };
  EXPECT_FALSE(evaluate(Value("{{ x | default 3 }}"), scope_, diagnostics));
  EXPECT_EQ(diagnostics.size(), 1U);
}

TEST(Functions, AreFoundByName) {
  for (const std::string& name : function_names()) ASSERT_NE(find_function(name), nullptr) << name;
  EXPECT_EQ(find_function("nope"), nullptr);
  EXPECT_EQ(refusal_of("nope"), "");
}

// Sprig 3.3.0's TxtFuncMap: every name is a function here, or is refused with a reason.
TEST(Sprig, EveryNameIsKnown) {
  const std::string names =
      "abbrev abbrevboth add add1 add1f addf adler32sum ago all any append atoi b32dec b32enc b64dec b64enc "
      "base bcrypt biggest buildCustomCert camelcase cat ceil chunk clean coalesce compact concat contains date "
      "dateInZone dateModify date_in_zone date_modify decryptAES deepCopy deepEqual default derivePassword dict "
      "dig dir div divf duration durationRound empty encryptAES env expandenv ext fail first float64 floor "
      "fromJson genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert "
      "genSignedCertWithKey get getHostByName has hasKey hasPrefix hasSuffix hello htmlDate htmlDateInZone "
      "htpasswd indent initial initials int int64 isAbs join kebabcase keys kindIs kindOf last list lower max "
      "maxf merge mergeOverwrite min minf mod mul mulf mustAppend mustChunk mustCompact mustDateModify "
      "mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast mustMerge mustMergeOverwrite "
      "mustPrepend mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral "
      "mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson mustToRawJson "
      "mustUniq mustWithout must_date_modify nindent nospace now omit osBase osClean osDir osExt osIsAbs pick "
      "pluck plural prepend quote randAlpha randAlphaNum randAscii randBytes randInt randNumeric regexFind "
      "regexFindAll regexMatch regexQuoteMeta regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace "
      "rest reverse round semver semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase "
      "sortAlpha split splitList splitn squote sub subf substr swapcase ternary title toDate toDecimal toJson "
      "toPrettyJson toRawJson toString toStrings trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs "
      "typeIsLike typeOf uniq unixEpoch unset until untilStep untitle upper urlJoin urlParse uuidv4 values "
      "without wrap wrapWith";
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t end = std::min(names.find(' ', at), names.size());
    const std::string name = names.substr(at, end - at);
    EXPECT_TRUE(find_function(name) != nullptr || !refusal_of(name).empty()) << name;
    at = end + 1;
  }
  for (const char* name : {"genCA", "genPrivateKey", "genSelfSignedCert", "randAlphaNum", "uuidv4", "shuffle", "bcrypt",
                           "htpasswd", "derivePassword", "now", "getHostByName", "unset"})
    EXPECT_EQ(find_function(name), nullptr) << name;
}

TEST_F(Templating, SprigsOtherFunctions) {
  const std::pair<const char*, const char*> cases[] = {
      {"abbrev 5 \"hello world\"", "\"he...\""},
      {"abbrevboth 5 10 \"1234 5678 9123\"", "\"...5678...\""},
      {"add1f 1.5", "2.5"},
      {"addf 1.5 2 3", "6.5"},
      {"subf 7.5 2 3", "2.5"},
      {"mulf 1.5 2 2", "6"},
      {"divf 10 2 4", "1.25"},
      {"maxf 1 2.5 3", "3"},
      {"minf 1.5 2 3", "1.5"},
      {"biggest 1 5 3", "5"},
      {"round 123.5555 3", "123.556"},
      {"round 123.4 0", "123"},
      {"toDecimal \"0777\"", "511"},
      {"adler32sum \"Hello world!\"", "\"487130206\""},
      {"all 0 1 2", "false"},
      {"any 0 1", "true"},
      {"b32enc \"hi\"", "\"NBUQ====\""},
      {"b32dec \"NBUQ====\"", "\"hi\""},
      {"snakecase \"FirstName\"", "\"first_name\""},
      {"camelcase \"http_server\"", "\"HttpServer\""},
      {"kebabcase \"FirstName\"", "\"first-name\""},
      {"initials \"First Try\"", "\"FT\""},
      {"untitle \"First Try\"", "\"first try\""},
      {"swapcase \"aLaMode\"", "\"AlAmODE\""},
      {"chunk 2 list", R"([["a","b"],["c"]])"},
      {"clean \"/a/./b/../c//d/\"", "\"/a/c/d\""},
      {"osBase \"/a/b.c\"", "\"b.c\""},
      {"duration 95", "\"1m35s\""},
      {"durationRound 7300", "\"2h\""},
      {"(fromJson \"{\\\"a\\\": [1, true]}\").a", "[1,true]"},
      {"mustFirst list", "\"a\""},
      {"mustToJson list", R"("[\"a\",\"b\",\"c\"]")"},
      {"toRawJson map", R"("{\"b\":2,\"a\":1}")"},
      {"toPrettyJson (dict \"a\" 1)", R"("{\n  \"a\": 1\n}")"},
      {"kindIs \"slice\" list", "true"},
      {"typeOf size", "\"int\""},
      {"typeIs \"string\" name", "true"},
      {"pluck \"a\" map map", "[1,1]"},
      {"plural \"one\" \"many\" 2", "\"many\""},
      {"regexQuoteMeta \"1.2.3\"", R"("1\\.2\\.3")"},
      {"(splitn \"$\" 2 \"foo$bar$baz\")._1", "\"bar$baz\""},
      {"wrap 5 \"aa bb cc\"", "\"aa bb\\ncc\""},
      {"wrapWith 5 \"|\" \"aa bb cc\"", "\"aa bb|cc\""},
      {"(urlParse \"http://admin@h:80/p?q=1#f\").host", "\"h:80\""},
      {"(urlParse \"http://[::1]:80/p\").hostname", "\"[::1]\""},
      {"urlJoin (urlParse \"http://admin@h:80/p?q=1#f\")", "\"http://admin@h:80/p?q=1#f\""},
      {"trimall \"$\" \"$5$\"", "\"5\""},
      {"hello", "\"Hello!\""},
  };
  for (const auto& [call, result] : cases) EXPECT_EQ(eval(std::string("{{ ") + call + " }}"), result) << call;
}

}  // namespace
}  // namespace converge::spec
