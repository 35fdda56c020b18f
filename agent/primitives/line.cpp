#include "primitives/line.h"

#include "core/regular_expression.h"
#include "core/text.h"
#include "primitives/attributes.h"
#include "primitives/text_edit.h"

namespace converge {
namespace {

// std::regex recurses once a character: a longer line could use up the stack.
constexpr std::size_t longest_matched_line = 4096;

/// Which lines of `text` count: those `match` finds something in, or without one those that equal `line`.
Result<std::vector<bool>> matching(const Line& p, const std::vector<std::string_view>& lines) {
  std::vector<bool> found(lines.size());
  if (!p.match) {
    for (std::size_t i = 0; i < lines.size(); ++i) found[i] = without_ending(lines[i]) == p.line;
    return found;
  }
  const auto pattern = RegularExpression::parse(*p.match);
  if (!pattern)
    return Error{Errc::invalid,
                 "'" + *p.match + "' is no regular expression: " + pattern.error().message,
                 {},
                 "the grammar is ECMAScript's"};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = without_ending(lines[i]);
    if (line.size() > longest_matched_line)
      return Error{Errc::too_big,
                   "line " + std::to_string(i + 1) + " of '" + p.place.path.str() +
                       "' is too long to match: " + Bytes{line.size()}.text(),
                   {},
                   "leave 'match' away, or manage the whole file"};
    found[i] = pattern->found_in(line);
  }
  return found;
}

struct Edited {
  std::string text;    // the file as it shall be
  std::string actual;  // the line that is there now, for people
};

Result<Edited> edit(const Line& p, std::string_view text) {
  const auto lines = split_lines(text);
  const auto found = matching(p, lines);
  if (!found) return found.error();
  Edited out{std::string(text), "absent"};
  std::optional<std::size_t> last;
  std::size_t count = 0;
  bool exact = false;        // the wanted line is there,
  bool exact_found = false;  // and the expression finds it
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (without_ending(lines[i]) == p.line) {
      exact = true;
      exact_found = (*found)[i];
    }
    if (!(*found)[i]) continue;
    last = i;
    ++count;
  }
  if (last) out.actual = quoted_line(without_ending(lines[*last]));
  if (p.absent) {
    if (count > 1) out.actual = std::to_string(count) + " lines, the last " + out.actual;
    out.text.clear();
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (!(*found)[i]) out.text += lines[i];
    return out;
  }
  if (last && without_ending(lines[*last]) == p.line) return out;
  // Once the wanted line is there and the expression does not find it, what it still finds is left: otherwise every run
  // would turn one more line into a copy.
  if (exact && !(last && exact_found)) {
    out.actual = quoted_line(p.line);
    return out;
  }
  if (!last) {
    append_line(out.text, p.line, line_ending_of(text));
    return out;
  }
  out.text.clear();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != *last) {
      out.text += lines[i];
      continue;
    }
    out.text += p.line;
    out.text += lines[i].substr(without_ending(lines[i]).size());
  }
  return out;
}

}  // namespace

ResourceId id(const Line& p) { return "line:" + p.place.path.str() + ":" + (p.match ? *p.match : p.line); }

Result<Line::State> inspect(const Line& p, const SystemView& view) {
  auto seen = view.read(p.place, text_limit);
  if (!seen) return std::move(seen).error();
  const auto edited = edit(p, seen->content);  // so that compare(), which is pure, has nothing left that can fail
  if (!edited) return edited.error();
  return Line::State{*std::move(seen)};
}

Checks compare(const Line& p, const Line::State& state) {
  const auto& [place, line, match, absent, create, mode, owner] = p;
  const PathState& path = state.seen.state;
  Checks checks;
  const bool regular = std::holds_alternative<RegularFile>(path);
  if (absent && std::holds_alternative<Absent>(path)) {
    checks.push_back(check_that("line", true, "absent", "absent"));
    return checks;
  }
  checks.push_back(check_equal("kind", "file", kind_of(path)));
  if (!regular) return checks;
  const auto edited = edit(p, state.seen.content);
  if (!edited) {
    checks.push_back(check_unknown("line", quoted_line(line), edited.error().text()));
    return checks;
  }
  checks.push_back(
      check_that("line", edited->text == state.seen.content, absent ? "absent" : quoted_line(line), edited->actual));
  return checks;
}

Status preflight(const Line& p, const Line::State& state, const SystemView& /*view*/) {
  if (std::holds_alternative<Absent>(state.seen.state) && !p.create && !p.absent)
    return Error{Errc::not_found,
                 "there is no file '" + p.place.path.str() + "' to put a line in",
                 {},
                 "say 'create: true' if converge shall make it"};
  return may_replace_file(p.place, state.seen.state);
}

Status apply(const Line& p, const Line::State& state, System& system) {
  if (Status may = preflight(p, state, system); !may) return may;
  const auto edited = edit(p, state.seen.content);
  if (!edited) return edited.error();
  const auto* file = std::get_if<RegularFile>(&state.seen.state);
  if (file != nullptr && edited->text == state.seen.content) return ok();
  if (file == nullptr && p.absent) return ok();
  WriteOptions options{.mode = p.mode, .owner = p.owner};
  if (file != nullptr) {
    options.mode = file->mode;
    if (file->owner) options.owner = *file->owner;
  }
  return replace_file(p.place, state.seen.state, edited->text, options, system);
}

std::string diff(const Line& p, const Line::State& state) {
  const auto edited = edit(p, state.seen.content);
  if (!edited || (p.absent && std::holds_alternative<Absent>(state.seen.state))) return {};
  return unified_diff(state.seen.content, edited->text, p.place.path.str());
}

}  // namespace converge
