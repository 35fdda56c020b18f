#include "primitives/known_host.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/text.h"
#include "primitives/attributes.h"

namespace converge {
namespace {

constexpr Mode new_mode{0600};
constexpr unsigned others_may_write = 0022;

Place place(const KnownHost& p) { return {p.file, p.user}; }
Owner owner_of(const KnownHost& p) { return {p.user.uid, p.user.gid}; }
std::string name_of(const KnownHost& p) { return p.name.empty() ? known_hosts_name(p.host, p.port) : lower(p.name); }

const RegularFile* file(const Seen& seen) { return std::get_if<RegularFile>(&seen.state); }

std::string declared_fingerprint(const KnownHost& p) {
  if (const auto key = parse_public_key(p.key)) return key->fingerprint();
  return p.fingerprint;
}

/// What the file says about our name.
struct Found {
  bool pinned = false;
  std::vector<KnownHostsLine> others;     // other keys of that name, without a marker
  std::optional<KnownHostsLine> revoked;  // our key, under our name: ssh refuses it whatever else is there
};
Found look_up(const KnownHost& p, std::string_view text) {
  Found found;
  const std::string name = name_of(p), fingerprint = declared_fingerprint(p);
  for (KnownHostsLine& line : parse_known_hosts(text)) {
    if (!line.names_host(name) || line.marker == KnownHostsLine::Marker::cert_authority) continue;
    const bool same = line.key.fingerprint() == fingerprint;
    if (line.marker == KnownHostsLine::Marker::revoked) {
      if (same) found.revoked = std::move(line);
    } else if (same) {
      found.pinned = true;
    } else {
      found.others.push_back(std::move(line));
    }
  }
  return found;
}

/// A key that is pinned already and contradicts `key`: of its type, under its name.
const KnownHostsLine* contradiction(const Found& found, const PublicKey& key) {
  if (found.pinned) return nullptr;
  const auto it = std::find_if(found.others.begin(), found.others.end(),
                               [&](const KnownHostsLine& line) { return line.key.type == key.type; });
  return it == found.others.end() ? nullptr : &*it;
}

Error contradicted(const KnownHost& p, const KnownHostsLine& line, const PublicKey& key) {
  return {Errc::refused,
          fmt::format("{}:{} pins another {} key for '{}': {}, not {}", p.file.str(), line.number, line.key.type,
                      name_of(p), line.key.fingerprint(), key.fingerprint()),
          {},
          fmt::format("find out why the key changed; if the new one is right, remove line {}", line.number)};
}

std::optional<Error> objection(const KnownHost& p, const KnownHost::State& state) {
  if (state.unreadable) return std::nullopt;
  if (!file(state.seen) && !std::holds_alternative<Absent>(state.seen.state))
    return in_the_way(p.file, state.seen.state, "file");
  const Found found = look_up(p, state.seen.content);
  if (found.revoked)
    return Error{
        Errc::refused,
        fmt::format("{}:{} revokes the declared key {}", p.file.str(), found.revoked->number, declared_fingerprint(p)),
        {},
        "declare the host's new key, or remove that line"};
  if (const auto key = parse_public_key(p.key))
    if (const auto* other = contradiction(found, *key)) return contradicted(p, *other, *key);
  return std::nullopt;
}

std::string with_line(const KnownHost& p, std::string text, const PublicKey& key) {
  // Appending to a line without an ending would break that entry and ours.
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text + fmt::format("{} {}\n", name_of(p), PublicKey{key.type, key.blob, {}}.text());
}

/// The key to pin: the declared one, or the scanned one that hashes to the declared fingerprint.
Result<PublicKey> key_to_pin(const KnownHost& p, const SystemView& view) {
  if (auto key = parse_public_key(p.key)) return std::move(*key);
  // ssh tries every address of a name, ssh-keyscan only the first; 'localhost' is ::1 first, where an IPv4 service is
  // not.
  std::vector<KnownHostsLine> lines;
  for (const std::string_view family : {"", "-4"}) {
    Command command{.argv = {"ssh-keyscan", "-T", "5", "-p", std::to_string(p.port), "-t", "ed25519,ecdsa,rsa"},
                    .deadline = std::chrono::seconds(20),
                    .as = p.user};
    if (!family.empty()) command.argv.emplace_back(family);
    command.argv.insert(command.argv.end(), {"--", p.host});
    auto scan = view.query(command);
    if (!scan) {
      Error error = std::move(scan).error();
      if (error.code == Errc::not_found) error.hint = "install openssh-client";
      return error;
    }
    lines = parse_known_hosts(scan->out);
    if (!lines.empty()) break;
  }
  std::string offered;
  for (KnownHostsLine& line : lines) {
    const std::string fingerprint = line.key.fingerprint();
    if (fingerprint == p.fingerprint) return std::move(line.key);
    offered += fmt::format("{}{} {}", offered.empty() ? "" : ", ", line.key.type, fingerprint);
  }
  const std::string at = known_hosts_name(p.host, p.port);
  if (offered.empty())
    return Error{Errc::command_failed,
                 fmt::format("{} offered no host key within 5 s", at),
                 {},
                 "start its SSH service, or declare the whole key instead of a fingerprint"};
  return Error{Errc::refused,
               fmt::format("{} has no key with the declared fingerprint {}; it offered {}", at, p.fingerprint, offered),
               {},
               "compare with the fingerprint its administrator gives you; nothing was pinned"};
}

/// ssh also takes a key of the host's plain name for another port of it: such an entry can let in what was not declared
/// here. Empty, or a warning that names the line.
std::string stale_plain_entry(const KnownHost& p, std::string_view text) {
  if (p.port == 22 || !p.name.empty()) return {};
  const std::string plain = lower(p.host), fingerprint = declared_fingerprint(p);
  for (const KnownHostsLine& line : parse_known_hosts(text))
    if (line.marker == KnownHostsLine::Marker::none && line.names_host(plain) && !line.names_host(name_of(p)) &&
        line.key.fingerprint() != fingerprint)
      return fmt::format(
          "line {} of '{}' pins {} for plain '{}': ssh takes that at port {} too while it knows no key of "
          "the port; remove it if it is stale",
          line.number, p.file.str(), line.key.fingerprint(), plain, p.port);
  return {};
}

}  // namespace

ResourceId id(const KnownHost& p) { return fmt::format("known_host:{}:{}", p.file.str(), name_of(p)); }

Result<KnownHost::State> inspect(const KnownHost& p, const SystemView& view) {
  KnownHost::State state;
  auto seen = view.read(place(p), text_limit);
  if (!seen && seen.error().code == Errc::permission) {
    state.unreadable = true;
    if (auto looked = view.look(place(p))) state.seen.state = *looked;
    return state;
  }
  if (!seen) return std::move(seen).error();
  state.seen = std::move(*seen);
  return state;
}

Checks compare(const KnownHost& p, const KnownHost::State& state) {
  const auto& [user, path, host, port, name, key, fingerprint] = p;
  (void)host, (void)port, (void)name;  // look_up() compares them
  (void)key, (void)fingerprint;
  const std::string expected = fmt::format("{} {}", name_of(p), declared_fingerprint(p));
  Checks checks;
  if (state.unreadable) {
    checks.push_back(
        check_that("pinned", false, expected, fmt::format("'{}' is not readable by '{}'", path.str(), user.name)));
  } else if (std::holds_alternative<Absent>(state.seen.state)) {
    checks.push_back(check_that("pinned", false, expected, "absent"));
  } else if (!file(state.seen)) {
    checks.push_back(check_that("pinned", false, expected, kind_of(state.seen.state)));
  } else {
    const Found found = look_up(p, state.seen.content);
    std::string actual = found.pinned ? expected : "absent";
    if (!found.pinned && !found.others.empty()) {
      std::vector<std::string> seen;
      for (const auto& line : found.others) seen.push_back(line.key.fingerprint());
      actual = fmt::format("{} {}", name_of(p), join(seen, ", "));
    }
    if (found.revoked) actual = fmt::format("revoked in line {}", found.revoked->number);
    checks.push_back(check_that("pinned", found.pinned && !found.revoked, expected, actual));
    checks.back().detail = stale_plain_entry(p, state.seen.content);
  }
  if (const auto* found = file(state.seen)) {
    // 0644 is how distributions make it; what matters is that nobody else can pin a key.
    const bool safe = (found->mode.bits & others_may_write) == 0;
    checks.push_back(
        check_that("mode", safe, "not writable by others", safe ? "not writable by others" : found->mode.text()));
    if (found->owner)
      checks.push_back(check_equal("owner", owner_text(owner_of(p)), owner_text(*found->owner)));
    else
      checks.push_back(check_skipped("owner", owner_text(owner_of(p)), "owners are not managed in this tree"));
  }
  return checks;
}

Status preflight(const KnownHost& p, const KnownHost::State& state, const SystemView& view) {
  (void)view;
  if (auto error = objection(p, state)) return std::move(*error);
  return ok();
}

Status apply(const KnownHost& p, const KnownHost::State& first, System& system) {
  KnownHost::State state = first;
  if (state.unreadable) {
    if (!file(state.seen))
      if (auto taken = system.take_over({p.file.parent(), p.user}, Mode{0700}, {}); !taken) return taken;
    auto looked = system.look(place(p));
    if (!looked) return std::move(looked).error();
    if (std::holds_alternative<RegularFile>(*looked))
      if (auto taken = system.take_over(place(p), new_mode, is_known_hosts); !taken) return taken;
    auto again = inspect(p, system);
    if (!again) return std::move(again).error();
    state = std::move(*again);
  }
  if (auto error = objection(p, state)) return std::move(*error);

  const auto* existing = file(state.seen);
  const Mode mode = existing == nullptr ? new_mode : Mode{existing->mode.bits & ~others_may_write};
  const bool theirs = existing == nullptr || !existing->owner || existing->owner->uid == p.user.uid;
  const Found found = look_up(p, state.seen.content);
  if (!theirs) {
    if (auto taken = system.take_over(place(p), mode, is_known_hosts); !taken) return taken;
  } else if (existing != nullptr && found.pinned) {
    return attributes_differ(state.seen.state, mode, owner_of(p)) ? system.set_attributes(place(p), mode, owner_of(p))
                                                                  : ok();
  }
  if (found.pinned) return ok();

  auto key = key_to_pin(p, system);
  if (!key) return std::move(key).error();
  if (const auto* other = contradiction(found, *key)) return contradicted(p, *other, *key);
  WriteOptions options{.mode = mode, .owner = owner_of(p)};
  if (theirs) options.replaces = state.seen.state;  // its owner has just become another one otherwise
  return system.write_file(place(p), with_line(p, state.seen.content, *key), options);
}

std::string diff(const KnownHost& p, const KnownHost::State& state) {
  const auto key = parse_public_key(p.key);
  if (!key || state.unreadable || look_up(p, state.seen.content).pinned) return {};
  return unified_diff(state.seen.content, with_line(p, state.seen.content, *key), p.file.str());
}

}  // namespace converge
