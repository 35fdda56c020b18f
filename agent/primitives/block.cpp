#include "primitives/block.h"

#include <algorithm>

#include "core/text.h"
#include "primitives/attributes.h"
#include "primitives/text_edit.h"

namespace converge {
namespace {

/// Where our block is among the lines of a file.
struct Found {
  std::size_t begins = 0, ends = 0;  // how many marker lines
  std::size_t first = 0, last = 0;   // the line of BEGIN and of END, if whole()
  bool ordered = false;
  bool none() const { return begins == 0 && ends == 0; }
  bool whole() const { return begins == 1 && ends == 1 && ordered; }
  std::string text() const {
    if (none()) return "absent";
    if (whole()) return "one pair";
    if (begins == 1 && ends == 1) return "END before BEGIN";
    return std::to_string(begins) + " BEGIN, " + std::to_string(ends) + " END";
  }
};

std::string begin_of(const Block& p) { return p.comment + " BEGIN converge " + p.name; }
std::string end_of(const Block& p) { return p.comment + " END converge " + p.name; }

Found find(const Block& p, const std::vector<std::string_view>& lines) {
  Found out;
  const std::string begin = begin_of(p);
  const std::string end = end_of(p);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = trim(lines[i]);
    if (line == begin) {
      ++out.begins;
      out.first = i;
    } else if (line == end) {
      ++out.ends;
      out.last = i;
    }
  }
  out.ordered = out.first < out.last;
  return out;
}

std::string block_text(const Block& p, std::string_view ending) {
  std::string out;
  append_line(out, begin_of(p), ending);
  for (const auto line : split_lines(p.content)) append_line(out, without_ending(line), ending);
  append_line(out, end_of(p), ending);
  return out;
}

std::string joined(const std::vector<std::string_view>& lines, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += lines[i];
  return out;
}

/// True if something other than blanks, comments and whole blocks of ours stands above a block that must be on top. Two
/// blocks that both want to be there must not push each other down in turn.
bool misplaced(const Block& p, const std::vector<std::string_view>& lines, const Found& found) {
  if (p.at != Block::At::top) return false;
  const std::string begin = p.comment + " BEGIN converge ", end = p.comment + " END converge ";
  std::string inside;  // the name of the block we are in
  for (std::size_t i = 0; i < found.first; ++i) {
    const auto text = trim(lines[i]);
    if (inside.empty() && text.starts_with(begin))
      inside = text.substr(begin.size());
    else if (!inside.empty() && text == end + inside)
      inside.clear();
    else if (inside.empty() && !text.empty() && !text.starts_with(p.comment))
      return true;
  }
  return !inside.empty();
}

/// The file as it shall be; `found` is none() or whole().
std::string edited(const Block& p, std::string_view text) {
  const auto lines = split_lines(text);
  const Found found = find(p, lines);
  const auto ending = line_ending_of(text);
  const std::string ours = p.absent ? std::string() : block_text(p, ending);
  if (found.whole() && (p.absent || !misplaced(p, lines, found)))
    return joined(lines, 0, found.first) + ours + joined(lines, found.last + 1, lines.size());
  std::string others(text);
  if (found.whole()) others = joined(lines, 0, found.first) + joined(lines, found.last + 1, lines.size());
  if (p.absent) return others;
  if (p.at == Block::At::top) return ours + others;
  if (!others.empty() && others.back() != '\n') others += ending;
  return others + ours;
}

}  // namespace

ResourceId id(const Block& p) { return "block:" + p.place.path.str() + ":" + p.name; }

Result<Block::State> inspect(const Block& p, const SystemView& view) {
  auto read = read_at_home(view, p.place, text_limit);
  if (!read) return std::move(read).error();
  return Block::State{std::move(read->seen), read->unreadable};
}

Checks compare(const Block& p, const Block::State& state) {
  const auto& [place, name, comment, content, at, absent, create, mode, owner, backup] = p;
  const PathState& path = state.seen.state;
  Checks checks;
  if (absent && std::holds_alternative<Absent>(path)) {
    checks.push_back(check_that("block", true, "absent", "absent"));
    return checks;
  }
  checks.push_back(check_equal("kind", "file", kind_of(path)));
  if (!std::holds_alternative<RegularFile>(path)) return checks;
  if (state.unreadable) {
    checks.push_back(check_unknown("block", name, "'" + place.as->name + "' may not read the file"));
    check_attributes(checks, path, mode, owner);
    return checks;
  }
  const auto lines = split_lines(state.seen.content);
  const Found found = find(p, lines);
  if (!found.none() && !found.whole()) {
    checks.push_back(check_that("markers", false, absent ? "absent" : "one pair", found.text()));
    return checks;
  }
  if (absent) {
    checks.push_back(check_that("block", found.none(), "absent", found.none() ? "absent" : "present"));
    return checks;
  }
  const std::string wanted = block_text(p, line_ending_of(state.seen.content));
  if (found.none()) {
    checks.push_back(check_that("block", false, Bytes{wanted.size()}.text(), "absent"));
  } else {
    checks.push_back(check_bytes("block", wanted, joined(lines, found.first, found.last + 1), false));
    if (at == Block::At::top) {
      const bool wrong = misplaced(p, lines, found);
      checks.push_back(
          check_that("place", !wrong, "top", wrong ? "line " + std::to_string(found.first + 1) : std::string("top")));
    }
  }
  check_attributes(checks, path, mode, owner);
  return checks;
}

Status preflight(const Block& p, const Block::State& state, const SystemView& /*view*/) {
  const PathState& path = state.seen.state;
  if (std::holds_alternative<Absent>(path)) {
    if (p.create || p.absent) return ok();
    return Error{Errc::not_found,
                 "there is no file '" + p.place.path.str() + "' to put a block in",
                 {},
                 "say 'create: true' if converge shall make it"};
  }
  if (Status may = may_replace_file(p.place, path); !may) return may;
  if (state.unreadable) return ok();  // judged once it is the user's again
  const Found found = find(p, split_lines(state.seen.content));
  if (!found.none() && !found.whole())
    return Error{
        Errc::refused,
        "the markers of block '" + p.name + "' in '" + p.place.path.str() + "' are not one pair: " + found.text(),
        {},
        "leave one '" + begin_of(p) + "' and one '" + end_of(p) + "', or neither"};
  if (!find(p, split_lines(p.content)).none())
    return Error{Errc::invalid,
                 "the content of block '" + p.name + "' holds its own markers",
                 {},
                 "rename the block, or take the markers out of its content"};
  return ok();
}

Status apply(const Block& p, const Block::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  const PathState& path = state.seen.state;
  const bool regular = std::holds_alternative<RegularFile>(path);
  if (!regular && p.absent) return ok();
  // Root's file is given to the user only if it is one we have been in.
  const auto is_theirs = [&p](std::string_view content) { return find(p, split_lines(content)).begins > 0; };
  if (state.unreadable) {
    if (Status mended = mend_attributes(p.place, path, p.mode, p.owner, is_theirs, system); !mended) return mended;
    auto again = inspect(p, system);
    if (!again) return std::move(again).error();
    if (again->unreadable)
      return Error{Errc::permission, "'" + p.place.as->name + "' may not read '" + p.place.path.str() + "'", {}, {}};
    return apply(p, *again, system);
  }
  const std::string text = edited(p, state.seen.content);
  if (regular && text == state.seen.content) {
    if (!p.absent && attributes_differ(path, p.mode, p.owner))
      return mend_attributes(p.place, path, p.mode, p.owner, is_theirs, system);
    return ok();
  }
  WriteOptions options{.mode = p.mode, .owner = p.owner, .backup = p.backup};
  if (const auto* file = std::get_if<RegularFile>(&path); file != nullptr && p.absent) {
    options.mode = file->mode;
    if (file->owner) options.owner = *file->owner;
  }
  return replace_file(p.place, path, text, options, system);
}

std::string diff(const Block& p, const Block::State& state) {
  if (state.unreadable) return {};
  const Found found = find(p, split_lines(state.seen.content));
  if ((!found.none() && !found.whole()) || (p.absent && std::holds_alternative<Absent>(state.seen.state))) return {};
  return unified_diff(state.seen.content, edited(p, state.seen.content), p.place.path.str());
}

}  // namespace converge
