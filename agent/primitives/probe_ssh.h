// The proof that ssh uses a host alias as declared.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// ssh -G ALIAS as the user: what ssh itself would use, whatever other blocks say.
struct SshConfigAnswer {
  Person user;
  std::string alias;
  std::vector<std::pair<std::string, std::string>> expected;  // lower-case keyword, value: {"hostname", "localhost"}
  struct State {
    std::vector<std::pair<std::string, std::string>> answer;
    std::string shadow;  // where the earlier line that wins stands: "~/.ssh/config:3"; empty if none was found
  };
  static constexpr bool live_only = true;
};

ResourceId id(const SshConfigAnswer& p);
Result<SshConfigAnswer::State> inspect(const SshConfigAnswer& p, const SystemView& view);
Checks compare(const SshConfigAnswer& p, const SshConfigAnswer::State& state);
Wants wants(const SshConfigAnswer& p);
}  // namespace converge
