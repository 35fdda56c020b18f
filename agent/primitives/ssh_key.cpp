#include "primitives/ssh_key.h"

#include <fmt/core.h>

#include "core/text.h"
#include "primitives/attributes.h"

namespace converge {
namespace {

constexpr Bytes key_limit = 64_KiB;
constexpr Mode private_mode{0600}, public_mode{0644}, directory_mode{0700};

Place private_place(const SshKey& p) { return {p.path, p.user}; }
AbsPath public_path(const SshKey& p) { return AbsPath(p.path.str() + ".pub"); }
Place public_place(const SshKey& p) { return {public_path(p), p.user}; }
/// Where the key is made before it gets its name. A fixed name: the directory above is the user's alone.
AbsPath workshop(const SshKey& p) { return p.path.parent().child(".converge-" + p.path.name()); }
Owner owner_of(const SshKey& p) { return {p.user.uid, p.user.gid}; }

std::string wire_type(const SshKey& p) {
  if (p.type == "rsa") return "ssh-rsa";
  return p.type == "ecdsa" ? "ecdsa-sha2-nistp256" : "ssh-" + p.type;
}
/// "ed25519" of "ssh-ed25519"; anything else by its own name.
std::string short_type(const std::string& type) {
  if (type.starts_with("ssh-")) return type.substr(4);
  return type.starts_with("ecdsa-sha2-") ? "ecdsa" : type;
}
bool type_fits(const SshKey& p, const std::string& type) { return short_type(type) == short_type(wire_type(p)); }

const RegularFile* file(const Seen& seen) { return std::get_if<RegularFile>(&seen.state); }
bool absent(const Seen& seen) { return std::holds_alternative<Absent>(seen.state); }

bool someone_elses(const SshKey& p, const Seen& seen) {
  const auto* found = file(seen);
  return found != nullptr && found->owner && found->owner->uid != p.user.uid;
}

Error refused(std::string message, std::string hint) {
  return {Errc::refused, std::move(message), {}, std::move(hint)};
}

std::string in_words(const SshKey& p) { return fmt::format("{}, without a passphrase", p.type); }

/// What the private key is, in words; nullopt if it is what was asked for. Only for a key that could be read.
struct Verdicts {
  std::string key;         // "" if right
  std::string public_key;  // "" if right
  std::optional<PublicKey> head;
};
Verdicts judge(const SshKey& p, const SshKey::State& state) {
  Verdicts out;
  if (file(state.private_key) == nullptr) {
    out.key = kind_of(state.private_key.state);
  } else if (auto head = parse_private_key(state.private_key.content); !head) {
    out.key = "damaged: " + head.error().message;
  } else if (!type_fits(p, head->key.type)) {
    out.key = short_type(head->key.type);
  } else if (head->cipher != "none") {
    out.key = "protected by a passphrase";
  } else {
    out.head = std::move(head->key);
  }
  if (file(state.public_key) == nullptr) {
    out.public_key = kind_of(state.public_key.state);
  } else if (const auto shown = parse_public_key(state.public_key.content); !shown) {
    out.public_key = "not a public key";
  } else if (out.head && !shown->same_key(*out.head)) {
    out.public_key = "of another key: " + shown->fingerprint();
  }
  return out;
}

/// Why apply must not touch what is there.
std::optional<Error> objection(const SshKey& p, const SshKey::State& state) {
  if (state.closed) return std::nullopt;
  const std::string path = p.path.str();
  for (const Seen* seen : {&state.private_key, &state.public_key}) {
    const AbsPath& where = seen == &state.private_key ? p.path : public_path(p);
    if (file(*seen) == nullptr && !absent(*seen)) return in_the_way(where, seen->state, "file");
    if (const auto* found = file(*seen); found != nullptr && someone_elses(p, *seen)) {
      if (found->owner->uid != 0)
        return refused(fmt::format("'{}' belongs to uid {}, not to '{}'", where.str(), found->owner->uid, p.user.name),
                       "find out whose key it is; give the key of the spec another path");
      if (found->links > 1)
        return refused(fmt::format("'{}' belongs to root and has {} names", where.str(), found->links),
                       fmt::format("chown {} {}, if you know the other name", p.user.name, where.str()));
    }
  }
  if (state.unreadable) return std::nullopt;  // judged once it is the user's again
  if (absent(state.private_key)) {
    if (absent(state.public_key)) return std::nullopt;
    return refused(fmt::format("'{}' is there and its private key is not", public_path(p).str()),
                   fmt::format("restore '{}', or move the .pub file away to have a new pair made", path));
  }
  const Verdicts verdicts = judge(p, state);
  if (verdicts.key == "protected by a passphrase")
    return refused(fmt::format("'{}' is protected by a passphrase: no unattended git can use it", path),
                   "take the passphrase off (ssh-keygen -p), or give the key of the spec another path");
  if (!verdicts.key.empty())
    return refused(fmt::format("'{}' is {}, not {}; it is not replaced", path, verdicts.key, in_words(p)),
                   "restore it, or move it away to have a new pair made and register that");
  if (!verdicts.public_key.empty() && !absent(state.public_key))
    return refused(fmt::format("'{}' is {}, and the private key is {}", public_path(p).str(), verdicts.public_key,
                               verdicts.head->fingerprint()),
                   "move the .pub file away: it is then made from the private key");
  return std::nullopt;
}

Status run_keygen(const SshKey& p, System& system, std::vector<std::string> options, std::vector<AbsPath> touches,
                  CommandOutput& out) {
  Command command{.argv = {"ssh-keygen"}, .as = p.user, .touches = std::move(touches)};
  command.argv.insert(command.argv.end(), std::make_move_iterator(options.begin()),
                      std::make_move_iterator(options.end()));
  auto done = system.run(command);
  if (!done) {
    Error error = std::move(done).error();
    if (error.code == Errc::not_found) error.hint = "install openssh-client";
    return error;
  }
  if (done->exit_code != 0)
    return Error{Errc::command_failed,
                 fmt::format("ssh-keygen ended with status {}: {}", done->exit_code, printable(trim(done->err))),
                 {},
                 {}};
  out = std::move(*done);
  return ok();
}

/// Takes away what making a key leaves, whether it was finished or not. Only names of ours: a directory that holds
/// anything else stays, and says so by the failing removal.
Status clear_workshop(const SshKey& p, System& system) {
  const AbsPath directory = workshop(p);
  for (const char* name : {"key", "key.pub"})
    if (auto removed = system.remove({directory.child(name), p.user}); !removed) return removed;
  return system.remove({directory, p.user});
}

/// Never replaces: absent is what was seen, and the rename refuses anything else.
Status put(const SshKey& p, System& system, const Place& place, std::string_view content, Mode mode) {
  return system.write_file(place, content, {.mode = mode, .owner = owner_of(p), .replaces = PathState{Absent{}}});
}

/// A pair made where nobody sees it, checked, and then named: first the private key, from which the public one can be
/// made again. Dying anywhere leaves either no key and a workshop to clear, or a whole private key.
Status make_pair(const SshKey& p, System& system) {
  const AbsPath directory = workshop(p);
  if (auto made = system.make_directory({directory, p.user}, directory_mode, owner_of(p)); !made) return made;
  CommandOutput out;
  const AbsPath key = directory.child("key"), public_key = directory.child("key.pub");
  if (auto done = run_keygen(p, system, {"-q", "-t", p.type, "-N", "", "-C", p.comment, "-f", key.str()},
                             {key, public_key}, out);
      !done)
    return done;
  auto secret = system.read({key, p.user}, key_limit);
  if (!secret) return std::move(secret).error();
  auto shown = system.read({public_key, p.user}, key_limit);
  if (!shown) return std::move(shown).error();
  const SshKey::State made{.private_key = std::move(*secret), .public_key = std::move(*shown)};
  if (const Verdicts verdicts = judge(p, made); !verdicts.key.empty() || !verdicts.public_key.empty())
    return Error{Errc::command_failed,
                 fmt::format("ssh-keygen made a key that is {}{}", verdicts.key, verdicts.public_key),
                 {},
                 {}};
  if (auto written = put(p, system, private_place(p), made.private_key.content, private_mode); !written) return written;
  return put(p, system, public_place(p), made.public_key.content, public_mode);
}

Status derive_public(const SshKey& p, System& system) {
  CommandOutput out;
  if (auto done = run_keygen(p, system, {"-y", "-P", "", "-f", p.path.str()}, {}, out); !done) return done;
  const auto key = parse_public_key(out.out);
  if (!key) return Error{Errc::unparsable, "ssh-keygen -y answered something that is not a public key", {}, {}};
  return put(p, system, public_place(p), key->text() + "\n", public_mode);
}

}  // namespace

ResourceId id(const SshKey& p) { return "ssh_key:" + p.path.str(); }

Result<SshKey::State> inspect(const SshKey& p, const SystemView& view) {
  SshKey::State state;
  state.live = view.is_live();
  const auto closed = [&](const Error& error) { return error.code == Errc::permission; };

  auto looked = view.look(private_place(p));
  if (!looked && closed(looked.error())) {
    state.closed = true;
    return state;
  }
  if (!looked) return std::move(looked).error();
  auto secret = view.read(private_place(p), key_limit);
  if (secret) {
    state.private_key = std::move(*secret);
  } else if (closed(secret.error())) {
    state.private_key.state = *looked;
    state.unreadable = true;
  } else {
    return std::move(secret).error();
  }
  auto shown = view.read(public_place(p), key_limit);
  if (shown) {
    state.public_key = std::move(*shown);
  } else if (closed(shown.error())) {
    auto at = view.look(public_place(p));
    if (!at) return std::move(at).error();
    state.public_key.state = *at;
    state.unreadable = true;
  } else {
    return std::move(shown).error();
  }
  auto left = view.look({workshop(p), p.user});
  if (!left) return std::move(left).error();
  state.unfinished = !std::holds_alternative<Absent>(*left);
  return state;
}

Checks compare(const SshKey& p, const SshKey::State& state) {
  const auto& [user, path, type, comment] = p;
  const auto& [private_key, public_key, is_closed, unreadable, unfinished, live] = state;
  (void)comment;  // of a key that exists it is a name for people, and registered with it: left as it is
  (void)type;     // judge() compares it
  Checks checks;
  if (is_closed) {
    checks.push_back(
        check_that("key", false, in_words(p), fmt::format("'{}' is not open to '{}'", path.parent().str(), user.name)));
    return checks;
  }

  const Verdicts verdicts = judge(p, state);
  Check key = check_that("key", verdicts.key.empty(), in_words(p), verdicts.key.empty() ? in_words(p) : verdicts.key);
  if (unreadable) key = check_unknown("key", in_words(p), fmt::format("'{}' may not read it", user.name));
  if (verdicts.head) {
    PublicKey shown = *verdicts.head;
    if (const auto there = parse_public_key(public_key.content); there && there->same_key(shown)) shown = *there;
    key.detail = fmt::format("register this key: {} ({})", printable(shown.text()), shown.fingerprint());
  }
  constexpr const char* why = "needs a running system: ssh-keygen makes it";
  if (!live && absent(private_key)) key = check_skipped("key", in_words(p), why);
  checks.push_back(std::move(key));
  if (absent(private_key)) {
    if (!absent(public_key)) checks.push_back(check_equal("public key", "absent", kind_of(public_key.state)));
  } else {
    check_attributes(checks, private_key.state, private_mode, owner_of(p));
    if (unreadable)
      checks.push_back(check_unknown("public key", "of the private key", "the private key could not be read"));
    else if (!live && absent(public_key))
      checks.push_back(check_skipped("public key", "of the private key", why));
    else
      checks.push_back(check_that("public key", verdicts.public_key.empty(), "of the private key",
                                  verdicts.public_key.empty() ? "of the private key" : verdicts.public_key));
    if (someone_elses(p, public_key))
      checks.push_back(
          check_equal("public key's owner", owner_text(owner_of(p)), owner_text(*file(public_key)->owner)));
  }
  if (unfinished) checks.push_back(check_equal("left by an interrupted run", "nothing", workshop(p).str()));
  return checks;
}

Status preflight(const SshKey& p, const SshKey::State& state, const SystemView& view) {
  (void)view;
  if (auto error = objection(p, state)) return std::move(*error);
  return ok();
}

Status apply(const SshKey& p, const SshKey::State& first, System& system) {
  SshKey::State state = first;
  if (state.closed) {
    if (auto taken = system.take_over({p.path.parent(), p.user}, directory_mode, {}); !taken) return taken;
    auto again = inspect(p, system);
    if (!again) return std::move(again).error();
    state = std::move(*again);
  }
  if (auto error = objection(p, state)) return std::move(*error);

  // The comment tells our key from another one of root's that was given its name.
  const auto is_private_key = [&p](std::string_view text) {
    const auto head = parse_private_key(text);
    return head && head->cipher == "none" && type_fits(p, head->key.type) && head->key.comment == p.comment;
  };
  const auto is_public_key = [&p](std::string_view text) {
    const auto key = parse_public_key(text);
    return key && type_fits(p, key->type) && key->comment == trim(p.comment);
  };
  const bool secret_taken = someone_elses(p, state.private_key), shown_taken = someone_elses(p, state.public_key);
  if (secret_taken)
    if (auto taken = system.take_over(private_place(p), private_mode, is_private_key); !taken) return taken;
  if (shown_taken)
    if (auto taken = system.take_over(public_place(p), public_mode, is_public_key); !taken) return taken;
  if (!secret_taken && attributes_differ(state.private_key.state, private_mode, owner_of(p)))
    if (auto set = system.set_attributes(private_place(p), private_mode, owner_of(p)); !set) return set;
  if (state.unreadable && !shown_taken && file(state.public_key) != nullptr)
    if (auto set = system.set_attributes(public_place(p), public_mode, owner_of(p)); !set) return set;
  if (state.unreadable) {
    auto again = inspect(p, system);
    if (!again) return std::move(again).error();
    state = std::move(*again);
    if (auto error = objection(p, state)) return std::move(*error);
  }

  if (state.unfinished)
    if (auto cleared = clear_workshop(p, system); !cleared) return cleared;
  if (!state.live) return ok();
  if (absent(state.private_key)) {
    Status made = make_pair(p, system);
    // Nothing is left behind on failure either; the first reason is the one to report.
    Status cleared = clear_workshop(p, system);
    return made ? cleared : made;
  }
  if (absent(state.public_key)) return derive_public(p, system);
  return ok();
}

}  // namespace converge
