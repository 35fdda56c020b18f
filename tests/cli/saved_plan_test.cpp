// Plans that are kept: apply FILE does what was shown, or nothing.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace converge {
namespace {

class SavedPlanSession : public testing::Test {
 protected:
  SavedPlanSession() {
    place_.write("specs/motd.yaml",
                 "hosts: pair\nvars: {token: s3cr3t-token}\nconverge:\n"
                 "  - file: {path: /etc/motd, content: \"hello {{ name }}\\n\", mode: \"0644\"}\n"
                 "  - file: {path: /etc/token, content: \"{{ token }}\", mode: \"0600\", sensitive: true}\n");
    place_.write("tree/etc/motd", "before\n");
  }
  Ran plan() const { return place_.on_tree("plan -o p.plan -e name=w0rld-name"); }
  Ran apply(const std::string& arguments = "-e name=w0rld-name") const {
    return place_.run("apply p.plan " + arguments);
  }
  void expect_refused(const Ran& ran, const std::string& words, int exit = 1) const {
    EXPECT_EQ(ran.exit, exit) << ran.out << ran.err;
    EXPECT_NE(ran.err.find(words), std::string::npos) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(place_.here() / "tree/etc/token")) << "nothing is written";
  }

  Workplace place_;
};

TEST_F(SavedPlanSession, IsAppliedAsItWasShown) {
  EXPECT_EQ(plan().exit, 2);
  EXPECT_FALSE(std::filesystem::exists(place_.here() / "tree/etc/token"));
  const auto mode = std::filesystem::status(place_.here() / "p.plan").permissions();
  EXPECT_EQ(static_cast<unsigned>(mode), 0600U);
  const Ran ran = apply();
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_EQ(place_.read("tree/etc/motd"), "hello w0rld-name\n");
  expect_refused(place_.run("apply p.plan -e name=w0rld-name", "rm -f tree/etc/token;"),
                 "file:/etc/motd  would have changed, and would not by now");
}

TEST_F(SavedPlanSession, HoldsNoSecrets) {
  plan();
  const std::string text = place_.read("p.plan");
  EXPECT_NE(text.find("/etc/token"), std::string::npos);
  for (const char* secret : {"s3cr3t", "w0rld", "before"}) EXPECT_EQ(text.find(secret), std::string::npos) << secret;
}

TEST_F(SavedPlanSession, APlanThatOthersCouldWriteIsRefused) {
  plan();
  expect_refused(place_.run("apply p.plan -e name=w0rld-name", "chmod 666 p.plan;"), "others could have written it",
                 65);
}

TEST_F(SavedPlanSession, ANewStateOfTheSameSizeIsSeen) {
  plan();
  place_.write("tree/etc/motd", "BEFORE\n");
  expect_refused(apply(), "file:/etc/motd  is no longer as the plan saw it");
  EXPECT_EQ(place_.read("tree/etc/motd"), "BEFORE\n");
}

TEST_F(SavedPlanSession, WhatWouldChangeTooIsRefused) {
  place_.write("tree/etc/motd", "hello w0rld-name\n");
  place_.run("", "chmod 644 tree/etc/motd; true");
  plan();
  place_.write("tree/etc/motd", "by hand\n");
  expect_refused(apply(), "file:/etc/motd  would change too, and is not in the plan");
}

TEST_F(SavedPlanSession, OtherSpecsAreRefused) {
  plan();
  place_.write("specs/motd.yaml", place_.read("specs/motd.yaml") + "  - directory: {path: /etc/web}\n");
  expect_refused(apply(), "the specs are no longer what was planned for 'node1'");
}

TEST_F(SavedPlanSession, AnotherPlaceInTheSpecIsNoOtherSpec) {
  plan();
  place_.write("specs/motd.yaml", "# a comment\n" + place_.read("specs/motd.yaml"));
  EXPECT_EQ(apply().exit, 0);
}

TEST_F(SavedPlanSession, ValuesThatAreNotKeptAreGivenAgain) {
  plan();
  expect_refused(apply(""), "the plan was made with -e for 'name', and does not keep the values", 64);
  expect_refused(apply("-e name=other"), "-e says something else of 'name' than the plan", 64);
  expect_refused(apply("-e name=w0rld-name -l node2"), "says itself which hosts", 64);
}

TEST_F(SavedPlanSession, IsForThisMachineAndTrees) {
  const Ran ran = place_.run("plan -l node1 -o p.plan -e name=x");
  EXPECT_EQ(ran.exit, 64);
  EXPECT_NE(ran.err.find("saved plans are for this machine and --root trees"), std::string::npos) << ran.err;
}

TEST_F(SavedPlanSession, DamageIsSaid) {
  place_.write("p.plan", "{\"converge_plan\":1,\"version\":");
  expect_refused(apply(), "'p.plan' is no plan that can be applied", 65);
}

}  // namespace
}  // namespace converge
