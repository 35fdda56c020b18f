#include "undo/look.h"

#include "core/digest.h"
#include "core/text.h"
#include "primitives/service.h"
#include "primitives/swap.h"

namespace converge::undo {
namespace {

constexpr std::uint64_t least_pages_of_swap = 10;  // mkswap(8)

/// `out` is a swap file by now if the file at `path` is one.
Status look_for_swap(const SystemView& view, const AbsPath& path, State& out) {
  auto look = view.look_swap(path);
  if (!look) return std::move(look).error();
  if (!look->header) return ok();
  out.kind = State::Kind::swap;
  out.uuid = look->header->uuid;
  out.on = look->active == SwapFileLook::Active::yes;
  if (!out.on) return ok();
  auto table = view.read(AbsPath("/proc/swaps"), 1_MiB);
  if (!table) return std::move(table).error();
  const auto areas = parse_proc_swaps(table->content);
  if (!areas) return areas.error();
  if (const auto* area = own_area(*areas, path, *look, view.page_size())) out.priority = area->priority;
  return ok();
}

}  // namespace

Result<State> path_state(const SystemView& view, const Place& place) {
  auto looked = view.look(place);
  if (!looked) return std::move(looked).error();
  State out;
  if (const auto* directory = std::get_if<DirectoryInfo>(&*looked)) {
    out.kind = State::Kind::directory;
    out.mode = directory->mode;
    out.owner = directory->owner;
  } else if (const auto* link = std::get_if<Symlink>(&*looked)) {
    out.kind = State::Kind::symlink;
    out.text = link->target;
  } else if (const auto* other = std::get_if<OtherKind>(&*looked)) {
    out.kind = State::Kind::other;
    out.text = other->kind;
  } else if (const auto* file = std::get_if<RegularFile>(&*looked)) {
    out.kind = State::Kind::file;
    out.mode = file->mode;
    out.owner = file->owner;
    out.size = file->size;
    if (!place.as && file->size.count >= least_pages_of_swap * view.page_size()) {
      if (auto swap = look_for_swap(view, place.path, out); !swap) return std::move(swap).error();
      if (out.kind == State::Kind::swap) return out;
    }
    if (file->size > kept_of_a_file) return out;
    auto seen = view.read(place, kept_of_a_file);
    if (seen && std::holds_alternative<RegularFile>(seen->state)) {
      out.digest = sha256(seen->content);
      out.size = Bytes{seen->content.size()};
      out.content = std::move(seen->content);
    } else if (!seen && seen.error().code != Errc::permission && seen.error().code != Errc::too_big) {
      return std::move(seen).error();
    }
  }
  return out;
}

std::string words_of(std::string_view value) {
  std::string out;
  for (const auto word : fields(trim(value))) out += (out.empty() ? "" : " ") + std::string(word);
  return out;
}

Result<State> kernel_state(const SystemView& view, const AbsPath& path) {
  auto seen = view.read(path, 64_KiB);
  if (!seen) return std::move(seen).error();
  return State{.kind = State::Kind::value, .text = words_of(seen->content)};
}

Result<State> unit_state(const SystemView& view, const std::string& name) {
  auto service = inspect(Service{.name = name}, view);
  if (!service) return std::move(service).error();
  if (service->init == Service::State::Init::none)
    return Error{Errc::unsupported, "neither systemd nor OpenRC runs here", {}, {}};
  State out{.kind = State::Kind::unit, .on = service->running.value_or(false)};
  if (service->init == Service::State::Init::systemd) out.text = service->enabled_text;
  return out;
}

}  // namespace converge::undo
