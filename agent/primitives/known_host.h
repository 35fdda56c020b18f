// A pinned host key.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// A line of known_hosts, sshd(8), for a key that was declared, never for one that was merely seen.
struct KnownHost {
  Person user;
  AbsPath file;
  std::string host;        // "localhost"
  int port = 22;
  std::string key;         // "ssh-ed25519 AAAA..."; or empty and
  std::string fingerprint; // "SHA256:...": the host is scanned, and its key pinned only if it hashes to this
  struct State { Seen seen; };
};

ResourceId id(const KnownHost& p);
Result<KnownHost::State> inspect(const KnownHost& p, const SystemView& view);
Checks compare(const KnownHost& p, const KnownHost::State& state);
Status apply(const KnownHost& p, const KnownHost::State& state, System& system);
std::string diff(const KnownHost& p, const KnownHost::State& state);
}  // namespace converge
