// Ansible's YAML inventory: hosts, groups, and every variable with the place it was written at.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "spec/value.h"

namespace converge::spec {

struct Host {
  std::string name;
  SourcePos at;
  Map vars;  // inline in the inventory, then its host_vars files; a name may stand several times, the last wins
  std::vector<std::string> groups;  // direct ones, in the order written; never "all"
};
struct Group {
  std::string name;
  SourcePos at;
  Map vars;  // inline, then its group_vars files; a name may stand several times, the last wins
  std::vector<std::string> hosts, children;
  std::vector<std::string> parents;  // every group but "all" has one
  int depth = 0;                     // steps from "all" by the longest way: where it stands in precedence
};

struct Inventory {
  std::vector<Host> hosts;                                  // in the order first written
  std::map<std::string, Group, std::less<>> groups;         // "all" is always there; "ungrouped" as Ansible has it
  std::map<std::string, std::size_t, std::less<>> numbers;  // of `hosts`, by name
  /// The members of every group, as the variable `groups` has them: made once, since it grows with the whole inventory.
  std::shared_ptr<const Value> members_by_group = std::make_shared<const Value>(Map{});
  const Host* find_host(std::string_view name) const;
  const Group* find_group(std::string_view name) const;
  std::vector<std::string> members(std::string_view group) const;  // hosts of a group and its children, inventory order
  std::vector<std::string> groups_of(
      std::string_view host) const;  // with ancestors; parents before children, "all" first
};

/// The user who had us run as root with sudo(8), from SUDO_UID; nullopt when nobody had.
std::optional<std::uint32_t> caller_of_sudo();

/// How the loader reaches files of the operator's machine; nothing else in spec/ does. Symbolic links are followed.
struct FileReader {
  std::size_t max_bytes = 1U << 20U;
  std::optional<std::uint32_t> caller = caller_of_sudo();  // may own the files, as root and we ourselves may
  /// Told of every path before it is asked for, there or not; may be empty.
  std::function<void(const std::string& path)> asked = {};
  /// The bytes of a regular file, at most max_bytes; judged by fstat(2) before anything is read. Errc::not_found,
  /// permission, too_big, invalid (a directory, FIFO, socket or device), io. Errc::refused if it, or a directory it
  /// lies in, belongs to or can be written by anybody but root, ourselves and the caller (in a directory with the
  /// sticky bit others may write: they cannot replace it). The group with its owner's number counts as the owner.
  Result<std::string> read(const std::string& path) const;
  /// Names in a directory, sorted, without "." and ".."; Errc::not_found if there is none, invalid if it is no
  /// directory.
  Result<std::vector<std::string>> list(const std::string& path) const;
  bool is_directory(const std::string& path) const;
};

/// Reads `path`: a file, or a directory (all *.yml, *.yaml and *.json in it, sorted, leaving out host_vars and
/// group_vars). host_vars/ and group_vars/ stand beside the file or in the directory: NAME.yml, NAME.yaml, NAME.json,
/// NAME or NAME/*.yml. A file in another case than its host's or group's serves it if no other fits (coulombcore.yml
/// serves CoulombCore); one that fits none is an error (it would be silently ignored) with "did you mean". Ranges in
/// host names (web[01:10]) are expanded. Cycles of children, a name that is both host and group: diagnostics.
/// @return nullopt after an error; warnings (a file left out) leave the inventory standing.
std::optional<Inventory> load_inventory(const std::string& path, const FileReader& files, Sources& sources,
                                        Diagnostics& diagnostics);

/// One inventory file's text by itself, without variable files.
/// @return nullopt after an error.
std::optional<Inventory> parse_inventory(const Source& source, Diagnostics& diagnostics);

/// "web[01:03].example" as web01.example, web02.example, web03.example; letters ([a:c]) and steps ([0:10:2]) as in
/// Ansible, several brackets multiply. A name without brackets is itself. Errc::invalid for brackets that are no range,
/// too_big above `limit` names.
Result<std::vector<std::string>> expand_ranges(std::string_view name, std::size_t limit = 10'000);

/// A diagnostic about a file that could not be read; its place is the file's name alone.
Diagnostic cannot_read(const std::string& path, Error error, Sources& sources);

/// Complains about each name in `vars` that templates could not use or that converge sets itself.
void check_variable_names(const Map& vars, Diagnostics& diagnostics);

}  // namespace converge::spec
