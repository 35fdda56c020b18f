#include "system/systemd.h"

#include <gtest/gtest.h>

namespace converge {
namespace {

TEST(SystemctlShow, SplitsAtTheFirstEqualsSign) {
  const auto properties = parse_systemctl_show("Id=a.service\nEnvironment=A=1 B=2\nnot a property\nEmpty=\n");
  EXPECT_EQ(properties.at("Id"), "a.service");
  EXPECT_EQ(properties.at("Environment"), "A=1 B=2");
  EXPECT_EQ(properties.at("Empty"), "");
  EXPECT_EQ(properties.size(), 3U);
}

TEST(SystemctlShow, TimestampsBecomeMicroseconds) {
  const auto properties = parse_systemctl_show(
      "ActiveEnterTimestamp=Fri 2021-11-19 08:33:28.123456 UTC\nInactiveExitTimestamp=Fri 2021-11-19 08:33:28 UTC\n"
      "ActiveExitTimestamp=\nStateChangeTimestamp=yesterday\n");
  EXPECT_EQ(properties.at("ActiveEnterTimestamp"), "1637310808123456");
  EXPECT_EQ(properties.at("InactiveExitTimestamp"), "1637310808000000");
  EXPECT_EQ(properties.at("ActiveExitTimestamp"), "0");
  EXPECT_FALSE(properties.contains("StateChangeTimestamp")) << "what cannot be read is unknown";
}

TEST(UnitObjectPath, EscapesAllButLettersAndDigits) {
  EXPECT_EQ(unit_object_path("user-1000.slice"), "/org/freedesktop/systemd1/unit/user_2d1000_2eslice");
  EXPECT_EQ(unit_object_path("0a.service"), "/org/freedesktop/systemd1/unit/_30a_2eservice");
}

TEST(UnitName, NeedsASuffixAndPlainCharacters) {
  EXPECT_TRUE(is_unit_name("dev-disk-by\\x2dlabel-x.swap"));
  EXPECT_TRUE(is_unit_name("getty@tty1.service"));
  for (const char* bad : {"", "ssh", "a b.service", "../x.service", ".service", "a/b.service"}) {
    EXPECT_FALSE(is_unit_name(bad)) << bad;
  }
  EXPECT_EQ(unit_properties({"no suffix"}).at("no suffix").error().code, Errc::invalid);
}

}  // namespace
}  // namespace converge
