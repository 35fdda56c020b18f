#include "primitives/sysctl.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "core/text.h"
#include "primitives/attributes.h"

namespace converge {
namespace {

// sysctl.d(5). Of files with the same name only the one in the earlier directory is read.
constexpr std::string_view directories[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d",
                                            "/usr/lib/sysctl.d", "/lib/sysctl.d"};

/// A key as a path below /proc/sys: "vm.swappiness" and "vm/swappiness" are the same. If the first separator is a
/// slash, dots are part of names ("net/ipv4/conf/eth0.100/forwarding"); otherwise a slash stands for such a dot.
std::string as_path(std::string_view key) {
  std::string out(key);
  const auto separator = out.find_first_of("./");
  if (separator == std::string::npos || out[separator] == '/') return out;
  for (char& c : out) c = c == '.' ? '/' : c == '/' ? '.' : c;
  return out;
}

struct Assignment {
  std::string key;  // as a path, or a glob of one
  std::string value;
  std::string where;      // "/etc/sysctl.d/99-x.conf:3"
  bool excludes = false;  // "-key" alone: globs do not apply to it
};

/// What one file assigns. Lines without '=' mean nothing to either reader, except "-key".
void parse(std::string_view text, const std::string& path, std::vector<Assignment>& out) {
  const auto lines = split_lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = trim(lines[i]);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const bool dashed = line.front() == '-';
    if (dashed) line = trim(line.substr(1));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos && !dashed) continue;
    Assignment found{as_path(trim(line.substr(0, equals))),
                     {},
                     path + ":" + std::to_string(i + 1),
                     equals == std::string_view::npos};
    if (!found.excludes) found.value = trim(line.substr(equals + 1));
    out.push_back(std::move(found));
  }
}

/// The last word on `key`: the last explicit assignment, or else the last glob that covers it. Globs never beat an
/// explicit one.
std::optional<Sysctl::State::Winner> winner_of(const std::string& key, const std::vector<Assignment>& assignments) {
  const Assignment* explicit_one = nullptr;
  const Assignment* by_glob = nullptr;
  bool excluded = false;
  for (const auto& each : assignments) {
    if (each.key == key) {
      if (each.excludes)
        excluded = true;
      else
        explicit_one = &each;
    } else if (!each.excludes && each.key.find_first_of("*?[") != std::string::npos &&
               fnmatch(each.key.c_str(), key.c_str(), FNM_PATHNAME) == 0) {
      by_glob = &each;
    }
  }
  const Assignment* winner = explicit_one != nullptr ? explicit_one : excluded ? nullptr : by_glob;
  if (winner == nullptr) return std::nullopt;
  return Sysctl::State::Winner{winner->value, winner->where};
}

/// `target` as a symlink in `directory` means it; nullopt if it climbs above the root.
std::optional<AbsPath> target_of(const AbsPath& directory, std::string_view target) {
  std::vector<std::string> parts;
  const std::string whole = target.starts_with('/') ? std::string(target) : directory.str() + "/" + std::string(target);
  for (const auto part : split(whole, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.emplace_back(part);
    else if (parts.empty())
      return std::nullopt;
    else
      parts.pop_back();
  }
  const auto path = AbsPath::parse("/" + join(parts, "/"));
  return path ? std::optional(*path) : std::nullopt;
}

/// The text of a configuration file, through symlinks as open(2) would; "" for what is no regular file: a link to
/// /dev/null masks.
Result<std::string> text_of(const SystemView& view, AbsPath path) {
  for (int followed = 0; followed < 16; ++followed) {
    auto seen = view.read(path, 1_MiB);
    if (!seen) return seen.error();
    const auto* link = std::get_if<Symlink>(&seen->state);
    if (link == nullptr) return std::move(seen->content);
    const auto target = target_of(path.parent(), link->target);
    if (!target) return std::string();
    path = *target;
  }
  return Error{Errc::symlink, "too many symbolic links at '" + path.str() + "'", {}, {}};
}

std::string collapsed(std::string_view value) {
  std::string out;
  for (const auto field : fields(trim(value))) {
    if (!out.empty()) out += ' ';
    out += field;
  }
  return out;
}

/// A number as the kernel reads it: decimal, 0x hexadecimal, 0 octal.
std::optional<std::int64_t> kernel_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  } else if (text.size() > 1 && text.front() == '0') {
    text.remove_prefix(1);
    base = 8;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return negative ? -value : value;
}

/// True if the kernel makes the same of both: numbers by their value, whatever follows them as a comment left aside;
/// other values by their text.
bool same_value(std::string_view wanted, std::string_view other) {
  const std::string a = collapsed(wanted);
  const std::string b = collapsed(other);
  if (a == b) return true;
  const auto wanted_fields = fields(a);
  const auto other_fields = fields(b);
  if (wanted_fields.empty() || other_fields.size() < wanted_fields.size()) return false;
  for (std::size_t i = 0; i < wanted_fields.size(); ++i) {
    const auto left = kernel_number(wanted_fields[i]);
    if (!left || left != kernel_number(other_fields[i])) return false;
  }
  return other_fields.size() == wanted_fields.size() || other_fields[wanted_fields.size()].starts_with('#');
}

bool is_in(const std::string& where, const AbsPath& file) {
  return where.size() > file.str().size() && where.starts_with(file.str()) && where[file.str().size()] == ':';
}

Check boot_check(const Sysctl& p, std::string property, const std::optional<Sysctl::State::Winner>& winner) {
  if (!winner) return check_that(std::move(property), false, p.value, "not set");
  Check check = check_that(std::move(property), same_value(p.value, winner->value), p.value, winner->value);
  if (check.verdict == Verdict::fail)
    check.detail = (is_in(winner->where, p.file) ? "set at " : "overridden by ") + winner->where;
  return check;
}

std::optional<Sysctl::State::Winner> obstacle_in(const Sysctl& p, std::optional<Sysctl::State::Winner> winner) {
  if (winner && same_value(p.value, winner->value)) return std::nullopt;
  return winner;
}

Error overridden(const Sysctl& p, const Sysctl::State::Winner& winner) {
  return Error{Errc::refused,
               "'" + p.key + "' would be '" + winner.value + "' after a boot or 'sysctl --system': overridden by " +
                   winner.where,
               {},
               winner.where.find("sysctl.conf:") == std::string::npos
                   ? "remove that line, or give our file a name that sorts after it"
                   : "remove that line: it is read after every other file"};
}

}  // namespace

ResourceId id(const Sysctl& p) { return "sysctl:" + p.key; }

Result<Sysctl::State> inspect(const Sysctl& p, const SystemView& view) {
  Sysctl::State state;
  state.live = view.is_live();
  const std::string key = as_path(p.key);
  if (state.live) {
    const auto path = AbsPath::parse("/proc/sys/" + key);
    if (!path) return path.error();
    const auto seen = view.read(*path, 64_KiB);
    if (!seen) return seen.error();
    if (std::holds_alternative<RegularFile>(seen->state)) state.running = collapsed(seen->content);
  }

  std::map<std::string, AbsPath> files;  // by basename: sorted, and the earlier directory wins
  for (const auto directory : directories) {
    const auto names = view.list(AbsPath(directory));
    if (!names) return names.error();
    if (!*names) continue;
    for (const auto& name : **names)
      if (name.ends_with(".conf")) files.try_emplace(name, AbsPath(directory).child(name));
  }
  files.try_emplace(p.file.name(), p.file);
  std::vector<Assignment> assignments, with_ours;
  for (const auto& [name, path] : files) {
    const auto text = text_of(view, path);
    if (!text) return text.error();
    parse(*text, path.str(), assignments);
    // Ours is in /etc, which is looked at first.
    const bool is_ours = name == p.file.name();
    parse(is_ours ? p.key + "=" + p.value : *text, is_ours ? p.file.str() : path.str(), with_ours);
  }
  state.systemd = winner_of(key, assignments);
  state.obstacle = obstacle_in(p, winner_of(key, with_ours));
  // sysctl --system of procps reads this file once more, after everything else.
  const AbsPath last("/etc/sysctl.conf");
  const auto text = text_of(view, last);
  if (!text) return text.error();
  parse(*text, last.str(), assignments);
  parse(*text, last.str(), with_ours);
  state.procps = winner_of(key, assignments);
  if (!state.obstacle) state.obstacle = obstacle_in(p, winner_of(key, with_ours));
  return state;
}

Checks compare(const Sysctl& p, const Sysctl::State& state) {
  const auto& [key, value, file] = p;
  Checks checks;
  checks.reserve(3);
  if (!state.live)
    checks.push_back(check_skipped("running", value, "no kernel runs behind this tree"));
  else if (!state.running)
    checks.push_back(check_that("running", false, value, "no such key"));
  else
    checks.push_back(check_that("running", same_value(value, *state.running), value, *state.running));
  checks.push_back(boot_check(p, "boot", state.systemd));
  checks.push_back(boot_check(p, "sysctl --system", state.procps));
  return checks;
}

Status preflight(const Sysctl& p, const Sysctl::State& state, const SystemView& /*view*/) {
  if (state.obstacle) return overridden(p, *state.obstacle);
  return ok();
}

Status apply(const Sysctl& p, const Sysctl::State& state, System& system) {
  if (state.live && !state.running)
    return Error{Errc::unsupported,
                 "this kernel has no '" + p.key + "'",
                 {},
                 "load the module that brings it, or check the spelling"};
  if (state.live && !same_value(p.value, *state.running)) {
    Status done = system.write_kernel(AbsPath("/proc/sys/" + as_path(p.key)), p.value);
    if (!done) return done;
  }
  for (const auto* winner : {&state.systemd, &state.procps}) {
    if (*winner && same_value(p.value, (*winner)->value)) continue;
    if (!*winner)
      return Error{Errc::refused,
                   "no file sets '" + p.key + "' at boot, '" + p.file.str() + "' neither",
                   {},
                   "declare '" + p.file.str() + "' with '" + p.key + " = " + p.value + "' in it"};
    return overridden(p, **winner);
  }
  return ok();
}

}  // namespace converge
