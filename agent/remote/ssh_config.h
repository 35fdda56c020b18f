// ssh_config(5), as far as a login by key needs it. libssh has a reader too, but once HostName was seen it matches Host
// against that instead of the name given, and it passes over HostKeyAlias, IdentitiesOnly and further known_hosts
// files.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace converge::remote {

/// What the files say of one host, with the defaults of ssh(1). '~' and %-tokens are expanded.
struct SshConfig {
  std::string host;  // HostName, or the name asked for; lower case
  std::uint16_t port = 22;
  std::string user;
  std::string host_key_alias;                   // empty: none
  std::vector<std::string> identity_files;      // in their order; the defaults when none was named
  bool identity_files_named = false;            // by the files or the caller, so that a missing one is worth a word
  bool identities_only = false;                 // no keys of the agent but those of identity_files
  std::string identity_agent;                   // a socket; empty: none
  std::vector<std::string> user_known_hosts;    // files
  std::vector<std::string> global_known_hosts;  // files
  std::string proxy_command;                    // for a shell; empty: none
  std::vector<std::string> jumps;               // [user@]host[:port], the first one first
  std::uint64_t connect_timeout = 0;            // seconds; 0: none said
  std::string bind_address;
  std::string address_family;  // "any", "inet", "inet6"
  std::string ciphers, macs, kex, host_key_algorithms,
      pubkey_algorithms;  // as written ('+', '-', '^' too); empty: default
  bool compression = false;
};

/// What the command line of ssh(1) would say; it comes before the files.
struct SshAsked {
  std::string host;
  std::uint16_t port = 0;  // 0: not said
  std::string user;
  std::vector<std::string> identity_files;
  std::optional<std::vector<std::string>> jumps;  // instead of ProxyJump and ProxyCommand; an empty list is none
  std::chrono::milliseconds patience{10'000};     // with a command of `Match exec`
};

/// Reads `file` ("~/.ssh/config" stands for it and then /etc/ssh/ssh_config, as ssh(1) does; any other file is read
/// alone, as `ssh -F` does; empty: none). A file that is not there says nothing. Keywords that are not about reaching a
/// host or logging in by key are passed over. Errc::refused if the user's file may be written by others, Errc::invalid
/// with file:line for what cannot be understood. `Match exec` runs its command, as ssh(1) does; Errc::timeout if
/// it does not end.
Result<SshConfig> read_ssh_config(const std::string& file, const SshAsked& asked);

/// "[user@]host[:port]" or "ssh://..." taken apart; Errc::invalid.
Result<SshAsked> parse_jump(std::string_view text);

/// The home directory of the user who runs this, by its account; by $HOME if it has none here.
std::string home_directory();

}  // namespace converge::remote
