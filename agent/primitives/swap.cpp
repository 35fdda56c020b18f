#include "primitives/swap.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "primitives/attributes.h"
#include "primitives/reading.h"

namespace converge {
namespace {

constexpr Mode swap_mode{0600};
// Draining a gibibyte from a slow disk takes a minute; a swapoff that is killed leaves the area active, and nothing
// lost.
constexpr std::chrono::milliseconds swap_off_deadline{15 * 60'000};

Bytes whole_pages(Bytes size, std::uint64_t page) { return {page == 0 ? size.count : size.count / page * page}; }

/// A size as people read it, for amounts that are no round number: "1234 MiB", "71.1 GiB".
std::string about(std::uint64_t bytes) {
  if (bytes < (10_GiB).count) return fmt::format("{} MiB", bytes >> 20U);
  return fmt::format("{}.{} GiB", bytes >> 30U, ((bytes >> 20U) % 1024) * 10 / 1024);
}

bool is_there(const PathState& state) { return !std::holds_alternative<Absent>(state); }

/// The inode's own answer counts. /proc/swaps is the same list in every mount namespace, so a path in it may be a file
/// of another container; it is believed only when the inode could not be asked.
bool is_active(const Swap::State& state) {
  if (state.file.active == SwapFileLook::Active::unknown) return state.area.has_value();
  return state.file.active == SwapFileLook::Active::yes;
}

bool in_use(const SwapFileLook& look) { return look.active == SwapFileLook::Active::yes; }

/// True if what is in the way was made to be a swap file, or is empty: nothing is lost with it.
bool recognisable(const SwapFileLook& look) {
  const auto* file = std::get_if<RegularFile>(&look.state);
  return file != nullptr && (look.header.has_value() || file->size.count == 0);
}

bool has_holes(const SwapFileLook& look) {
  const auto* file = std::get_if<RegularFile>(&look.state);
  return file != nullptr && look.allocated < file->size;
}

std::uint64_t wanted_last_page(const Swap& p, std::uint64_t page) {
  const auto pages = p.size.count / page;
  return pages == 0 ? 0 : pages - 1;
}

/// True if the file's bytes are as wanted, whatever its mode and whether it is in use.
bool content_is_right(const Swap& p, const SwapFileLook& look, std::uint64_t page) {
  const auto* file = std::get_if<RegularFile>(&look.state);
  return file != nullptr && file->size == whole_pages(p.size, page) && file->links == 1 && !has_holes(look) &&
         look.header.has_value() && look.header->version == 1 && look.header->last_page == wanted_last_page(p, page);
}

/// True if what a run that died left behind needs only its name.
bool leftover_is_ready(const Swap& p, const Swap::State& state) {
  const auto* file = std::get_if<RegularFile>(&state.leftover.state);
  return file != nullptr && file->mode == swap_mode && (!file->owner || *file->owner == root_owner) &&
         content_is_right(p, state.leftover, state.page_size);
}

/// The name of a file that was being made for `name`, or for one of its temporary names, when the run died.
bool is_scrap(std::string_view name, std::string_view found) {
  if (!found.starts_with('.') || !found.substr(1).starts_with(name)) return false;
  found.remove_prefix(1 + name.size());
  for (const std::string_view of : {".converge-new", ".converge-helper"})
    if (found.starts_with(of)) found.remove_prefix(of.size());
  constexpr std::string_view mark = ".converge-";
  return found.starts_with(mark) && found.size() == mark.size() + 6;
}

bool priority_is_right(const Swap& p, const Swap::State& state) {
  return !p.priority || !state.area || state.area->priority == *p.priority;
}

/// True if what the kernel uses is as large as the header says it could be; not so after a header was rewritten in use.
bool area_is_right(const Swap& p, const Swap::State& state) {
  const auto size = whole_pages(p.size, state.page_size);
  return !state.area || size.count < state.page_size || state.area->size.count == size.count - state.page_size;
}

bool must_swap_off(const Swap& p, const Swap::State& state) {
  if (!state.live || !is_active(state)) return false;
  return p.absent || !content_is_right(p, state.file, state.page_size) || !priority_is_right(p, state) ||
         !area_is_right(p, state);
}

Bytes reserve_of(const Swap& p, const FileSystem& fs) {
  return p.reserve.value_or(std::max(1_GiB, Bytes{fs.total.count / 20}));
}

std::string describe(const Swap::State& state) {
  if (const auto* file = std::get_if<RegularFile>(&state.file.state)) return file->size.text();
  return kind_of(state.file.state);
}

Status refuse(std::string message, std::string hint) {
  return Error{Errc::refused, std::move(message), {}, std::move(hint)};
}

/// Nobody but root may put something else in the file's place, or in place of a directory above it.
Status guard_directories(const AbsPath& path, const SystemView& view) {
  for (AbsPath at = path.parent();; at = at.parent()) {
    auto state = view.look(at);
    if (!state) return std::move(state).error();
    if (std::holds_alternative<Absent>(*state)) {
      return Error{Errc::not_found, fmt::format("directory '{}' does not exist", at.str()), {}, "make it first"};
    }
    const auto* directory = std::get_if<DirectoryInfo>(&*state);
    if (directory == nullptr) {
      const auto code = std::holds_alternative<Symlink>(*state) ? Errc::symlink : Errc::exists;
      return Error{code,
                   fmt::format("'{}' is a {}, not a directory", at.str(), kind_of(*state)),
                   {},
                   "name a path without symbolic links"};
    }
    if ((directory->mode.bits & 0022U) != 0) {
      return refuse(fmt::format("others than root may write to '{}' (mode {})", at.str(), directory->mode.text()),
                    "keep swap in a directory that only root may write to");
    }
    if (directory->owner && directory->owner->uid != 0) {
      return refuse(fmt::format("'{}' belongs to uid {}, not to root", at.str(), directory->owner->uid),
                    "keep swap in a directory that only root may write to");
    }
    if (at.str() == "/") return ok();
  }
}

Status guard_file_system(const FileSystem& fs, const AbsPath& path) {
  if (fs.read_only) {
    return Error{Errc::read_only, fmt::format("the file system of '{}' is mounted read-only", path.str()), {}, {}};
  }
  if (fs.type.starts_with("ext") || fs.type == "xfs" || fs.type == "btrfs" || fs.type == "f2fs") return ok();
  return Error{Errc::unsupported,
               fmt::format("'{}' is on {}, which cannot hold a swap file", path.str(), fs.type),
               {},
               "choose a path on ext4, xfs or btrfs"};
}

/// What OpenRC's swap service can turn on: it comes before everything but the root is mounted.
Status guard_boot(const AbsPath& path, const SystemView& view) {
  const auto openrc = openrc_runs(view);
  if (!openrc) return openrc.error();
  if (!*openrc) return ok();
  const auto mounted = mount_point_of(view, path);
  if (!mounted) return mounted.error();
  if (*mounted == "/") return ok();
  return refuse(
      fmt::format("'{}' is on the file system mounted at '{}', which OpenRC mounts after it has turned swap on",
                  path.str(), *mounted),
      "choose a path on the root file system");
}

/// May this process swap at all? In a container the answer is the kernel's: a swapoff of nothing is refused only by
/// rights.
Status guard_rights(const Swap::State& state, const SystemView& view) {
  auto status = read_text(view, AbsPath("/proc/self/status"), 64_KiB);
  if (!status) return std::move(status).error();
  constexpr std::uint64_t cap_sys_admin = std::uint64_t{1} << 21U;
  const std::string status_text = status->value_or("");
  for (const auto line : split_lines(status_text)) {
    const auto words = fields(without_ending(line));
    if (words.size() != 2 || words[0] != "CapEff:") continue;
    std::uint64_t mask = 0;
    const auto parsed = std::from_chars(words[1].data(), words[1].data() + words[1].size(), mask, 16);
    if (parsed.ec != std::errc() || (mask & cap_sys_admin) != 0) continue;
    if (state.container.empty()) {
      return Error{
          Errc::permission, "swap needs the right CAP_SYS_ADMIN, which this process does not have", {}, "run as root"};
    }
    return Error{Errc::unsupported,
                 fmt::format("swap is not supported here: container ({})", state.container),
                 {},
                 "make the swap file on the machine that runs the container"};
  }
  if (state.container.empty()) return ok();
  const auto probe =
      view.query({.argv = {"swapoff", "/proc/.converge-no-such-file"}, .input = {}, .as = {}, .environment = {}});
  if (probe && probe->err.find("Not superuser") == std::string::npos &&
      probe->err.find("not permitted") == std::string::npos) {
    return ok();
  }
  return Error{Errc::unsupported,
               fmt::format("swap is not supported here: container ({})", state.container),
               {},
               "make the swap file on the machine that runs the container"};
}

/// The image of a suspended machine lies at a fixed place in the swap file that resumes it.
Status guard_hibernation(const Swap& p, const SystemView& view) {
  auto cmdline = read_text(view, AbsPath("/proc/cmdline"), 64_KiB);
  if (!cmdline) return std::move(cmdline).error();
  auto device = read_text(view, AbsPath("/sys/power/resume"), 64_KiB);
  if (!device) return std::move(device).error();
  auto offset = read_text(view, AbsPath("/sys/power/resume_offset"), 64_KiB);
  if (!offset) return std::move(offset).error();
  bool resumes = false;
  const std::string words = cmdline->value_or("");
  for (const auto word : fields(trim(words))) resumes |= word.starts_with("resume_offset=");
  const std::string device_text(trim(device->value_or("0:0")));
  const std::string offset_text(trim(offset->value_or("0")));
  resumes |= device_text != "0:0" && !offset_text.empty() && offset_text != "0";
  if (!resumes) return ok();
  return refuse(fmt::format("this machine resumes from a swap file, and '{}' may be it", p.path.str()),
                "take resume= and resume_offset= from the kernel command line first");
}

struct Cgroups {
  AbsPath root;
  bool unified = true;
};

Result<std::optional<std::uint64_t>> read_number(const SystemView& view, const AbsPath& path) {
  auto text = read_text(view, path, 64_KiB);
  if (!text) return std::move(text).error();
  std::uint64_t number = 0;
  if (!*text || !parse_number(trim(**text), number)) return std::optional<std::uint64_t>();
  return std::optional(number);
}

/// One cgroup's own limit against what it holds in memory and swap together.
Status guard_cgroup(const Cgroups& tree, const AbsPath& group, const SystemView& view) {
  auto limit = read_number(view, group.child(tree.unified ? "memory.max" : "memory.limit_in_bytes"));
  if (!limit) return std::move(limit).error();
  // "max" is no number; cgroup v1 says "no limit" as the largest multiple of a page.
  if (!*limit || **limit >= (std::uint64_t{1} << 62U)) return ok();
  auto used = read_number(view, group.child(tree.unified ? "memory.current" : "memory.memsw.usage_in_bytes"));
  if (!used) return std::move(used).error();
  std::uint64_t swapped = 0;
  if (tree.unified) {
    auto swap = read_number(view, group.child("memory.swap.current"));
    if (!swap) return std::move(swap).error();
    swapped = swap->value_or(0);
  } else if (!*used) {
    used = read_number(view, group.child("memory.usage_in_bytes"));
    if (!used) return std::move(used).error();
    auto stat = read_text(view, group.child("memory.stat"));
    if (!stat) return std::move(stat).error();
    const auto from_stat = number_after(stat->value_or(""), "swap");
    if (*used && !from_stat) {
      return refuse(fmt::format("cannot tell how much of cgroup '{}' is swapped out", group.str()),
                    "boot with swapaccount=1, or stop what runs in it");
    }
    swapped = from_stat.value_or(0);
  }
  if (!*used) return ok();  // the cgroup went away meanwhile
  const auto needed = **used + swapped;
  if (needed <= **limit) return ok();
  return refuse(
      fmt::format("swap in use: cgroup '{}' holds {} in memory and swap and may hold {}: swapoff would get its "
                  "processes killed",
                  group.str().substr(tree.root.str().size()), about(needed), about(**limit)),
      "stop something in it, or raise its memory limit for the time being");
}

Status guard_cgroups_below(const Cgroups& tree, const AbsPath& group, const SystemView& view, int depth) {
  if (auto status = guard_cgroup(tree, group, view); !status) return status;
  if (depth > 64) return refuse(fmt::format("cgroup '{}' is nested too deeply to be looked at", group.str()), {});
  auto names = view.list(group);
  if (!names) return std::move(names).error();
  if (!*names) return ok();
  for (const auto& name : **names) {
    const auto child = group.child(name);
    auto state = view.look(child);
    if (!state) return std::move(state).error();
    if (!std::holds_alternative<DirectoryInfo>(*state)) continue;
    if (auto status = guard_cgroups_below(tree, child, view, depth + 1); !status) return status;
  }
  return ok();
}

struct Memory {
  std::uint64_t total = 0, available = 0;
  /// What must stay available after a swapoff.
  std::uint64_t margin() const { return std::max<std::uint64_t>((256_MiB).count, total / 10); }
};

Result<Memory> memory_of(const SystemView& view) {
  auto meminfo = read_text(view, AbsPath("/proc/meminfo"));
  if (!meminfo) return std::move(meminfo).error();
  const auto total = number_after(meminfo->value_or(""), "MemTotal");
  const auto available = number_after(meminfo->value_or(""), "MemAvailable");
  if (!total || !available) {
    return Error{Errc::unparsable, "cannot tell how much memory is available: /proc/meminfo does not say", {}, {}};
  }
  return Memory{*total << 10U, *available << 10U};
}

/// Do `used` bytes fit into memory, or else into `room` bytes of another swap area?
Status guard_memory(Bytes used, Bytes room, const Memory& memory) {
  if (used.count == 0 || memory.available + room.count >= used.count + memory.margin()) return ok();
  return refuse(
      fmt::format("swap in use: {} would have to move into memory, of which {} are available and {} must stay free",
                  about(used.count), about(memory.available), about(memory.margin())),
      "stop something that uses memory, or run this after a reboot");
}

/// No cgroup with a memory limit may be pushed over it: swapoff does not fail then, it gets processes killed, whatever
/// other swap there is.
Status guard_cgroups(const SystemView& view) {
  auto unified = view.look(AbsPath("/sys/fs/cgroup/cgroup.controllers"));
  if (!unified) return std::move(unified).error();
  const Cgroups tree = std::holds_alternative<Absent>(*unified) ? Cgroups{AbsPath("/sys/fs/cgroup/memory"), false}
                                                                : Cgroups{AbsPath("/sys/fs/cgroup"), true};
  return guard_cgroups_below(tree, tree.root, view, 0);
}

Bytes used_of(const std::optional<Swap::Area>& area) { return area ? area->used : Bytes{}; }

Bytes room_of(const std::optional<Swap::Area>& area) {
  return Bytes{area && area->size > area->used ? area->size.count - area->used.count : 0};
}

/// The size of a helper area that takes in all there is in use, with as much to spare as must stay free in memory.
Bytes helper_size(Bytes used, const Memory& memory, std::uint64_t page) {
  return {(used.count + memory.margin() + 2 * page) / page * page};
}

/// May `used` bytes of the file's area go elsewhere? The answer is the size of the helper area that this needs, if it
/// does: when `room` in the helper there is and memory are too little. Errc::refused says why not. `make` is what else
/// is to be made on the file system, `freed` what goes from it before.
Result<std::optional<Bytes>> way_out(const Swap& p, const Swap::State& state, Bytes make, Bytes freed,
                                     const SystemView& view) {
  std::optional<Bytes> none;
  const Bytes used = used_of(state.area);
  if (used.count == 0) return none;
  auto memory = memory_of(view);
  if (!memory) return std::move(memory).error();
  Status fits = guard_memory(used, room_of(state.helper_area), *memory);
  if (!fits && (p.absent || state.helper_area)) return std::move(fits).error();
  if (auto status = guard_cgroups(view); !status) return std::move(status).error();
  if (fits) return none;
  const Bytes size = helper_size(used, *memory, state.page_size);
  const auto need = size.count + make.count, free = state.file_system.available.count + freed.count;
  if (free >= need && free - need >= reserve_of(p, state.file_system).count) return std::optional(size);
  Error error = std::move(fits).error();
  error.message += fmt::format("; a helper area of {} would not fit on the disk", about(size.count));
  error.hint = "stop something that uses memory, free some space, or run this after a reboot";
  return error;
}

/// Before anything is touched: what is in the helper area, or will be, has to go into the new file and memory at the
/// end.
Status guard_way_back(const Swap& p, const Swap::State& state, bool off, bool helped, const SystemView& view) {
  if (!state.helper_area && !helped) return ok();
  const Bytes used{used_of(state.helper_area).count + (off ? used_of(state.area).count : 0)};
  if (used.count == 0) return ok();
  auto memory = memory_of(view);
  if (!memory) return std::move(memory).error();
  const Bytes size = whole_pages(p.size, state.page_size);
  const bool stays = !p.absent && state.area && !off;
  Bytes room = stays ? room_of(state.area) : Bytes{size.count - std::min(size.count, state.page_size)};
  if (p.absent) room = {};
  if (auto status = guard_memory(used, room, *memory); !status) return status;
  return guard_cgroups(view);
}

/// Whether all that has to go out of use can, in the order of apply.
Status guard_draining(const Swap& p, const Swap::State& state, const SystemView& view) {
  const bool off = must_swap_off(p, state);
  bool helped = false;
  if (off) {
    const bool makes_one = !content_is_right(p, state.file, state.page_size) && !leftover_is_ready(p, state);
    Bytes freed = makes_one ? state.leftover.allocated : Bytes{};
    if (!in_use(state.helper)) freed.count += state.helper.allocated.count;
    auto helper = way_out(p, state, makes_one ? whole_pages(p.size, state.page_size) : Bytes{}, freed, view);
    if (!helper) return std::move(helper).error();
    helped = helper->has_value();
  }
  return guard_way_back(p, state, off, helped, view);
}

Result<std::vector<Swap::Area>> areas_of(const SystemView& view) {
  auto swaps = read_text(view, AbsPath("/proc/swaps"));
  if (!swaps) return std::move(swaps).error();
  // A kernel without swap has no such file: nothing is active then.
  return parse_proc_swaps(swaps->value_or(""));
}

Status make_at(const Swap& p, const Swap::State& state, const AbsPath& path, System& system) {
  const std::string uuid = state.file.header ? state.file.header->uuid : std::string();
  return system.make_swap_file({path, whole_pages(p.size, state.page_size), uuid});
}

/// Takes the file out of use. How much is in use is looked at anew: making the new file took its time. With too little
/// memory for it, what is in use goes through a helper area.
Status swap_off_file(const Swap& p, System& system) {
  auto now = inspect(p, system);
  if (!now) return std::move(now).error();
  auto helper = way_out(p, *now, {}, in_use(now->helper) ? Bytes{} : now->helper.allocated, system);
  if (!helper) return std::move(helper).error();
  if (*helper) {
    const AbsPath path = swap_helper(p.path);
    if (auto status = system.remove(path); !status) return status;
    if (auto status = system.make_swap_file({path, **helper, {}}); !status) return status;
    if (auto status = system.swap_on(path, std::nullopt); !status) return status;
  }
  return system.swap_off(p.path, swap_off_deadline);
}

/// Takes a file of a run that died, or the helper area, out of use and away.
Status drop(const Swap& p, const AbsPath& path, System& system) {
  auto now = inspect(p, system);
  if (!now) return std::move(now).error();
  const bool is_helper = path == swap_helper(p.path);
  const SwapFileLook& look = is_helper ? now->helper : now->leftover;
  if (!is_there(look.state)) return ok();
  if (now->live && in_use(look)) {
    const auto& area = is_helper ? now->helper_area : now->leftover_area;
    if (used_of(area).count != 0) {
      auto memory = memory_of(system);
      if (!memory) return std::move(memory).error();
      if (auto status = guard_memory(area->used, room_of(now->area), *memory); !status) return status;
      if (auto status = guard_cgroups(system); !status) return status;
    }
    if (auto status = system.swap_off(path, swap_off_deadline); !status) return status;
  }
  return system.remove(path);
}

/// Room for the new file, with `freed` bytes that go before it.
Status guard_space(const Swap& p, const Swap::State& state, Bytes freed) {
  const auto need = whole_pages(p.size, state.page_size);
  const auto reserve = reserve_of(p, state.file_system);
  const auto free = state.file_system.available.count + freed.count;
  if (free >= need.count && free - need.count >= reserve.count) return ok();
  return Error{Errc::no_space,
               fmt::format("not enough room for '{}': {} are free, {} are needed and {} stay in reserve", p.path.str(),
                           about(free), about(need.count), about(reserve.count)),
               {},
               "free some space, or set 'reserve' lower"};
}

/// Before the old file goes the new one is complete: room for both, unless the old one is not in use and can go first.
bool fits_beside(const Swap& p, const Swap::State& state) {
  return leftover_is_ready(p, state) || guard_space(p, state, state.leftover.allocated).has_value();
}

Status replace_swap(const Swap& p, const Swap::State& state, System& system) {
  const auto workplace = swap_workplace(p.path);
  const bool old_is_there = is_there(state.file.state);
  const bool active = state.live && is_active(state);
  const bool usable = leftover_is_ready(p, state);
  if (is_there(state.leftover.state) && !usable) {
    if (auto status = drop(p, workplace, system); !status) return status;
  }
  if (!old_is_there && !usable) return make_at(p, state, p.path, system);
  if (!usable) {
    if (!fits_beside(p, state) && !active) {
      if (auto status = system.remove(p.path); !status) return status;
      return make_at(p, state, p.path, system);
    }
    if (auto status = make_at(p, state, workplace, system); !status) return status;
  }
  if (active) {
    if (auto status = swap_off_file(p, system); !status) return status;
  }
  if (old_is_there) {
    if (auto status = system.remove(p.path); !status) return status;
  }
  return system.rename_new(workplace, p.path);
}

/// All that runs that died have left, but for what the file itself needs.
Status tidy(const Swap& p, const Swap::State& state, System& system) {
  for (const AbsPath& scrap : state.scraps) {
    if (auto status = system.remove(scrap); !status) return status;
  }
  if (auto status = drop(p, swap_workplace(p.path), system); !status) return status;
  return drop(p, swap_helper(p.path), system);
}

Status apply_absent(const Swap& p, const Swap::State& state, System& system) {
  if (state.live && is_active(state)) {
    if (auto status = swap_off_file(p, system); !status) return status;
  }
  if (auto status = tidy(p, state, system); !status) return status;
  return system.remove(p.path);
}

/// What a run that died has left behind: none of it is of use to the host.
void check_leftovers(const Swap& p, const Swap::State& state, Checks& checks) {
  std::vector<std::string> there;
  if (is_there(state.leftover.state)) there.push_back(swap_workplace(p.path).str());
  if (is_there(state.helper.state))
    there.push_back(swap_helper(p.path).str() + (in_use(state.helper) ? " (in use)" : ""));
  for (const AbsPath& scrap : state.scraps) there.push_back(scrap.str());
  checks.push_back(check_equal("leftover", "none", there.empty() ? "none" : join(there, ", ")));
}

Checks compare_absent(const Swap& p, const Swap::State& state) {
  Checks checks;
  checks.push_back(check_that("file", !is_there(state.file.state), "absent", describe(state)));
  if (state.live) {
    checks.push_back(check_that("active", !is_active(state), "no", is_active(state) ? "yes" : "no"));
  } else {
    checks.push_back(check_skipped("active", "no", "needs a running system"));
  }
  check_leftovers(p, state, checks);
  return checks;
}

/// The properties of the file that say whether the kernel would take it, and nobody else read it.
void check_file(const Swap& p, const Swap::State& state, const RegularFile& file, Checks& checks) {
  check_attributes(checks, file, swap_mode, root_owner);
  checks.push_back(check_equal("links", "1", fmt::format("{}", file.links)));
  auto holes = check_equal("holes", "no", has_holes(state.file) ? "yes" : "no");
  if (has_holes(state.file)) holes.detail = fmt::format("only {} are allocated", state.file.allocated.text());
  checks.push_back(std::move(holes));
  const auto& header = state.file.header;
  const auto text = [&](std::uint64_t version, std::uint64_t last_page) {
    const auto size = Bytes{(last_page + 1) * state.page_size}.text();
    return version == 1 ? "swap of " + size : fmt::format("swap version {} of {}", version, size);
  };
  checks.push_back(check_equal("header", text(1, wanted_last_page(p, state.page_size)),
                               header ? text(header->version, header->last_page) : "no swap signature"));
}

/// Snapshots of the subvolume that holds `path`, as btrfs(8) lists them below "Snapshot(s):"; nullopt if it cannot
/// tell.
std::optional<std::vector<std::string>> snapshots_of(const AbsPath& path, const SystemView& view) {
  for (AbsPath at = path.parent();; at = at.parent()) {
    const auto shown = view.query({.argv = {"btrfs", "subvolume", "show", at.str()}});
    if (!shown) return std::nullopt;
    if (shown->exit_code != 0) {  // no subvolume: it is further up
      if (at.str() == "/") return std::nullopt;
      continue;
    }
    std::vector<std::string> names;
    bool listed = false;
    for (const auto line : split_lines(shown->out)) {
      if (listed && !line.starts_with("\t\t")) break;
      if (listed) names.emplace_back(trim(line));
      listed = listed || trim(line) == "Snapshot(s):";
    }
    return names;
  }
}

/// A remark: nothing is wrong with the file as long as it stays in use.
void check_snapshots(const Swap::State& state, Checks& checks) {
  const std::string remedy = "give the file a subvolume of its own (btrfs subvolume create /swap)";
  if (!state.snapshots)
    checks.push_back(check_skipped("snapshots", "none", "cannot be told without btrfs(8): " + remedy));
  else if (!state.snapshots->empty())
    checks.push_back(check_skipped(
        "snapshots", "none",
        fmt::format(
            "its subvolume has snapshots ({}), and one that is taken while the file is out of use keeps it from "
            "being used again: {}",
            join(*state.snapshots, ", "), remedy)));
}

/// Compressed memory is much faster than a disk, and is to be full first. A remark: the priority is what was asked for.
void check_zram(int priority, const Swap::State& state, Checks& checks) {
  for (const auto& other : state.others) {
    if (!other.path.starts_with("/dev/zram") || other.priority > priority) continue;
    checks.push_back(check_skipped("zram first", fmt::format("a priority below {}", other.priority),
                                   fmt::format("'{}' has priority {}: with {} the file is used before it, or as much",
                                               other.path, other.priority, priority)));
  }
}

}  // namespace

AbsPath swap_workplace(const AbsPath& path) { return path.parent().child(path.name() + ".converge-new"); }

AbsPath swap_helper(const AbsPath& path) { return path.parent().child(path.name() + ".converge-helper"); }

Result<std::vector<Swap::Area>> parse_proc_swaps(std::string_view text) {
  std::vector<Swap::Area> areas;
  bool header = true;
  for (const auto line : split_lines(text)) {
    if (header) {
      header = false;
      continue;
    }
    const auto words = fields(without_ending(line));
    if (words.empty()) continue;
    const auto bad = [&] {
      return Error{Errc::unparsable,
                   fmt::format("a line of /proc/swaps is not understood: '{}'", printable(trim(line))),
                   {},
                   {}};
    };
    if (words.size() < 5) return bad();
    const auto n = words.size();
    std::uint64_t size = 0, used = 0;
    std::int64_t priority = 0;
    constexpr std::uint64_t most = std::uint64_t{1} << 53U;
    if (!parse_number(words[n - 3], size) || !parse_number(words[n - 2], used) ||
        !parse_number(words[n - 1], priority) || size > most || used > most || priority < -32768 || priority > 32767) {
      return bad();
    }
    // The kernel escapes blanks, so that more than one word before the last four is its own mark for an unlinked file.
    std::string path(words[0]);
    for (std::size_t i = 1; i + 4 < n; ++i) path.append(" ").append(words[i]);
    path = decode_octal(path);
    Swap::Area area{path, std::string(words[n - 4]), Bytes{size << 10U}, Bytes{used << 10U}, static_cast<int>(priority),
                    false};
    constexpr std::string_view mark = " (deleted)";
    if (area.path.ends_with(mark)) {
      area.path.resize(area.path.size() - mark.size());
      area.deleted = true;
    }
    areas.push_back(std::move(area));
  }
  return areas;
}

const Swap::Area* own_area(const std::vector<Swap::Area>& areas, const AbsPath& path, const SwapFileLook& look,
                           std::uint64_t page_size) {
  if (look.active == SwapFileLook::Active::no) return nullptr;
  const Swap::Area* ours = nullptr;
  for (const Swap::Area& area : areas) {
    if (area.path != path.str() || area.deleted) continue;
    const bool fits = look.header && area.size.count == look.header->last_page * page_size;
    if (ours == nullptr || fits) ours = &area;
    if (fits) break;
  }
  return ours;
}

ResourceId id(const Swap& p) { return "swap:" + p.path.str(); }

Result<Swap::State> inspect(const Swap& p, const SystemView& view) {
  Swap::State state;
  state.live = view.is_live();
  state.page_size = view.page_size();
  auto file = view.look_swap(p.path);
  if (!file) return std::move(file).error().during("looking at " + p.path.str());
  state.file = std::move(*file);
  auto leftover = view.look_swap(swap_workplace(p.path));
  if (!leftover) return std::move(leftover).error().during("looking at " + swap_workplace(p.path).str());
  state.leftover = std::move(*leftover);
  auto helper = view.look_swap(swap_helper(p.path));
  if (!helper) return std::move(helper).error().during("looking at " + swap_helper(p.path).str());
  state.helper = std::move(*helper);
  auto beside = view.list(p.path.parent());
  if (!beside) return std::move(beside).error().during("looking beside " + p.path.str());
  for (const auto& name : beside->value_or(std::vector<std::string>())) {
    if (is_scrap(p.path.name(), name)) state.scraps.push_back(p.path.parent().child(name));
  }
  auto fs = view.file_system(p.path);
  if (!fs) return std::move(fs).error().during("looking at the file system of " + p.path.str());
  state.file_system = std::move(*fs);
  if (!state.live) return state;

  auto areas = areas_of(view);
  if (!areas) return std::move(areas).error();
  const Swap::Area* ours = own_area(*areas, p.path, state.file, state.page_size);
  const Swap::Area* left = own_area(*areas, swap_workplace(p.path), state.leftover, state.page_size);
  const Swap::Area* help = own_area(*areas, swap_helper(p.path), state.helper, state.page_size);
  for (const auto& area : *areas) {
    if (&area == ours)
      state.area = area;
    else if (&area == left)
      state.leftover_area = area;
    else if (&area == help)
      state.helper_area = area;
    else
      state.others.push_back(area);
  }
  if (state.file_system.type == "btrfs" && !p.absent) state.snapshots = snapshots_of(p.path, view);
  auto container = read_text(view, AbsPath("/run/systemd/container"), 64_KiB);
  if (!container) return std::move(container).error();
  state.container = std::string(trim(container->value_or("")));
  return state;
}

Checks compare(const Swap& p, const Swap::State& state) {
  const auto& [path, size, priority, reserve, absent] = p;
  if (absent) return compare_absent(p, state);
  (void)path, (void)reserve;  // where, and a condition of making it; neither is a property of what is there
  Checks checks;
  const auto page = state.page_size;
  const auto wanted = whole_pages(size, page);
  const auto* file = std::get_if<RegularFile>(&state.file.state);
  checks.push_back(check_equal("kind", "file", kind_of(state.file.state)));
  checks.push_back(check_that("size", file != nullptr && file->size == wanted, wanted.text(),
                              file != nullptr ? file->size.text() : "absent"));
  if (file != nullptr) check_file(p, state, *file, checks);
  check_leftovers(p, state, checks);
  check_snapshots(state, checks);
  if (priority) check_zram(*priority, state, checks);
  const auto area_size = fmt::format("{} KiB", wanted.count < page ? 0 : (wanted.count - page) >> 10U);
  if (!state.live) {
    checks.push_back(check_skipped("active", "yes", "needs a running system"));
    checks.push_back(check_skipped("area size", area_size, "needs a running system"));
    if (priority) checks.push_back(check_skipped("priority", fmt::format("{}", *priority), "needs a running system"));
    return checks;
  }
  const bool active = is_active(state);
  auto in_use = check_that("active", active, "yes", active ? "yes" : "no");
  for (const auto& other : state.others) {
    if (!active && other.path == path.str()) {
      in_use.detail = "/proc/swaps names this path, but the kernel uses another file: of another container, or deleted";
    }
  }
  checks.push_back(std::move(in_use));
  if (state.area) {
    checks.push_back(check_equal("area size", area_size, fmt::format("{} KiB", state.area->size.count >> 10U)));
    if (priority) {
      checks.push_back(check_equal("priority", fmt::format("{}", *priority), fmt::format("{}", state.area->priority)));
    }
  } else if (active) {
    const std::string why = "in use, but /proc/swaps lists it under another path";
    checks.push_back(check_unknown("area size", area_size, why));
    if (priority) checks.push_back(check_unknown("priority", fmt::format("{}", *priority), why));
  } else {
    checks.push_back(check_skipped("area size", area_size, "not active"));
    if (priority) checks.push_back(check_skipped("priority", fmt::format("{}", *priority), "not active"));
  }
  return checks;
}

Status preflight(const Swap& p, const Swap::State& state, const SystemView& view) {
  const bool there = is_there(state.file.state);
  const auto* file = std::get_if<RegularFile>(&state.file.state);
  if (there && (file == nullptr || (!recognisable(state.file) && !is_active(state)))) {
    const auto code = std::holds_alternative<Symlink>(state.file.state) ? Errc::symlink : Errc::refused;
    const auto what = file != nullptr ? std::string("is not a swap file") : "is a " + kind_of(state.file.state);
    return Error{
        code, fmt::format("'{}' exists and {}", p.path.str(), what), {}, "move it away, or choose another path"};
  }
  if (file != nullptr && file->links > 1) {
    const std::string first = is_active(state) ? "swapoff it (the names of swap in use cannot be removed), and " : "";
    return refuse(
        fmt::format("'{}' has {} names", p.path.str(), file->links),
        fmt::format("{}remove the others: find {} -xdev -samefile {}", first, p.path.parent().str(), p.path.str()));
  }
  for (const auto& [place, look] :
       {std::pair(swap_workplace(p.path), &state.leftover), std::pair(swap_helper(p.path), &state.helper)}) {
    if (is_there(look->state) && !recognisable(*look)) {
      return refuse(fmt::format("'{}' exists and is not a swap file", place.str()), "move it away");
    }
  }
  if (state.live && (is_active(state) || !p.absent)) {
    if (auto status = guard_rights(state, view); !status) return status;
  }
  const bool replaces = there && (p.absent || !content_is_right(p, state.file, state.page_size));
  if (replaces && state.live) {
    if (auto status = guard_hibernation(p, view); !status) return status;
  }
  if (must_swap_off(p, state)) {
    if (!state.area) {
      return refuse(fmt::format("'{}' is in use, but /proc/swaps does not list it by this path", p.path.str()),
                    "it may belong to another container, or be mounted twice; turn it off by hand");
    }
  }
  if (auto status = guard_draining(p, state, view); !status) return status;
  if (p.absent) return ok();
  if (auto status = guard_directories(p.path, view); !status) return status;
  if (!there || replaces) {
    if (state.live) {
      if (auto status = guard_file_system(state.file_system, p.path); !status) return status;
      if (auto status = guard_boot(p.path, view); !status) return status;
    }
    if (fits_beside(p, state)) return ok();
    const bool old_may_go_first = there && !(state.live && is_active(state));
    return guard_space(p, state,
                       old_may_go_first ? Bytes{state.file.allocated.count + state.leftover.allocated.count}
                                        : state.leftover.allocated);
  }
  return ok();
}

Status apply(const Swap& p, const Swap::State& state, System& system) {
  if (p.absent) return apply_absent(p, state, system);
  const bool right = content_is_right(p, state.file, state.page_size);
  const bool off = must_swap_off(p, state);
  if (!right) {
    if (auto status = replace_swap(p, state, system); !status) return status;
  } else {
    const auto& file = std::get<RegularFile>(state.file.state);
    if (file.mode != swap_mode || (file.owner && *file.owner != root_owner)) {
      if (auto status = system.set_attributes(p.path, swap_mode, root_owner); !status) return status;
    }
    if (off) {
      if (auto status = swap_off_file(p, system); !status) return status;
    }
  }
  const bool still_active = is_active(state) && right && !off;
  if (state.live && !still_active) {
    if (auto status = system.swap_on(p.path, p.priority); !status) return status;
  }
  return tidy(p, state, system);
}

Status may_swap_off(Bytes used, const SystemView& view) {
  if (used.count == 0) return ok();
  const auto memory = memory_of(view);
  if (!memory) return memory.error();
  if (auto status = guard_memory(used, Bytes{}, *memory); !status) return status;
  return guard_cgroups(view);
}

}  // namespace converge
