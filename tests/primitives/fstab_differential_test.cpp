// fstab(5) as we read it against libmount, over generated files. Skipped where there is no findmnt(8).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "core/text.h"
#include "primitives/fstab_entry.h"
#include "tests/primitives/differential.h"

namespace converge {
namespace {

namespace fs = std::filesystem;

/// findmnt --pairs escapes as \xNN.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x') {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// "spec|type|options" of each entry, as libmount tells them.
std::vector<std::string> by_findmnt(const fs::path& file) {
  std::vector<std::string> entries;
  const auto text = output_of("LC_ALL=C exec findmnt --fstab --tab-file '" + file.string() +
                              "' --pairs --nocanonicalize --output SOURCE,FSTYPE,OPTIONS 2>/dev/null");
  for (const auto line : split_lines(text)) {
    const auto parts = split(without_ending(line), '"');
    if (parts.size() < 6) continue;
    entries.push_back(unescaped(parts[1]) + "|" + unescaped(parts[3]) + "|" + unescaped(parts[5]));
  }
  return entries;
}

std::vector<std::string> by_us(const std::string& text) {
  std::vector<std::string> entries;
  for (const auto& entry : parse_fstab(text)) {
    if (entry.well_formed) entries.push_back(entry.spec + "|" + entry.type + "|" + entry.options);
  }
  return entries;
}

/// Of parts that people and other programs write, well and badly.
std::string generated(std::mt19937& random) {
  const auto one_of = [&](const std::vector<std::string>& parts) { return parts[random() % parts.size()]; };
  std::string text;
  const auto lines = 1 + random() % 5;
  for (std::size_t line = 0; line < lines; ++line) {
    if (random() % 12 == 0) {
      text += one_of({"", "   ", "#", " # /swapfile none swap sw 0 0", "\t", "#/swapfile none swap sw"});
    } else {
      const auto words = random() % 8 == 0 ? 1 + random() % 3 : 3 + random() % 4;
      text += one_of({"", "", "", " ", "\t", " \t "});
      for (std::size_t word = 0; word < words; ++word) {
        if (word > 0) text += one_of({" ", " ", "\t", "  ", " \t"});
        if (word == 0) {
          text += one_of({"/swapfile", "//swapfile", "/./swapfile", "/swap\\040dir/f", "/a\\011b", "/x\\134y", "/a#b",
                          "UUID=1b2c", "LABEL=root", "/dev/sda1", "\"/swapfile\"", "/\\377", "/a\\0404", "/b\\04",
                          "tmpfs", "/c\\9"});
        } else if (word == 1) {
          text += one_of({"none", "swap", "/", "/mnt/x", "#", "/a\\040b"});
        } else if (word == 2) {
          text += one_of({"swap", "swap", "swap", "ext4", "SWAP", "tmpfs", "swap#"});
        } else if (word == 3) {
          text += one_of({"sw", "defaults", "sw,nofail", "noauto", "pri=5", "sw,pri=32767,nofail", "#", "auto,noauto"});
        } else {
          text += one_of({"0", "0", "0", "1", "2", "x", "# c", "-1", "+1", "1x", "010", "99999999999", "0 # last"});
        }
      }
    }
    text += random() % 40 == 0 ? "\r\n" : line + 1 == lines && random() % 4 == 0 ? "" : "\n";
  }
  return text;
}

TEST(FstabDifferential, EveryEntryIsReadAsLibmountReadsIt) {
  if (!is_installed("findmnt")) GTEST_SKIP() << "there is no findmnt here";
  const Scratch scratch;
  ASSERT_FALSE(scratch.path.empty());
  const auto file = scratch.path / "fstab";
  std::mt19937 random(20261121);
  int entries = 0, differences = 0;
  for (int i = 0; i < 2000 && differences < 5; ++i) {
    const auto text = generated(random);
    std::ofstream(file, std::ios::binary) << text;
    const auto expected = by_findmnt(file);
    const auto actual = by_us(text);
    entries += static_cast<int>(expected.size());
    if (actual != expected) ++differences;
    EXPECT_EQ(actual, expected) << "file " << i << ":\n" << text;
  }
  EXPECT_GT(entries, 2000) << "too few of the generated entries were any";
}

}  // namespace
}  // namespace converge
