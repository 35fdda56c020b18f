// SSH as OpenSSH makes it, by libssh: ssh_config(5), the agent, key files, known_hosts, jumps. No prompt, ever, but the
// one for a passphrase when a person is there to answer it.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/values.h"
#include "remote/transport.h"

namespace converge::remote {

struct SshSettings {
  std::string config = "~/.ssh/config";  // then /etc/ssh/ssh_config, as ssh(1) reads them; empty: none
  std::string known_hosts;               // instead of UserKnownHostsFile; empty: as configured
  /// Asks for the passphrase of a key file, at most once a file and run; null or nullopt: the key is passed over.
  std::function<std::optional<Secret>(const std::string& key_file)> passphrase;
};

/// @return a transport that several threads may use.
std::unique_ptr<Transport> ssh_transport(SshSettings settings);

/// A host's key as it shows it, and what known_hosts says of it.
struct HostKey {
  enum class Known { pinned, unknown, changed } known = Known::unknown;
  std::string type;         // "ssh-ed25519"
  std::string fingerprint;  // "SHA256:..."
  std::string line;         // for known_hosts(5): host (or [host]:port), type, key
  std::string file;         // the known_hosts file it belongs in
};

/// Connects as far as the key exchange, no login.
Result<HostKey> host_key(const SshSettings& settings, const Target& target, Deadline deadline,
                         const Cancelled& cancelled);

}  // namespace converge::remote
