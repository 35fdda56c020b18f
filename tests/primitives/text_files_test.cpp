// Line and Block: edits of files that others own.
#include <random>

#include "core/text.h"
#include "primitives/block.h"
#include "primitives/line.h"
#include "tests/primitives/mutation_table.h"

namespace converge {
namespace {

const AbsPath path("/etc/ssh/sshd_config");

Line line_of(std::string line, std::optional<std::string> match = std::nullopt) {
  return {.place = path, .line = std::move(line), .match = std::move(match), .owner = root_owner};
}

Block block_of(std::string content) {
  return {.place = path, .name = "ours", .content = std::move(content), .owner = root_owner};
}

/// The file after `p` was made so on a host where it held `before`.
template <class P>
std::string after(const P& p, std::string_view before) {
  FakeSystem host = fake_debian();
  host.put_file(path.str(), before);
  expect_heals(p, host);
  return host.content(path.str());
}

TEST(LineMutations, TheLineAlone) {
  run_mutation_table(line_of("X11Forwarding no", "^#?X11Forwarding "), fake_debian,
                     {{"line", [](FakeSystem& host) { host.put_file(path.str(), "X11Forwarding yes\n"); }},
                      {"line", [](FakeSystem& host) { host.put_file(path.str(), ""); }}});
  Line made = line_of("X11Forwarding no");
  made.create = true;
  run_mutation_table(made, fake_debian, {{"kind", [](FakeSystem& host) { host.erase(path.str()); }}});
}

TEST(LineEdits, AreThoseOfLineinfile) {
  EXPECT_EQ("a\nb\n", after(line_of("b"), "a\n"));
  EXPECT_EQ("a\nb\n", after(line_of("b"), "a"));  // the last line gets the ending it lacked
  EXPECT_EQ("b\n", after(line_of("b"), ""));
  EXPECT_EQ("b\na\n", after(line_of("b"), "b\na\n"));
  EXPECT_EQ("x=1\nx=3\ny\n", after(line_of("x=3", "^x="), "x=1\nx=2\ny\n"));  // the last that matches
  EXPECT_EQ("y\nx=3\n", after(line_of("x=3", "^x="), "y\n"));
  EXPECT_EQ("x=3", after(line_of("x=3", "^x="), "x=2"));  // replaced where it stands: its ending stays
  EXPECT_EQ("x no\n#x yes\n", after(line_of("x no", "^#x"), "x no\n#x yes\n"));
}

TEST(LineEdits, KeepCarriageReturns) {
  EXPECT_EQ("a\r\nb\r\n", after(line_of("b"), "a\r\n"));
  EXPECT_EQ("x=3\r\ny\r\n", after(line_of("x=3", "^x="), "x=1\r\ny\r\n"));
  EXPECT_EQ("x=3\r\ny\n", after(line_of("x=3"), "x=3\r\ny\n"));
}

TEST(LineEdits, RemoveEveryLineThatMatches) {
  Line gone = line_of("", "^x=");
  gone.absent = true;
  EXPECT_EQ("y\n z x=\n", after(gone, "x=1\ny\nx=2\r\n z x=\n"));
  Line exact = line_of("x");
  exact.absent = true;
  EXPECT_EQ("xx\n", after(exact, "x\nxx\nx\n"));
  FakeSystem host = fake_debian();
  host.erase(path.str());
  expect_heals(exact, host);  // no file, no line
}

TEST(LineEdits, KeepModeAndOwnerOfTheFile) {
  FakeSystem host = fake_debian();
  host.put_file(path.str(), "a\n", Mode{0600}, {0, 27});
  ASSERT_TRUE(apply_once(line_of("b"), host));
  EXPECT_EQ(std::vector<std::string>{"write /etc/ssh/sshd_config 0600 0:27"}, host.mutations());
}

TEST(LineRefusals, WhatCannotBeToldOrMadeIsSaid) {
  FakeSystem host = fake_debian();
  const auto broken = inspect(line_of("b", "(["), host);
  ASSERT_FALSE(broken);
  EXPECT_EQ(Errc::invalid, broken.error().code);
  host.put_file(path.str(), std::string(100'000, 'a'));
  const auto endless = inspect(line_of("b", "a*b"), host);
  ASSERT_FALSE(endless);
  EXPECT_EQ(Errc::too_big, endless.error().code);
  host.erase(path.str());
  expect_refused(line_of("b"), host, Errc::not_found, "create: true");
  host.put_symlink(path.str(), "/etc/shadow");
  expect_refused(line_of("b"), host, Errc::refused, "symlink");
}

TEST(BlockMutations, EachPropertyAlone) {
  const auto rows = [](const Block& block) {
    std::vector<Row> out{{"kind", [](FakeSystem& host) { host.erase(path.str()); }},
                         {"block",
                          [](FakeSystem& host) {
                            std::string text = host.content(path.str());
                            text.replace(text.find("alpha"), 5, "gamma");
                            host.put_file(path.str(), text);
                          }},
                         {"block", [](FakeSystem& host) { host.put_file(path.str(), "UsePAM yes\n"); }},
                         {"mode", [](FakeSystem& host) { host.set_mode(path.str(), Mode{0666}); }},
                         {"owner", [](FakeSystem& host) {
                            host.set_owner(path.str(), {1000, 0});
                          }}};
    if (block.at == Block::At::top)
      out.push_back({"place", [](FakeSystem& host) {
                       host.put_file(path.str(), "# harmless\nUsePAM no\n" + host.content(path.str()));
                     }});
    return out;
  };
  Block block = block_of("alpha\nbeta\n");
  run_mutation_table(block, fake_debian, rows(block));
  block.at = Block::At::top;
  run_mutation_table(block, fake_debian, rows(block));
}

TEST(BlockEdits, StandBetweenMarkers) {
  EXPECT_EQ("a\n# BEGIN converge ours\nx\n# END converge ours\n", after(block_of("x\n"), "a"));
  EXPECT_EQ("a\n# BEGIN converge ours\nx\n# END converge ours\nb",
            after(block_of("x\n"), "a\n# BEGIN converge ours\nold\nolder\n# END converge ours\nb"));
  Block top = block_of("x\n");
  top.at = Block::At::top;
  EXPECT_EQ("# BEGIN converge ours\nx\n# END converge ours\na\n", after(top, "a\n"));
  EXPECT_EQ("# c\n\n# BEGIN converge ours\nx\n# END converge ours\na\n",
            after(top, "# c\n\n# BEGIN converge ours\ny\n# END converge ours\na\n"));
  EXPECT_EQ("a\r\n# BEGIN converge ours\r\nx\r\n# END converge ours\r\n", after(block_of("x\n"), "a\r\n"));
}

TEST(BlockRefusals, HalfABlockIsSomebodysHand) {
  const std::string begin = "# BEGIN converge ours\n";
  const std::string end = "# END converge ours\n";
  for (const auto& text : {begin, end, end + begin, begin + end + begin + end, begin + begin + end}) {
    FakeSystem host = fake_debian();
    host.put_file(path.str(), "a\n" + text + "b\n");
    const Checks checks = checks_of(block_of("x\n"), host);
    ASSERT_NE(nullptr, find_check(checks, "markers")) << text_of(checks);
    EXPECT_EQ(Verdict::fail, find_check(checks, "markers")->verdict);
    expect_refused(block_of("x\n"), host, Errc::refused, "BEGIN converge ours");
    Block gone = block_of("");
    gone.absent = true;
    expect_refused(gone, host, Errc::refused, "BEGIN converge ours");
  }
}

TEST(BlockRefusals, ItsOwnMarkersAreNoContent) {
  FakeSystem host = fake_debian();
  expect_refused(block_of("x\n# END converge ours\n"), host, Errc::invalid, "its own markers");
}

TEST(BlockBackup, KeepsThePreviousBytes) {
  FakeSystem host = fake_debian();
  const std::string before = host.content(path.str());
  Block block = block_of("x\n");
  block.backup = true;
  ASSERT_TRUE(apply_once(block, host));
  ASSERT_EQ(1U, host.backups().size());
  EXPECT_EQ(before, host.backups().front().second);
}

/// Random text: short lines of few letters, so that matches happen, with all kinds of endings.
std::string random_text(std::mt19937& random) {
  std::string out;
  const auto lines = random() % 8;
  for (unsigned i = 0; i < lines; ++i) {
    const auto length = random() % 4;
    for (unsigned j = 0; j < length; ++j) out += "ab# \t="[random() % 6];
    const bool last = i + 1 == lines;
    const auto ending = random() % (last ? 3 : 2);
    out += ending == 0 ? "\n" : ending == 1 ? "\r\n" : "";
  }
  return out;
}

std::vector<std::string> lines_but(std::string_view text, std::string_view line) {
  std::vector<std::string> out;
  for (const auto each : split_lines(text))
    if (without_ending(each) != line) out.emplace_back(each);
  return out;
}

/// `text` with the ending an append gives its last line.
std::string completed(std::string text) {
  if (text.empty() || text.back() == '\n') return text;
  const auto newline = text.rfind('\n');
  return text + (newline != std::string::npos && newline > 0 && text[newline - 1] == '\r' ? "\r\n" : "\n");
}

TEST(OtherBytes, OfALinesFileStay) {
  std::mt19937 random(20251121);
  for (int round = 0; round < 100; ++round) {
    const std::string before = random_text(random);
    SCOPED_TRACE("before: " + printable(before));
    const std::string made = after(line_of("new line"), before);
    EXPECT_EQ(lines_but(completed(before), "new line"), lines_but(made, "new line"));
    Line gone = line_of("new line");
    gone.absent = true;
    EXPECT_EQ(completed(before), after(gone, made));
  }
}

TEST(OtherBytes, OfABlocksFileStay) {
  std::mt19937 random(19700101);
  for (int round = 0; round < 100; ++round) {
    const std::string before = random_text(random);
    SCOPED_TRACE("before: " + printable(before));
    Block block = block_of("one\ntwo\n");
    block.at = round % 2 == 0 ? Block::At::top : Block::At::bottom;
    const std::string made = after(block, before);
    block.absent = true;
    EXPECT_EQ(block.at == Block::At::top ? before : completed(before), after(block, made));
  }
}

}  // namespace
}  // namespace converge
