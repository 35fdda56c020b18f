// A user's SSH key pair.
#pragma once
#include "primitives/openssh.h"
#include "primitives/primitive.h"

namespace converge {

/// Made if absent, never regenerated, never overwritten; everything with the user's own rights. A key that is not what
/// was asked for (another type, a passphrase, damage, another public half) is refused, with the way out. The comment
/// counts only when the key is made.
struct SshKey {
  Person user;
  AbsPath path;  // of the private key, in a directory of the user's that exists; the public one is path + ".pub"
  std::string type = "ed25519";  // "ed25519", "ecdsa", "rsa"
  std::string comment;
  struct State {
    Seen private_key, public_key;  // as read; the private key's bytes never leave this State
    bool closed = false;           // the directory is not the user's to look into
    bool unreadable = false;       // the private key is there, and the user may not read it
    bool unfinished = false;       // what an interrupted run left: a directory only we name so
    bool live = true;              // false: a directory tree, where ssh-keygen cannot be run for the user
  };
};

ResourceId id(const SshKey& p);
Result<SshKey::State> inspect(const SshKey& p, const SystemView& view);
Checks compare(const SshKey& p, const SshKey::State& state);
Status apply(const SshKey& p, const SshKey::State& state, System& system);
inline const Person& acts_as(const SshKey& p) { return p.user; }
Status preflight(const SshKey& p, const SshKey::State& state, const SystemView& view);
}  // namespace converge
