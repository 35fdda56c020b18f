#include "primitives/login_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

// pam_limits.c: LIMITS_DEF_USER, LIMITS_DEF_GROUP, LIMITS_DEF_DEFAULT, LIMITS_DEF_NONE.
constexpr int rank_user = 0, rank_group = 1, rank_everybody = 4;
// Enough for a login, a shell, sudo and what an operator does next.
constexpr std::uint64_t room_to_log_in = 64;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Words as sscanf's %s sees them: isspace(3) of the C locale separates.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < line.size();) {
    while (i < line.size() && is_space(line[i])) ++i;
    const auto begin = i;
    while (i < line.size() && !is_space(line[i])) ++i;
    if (i > begin) words.push_back(line.substr(begin, i - begin));
  }
  return words;
}

/// The line as pam_limits cuts it: without ending, without what follows the first '#'.
std::string_view code_of(std::string_view line) { return without_ending(line).substr(0, line.find('#')); }

struct Limit {
  std::optional<std::uint64_t> number;  // nullopt: unlimited
};

/// strtoul(3) after the words for "none": "12abc" is 12, "abc" is nothing at all.
std::optional<Limit> value_of(std::string_view text) {
  if (text == "-1" || text == "-" || text == "unlimited" || text == "infinity") return Limit{};
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::uint64_t number = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    if (number > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return Limit{};  // ULONG_MAX is "unlimited"
    number = number * 10 + digit;
  }
  if (digits == 0) return std::nullopt;
  if (negative) number = 0 - number;
  if (number == std::numeric_limits<std::uint64_t>::max()) return Limit{};
  return Limit{number};
}

/// "500:", ":1000" (exactly 1000) and "500:1000"; nullopt for a domain that is no range, and for a bad one.
struct Range {
  std::optional<std::uint64_t> min, max;
  bool exact = false;
};
std::optional<Range> range_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text == ":") return std::nullopt;
  Range range;
  std::uint64_t number = 0;
  if (colon > 0) {
    if (!parse_number(text.substr(0, colon), number)) return std::nullopt;
    range.min = number;
  }
  if (colon + 1 < text.size()) {
    if (!parse_number(text.substr(colon + 1), number)) return std::nullopt;
    range.max = number;
  }
  range.exact = !range.min;
  return range;
}

bool contains(const Range& range, std::uint64_t number) {
  if (range.exact) return number == *range.max;
  return number >= *range.min && (!range.max || number <= *range.max);
}

bool in_group(const LimitsSubject& who, std::string_view name) {
  return std::any_of(who.groups.begin(), who.groups.end(), [&](const auto& group) { return group.name == name; });
}

/// The rank of a domain for this user; nullopt if it is not about them.
std::optional<int> rank_of(std::string_view domain, const LimitsSubject& who) {
  if (domain == who.name) return rank_user;
  if (domain.starts_with('@')) {
    const auto range = range_of(domain.substr(1));
    if (!range) return in_group(who, domain.substr(1)) ? std::optional(rank_group) : std::nullopt;
    // An exact gid looks at every group, a range at the primary one only: limits.conf(5).
    const auto matches = [&](const auto& group) { return contains(*range, group.gid); };
    const bool match = range->exact ? std::any_of(who.groups.begin(), who.groups.end(), matches)
                                    : !who.groups.empty() && matches(who.groups.front());
    return match ? std::optional(rank_group) : std::nullopt;
  }
  if (domain.starts_with('%')) return std::nullopt;  // counts logins, limits no resource
  if (domain == "*") return rank_everybody;
  const auto range = range_of(domain);
  return range && contains(*range, who.uid) ? std::optional(rank_user) : std::nullopt;
}

LimitsSubject subject_of(const LoginLimits& p, const LoginLimits::State& state) {
  return {p.user.name, p.user.uid, state.groups};
}

/// A line of exactly our user and item, with the place of its value.
struct OwnLine {
  std::size_t line = 0;
  bool soft = false, hard = false;
  std::optional<Limit> value;
  std::size_t value_at = 0, value_length = 0;
};

std::vector<OwnLine> own_lines(const LoginLimits& p, const std::vector<std::string_view>& lines) {
  std::vector<OwnLine> found;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto words = words_of(code_of(lines[i]));
    if (words.size() < 4 || words[0] != p.user.name || lower(words[2]) != p.item) continue;
    const auto type = lower(words[1]);
    OwnLine own;
    own.line = i;
    own.soft = type == "soft" || type == "-";
    own.hard = type == "hard" || type == "-";
    if (!own.soft && !own.hard) continue;
    own.value = value_of(lower(words[3]));
    own.value_at = static_cast<std::size_t>(words[3].data() - lines[i].data());
    own.value_length = words[3].size();
    found.push_back(own);
  }
  return found;
}

struct Configured {
  std::optional<Limit> soft, hard;
};

Configured configured(const std::vector<OwnLine>& lines) {
  Configured result;
  for (const auto& line : lines) {
    if (!line.value) continue;  // logged and ignored
    if (line.soft) result.soft = line.value;
    if (line.hard) result.hard = line.value;
  }
  return result;
}

bool is_number(const std::optional<Limit>& limit, std::uint64_t number) { return limit && limit->number == number; }

std::string shown(const std::optional<Limit>& limit) {
  if (!limit) return "not set";
  return limit->number ? fmt::format("{}", *limit->number) : "unlimited";
}

/// The files with `p.file` holding `text`, where pam_limits would read it.
std::vector<std::pair<std::string, std::string>> files_with(const LoginLimits& p, const LoginLimits::State& state,
                                                            const std::string& text) {
  auto files = state.files;
  for (auto& [path, content] : files) {
    if (path == p.file.str()) {
      content = text;
      return files;
    }
  }
  auto at = files.begin();
  if (p.file.parent().name() == "limits.d") {
    const auto base = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
    at = std::find_if(files.begin(), files.end(), [&](const auto& file) {
      return file.first.find("/limits.d/") != std::string::npos && base(file.first) > p.file.name();
    });
  }
  files.insert(at, {p.file.str(), text});
  return files;
}

/// Who stands in the way of `wanted`: nullopt if the effective limit is that. "overridden by FILE:LINE".
std::optional<std::string> obstacle(const std::optional<EffectiveLimit::Value>& value, const std::string& cancelled,
                                    std::uint64_t wanted) {
  if (!cancelled.empty()) return "cancelled by " + cancelled;
  if (value && value->number == wanted) return std::nullopt;
  return value ? "overridden by " + value->where : std::string();
}

/// A line of our file after the edit, "FILE:LINE", by the number it has there now: ours may have gone from above it.
std::string as_it_is_now(const LoginLimits& p, std::string_view now, std::string_view edited,
                         const std::string& where) {
  const std::string ours = p.file.str() + ":";
  std::uint64_t number = 0;
  if (!where.starts_with(ours) || !parse_number(where.substr(ours.size()), number)) return where;
  const auto after = split_lines(edited), before = split_lines(now);
  if (number == 0 || number > after.size()) return where;
  const auto same = std::find_if(before.rbegin(), before.rend(), [&](std::string_view line) {
    return without_ending(line) == without_ending(after[number - 1]);
  });
  return same == before.rend() ? where : fmt::format("{}{}", ours, before.rend() - same);
}

/// Refuses where the limits would not be ours even if our file held `edited`.
Status guard_override(const LoginLimits& p, const LoginLimits::State& state, const std::string& edited) {
  auto after = effective_limit(files_with(p, state, edited), subject_of(p, state), p.item);
  const auto now = [&](std::string& where) { where = as_it_is_now(p, state.seen.content, edited, where); };
  if (!after.cancelled.empty()) now(after.cancelled);
  for (auto [value, wanted] : {std::pair(after.soft, p.soft), std::pair(after.hard, p.hard)}) {
    if (value) now(value->where);
    if (const auto why = obstacle(value, after.cancelled, wanted))
      return Error{Errc::refused,
                   fmt::format("the {} limit of '{}' would be {}", p.item, p.user.name, *why),
                   {},
                   after.cancelled.empty()
                       ? "change that line, or name a later file of /etc/security/limits.d in 'file'"
                       : "remove that line: wherever it stands, it cancels all limits of the user"};
  }
  return ok();
}

Result<std::uint64_t> threads_of(std::uint32_t uid, const SystemView& view) {
  auto names = view.list(AbsPath("/proc"));
  if (!names) return std::move(names).error();
  std::uint64_t threads = 0;
  for (const auto& name : names->value_or(std::vector<std::string>())) {
    std::uint64_t pid = 0;
    if (!parse_number(name, pid)) continue;
    auto seen = view.read(AbsPath("/proc").child(name).child("status"), 64_KiB);
    if (!seen) {
      if (seen.error().code == Errc::not_found || seen.error().code == Errc::io)
        continue;  // it ended meanwhile (ESRCH)
      return std::move(seen).error();
    }
    if (number_after(seen->content, "Uid") == uid) threads += number_after(seen->content, "Threads").value_or(0);
  }
  return threads;
}

/// group(5): the groups that list `name`, after the one of `gid`.
std::vector<LoginLimits::Group> parse_groups(std::string_view text, const Person& user) {
  std::vector<LoginLimits::Group> groups{{std::string(), user.gid}};
  for (const auto line : split_lines(text)) {
    const auto parts = split(without_ending(line), ':');
    std::uint64_t gid = 0;
    if (parts.size() < 4 || !parse_number(parts[2], gid) || gid > std::numeric_limits<std::uint32_t>::max()) continue;
    if (gid == user.gid) groups.front().name = std::string(parts[0]);
    const auto members = split(parts[3], ',');
    if (gid != user.gid && std::find(members.begin(), members.end(), user.name) != members.end()) {
      groups.push_back({std::string(parts[0]), static_cast<std::uint32_t>(gid)});
    }
  }
  return groups;
}

}  // namespace

std::string EffectiveLimit::Value::text() const { return number ? fmt::format("{}", *number) : "unlimited"; }

EffectiveLimit effective_limit(const std::vector<std::pair<std::string, std::string>>& files, const LimitsSubject& who,
                               std::string_view item) {
  EffectiveLimit result;
  for (const auto& [path, text] : files) {
    int number = 0;
    for (const auto line : split_lines(text)) {
      ++number;
      const auto words = words_of(code_of(line));
      const auto where = fmt::format("{}:{}", path, number);
      if (words.size() == 2 && words[1].starts_with('-')) {
        const bool cancels = words[0] == who.name || (words[0].starts_with('@') && in_group(who, words[0].substr(1)));
        if (!cancels) continue;
        EffectiveLimit cancelled;
        cancelled.cancelled = where;
        return cancelled;
      }
      if (words.size() < 4 || lower(words[2]) != item) continue;
      const auto rank = rank_of(words[0], who);
      const auto value = value_of(lower(words[3]));
      const auto type = lower(words[1]);
      if (!rank || !value || (type != "soft" && type != "hard" && type != "-")) continue;
      const EffectiveLimit::Value found{value->number, where, *rank};
      // For "-" pam_limits stops at the soft limit if something of a better rank has set that one.
      if (type != "hard") {
        if (result.soft && result.soft->rank < *rank) continue;
        result.soft = found;
      }
      if (type != "soft" && !(result.hard && result.hard->rank < *rank)) result.hard = found;
    }
  }
  if (result.soft && result.hard && result.hard->number &&
      (!result.soft->number || *result.soft->number > *result.hard->number)) {
    result.soft = result.hard;
  }
  return result;
}

std::string edit_limits(const LoginLimits& p, std::string_view text) {
  const auto lines = split_lines(text);
  const auto own = own_lines(p, lines);
  const auto now = configured(own);
  if (is_number(now.soft, p.soft) && is_number(now.hard, p.hard)) return std::string(text);

  // The last line of each type is the one that counts: it gets our value, the others of that type go, and so does a
  // line for both types unless both are to be the same.
  const auto last_of = [&](bool soft) {
    std::optional<std::size_t> last;
    for (const auto& line : own) {
      const bool both = line.soft && line.hard;
      if (both ? p.soft == p.hard : (soft ? line.soft : line.hard)) last = line.line;
    }
    return last;
  };
  const auto soft_line = last_of(true), hard_line = last_of(false);
  const std::string_view ending = !lines.empty() && lines.front().ends_with("\r\n") ? "\r\n" : "\n";
  const auto line_for = [&](std::string_view type, std::uint64_t value) {
    return fmt::format("{} {} {} {}{}", p.user.name, type, p.item, value, ending);
  };
  const std::string new_soft = soft_line ? std::string() : line_for("soft", p.soft);
  const std::string new_hard = hard_line ? std::string() : line_for("hard", p.hard);
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (next >= own.size() || own[next].line != i) {
      out += lines[i];
      continue;
    }
    const auto& line = own[next++];
    if (i != soft_line && i != hard_line) continue;
    if (i == hard_line && i != soft_line) out += new_soft;  // beside its neighbour, soft first
    out.append(lines[i].substr(0, line.value_at)).append(fmt::format("{}", i == soft_line ? p.soft : p.hard));
    out.append(lines[i].substr(line.value_at + line.value_length));
    if (i == soft_line && !hard_line) {
      if (!out.ends_with('\n')) out += ending;
      out += new_hard;
    }
  }
  if (soft_line || hard_line) return out;
  if (!out.empty() && !out.ends_with('\n')) out += ending;
  return out + new_soft + new_hard;
}

ResourceId id(const LoginLimits& p) { return fmt::format("limits:{}:{}", p.user.name, p.item); }

Result<LoginLimits::State> inspect(const LoginLimits& p, const SystemView& view) {
  LoginLimits::State state;
  auto seen = view.read(p.file, 1_MiB);
  if (!seen) return std::move(seen).error().during("reading " + p.file.str());
  state.seen = std::move(*seen);

  const auto add = [&](const AbsPath& path) -> Result<bool> {
    auto text = read_text(view, path);
    if (!text) return std::move(text).error();
    if (*text) state.files.emplace_back(path.str(), std::move(**text));
    return text->has_value();
  };
  // A vendor directory is read where the distribution built Linux-PAM with one; the same name in /etc hides its file.
  auto main_file = add(AbsPath("/etc/security/limits.conf"));
  if (main_file && !*main_file) main_file = add(AbsPath("/usr/etc/security/limits.conf"));
  if (!main_file) return std::move(main_file).error();
  std::map<std::string, AbsPath> snippets;
  for (const std::string_view directory : {"/usr/etc/security/limits.d", "/etc/security/limits.d"}) {
    auto names = view.list(AbsPath(directory));
    if (!names) return std::move(names).error().during("listing " + std::string(directory));
    for (const auto& name : names->value_or(std::vector<std::string>())) {
      if (name.ends_with(".conf") && !name.starts_with('.'))
        snippets.insert_or_assign(name, AbsPath(directory).child(name));
    }
  }
  for (const auto& [name, path] : snippets) {
    if (auto added = add(path); !added) return std::move(added).error();
  }
  auto group = read_text(view, AbsPath("/etc/group"), 16_MiB);
  if (!group) return std::move(group).error();
  state.groups = parse_groups(group->value_or(""), p.user);
  return state;
}

Checks compare(const LoginLimits& p, const LoginLimits::State& state) {
  const auto& [user, item, soft, hard, file, force] = p;
  (void)user, (void)item, (void)force;  // whose and which: the lines are found by them; force is about acting
  Checks checks;
  const bool readable =
      std::holds_alternative<RegularFile>(state.seen.state) || std::holds_alternative<Absent>(state.seen.state);
  checks.push_back(check_that("kind", readable, "file", kind_of(state.seen.state)));
  const auto lines = split_lines(state.seen.content);
  const auto here = configured(own_lines(p, lines));
  const auto effective = effective_limit(state.files, subject_of(p, state), p.item);
  bool named = false;  // which file it is, once
  const std::string path = file.str();
  const auto add = [&](const std::string& type, std::uint64_t wanted, const std::optional<Limit>& line,
                       const std::optional<EffectiveLimit::Value>& value) {
    const auto expected = fmt::format("{}", wanted);
    auto written = check_equal(type, expected, shown(line));
    const bool differs = written.verdict == Verdict::fail;
    if (differs && !named) written.detail = "in " + path;
    named = named || differs;
    checks.push_back(std::move(written));
    auto in_effect = check_equal(type + " in effect", expected, value ? value->text() : "not set");
    // Our own lines are no obstacle: they are about to be mended.
    const bool ours = differs && value && effective.cancelled.empty() && value->where.starts_with(path + ":");
    const auto why = obstacle(value, effective.cancelled, wanted);
    if (why && !ours) in_effect.detail = *why;
    checks.push_back(std::move(in_effect));
  };
  add("soft", soft, here.soft, effective.soft);
  add("hard", hard, here.hard, effective.hard);
  return checks;
}

Status preflight(const LoginLimits& p, const LoginLimits::State& state, const SystemView& view) {
  if (p.user.uid == 0) {
    return Error{Errc::refused, "root's sessions are not limited: nobody could help then", {}, "name another user"};
  }
  if (p.soft == 0 || p.hard == 0 || p.soft > p.hard) {
    return Error{
        Errc::invalid, fmt::format("soft {} and hard {} are no limits to log in with", p.soft, p.hard), {}, {}};
  }
  if (std::holds_alternative<Symlink>(state.seen.state)) {
    return Error{Errc::symlink, fmt::format("'{}' is a symbolic link", p.file.str()), {}, "name the file it leads to"};
  }
  if (!std::holds_alternative<RegularFile>(state.seen.state) && !std::holds_alternative<Absent>(state.seen.state)) {
    return Error{
        Errc::exists, fmt::format("'{}' is a {}, not a file", p.file.str(), kind_of(state.seen.state)), {}, {}};
  }
  auto directory = view.look(p.file.parent());
  if (!directory) return std::move(directory).error();
  if (std::holds_alternative<Absent>(*directory)) {
    return Error{Errc::unsupported,
                 fmt::format("this host has no pam_limits: there is no '{}'", p.file.parent().str()),
                 {},
                 "limit the user's services instead"};
  }
  if (auto free = guard_override(p, state, edit_limits(p, state.seen.content)); !free) return free;
  if (!view.is_live() || p.force || p.item != "nproc") return ok();
  const auto threads = threads_of(p.user.uid, view);
  if (!threads) return threads.error().during("counting the threads of " + p.user.name);
  if (p.hard >= *threads + room_to_log_in) return ok();
  return Error{Errc::refused,
               fmt::format("a hard limit of {} leaves '{}', who runs {} threads now, no room to log in", p.hard,
                           p.user.name, *threads),
               {},
               fmt::format("allow at least {}, or set 'force: true'", *threads + room_to_log_in)};
}

Status apply(const LoginLimits& p, const LoginLimits::State& state, System& system) {
  const auto text = edit_limits(p, state.seen.content);
  if (auto free = guard_override(p, state, text); !free) return free;
  if (text == state.seen.content) return ok();
  WriteOptions options;
  if (const auto* file = std::get_if<RegularFile>(&state.seen.state)) {
    options.mode = file->mode;
    options.owner = file->owner.value_or(root_owner);
  }
  options.replaces = state.seen.state;
  options.backup = true;
  return system.write_file(p.file, text, options);
}

std::string diff(const LoginLimits& p, const LoginLimits::State& state) {
  return unified_diff(state.seen.content, edit_limits(p, state.seen.content), p.file.str());
}

}  // namespace converge
