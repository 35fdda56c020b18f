#include "core/digest.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/sha2.h>

namespace converge {
namespace {
const std::uint8_t* raw(std::string_view bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
std::uint8_t* raw(std::string& bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }
}  // namespace

std::string sha256(std::string_view bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), raw(bytes));
  std::string out(SHA256_DIGEST_SIZE, '\0');
  sha256_digest(&context, out.size(), raw(out));
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : sha256(bytes)) {
    out += digits[c >> 4U];
    out += digits[c & 15U];
  }
  return out;
}

std::string hmac_sha1(std::string_view key, std::string_view bytes) {
  hmac_sha1_ctx context;
  hmac_sha1_set_key(&context, key.size(), raw(key));
  hmac_sha1_update(&context, bytes.size(), raw(bytes));
  std::string out(SHA1_DIGEST_SIZE, '\0');
  hmac_sha1_digest(&context, out.size(), raw(out));
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out(BASE64_ENCODE_RAW_LENGTH(bytes.size()), '\0');
  base64_encode_raw(out.data(), bytes.size(), raw(bytes));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  for (const char c : text)
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return std::nullopt;  // nettle skips them
  base64_decode_ctx context;
  base64_decode_init(&context);
  std::string out(BASE64_DECODE_LENGTH(text.size()), '\0');
  std::size_t size = 0;
  if (base64_decode_update(&context, &size, raw(out), text.size(), text.data()) != 1) return std::nullopt;
  if (base64_decode_final(&context) != 1) return std::nullopt;
  out.resize(size);
  return out;
}

}  // namespace converge
