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

/// The value as the kernel keeps it: bytes are rounded down to a page.
std::string as_kept(const CgroupLimit& p, std::uint64_t page) {
  std::uint64_t number = 0;
  if (p.property == "TasksMax" || page == 0 || !parse_number(p.value, number)) return p.value;
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
    state.controller = std::holds_alternative<DirectoryInfo>(*mounted);
  }
  const auto group = base.child(cgroup_of_slice(p.unit));
  auto slice = view.look(group);
  if (!slice) return std::move(slice).error();
  state.slice_runs = std::holds_alternative<DirectoryInfo>(*slice);
  if (!state.slice_runs) return state;
  auto container = read_text(view, AbsPath("/run/systemd/container"), 64_KiB);
  if (!container) return std::move(container).error();
  state.container = std::string(trim(container->value_or("")));
  const auto limit_file = state.unified ? files->limit : files->v1_limit;
  if (!limit_file.empty()) {
    auto value = read_text(view, group.child(limit_file), 64_KiB);
    if (!value) return std::move(value).error();
    if (*value) state.value = std::string(trim(**value));
  }
  return state;
}

Checks compare(const CgroupLimit& p, const CgroupLimit::State& state) {
  const auto& [unit, property, value, slack] = p;
  const bool bytes = property != "TasksMax";
  const auto shown = [&](const std::string& text) {
    std::uint64_t number = 0;
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
  return {check_that("enforced", near(kept, actual, slack), shown(kept), shown(actual))};
}

}  // namespace converge
