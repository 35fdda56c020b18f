#include "primitives/loaded_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "core/text.h"
#include "primitives/reading.h"
#include "primitives/reload.h"

namespace converge {
namespace {

const std::string& directive_of(const LoadedUnit::Property& property) {
  return property.directive.empty() ? property.name : property.directive;
}

/// A time span as systemctl prints it, "1.500000s", "50ms", "1min 30s", in microseconds; nullopt for anything else.
std::optional<std::uint64_t> microseconds(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint64_t> units[] = {
      {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}, {"min", 60'000'000}, {"h", 3'600'000'000}};
  std::uint64_t total = 0;
  const auto words = fields(text);
  for (const auto word : words) {
    const auto unit_at = word.find_first_not_of("0123456789.");
    if (unit_at == std::string_view::npos) return std::nullopt;
    const auto* unit = std::find_if(std::begin(units), std::end(units),
                                    [&](const auto& u) { return u.first == word.substr(unit_at); });
    const auto number = word.substr(0, unit_at);
    const auto dot = number.find('.');
    std::uint64_t whole = 0;
    if (unit == std::end(units) || !parse_number(number.substr(0, dot), whole) || whole > 1'000'000'000) {
      return std::nullopt;
    }
    total += whole * unit->second;
    auto place = unit->second;
    for (const char digit : dot == std::string_view::npos ? std::string_view() : number.substr(dot + 1)) {
      if (digit == '.') return std::nullopt;
      place /= 10;
      total += static_cast<std::uint64_t>(digit - '0') * place;
    }
  }
  return words.empty() ? std::nullopt : std::optional(total);
}

bool same_value(const LoadedUnit::Property& property, const std::string& actual) {
  if (property.value == actual) return true;
  // The bus counts microseconds, systemctl prints a time span.
  if (const auto span = microseconds(actual); span && property.name.ends_with("USec")) {
    return property.value == fmt::format("{}", *span);
  }
  std::uint64_t wanted = 0, got = 0;
  if (!parse_number(property.value, wanted) || !parse_number(actual, got)) return false;
  return (wanted > got ? wanted - got : got - wanted) <= property.slack;
}

std::vector<std::string> drop_ins(const LoadedUnit::State& state) {
  std::vector<std::string> paths;
  const auto found = state.properties.find("DropInPaths");
  if (found == state.properties.end()) return paths;
  for (const auto path : fields(found->second)) paths.emplace_back(path);
  return paths;
}

/// As people read it: memory in MiB and GiB, processor time as the percentage that was asked for.
std::string shown(const LoadedUnit::Property& property, const std::string& value) {
  std::uint64_t number = 0;
  if (property.name == "CPUQuotaPerSecUSec") {
    const auto span = microseconds(value);
    if (!span && !parse_number(value, number)) return value;
    return fmt::format("{:.6g}%", static_cast<double>(span.value_or(number)) / 10'000);
  }
  const bool bytes = property.name.starts_with("Memory") && parse_number(value, number);
  return bytes ? Bytes{number}.text() : value;
}

/// Who has the last word on `property` at the next boot, if it is not our drop-in; nullptr if it is, or if what is said
/// there is the same.
const LoadedUnit::Assignment* obstacle(const LoadedUnit::Property& property, const LoadedUnit::State& state) {
  const auto found = state.after.find(directive_of(property));
  if (found == state.after.end()) return nullptr;
  const auto& value = found->second.value;
  const bool same = (!property.written.empty() && value == property.written) || same_value(property, value);
  return same ? nullptr : &found->second;
}

/// Why a value is not ours, as far as the files on disk tell.
std::string explained(const LoadedUnit::Property& property, const LoadedUnit::State& state) {
  if (!state.hidden_by.empty()) return "our drop-in is hidden by " + state.hidden_by;
  if (const auto* other = obstacle(property, state)) return "overridden by " + other->where;
  const auto found = state.before.find(directive_of(property));
  return found == state.before.end() ? std::string() : "also set by " + found->second.where;
}

/// What the files on disk will make of it at the next boot, our drop-in being there.
Check check_boot(const LoadedUnit& p, const LoadedUnit::State& state) {
  std::vector<std::string> wanted, found;
  std::string why;
  for (const auto& property : p.properties) {
    const auto& directive = directive_of(property);
    const auto& ours = property.written.empty() ? property.value : property.written;
    wanted.push_back(fmt::format("{}={}", directive, ours));
    const auto* other = obstacle(property, state);
    found.push_back(fmt::format("{}={}", directive, other == nullptr ? ours : other->value));
    if (other != nullptr && why.empty()) why = explained(property, state);
  }
  auto check = check_that("at boot", wanted == found && state.hidden_by.empty(), join(wanted, " "),
                          state.hidden_by.empty() ? join(found, " ") : "not read");
  if (check.verdict == Verdict::fail) check.detail = state.hidden_by.empty() ? why : "hidden by " + state.hidden_by;
  return check;
}

/// The unit's own file: the one systemd read.
Check check_fragment(const LoadedUnit& p, const LoadedUnit::State& state) {
  const auto found = state.properties.find("FragmentPath");
  const std::string read = found == state.properties.end() ? "" : found->second;
  if (p.absent) return check_that("unit", read != p.drop_in.str(), "without " + p.drop_in.str(), read);
  return check_that("unit", read == p.drop_in.str(), p.drop_in.str(), read.empty() ? "not loaded" : read);
}

Check check_drop_in(const LoadedUnit& p, const LoadedUnit::State& state) {
  const std::string expected = (p.absent ? "without " : "") + p.drop_in.str();
  if (!state.properties.contains("DropInPaths")) {
    return check_unknown("drop-in", expected, "systemd does not say which files it read");
  }
  const auto paths = drop_ins(state);
  const bool has = std::find(paths.begin(), paths.end(), p.drop_in.str()) != paths.end();
  return check_that("drop-in", has != p.absent, expected, has ? p.drop_in.str() : p.absent ? expected : "not loaded");
}

Check check_reload(const LoadedUnit::State& state) {
  const auto found = state.properties.find("NeedDaemonReload");
  if (found == state.properties.end()) return check_unknown("reload needed", "no", "systemd does not say");
  return check_equal("reload needed", "no", found->second);
}

/// systemd.unit(5): where drop-ins are looked for; of files with one name only the first is read, and what is read is
/// read in the order of names.
constexpr std::string_view unit_directories[] = {
    "/etc/systemd/system.control",   "/run/systemd/system.control",  "/run/systemd/transient",
    "/run/systemd/generator.early",  "/etc/systemd/system",          "/etc/systemd/system.attached",
    "/run/systemd/system",           "/run/systemd/system.attached", "/run/systemd/generator",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",      "/run/systemd/generator.late"};

/// "user-1000.slice": itself, "user-.slice" and "slice", each with ".d".
std::vector<std::string> drop_in_directories(const std::string& unit) {
  const auto dot = unit.rfind('.');
  if (dot == std::string::npos) return {unit + ".d"};
  std::vector<std::string> names{unit + ".d"};
  const auto type = unit.substr(dot);
  std::string stem = unit.substr(0, dot);
  if (stem.ends_with('-')) stem.pop_back();
  for (auto dash = stem.rfind('-'); dash != std::string::npos && dash > 0; dash = stem.rfind('-', dash - 1)) {
    names.push_back(stem.substr(0, dash + 1) + type + ".d");
  }
  names.push_back(type.substr(1) + ".d");
  return names;
}

Status read_drop_ins(const LoadedUnit& p, const SystemView& view, LoadedUnit::State& state) {
  std::map<std::string, AbsPath> files;
  const auto collect = [&](const AbsPath& directory) -> Status {
    auto names = view.list(directory);
    if (!names) return std::move(names).error().during("listing " + directory.str());
    for (const auto& name : names->value_or(std::vector<std::string>())) {
      if (name.ends_with(".conf") && !name.starts_with('.')) files.try_emplace(name, directory.child(name));
    }
    return ok();
  };
  const auto names = drop_in_directories(p.unit);
  const auto type_wide = names.back();  // looked for last of all
  for (const auto directory : unit_directories) {
    for (std::size_t i = 0; i + 1 < names.size(); ++i) {
      if (auto status = collect(AbsPath(std::string(directory)).child(names[i])); !status) return status;
    }
  }
  for (const auto directory : unit_directories) {
    if (auto status = collect(AbsPath(std::string(directory)).child(type_wide)); !status) return status;
  }
  const auto ours = files.find(p.drop_in.name());
  if (ours != files.end() && ours->second.str() != p.drop_in.str()) {
    // Ours may not be written yet: what comes first in the order of directories is asked, not what is there.
    const auto rank = [&](const AbsPath& path) {
      const auto* at =
          std::find(std::begin(unit_directories), std::end(unit_directories), path.parent().parent().str());
      const auto name = std::find(names.begin(), names.end(), path.parent().name());
      return std::tuple(path.parent().name() == type_wide, at - std::begin(unit_directories), name - names.begin());
    };
    if (rank(ours->second) < rank(p.drop_in)) state.hidden_by = ours->second.str();
  }
  for (const auto& [name, path] : files) {
    if (name == p.drop_in.name()) continue;
    auto text = read_text(view, path);
    if (!text && text.error().code == Errc::invalid)
      continue;  // no file: a link to /dev/null hides others and says nothing
    if (!text) return std::move(text).error();
    const std::string content = text->value_or("");
    int number = 0;
    for (const auto raw : split_lines(content)) {
      ++number;
      const auto line = trim(raw);
      const auto equals = line.find('=');
      if (line.empty() || line.front() == '#' || line.front() == ';' || equals == std::string_view::npos) continue;
      auto& where = name < p.drop_in.name() ? state.before : state.after;
      where.insert_or_assign(
          std::string(trim(line.substr(0, equals))),
          LoadedUnit::Assignment{std::string(trim(line.substr(equals + 1))), fmt::format("{}:{}", path.str(), number)});
    }
  }
  return ok();
}

/// What the slice's cgroup uses, of the things whose limit kills: of cgroup v2, or else of v1's controllers.
Status read_use(const LoadedUnit& p, const SystemView& view, LoadedUnit::State& state) {
  const AbsPath root("/sys/fs/cgroup");
  auto unified = view.look(root.child("cgroup.controllers"));
  if (!unified) return std::move(unified).error();
  const bool v2 = !std::holds_alternative<Absent>(*unified);
  const auto group = cgroup_of_slice(p.unit);
  for (const auto& property : p.properties) {
    const bool memory = property.name == "MemoryMax";
    if (!memory && property.name != "TasksMax") continue;
    const auto file = memory ? (v2 ? "memory.current" : "memory.usage_in_bytes") : "pids.current";
    const auto base = v2 ? root : root.child(memory ? "memory" : "pids");
    auto text = read_text(view, base.child(group).child(file), 64_KiB);
    if (!text) return std::move(text).error();
    std::uint64_t number = 0;
    if (*text && parse_number(trim(**text), number)) state.in_use[property.name] = number;
  }
  return ok();
}

Checks compare_room(const LoadedUnit& p, const LoadedUnit::State& state) {
  Checks checks;
  for (const auto& property : p.properties) {
    std::uint64_t most = 0;
    const auto used = state.in_use.find(property.name);
    const auto loaded = state.properties.find(property.name);
    const bool in_force = loaded != state.properties.end() && same_value(property, loaded->second);
    if (used == state.in_use.end() || !parse_number(property.value, most)) continue;
    const bool bytes = property.name == "MemoryMax";
    const auto amount = [&](std::uint64_t n) {
      return bytes ? fmt::format("{} MiB", n >> 20U) : fmt::format("{} threads", n);
    };
    checks.push_back(check_that("room for " + property.name, in_force || used->second <= most,
                                "at most " + amount(most) + " in use", amount(used->second) + " in use"));
  }
  if (checks.empty()) checks.push_back(check_equal("room", "yes", "yes"));
  return checks;
}

}  // namespace

ResourceId id(const LoadedUnit& p) { return (p.ask == LoadedUnit::Ask::room ? "room:" : "loaded:") + p.unit; }

Result<LoadedUnit::State> inspect(const LoadedUnit& p, const SystemView& view) {
  LoadedUnit::State state;
  auto properties = view.unit(p.unit);
  if (!properties) return std::move(properties).error().during("asking systemd for " + p.unit);
  state.properties = std::move(*properties);
  if (p.ask == LoadedUnit::Ask::room) {
    if (auto status = read_use(p, view, state); !status) return std::move(status).error();
    return state;
  }
  if (p.absent || p.whole) return state;
  if (auto status = read_drop_ins(p, view, state); !status) return std::move(status).error();
  return state;
}

Checks compare(const LoadedUnit& p, const LoadedUnit::State& state) {
  const auto& [unit, drop_in, properties, whole, absent, ask] = p;
  if (ask == LoadedUnit::Ask::room) return compare_room(p, state);
  (void)unit, (void)drop_in;  // which one, and what check_drop_in looks for
  if (whole) return {check_fragment(p, state), check_reload(state)};
  Checks checks{check_drop_in(p, state)};
  if (!absent) {
    for (const auto& property : properties) {
      const auto found = state.properties.find(property.name);
      if (found == state.properties.end()) {
        checks.push_back(
            check_unknown(property.name, shown(property, property.value), "systemd knows no such property"));
        continue;
      }
      auto check = check_that(property.name, same_value(property, found->second), shown(property, property.value),
                              shown(property, found->second));
      if (check.verdict == Verdict::fail) check.detail = explained(property, state);
      checks.push_back(std::move(check));
    }
    checks.push_back(check_boot(p, state));
  }
  checks.push_back(check_reload(state));
  return checks;
}

Status preflight(const LoadedUnit& p, const LoadedUnit::State& state, const SystemView& /*view*/) {
  if (p.ask == LoadedUnit::Ask::loaded) {
    if (p.absent) return ok();
    const std::string hint = "change that file, or give ours a name that sorts after it in 'drop_in'";
    if (!state.hidden_by.empty()) {
      return Error{Errc::refused,
                   fmt::format("'{}' is not read: it is hidden by '{}'", p.drop_in.str(), state.hidden_by),
                   {},
                   "remove that file, or give ours another name in 'drop_in'"};
    }
    for (const auto& property : p.properties) {
      const auto* other = obstacle(property, state);
      if (other == nullptr) continue;
      return Error{Errc::refused,
                   fmt::format("{} of {} would be '{}': overridden by {}", directive_of(property), p.unit, other->value,
                               other->where),
                   {},
                   hint};
    }
    return ok();
  }
  for (const auto& check : compare_room(p, state)) {
    if (check.verdict != Verdict::fail) continue;
    return Error{Errc::refused,
                 fmt::format("{} has {}, and would be limited to {}", p.unit, check.actual,
                             check.expected.substr(0, check.expected.rfind(" in use"))),
                 {},
                 "the kernel would make room by killing: stop some of it first, or set 'force: true'"};
  }
  return ok();
}

Status begin(const LoadedUnit& p, const LoadedUnit::State& state, System& system) {
  return p.ask == LoadedUnit::Ask::room ? preflight(p, state, system) : begin_reload(system);
}

Status settle(const LoadedUnit& p, const LoadedUnit::State& /*state*/, LoadedUnit::Waiting& /*waiting*/,
              System& system) {
  return p.ask == LoadedUnit::Ask::room ? ok() : end_reload(system);
}

Status apply(const LoadedUnit& p, const LoadedUnit::State& state, System& system) {
  return begin_and_settle(p, state, system);
}

Wants wants(const LoadedUnit& p) { return {{}, {p.unit}}; }

std::optional<AbsPath> follows(const LoadedUnit& p, const LoadedUnit::State& /*state*/) {
  if (p.ask == LoadedUnit::Ask::room) return std::nullopt;
  return p.drop_in;
}

}  // namespace converge
