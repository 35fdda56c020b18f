#include <gtest/gtest.h>

#include "modules/module.h"
#include "spec/yaml.h"
#include "tests/support/fake_commands.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

/// A module's answer to parameters in YAML, with everything the answer points into.
struct Answer {
  Sources sources;
  Diagnostics diagnostics;
  Rendered rendered;
  std::string mistakes() const {
    std::string out;
    for (const auto& diagnostic : diagnostics) out += render(diagnostic);
    return out;
  }
  template <class P>
  std::vector<P> all() const {
    std::vector<P> out;
    for (const Declared& declared : rendered.chain)
      if (const auto* p = std::get_if<P>(&declared.resource)) out.push_back(*p);
    return out;
  }
};
Answer answer(std::string_view module, const std::string& parameters) {
  Answer out;
  const Source* source = out.sources.add("test", parameters);
  const auto value = spec::read_yaml(*source, {}, out.diagnostics);
  const Module* row = find_module(module);
  if (!value || row == nullptr) {
    ADD_FAILURE() << out.mistakes();
    return out;
  }
  const FakeSystem host = fake_debian();
  const spec::Params params(*value, row->fields, out.diagnostics);
  if (params.ok()) out.rendered = row->render(params, fake_facts(host));
  return out;
}

const std::string base =
    "user: tegwick\nkey: ~/.ssh/id_ed25519_gitea\nhost_alias: gitea-local\nhostname: localhost\nport: 30022\n";

TEST(SshGit, MakesTheBlockTheOperatorsWrite) {
  const Answer a = answer("ssh_git", base + "organisation: coulomb\nrepositories: [ops-hub, ~/src/x.git]\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  const auto block = a.all<Block>().at(0);
  EXPECT_EQ(
      "Host gitea-local\n    HostName localhost\n    Port 30022\n    User git\n"
      "    IdentityFile ~/.ssh/id_ed25519_gitea\n    IdentitiesOnly yes\n",
      block.content);
  EXPECT_EQ(Block::At::top, block.at);
  EXPECT_EQ(Mode{0600}, block.mode);
  const auto remotes = a.all<GitRemote>();
  ASSERT_EQ(2U, remotes.size());
  EXPECT_EQ("/home/tegwick/ops-hub", remotes[0].repository.str());
  EXPECT_EQ("ssh://git@gitea-local/coulomb/ops-hub.git", remotes[0].url);
  EXPECT_EQ("/home/tegwick/src/x.git", remotes[1].repository.str());
  EXPECT_EQ("ssh://git@gitea-local/coulomb/x.git", remotes[1].url);
  EXPECT_EQ("tegwick@coulombcore", a.all<SshKey>().at(0).comment);
  EXPECT_TRUE(a.all<KnownHost>().empty()) << "nothing is pinned that was not declared";
}

TEST(SshGit, PinsADeclaredKeyAndThenInsistsOnIt) {
  const std::string key(fake_key("host", "").public_key);
  const Answer a = answer("ssh_git", base + "host_key: " + key + "host_key_alias: true\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  EXPECT_EQ("gitea-local", a.all<KnownHost>().at(0).name);
  const auto content = a.all<Block>().at(0).content;
  EXPECT_NE(std::string::npos, content.find("    StrictHostKeyChecking yes\n    HostKeyAlias gitea-local\n"));
}

TEST(SshGit, RefusesWhatWouldMeanSomethingElseToSshOrGit) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"host_alias: \"*\"", "host_alias"},
      {"host_alias: \"a b\"", "host_alias"},
      {"host_alias: -oProxyCommand=x", "host_alias"},
      {"hostname: \"-x\"", "hostname"},
      {"git_user: \"g t\"", "git_user"},
      {"key: /etc/ssh/key", "not in ~/.ssh"},
      {"key: ~/.ssh/%h", "key"},
      {"remote: --upload-pack=x", "remote"},
      {"organisation: a b", "organisation"},
      {"host_key: hello", "not a public key"},
      {"host_key_fingerprint: MD5:00", "not a fingerprint"},
      {"host_key_alias: true", "no key to pin"},
      {"organisation: a\nrepositories: [\"..\"]", "no name of a repository"},
      {"repositories: [x]", "organisation"}};
  for (const auto& [line, named] : bad) {
    std::string text;
    const std::string word = line.substr(0, line.find(':') + 1);
    for (const auto kept : {"user: tegwick\n", "key: ~/.ssh/k\n", "host_alias: a\n", "hostname: h\n"})
      if (!std::string_view(kept).starts_with(word)) text += kept;
    const Answer a = answer("ssh_git", text + line + "\n");
    EXPECT_TRUE(a.rendered.chain.empty()) << line;
    EXPECT_NE(std::string::npos, a.mistakes().find(named)) << line << "\n" << a.mistakes();
  }
}

TEST(SshGit, IsRefusedForAnUnknownUser) {
  const Answer a = answer("ssh_git", "user: nobody-here\nhost_alias: a\nhostname: b\n");
  ASSERT_TRUE(a.rendered.refusal);
  EXPECT_NE(std::string::npos, a.rendered.refusal->message.find("nobody-here"));
}

const std::string mirror = "mirrors:\n  \"192.0.2.10:32166\":\n    endpoint: [\"http://192.0.2.10:32166\"]\n";

TEST(K3sRegistries, MakesTheFileTheRestartAndTheProof) {
  const Answer a = answer("k3s_registries", mirror);
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  EXPECT_EQ(2U, a.all<Directory>().size());
  EXPECT_EQ(Mode{0600}, a.all<YamlFile>().at(0).mode);
  EXPECT_FALSE(a.all<YamlFile>().at(0).sensitive);
  EXPECT_EQ("/etc/rancher/k3s/registries.yaml", a.all<RestartedSince>().at(0).config.str());
  EXPECT_EQ("192.0.2.10:32166", a.all<MirrorInContainerd>().at(0).registry);
  EXPECT_EQ(Mode{0600}, a.all<YamlFile>().at(0).mode);
}

TEST(SshGit, ReachesTheRemotesOnlyWhenAskedTo) {
  const std::string parameters =
      "user: tegwick\nhost_alias: gitea\nhostname: localhost\norganisation: o\nrepositories: [a, b]\n";
  EXPECT_TRUE(answer("ssh_git", parameters).all<GitReached>().empty());
  const auto reached = answer("ssh_git", parameters + "ls_remote: true\n").all<GitReached>();
  ASSERT_EQ(reached.size(), 2U);
  EXPECT_EQ(reached[1].repository.str(), "/home/tegwick/b");
}

TEST(K3sRegistries, HidesCredentials) {
  const Answer a = answer("k3s_registries",
                          mirror + "configs:\n  \"192.0.2.10:32166\":\n    auth: {username: u, password: \"017\"}\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  const YamlFile file = a.all<YamlFile>().at(0);
  EXPECT_TRUE(file.sensitive);
  EXPECT_NE(std::string::npos, spec::write_yaml(file.document).find("password: \"017\""));
}

TEST(K3sRegistries, KeepsAnEmptyMirrorOfTheEmbeddedRegistry) {
  const Answer a = answer("k3s_registries", "mirrors: {docker.io: null}\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  EXPECT_TRUE(a.all<YamlFile>().at(0).document.find("mirrors")->find("docker.io")->is_null());
  EXPECT_TRUE(a.all<MirrorInContainerd>().empty());
}

TEST(SshGit, DoesNotRunGitInTheHomeOfAnother) {
  const Answer a = answer("ssh_git",
                          "user: root\nhost_alias: gitea\nhostname: localhost\norganisation: o\n"
                          "repositories: [/home/tegwick/ops-hub]\n");
  ASSERT_TRUE(a.rendered.refusal) << a.mistakes();
  EXPECT_NE(std::string::npos, a.rendered.refusal->message.find("the home of 'tegwick'"));
  EXPECT_TRUE(a.rendered.chain.empty());
}

TEST(K3sRegistries, RejectsWhatK3sWouldIgnoreOrDieOf) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"mirrors: {a: {endpoints: [\"http://a\"]}}", "did you mean 'endpoint'"},
      {"mirrors: {a: {endpoint: [\"a:5000\"]}}", "has no scheme"},
      {"mirrors: {a: {endpoint: [\"ftp://a\"]}}", "not a scheme"},
      {"mirrors: {a: {endpoint: [\"http://u:p@a\"]}}", "credentials"},
      {"mirrors: {a: {endpoint: [\"http://a b\"]}}", "no URL"},
      {"mirrors: {\"http://a\": {}}", "no registry"},
      {"mirrors: {\"a/b\": {}}", "no registry"},
      {"mirrors: {\"a:99999\": {}}", "no registry"},
      {"mirrors: [a]", "mirrors"},
      {"mirrors: {a: {rewrite: [x]}}", "rewrite"},
      {"configs: {a: {auth: {token: x}}}", "identity_token"},
      {"configs: {\"*\": {auth: {username: x}}}", "never used"},
      {"configs: {a: {tls: {insecure_skip_verify: \"yes\"}}}", "insecure_skip_verify"},
      {"configs: {a: {tls: {ca_file: relative}}}", "relative"},
      {"manage: merge", "neither a mirror nor a config"}};
  for (const auto& [text, named] : bad) {
    const Answer a = answer("k3s_registries", text + "\n");
    EXPECT_TRUE(a.rendered.chain.empty()) << text;
    EXPECT_NE(std::string::npos, a.mistakes().find(named)) << text << "\n" << a.mistakes();
  }
}

TEST(K3sRegistries, AsksTheDistributionByItsOwnNamesAndPlaces) {
  const Answer k3s = answer("k3s_registries", mirror);
  EXPECT_EQ("coulombcore", k3s.all<K3sSettings>().at(0).node);
  EXPECT_TRUE(k3s.all<ImagePull>().empty());
  const auto ready = k3s.all<RestartedSince>().at(0).ready;
  EXPECT_TRUE(ready.contains("k3s.service") && ready.contains("k3s-agent.service"));

  const Answer rke2 = answer("k3s_registries", mirror + "distribution: rke2\npull: [\"192.0.2.10:32166/a/b:1\"]\n");
  ASSERT_TRUE(rke2.diagnostics.empty()) << rke2.mistakes();
  EXPECT_EQ("/etc/rancher/rke2/registries.yaml", rke2.all<YamlFile>().at(0).path.str());
  EXPECT_EQ("/var/lib/rancher/rke2", rke2.all<MirrorInContainerd>().at(0).data_dir.str());
  EXPECT_EQ((std::vector<std::string>{"rke2-server.service", "rke2-agent.service"}),
            rke2.all<RestartedSince>().at(0).units);
  EXPECT_EQ("/var/lib/rancher/rke2/bin/crictl", rke2.all<ImagePull>().at(0).crictl.front());
  EXPECT_TRUE(rke2.all<RestartedSince>().at(0).ready.contains("rke2-server.service"));
}

TEST(K3sRegistries, AServiceOfAnotherNameIsAskedAlone) {
  const Answer a = answer("k3s_registries", mirror + "service: k3s-edge\nrole: agent\nnode: edge-1\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  const RestartedSince restarted = a.all<RestartedSince>().at(0);
  EXPECT_EQ(std::vector<std::string>{"k3s-edge.service"}, restarted.units);
  EXPECT_EQ(restarted.ready,
            answer("k3s_registries", mirror + "service: k3s-edge\nrole: agent\n").all<RestartedSince>().at(0).ready);
  EXPECT_NE(restarted.ready,
            answer("k3s_registries", mirror + "service: k3s-edge\n").all<RestartedSince>().at(0).ready);
  EXPECT_EQ("edge-1", a.all<K3sSettings>().at(0).node);
  for (const std::string bad : {"service: -x", "service: a b", "service: k3s.service", "node: A", "node: \"a b\"",
                                "pull: [\"-x\"]", "pull: [\"a b\"]", "distribution: k8s", "role: worker"})
    EXPECT_FALSE(answer("k3s_registries", mirror + bad + "\n").diagnostics.empty()) << bad;
}

TEST(K3sRegistries, CredentialsOfAnEndpointAreExpectedOfATemplate) {
  const Answer a = answer("k3s_registries", mirror + "configs:\n  \"192.0.2.10:32166\":\n    auth: {username: u}\n");
  ASSERT_TRUE(a.diagnostics.empty()) << a.mistakes();
  EXPECT_EQ(std::vector<std::string>{"192.0.2.10:32166"}, a.all<MirrorInContainerd>().at(0).credentials);
  EXPECT_TRUE(answer("k3s_registries", mirror).all<MirrorInContainerd>().at(0).credentials.empty());
}

}  // namespace
}  // namespace converge
