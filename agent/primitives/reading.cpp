#include "primitives/reading.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "core/text.h"

namespace converge {
namespace {

/// Where a link at `at` leads; '..' is resolved by name, which is right for the flat directories these files stand in.
Result<AbsPath> target_of(const AbsPath& at, const std::string& target) {
  const std::string joined = target.starts_with('/') ? target : at.parent().str() + "/" + target;
  std::vector<std::string_view> kept;
  for (const auto part : split(joined, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string text;
  for (const auto part : kept) text.append("/").append(part);
  return AbsPath::parse(text.empty() ? "/" : text);
}

}  // namespace

Result<std::optional<std::string>> read_text(const SystemView& view, const AbsPath& path, Bytes limit) {
  AbsPath at = path;
  for (int hops = 0; hops <= 8; ++hops) {
    auto seen = view.read(at, limit);
    if (!seen) return std::move(seen).error().during("reading " + path.str());
    if (std::holds_alternative<Absent>(seen->state)) return std::optional<std::string>();
    if (std::holds_alternative<RegularFile>(seen->state)) return std::optional(std::move(seen->content));
    const auto* link = std::get_if<Symlink>(&seen->state);
    if (link == nullptr) {
      return Error{Errc::invalid, fmt::format("'{}' is a {}, not a file", path.str(), kind_of(seen->state)), {}, {}};
    }
    auto next = target_of(at, link->target);
    if (!next) return std::move(next).error().during("following " + at.str());
    at = *next;
  }
  return Error{Errc::symlink, fmt::format("'{}' is a loop of symbolic links", path.str()), {}, {}};
}

Result<bool> systemd_runs(const SystemView& view) {
  if (!view.is_live()) return false;
  const auto state = view.look(AbsPath("/run/systemd/system"));
  if (!state) return state.error().during("asking whether systemd runs");
  return std::holds_alternative<DirectoryInfo>(*state);
}

Result<bool> swap_units_are_made(const SystemView& view) {
  auto systemd = systemd_runs(view);
  if (!systemd || !*systemd) return systemd;
  const auto container = view.look(AbsPath("/run/systemd/container"));
  if (!container) return container.error().during("asking whether this is a container");
  return std::holds_alternative<Absent>(*container);
}

Result<bool> openrc_runs(const SystemView& view) {
  const auto level = view.look(AbsPath("/run/openrc/softlevel"));
  if (!level) return level.error().during("asking whether OpenRC runs");
  return !std::holds_alternative<Absent>(*level);
}

Result<std::string> mount_point_of(const SystemView& view, const AbsPath& path) {
  auto mounts = read_text(view, AbsPath("/proc/mounts"));
  if (!mounts) return std::move(mounts).error();
  std::string longest;
  const std::string text = mounts->value_or("");
  for (const auto line : split_lines(text)) {
    const auto words = fields(without_ending(line));
    if (words.size() < 4) continue;
    const std::string at = decode_octal(words[1]);
    const bool holds = at == "/" || path.str() == at || path.str().starts_with(at + "/");
    if (holds && at.size() >= longest.size()) longest = at;
  }
  if (longest.empty()) return Error{Errc::unparsable, "/proc/mounts does not name the root file system", {}, {}};
  return longest;
}

std::string decode_octal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && text[i + 1] <= '3' && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string unit_of_path(const AbsPath& path, std::string_view suffix) {
  if (path.str() == "/") return "-" + std::string(suffix);
  std::string out;
  for (const char c : path.str().substr(1)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
                       c == '_' || (c == '.' && !out.empty());
    if (c == '/') {
      out += '-';
    } else if (plain) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + std::string(suffix);
}

std::string cgroup_of_slice(std::string_view slice) {
  std::string_view stem = slice;
  constexpr std::string_view suffix = ".slice";
  if (stem.ends_with(suffix)) stem.remove_suffix(suffix.size());
  if (stem == "-") return {};
  std::string out;
  for (auto dash = stem.find('-'); dash != std::string_view::npos; dash = stem.find('-', dash + 1)) {
    out.append(stem.substr(0, dash)).append(".slice/");
  }
  return out.append(stem).append(suffix);
}

std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key) {
  for (const auto line : split_lines(text)) {
    const auto words = fields(without_ending(line));
    if (words.size() < 2) continue;
    auto name = words[0];
    if (name.ends_with(':')) name.remove_suffix(1);
    std::uint64_t number = 0;
    if (name == key && parse_number(words[1], number)) return number;
  }
  return std::nullopt;
}

}  // namespace converge
