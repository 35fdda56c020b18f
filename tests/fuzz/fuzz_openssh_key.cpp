// A private key is believed only whole, and its public half writes back the same.
#include <cstdio>
#include <cstdlib>

#include "core/digest.h"
#include "primitives/openssh.h"
#include "tests/fuzz/driver.h"

namespace {

void one(const std::string& text) {
  const auto head = converge::parse_private_key(text);
  if (!head) {
    if (!head.error().message.empty()) return;
    std::fprintf(stderr, "an objection without words\n");
    std::abort();
  }
  const auto again = converge::parse_public_key(converge::PublicKey{head->key.type, head->key.blob, {}}.text());
  if (!again || !again->same_key(head->key) || head->cipher.empty()) {
    std::fprintf(stderr, "a key that does not write back:\n%s\n", text.c_str());
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  one(text);
  // The armour hides the format from blind changes: the same bytes once more, as what is inside it.
  one("-----BEGIN OPENSSH PRIVATE KEY-----\n" + converge::base64(text) + "\n-----END OPENSSH PRIVATE KEY-----\n");
  return 0;
}

namespace {

/// A literal with its NULs.
template <std::size_t N>
std::string bytes(const char (&text)[N]) {
  return {text, N - 1};
}

}  // namespace

const std::vector<std::string> fuzz_seeds = {
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBtJ2p+v+0wypEsfYONJNhCyn/pMif8z5pRgUpS4oFDgwAAAIiSG1JskhtS\n"
    "bAAAAAtzc2gtZWQyNTUxOQAAACBtJ2p+v+0wypEsfYONJNhCyn/pMif8z5pRgUpS4oFDgw\n"
    "AAAEABb1+cvYoMERAyiGu54q+Nbupa9fVgCyPjywJWP14s2G0nan6/7TDKkSx9g40k2ELK\n"
    "f+kyJ/zPmlGBSlLigUODAAAAA2EgYgEC\n-----END OPENSSH PRIVATE KEY-----\n",
    bytes("openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1\0\0\0\x0f\0\0\0\x0bssh-ed25519\0\0\0\0"),
};
const std::vector<std::string> fuzz_words = {
    bytes("\0\0\0\4"), bytes("\xff\xff\xff\xff"), bytes("openssh-key-v1\0"), "ssh-ed25519", "none", "aes256-ctr"};
