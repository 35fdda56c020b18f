#include "primitives/probe_cgroup.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

struct Files {
  std::string_view property, controller, limit, v1_limit;
};
constexpr Files known[] = {
    {"MemoryMax", "memory", "memory.max", "memory.limit_in_bytes"},
    {"MemoryHigh", "memory", "memory.high", ""},
    {"MemorySwapMax", "memory", "memory.swap.max", ""},
    {"TasksMax", "pids", "pids.max", "pids.max"},
    {"CPUQuotaPerSecUSec", "cpu", "cpu.max", "cpu.cfs_quota_us"},
};

const Files* files_of(const std::string& property) {
  const auto* found =
      std::find_if(std::begin(known), std::end(known), [&](const Files& f) { return f.property == property; });
  return found == std::end(known) ? nullptr : found;
}

/// "max", and what cgroup v1 says for it, as systemd's "infinity".
std::string normal(const std::string& value) {
  std::uint64_t number = 0;
  if (value == "max" || (parse_number(value, number) && number >= (std::uint64_t{1} << 62U))) return "infinity";
  return value;
}

/// The kernel's word for one group's limit, trimmed; nullopt if there is no such file. A share of the processors, which
/// the kernel keeps as "QUOTA PERIOD", as microseconds per second, which is how systemd counts it.
Result<std::optional<std::string>> limit_of(const SystemView& view, const AbsPath& group, const Files& files,
                                            bool unified) {
  const auto name = unified ? files.limit : files.v1_limit;
  if (name.empty()) return std::optional<std::string>();
  auto text = read_text(view, group.child(name), 64_KiB);
  if (!text) return std::move(text).error();
  if (!*text) return std::optional<std::string>();
  std::string value(trim(**text));
  if (files.controller != "cpu") return std::optional(std::move(value));
  if (!unified) {
    auto period = read_text(view, group.child("cpu.cfs_period_us"), 64_KiB);
    if (!period) return std::move(period).error();
    value = (value == "-1" ? "max" : value) + " " + std::string(trim(period->value_or("")));
  }
  const auto words = fields(value);
  std::uint64_t quota = 0, period = 0;
  if (words.size() == 2 && words[0] == "max") return std::optional(std::string("infinity"));
  constexpr std::uint64_t most = std::uint64_t{1} << 43U;
  if (words.size() != 2 || !parse_number(words[0], quota) || !parse_number(words[1], period) || period == 0 ||
      quota > most) {
    return Error{
        Errc::unparsable, fmt::format("'{}' in '{}' is not understood", value, group.child(name).str()), {}, {}};
  }
  return std::optional(fmt::format("{}", quota * 1'000'000 / period));
}

/// The value as the kernel keeps it: bytes are rounded down to a page.
std::string as_kept(const CgroupLimit& p, std::uint64_t page) {
  std::uint64_t number = 0;
  if (!p.property.starts_with("Memory") || page == 0 || !parse_number(p.value, number)) return p.value;
  return fmt::format("{}", number / page * page);
}

bool near(const std::string& a, const std::string& b, std::uint64_t slack) {
  std::uint64_t x = 0, y = 0;
  if (a == b) return true;
  return parse_number(a, x) && parse_number(b, y) && (x > y ? x - y : y - x) <= slack;
}

}  // namespace

ResourceId id(const CgroupLimit& p) { return fmt::format("cgroup:{}:{}", p.unit, p.property); }

Result<CgroupLimit::State> inspect(const CgroupLimit& p, const SystemView& view) {
  CgroupLimit::State state;
  state.page_size = view.page_size();
  const auto* files = files_of(p.property);
  if (files == nullptr) {
    return Error{Errc::unsupported, fmt::format("no file of the kernel is known for '{}'", p.property), {}, {}};
  }
  const AbsPath root("/sys/fs/cgroup");
  auto controllers = read_text(view, root.child("cgroup.controllers"), 64_KiB);
  if (!controllers) return std::move(controllers).error();
  state.unified = controllers->has_value();
  const auto base = state.unified ? root : root.child(files->controller);
  auto mounted = view.look(base);
  if (!mounted) return std::move(mounted).error();
  if (state.unified) {
    const auto names = fields(trim(**controllers));
    state.controller = std::find(names.begin(), names.end(), files->controller) != names.end();
  } else {
    // "cpu" is a link to "cpu,cpuacct" there.
    state.controller = std::holds_alternative<DirectoryInfo>(*mounted) || std::holds_alternative<Symlink>(*mounted);
  }
  const auto group = base.child(cgroup_of_slice(p.unit));
  auto slice = view.look(group);
  if (!slice) return std::move(slice).error();
  state.slice_runs = std::holds_alternative<DirectoryInfo>(*slice);
  if (!state.slice_runs) return state;
  auto container = read_text(view, AbsPath("/run/systemd/container"), 64_KiB);
  if (!container) return std::move(container).error();
  state.container = std::string(trim(container->value_or("")));
  auto value = limit_of(view, group, *files, state.unified);
  if (!value) return std::move(value).error();
  state.value = std::move(*value);
  if (p.property == "MemoryMax") {
    auto events = read_text(view, group.child(state.unified ? "memory.events" : "memory.oom_control"), 64_KiB);
    if (!events) return std::move(events).error();
    state.killed = number_after(events->value_or(""), "oom_kill");
  }
  for (AbsPath above = group.parent(); above.str().size() > base.str().size(); above = above.parent()) {
    auto limit = limit_of(view, above, *files, state.unified);
    if (!limit) return std::move(limit).error();
    std::uint64_t number = 0;
    if (!*limit || normal(**limit) == "infinity" || !parse_number(**limit, number)) continue;
    if (!state.above || number < state.above->second) state.above = std::pair(above.name(), number);
  }
  return state;
}

Checks compare(const CgroupLimit& p, const CgroupLimit::State& state) {
  const auto& [unit, property, value, slack] = p;
  const bool bytes = property.starts_with("Memory");
  const bool quota = property == "CPUQuotaPerSecUSec";
  const auto shown = [&](const std::string& text) {
    std::uint64_t number = 0;
    if (quota && parse_number(text, number)) {
      return fmt::format("{:.6g}%", static_cast<double>(number) / 10'000);
    }
    return bytes && parse_number(text, number) ? Bytes{number}.text() : text;
  };
  const auto kept = as_kept(p, state.page_size);
  if (!state.slice_runs) {
    return {
        check_skipped("enforced", shown(kept), unit + " is inactive: the kernel enforces it from the next login on")};
  }
  if (!state.unified && !state.value) {
    return {check_unknown("enforced", shown(kept), property + " has no effect on cgroup v1")};
  }
  if (!state.controller && !state.container.empty()) {
    return {check_skipped("enforced", shown(kept),
                          fmt::format("this container ({}) has no such cgroup controller", state.container))};
  }
  if (!state.controller) {
    return {Check{"enforced", shown(kept), "not enforced", Verdict::fail,
                  "this kernel runs without that cgroup controller"}};
  }
  if (!state.value) {
    return {Check{"enforced", shown(kept), "not enforced", Verdict::fail, "the slice's cgroup has no such file"}};
  }
  const auto actual = normal(*state.value);
  std::uint64_t wanted = 0;
  if (state.above && near(kept, actual, slack) && parse_number(kept, wanted) && state.above->second + slack < wanted) {
    return {Check{"enforced", shown(kept), shown(fmt::format("{}", state.above->second)), Verdict::fail,
                  fmt::format("{} is above it and has a lower limit", state.above->first)}};
  }
  Checks checks{check_that("enforced", near(kept, actual, slack), shown(kept), shown(actual))};
  if (state.killed.value_or(0) != 0) {
    checks.push_back(check_skipped(
        "killed", "none", fmt::format("{} of its processes were killed for lack of memory so far", *state.killed)));
    checks.back().actual = fmt::format("{}", *state.killed);
  }
  return checks;
}

}  // namespace converge
