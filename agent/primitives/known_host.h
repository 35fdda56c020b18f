// A pinned host key.
#pragma once
#include "primitives/openssh.h"
#include "primitives/primitive.h"

namespace converge {

/// A line of known_hosts, sshd(8), for a key that was declared, never for one that was merely seen. Other lines, also
/// for the same host, stay byte for byte; a different key of the same type under the same name is refused, never
/// replaced.
struct KnownHost {
  Person user;
  AbsPath file;      // in a directory of the user's that exists; made 0600
  std::string host;  // "localhost"
  int port = 22;
  std::string name;         // what ssh looks the key up by, when HostKeyAlias says so; empty: host and port
  std::string key;          // "ssh-ed25519 AAAA..."; or empty and
  std::string fingerprint;  // "SHA256:...": the host is scanned, and its key pinned only if it hashes to this
  struct State {
    Seen seen;
    bool unreadable = false;  // it, or its directory, is not the user's to read
  };
};

ResourceId id(const KnownHost& p);
Result<KnownHost::State> inspect(const KnownHost& p, const SystemView& view);
Checks compare(const KnownHost& p, const KnownHost::State& state);
Status apply(const KnownHost& p, const KnownHost::State& state, System& system);
Status preflight(const KnownHost& p, const KnownHost::State& state, const SystemView& view);
std::string diff(const KnownHost& p, const KnownHost::State& state);
/// The SSH service that is scanned may run on this host.
inline bool needs_services(const KnownHost& p) { return p.key.empty(); }
}  // namespace converge
