#include "tests/support/fake_system.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/text.h"

namespace converge {
namespace {

std::string owner_text(Owner owner) { return fmt::format("{}:{}", owner.uid, owner.gid); }

Error error(Errc code, std::string message) { return Error{code, std::move(message), {}, {}}; }

std::string last_component(std::string_view path) {
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string by(const Place& place) { return place.as ? "as " + place.as->name + " " : std::string(); }

}  // namespace

FakeSystem::FakeSystem() {
  nodes_["/"] = {DirectoryInfo{Mode{0755}, root_owner}, {}, {}};
  mounts_["/"] = {"ext4", 60_GiB, 80_GiB, false};
}

// ---- the world ---------------------------------------------------------------------------------------------------

void FakeSystem::make_parents(const AbsPath& path) {
  if (nodes_.contains(path.str())) return;
  make_parents(path.parent());
  nodes_[path.str()] = {DirectoryInfo{Mode{0755}, root_owner}, {}, {}};
}

void FakeSystem::put(const std::string& path, Node node) {
  make_parents(AbsPath(path).parent());
  nodes_[path] = std::move(node);
  ++changes_;
}

RegularFile FakeSystem::fresh_file(Mode mode, Owner owner, std::size_t size) {
  return {.mode = mode, .owner = owner, .size = {size}, .modified = now_, .inode = next_inode_++, .device = 1};
}

void FakeSystem::put_file(std::string_view path, std::string_view content, Mode mode, Owner owner) {
  put(std::string(path), {fresh_file(mode, owner, content.size()), std::string(content), {}});
}

void FakeSystem::put_directory(std::string_view path, Mode mode, Owner owner) {
  put(std::string(path), {DirectoryInfo{mode, owner}, {}, {}});
}

void FakeSystem::put_symlink(std::string_view path, std::string_view target) {
  put(std::string(path), {Symlink{std::string(target)}, {}, {}});
}

void FakeSystem::put_other(std::string_view path, std::string_view kind) {
  put(std::string(path), {OtherKind{std::string(kind)}, {}, {}});
}

void FakeSystem::set_mode(std::string_view path, Mode mode) {
  Node& node = nodes_.at(std::string(path));
  if (auto* file = std::get_if<RegularFile>(&node.state)) file->mode = mode;
  if (auto* directory = std::get_if<DirectoryInfo>(&node.state)) directory->mode = mode;
  ++changes_;
}

void FakeSystem::set_owner(std::string_view path, Owner owner) {
  Node& node = nodes_.at(std::string(path));
  if (auto* file = std::get_if<RegularFile>(&node.state)) file->owner = owner;
  if (auto* directory = std::get_if<DirectoryInfo>(&node.state)) directory->owner = owner;
  ++changes_;
}

void FakeSystem::set_links(std::string_view path, std::uint64_t links) {
  std::get<RegularFile>(nodes_.at(std::string(path)).state).links = links;
}

void FakeSystem::set_immutable(std::string_view path) { immutable_.emplace(path); }

void FakeSystem::erase(std::string_view path) {
  std::erase_if(nodes_, [&](const auto& entry) {
    return entry.first == path || entry.first.starts_with(std::string(path) + "/");
  });
  ++changes_;
}

void FakeSystem::add_user(const Person& person) {
  people_[person.name] = person;
  const std::string passwd = exists("/etc/passwd") ? content("/etc/passwd") : "";
  put_file("/etc/passwd", passwd + fmt::format("{}:x:{}:{}:{}:{}:/bin/bash\n", person.name, person.uid, person.gid,
                                               person.name, person.home.str()));
  if (!groups_.contains(person.name)) add_group(person.name, person.gid);
  if (!exists(person.home.str())) put_directory(person.home.str(), Mode{0755}, {person.uid, person.gid});
}

void FakeSystem::add_group(std::string_view name, std::uint32_t gid, std::string_view members) {
  groups_[std::string(name)] = gid;
  const std::string group = exists("/etc/group") ? content("/etc/group") : "";
  put_file("/etc/group", group + fmt::format("{}:x:{}:{}\n", name, gid, members));
}

void FakeSystem::set_file_system(std::string_view mount_point, FileSystem info) {
  mounts_[std::string(mount_point)] = std::move(info);
}

void FakeSystem::tick(std::chrono::microseconds by_how_much) { now_.micros += by_how_much.count(); }

void FakeSystem::on_command(std::string_view argv0, Handler handler) {
  handlers_[std::string(argv0)] = std::move(handler);
  if (const auto it = missing_commands_.find(argv0); it != missing_commands_.end()) missing_commands_.erase(it);
}

void FakeSystem::without_command(std::string_view argv0) { missing_commands_.emplace(argv0); }

// ---- what happened -----------------------------------------------------------------------------------------------

std::map<std::string, std::string> FakeSystem::snapshot() const {
  std::map<std::string, std::string> all;
  for (const auto& [path, node] : nodes_) {
    std::string text = kind_of(node.state);
    if (const auto* file = std::get_if<RegularFile>(&node.state)) {
      text += " " + file->mode.text() + " " + owner_text(*file->owner) + "\n" + node.content;
      if (node.swap)
        text += fmt::format("swap {} {}", file->size.count, node.swap->header ? node.swap->header->uuid : "-");
    } else if (const auto* directory = std::get_if<DirectoryInfo>(&node.state)) {
      text += " " + directory->mode.text() + " " + owner_text(*directory->owner);
    } else if (const auto* link = std::get_if<Symlink>(&node.state)) {
      text += " -> " + link->target;
    }
    all[path] = std::move(text);
  }
  return all;
}

const std::string& FakeSystem::content(std::string_view path) const {
  static const std::string nothing;
  const auto it = nodes_.find(std::string(path));
  if (it == nodes_.end() || !std::holds_alternative<RegularFile>(it->second.state)) {
    ADD_FAILURE() << path << " is no regular file of the fake host";
    return nothing;
  }
  return it->second.content;
}

PathState FakeSystem::state(std::string_view path) const {
  const auto it = nodes_.find(std::string(path));
  return it == nodes_.end() ? PathState(Absent{}) : shown(it->second.state);
}

void FakeSystem::fail_mutation(int n, Errc code) {
  fail_in_ = n;
  fail_code_ = code;
}
void FakeSystem::die_at_mutation(int n) { die_in_ = n; }
void FakeSystem::clear_faults() {
  fail_in_ = die_in_ = 0;
  look_faults_.clear();
}
void FakeSystem::fail_look(std::string_view path, Errc code) { look_faults_[std::string(path)] = code; }

Status FakeSystem::mutate(std::string what) {
  const bool of_a_user = what.starts_with("as ") && !what.starts_with("as root ");
  std::erase_if(ahead_, [&](const Ahead& each) { return !of_a_user || !each.command.rests_on_root_alone; });
  units_ahead_.clear();
  if (die_in_ > 0 && --die_in_ == 0) throw ProcessDied{std::move(what)};
  if (fail_in_ > 0 && --fail_in_ == 0) return error(fail_code_, "injected failure of '" + what + "'");
  mutations_.push_back(std::move(what));
  tick(std::chrono::milliseconds(1));
  ++changes_;
  return ok();
}

// ---- paths -------------------------------------------------------------------------------------------------------

PathState FakeSystem::shown(const PathState& state) const {
  PathState out = state;
  if (owners_managed) return out;
  if (auto* file = std::get_if<RegularFile>(&out)) file->owner = std::nullopt;
  if (auto* directory = std::get_if<DirectoryInfo>(&out)) directory->owner = std::nullopt;
  return out;
}

namespace {
/// True if the mode lets `person` do `right`: 4 read, 1 search.
template <class Node>
bool permits(const Person& person, const Node& node, unsigned right) {
  if (!node.owner || person.uid == 0) return true;
  const unsigned shift = node.owner->uid == person.uid ? 6 : node.owner->gid == person.gid ? 3 : 0;
  return (node.mode.bits >> shift & right) != 0;
}
}  // namespace

Result<std::string> FakeSystem::resolve(const Place& place) const {
  std::string real;
  std::vector<std::string> rest;
  for (const auto part : split(place.path.str(), '/'))
    if (!part.empty()) rest.emplace_back(part);
  std::reverse(rest.begin(), rest.end());
  for (int followed = 0; !rest.empty();) {
    const std::string part = std::move(rest.back());
    rest.pop_back();
    const std::string here = real + "/" + part;
    const auto it = nodes_.find(here);
    const auto* link = it == nodes_.end() ? nullptr : std::get_if<Symlink>(&it->second.state);
    if (link == nullptr || rest.empty()) {
      if (it != nodes_.end() && !rest.empty() && !std::holds_alternative<DirectoryInfo>(it->second.state))
        return error(Errc::not_found, "'" + here + "' is not a directory");
      if (const auto* directory = it == nodes_.end() ? nullptr : std::get_if<DirectoryInfo>(&it->second.state);
          place.as && directory != nullptr && !rest.empty() && !permits(*place.as, *directory, 1))
        return error(Errc::permission, "'" + place.as->name + "' may not look into '" + here + "'");
      real = here;
      continue;
    }
    if (place.as && here.starts_with(place.as->home.str() + "/"))
      return error(Errc::symlink, "'" + here + "' is a symbolic link");
    if (++followed > 40) return error(Errc::symlink, "too many symbolic links at '" + here + "'");
    auto target = split(link->target, '/');
    if (link->target.starts_with('/')) real.clear();
    for (auto part_of = target.rbegin(); part_of != target.rend(); ++part_of)
      if (!part_of->empty() && *part_of != ".") rest.emplace_back(*part_of);
  }
  return real.empty() ? std::string("/") : real;
}

Result<PathState> FakeSystem::look(const Place& place) const {
  if (const auto it = look_faults_.find(place.path.str()); it != look_faults_.end())
    return error(it->second, "cannot look at '" + place.path.str() + "'");
  const auto real = resolve(place);
  if (!real) {
    if (real.error().code == Errc::not_found) return PathState(Absent{});
    return real.error();
  }
  return state(*real);
}

Result<Seen> FakeSystem::read(const Place& place, Bytes limit) const {
  auto what = look(place);
  if (!what) return what.error();
  Seen seen{*what, {}};
  if (!std::holds_alternative<RegularFile>(seen.state)) return seen;
  if (place.as && !permits(*place.as, std::get<RegularFile>(seen.state), 4))
    return error(Errc::permission, "'" + place.as->name + "' may not read '" + place.path.str() + "'");
  const Node& node = nodes_.at(*resolve(place));
  if (node.content.size() > limit.count || (node.swap && std::get<RegularFile>(node.state).size > limit))
    return error(Errc::too_big, "'" + place.path.str() + "' is larger than " + limit.text());
  seen.content = node.content;
  return seen;
}

Result<std::optional<std::vector<std::string>>> FakeSystem::list(const Place& place) const {
  using Names = std::optional<std::vector<std::string>>;
  if (const auto it = look_faults_.find(place.path.str()); it != look_faults_.end())
    return error(it->second, "cannot list '" + place.path.str() + "'");
  // As opendir(3): the last component is followed too.
  auto real = resolve(place);
  for (int followed = 0; real && followed < 8; ++followed) {
    const auto it = nodes_.find(*real);
    const auto* link = it == nodes_.end() ? nullptr : std::get_if<Symlink>(&it->second.state);
    if (link == nullptr) break;
    if (place.as) return error(Errc::symlink, "'" + *real + "' is a symbolic link");
    const std::string target =
        link->target.starts_with('/') ? link->target : AbsPath(*real).parent().str() + "/" + link->target;
    const auto path = AbsPath::parse(target);
    if (!path) return path.error();
    real = resolve(Place(*path));
  }
  if (!real) {
    if (real.error().code == Errc::not_found) return Names();
    return real.error();
  }
  const auto it = nodes_.find(*real);
  if (it == nodes_.end() || !std::holds_alternative<DirectoryInfo>(it->second.state)) return Names();
  const std::string prefix = *real == "/" ? "/" : *real + "/";
  std::vector<std::string> names;
  for (auto child = nodes_.upper_bound(prefix); child != nodes_.end() && child->first.starts_with(prefix); ++child)
    if (child->first.find('/', prefix.size()) == std::string::npos) names.push_back(child->first.substr(prefix.size()));
  std::sort(names.begin(), names.end());
  return Names(std::move(names));
}

Status FakeSystem::may_change_in(const Place& place, const std::string& real) const {
  const std::string above = AbsPath(real).parent().str();
  const auto it = nodes_.find(above);
  if (it == nodes_.end()) return error(Errc::not_found, "no directory '" + above + "'");
  const auto* directory = std::get_if<DirectoryInfo>(&it->second.state);
  if (directory == nullptr) return error(Errc::not_found, "'" + above + "' is not a directory");
  if (place.as && directory->owner->uid != place.as->uid)
    return error(Errc::permission, fmt::format("'{}' may not write in '{}'", place.as->name, above));
  if (immutable_.contains(real) || immutable_.contains(above))
    return error(Errc::permission, "'" + real + "': immutable attribute set by an administrator");
  for (auto mount = AbsPath(above);; mount = mount.parent()) {
    if (const auto found = mounts_.find(mount.str()); found != mounts_.end()) {
      if (found->second.read_only) return error(Errc::read_only, "'" + mount.str() + "' is a read-only file system");
      break;
    }
  }
  return ok();
}

Status FakeSystem::write_file(const Place& place, std::string_view content, const WriteOptions& options) {
  const auto real = resolve(place);
  if (!real) return real.error();
  const PathState before = state(*real);
  const auto* file = std::get_if<RegularFile>(&before);
  if (file == nullptr && !std::holds_alternative<Absent>(before))
    return error(Errc::exists, fmt::format("'{}' is a {}", place.path.str(), kind_of(before)));
  if (Status may = may_change_in(place, *real); !may) return may;
  if (place.as && options.owner.uid != place.as->uid)
    return error(Errc::permission, fmt::format("'{}' may not give '{}' away", place.as->name, place.path.str()));
  if (options.replaces) {
    const auto* planned = std::get_if<RegularFile>(&*options.replaces);
    const bool same = options.replaces->index() == before.index() &&
                      (planned == nullptr || (planned->inode == file->inode && planned->modified == file->modified &&
                                              planned->size == file->size));
    if (!same) return error(Errc::changed, "'" + place.path.str() + "' is no longer what it was");
  }
  if (file != nullptr && active_.contains(file->inode))
    return error(Errc::permission, "'" + place.path.str() + "' is in use as swap");
  Status done = mutate(fmt::format("{}write {} {}{}", by(place), place.path.str(), options.mode.text(),
                                   place.as ? std::string() : " " + owner_text(options.owner)));
  if (!done) return done;
  if (options.backup && file != nullptr) {
    backups_.emplace_back(place.path.str(), nodes_.at(*real).content);
    kept_at_.push_back(now());
  }
  nodes_[*real] = {fresh_file(options.mode, options.owner, content.size()), std::string(content), {}};
  return ok();
}

Status FakeSystem::make_directory(const Place& place, Mode mode, Owner owner) {
  const auto real = resolve(place);
  if (!real) return real.error();
  if (nodes_.contains(*real)) return error(Errc::exists, "'" + place.path.str() + "' exists");
  if (Status may = may_change_in(place, *real); !may) return may;
  if (place.as && owner.uid != place.as->uid) return error(Errc::permission, "may not give a directory away");
  Status done = mutate(fmt::format("{}mkdir {} {}{}", by(place), place.path.str(), mode.text(),
                                   place.as ? std::string() : " " + owner_text(owner)));
  if (!done) return done;
  nodes_[*real] = {DirectoryInfo{mode, owner}, {}, {}};
  return ok();
}

Status FakeSystem::make_symlink(const Place& place, std::string_view target) {
  const auto real = resolve(place);
  if (!real) return real.error();
  const PathState before = state(*real);
  if (!std::holds_alternative<Absent>(before) && !std::holds_alternative<Symlink>(before))
    return error(Errc::exists, fmt::format("'{}' is a {}", place.path.str(), kind_of(before)));
  if (Status may = may_change_in(place, *real); !may) return may;
  Status done = mutate(fmt::format("{}symlink {} -> {}", by(place), place.path.str(), target));
  if (!done) return done;
  nodes_[*real] = {Symlink{std::string(target)}, {}, {}};
  return ok();
}

Status FakeSystem::set_attributes(const Place& place, Mode mode, Owner owner) {
  const auto real = resolve(place);
  if (!real) return real.error();
  const auto it = nodes_.find(*real);
  if (it == nodes_.end()) return error(Errc::not_found, "no '" + place.path.str() + "'");
  auto* file = std::get_if<RegularFile>(&it->second.state);
  auto* directory = std::get_if<DirectoryInfo>(&it->second.state);
  if (file == nullptr && directory == nullptr) {
    const bool link = std::holds_alternative<Symlink>(it->second.state);
    return error(link ? Errc::symlink : Errc::exists,
                 fmt::format("'{}' is a {}", place.path.str(), kind_of(it->second.state)));
  }
  const Owner now_owned = file != nullptr ? *file->owner : *directory->owner;
  if (place.as && (now_owned.uid != place.as->uid || owner.uid != place.as->uid))
    return error(Errc::permission, fmt::format("'{}' does not own '{}'", place.as->name, place.path.str()));
  if (immutable_.contains(*real)) return error(Errc::permission, "immutable attribute set by an administrator");
  Status done = mutate(fmt::format("{}attributes {} {}{}", by(place), place.path.str(), mode.text(),
                                   place.as ? std::string() : " " + owner_text(owner)));
  if (!done) return done;
  (file != nullptr ? file->mode : directory->mode) = mode;
  (file != nullptr ? file->owner : directory->owner) = owner;
  return ok();
}

Result<std::optional<KeptFile>> FakeSystem::newest_backup(const AbsPath& path) const {
  for (std::size_t i = backups_.size(); i-- > 0;)
    if (backups_[i].first == path.str())
      return std::optional<KeptFile>(KeptFile{AbsPath("/var/lib/converge/backup/run").child(path.str().substr(1)),
                                              backups_[i].second, kept_at_[i]});
  return std::optional<KeptFile>();
}

Status FakeSystem::take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) {
  if (!place.as || !place.path.is_within(place.as->home) || place.path == place.as->home)
    return error(Errc::refused, "'" + place.path.str() + "' is not in a user's home");
  const auto real = resolve(place);
  if (!real) return real.error();
  const auto it = nodes_.find(*real);
  if (it == nodes_.end()) return error(Errc::not_found, "no '" + place.path.str() + "'");
  if (std::holds_alternative<Symlink>(it->second.state))
    return error(Errc::symlink, "'" + place.path.str() + "' is a symbolic link");
  auto* file = std::get_if<RegularFile>(&it->second.state);
  auto* directory = std::get_if<DirectoryInfo>(&it->second.state);
  if ((file == nullptr && directory == nullptr) || (file != nullptr && file->links != 1))
    return error(Errc::refused, "'" + place.path.str() + "' is no plain file or directory");
  auto& owner = file != nullptr ? file->owner : directory->owner;
  if (owner->uid != 0 && owner->uid != place.as->uid)
    return error(Errc::refused, "'" + place.path.str() + "' belongs to someone else");
  if (!privileged) return error(Errc::permission, "only root may give files away");
  if (owner->uid != place.as->uid) {
    bool theirs = true;
    if (file != nullptr) {
      const std::string& content = it->second.content;
      theirs = is_theirs && content.size() <= judged_limit.count && is_theirs(content);
    } else {
      const std::string below = *real + "/";
      for (auto child = nodes_.upper_bound(below); child != nodes_.end() && child->first.starts_with(below); ++child) {
        const std::string name = child->first.substr(below.size());
        if (name.find('/') != std::string::npos) continue;
        const auto* plain = std::get_if<RegularFile>(&child->second.state);
        const auto* inner = std::get_if<DirectoryInfo>(&child->second.state);
        const Owner whose = plain != nullptr ? *plain->owner : inner != nullptr ? *inner->owner : root_owner;
        if (whose.uid == place.as->uid) continue;
        theirs = theirs && whose.uid == 0 && plain != nullptr && may_lie_in_ssh_directory(name);
      }
    }
    if (!theirs) return not_what_we_made(place);
  }
  Status done = mutate(fmt::format("takeover {} {} {}", place.path.str(), mode.text(), place.as->name));
  if (!done) return done;
  owner = Owner{place.as->uid, place.as->gid};
  (file != nullptr ? file->mode : directory->mode) = mode;
  return ok();
}

Status FakeSystem::remove(const Place& place) {
  const auto real = resolve(place);
  if (!real) return real.error().code == Errc::not_found ? ok() : Status(real.error());
  const auto it = nodes_.find(*real);
  if (it == nodes_.end()) return ok();
  if (std::holds_alternative<DirectoryInfo>(it->second.state)) {
    const auto below = nodes_.upper_bound(*real + "/");
    if (below != nodes_.end() && below->first.starts_with(*real + "/"))
      return error(Errc::exists, "directory '" + place.path.str() + "' is not empty");
  }
  if (Status may = may_change_in(place, *real); !may) return may;
  if (const auto* file = std::get_if<RegularFile>(&it->second.state); file != nullptr && active_.contains(file->inode))
    return error(Errc::permission, "'" + place.path.str() + "' is in use as swap");
  Status done = mutate(fmt::format("{}remove {}", by(place), place.path.str()));
  if (!done) return done;
  if (it->second.swap) mounts_["/"].available.count += it->second.swap->allocated.count;
  nodes_.erase(*real);
  return ok();
}

Status FakeSystem::rename_new(const Place& from, const Place& to) {
  const auto source = resolve(from);
  const auto target = resolve(to);
  if (!source) return source.error();
  if (!target) return target.error();
  if (!nodes_.contains(*source)) return error(Errc::not_found, "no '" + from.path.str() + "'");
  if (nodes_.contains(*target)) return error(Errc::exists, "'" + to.path.str() + "' exists");
  if (Status may = may_change_in(to, *target); !may) return may;
  if (Status may = may_change_in(from, *source); !may) return may;
  if (const auto* file = std::get_if<RegularFile>(&nodes_.at(*source).state);
      file != nullptr && active_.contains(file->inode))
    return error(Errc::permission, "'" + from.path.str() + "' is in use as swap");
  Status done = mutate(fmt::format("{}rename {} {}", by(from), from.path.str(), to.path.str()));
  if (!done) return done;
  std::vector<std::pair<std::string, Node>> moved;
  std::erase_if(nodes_, [&](auto& entry) {
    if (entry.first != *source && !entry.first.starts_with(*source + "/")) return false;
    moved.emplace_back(*target + entry.first.substr(source->size()), std::move(entry.second));
    return true;
  });
  for (auto& [path, node] : moved) nodes_[path] = std::move(node);
  return ok();
}

Status FakeSystem::write_kernel(const AbsPath& path, std::string_view value) {
  const auto it = nodes_.find(path.str());
  if (!live) return error(Errc::unsupported, "no kernel behind this tree");
  if (it == nodes_.end()) return error(Errc::not_found, "no '" + path.str() + "'");
  if (path.str() == "/proc/sys/vm/swappiness") {
    std::uint64_t number = 0;
    if (!parse_number(value, number) || number > 200)
      return error(Errc::invalid, fmt::format("cannot write '{}': Invalid argument", value));
  }
  Status done = mutate(fmt::format("kernel {} {}", path.str(), value));
  if (!done) return done;
  it->second.content = std::string(value) + "\n";
  return ok();
}

// ---- swap --------------------------------------------------------------------------------------------------------

void FakeSystem::put_swap_file(std::string_view path, Bytes size, bool active, std::optional<int> priority) {
  RegularFile file = fresh_file(Mode{0600}, root_owner, 0);
  file.size = size;
  SwapFileLook::Header header{1, static_cast<std::uint32_t>(size.count / pages_of - 1),
                              "0123456789abcdef0123456789abcdef"};
  put(std::string(path), {file, {}, SwapDetails{size, header}});
  if (active) set_swap_active(path, true, priority);
}

FakeSystem::SwapDetails& FakeSystem::swap_at(std::string_view path) {
  ++changes_;
  return nodes_.at(std::string(path)).swap.value();
}

bool FakeSystem::swap_active(std::string_view path) const {
  const auto it = nodes_.find(std::string(path));
  const auto* file = it == nodes_.end() ? nullptr : std::get_if<RegularFile>(&it->second.state);
  return file != nullptr && active_.contains(file->inode);
}

void FakeSystem::set_swap_active(std::string_view path, bool active, std::optional<int> priority) {
  const auto inode = std::get<RegularFile>(nodes_.at(std::string(path)).state).inode;
  if (active)
    active_[inode] = {priority.value_or(-2), {}};
  else
    active_.erase(inode);
  ++changes_;
  show_swaps();
}

void FakeSystem::set_swap_used(std::string_view path, Bytes used) {
  active_.at(std::get<RegularFile>(nodes_.at(std::string(path)).state).inode).used = used;
  ++changes_;
  show_swaps();
}

Bytes FakeSystem::swap_used(std::string_view path) const {
  const auto it = active_.find(std::get<RegularFile>(nodes_.at(std::string(path)).state).inode);
  return it == active_.end() ? Bytes{} : it->second.used;
}

bool FakeSystem::drain(std::uint64_t inode) {
  std::uint64_t left = active_.at(inode).used.count;
  for (const auto& [path, node] : nodes_) {
    const auto* file = std::get_if<RegularFile>(&node.state);
    if (file == nullptr || file->inode == inode || !active_.contains(file->inode)) continue;
    Bytes& used = active_.at(file->inode).used;
    const auto moved = std::min(left, file->size.count - pages_of - used.count);
    used.count += moved;
    left -= moved;
  }
  if (left == 0) return true;
  std::string meminfo = content("/proc/meminfo");
  const auto begin = meminfo.find("MemAvailable:");
  if (begin == std::string::npos) return true;
  const auto available = std::strtoull(meminfo.c_str() + begin + 13, nullptr, 10);
  if (available < left / 1024) return false;
  meminfo.replace(begin, meminfo.find('\n', begin) - begin,
                  fmt::format("MemAvailable: {} kB", available - left / 1024));
  put_file("/proc/meminfo", meminfo, Mode{0444});
  return true;
}

void FakeSystem::show_swaps() {
  std::string text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
  std::uint64_t total = 0;
  for (const auto& [path, node] : nodes_) {
    const auto* file = std::get_if<RegularFile>(&node.state);
    if (file == nullptr || !active_.contains(file->inode)) continue;
    const ActiveSwap& active = active_.at(file->inode);
    text += fmt::format("{:<40}file\t\t{}\t\t{}\t\t{}\n", path, (file->size.count - pages_of) / 1024,
                        active.used.count / 1024, active.priority);
    total += (file->size.count - pages_of) / 1024;
  }
  put_file("/proc/swaps", text, Mode{0444});
  if (!exists("/proc/meminfo")) return;
  std::string meminfo = content("/proc/meminfo");
  const auto begin = meminfo.find("SwapTotal:");
  if (begin == std::string::npos) return;
  meminfo.replace(begin, meminfo.find('\n', begin) - begin, fmt::format("SwapTotal:      {:>8} kB", total));
  put_file("/proc/meminfo", meminfo, Mode{0444});
}

Result<SwapFileLook> FakeSystem::look_swap(const AbsPath& path) const {
  auto what = look(path);
  if (!what) return what.error();
  SwapFileLook out;
  out.state = *what;
  out.active = SwapFileLook::Active::no;
  const auto* file = std::get_if<RegularFile>(&out.state);
  if (file == nullptr) return out;
  if (!live) out.active = SwapFileLook::Active::unknown;
  const Node& node = nodes_.at(*resolve(path));
  out.allocated = node.swap ? node.swap->allocated : file->size;
  if (node.swap) out.header = node.swap->header;
  if (live && active_.contains(file->inode)) out.active = SwapFileLook::Active::yes;
  return out;
}

Result<FileSystem> FakeSystem::file_system(const AbsPath& path) const {
  for (AbsPath at = path;; at = at.parent())
    if (const auto it = mounts_.find(at.str()); it != mounts_.end()) return it->second;
}

Status FakeSystem::make_swap_file(const SwapFileRequest& request) {
  const auto real = resolve(request.path);
  if (!real) return real.error();
  if (nodes_.contains(*real)) return error(Errc::exists, "'" + request.path.str() + "' exists");
  if (Status may = may_change_in(request.path, *real); !may) return may;
  if (request.size.count % pages_of != 0 || request.size.count < 10 * pages_of)
    return error(Errc::invalid, "a swap file is a multiple of the page size, and at least ten pages");
  auto& root = mounts_["/"];
  if (root.available < request.size) return error(Errc::no_space, "no space left on device");
  Status done = mutate(fmt::format("swapfile {} {}", request.path.str(), request.size.text()));
  if (!done) return done;
  root.available.count -= request.size.count;
  put_swap_file(*real, request.size, false);
  if (!request.uuid.empty()) nodes_.at(*real).swap->header->uuid = request.uuid;
  return ok();
}

Status FakeSystem::swap_on(const AbsPath& path, std::optional<int> priority) {
  const auto seen = look_swap(path);
  if (!seen) return seen.error();
  const auto* file = std::get_if<RegularFile>(&seen->state);
  if (!live) return error(Errc::unsupported, "no kernel behind this tree");
  if (file == nullptr) return error(Errc::not_found, "no '" + path.str() + "'");
  if (seen->active == SwapFileLook::Active::yes) return error(Errc::exists, "Device or resource busy");
  if (!seen->header || seen->allocated < file->size) return error(Errc::invalid, "Invalid argument");
  Status done = mutate("swapon " + path.str());
  if (!done) return done;
  set_swap_active(*resolve(path), true, priority);
  return ok();
}

Status FakeSystem::swap_off(const AbsPath& path, std::chrono::milliseconds /*deadline*/) {
  const auto seen = look_swap(path);
  if (!seen) return seen.error();
  if (seen->active != SwapFileLook::Active::yes) return error(Errc::invalid, "Invalid argument");
  if (swap_off_error) return *swap_off_error;
  Status done = mutate("swapoff " + path.str());
  if (!done) return done;
  if (!drain(std::get<RegularFile>(seen->state).inode)) return error(Errc::refused, "killed for lack of memory");
  set_swap_active(*resolve(path), false);
  return ok();
}

// ---- users, units, commands --------------------------------------------------------------------------------------

Result<std::optional<Person>> FakeSystem::user(std::string_view name) const {
  const auto it = people_.find(name);
  return it == people_.end() ? std::optional<Person>() : std::optional<Person>(it->second);
}

Result<std::optional<std::uint32_t>> FakeSystem::group(std::string_view name) const {
  const auto it = groups_.find(name);
  return it == groups_.end() ? std::optional<std::uint32_t>() : std::optional<std::uint32_t>(it->second);
}

Result<UnitProperties> FakeSystem::unit(std::string_view name) const {
  const auto known = units_ahead_.find(name);
  return known == units_ahead_.end() ? unit_now(name) : known->second;
}

Result<UnitProperties> FakeSystem::unit_now(std::string_view name) const {
  if (!live || !systemd) return error(Errc::unsupported, "systemd does not run here");
  UnitProperties answer;
  if (const auto it = units.find(name); it != units.end()) {
    answer = it->second;
  } else {
    answer["LoadState"] = name.ends_with(".slice") ? "loaded" : "not-found";
    answer["UnitFileState"] = "";
  }
  answer.try_emplace("LoadState", "loaded");
  answer.try_emplace("ActiveState", "inactive");
  answer.try_emplace("UnitFileState", "");
  answer.try_emplace("NeedDaemonReload", "no");
  answer.try_emplace("DropInPaths", "");
  answer.try_emplace("ActiveEnterTimestamp", "0");
  if (unit_hook) unit_hook(*this, name, answer);
  return answer;
}

Result<CommandOutput> FakeSystem::dispatch(const Command& command, bool mutating) {
  if (command.argv.empty()) return error(Errc::invalid, "an empty command");
  const std::string& argv0 = command.argv.front();
  if (missing_commands_.contains(argv0) || missing_commands_.contains(last_component(argv0)))
    return error(Errc::not_found, "no program '" + argv0 + "'");
  auto it = handlers_.find(argv0);
  if (it == handlers_.end()) it = handlers_.find(last_component(argv0));
  if (it == handlers_.end()) {
    ADD_FAILURE() << "the fake host knows no command '" << command.text() << "'";
    return error(Errc::not_found, "no program '" + argv0 + "'");
  }
  const Handler handler = it->second;
  return handler(*this, command, mutating);
}

void FakeSystem::expect(const std::vector<Command>& queries, const std::vector<std::string>& units_asked) const {
  if (!asks_ahead || !live) return;
  for (const Command& command : queries) {
    const bool known = std::any_of(ahead_.begin(), ahead_.end(), [&](const Ahead& a) { return a.command == command; });
    if (!known) ahead_.push_back({command, query_now(command)});
  }
  for (const std::string& name : units_asked) units_ahead_.try_emplace(name, unit_now(name));
}

void FakeSystem::wait(std::chrono::milliseconds time) {
  std::erase_if(ahead_, [](const Ahead& each) { return each.told; });
  units_ahead_.clear();
  tick(time);
}

Result<CommandOutput> FakeSystem::query(const Command& command) const {
  for (Ahead& each : ahead_) {
    if (each.command != command) continue;
    each.told = true;
    return each.answer;
  }
  return query_now(command);
}

Result<CommandOutput> FakeSystem::query_now(const Command& command) const {
  if (!live) return error(Errc::unsupported, "commands do not run in a tree");
  queries_.push_back(command.text());
  const auto before = changes_;
  // A handler is written once for run() and query(); that it changes nothing here is checked, not assumed.
  auto out = const_cast<FakeSystem*>(this)->dispatch(command, false);
  EXPECT_EQ(before, changes_) << "the query '" << command.text() << "' changed the host";
  return out;
}

Result<CommandOutput> FakeSystem::run(const Command& command) {
  if (!live) return error(Errc::unsupported, "commands do not run in a tree");
  Status done = mutate(fmt::format("{}run {}", command.as ? "as " + command.as->name + " " : "", command.text()));
  if (!done) return done.error();
  return dispatch(command, true);
}

}  // namespace converge
