#include "primitives/openssh.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>

#include "core/digest.h"
#include "core/text.h"

namespace converge {
namespace {

/// Reads the wire's strings and numbers (RFC 4251) off the front of a buffer; never past its end.
class Wire {
 public:
  explicit Wire(std::string_view bytes) : rest_(bytes) {}

  std::optional<std::uint32_t> number() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t out = 0;
    for (int i = 0; i < 4; ++i) out = out << 8U | static_cast<unsigned char>(rest_[static_cast<std::size_t>(i)]);
    rest_.remove_prefix(4);
    return out;
  }
  std::optional<std::string_view> string() {
    const auto size = number();
    if (!size || *size > rest_.size()) return std::nullopt;
    const std::string_view out = rest_.substr(0, *size);
    rest_.remove_prefix(*size);
    return out;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

Error unparsable(std::string why) { return {Errc::unparsable, std::move(why), {}, {}}; }

bool is_key_type(std::string_view word) {
  return !word.empty() && word.size() <= 64 && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '@' ||
           c == '.';
  });
}

std::optional<PublicKey> from_blob(std::string_view blob) {
  Wire wire(blob);
  const auto type = wire.string();
  if (!type || !is_key_type(*type) || wire.rest().empty()) return std::nullopt;
  return PublicKey{std::string(*type), std::string(blob), {}};
}

/// The private part when it is not encrypted: two equal check words, the key, a comment, padding 1, 2, 3 ...
Status check_private_part(std::string_view part, PublicKey& key) {
  Wire wire(part);
  const auto first = wire.number(), second = wire.number();
  if (!first || !second || *first != *second) return unparsable("its private part is damaged");
  const auto type = wire.string();
  if (!type || *type != key.type) return unparsable("its private part is of another key type");
  // What follows depends on the type; only ed25519 is taken apart: the others are judged by ssh-keygen when they are
  // used.
  if (key.type != "ssh-ed25519") {
    // Only the comment is looked for, behind the numbers of the key: n, e, d, iqmp, p, q; or the curve, Q, d.
    const int parts = key.type == "ssh-rsa" ? 6 : key.type.starts_with("ecdsa-sha2-") ? 3 : 0;
    if (parts == 0) return ok();
    for (int i = 0; i < parts; ++i)
      if (!wire.string()) return unparsable("its private part is cut short");
    const auto comment = wire.string();
    if (!comment) return unparsable("its private part is cut short");
    key.comment = std::string(*comment);
    return ok();
  }
  const auto public_half = wire.string(), secret = wire.string(), comment = wire.string();
  if (!public_half || !secret || !comment) return unparsable("its private part is cut short");
  Wire outer(key.blob);
  (void)outer.string();
  const auto declared = outer.string();
  if (!declared || declared->size() != 32 || *declared != *public_half || secret->size() != 64 ||
      secret->substr(32) != *public_half)
    return unparsable("its public and private halves do not belong together");
  unsigned expected = 1;
  for (const char c : wire.rest())
    if (static_cast<unsigned char>(c) != expected++) return unparsable("its padding is damaged");
  key.comment = std::string(*comment);
  return ok();
}

/// A word of an ssh_config line, quotes taken off.
std::string unquoted(std::string_view word) {
  if (word.size() >= 2 && word.front() == '"' && word.back() == '"') word = word.substr(1, word.size() - 2);
  return std::string(word);
}

/// Blank-separated words; a quoted one may hold blanks.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool quoted = false, any = false;
  for (const char c : text) {
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (!quoted && (c == ' ' || c == '\t')) {
      if (any) out.push_back(std::move(word));
      word.clear();
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) out.push_back(std::move(word));
  return out;
}

/// Any positive pattern takes the name, and no negated one does: match_pattern_list of OpenSSH.
template <class Words>
bool takes(const Words& patterns, std::string_view name) {
  bool found = false;
  for (std::string_view pattern : patterns) {
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (pattern.empty() || !matches_pattern(name, pattern)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

}  // namespace

std::string PublicKey::text() const {
  return fmt::format("{} {}{}{}", type, base64(blob), comment.empty() ? "" : " ", comment);
}

std::string PublicKey::fingerprint() const {
  std::string digest = base64(sha256(blob));
  while (digest.ends_with('=')) digest.pop_back();
  return "SHA256:" + digest;
}

std::optional<PublicKey> parse_public_key(std::string_view line) {
  line = trim(line);
  if (line.find('\n') != std::string_view::npos) return std::nullopt;
  const auto words = fields(line);
  if (words.size() < 2) return std::nullopt;
  const auto blob = from_base64(words[1]);
  if (!blob) return std::nullopt;
  auto key = from_blob(*blob);
  if (!key || key->type != words[0]) return std::nullopt;
  const auto after = static_cast<std::size_t>(words[1].data() + words[1].size() - line.data());
  key->comment = std::string(trim(line.substr(after)));
  return key;
}

bool is_fingerprint(std::string_view text) {
  constexpr std::string_view prefix = "SHA256:";
  if (!text.starts_with(prefix) || text.size() != prefix.size() + 43) return false;
  return from_base64(std::string(text.substr(prefix.size())) + "=").has_value();
}

Result<PrivateKeyHead> parse_private_key(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----", end = "-----END OPENSSH PRIVATE KEY-----";
  if (text.empty()) return unparsable("it is empty");
  std::string encoded;
  bool inside = false, closed = false;
  for (const std::string_view raw : split_lines(text)) {
    const std::string_view line = trim(raw);
    if (!inside) {
      if (line.empty()) continue;
      if (line.starts_with("-----BEGIN ") && line != begin) return unparsable("it is not in OpenSSH's own key format");
      if (line != begin) return unparsable("it is not a private key");
      inside = true;
    } else if (line == end) {
      closed = true;
      break;
    } else {
      encoded += line;
    }
  }
  if (!closed) return unparsable("it is cut short");
  const auto bytes = from_base64(encoded);
  if (!bytes) return unparsable("its base64 is damaged");

  constexpr std::string_view magic("openssh-key-v1\0", 15);
  if (!std::string_view(*bytes).starts_with(magic)) return unparsable("it is not in OpenSSH's own key format");
  Wire wire(std::string_view(*bytes).substr(magic.size()));
  const auto cipher = wire.string(), derivation = wire.string(), options = wire.string();
  const auto count = wire.number();
  const auto blob = wire.string();
  const auto secret = wire.string();
  if (!cipher || !derivation || !options || !count || !blob || !secret) return unparsable("it is cut short");
  if (*count != 1) return unparsable(fmt::format("it holds {} keys", *count));
  auto key = from_blob(*blob);
  if (!key) return unparsable("its public part is damaged");
  if (!is_key_type(*cipher)) return unparsable("its cipher has no name");
  if (*cipher == "none")
    if (auto good = check_private_part(*secret, *key); !good) return std::move(good).error();
  return PrivateKeyHead{std::string(*cipher), std::move(*key)};
}

bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) {
      ++t;
      ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string known_hosts_name(std::string_view host, int port) {
  const std::string name = lower(host);
  return port == 22 ? name : fmt::format("[{}]:{}", name, port);
}

bool KnownHostsLine::names_host(std::string_view name) const {
  const std::string wanted = lower(name);
  if (names.starts_with("|1|")) {
    const auto parts = split(names, '|');  // "", "1", salt, hash
    if (parts.size() != 4) return false;
    const auto salt = from_base64(parts[2]), hash = from_base64(parts[3]);
    return salt && hash && !salt->empty() && hmac_sha1(*salt, wanted) == *hash;
  }
  const std::string patterns = lower(names);
  return takes(split(patterns, ','), wanted);
}

bool is_known_hosts(std::string_view text) {
  std::size_t said = 0;
  for (const std::string_view raw : split_lines(text)) {
    const std::string_view line = trim(raw);
    if (!line.empty() && line.front() != '#') ++said;
  }
  return text.empty() || (said > 0 && parse_known_hosts(text).size() == said);
}

std::vector<KnownHostsLine> parse_known_hosts(std::string_view text) {
  std::vector<KnownHostsLine> out;
  int number = 0;
  for (const std::string_view raw : split_lines(text)) {
    ++number;
    std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    KnownHostsLine entry;
    entry.number = number;
    const auto drop_word = [&line] {
      const auto words = fields(line);
      const std::string_view word = words.empty() ? std::string_view{} : words.front();
      line = trim(line.substr(word.size()));
      return word;
    };
    if (line.front() == '@') {
      const std::string_view marker = drop_word();
      if (marker == "@cert-authority")
        entry.marker = KnownHostsLine::Marker::cert_authority;
      else if (marker == "@revoked")
        entry.marker = KnownHostsLine::Marker::revoked;
      else
        continue;
    }
    entry.names = std::string(drop_word());
    auto key = parse_public_key(line);
    if (entry.names.empty() || !key) continue;
    entry.key = std::move(*key);
    out.push_back(std::move(entry));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_ssh_answer(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string_view raw : split_lines(text)) {
    const std::string_view line = trim(raw);
    if (line.empty()) continue;
    const std::size_t blank = std::min(line.find(' '), line.size());
    out.emplace_back(lower(line.substr(0, blank)), std::string(trim(line.substr(blank))));
  }
  return out;
}

std::vector<SshSetting> settings_for(std::string_view config, std::string_view alias) {
  std::vector<SshSetting> out;
  enum class Block { ours, others, conditional } block = Block::ours;  // options above the first Host are everybody's
  int number = 0;
  for (const std::string_view raw : split_lines(config)) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    const std::size_t stop = std::min(line.find_first_of(" \t="), line.size());
    const std::string keyword = lower(unquoted(line.substr(0, stop)));
    std::string_view rest = trim(line.substr(stop));
    if (rest.starts_with('=')) rest = trim(rest.substr(1));
    auto words = words_of(rest);
    if (const auto comment = std::find_if(words.begin(), words.end(), [](auto& w) { return w.starts_with('#'); });
        comment != words.end() && comment != words.begin())
      words.erase(comment, words.end());
    if (keyword == "host") {
      block = takes(words, alias) ? Block::ours : Block::others;
    } else if (keyword == "match") {
      block = words.size() == 1 && lower(words.front()) == "all" ? Block::ours : Block::conditional;
    } else if (block != Block::others) {
      out.push_back({keyword, join(words, " "), number, block == Block::ours && keyword != "include"});
    }
  }
  return out;
}

}  // namespace converge
