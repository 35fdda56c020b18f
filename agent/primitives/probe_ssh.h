// The proof that ssh uses a host alias as declared.
#pragma once
#include <map>

#include "primitives/openssh.h"
#include "primitives/primitive.h"

namespace converge {

/// ssh -G ALIAS as the user: what ssh itself would use, whatever other blocks say. Only ever as the user: a Match block
/// may run commands.
struct SshConfigAnswer {
  Person user;
  std::string alias;
  std::vector<std::pair<std::string, std::string>> expected;  // lower-case keyword, value: {"hostname", "localhost"}
  struct State {
    std::vector<std::pair<std::string, std::string>> answer;
    std::string problem;                        // ssh's own words if it refuses its configuration
    std::map<std::string, std::string> shadow;  // keyword: where the line that wins stands; only for wrong answers
  };
  static constexpr bool live_only = true;
};

ResourceId id(const SshConfigAnswer& p);
Result<SshConfigAnswer::State> inspect(const SshConfigAnswer& p, const SystemView& view);
Checks compare(const SshConfigAnswer& p, const SshConfigAnswer::State& state);
Wants wants(const SshConfigAnswer& p);
}  // namespace converge
