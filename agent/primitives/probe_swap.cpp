#include "primitives/probe_swap.h"

#include <fmt/format.h>

#include "core/text.h"
#include "primitives/fstab_entry.h"
#include "primitives/reading.h"

namespace converge {

ResourceId id(const SwapInEffect& p) { return "swap-in-effect:" + p.path.str(); }

Result<SwapInEffect::State> inspect(const SwapInEffect& p, const SystemView& view) {
  SwapInEffect::State state;
  state.page_size = view.page_size();
  auto swaps = read_text(view, AbsPath("/proc/swaps"));
  if (!swaps) return std::move(swaps).error();
  auto areas = parse_proc_swaps(swaps->value_or(""));
  if (!areas) return std::move(areas).error();
  auto look = view.look_swap(p.path);
  if (!look) return std::move(look).error().during("looking at " + p.path.str());
  state.inode_active = look->active;
  if (const Swap::Area* ours = own_area(*areas, p.path, *look, state.page_size)) state.area = *ours;
  auto meminfo = read_text(view, AbsPath("/proc/meminfo"));
  if (!meminfo) return std::move(meminfo).error();
  if (const auto total = number_after(meminfo->value_or(""), "SwapTotal")) state.swap_total = Bytes{*total << 10U};
  auto systemd = swap_units_are_made(view);
  if (!systemd) return std::move(systemd).error();
  state.systemd = *systemd;
  if (!state.systemd) {
    auto openrc = openrc_runs(view);
    if (!openrc) return std::move(openrc).error();
    state.openrc = *openrc;
    if (!state.openrc) return state;
    auto mount_point = mount_point_of(view, p.path);
    if (!mount_point) return std::move(mount_point).error();
    state.mount_point = *std::move(mount_point);
    return state;
  }
  auto unit = read_text(view, AbsPath("/run/systemd/generator").child(unit_of_path(p.path, ".swap")));
  if (!unit) return std::move(unit).error();
  if (*unit) state.generated_what = what_of_unit(**unit).value_or("");
  return state;
}

Checks compare(const SwapInEffect& p, const SwapInEffect::State& state) {
  const auto& [path, size] = p;
  const auto page = state.page_size == 0 ? 4096 : state.page_size;
  const auto pages = size.count / page;
  const auto wanted = pages == 0 ? 0 : (pages - 1) * page >> 10U;
  Checks checks;
  const std::string expected = "in use by the kernel";
  switch (state.inode_active) {
    case SwapFileLook::Active::yes:
      checks.push_back(check_equal("file", expected, expected));
      break;
    case SwapFileLook::Active::no:
      checks.push_back(check_equal("file", expected, "not in use"));
      break;
    case SwapFileLook::Active::unknown:
      checks.push_back(check_unknown("file", expected, "the file cannot be asked"));
      break;
  }
  checks.push_back(check_equal("/proc/swaps", fmt::format("{} KiB", wanted),
                               state.area ? fmt::format("{} KiB", state.area->size.count >> 10U) : "not listed"));
  if (state.swap_total) {
    checks.push_back(check_that("swap total", (state.swap_total->count >> 10U) >= wanted,
                                fmt::format("at least {} KiB", wanted),
                                fmt::format("{} KiB", state.swap_total->count >> 10U)));
  } else {
    checks.push_back(check_unknown("swap total", fmt::format("at least {} KiB", wanted), "/proc/meminfo does not say"));
  }
  const auto what = "What=" + path.str();
  if (state.openrc) {
    checks.push_back(check_equal("file system", "/", state.mount_point));
    if (state.mount_point != "/") checks.back().detail = "OpenRC turns swap on before it mounts this file system";
  } else if (!state.systemd) {
    checks.push_back(
        check_skipped("boot unit", what, "no systemd, or a container: swap units are not made of /etc/fstab here"));
  } else {
    checks.push_back(check_equal("boot unit", what, state.generated_what ? "What=" + *state.generated_what : "none"));
  }
  return checks;
}

Wants wants(const SwapInEffect& /*p*/) { return {}; }

}  // namespace converge
