// Reading what the host keeps in small text files, and the names systemd derives from paths.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// The text of a root-owned configuration or kernel file; nullopt if nothing is there. Symbolic links are followed (at
/// most 8), as the programs that read these files do. Errc::symlink for a loop, Errc::invalid for a directory or
/// device.
Result<std::optional<std::string>> read_text(const SystemView& view, const AbsPath& path,
                                             Bytes limit = Bytes{1U << 20U});

/// True if systemd is the init that runs behind `view`: /run/systemd/system is a directory, sd_booted(3). False for a
/// tree.
Result<bool> systemd_runs(const SystemView& view);

/// True where systemd makes swap units of /etc/fstab: it runs, and not in a container (systemd-fstab-generator leaves
/// swap entries out there).
Result<bool> swap_units_are_made(const SystemView& view);
/// True if OpenRC runs as init here.
Result<bool> openrc_runs(const SystemView& view);
/// Where the file system that holds `path` is mounted, by /proc/mounts: the last mount of the longest name.
Result<std::string> mount_point_of(const SystemView& view, const AbsPath& path);

/// fstab(5) and /proc: "\\040" and other three-digit octal escapes as the bytes they stand for.
std::string decode_octal(std::string_view text);

/// systemd-escape(1) --path, with `suffix`: "/swap dir/file" and ".swap" give "swap\x20dir-file.swap".
std::string unit_of_path(const AbsPath& path, std::string_view suffix);

/// Where systemd.slice(5) puts a slice in the cgroup tree: "user-1000.slice" is "user.slice/user-1000.slice".
std::string cgroup_of_slice(std::string_view slice);

/// The number after `key` in a file of "key value" or "key: value kB" lines (meminfo, memory.stat); nullopt if the key
/// is not there or holds no number.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key);

}  // namespace converge
