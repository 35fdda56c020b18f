// The line of fstab(5) that turns a swap file on at boot.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// One entry of fstab(5) for a swap file; every other byte of the file stays. An entry that is there and works is kept
/// as it is written (`defaults`, with or without nofail). Where systemd runs, the unit its generator made of the entry
/// belongs to it: apply reloads systemd when that unit is not there or is of something else, also when the file was
/// right already.
struct FstabEntry {
  std::string spec;  // first field, decoded: "/swapfile"
  std::string mount_point = "none", type = "swap", options = "sw,nofail";
  std::optional<int> priority;  // pri=N of a swap entry; nullopt: as it is
  bool absent = false;
  struct State {
    Seen seen;
    bool systemd = false;                       // makes swap units of /etc/fstab here (it runs, and not in a container)
    std::optional<std::string> generated_what;  // What= of /run/systemd/generator/<path>.swap; nullopt: no such unit
    std::string switched_off;                   // "fstab=no" or "systemd.swap=no" of the kernel command line
  };
  struct Waiting {};
  static constexpr bool reloads = true;
};

/// An entry as libmount and systemd read it, and where its parts stand in the text.
struct FstabLine {
  std::size_t line = 0;                            // index in split_lines()
  std::string spec, mount_point, type, options;    // decoded but for options
  std::size_t options_at = 0, options_length = 0;  // in the line; both 0 if there are none
  bool well_formed = true;                         // false: fields five and six are no numbers; swapon ignores the line
};
/// The entries of `text` in order; comments, blank lines and lines of fewer than three fields are none.
std::vector<FstabLine> parse_fstab(std::string_view text);
/// `text` with the entry as declared. Errc::invalid if the priority is out of range.
Result<std::string> edit_fstab(const FstabEntry& p, std::string_view text);
/// What= of a unit file's text, specifiers decoded; nullopt without one.
std::optional<std::string> what_of_unit(std::string_view text);

ResourceId id(const FstabEntry& p);
Result<FstabEntry::State> inspect(const FstabEntry& p, const SystemView& view);
Checks compare(const FstabEntry& p, const FstabEntry::State& state);
Status preflight(const FstabEntry& p, const FstabEntry::State& state, const SystemView& view);
/// begin: writes the entry, and has systemd make a unit of it if need be. settle: waits for that.
Status begin(const FstabEntry& p, const FstabEntry::State& state, System& system);
Status settle(const FstabEntry& p, const FstabEntry::State& state, FstabEntry::Waiting& waiting, System& system);
Status apply(const FstabEntry& p, const FstabEntry::State& state, System& system);
std::string diff(const FstabEntry& p, const FstabEntry::State& state);
}  // namespace converge
