#include "primitives/fstab_entry.h"

#include <fmt/format.h>

#include "core/text.h"
#include "primitives/reading.h"
#include "primitives/reload.h"
#include "primitives/swap.h"

namespace converge {
namespace {

const AbsPath& fstab_path() {
  static const AbsPath path("/etc/fstab");
  return path;
}

std::string encode_octal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\') {
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

/// True if both name one file: "//swapfile" and "/./swapfile" are "/swapfile".
bool same_path(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto left = AbsPath::parse(a), right = AbsPath::parse(b);
  return left.has_value() && right.has_value() && *left == *right;
}

std::vector<FstabLine> entries_of(const FstabEntry& p, std::string_view text) {
  std::vector<FstabLine> found;
  for (auto& entry : parse_fstab(text)) {
    if (entry.type == p.type && same_path(entry.spec, p.spec)) found.push_back(std::move(entry));
  }
  return found;
}

bool has_noauto(std::string_view options) {
  bool noauto = false;  // the last of auto and noauto counts
  for (const auto option : split(options, ',')) {
    if (option == "noauto") noauto = true;
    if (option == "auto") noauto = false;
  }
  return noauto;
}

std::optional<std::string> priority_in(std::string_view options) {
  std::optional<std::string> value;
  for (const auto option : split(options, ',')) {
    if (option.starts_with("pri=")) value = std::string(option.substr(4));
  }
  return value;
}

bool options_are_right(const FstabEntry& p, std::string_view options) {
  return !has_noauto(options) && (!p.priority || priority_in(options) == fmt::format("{}", *p.priority));
}

/// `options` with only noauto and pri= as declared.
std::string mended_options(const FstabEntry& p, std::string_view options) {
  std::vector<std::string> kept;
  for (const auto option : split(options, ',')) {
    if (option.empty() || option == "noauto" || (p.priority && option.starts_with("pri="))) continue;
    kept.emplace_back(option);
  }
  if (kept.empty()) kept.emplace_back("sw");
  if (p.priority) kept.push_back(fmt::format("pri={}", *p.priority));
  return join(kept, ",");
}

std::string new_line(const FstabEntry& p) {
  return fmt::format("{} {} {} {} 0 0", encode_octal(p.spec), encode_octal(p.mount_point), p.type,
                     mended_options(p, p.options));
}

std::optional<AbsPath> swap_path(const FstabEntry& p) {
  auto path = AbsPath::parse(p.spec);
  if (!path || p.type != "swap") return std::nullopt;
  return std::move(*path);
}

bool unit_is_right(const FstabEntry& p, const FstabEntry::State& state) {
  if (!state.systemd || !swap_path(p)) return true;
  if (p.absent) return !state.generated_what;
  return state.generated_what && same_path(*state.generated_what, p.spec);
}

}  // namespace

std::vector<FstabLine> parse_fstab(std::string_view text) {
  std::vector<FstabLine> entries;
  const auto lines = split_lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = without_ending(lines[i]);
    const auto words = fields(line);
    if (words.size() < 3 || words[0].starts_with('#')) continue;
    FstabLine entry;
    entry.line = i;
    entry.spec = decode_octal(words[0]);
    entry.mount_point = decode_octal(words[1]);
    entry.type = decode_octal(words[2]);
    if (words.size() > 3) {
      entry.options = std::string(words[3]);
      entry.options_at = static_cast<std::size_t>(words[3].data() - line.data());
      entry.options_length = words[3].size();
    }
    for (std::size_t field = 4; field < words.size() && field < 6; ++field) {
      std::int64_t number = 0;
      auto digits = words[field];
      if (digits.starts_with('+')) digits.remove_prefix(1);
      entry.well_formed = entry.well_formed && parse_number(digits, number);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::string> edit_fstab(const FstabEntry& p, std::string_view text) {
  if (p.priority && (*p.priority < 0 || *p.priority > 32767)) {
    return Error{Errc::invalid, fmt::format("priority {} is not between 0 and 32767", *p.priority), {}, {}};
  }
  const auto lines = split_lines(text);
  const auto ours = entries_of(p, text);
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (next >= ours.size() || ours[next].line != i) {
      out += lines[i];
      continue;
    }
    const auto& entry = ours[next];
    const bool first = next++ == 0;
    if (p.absent || !first) continue;
    const auto ending = lines[i].substr(without_ending(lines[i]).size());
    if (!entry.well_formed) {
      out.append(new_line(p)).append(ending);
    } else if (options_are_right(p, entry.options)) {
      out += lines[i];
    } else if (entry.options_length == 0) {
      out.append(without_ending(lines[i])).append(" ").append(mended_options(p, "")).append(ending);
    } else {
      out.append(lines[i].substr(0, entry.options_at)).append(mended_options(p, entry.options));
      out.append(lines[i].substr(entry.options_at + entry.options_length));
    }
  }
  if (p.absent || !ours.empty()) return out;
  // Without a final newline two entries would fuse into one that nobody wrote.
  if (!out.empty() && !out.ends_with('\n')) out += '\n';
  return out + new_line(p) + "\n";
}

std::optional<std::string> what_of_unit(std::string_view text) {
  std::optional<std::string> what;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (!line.starts_with("What=")) continue;
    std::string value;
    const auto written = line.substr(5);
    for (std::size_t i = 0; i < written.size(); ++i) {
      if (written[i] == '%' && i + 1 < written.size() && written[i + 1] == '%') ++i;
      value += written[i];
    }
    what = std::move(value);
  }
  return what;
}

ResourceId id(const FstabEntry& p) { return "fstab:" + p.spec; }

Result<FstabEntry::State> inspect(const FstabEntry& p, const SystemView& view) {
  FstabEntry::State state;
  auto seen = view.read(fstab_path(), 1_MiB);
  if (!seen) return std::move(seen).error().during("reading " + fstab_path().str());
  state.seen = std::move(*seen);
  auto systemd = swap_units_are_made(view);
  if (!systemd) return std::move(systemd).error();
  state.systemd = *systemd;
  const auto path = swap_path(p);
  if (!state.systemd || !path) return state;
  auto unit = read_text(view, AbsPath("/run/systemd/generator").child(unit_of_path(*path, ".swap")));
  if (!unit) return std::move(unit).error();
  if (*unit) {
    state.generated_what = what_of_unit(**unit).value_or("");
    return state;
  }
  auto cmdline = read_text(view, AbsPath("/proc/cmdline"), 64_KiB);
  if (!cmdline) return std::move(cmdline).error();
  const std::string words = cmdline->value_or("");
  for (const auto word : fields(trim(words))) {
    for (const std::string_view off : {"fstab=no", "fstab=0", "systemd.swap=no", "systemd.swap=0"}) {
      if (word == off) state.switched_off = std::string(word);
    }
  }
  return state;
}

Checks compare(const FstabEntry& p, const FstabEntry::State& state) {
  const auto& [spec, mount_point, type, options, priority, absent] = p;
  (void)mount_point, (void)options;  // of a new line only: an entry that works is kept as it is written
  Checks checks;
  const auto& file = state.seen.state;
  const bool readable = std::holds_alternative<RegularFile>(file) || std::holds_alternative<Absent>(file);
  checks.push_back(check_that("kind", readable, "file", kind_of(file)));
  const auto ours = entries_of(p, state.seen.content);
  const auto places = [&] {
    std::vector<std::string> out;
    for (const auto& entry : ours) out.push_back(fmt::format("/etc/fstab:{}", entry.line + 1));
    return join(out, ", ");
  };
  auto entries = check_equal("entries", absent ? "0" : "1", fmt::format("{}", ours.size()));
  if (entries.verdict == Verdict::fail) entries.detail = places();
  checks.push_back(std::move(entries));
  if (!absent && !ours.empty()) {
    const auto& first = ours.front();
    auto form = check_equal("format", "valid", first.well_formed ? "valid" : "ignored at boot");
    if (!first.well_formed) {
      form.detail = fmt::format("/etc/fstab:{}: field five or six is no number", first.line + 1);
    }
    checks.push_back(std::move(form));
    checks.push_back(check_equal("at boot", "auto", has_noauto(first.options) ? "noauto" : "auto"));
    if (priority) {
      checks.push_back(
          check_equal("priority", fmt::format("{}", *priority), priority_in(first.options).value_or("not set")));
    }
  }
  if (!swap_path(p)) return checks;
  if (!state.systemd) return checks;  // nobody makes units of it here
  const std::string wanted = absent ? "none" : "What=" + spec;
  auto unit = check_that("generated unit", unit_is_right(p, state), wanted,
                         state.generated_what ? "What=" + *state.generated_what : "none");
  if (!state.switched_off.empty() && unit.verdict == Verdict::fail) {
    unit.detail =
        fmt::format("the kernel command line has {}: systemd makes no {} unit of /etc/fstab", state.switched_off, type);
  }
  checks.push_back(std::move(unit));
  return checks;
}

Status preflight(const FstabEntry& p, const FstabEntry::State& state, const SystemView& /*view*/) {
  const auto& file = state.seen.state;
  if (std::holds_alternative<Symlink>(file)) {
    return Error{Errc::symlink,
                 fmt::format("'/etc/fstab' is a symbolic link to '{}'", std::get<Symlink>(file).target),
                 {},
                 "declare the swap file where that file is made"};
  }
  if (!std::holds_alternative<RegularFile>(file) && !std::holds_alternative<Absent>(file)) {
    return Error{Errc::exists, fmt::format("'/etc/fstab' is a {}, not a file", kind_of(file)), {}, {}};
  }
  if (!state.switched_off.empty() && !p.absent) {
    return Error{Errc::refused,
                 fmt::format("the kernel command line has '{}': no entry of /etc/fstab turns swap on at boot",
                             state.switched_off),
                 {},
                 "take it from the kernel command line"};
  }
  if (auto text = edit_fstab(p, state.seen.content); !text) return std::move(text).error();
  return ok();
}

Status begin(const FstabEntry& p, const FstabEntry::State& state, System& system) {
  auto text = edit_fstab(p, state.seen.content);
  if (!text) return std::move(text).error();
  const bool rewrite = *text != state.seen.content;
  if (rewrite) {
    WriteOptions options;
    if (const auto* file = std::get_if<RegularFile>(&state.seen.state)) {
      options.mode = file->mode;
      options.owner = file->owner.value_or(root_owner);
    }
    options.replaces = state.seen.state;
    options.backup = true;
    if (auto status = system.write_file(fstab_path(), *text, options); !status) return status;
  }
  return unit_is_right(p, state) ? ok() : begin_reload(system);
}

Status settle(const FstabEntry& p, const FstabEntry::State& state, FstabEntry::Waiting& /*waiting*/, System& system) {
  return unit_is_right(p, state) ? ok() : end_reload(system);
}

Status apply(const FstabEntry& p, const FstabEntry::State& state, System& system) {
  return begin_and_settle(p, state, system);
}

std::string diff(const FstabEntry& p, const FstabEntry::State& state) {
  const auto text = edit_fstab(p, state.seen.content);
  return text ? unified_diff(state.seen.content, *text, fstab_path().str()) : std::string();
}

}  // namespace converge
