// Digests, by nettle: known_hosts(5) hashes names with HMAC-SHA1 and names keys by SHA256.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace converge {

std::string sha256(std::string_view bytes);                           // 32 raw bytes
std::string sha256_hex(std::string_view bytes);                       // 64 lower-case hex digits
std::string hmac_sha1(std::string_view key, std::string_view bytes);  // 20 raw bytes
/// A digest of what comes in pieces.
class Digest {
 public:
  enum class Kind { md5, sha256, sha512 };
  explicit Digest(Kind kind);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  void add(std::string_view bytes);
  std::string hex();  // lower case; once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};
std::string base64(std::string_view bytes);                     // with padding
std::optional<std::string> from_base64(std::string_view text);  // nullopt if it is none; blanks are not skipped

}  // namespace converge
