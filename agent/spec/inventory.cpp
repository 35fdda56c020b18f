#include "spec/inventory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/text.h"
#include "core/values.h"
#include "spec/yaml.h"

namespace converge::spec {
namespace {

constexpr std::size_t most_hosts = 100'000;
constexpr std::size_t most_copied = 1'000'000;
constexpr std::array<std::string_view, 3> endings{".yml", ".yaml", ".json"};
constexpr std::array<std::string_view, 4> reserved{"inventory_hostname", "group_names", "groups", "item"};

void complain(Diagnostics& diagnostics, SourcePos at, std::string message, std::string hint = {},
              Severity severity = Severity::error) {
  diagnostics.push_back({at, std::move(message), std::move(hint), severity});
}

bool has_errors(const Diagnostics& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::error; });
}

Error from_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return {Errc::not_found, std::strerror(number), {}, "check the path"};
    case EACCES:
    case EPERM:
      return {Errc::permission, std::strerror(number), {}, "run as a user that may read it"};
    default:
      return {Errc::io, std::strerror(number), {}, {}};
  }
}

/// What these files say is done as root, here or elsewhere: nobody but root and the caller may be able to write them,
/// or to put others in their place. In a directory with the sticky bit only an owner can replace a file.
class Trust {
 public:
  explicit Trust(std::optional<std::uint32_t> caller) : caller_(caller) {}

  std::optional<Error> objection(const std::string& path, const struct stat& file) const {
    if (auto error = judge("it", path, file)) return error;
    // Where the file lies, and where the name does that was asked for: a link may be elsewhere than what it names.
    const std::size_t slash = path.rfind('/');
    const std::string asked = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    char resolved[PATH_MAX];
    if (::realpath(path.c_str(), resolved) == nullptr) return from_errno(errno);
    const std::string lies =
        std::string(resolved).substr(0, std::max<std::size_t>(std::string(resolved).rfind('/'), 1));
    if (auto error = judge_upwards(lies)) return error;
    if (::realpath(asked.c_str(), resolved) == nullptr) return from_errno(errno);
    return lies == resolved ? std::nullopt : judge_upwards(resolved);
  }

 private:
  std::optional<Error> judge_upwards(std::string directory) const {
    for (;; directory.erase(std::max<std::size_t>(directory.rfind('/'), 1))) {
      struct stat status {};
      if (::stat(directory.c_str(), &status) != 0) return from_errno(errno);
      if (auto error = judge(fmt::format("its directory '{}'", directory), directory, status)) return error;
      if (directory.size() == 1) return std::nullopt;
    }
  }

  std::optional<Error> judge(const std::string& what, const std::string& name, const struct stat& status) const {
    const auto refusal = [&](std::string problem, std::string hint) {
      return Error{
          Errc::refused, fmt::format("{} {}, and what it says is done as root", what, problem), {}, std::move(hint)};
    };
    if (status.st_uid != 0 && status.st_uid != ::geteuid() && status.st_uid != caller_)
      return refusal(fmt::format("belongs to uid {}, neither root nor who runs this", status.st_uid),
                     fmt::format("have its owner run it with sudo, or: chown root {}", name));
    if (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0) return std::nullopt;
    if ((status.st_mode & S_IWOTH) != 0) return refusal("can be written by anyone", fmt::format("chmod o-w {}", name));
    // A user's own group has the user's number by custom, and nobody else in it.
    const bool own_group = status.st_gid == 0 || status.st_gid == status.st_uid;
    if ((status.st_mode & S_IWGRP) != 0 && !own_group)
      return refusal(fmt::format("can be written by all of group {}", status.st_gid),
                     fmt::format("chmod g-w {}", name));
    return std::nullopt;
  }

  std::optional<std::uint32_t> caller_;
};

/// What a directory entry is that is no regular file, in words.
std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

std::string within(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory.back() == '/' ? directory + name : directory + "/" + name;
}

/// `name` without a known ending; whether it had one.
std::pair<std::string, bool> stem(const std::string& name) {
  for (const std::string_view ending : endings)
    if (name.size() > ending.size() && name.ends_with(ending))
      return {name.substr(0, name.size() - ending.size()), true};
  return {name, false};
}

bool is_backup(const std::string& name) { return name.front() == '.' || name.back() == '~'; }

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// Why `name` cannot be said in a pattern; empty if it can.
std::string unusable_name(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > 253) return "is longer than 253 bytes";
  if (std::string_view("-!&~@").find(name.front()) != std::string_view::npos)
    return fmt::format("begins with '{}', which patterns give a meaning", name.front());
  for (const char c : name)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return "holds a blank or a control character";
  const std::size_t special = name.find_first_of(",*?/{}[]");
  if (special != std::string_view::npos) return fmt::format("holds '{}', which is not part of a name", name[special]);
  return {};
}

std::size_t nodes(const Value& value) {
  std::size_t count = 1;
  if (const List* list = value.list())
    for (const Value& element : *list) count += nodes(element);
  if (const Map* map = value.map())
    for (const Entry& entry : *map) count += nodes(entry.value);
  return count;
}

bool add_once(std::vector<std::string>& list, const std::string& name) {
  if (std::find(list.begin(), list.end(), name) != list.end()) return false;
  list.push_back(name);
  return true;
}

/// One load: gathers hosts and groups file by file, then settles what only the whole can tell.
class Loader {
 public:
  Loader(const FileReader& files, Sources& sources, Diagnostics& diagnostics)
      : files_(files), sources_(sources), diagnostics_(diagnostics) {
    inventory_.groups["all"].name = "all";
    inventory_.groups["ungrouped"].name = "ungrouped";
  }

  Inventory load(const std::string& path) {
    std::string base;
    if (files_.is_directory(path)) {
      base = path;
      directory(path);
    } else {
      const std::size_t slash = path.rfind('/');
      base = slash == std::string::npos ? "" : path.substr(0, slash + 1);
      file(path);
    }
    settle();
    // Which variable file fits is judged against all hosts: a file that failed would make every one look stray.
    if (!has_errors(diagnostics_)) {
      variable_files(within(base, "group_vars"), true);
      variable_files(within(base, "host_vars"), false);
    }
    return std::move(inventory_);
  }

  Inventory take(const Value& value) {
    groups(value);
    settle();
    return std::move(inventory_);
  }

 private:
  std::optional<Value> parse(const std::string& path) {
    auto text = files_.read(path);
    if (!text) {
      diagnostics_.push_back(cannot_read(path, std::move(text).error(), sources_));
      return std::nullopt;
    }
    if (text->starts_with("$ANSIBLE_VAULT")) {
      complain(diagnostics_, {sources_.add(path, {}), 0, 0},
               "is encrypted by ansible-vault, which converge does not read",
               "keep secrets out of the inventory; name the file on the host that holds them");
      return std::nullopt;
    }
    YamlRules rules;
    rules.aliases = true;
    rules.max_bytes = files_.max_bytes;
    return read_yaml(*sources_.add(path, std::move(*text)), rules, diagnostics_);
  }

  void directory(const std::string& path) {
    auto names = files_.list(path);
    if (!names) {
      diagnostics_.push_back(cannot_read(path, std::move(names).error(), sources_));
      return;
    }
    bool any = false;
    for (const std::string& name : *names) {
      const std::string full = within(path, name);
      if (is_backup(name) || name == "host_vars" || name == "group_vars") continue;
      if (stem(name).second) {
        any = true;
        file(full);
      } else {
        complain(diagnostics_, {sources_.add(full, {}), 0, 0}, "is not read: inventories are *.yml, *.yaml or *.json",
                 "move it elsewhere, or rename it if it is a YAML inventory", Severity::warning);
      }
    }
    if (!any)
      complain(diagnostics_, {sources_.add(path, {}), 0, 0}, "holds no inventory",
               "add a hosts.yaml that begins with 'all:'");
  }

  void file(const std::string& path) {
    if (const auto value = parse(path)) groups(*value);
  }

  void groups(const Value& value) {
    if (value.is_null()) return;
    const Map* top = value.map();
    if (top == nullptr) {
      complain(diagnostics_, value.at(), fmt::format("an inventory is a mapping of groups, not a {}", value.kind()),
               "begin with 'all:'");
      return;
    }
    for (const Entry& entry : *top) {
      if (entry.key == "hosts" || entry.key == "children" || entry.key == "vars")
        complain(diagnostics_, entry.key_at, fmt::format("'{}' stands outside of any group", entry.key),
                 "put it under 'all:'");
      else
        group(entry, entry.key == "all" ? std::string_view{} : "all");
    }
  }

  void group(const Entry& entry, std::string_view parent) {
    if (const std::string why = unusable_name(entry.key); !why.empty()) {
      complain(diagnostics_, entry.key_at, fmt::format("the group name '{}' {}", entry.key, why));
      return;
    }
    Group& group = inventory_.groups[entry.key];
    if (group.name.empty()) group.name = entry.key;
    if (group.at.source == nullptr) group.at = entry.key_at;
    if (entry.key == "all" && !parent.empty())
      complain(diagnostics_, entry.key_at, "'all' cannot be a child: every group is in it already");
    else if (!parent.empty() && parent != "all")
      add_once(inventory_.groups.find(parent)->second.children, entry.key);

    if (entry.value.is_null()) return;
    const Map* sections = entry.value.map();
    if (sections == nullptr) {
      complain(diagnostics_, entry.value.at(),
               fmt::format("group '{}' must be a mapping of hosts, children and vars, not a {}", entry.key,
                           entry.value.kind()));
      return;
    }
    for (const Entry& section : *sections) {
      if (section.key == "vars") {
        variables(section.value, group.vars, fmt::format("vars of group '{}'", entry.key));
      } else if (section.key == "hosts") {
        each_name(section, "hosts", [&](const Entry& host) { this->host(host, group); });
      } else if (section.key == "children") {
        each_name(section, "children", [&](const Entry& child) { this->group(child, entry.key); });
      } else {
        std::string hint = did_you_mean(section.key, {"hosts", "children", "vars"});
        if (hint.empty()) hint = "a group has 'hosts', 'children' and 'vars'; its groups stand under 'children'";
        complain(diagnostics_, section.key_at, fmt::format("unknown key '{}' in group '{}'", section.key, entry.key),
                 std::move(hint));
      }
    }
  }

  template <class Use>
  void each_name(const Entry& section, std::string_view what, Use use) {
    if (section.value.is_null()) return;
    if (const std::string* one = section.value.string()) {
      use(Entry{*one, section.value.at(), Value({}, section.value.at())});
    } else if (const Map* names = section.value.map()) {
      for (const Entry& name : *names) use(name);
    } else {
      complain(diagnostics_, section.value.at(),
               fmt::format("'{}' must be a mapping, not a {}", what, section.value.kind()),
               "write each name on a line of its own with a colon: 'web1:'");
    }
  }

  void host(const Entry& entry, Group& group) {
    auto names = expand_ranges(entry.key);
    if (!names) {
      complain(diagnostics_, entry.key_at, std::move(names.error().message), std::move(names.error().hint));
      return;
    }
    Map vars;
    variables(entry.value, vars, fmt::format("variables of host '{}'", entry.key));
    if (names->size() > 1) copied_ += names->size() * nodes(entry.value);
    if (copied_ > most_copied) {
      complain(diagnostics_, entry.key_at, "the variables of hosts made by ranges are too many",
               "give them to a group instead");
      return;
    }
    for (const std::string& name : *names) {
      if (const std::string why = unusable_name(name); !why.empty()) {
        complain(diagnostics_, entry.key_at, fmt::format("the host name '{}' {}", name, why));
        return;
      }
      auto found = inventory_.numbers.find(name);
      if (found == inventory_.numbers.end()) {
        if (inventory_.hosts.size() == most_hosts) {
          if (!std::exchange(full_, true))
            complain(diagnostics_, entry.key_at, fmt::format("more than {} hosts", most_hosts));
          return;
        }
        found = inventory_.numbers.emplace(name, inventory_.hosts.size()).first;
        inventory_.hosts.push_back({name, entry.key_at, {}, {}});
      }
      Host& host = inventory_.hosts[found->second];
      host.vars.insert(host.vars.end(), vars.begin(), vars.end());
      if (group.name != "all" && add_once(host.groups, group.name)) group.hosts.push_back(name);
    }
  }

  void variables(const Value& value, Map& into, const std::string& what) {
    if (value.is_null()) return;
    const Map* vars = value.map();
    if (vars == nullptr) {
      complain(diagnostics_, value.at(), fmt::format("{} must be a mapping, not a {}", what, value.kind()));
      return;
    }
    check_variable_names(*vars, diagnostics_);
    into.insert(into.end(), vars->begin(), vars->end());
  }

  /// What the whole decides: ungrouped, parents, depths, cycles, names used twice.
  void settle() {
    auto& groups = inventory_.groups;
    Group& ungrouped = groups["ungrouped"];
    ungrouped.hosts.clear();
    for (Host& host : inventory_.hosts) {
      std::erase(host.groups, "ungrouped");
      if (host.groups.empty()) {
        host.groups.emplace_back("ungrouped");
        ungrouped.hosts.push_back(host.name);
      }
      if (const auto twin = groups.find(host.name); twin != groups.end())
        complain(diagnostics_, host.at, fmt::format("'{}' is a host and a group", host.name),
                 fmt::format("the group is at {}; rename one", twin->second.at.text()));
    }
    for (const auto& [name, group] : groups)
      for (const std::string& child : group.children) groups[child].parents.push_back(name);
    for (auto& [name, group] : groups)
      if (group.parents.empty() && name != "all") {
        group.parents.emplace_back("all");
        groups["all"].children.push_back(name);
      }
    depths();
    list_members();
  }

  /// From the hosts' side: looking for the members of each group would take groups times hosts.
  void list_members() {
    std::map<std::string, List, std::less<>> lists;
    for (const auto& [name, group] : inventory_.groups) lists[name];
    for (const Host& host : inventory_.hosts)
      for (const std::string& name : inventory_.groups_of(host.name))
        lists[name].emplace_back(host.name, SourcePos{}, true);
    Map members;
    for (auto& [name, list] : lists) members.push_back({name, {}, Value(std::move(list))});
    inventory_.members_by_group = std::make_shared<const Value>(std::move(members));
  }

  /// Takes groups away whose parents are all gone, from "all" down; what stays is on a cycle, or below one.
  void depths() {
    auto& groups = inventory_.groups;
    std::map<std::string_view, std::size_t> waiting;
    for (const auto& [name, group] : groups) waiting[name] = group.parents.size();
    std::vector<std::string_view> ready{"all"};
    std::size_t done = 0;
    for (; done < ready.size(); ++done) {
      const Group& group = groups.find(ready[done])->second;
      for (const std::string& name : group.children) {
        Group& child = groups.find(name)->second;
        child.depth = std::max(child.depth, group.depth + 1);
        if (--waiting[child.name] == 0) ready.push_back(child.name);
      }
    }
    if (done == groups.size()) return;
    // From any group that stays, going up never leaves those that stay: the walk must come back to where it has been.
    std::vector<std::string> walk;
    std::unordered_set<std::string> seen;
    const Group* at = nullptr;
    for (const auto& [name, group] : groups)
      if (waiting[name] > 0) at = &group;
    while (at != nullptr && seen.insert(at->name).second) {
      walk.push_back(at->name);
      const auto up = std::find_if(at->parents.begin(), at->parents.end(),
                                   [&](const std::string& parent) { return waiting[parent] > 0; });
      at = up == at->parents.end() ? nullptr : &groups.find(*up)->second;
    }
    if (at == nullptr) return;
    walk.erase(walk.begin(), std::find(walk.begin(), walk.end(), at->name));
    std::reverse(walk.begin(), walk.end());
    walk.insert(walk.begin(), at->name);
    complain(diagnostics_, at->at, fmt::format("groups contain each other: {}", join(walk, " > ")),
             "take one of them out of the other's 'children'");
  }

  void variable_files(const std::string& directory, bool of_groups) {
    auto names = files_.list(directory);
    if (!names) {
      if (names.error().code != Errc::not_found)
        diagnostics_.push_back(cannot_read(directory, std::move(names).error(), sources_));
      return;
    }
    std::vector<std::string> known, others;
    for (const auto& [name, group] : inventory_.groups) (of_groups ? known : others).push_back(name);
    for (const Host& host : inventory_.hosts) (of_groups ? others : known).push_back(host.name);
    const std::unordered_set<std::string> exact(known.begin(), known.end());
    std::unordered_multimap<std::string, std::string> folded;
    for (const std::string& name : known) folded.emplace(lower(name), name);

    struct Fit {
      std::string path, name;
    };
    std::vector<Fit> fits;
    std::unordered_map<std::string, std::string> served;  // by a name in its own case: its file
    for (const std::string& name : *names) {
      if (is_backup(name)) continue;
      const auto [base, known_ending] = stem(name);
      if (exact.contains(base)) served.emplace(base, name);
    }
    const std::string_view word = of_groups ? "group" : "host";
    for (const std::string& name : *names) {
      if (is_backup(name)) continue;
      const std::string path = within(directory, name);
      const auto [base, known_ending] = stem(name);
      if (exact.contains(base)) {
        fits.push_back({path, base});
        continue;
      }
      const SourcePos at{sources_.add(path, {}), 0, 0};
      const auto [first, last] = folded.equal_range(lower(base));
      const auto count = std::distance(first, last);
      if (count > 1) {
        std::vector<std::string> several;
        for (auto it = first; it != last; ++it) several.push_back("'" + it->second + "'");
        std::sort(several.begin(), several.end());
        complain(diagnostics_, at, fmt::format("may mean any of the {}s {}", word, join(several, ", ")),
                 "name the file exactly as the one it is for");
      } else if (count == 1 && served.contains(first->second)) {
        complain(diagnostics_, at,
                 fmt::format("{} '{}' has two files: '{}' and '{}'", word, first->second, served[first->second], name),
                 "keep one of them");
      } else if (count == 1) {
        served.emplace(first->second, name);
        fits.push_back({path, first->second});
      } else if (known_ending || name.find('.') == std::string::npos) {
        std::string hint = did_you_mean(base, known);
        if (std::find(others.begin(), others.end(), base) != others.end())
          hint = fmt::format("there is a {} '{}': move the file to {}", of_groups ? "host" : "group", base,
                             of_groups ? "host_vars" : "group_vars");
        if (hint.empty()) hint = fmt::format("rename it after a {} of the inventory, or take it away", word);
        complain(diagnostics_, at, fmt::format("no {} is called '{}': nothing would read this", word, base),
                 std::move(hint));
      } else {
        complain(diagnostics_, at, "is not read: variable files are *.yml, *.yaml or *.json",
                 "move it elsewhere, or rename it", Severity::warning);
      }
    }
    for (const Fit& fit : fits) {
      Map& vars = of_groups ? inventory_.groups.find(fit.name)->second.vars
                            : inventory_.hosts[inventory_.numbers[fit.name]].vars;
      variable_file(fit.path, vars, 0);
    }
  }

  void variable_file(const std::string& path, Map& into, int depth) {
    if (!files_.is_directory(path)) {
      if (const auto value = parse(path)) variables(*value, into, "a file of variables");
      return;
    }
    auto names = files_.list(path);
    if (!names || depth == 8) {
      Error error = names ? Error{Errc::too_big, "directories nest too deep", {}, {}} : std::move(names).error();
      diagnostics_.push_back(cannot_read(path, std::move(error), sources_));
      return;
    }
    for (const std::string& name : *names) {
      const std::string full = within(path, name);
      if (is_backup(name)) continue;
      if (stem(name).second || files_.is_directory(full)) variable_file(full, into, depth + 1);
    }
  }

  const FileReader& files_;
  Sources& sources_;
  Diagnostics& diagnostics_;
  Inventory inventory_;
  bool full_ = false;
  std::size_t copied_ = 0;  // values that ranges multiplied
};

/// One bracket of a range: "01:10", "a:f:2".
Result<std::vector<std::string>> range(std::string_view text, std::string_view whole, std::size_t limit) {
  const auto bad = [&](std::string why, Errc code = Errc::invalid) {
    return Error{code, fmt::format("'[{}]' in '{}' {}", text, whole, why), {}, "write a range as [01:10] or [a:f]"};
  };
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return bad("is not a range");
  const bool numeric =
      !parts[1].empty() && std::all_of(parts[1].begin(), parts[1].end(), [](char c) { return c >= '0' && c <= '9'; });
  std::uint64_t first = 0, last = 0, step = 1, width = 0;
  if (parts.size() == 3 && (!parse_number(parts[2], step) || step == 0)) return bad("has no step above 0");
  if (numeric) {
    const std::string_view from = parts[0].empty() ? "0" : parts[0];
    if (!parse_number(from, first) || !parse_number(parts[1], last)) return bad("is not a range");
    if (from.size() > 1 && from.front() == '0') {
      if (from.size() != parts[1].size()) return bad("begins with a zero, so both ends must be as long");
      width = from.size();
    }
  } else {
    const auto letter = [](std::string_view s) {
      return s.size() == 1 && ((s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z'));
    };
    if (!letter(parts[0]) || !letter(parts[1]) || (parts[0][0] >= 'a') != (parts[1][0] >= 'a'))
      return bad("is not a range");
    first = static_cast<unsigned char>(parts[0][0]);
    last = static_cast<unsigned char>(parts[1][0]);
  }
  if (first > last) return bad("ends before it begins");
  if ((last - first) / step >= limit) return bad(fmt::format("is more than {} names", limit), Errc::too_big);
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i <= (last - first) / step; ++i) {
    const std::uint64_t value = first + i * step;
    out.push_back(numeric ? fmt::format("{:0{}}", value, width) : std::string(1, static_cast<char>(value)));
  }
  return out;
}

}  // namespace

std::optional<std::uint32_t> caller_of_sudo() {
  const char* text = ::geteuid() == 0 ? std::getenv("SUDO_UID") : nullptr;
  std::uint64_t uid = 0;
  if (text == nullptr || !parse_number(std::string_view(text), uid) || uid >= UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(uid);
}

Result<std::string> FileReader::read(const std::string& path) const {
  if (asked) asked(path);
  if (path.find('\0') != std::string::npos) return Error{Errc::invalid, "the path holds a NUL byte", {}, {}};
  // O_NONBLOCK: opening a FIFO without a writer would wait for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) {
    if (errno == ENXIO)
      return Error{Errc::invalid, "it is a socket or a device, not a file", {}, "name a regular file"};
    return from_errno(errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return from_errno(errno);
  if (!S_ISREG(status.st_mode))
    return Error{
        Errc::invalid, fmt::format("it is {}, not a file", kind_of(status.st_mode)), {}, "name a regular file"};
  if (auto untrusted = Trust(caller).objection(path, status)) return std::move(*untrusted);
  const auto too_big = [&](std::uint64_t size) {
    return Error{Errc::too_big,
                 fmt::format("it has {}, the limit is {}", Bytes{size}.text(), Bytes{max_bytes}.text()),
                 {},
                 "split it, or check that it is the right file"};
  };
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes)
    return too_big(static_cast<std::uint64_t>(status.st_size));
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return from_errno(errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > max_bytes) return too_big(text.size());  // it grew, or its size is not told (procfs)
  }
}

Result<std::vector<std::string>> FileReader::list(const std::string& path) const {
  if (asked) asked(path.empty() ? "." : path);
  if (path.find('\0') != std::string::npos) return Error{Errc::invalid, "the path holds a NUL byte", {}, {}};
  const char* shown = path.empty() ? "." : path.c_str();
  struct stat status {};
  if (::stat(shown, &status) != 0) return from_errno(errno);
  if (!S_ISDIR(status.st_mode)) return Error{Errc::invalid, "it is not a directory", {}, {}};
  DIR* directory = ::opendir(shown);
  if (directory == nullptr) return from_errno(errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int failed = errno;
  ::closedir(directory);
  if (failed != 0) return from_errno(failed);
  std::sort(names.begin(), names.end());
  return names;
}

bool FileReader::is_directory(const std::string& path) const {
  if (asked) asked(path);
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Diagnostic cannot_read(const std::string& path, Error error, Sources& sources) {
  return {
      {sources.add(path, {}), 0, 0}, fmt::format("cannot read '{}': {}", path, error.text()), std::move(error.hint)};
}

void check_variable_names(const Map& vars, Diagnostics& diagnostics) {
  for (const Entry& entry : vars) {
    if (!is_variable_name(entry.key))
      complain(diagnostics, entry.key_at, fmt::format("'{}' cannot be the name of a variable", entry.key),
               "use letters, digits and '_', and begin with a letter or '_'");
    else if (std::find(reserved.begin(), reserved.end(), entry.key) != reserved.end())
      complain(diagnostics, entry.key_at, fmt::format("'{}' is set by converge itself", entry.key),
               "choose another name");
  }
}

Result<std::vector<std::string>> expand_ranges(std::string_view name, std::size_t limit) {
  if (name.size() > 1000) return Error{Errc::too_big, "a name is longer than 1000 bytes", {}, {}};
  std::vector<std::string> done{""};
  std::string_view rest = name;
  while (!rest.empty()) {
    const std::size_t open = rest.find('[');
    const std::string_view plain = rest.substr(0, open);
    for (std::string& prefix : done) prefix += plain;
    if (open == std::string_view::npos) break;
    const std::size_t close = rest.find(']', open);
    if (close == std::string_view::npos)
      return Error{Errc::invalid, fmt::format("'{}' opens a range and does not close it", name), {}, "add a ']'"};
    auto values = range(rest.substr(open + 1, close - open - 1), name, limit);
    if (!values) return std::move(values).error();
    if (values->size() * done.size() > limit)
      return Error{Errc::too_big, fmt::format("'{}' is more than {} names", name, limit), {}, "use smaller ranges"};
    std::vector<std::string> next;
    next.reserve(values->size() * done.size());
    for (const std::string& prefix : done)
      for (const std::string& value : *values) next.push_back(prefix + value);
    done = std::move(next);
    rest.remove_prefix(close + 1);
  }
  return done;
}

const Host* Inventory::find_host(std::string_view name) const {
  const auto found = numbers.find(name);
  return found == numbers.end() ? nullptr : &hosts[found->second];
}

const Group* Inventory::find_group(std::string_view name) const {
  const auto found = groups.find(name);
  return found == groups.end() ? nullptr : &found->second;
}

std::vector<std::string> Inventory::members(std::string_view group) const {
  std::vector<std::string> out;
  std::set<std::string_view> inside, seen{group};
  std::vector<std::string_view> open{group};
  while (!open.empty()) {
    const Group* at = find_group(open.back());
    open.pop_back();
    if (at == nullptr) continue;
    inside.insert(at->hosts.begin(), at->hosts.end());
    for (const std::string& child : at->children)
      if (seen.insert(child).second) open.push_back(child);
  }
  for (const Host& host : hosts)
    if (group == "all" || inside.contains(host.name)) out.push_back(host.name);
  return out;
}

std::vector<std::string> Inventory::groups_of(std::string_view host) const {
  const Host* found = find_host(host);
  if (found == nullptr) return {};
  std::set<std::string> names{"all"};
  std::vector<std::string> open = found->groups;
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    if (!names.insert(name).second) continue;
    if (const Group* group = find_group(name)) open.insert(open.end(), group->parents.begin(), group->parents.end());
  }
  std::vector<std::string> out(names.begin(), names.end());
  const auto depth = [&](const std::string& name) {
    const Group* group = find_group(name);
    return group == nullptr ? 0 : group->depth;
  };
  // Depth first, so that a child overrides its parents; names break ties, as Ansible does.
  std::stable_sort(out.begin(), out.end(),
                   [&](const std::string& a, const std::string& b) { return depth(a) < depth(b); });
  return out;
}

std::optional<Inventory> load_inventory(const std::string& path, const FileReader& files, Sources& sources,
                                        Diagnostics& diagnostics) {
  Diagnostics mine;
  Inventory inventory = Loader(files, sources, mine).load(path);
  const bool failed = has_errors(mine);
  diagnostics.insert(diagnostics.end(), std::make_move_iterator(mine.begin()), std::make_move_iterator(mine.end()));
  if (failed) return std::nullopt;
  return inventory;
}

std::optional<Inventory> parse_inventory(const Source& source, Diagnostics& diagnostics) {
  YamlRules rules;
  rules.aliases = true;
  const auto value = read_yaml(source, rules, diagnostics);
  if (!value) return std::nullopt;
  Diagnostics mine;
  Sources none;
  Inventory inventory = Loader(FileReader{}, none, mine).take(*value);
  const bool failed = has_errors(mine);
  diagnostics.insert(diagnostics.end(), std::make_move_iterator(mine.begin()), std::make_move_iterator(mine.end()));
  if (failed) return std::nullopt;
  return inventory;
}

}  // namespace converge::spec
