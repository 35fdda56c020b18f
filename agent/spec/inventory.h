// Ansible's YAML inventory: hosts, groups, and every variable with the place it was written at.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/result.h"
#include "spec/value.h"

namespace converge::spec {

struct Variable {
  std::string name;
  Value value;
  std::string origin;  // "group all", "group coulomb", "host CoulombCore", "spec vars", "-e"
};

struct Host {
  std::string name;
  SourcePos at;
  Map vars;                          // inline in the inventory, then its host_vars files (in that order of precedence)
  std::vector<std::string> groups;   // direct ones, in the order written
};
struct Group {
  std::string name;
  SourcePos at;
  Map vars;                          // inline, then its group_vars files
  std::vector<std::string> hosts, children;
};

struct Inventory {
  std::vector<Host> hosts;           // in the order first written
  std::map<std::string, Group, std::less<>> groups;  // "all" is always there; "ungrouped" as Ansible has it
  const Host* find_host(std::string_view name) const;
  const Group* find_group(std::string_view name) const;
  std::vector<std::string> members(std::string_view group) const;  // hosts of a group and its children, inventory order
  std::vector<std::string> groups_of(std::string_view host) const; // with ancestors; parents before children, "all" first
};

/// Reads `path`: a file, or a directory (all *.yml, *.yaml in it, sorted, leaving out host_vars and group_vars). host_vars/
/// and group_vars/ stand beside the file or in the directory: NAME.yml, NAME.yaml, NAME.json or NAME/*.yml. A host_vars file
/// in another case than its host's serves it if no other host fits (coulombcore.yml serves CoulombCore); one that fits no
/// host or group is a diagnostic (an error: it would be silently ignored) with "did you mean". Ranges in host names
/// (web[01:10]) are expanded. Cycles of children, a name that is both host and group: diagnostics.
/// @param read reads a file of this machine; see FileReader.
struct FileReader;
std::optional<Inventory> load_inventory(const std::string& path, const FileReader& files, Sources& sources,
                                        Diagnostics& diagnostics);

/// How the loader reaches files of the operator's machine; nothing else in spec/ does.
struct FileReader {
  std::size_t max_bytes = 1U << 20U;
  /// The bytes of a regular file, at most max_bytes. Errc::not_found, too_big, invalid (a directory) ...
  Result<std::string> read(const std::string& path) const;
  /// Names in a directory, sorted; Errc::not_found if there is none.
  Result<std::vector<std::string>> list(const std::string& path) const;
  bool is_directory(const std::string& path) const;
};

}  // namespace converge::spec
