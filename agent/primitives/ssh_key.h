// A user's SSH key pair.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// Made if absent, never regenerated; everything with the user's own rights.
struct SshKey {
  Person user;
  AbsPath path;              // of the private key; the public one is path + ".pub"
  std::string type = "ed25519";
  std::string comment;
  struct State {
    Seen private_key, public_key;  // as read; the private key's bytes never leave this State
  };
};

ResourceId id(const SshKey& p);
Result<SshKey::State> inspect(const SshKey& p, const SystemView& view);
Checks compare(const SshKey& p, const SshKey::State& state);
Status apply(const SshKey& p, const SshKey::State& state, System& system);
Status preflight(const SshKey& p, const SshKey::State& state, const SystemView& view);
}  // namespace converge
