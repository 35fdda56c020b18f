// Gossfiles and the `verify:` of specs, by the built binary.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace converge {
namespace {

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST(VerifyGossfile, PassesAndFailsAsTheFileSays) {
  const Workplace place;
  place.write("there", "hello\n");
  place.write("good.yaml", "file:\n  there: {exists: true, contents: [hello]}\n");
  place.write("bad.yaml", "file:\n  there:\n    exists: false\n");
  const Ran good = place.run("verify -g good.yaml");
  EXPECT_EQ(good.exit, 0) << good.out << good.err;
  EXPECT_TRUE(has(good.out, "1 host · 1 in sync · 0 out of sync")) << good.out;
  const Ran bad = place.run("verify -g bad.yaml");
  EXPECT_EQ(bad.exit, 1);
  EXPECT_TRUE(has(bad.out, "file:there  exists is true, not false  bad.yaml:2:3")) << bad.out;
  const Ran both = place.run("verify -g good.yaml -g bad.yaml");
  EXPECT_EQ(both.exit, 1);
  EXPECT_TRUE(has(both.out, "1 in sync · 1 out of sync")) << both.out;
}

TEST(VerifyGossfile, WhatCannotBeToldIsItsOwnExitCode) {
  const Workplace place;
  place.write("goss.yaml", "registry:\n  HKLM: {exists: true}\n");
  const Ran ran = place.run("verify -g goss.yaml");
  EXPECT_EQ(ran.exit, 4) << ran.out;
  EXPECT_TRUE(has(ran.out, "1 unknown")) << ran.out;
}

TEST(VerifyGossfile, IsReadFromStandardInputAsYamlOrJson) {
  const Workplace place;
  for (const char* text : {"file:\n  inventory: {filetype: directory, exists: true}\n",
                           "{\"file\": {\"inventory\": {\"exists\": true}}}"}) {
    place.write("in", text);
    const Ran ran = place.run("verify -g - -v <in");
    EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
    EXPECT_TRUE(has(ran.out, "file:inventory  -:")) << ran.out;
  }
}

TEST(VerifyGossfile, TemplatesSeeVariablesOfFilesThenThoseInline) {
  const Workplace place;
  place.write("vars.yaml", "name: from-file\nother: there\n");
  place.write("goss.yaml",
              "file:\n  {{ .Vars.name }}: {exists: false}\n  {{ .Vars.other }}: {exists: false}\n"
              "  {{ .Env.WHO }}: {exists: false}\n");
  const Ran ran = place.run("verify -v -g goss.yaml --vars vars.yaml --vars-inline '{\"name\": \"inline\"}'", "WHO=me");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  for (const char* id : {"file:inline ", "file:there ", "file:me "}) EXPECT_TRUE(has(ran.out, id)) << id << ran.out;
}

TEST(VerifyGossfile, CommandsRunWhereConvergeWasStarted) {
  const Workplace place;
  place.write("goss.yaml", "command:\n  cat marker: {exit-status: 0, stdout: [me]}\n");
  place.write("marker", "me\n");
  const Ran ran = place.run("verify -g goss.yaml");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
}

TEST(VerifyGossfile, MistakesAreToldWithTheirPlaceAndExit65) {
  const Workplace place;
  place.write("goss.yaml", "filee:\n  /a: {exists: true}\nport:\n  tcp:1: {listenin: true}\n");
  const Ran ran = place.run("verify -g goss.yaml");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(has(ran.err, "goss.yaml:1:1: error: unknown check type 'filee'")) << ran.err;
  EXPECT_TRUE(has(ran.err, "goss.yaml:4:11: error: invalid attribute 'listenin'")) << ran.err;
  EXPECT_EQ(place.run("verify -g nothing.yaml").exit, 65);
  place.write("empty.yaml", "{}\n");
  EXPECT_TRUE(has(place.run("verify -g empty.yaml").err, "there are no checks in 'empty.yaml'"));
}

TEST(VerifyGossfile, IsAskedOfATreeWhenOneIsNamed) {
  const Workplace place;
  place.write("goss.yaml", "file:\n  /etc/passwd: {exists: true, contents: [tegwick, \"{{ inventory_hostname }}\"]}\n");
  place.write("tree/etc/passwd", "tegwick node1\n");
  const Ran ran = place.on_tree("verify -v -g goss.yaml");
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_TRUE(has(ran.out, "node1  file  in sync       file:/etc/passwd")) << ran.out;
}

TEST(VerifyGossfile, APackageManagerIsNotNamedForOtherHosts) {
  const Workplace place;
  place.write("goss.yaml", "package:\n  bash: {installed: true}\n");
  const Ran ran = place.run("verify -l node2 -g goss.yaml --package rpm -c ssh");
  EXPECT_EQ(ran.exit, 64) << ran.out << ran.err;
  EXPECT_TRUE(has(ran.err, "--package")) << ran.err;
}

TEST(VerifySpec, ChecksOfASpecAreAskedByVerifyAlone) {
  const Workplace place;
  place.write("specs/x.yaml",
              "vars: {who: tegwick}\nconverge:\n  - directory: {path: /etc/new}\nverify:\n"
              "  file:\n    \"/home/{{ who }}\": {exists: true, filetype: directory}\n    /etc/none: {exists: true}\n");
  const Ran applied = place.on_tree("apply");
  EXPECT_EQ(applied.exit, 0) << applied.out << applied.err;
  EXPECT_FALSE(has(applied.out, "/etc/none")) << applied.out;
  const Ran verified = place.on_tree("verify -v");
  EXPECT_EQ(verified.exit, 1);
  EXPECT_TRUE(has(verified.out, "in sync       file:/home/tegwick")) << verified.out;
  EXPECT_TRUE(has(verified.out, "file:/etc/none  exists is false, not true  specs/x.yaml:7:5")) << verified.out;
}

TEST(VerifySpec, UnknownChecksAreMistakesOfTheSpec) {
  const Workplace place;
  place.write("specs/x.yaml", "verify:\n  fil: {/a: {exists: true}}\n");
  const Ran ran = place.on_tree("verify");
  EXPECT_EQ(ran.exit, 65);
  EXPECT_TRUE(has(ran.err, "specs/x.yaml:2:3: error: unknown check type 'fil'")) << ran.err;
}

TEST(VerifySpec, DocAndSchemaKnowTheChecks) {
  const Workplace place;
  const Ran both = place.run("doc file");
  EXPECT_TRUE(has(both.out, "example:")) << both.out;
  EXPECT_TRUE(has(both.out, "linked-to")) << both.out;
  EXPECT_TRUE(has(place.run("doc kernel-param").out, "kernel-param: "));
  EXPECT_TRUE(has(place.run("doc kernel-para").err, "did you mean 'kernel-param'?"));
  const Ran schema = place.run("schema");
  EXPECT_TRUE(has(schema.out, "\"verify\": {")) << schema.out.substr(0, 200);
  EXPECT_TRUE(has(schema.out, "\"exit-status\": {"));
}

}  // namespace
}  // namespace converge
