#include "primitives/k3s_settings.h"

#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

K3sSettings k3s() {
  return {.program = "k3s",
          .units = {"k3s.service", "k3s-agent.service"},
          .registries = AbsPath("/etc/rancher/k3s/registries.yaml"),
          .data_dir = AbsPath("/var/lib/rancher/k3s"),
          .node = "coulombcore"};
}

/// As the installer of k3s writes it.
std::string unit_with(const std::string& options) {
  return "[Service]\nType=notify\nEnvironmentFile=-/etc/systemd/system/k3s.service.env\n"
         "ExecStart=/usr/local/bin/k3s \\\n    server \\\n" +
         options + "\n";
}

/// The refusal; "" if there is none.
std::string refusal(const K3sSettings& p, FakeSystem& host) {
  const auto state = inspect(p, host);
  if (!state) return "cannot look: " + state.error().message;
  const Status may = preflight(p, *state, host);
  EXPECT_EQ(all_pass(compare(p, *state)), bool(may));
  return may ? "" : may.error().message + " / " + may.error().hint;
}

TEST(K3sSettings, NothingIsSaidOfAHostThatSaysNothing) {
  FakeSystem host = fake_debian();
  EXPECT_EQ(refusal(k3s(), host), "");
  host.put_file("/etc/systemd/system/k3s.service", unit_with("\t'--disable' \\\n\t'traefik' \\"));
  host.put_file("/etc/rancher/k3s/config.yaml", "disable: [traefik]\nnode-name: CoulombCore\n");
  EXPECT_EQ(refusal(k3s(), host), "");
}

TEST(K3sSettings, AFileThatK3sDoesNotReadIsRefusedWhereverThatIsSaid) {
  const std::string other =
      "k3s reads '/srv/r.yaml', not '/etc/rancher/k3s/registries.yaml': private-registry is set in ";
  const std::string hint = " / write path: /srv/r.yaml, or take private-registry away";
  FakeSystem config = fake_debian();
  config.put_file("/etc/rancher/k3s/config.yaml", "private-registry: /srv/r.yaml\n");
  EXPECT_EQ(refusal(k3s(), config), other + "/etc/rancher/k3s/config.yaml" + hint);
  FakeSystem part = fake_debian();
  part.put_file("/etc/rancher/k3s/config.yaml", "private-registry: /etc/rancher/k3s/registries.yaml\n");
  part.put_file("/etc/rancher/k3s/config.yaml.d/50.yaml", "private-registry: /srv/r.yaml\n");
  EXPECT_EQ(refusal(k3s(), part), other + "/etc/rancher/k3s/config.yaml.d/50.yaml" + hint);
  for (const std::string option : {"--private-registry=/srv/r.yaml", "'--private-registry' \\\n '/srv/r.yaml' \\"}) {
    FakeSystem unit = fake_debian();
    unit.put_file("/etc/systemd/system/k3s.service", unit_with(option));
    EXPECT_EQ(refusal(k3s(), unit), other + "/etc/systemd/system/k3s.service" + hint);
  }
  FakeSystem script = fake_debian();
  script.put_file("/etc/init.d/k3s",
                  "#!/sbin/openrc-run\ncommand_args=\"server \\\n  '--private-registry=/srv/r.yaml' \\\n\"\n");
  EXPECT_EQ(refusal(k3s(), script), other + "/etc/init.d/k3s" + hint);
  // The command line wins over the file.
  config.put_file("/etc/systemd/system/k3s.service", unit_with("--private-registry=/etc/rancher/k3s/registries.yaml"));
  EXPECT_EQ(refusal(k3s(), config), "");
}

TEST(K3sSettings, OtherPlacesAndNamesAreNamed) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/rancher/k3s/config.yaml", "data-dir: /data/k3s\n");
  EXPECT_NE(refusal(k3s(), host).find("write data_dir: /data/k3s"), std::string::npos) << refusal(k3s(), host);
  host.put_file("/etc/rancher/k3s/config.yaml", "{}\n");
  host.put_file("/etc/systemd/system/k3s.service", unit_with(""));
  host.put_file("/etc/systemd/system/k3s.service.env", "K3S_NODE_NAME=Worker-1\n");
  EXPECT_NE(refusal(k3s(), host).find("node-name of k3s is 'worker-1', not 'coulombcore'"), std::string::npos)
      << refusal(k3s(), host);
  K3sSettings named = k3s();
  named.node = "worker-1";
  EXPECT_EQ(refusal(named, host), "");
  host.put_file("/etc/rancher/k3s/config.yaml", "with-node-id: true\n");
  EXPECT_NE(refusal(named, host).find("kubectl get node"), std::string::npos);
  named.node = "worker-1-0a1b2c3d";
  EXPECT_EQ(refusal(named, host), "");
}

TEST(K3sSettings, AServiceOfAnotherNameIsNamed) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/systemd/system/k3s-production.service", unit_with(""));
  EXPECT_EQ(refusal(k3s(), host), "k3s runs as 'k3s-production.service' here / write service: k3s-production");
  host.put_file("/etc/systemd/system/k3s.service", unit_with(""));
  EXPECT_EQ(refusal(k3s(), host), "") << "the one that was expected is there, too";
  K3sSettings own = k3s();
  own.units = {"k3s-production.service"};
  host.erase("/etc/systemd/system/k3s.service");
  EXPECT_EQ(refusal(own, host), "");
}

TEST(K3sSettings, ABadConfigurationIsNotTakenForNone) {
  FakeSystem host = fake_debian();
  host.put_file("/etc/rancher/k3s/config.yaml", "a: [\n");
  EXPECT_EQ(inspect(k3s(), host).error().code, Errc::unparsable);
  host.fail_look("/etc/rancher/k3s/config.yaml", Errc::permission);
  EXPECT_EQ(inspect(k3s(), host).error().code, Errc::permission);
}

}  // namespace
}  // namespace converge
