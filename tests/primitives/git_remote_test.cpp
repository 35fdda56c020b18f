#include "primitives/git_remote.h"

#include <algorithm>

#include "primitives/probe_git.h"
#include "tests/primitives/mutation_table.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
constexpr Owner theirs{1000, 1000};
const std::string repository = "/home/tegwick/ops-hub", config = repository + "/.git/config";
const std::string url = "ssh://git@gitea-local/coulomb/ops-hub.git";

GitRemote origin() { return {.user = tegwick, .repository = AbsPath(repository), .url = url}; }
GitUrlInEffect probe() { return {.user = tegwick, .repository = AbsPath(repository), .url = url}; }

FakeSystem with_config(std::string_view text) {
  FakeSystem host = fake_debian();
  host.put_file(config, text, Mode{0644}, theirs);
  return host;
}
FakeSystem with_user_config(std::string_view text) {
  FakeSystem host = fake_debian();
  host.put_file("/home/tegwick/.gitconfig", text, Mode{0644}, theirs);
  return host;
}

TEST(GitConfigList, IsReadFieldByField) {
  using namespace std::string_view_literals;
  const auto entries =
      parse_git_config("local\0file:.git/config\0remote.origin.url\nssh://a\nb\0global\0file:x\0core.bare\0"sv);
  ASSERT_TRUE(entries);
  ASSERT_EQ(2U, entries->size());
  EXPECT_EQ("ssh://a\nb", (*entries)[0].value);
  EXPECT_EQ("core.bare", (*entries)[1].key);
  EXPECT_FALSE(parse_git_config("local\0file:x\0"sv));
  EXPECT_FALSE(parse_git_config("local"sv));
}

TEST(GitUrl, IsRewrittenByTheLongestPrefix) {
  const std::vector<GitConfigEntry> rules = {{"global", "file:g", "url.https://a/.insteadof", "ssh://"},
                                             {"global", "file:g", "url.https://b/.insteadof", "ssh://git@"},
                                             {"global", "file:g", "url.https://c/.insteadof", "ssh://git@"},
                                             {"local", "file:l", "url.push:.pushinsteadof", "ssh://g"}};
  EXPECT_EQ("https://b/h/x", rewrite_for_fetch(rules, "ssh://git@h/x").url);
  EXPECT_EQ("url.https://b/.insteadof in file:g", rewrite_for_fetch(rules, "ssh://git@h/x").by);
  EXPECT_EQ("push:it@h/x", rewrite_for_push(rules, "ssh://git@h/x").url);
  EXPECT_EQ("https://a/bob@h/x", rewrite_for_push(rules, "ssh://bob@h/x").url);
  EXPECT_EQ("https://h/x", rewrite_for_push(rules, "https://h/x").url);
  EXPECT_EQ("", rewrite_for_push(rules, "https://h/x").by);
}

TEST(GitRemote, EachPropertyIsSeenAndMended) {
  run_mutation_table(origin(), fake_debian, {{"url", [](FakeSystem& host) {
                                                host.put_file(
                                                    config, "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = x\n",
                                                    Mode{0644}, theirs);
                                              }}});
}

TEST(GitRemote, IsAddedWhereThereIsNone) {
  FakeSystem host = with_config("[core]\n\tbare = false\n");
  expect_heals(origin(), host);
  EXPECT_NE(std::string::npos, host.content(config).find("[remote \"origin\"]\n\turl = " + url));
  FakeSystem half =
      with_config("[core]\n\tbare = false\n[remote \"origin\"]\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
  expect_heals(origin(), half);
}

TEST(GitRemote, AsksAsTheUserAndNobodyAtATerminal) {
  const Wants wanted = wants(origin());
  ASSERT_EQ(1U, wanted.queries.size());
  const Command& command = wanted.queries.front();
  EXPECT_EQ(tegwick, *command.as);
  EXPECT_NE(command.environment.end(), std::find(command.environment.begin(), command.environment.end(),
                                                 std::pair(std::string("GIT_TERMINAL_PROMPT"), std::string("0"))));
  EXPECT_NE(command.environment.end(),
            std::find(command.environment.begin(), command.environment.end(),
                      std::pair(std::string("GIT_CEILING_DIRECTORIES"), std::string("/home/tegwick"))));
}

TEST(GitRemote, IsRefusedWithoutARepository) {
  FakeSystem missing = fake_debian();
  missing.erase(repository);
  EXPECT_EQ("no git repository", find_check(checks_of(origin(), missing), "repository")->actual);
  expect_refused(origin(), missing, Errc::refused, "clone it first");
  FakeSystem plain = fake_debian();
  plain.erase(repository + "/.git");
  expect_refused(origin(), plain, Errc::refused, "no git repository at");
}

TEST(GitRemote, IsRefusedWhenSomebodyMeantSomethingElse) {
  FakeSystem two = with_config("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = a\n\turl = b\n");
  expect_refused(origin(), two, Errc::refused, "2 URLs: a, b");
  FakeSystem push = with_config("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = " + url + "\n\tpushurl = c\n");
  EXPECT_EQ("c", find_check(checks_of(origin(), push), "pushurl")->actual);
  expect_refused(origin(), push, Errc::refused, "pushes elsewhere: c");
  FakeSystem rule = with_user_config("[url \"https://x/\"]\n\tpushInsteadOf = ssh://git@gitea-local/\n");
  const Checks checks = checks_of(origin(), rule);
  EXPECT_EQ("https://x/coulomb/ops-hub.git", find_check(checks, "push")->actual);
  EXPECT_EQ(Verdict::pass, find_check(checks, "fetch")->verdict);
  expect_refused(origin(), rule, Errc::refused, "/home/tegwick/.gitconfig");
}

TEST(GitUrlInEffect, IsWhatGitWouldUse) {
  FakeSystem host = fake_debian();
  EXPECT_EQ(Verdict::fail, find_check(checks_of(probe(), host), "fetch")->verdict);
  ASSERT_TRUE(apply_once(origin(), host));
  EXPECT_TRUE(all_pass(checks_of(probe(), host)));
  host.put_file("/home/tegwick/.gitconfig", "[url \"https://x/\"]\n\tpushInsteadOf = ssh://git@gitea-local/\n",
                Mode{0644}, theirs);
  const Checks checks = checks_of(probe(), host);
  EXPECT_EQ(Verdict::pass, find_check(checks, "fetch")->verdict);
  EXPECT_EQ("https://x/coulomb/ops-hub.git", find_check(checks, "push")->actual);
}

TEST(GitUrlInEffect, SaysWhenThereIsNoSuchRemote) {
  FakeSystem host = with_config("[core]\n\tbare = false\n");
  EXPECT_EQ("no such remote", find_check(checks_of(probe(), host), "fetch")->actual);
}

TEST(GitReached, IsWhetherGitIsLetInWithoutPrompts) {
  const GitReached reached{.user = tegwick, .repository = AbsPath(repository)};
  const auto answering = [](int code, const char* said) {
    FakeSystem host = fake_debian();
    host.on_command("git", [=](FakeSystem&, const Command& command, bool mutating) -> Result<CommandOutput> {
      EXPECT_FALSE(mutating);
      EXPECT_EQ(command.as, tegwick);
      EXPECT_EQ(command.argv,
                (std::vector<std::string>{"git", "-C", repository, "ls-remote", "--exit-code", "origin", "HEAD"}));
      const std::pair<std::string, std::string> batch{"GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10"};
      EXPECT_EQ(std::count(command.environment.begin(), command.environment.end(), batch), 1);
      return CommandOutput{code, {}, said};
    });
    return host;
  };
  const FakeSystem good = answering(0, ""), empty = answering(2, ""), shut = answering(128, "Permission denied\n");
  EXPECT_TRUE(all_pass(checks_of(reached, good)));
  EXPECT_TRUE(all_pass(checks_of(reached, empty)));
  EXPECT_EQ(checks_of(reached, empty).front().detail, "the repository there is empty");
  EXPECT_EQ(checks_of(reached, shut).front().verdict, Verdict::fail);
  EXPECT_EQ(checks_of(reached, shut).front().detail, "Permission denied");
  FakeSystem without = fake_debian();
  without.without_command("git");
  EXPECT_FALSE(inspect(reached, without)) << "not being able to ask is no answer";
}

}  // namespace
}  // namespace converge
