// known_hosts and ssh_config: nothing crashes, and what is found has a line and a key that writes back.
#include <cstdio>
#include <cstdlib>

#include "primitives/openssh.h"
#include "tests/fuzz/driver.h"

namespace {

[[noreturn]] void broken(const char* law, const std::string& text) {
  std::fprintf(stderr, "%s:\n%s\n", law, text.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace converge;
  const std::string text(reinterpret_cast<const char*>(data), size);
  int last = 0;
  for (const KnownHostsLine& line : parse_known_hosts(text)) {
    if (line.number <= last) broken("lines come in their order", text);
    last = line.number;
    (void)line.names_host("[localhost]:30022");
    const auto again = parse_public_key(line.key.text());
    if (!again || !again->same_key(line.key)) broken("a key writes back the same", text);
    if (!is_fingerprint(line.key.fingerprint())) broken("a key has a fingerprint", text);
  }
  for (const SshSetting& setting : settings_for(text, "gitea-local"))
    if (setting.line < 1) broken("a setting has a line", text);
  (void)parse_ssh_answer(text);
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "[localhost]:30022 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG0nan6/7TDKkSx9g40k2ELKf+kyJ/zPmlGBSlLigUOD a b\n",
    "|1|c2FsdHNhbHRzYWx0c2FsdHNhbHQ=|aGFzaGhhc2hoYXNoaGFzaGhhc2g= ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIG0nan6/7TDKkSx9g40k2ELKf+kyJ/zPmlGBSlLigUOD\r\n@revoked *,!a ssh-rsa AAAA\n",
    "Host * !a\n  User=bob # c\nMatch exec \"true\"\nInclude x\nHost gitea-local\n\tPort \"30022\"\n",
};
const std::vector<std::string> fuzz_words = {
    "@revoked ", "@cert-authority ", "|1|", "*", "?", "!", ",", "\n", "Host ", "=", "\"", "#", "\r", "ssh-ed25519 "};
