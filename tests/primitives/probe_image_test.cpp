#include "primitives/probe_image.h"

#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const std::string image = "192.0.2.10:32166/coulomb/app:1.0";

ImagePull pull() { return {.image = image, .crictl = {"k3s", "crictl"}, .units = {"k3s.service"}}; }

/// A crictl that has `image` or not, and can pull it or not.
FakeSystem with_crictl(bool there, bool pulls) {
  FakeSystem host = fake_debian();
  host.on_command("k3s", [=](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    const std::string& verb = command.argv.at(2);
    EXPECT_EQ(command.argv.back(), image);
    if (verb == "inspecti") return CommandOutput{there ? 0 : 1, {}, {}};
    if (verb == "pull") return CommandOutput{pulls ? 0 : 1, {}, pulls ? "" : "failed to fetch anonymous token\n"};
    return CommandOutput{verb == "rmi" ? 0 : 1, {}, {}};
  });
  return host;
}

TEST(ImagePull, IsTheRuntimesOwnAnswer) {
  FakeSystem good = with_crictl(false, true);
  EXPECT_TRUE(all_pass(checks_of(pull(), good)));
  EXPECT_EQ(good.queries().back(), "k3s crictl rmi " + image) << "what was not there is removed again";
  FakeSystem there = with_crictl(true, true);
  const Checks known = checks_of(pull(), there);
  EXPECT_TRUE(all_pass(known));
  EXPECT_NE(known.front().detail.find("there already"), std::string::npos);
  EXPECT_EQ(there.queries().back(), "k3s crictl pull " + image) << "what was there stays";
  FakeSystem bad = with_crictl(false, false);
  const Checks failed = checks_of(pull(), bad);
  EXPECT_EQ(failed.front().verdict, Verdict::fail);
  EXPECT_EQ(failed.front().detail, "failed to fetch anonymous token");
}

TEST(ImagePull, IsLeftOutWhereNothingRunsAndUnknownWithoutCrictl) {
  FakeSystem stopped = with_crictl(false, true);
  stopped.units["k3s.service"]["ActiveState"] = "inactive";
  EXPECT_EQ(checks_of(pull(), stopped).front().verdict, Verdict::skipped);
  FakeSystem missing = fake_debian();
  missing.without_command("k3s");
  EXPECT_EQ(inspect(pull(), missing).error().code, Errc::not_found);
}

}  // namespace
}  // namespace converge
