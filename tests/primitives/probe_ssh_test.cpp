#include "primitives/probe_ssh.h"

#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const Person tegwick{"tegwick", 1000, 1000, AbsPath("/home/tegwick")};
constexpr Owner theirs{1000, 1000};
const std::string path = "/home/tegwick/.ssh/config";
constexpr std::string_view block =
    "Host gitea-local\n HostName localhost\n Port 30022\n User git\n IdentityFile ~/.ssh/id_ed25519_gitea\n";

SshConfigAnswer answer() {
  return {
      .user = tegwick,
      .alias = "gitea-local",
      .expected = {
          {"hostname", "localhost"}, {"port", "30022"}, {"user", "git"}, {"identityfile", "~/.ssh/id_ed25519_gitea"}}};
}

FakeSystem host_with(const std::string& text) {
  FakeSystem host = fake_debian();
  host.put_file(path, text, Mode{0600}, theirs);
  return host;
}

const Check& check_of(const Checks& checks, std::string_view property) {
  static const Check none;
  const Check* check = find_check(checks, property);
  EXPECT_NE(nullptr, check);
  return check == nullptr ? none : *check;
}

TEST(SshConfigAnswer, IsWhatSshItselfSays) {
  FakeSystem host = host_with(std::string(block));
  EXPECT_TRUE(all_pass(checks_of(answer(), host)));
  EXPECT_EQ(std::vector<std::string>{"ssh -G -- gitea-local"}, host.queries());
}

TEST(SshConfigAnswer, NamesTheEarlierLineThatWins) {
  FakeSystem host = host_with("Host *\n  User bob\n  IdentityFile /home/tegwick/.ssh/other\n" + std::string(block));
  const Checks checks = checks_of(answer(), host);
  EXPECT_EQ("bob", check_of(checks, "user").actual);
  EXPECT_EQ("set by /home/tegwick/.ssh/config:2", check_of(checks, "user").detail);
  EXPECT_EQ("set by /home/tegwick/.ssh/config:3", check_of(checks, "identityfile").detail);
  EXPECT_EQ(Verdict::pass, check_of(checks, "port").verdict);
}

TEST(SshConfigAnswer, TakesBothWaysOfNamingTheHome) {
  FakeSystem host = host_with(
      "Host gitea-local\n HostName LOCALHOST\n Port 30022\n User git\n"
      " IdentityFile /home/tegwick/.ssh/id_ed25519_gitea\n");
  EXPECT_TRUE(all_pass(checks_of(answer(), host)));
}

TEST(SshConfigAnswer, SaysSoWhenSshRefusesTheFile) {
  FakeSystem host = host_with(std::string(block));
  host.set_mode(path, Mode{0666});
  const Checks checks = checks_of(answer(), host);
  EXPECT_NE(std::string::npos, check_of(checks, "ssh -G").actual.find("Bad owner or permissions"));
  EXPECT_TRUE(any_fails(checks));
}

TEST(SshConfigAnswer, AsksOnlyAsTheUserAndNotForEver) {
  FakeSystem host = host_with(std::string(block));
  host.on_command("ssh", [](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    EXPECT_EQ(tegwick, command.as.value_or(Person{}));
    EXPECT_LE(command.deadline, std::chrono::seconds(15));
    return Error{Errc::timeout, "'ssh' did not end", {}, {}};
  });
  const auto state = inspect(answer(), host);
  ASSERT_FALSE(state);
  EXPECT_NE(std::string::npos, state.error().hint.find("Match exec"));
}

TEST(SshConfigAnswer, AFileOfRootsIsIgnoredBySshAndSeenByUs) {
  FakeSystem host = host_with(std::string(block));
  host.set_owner(path, root_owner);
  EXPECT_EQ("22", check_of(checks_of(answer(), host), "port").actual);
}

}  // namespace
}  // namespace converge
