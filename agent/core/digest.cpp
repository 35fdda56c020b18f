#include "core/digest.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

#include <variant>

namespace converge {
namespace {
const std::uint8_t* raw(std::string_view bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
std::uint8_t* raw(std::string& bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}
}  // namespace

std::string sha256(std::string_view bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), raw(bytes));
  std::string out(SHA256_DIGEST_SIZE, '\0');
  sha256_digest(&context, out.size(), raw(out));
  return out;
}

std::string sha256_hex(std::string_view bytes) { return hex_of(sha256(bytes)); }

struct Digest::State {
  std::variant<md5_ctx, sha256_ctx, sha512_ctx> context;
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  if (kind == Kind::md5) md5_init(&state_->context.emplace<md5_ctx>());
  if (kind == Kind::sha256) sha256_init(&state_->context.emplace<sha256_ctx>());
  if (kind == Kind::sha512) sha512_init(&state_->context.emplace<sha512_ctx>());
}
Digest::~Digest() = default;

void Digest::add(std::string_view bytes) {
  if (auto* md5 = std::get_if<md5_ctx>(&state_->context)) md5_update(md5, bytes.size(), raw(bytes));
  if (auto* sha = std::get_if<sha256_ctx>(&state_->context)) sha256_update(sha, bytes.size(), raw(bytes));
  if (auto* sha = std::get_if<sha512_ctx>(&state_->context)) sha512_update(sha, bytes.size(), raw(bytes));
}

std::string Digest::hex() {
  std::string out(SHA512_DIGEST_SIZE, '\0');
  if (auto* md5 = std::get_if<md5_ctx>(&state_->context)) {
    out.resize(MD5_DIGEST_SIZE);
    md5_digest(md5, out.size(), raw(out));
  }
  if (auto* sha = std::get_if<sha256_ctx>(&state_->context)) {
    out.resize(SHA256_DIGEST_SIZE);
    sha256_digest(sha, out.size(), raw(out));
  }
  if (auto* sha = std::get_if<sha512_ctx>(&state_->context)) sha512_digest(sha, out.size(), raw(out));
  return hex_of(out);
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
