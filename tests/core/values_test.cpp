#include "core/values.h"

#include <gtest/gtest.h>

#include "core/digest.h"

namespace converge {
namespace {

TEST(AbsPath, NormalisesAndRefuses) {
  const auto text = [](std::string_view in) {
    const auto path = AbsPath::parse(in);
    return path ? path->str() : "refused: " + path.error().message;
  };
  EXPECT_EQ(text("//etc/./fstab/"), "/etc/fstab");
  EXPECT_EQ(text("/"), "/");
  EXPECT_EQ(text("etc"), "refused: 'etc' is not an absolute path");
  EXPECT_EQ(text("/a/../b"), "refused: '/a/../b' has a '..' component");
  EXPECT_EQ(text(std::string_view("/a\0b", 4)), "refused: a path with a NUL byte");
}

TEST(AbsPath, TakesItselfApart) {
  const AbsPath path("/etc/ssh/sshd_config");
  EXPECT_EQ(path.parent().str(), "/etc/ssh");
  EXPECT_EQ(path.name(), "sshd_config");
  EXPECT_EQ(AbsPath("/").parent().str(), "/");
  EXPECT_EQ(AbsPath("/").child("etc").str(), "/etc");
  EXPECT_TRUE(path.is_within(AbsPath("/etc")));
  EXPECT_FALSE(AbsPath("/etcetera").is_within(AbsPath("/etc")));
}

TEST(Bytes, ReadsBinaryUnitsOnly) {
  const auto count = [](std::string_view in) {
    const auto bytes = Bytes::parse(in);
    return bytes ? std::to_string(bytes->count) : bytes.error().message + " / " + bytes.error().hint;
  };
  EXPECT_EQ(count("4GiB"), "4294967296");
  EXPECT_EQ(count("1500M"), "1572864000");
  EXPECT_EQ(count("512 MiB"), "536870912");
  EXPECT_EQ(count("17"), "17");
  EXPECT_EQ(count("4GB"), "'4GB' has an unknown unit / 'GB' could mean a power of 1000 or of 1024: write GiB");
  EXPECT_EQ(count("-1"), "'-1' is not a size / write a whole number and a unit, such as 512MiB or 4GiB");
  EXPECT_EQ(count("99999999TiB"), "'99999999TiB' is more than a size can be / ");
}

TEST(Bytes, PrintsTheLargestUnitThatDivides) {
  EXPECT_EQ(Bytes{0}.text(), "0 B");
  EXPECT_EQ((4_GiB).text(), "4 GiB");
  EXPECT_EQ((1500_MiB).text(), "1500 MiB");
  EXPECT_EQ(Bytes{1025}.text(), "1025 B");
}

TEST(Mode, IsOctalOrNothing) {
  EXPECT_EQ(Mode::parse("0644")->bits, 0644U);
  EXPECT_EQ(Mode::parse("600")->text(), "0600");
  EXPECT_FALSE(Mode::parse("64"));
  EXPECT_FALSE(Mode::parse("0888"));
  EXPECT_FALSE(Mode::parse("rw-r--r--"));
}

TEST(Timestamp, IsPrintedInUtc) {
  EXPECT_EQ(Timestamp{0}.text(), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(Timestamp{1'795'249'937'500'000}.text(), "2026-11-21 08:32:17 UTC");
}

TEST(Digest, AgreesWithPublishedVectors) {  // FIPS 180-2, RFC 2202, RFC 4648
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base64(hmac_sha1("Jefe", "what do ya want for nothing?")), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(from_base64("Zm9vYg=="), "foob");
  EXPECT_EQ(from_base64("Zm9v Yg=="), std::nullopt);
  EXPECT_EQ(from_base64("Zm9vYg="), std::nullopt);
}

}  // namespace
}  // namespace converge
