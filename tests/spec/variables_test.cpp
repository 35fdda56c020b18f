#include "spec/variables.h"

#include <gtest/gtest.h>

#include "spec/yaml.h"
#include "tests/spec/temporary_tree.h"

namespace converge::spec {
namespace {

class VariablesTest : public testing::Test {
 protected:
  Map map(const std::string& yaml) {
    auto value = read_yaml(*sources_.add("vars", yaml), {}, diagnostics_);
    return value && value->map() != nullptr ? *value->map() : Map{};
  }
  std::string complaints() const {
    std::string out;
    for (const Diagnostic& d : diagnostics_) out += d.at.text() + ": " + d.message + " | " + d.hint + "\n";
    return out;
  }
  /// The value of `{{ name }}` over `vars`.
  std::string value_of(const std::string& vars, const std::string& expression) {
    const Map written = map(vars);
    const Variables variables = merge_variables(Inventory{}, "h", written, {});
    VariableScope scope(variables, facts_, diagnostics_);
    const auto value = evaluate(Value("{{ " + expression + " }}", {}, true), scope.scope(), diagnostics_);
    return value ? write_json(*value) : "(none)";
  }
  std::string extra(const std::vector<std::string>& arguments) {
    const auto vars = parse_extra_vars(arguments, FileReader{}, sources_, diagnostics_);
    return vars ? write_json(Value(*vars)) : "(none)";
  }

  Sources sources_;
  Diagnostics diagnostics_;
  Value facts_;
};

TEST_F(VariablesTest, PrecedenceRunsFromSpecToExtra) {
  const TemporaryTree tree;
  tree.write(
      "hosts.yaml",
      "all:\n"
      "  vars: {b: all, c: all, d: all, e: all, f: all, g: all, h: all}\n"
      "  children:\n"
      "    parent:\n"
      "      vars: {d: parent, e: parent, f: parent, g: parent, h: parent}\n"
      "      children:\n"
      "        child: {vars: {e: child, f: child, g: child, h: child}, hosts: {host: {f: host, g: host, h: host}}}\n");
  tree.write("group_vars/all.yml", "c: all-file\nd: all-file\n");
  tree.write("host_vars/host.yml", "g: host-file\nh: host-file\n");
  const auto inventory = load_inventory(tree.path(), FileReader{}, sources_, diagnostics_);
  ASSERT_TRUE(inventory) << complaints();
  const Variables vars = merge_variables(*inventory, "host", map("{a: spec, b: spec, c: spec}"), map("{h: extra}"));
  std::string seen;
  for (const std::string name : {"a", "b", "c", "d", "e", "f", "g", "h"})
    seen += vars.at(name).value().text() + " (" + vars.at(name).origin() + ") ";
  EXPECT_EQ(seen,
            "spec (spec vars) all (group all) all-file (group all) parent (group parent) child (group child) "
            "host (host host) host-file (host host) extra (-e) ");
  ASSERT_EQ(vars.at("c").history.size(), 3U);
  EXPECT_EQ(vars.at("c").history[0].origin, "spec vars");
  EXPECT_EQ(vars.at("c").history[1].value->text(), "all");
  EXPECT_EQ(vars.at("c").history[2].value->at().source->name, tree.path("group_vars/all.yml"));
}

TEST_F(VariablesTest, GroupsOfOneDepthAreOrderedByName) {
  const TemporaryTree tree;
  const std::string path = tree.write(
      "hosts.yaml",
      "all:\n  children:\n    zoo: {vars: {x: zoo}, hosts: {h: }}\n    ant: {vars: {x: ant}, hosts: {h: }}\n");
  const auto inventory = load_inventory(path, FileReader{}, sources_, diagnostics_);
  ASSERT_TRUE(inventory);
  EXPECT_EQ(merge_variables(*inventory, "h", {}, {}).at("x").value().text(), "zoo");
}

TEST_F(VariablesTest, TheHostKnowsItsNameAndGroups) {
  const TemporaryTree tree;
  const std::string path =
      tree.write("hosts.yaml", "all: {children: {b: {children: {a: {hosts: {h1: }}}}, c: {hosts: {h2: }}}}\n");
  const auto inventory = load_inventory(path, FileReader{}, sources_, diagnostics_);
  ASSERT_TRUE(inventory) << complaints();
  const Variables vars = merge_variables(*inventory, "h1", {}, {});
  EXPECT_EQ(vars.at("inventory_hostname").value().text(), "h1");
  EXPECT_EQ(write_json(vars.at("group_names").value()), "[\"a\",\"b\"]");
  EXPECT_EQ(write_json(*vars.at("groups").value().find("b")), "[\"h1\"]");
}

TEST_F(VariablesTest, HostsShareTheMappingOfAllGroups) {
  const TemporaryTree tree;
  const std::string path = tree.write("hosts.yaml", "all: {hosts: {h1: {x: 1}, h2: {x: 1}}}\n");
  const auto inventory = load_inventory(path, FileReader{}, sources_, diagnostics_);
  ASSERT_TRUE(inventory) << complaints();
  const Variables one = merge_variables(*inventory, "h1", {}, {}), other = merge_variables(*inventory, "h2", {}, {});
  EXPECT_EQ(&one.at("groups").value(), &other.at("groups").value());
  EXPECT_EQ(write_json(*one.at("groups").value().find("all")), "[\"h1\",\"h2\"]");
}

TEST_F(VariablesTest, MayUseEachOther) {
  EXPECT_EQ(value_of("{a: '{{ b }}/x', b: '{{ c }}', c: /srv}", "a"), "\"/srv/x\"");
  EXPECT_EQ(value_of("{n: 4, m: '{{ n }}', l: ['{{ m }}', x]}", "l"), "[4,\"x\"]");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
}

TEST_F(VariablesTest, NobodyUsesMayBeUndefined) {
  EXPECT_EQ(value_of("{a: '{{ nowhere }}', b: 1}", "b"), "1");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
}

TEST_F(VariablesTest, CyclesAreSaidInFullAndOnce) {
  value_of("{a: '{{ b }}', b: '{{ c }}', c: '{{ a }}'}", "a");
  ASSERT_GE(diagnostics_.size(), 1U);
  EXPECT_EQ(diagnostics_[0].message, "'a' needs 'b' needs 'c' needs 'a'");
  EXPECT_EQ(diagnostics_.size(), 1U) << complaints();
  diagnostics_.clear();
  value_of("{a: '{{ a }}'}", "a");
  EXPECT_EQ(diagnostics_[0].message, "'a' needs 'a'");
}

TEST_F(VariablesTest, AnUndefinedNameInsideAVariableIsSaidThere) {
  value_of("a: 1\nb: 'x {{ nosuch }}'\n", "b");
  ASSERT_EQ(diagnostics_.size(), 1U) << complaints();
  EXPECT_EQ(diagnostics_[0].at.line, 2);
  EXPECT_NE(diagnostics_[0].message.find("'nosuch'"), std::string::npos);
}

TEST_F(VariablesTest, ThatUseALocalAreEvaluatedForEachOfThem) {
  const Map written = map("{url: 'ssh://{{ item }}', twice: '{{ url }} {{ url }}', fixed: '{{ n }}', n: 1}");
  const Variables variables = merge_variables(Inventory{}, "h", written, {});
  VariableScope scope(variables, facts_, diagnostics_);
  const Value text("{{ twice }} {{ fixed }}", {}, true);
  for (const std::string item : {"a", "b"}) {
    scope.set_local("item", Value(item));
    EXPECT_EQ(evaluate(text, scope.scope(), diagnostics_)->text(), "ssh://" + item + " ssh://" + item + " 1");
  }
  scope.clear_locals();
  EXPECT_FALSE(evaluate(Value(std::string("{{ item }}")), scope.scope(), diagnostics_));
}

TEST_F(VariablesTest, FactsAreReadByTheirPath) {
  facts_ = Value(map("{init: systemd, memory: {total: 7}}"));
  EXPECT_EQ(value_of("{}", ".Facts.init"), "\"systemd\"");
  EXPECT_EQ(value_of("{}", ".Facts.memory.total"), "7");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
  EXPECT_EQ(value_of("{}", ".Facts.innit"), "(none)");
  EXPECT_EQ(diagnostics_.size(), 1U) << complaints();
}

TEST_F(VariablesTest, KeysOfMappingsMayHoldTemplates) {
  EXPECT_EQ(value_of("{r: 'h:1', m: {'{{ r }}': {e: ['http://{{ r }}']}}}", "m"), "{\"h:1\":{\"e\":[\"http://h:1\"]}}");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
  value_of("{r: x, m: {'{{ r }}': 1, x: 2}}", "m");
  EXPECT_NE(complaints().find("the key 'x' is made twice"), std::string::npos) << complaints();
}

TEST_F(VariablesTest, ExtraVarsAreTypedAsPlainScalars) {
  EXPECT_EQ(extra({"a=4", "b=true", "c=null", "d=1.5", "e=yes", "f=0644", "g=", "h=a=b: c # d", "i=-3", "j=1-2"}),
            "{\"a\":4,\"b\":true,\"c\":null,\"d\":1.5,\"e\":\"yes\",\"f\":\"0644\",\"g\":\"\",\"h\":\"a=b: c # "
            "d\",\"i\":-3,\"j\":\"1-2\"}");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
}

TEST_F(VariablesTest, ExtraVarsMayBeMappingsAndFilesAndTheLaterWins) {
  const TemporaryTree tree;
  const std::string file = tree.write("x.yml", "a: from file\nb: 2\n");
  EXPECT_EQ(extra({"a=1", "@" + file, "{\"b\": [3], \"c\": {\"d\": 4}}"}),
            "{\"a\":\"from file\",\"b\":[3],\"c\":{\"d\":4}}");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
}

TEST_F(VariablesTest, ExtraVarsThatAreNoneAreRefusedTogether) {
  EXPECT_EQ(extra({"novalue", "not-a-name=1", "a=1 b=2", "@/nonexistent", "groups=1", "{a: ", "@/"}), "(none)");
  EXPECT_GE(diagnostics_.size(), 7U) << complaints();
  EXPECT_NE(complaints().find("-e:1:1: 'novalue' is no variable"), std::string::npos) << complaints();
  EXPECT_NE(complaints().find("'a=1 b=2' looks like several variables"), std::string::npos);
}

}  // namespace
}  // namespace converge::spec
