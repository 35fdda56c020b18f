#include "primitives/yaml_file.h"

#include "core/text.h"
#include "spec/yaml.h"
#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const std::string path = "/etc/rancher/k3s/registries.yaml";

spec::Value yaml(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  const Source source{"test", std::string(text)};
  auto value = spec::read_yaml(source, {}, diagnostics);
  EXPECT_TRUE(value) << text;
  return value.value_or(spec::Value{});
}

constexpr std::string_view ours = "mirrors:\n  \"192.0.2.10:32166\":\n    endpoint:\n      - http://192.0.2.10:32166\n";

YamlFile merge(std::string_view document = ours) { return {.path = AbsPath(path), .document = yaml(document)}; }
YamlFile exact(std::string_view document = ours) {
  YamlFile p = merge(document);
  p.manage = YamlFile::Manage::exact;
  return p;
}

FakeSystem host_with(std::string_view text) {
  FakeSystem host = fake_debian();
  host.put_file(path, text, Mode{0600});
  return host;
}

std::string merged_into(std::string_view text, std::string_view document = ours) {
  const auto out = merged_yaml(text, yaml(document), "f");
  EXPECT_TRUE(out) << out.error().text();
  return out ? *out : std::string();
}

TEST(YamlMerge, WritesAFileThatIsNotThere) { EXPECT_TRUE(yaml(merged_into("")).same_as(yaml(ours))); }

TEST(YamlMerge, KeepsEveryOtherLine) {
  const std::string before =
      "# the mirrors of this site\nmirrors:   # all of them\n  # the hub\n  docker.io:\n    endpoint: "
      "['https://hub.example']  "
      "# fast\n\nconfigs:\n  hub.example:\n    tls: {insecure_skip_verify: true}\n";
  const std::string after = merged_into(before);
  for (const auto line : split_lines(before)) EXPECT_NE(std::string::npos, after.find(line)) << line << after;
  EXPECT_TRUE(yaml(after).find("mirrors")->find("192.0.2.10:32166") != nullptr);
  EXPECT_EQ(split_lines(before).size() + 3, split_lines(after).size()) << after;
}

TEST(YamlMerge, ChangesOnlyTheEntryThatIsWrong) {
  const std::string after = merged_into(
      "mirrors:\n  # ours\n  \"192.0.2.10:32166\":\n    # over TLS\n    endpoint:\n    - https://192.0.2.10:32166\n    "
      "rewrite:\n"
      "      a: b\n  # theirs\n  docker.io: null\n");
  EXPECT_NE(std::string::npos, after.find("  # ours\n"));
  EXPECT_NE(std::string::npos, after.find("    # over TLS\n"));
  EXPECT_NE(std::string::npos, after.find("    rewrite:\n      a: b\n  # theirs\n  docker.io: null\n")) << after;
  EXPECT_EQ(std::string::npos, after.find("https:")) << after;
}

TEST(YamlMerge, TakesFlowStyleEmptyPartsAndCrLf) {
  for (const char* before :
       {"mirrors: {docker.io: {endpoint: [\"https://a\"]}}\n", "mirrors:\nconfigs: {}\n", "mirrors: {}\n", "{}\n",
        "# only\n", "{mirrors: {docker.io: {endpoint: [\"https://a\"]}}}\n",
        "mirrors:\r\n  docker.io:\r\n    endpoint: [\"https://a\"]\r\n", "configs: {}",
        "mirrors:\n  docker.io:\n    endpoint: [\"https://a\"]"}) {
    const std::string after = merged_into(before);
    const auto tree = yaml(after);
    EXPECT_TRUE(
        tree.find("mirrors")->find("192.0.2.10:32166")->same_as(*yaml(ours).find("mirrors")->find("192.0.2.10:32166")))
        << after;
    const bool had_another = std::string_view(before).find("docker.io") != std::string_view::npos;
    EXPECT_EQ(had_another, tree.find("mirrors")->find("docker.io") != nullptr) << after;
    EXPECT_EQ(after, merged_into(after)) << "a second merge changes nothing";
  }
  EXPECT_TRUE(merged_into("# only\n").starts_with("# only\n"));
}

TEST(YamlMerge, RefusesWhatItCannotBeSureAbout) {
  for (const auto& [text, named] :
       std::vector<std::pair<std::string, std::string>>{{"mirrors:\n  a: &x {}\n", "f:2:"},
                                                        {"mirrors: {}\nmirrors: {}\n", "f:2:"},
                                                        {"a: 1\n---\nb: 2\n", "f:2:"},
                                                        {"mirrors: [\n", "f:"},
                                                        {"- a\n", "a list"}}) {
    const auto out = merged_yaml(text, yaml(ours), "f");
    ASSERT_FALSE(out) << text;
    EXPECT_EQ(Errc::refused, out.error().code);
    EXPECT_NE(std::string::npos, out.error().text().find(named)) << out.error().text();
    EXPECT_NE(std::string::npos, out.error().hint.find("exact")) << out.error().hint;
  }
}

TEST(YamlFile, EachPropertyIsSeenAndMended) {
  const std::vector<Row> rows = {
      {"content", [](FakeSystem& host) { host.put_file(path, "mirrors: {}\n", Mode{0600}); }},
      {"mode", [](FakeSystem& host) { host.set_mode(path, Mode{0644}); }},
      {"owner", [](FakeSystem& host) {
         host.set_owner(path, {1000, 1000});
       }}};
  run_mutation_table(merge(), fake_debian, rows);
  run_mutation_table(exact(), fake_debian, rows);
}

TEST(YamlFile, IsComparedByMeaning) {
  FakeSystem host = host_with(
      "# c\nconfigs:\nmirrors: {docker.io: null, '192.0.2.10:32166': {rewrite: {}, endpoint: "
      "['http://192.0.2.10:32166']}}\n");
  EXPECT_TRUE(all_pass(checks_of(merge(), host)));
  EXPECT_EQ("configs: null",
            find_check(checks_of(exact(), host_with("configs:\n" + std::string(ours))), "content")->actual);
  EXPECT_TRUE(all_pass(checks_of(merge("mirrors: {docker.io: {}}\n"), host))) << "null is an empty mapping";
  const YamlFile two = merge("mirrors: {\"192.0.2.10:32166\": {endpoint: [b, a]}}\n");
  FakeSystem other_order = host_with("mirrors: {\"192.0.2.10:32166\": {endpoint: [a, b]}}\n");
  EXPECT_TRUE(any_fails(checks_of(two, other_order))) << "endpoints are tried in order";
}

TEST(YamlFile, KeepsWhatItReplacesAndMovesTheTimeOnlyWithTheContent) {
  FakeSystem host = host_with("mirrors: {a: {}, a: {}}\n");
  expect_refused(merge(), host, Errc::refused, "registries.yaml:1:");
  expect_heals(exact(), host);
  ASSERT_EQ(1U, host.backups().size());
  EXPECT_EQ("mirrors: {a: {}, a: {}}\n", host.backups().front().second);
  const Timestamp before = std::get<RegularFile>(host.state(path)).modified;
  host.set_mode(path, Mode{0644});
  ASSERT_TRUE(apply_once(exact(), host));
  EXPECT_EQ(before, std::get<RegularFile>(host.state(path)).modified);
}

TEST(YamlFile, IsNotWrittenThroughASymlink) {
  FakeSystem host = fake_debian();
  host.put_symlink(path, "/etc/shadow");
  expect_refused(merge(), host, Errc::refused, "symlink");
}

TEST(YamlFile, ShowsNoCredentialsWhoeverWroteThem) {
  const std::string canary = "c4nary";
  const auto shown = [&](const YamlFile& p, std::string_view text) {
    FakeSystem host = host_with(text);
    const auto state = inspect(p, host);
    EXPECT_TRUE(any_fails(compare(p, *state)));
    return text_of(compare(p, *state)) + diff(p, *state);
  };
  const std::string theirs = "configs:\n  h:\n    auth:\n      username: u\n      password: c4nary\n";
  YamlFile p = merge();
  EXPECT_EQ(std::string::npos, shown(p, theirs).find(canary));
  EXPECT_NE(std::string::npos, shown(p, theirs).find("192.0.2.10:32166"));
  EXPECT_EQ(std::string::npos, shown(exact(), theirs).find(canary));
  EXPECT_EQ(std::string::npos, shown(p, "configs: {h: {auth: {\"password\": c4nary}}}\n").find(canary));
  EXPECT_EQ(std::string::npos, shown(p, "configs:\n  h:\n    auth:\n      password: |\n        c4nary\n").find(canary));
  p = merge(theirs);
  EXPECT_EQ(std::string::npos, shown(p, "").find(canary));
  p.sensitive = true;
  EXPECT_EQ(std::string::npos, shown(p, "configs: {h: {auth: {password: c4nary2}}}\n").find(canary));
}

}  // namespace
}  // namespace converge
