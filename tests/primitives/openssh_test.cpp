#include "primitives/openssh.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "tests/support/fake_programs.h"

namespace converge {
namespace {

// Made by ssh-keygen for this test: its comment is "a b", and it is used nowhere.
constexpr std::string_view made_by_ssh_keygen =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBtJ2p+v+0wypEsfYONJNhCyn/pMif8z5pRgUpS4oFDgwAAAIiSG1JskhtS\n"
    "bAAAAAtzc2gtZWQyNTUxOQAAACBtJ2p+v+0wypEsfYONJNhCyn/pMif8z5pRgUpS4oFDgw\n"
    "AAAEABb1+cvYoMERAyiGu54q+Nbupa9fVgCyPjywJWP14s2G0nan6/7TDKkSx9g40k2ELK\n"
    "f+kyJ/zPmlGBSlLigUODAAAAA2EgYgEC\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
constexpr std::string_view its_public_key =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG0nan6/7TDKkSx9g40k2ELKf+kyJ/zPmlGBSlLigUOD a b";

PublicKey key_of(std::string_view seed) { return *parse_public_key(fake_key(seed, "").public_key); }

TEST(PrivateKey, IsReadAsSshKeygenWritesIt) {
  const auto head = parse_private_key(made_by_ssh_keygen);
  ASSERT_TRUE(head) << head.error().text();
  EXPECT_EQ("none", head->cipher);
  EXPECT_EQ(its_public_key, head->key.text());
}

TEST(PrivateKey, ShowsTheCipherOfAnEncryptedOneAndItsPublicHalf) {
  const FakeKey key = fake_key("x", "c", "aes256-ctr");
  const auto head = parse_private_key(key.private_key);
  ASSERT_TRUE(head);
  EXPECT_EQ("aes256-ctr", head->cipher);
  EXPECT_TRUE(head->key.same_key(*parse_public_key(key.public_key)));
}

TEST(PrivateKey, IsNotBelievedWhenAnyByteOfItIsGone) {
  const std::string whole(made_by_ssh_keygen);
  for (std::size_t size = 0; size + 2 < whole.size(); ++size)
    EXPECT_FALSE(parse_private_key(whole.substr(0, size))) << size;
}

TEST(PrivateKey, HasHalvesThatBelongTogether) {
  std::string bytes = *from_base64([] {
    std::string out;
    for (const char c : made_by_ssh_keygen.substr(36, made_by_ssh_keygen.find("-----END") - 36))
      if (c != '\n') out += c;
    return out;
  }());
  // From the public key on, every byte is checked against another one, but for the secret seed and the comment.
  const std::size_t public_half = bytes.find("ssh-ed25519") + 15;
  for (const std::size_t at : {public_half, public_half + 31, bytes.size() - 1, bytes.size() - 12}) {
    std::string spoilt = bytes;
    spoilt[at] = static_cast<char>(spoilt[at] ^ 1);
    EXPECT_FALSE(parse_private_key("-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64(spoilt) +
                                   "\n-----END OPENSSH PRIVATE KEY-----\n"))
        << at;
  }
}

TEST(PrivateKey, OfAnotherFormatIsNamed) {
  const auto pem = parse_private_key("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n");
  ASSERT_FALSE(pem);
  EXPECT_NE(std::string::npos, pem.error().message.find("format"));
  EXPECT_FALSE(parse_private_key("hello\n"));
}

TEST(PublicKeyLine, HoldsTheSameTypeInsideAndOutside) {
  const auto key = parse_public_key(its_public_key);
  ASSERT_TRUE(key);
  EXPECT_EQ("a b", key->comment);
  EXPECT_EQ("SHA256:oWgNNzfOGgSSX5ftda4oa9Qd6rO+aYnDDR8u9wJrIHA", key->fingerprint());
  std::string other(its_public_key);
  other.replace(0, 11, "ssh-rsa");
  EXPECT_FALSE(parse_public_key(other));
  EXPECT_FALSE(parse_public_key("ssh-ed25519"));
  EXPECT_FALSE(parse_public_key("ssh-ed25519 !!!"));
  EXPECT_TRUE(is_fingerprint(key->fingerprint()));
  EXPECT_FALSE(is_fingerprint(key->fingerprint() + "="));
  EXPECT_FALSE(is_fingerprint("MD5:00"));
}

bool names(const std::string& first_field, std::string_view host) {
  const auto lines = parse_known_hosts(first_field + " " + key_of("k").text() + "\n");
  return lines.size() == 1 && lines.front().names_host(host);
}

TEST(KnownHosts, AreFoundAsSshFindsThem) {
  EXPECT_EQ("[localhost]:30022", known_hosts_name("LocalHost", 30022));
  EXPECT_EQ("localhost", known_hosts_name("localhost", 22));
  EXPECT_TRUE(names("localhost", "localhost"));
  EXPECT_FALSE(names("localhost", "[localhost]:30022"));
  EXPECT_TRUE(names("a,[localhost]:30022,b", "[localhost]:30022"));
  EXPECT_TRUE(names("[LOCALHOST]:30022", "[localhost]:30022"));
  EXPECT_TRUE(names("*.example.org", "git.example.org"));
  EXPECT_TRUE(names("git?.example.org", "git1.example.org"));
  EXPECT_FALSE(names("*.example.org,!git.example.org", "git.example.org"));
  EXPECT_FALSE(names("!git.example.org", "www.example.org"));
}

TEST(KnownHosts, AreFoundWhenHashed) {
  const std::string salt(20, 's');
  const auto hashed = [&](std::string_view name) { return "|1|" + base64(salt) + "|" + base64(hmac_sha1(salt, name)); };
  EXPECT_TRUE(names(hashed("[localhost]:30022"), "[localhost]:30022"));
  EXPECT_FALSE(names(hashed("[localhost]:30022"), "localhost"));
  EXPECT_FALSE(names("|1|" + base64(salt), "localhost"));
  EXPECT_FALSE(names("|2|a|b", "localhost"));
}

TEST(KnownHosts, KeepMarkersApartAndPassOverWhatIsMalformed) {
  const std::string key = key_of("k").text();
  const auto lines = parse_known_hosts("# c\n\n@revoked a " + key + "\r\n@cert-authority *.b " + key + "\n@else c " +
                                       key + "\nbroken\nd ssh-ed25519 AAAA\ne " + key);
  ASSERT_EQ(3U, lines.size());
  EXPECT_EQ(KnownHostsLine::Marker::revoked, lines[0].marker);
  EXPECT_EQ(3, lines[0].number);
  EXPECT_EQ(KnownHostsLine::Marker::cert_authority, lines[1].marker);
  EXPECT_EQ(KnownHostsLine::Marker::none, lines[2].marker);
  EXPECT_EQ(8, lines[2].number);
}

TEST(SshConfig, FirstSettingsOfTheAliasComeFirst) {
  const auto settings = settings_for(
      "User = bob\nHost *\n  Port 22 # c\nHost !gitea-local *\n  Port 1\n"
      "Match host x\n Port 2\nHost gitea-local\n\tport 30022\n IdentityFile \"~/a b\"\n",
      "gitea-local");
  ASSERT_EQ(5U, settings.size());
  EXPECT_EQ("user", settings[0].keyword);
  EXPECT_EQ("bob", settings[0].value);
  EXPECT_EQ("22", settings[1].value);
  EXPECT_EQ(3, settings[1].line);
  EXPECT_FALSE(settings[2].certain);
  EXPECT_EQ(9, settings[3].line);
  EXPECT_EQ("~/a b", settings[4].value);
}

TEST(SshAnswer, IsKeywordAndValue) {
  const auto answer = parse_ssh_answer("user git\nHostName localhost\nidentityfile ~/a\nidentityfile ~/b\nempty\n");
  ASSERT_EQ(5U, answer.size());
  EXPECT_EQ(std::pair(std::string("hostname"), std::string("localhost")), answer[1]);
  EXPECT_EQ("", answer[4].second);
}

}  // namespace
}  // namespace converge
