// The formats of OpenSSH that are read here: public keys, the head of a private key, known_hosts, ssh_config. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace converge {

/// A public key: its type ("ssh-ed25519"), its raw bytes as on the wire (RFC 4253, which begin with the type), a
/// comment.
struct PublicKey {
  std::string type, blob, comment;
  bool same_key(const PublicKey& other) const { return blob == other.blob; }
  std::string text() const;         // "ssh-ed25519 AAAA... comment", without a newline
  std::string fingerprint() const;  // "SHA256:..." as ssh-keygen -l shows it
};

/// "ssh-ed25519 AAAA... [comment]", one line of a .pub file. nullopt if it is not one (the type is written twice,
/// outside and inside the base64; both must agree).
std::optional<PublicKey> parse_public_key(std::string_view line);

/// True for "SHA256:" and 43 characters of base64 without padding.
bool is_fingerprint(std::string_view text);

/// What can be told of a private key without its passphrase: PROTOCOL.key of OpenSSH.
struct PrivateKeyHead {
  std::string cipher;  // "none" when there is no passphrase
  PublicKey key;  // the comment only when it is not encrypted, and of a type OpenSSH makes with -t rsa, ecdsa, ed25519
};

/// Reads "-----BEGIN OPENSSH PRIVATE KEY-----". Without a passphrase the private part is checked too, as far as it can
/// be without arithmetic: check words, the public key in it, the padding. Errc::unparsable, and why, for anything else.
/// The message never holds bytes of the key.
Result<PrivateKeyHead> parse_private_key(std::string_view text);

/// A line of known_hosts, sshd(8).
struct KnownHostsLine {
  int number = 0;  // from 1
  enum class Marker { none, cert_authority, revoked } marker = Marker::none;
  std::string names;  // the first field: a comma list of patterns, or "|1|salt|hash"
  PublicKey key;
  /// True if ssh would take the line for `name` ("localhost", "[localhost]:30022"): hashed, exact, '*' and '?', and a
  /// '!' pattern that matches takes the whole line back. Letters' case does not count.
  bool names_host(std::string_view name) const;
};
/// The lines that hold a key. Comments, blank and malformed lines are left out, as ssh leaves them out.
std::vector<KnownHostsLine> parse_known_hosts(std::string_view text);
/// True if every line but blanks and comments holds a key, and one does; or the text is empty.
bool is_known_hosts(std::string_view text);
/// How known_hosts writes a host at a port: "localhost" at 22, else "[localhost]:30022". In lower case, as ssh looks it
/// up.
std::string known_hosts_name(std::string_view host, int port);

/// '*' and '?' as in PATTERNS of ssh_config(5). Linear in memory, quadratic in time at worst.
bool matches_pattern(std::string_view text, std::string_view pattern);

/// The answer of `ssh -G`: keyword in lower case, value; in its order, keywords may repeat.
std::vector<std::pair<std::string, std::string>> parse_ssh_answer(std::string_view text);

/// One setting of an ssh_config(5) that counts for an alias.
struct SshSetting {
  std::string keyword, value;  // keyword in lower case; quotes of the value taken off
  int line = 0;
  bool certain = true;  // false inside a Match block, and for an Include: whether and what it says is not known
};
/// The settings of `config` for `alias` in the order ssh reads them: options above the first Host, and blocks whose
/// patterns take the alias. The first of a keyword wins.
std::vector<SshSetting> settings_for(std::string_view config, std::string_view alias);

}  // namespace converge
