#include "spec/spec.h"

#include <gtest/gtest.h>

#include "spec/yaml.h"
#include "tests/spec/temporary_tree.h"

namespace converge::spec {
namespace {

using Names = std::vector<std::string>;
const Names modules{"command", "file", "k3s_registries", "nproc_limits", "ssh_git", "swapfile", "systemd_slice"};

class SpecTest : public testing::Test {
 protected:
  std::optional<Spec> load(const std::string& text, const std::string& name = "node.yaml") {
    return load_spec(tree_.write(name, text), modules, FileReader{}, sources_, diagnostics_);
  }
  std::vector<Item> items(const std::string& text, const std::string& vars = "{}") {
    const auto spec = load(text);
    EXPECT_TRUE(spec) << complaints();
    if (!spec) return {};
    const auto extra = read_yaml(*sources_.add("vars", vars), {}, diagnostics_);
    const Variables variables = merge_variables(Inventory{}, "h", spec->vars, *extra->map());
    return evaluate_items(*spec, variables, facts_, FileReader{}, sources_, diagnostics_);
  }
  /// "name {parameters}" of each item, or "name skipped".
  Names shown(const std::string& text, const std::string& vars = "{}") {
    Names out;
    for (const Item& item : items(text, vars))
      out.push_back(item.name + (item.skipped.empty() ? " " + write_json(item.parameters) : " skipped"));
    return out;
  }
  std::string complaints() const {
    std::string out;
    for (const Diagnostic& d : diagnostics_) out += d.at.text() + ": " + d.message + " | " + d.hint + "\n";
    return out;
  }
  bool says(const std::string& text) const { return complaints().find(text) != std::string::npos; }

  TemporaryTree tree_;
  Sources sources_;
  Diagnostics diagnostics_;
  Value facts_;
};

TEST_F(SpecTest, ReadsASpec) {
  const auto spec = load(
      "spec: hardening\n"
      "hosts: [coulomb, '!spare']\n"
      "vars: {swap_size_gb: 4}\n"
      "tags: node\n"
      "needs: [base]\n"
      "converge:\n"
      "  - swapfile: {path: /swapfile}\n"
      "    name: swap\n"
      "    tags: [a, b]\n"
      "  - command:\n"
      "    needs: swap\n");
  ASSERT_TRUE(spec) << complaints();
  EXPECT_EQ(spec->name, "hardening");
  EXPECT_EQ(spec->hosts, "coulomb:!spare");
  EXPECT_EQ(spec->needs, Names{"base"});
  ASSERT_EQ(spec->items.size(), 2U);
  EXPECT_EQ(spec->items[0].name, "swap");
  EXPECT_EQ(spec->items[0].at.text(), tree_.path("node.yaml") + ":7:5");
  EXPECT_EQ(spec->items[1].name, "command");
  EXPECT_EQ(spec->directory, tree_.path());
}

TEST_F(SpecTest, IsNamedAfterItsFileAndIsForAllHosts) {
  const auto spec = load("converge: [command: {argv: [/bin/true]}]\n", "work.station.yaml");
  ASSERT_TRUE(spec) << complaints();
  EXPECT_EQ(spec->name, "work.station");
  EXPECT_EQ(spec->hosts, "all");
}

TEST_F(SpecTest, ReportsAllMistakesAtOnce) {
  EXPECT_TRUE(  // what could be read, so that its values can be checked too
      load("host: coulomb\n"
           "swapfile: {}\n"
           "vars: [1]\n"
           "converge:\n"
           "  - swapfil: {}\n"
           "  - swapfile: {}\n"
           "    nproc_limits: {}\n"
           "  - swapfile\n"
           "  - tags: [x]\n"
           "  - swapfile: /swapfile\n"
           "  - command: {}\n"
           "    tag: [x]\n"));
  EXPECT_TRUE(says("node.yaml:1:1: unknown key 'host' in a spec | did you mean 'hosts'?")) << complaints();
  EXPECT_TRUE(says("put it under 'converge:', as '- swapfile:'"));
  EXPECT_TRUE(says("node.yaml:3:7: 'vars' must be a mapping, not a list"));
  EXPECT_TRUE(says("node.yaml:5:5: unknown module or key 'swapfil' | did you mean 'swapfile'?"));
  EXPECT_TRUE(says("node.yaml:7:5: a second module 'nproc_limits' in the item of 'swapfile'"));
  EXPECT_TRUE(says("write '- swapfile:', with a colon"));
  EXPECT_TRUE(says("node.yaml:9:5: the item names no module"));
  EXPECT_TRUE(says("the parameters of 'swapfile' must be a mapping, not a string | see 'converge doc swapfile'"));
  EXPECT_TRUE(says("node.yaml:12:5: unknown module or key 'tag' | did you mean 'tags'?"));
  EXPECT_EQ(diagnostics_.size(), 9U);
}

TEST_F(SpecTest, RefusesWhatIsNoSpec) {
  for (const std::string text :
       {"", "[]", "x", "converge:\n", "converge: []\n", "spec: a\n", "converge: {swapfile: {}}\n",
        "hosts: ''\nconverge: [command: {}]\n", "spec: \"a\\nb\"\nconverge: [command: {}]\n",
        "hosts: '{{ x }}'\nconverge: [command: {}]\n", "converge: &a [command: {}]\n",
        "converge: [command: {}]\nconverge: [command: {}]\n"}) {
    diagnostics_.clear();
    (void)load(text);
    EXPECT_FALSE(diagnostics_.empty()) << text;
  }
}

TEST_F(SpecTest, RefusesADirectoryAndAFileTooBig) {
  const auto load_path = [&](const std::string& path) {
    diagnostics_.clear();
    EXPECT_FALSE(load_spec(path, modules, FileReader{}, sources_, diagnostics_));
    return complaints();
  };
  EXPECT_NE(load_path(tree_.path()).find("it is a directory, not a file"), std::string::npos);
  EXPECT_NE(load_path(tree_.path("none.yaml")).find("No such file"), std::string::npos);
  EXPECT_NE(load_path(tree_.write("big.yaml", std::string((1U << 20U) + 1, ' '))).find("the limit is 1 MiB"),
            std::string::npos);
}

TEST_F(SpecTest, EvaluatesParametersAndKeepsTypesAndPlaces) {
  const auto all = items(
      "vars: {size: 4, address: 'h:1'}\n"
      "converge:\n"
      "  - swapfile:\n"
      "      size: '{{ size }}GiB'\n"
      "      swappiness: '{{ size }}'\n"
      "      mirrors: {'{{ address }}': {endpoint: ['http://{{ address }}']}}\n");
  ASSERT_EQ(all.size(), 1U) << complaints();
  EXPECT_EQ(write_json(all[0].parameters),
            "{\"size\":\"4GiB\",\"swappiness\":4,\"mirrors\":{\"h:1\":{\"endpoint\":[\"http://h:1\"]}}}");
  EXPECT_EQ(all[0].parameters.find("size")->at().line, 4);
  EXPECT_EQ(all[0].spec, "node");
}

TEST_F(SpecTest, ForEachRunsOverListsMappingsAndNumbers) {
  EXPECT_EQ(shown("converge:\n"
                  "  - command: {x: '{{ item }}'}\n"
                  "    name: 'n-{{ item }}'\n"
                  "    for_each: '{{ list }}'\n"
                  "  - command: {x: '{{ item.key }}={{ item.value }}'}\n"
                  "    for_each: {a: 1, b: '{{ two }}'}\n"
                  "  - command: {x: '{{ item }}'}\n"
                  "    for_each: 2\n"
                  "  - command: {x: 1}\n"
                  "    for_each: []\n",
                  "{list: [p, q], two: 2}"),
            (Names{"n-p {\"x\":\"p\"}", "n-q {\"x\":\"q\"}", "command {\"x\":\"a=1\"}", "command {\"x\":\"b=2\"}",
                   "command {\"x\":0}", "command {\"x\":1}"}))
      << complaints();
}

TEST_F(SpecTest, ForEachRefusesWhatCannotBeCounted) {
  for (const std::string loop : {"abc", "-1", "100001", "true", "'{{ nosuch }}'"}) {
    diagnostics_.clear();
    EXPECT_TRUE(items("converge:\n  - command: {}\n    for_each: " + loop + "\n").empty());
    EXPECT_EQ(diagnostics_.size(), 1U) << loop << complaints();
  }
}

TEST_F(SpecTest, ForEachReportsTheFirstBadElementOnly) {
  items("converge:\n  - command: {x: '{{ nosuch }}'}\n    for_each: 1000\n");
  EXPECT_EQ(diagnostics_.size(), 1U) << complaints();
}

TEST_F(SpecTest, AnItemWhoseWhenIsFalseIsNotEvaluated) {
  const std::string text =
      "converge:\n"
      "  - command: {x: '{{ only_elsewhere }}'}\n"
      "    when: '{{ eq a 2 }}'\n"
      "  - command: {x: '{{ item }}'}\n"
      "    for_each: '{{ only_elsewhere }}'\n"
      "    when: false\n"
      "  - command: {x: '{{ item }}'}\n"
      "    for_each: [1, 2]\n"
      "    when: '{{ eq item 2 }}'\n"
      "  - command: {x: 3}\n"
      "    when: '{{ if eq a 1 }}true{{ else }}false{{ end }}'\n";
  EXPECT_EQ(shown(text, "{a: 1}"),
            (Names{"command skipped", "command skipped", "command skipped", "command {\"x\":2}", "command {\"x\":3}"}))
      << complaints();
  EXPECT_EQ(items(text, "{a: 1}")[0].skipped, "when: is false at " + tree_.path("node.yaml") + ":3:11");
}

TEST_F(SpecTest, WhenMustBeTrueOrFalse) {
  for (const std::string when : {"eq a 1", "1", "[true]", "''", "'{{ a }}'", "yes"}) {
    diagnostics_.clear();
    EXPECT_TRUE(items("converge:\n  - command: {}\n    when: " + when + "\n", "{a: 1}").empty());
    ASSERT_EQ(diagnostics_.size(), 1U) << when << complaints();
    EXPECT_EQ(diagnostics_[0].message.substr(0, 31), "'when' must be true or false, n");
    EXPECT_EQ(diagnostics_[0].at.line, 3);
  }
}

TEST_F(SpecTest, ASourceBecomesContentAsItIsAndATemplateIsRendered) {
  tree_.write("files/motd", "{{ as it is }}\n");
  tree_.write("files/app.conf", "port = {{ port }}\n{{ range list }}- {{ . }}\n{{ end }}");
  const auto all = items(
      "converge:\n"
      "  - file: {path: /etc/motd, source: files/motd}\n"
      "  - file: {path: /etc/app, template: 'files/{{ app }}.conf'}\n"
      "  - command: {source: files/motd}\n",
      "{port: 80, app: app, list: [a, b]}");
  ASSERT_EQ(all.size(), 3U) << complaints();
  EXPECT_EQ(all[0].parameters.find("content")->text(), "{{ as it is }}\n");
  EXPECT_EQ(all[0].parameters.find("source"), nullptr);
  EXPECT_EQ(all[0].parameters.find("content")->at().line, 2);
  EXPECT_TRUE(all[0].parameters.find("content")->quoted());
  EXPECT_EQ(all[1].parameters.find("content")->text(), "port = 80\n- a\n- b\n");
  EXPECT_NE(all[2].parameters.find("source"), nullptr);
}

TEST_F(SpecTest, ASourceMustBeAFileBelowTheSpec) {
  tree_.write("t", "{{ nosuch }}\n");
  tree_.write("d/a", "");
  for (const std::string bad : {"source: /etc/hostname", "source: d/../t", "source: none", "source: [t]", "source: ''",
                                "source: .", "template: t", "{source: t, content: x}", "{source: t, template: t}"}) {
    diagnostics_.clear();
    const std::string inner = bad.front() == '{' ? bad.substr(1, bad.size() - 2) : bad;
    EXPECT_TRUE(items("converge:\n  - file: {path: /x, " + inner + "}\n").empty()) << bad;
    EXPECT_EQ(diagnostics_.size(), 1U) << bad << complaints();
  }
}

TEST_F(SpecTest, TagsAreTheSpecsAndTheItems) {
  const auto all = items("tags: [node]\nconverge:\n  - command: {}\n    tags: [a, node]\n");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].tags, (Names{"node", "a"}));
}

TEST(Tags, SelectAsInAnsible) {
  Item item;
  item.name = "swap";
  item.module = "swapfile";
  const auto runs = [&](const Names& tags, const Names& wanted, const Names& skipped) {
    item.tags = tags;
    return selected_by_tags(item, wanted, skipped);
  };
  EXPECT_TRUE(runs({}, {}, {}));
  EXPECT_TRUE(runs({"a"}, {"a", "b"}, {}));
  EXPECT_FALSE(runs({"a"}, {"b"}, {}));
  EXPECT_FALSE(runs({"a"}, {}, {"a"}));
  EXPECT_FALSE(runs({"a"}, {"a"}, {"a"}));
  EXPECT_TRUE(runs({}, {"swap"}, {}));
  EXPECT_TRUE(runs({}, {"swapfile"}, {}));
  EXPECT_FALSE(runs({}, {}, {"swapfile"}));
  EXPECT_TRUE(runs({"always"}, {"b"}, {}));
  EXPECT_FALSE(runs({"always"}, {"b"}, {"always"}));
  EXPECT_FALSE(runs({"always", "a"}, {}, {"a"}));
  EXPECT_FALSE(runs({"never", "a"}, {}, {}));
  EXPECT_FALSE(runs({"never", "a"}, {"all"}, {}));
  EXPECT_TRUE(runs({"never", "a"}, {"a"}, {}));
  EXPECT_TRUE(runs({"never"}, {"never"}, {}));
  EXPECT_TRUE(runs({"a"}, {"tagged"}, {}));
  EXPECT_FALSE(runs({}, {"tagged"}, {}));
  EXPECT_TRUE(runs({}, {"untagged"}, {}));
  EXPECT_FALSE(runs({"a"}, {"untagged"}, {}));
  EXPECT_FALSE(runs({"a"}, {}, {"tagged"}));
  EXPECT_FALSE(runs({"a"}, {}, {"all"}));
  EXPECT_TRUE(runs({"always"}, {}, {"all"}));
}

class OrderTest : public SpecTest {
 protected:
  /// Each "name: needs"; the order they end up in.
  std::string order(const std::vector<std::pair<std::string, std::string>>& wanted) {
    std::vector<Spec> specs;
    for (const auto& [name, needs] : wanted) {
      auto spec = load("spec: " + name + "\nneeds: [" + needs + "]\nconverge: [command: {}]\n", name + ".yaml");
      if (spec) specs.push_back(std::move(*spec));
    }
    std::string out;
    for (const Spec& spec : in_order(std::move(specs), diagnostics_)) out += spec.name + " ";
    return out;
  }
};

TEST_F(OrderTest, IsTheOneGivenButForNeeds) {
  EXPECT_EQ(order({{"a", ""}, {"b", ""}, {"c", ""}}), "a b c ");
  EXPECT_EQ(order({{"a", "c"}, {"b", ""}, {"c", ""}}), "b c a ");
  EXPECT_EQ(order({{"a", "b"}, {"b", "c"}, {"c", ""}}), "c b a ");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
}

TEST_F(OrderTest, NamesCyclesUnknownNamesAndTwins) {
  order({{"z", "a"}, {"a", "b"}, {"b", "a"}});
  EXPECT_TRUE(says("specs need each other: 'a' needs 'b' needs 'a'")) << complaints();
  diagnostics_.clear();
  order({{"base", ""}, {"a", "bsae"}});
  EXPECT_TRUE(says("a.yaml:2:8: spec 'a' needs 'bsae', which is not among the specs | did you mean 'base'?"))
      << complaints();
  diagnostics_.clear();
  order({{"a", "a"}});
  EXPECT_TRUE(says("'a' needs 'a'")) << complaints();
  diagnostics_.clear();
  order({{"a", ""}, {"a", ""}});
  EXPECT_TRUE(says("a second spec is called 'a'")) << complaints();
}

TEST_F(OrderTest, ItemsNeedEarlierItemsOrSpecs) {
  const auto specs = [&](const std::string& needs) {
    std::vector<Spec> out;
    out.push_back(*load("spec: one\nconverge:\n  - swapfile: {}\n    name: swap\n  - command: {}\n    needs: [" +
                            needs + "]\n  - file: {}\n",
                        "one.yaml"));
    out.push_back(*load("spec: two\nconverge: [command: {}]\n", "two.yaml"));
    diagnostics_.clear();
    return in_order(std::move(out), diagnostics_);
  };
  specs("swap, swapfile");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
  EXPECT_EQ(specs("two")[0].name, "two");
  EXPECT_TRUE(diagnostics_.empty()) << complaints();
  specs("file");
  EXPECT_TRUE(says("'command' needs 'file', which does not come before it")) << complaints();
  specs("swpa");
  EXPECT_TRUE(says("which is neither an item nor a spec | did you mean 'swap'?")) << complaints();
}

TEST_F(SpecTest, TheOneThatShipsEvaluatesForItsHost) {
  const FileReader files;
  const auto inventory = load_inventory(CONVERGE_SOURCE_DIR "/inventory", files, sources_, diagnostics_);
  const auto spec = load_spec(CONVERGE_SOURCE_DIR "/specs/coulombcore.yaml", modules, files, sources_, diagnostics_);
  ASSERT_TRUE(inventory && spec) << complaints();
  const Variables variables = merge_variables(*inventory, "CoulombCore", spec->vars, {});
  const auto all = evaluate_items(*spec, variables, facts_, files, sources_, diagnostics_);
  ASSERT_TRUE(diagnostics_.empty()) << complaints();
  Names seen;
  for (const Item& item : all) seen.push_back(item.module + " " + write_json(item.parameters));
  EXPECT_EQ(
      seen,
      (Names{"swapfile {\"path\":\"/swapfile\",\"size\":\"4GiB\",\"swappiness\":10}",
             "nproc_limits {\"user\":\"tegwick\",\"soft\":512,\"hard\":1024}",
             "systemd_slice {\"user\":\"tegwick\",\"memory_max\":\"1500M\",\"memory_swap_max\":\"512M\"}",
             "k3s_registries {\"mirrors\":{\"92.205.130.254:32166\":{\"endpoint\":[\"http://92.205.130.254:32166\"]}"
             "}}",
             "ssh_git {\"user\":\"tegwick\",\"key\":\"~/.ssh/id_ed25519_gitea\",\"key_comment\":\"tegwick@"
             "coulombcore\",\"host_alias\":\"gitea-local\",\"hostname\":\"localhost\",\"port\":30022,"
             "\"organisation\":\"coulomb\",\"repositories\":[\"railiance-infra\",\"railiance-cluster\","
             "\"railiance-platform\"]}"}));
}

}  // namespace
}  // namespace converge::spec
