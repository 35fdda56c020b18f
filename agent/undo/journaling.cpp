#include "undo/journaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/digest.h"
#include "core/text.h"
#include "undo/look.h"

namespace converge::undo {
namespace {

constexpr Bytes kept_of_a_run = 64_MiB;

using About = Record::About;
using Kind = State::Kind;

State with_attributes(State state, Mode mode, Owner owner) {
  state.mode = mode;
  state.owner = owner;
  return state;
}

/// What a word of systemctl(1) or rc-service(8) does to a unit. nullopt: something else.
enum class OnUnit { changes, restarts };
std::optional<OnUnit> on_unit(std::string_view verb) {
  constexpr std::array changing{"start", "stop", "enable", "disable"};
  constexpr std::array restarting{"restart", "try-restart", "reload", "reload-or-restart"};
  if (std::find(changing.begin(), changing.end(), verb) != changing.end()) return OnUnit::changes;
  if (std::find(restarting.begin(), restarting.end(), verb) != restarting.end()) return OnUnit::restarts;
  return std::nullopt;
}

/// A call of a service manager: `systemctl VERB [--no-block] UNIT`, `rc-service NAME VERB`.
struct ManagerCall {
  std::string verb, unit;
};
std::optional<ManagerCall> manager_call(const Command& command) {
  std::vector<std::string> words;
  for (const std::string& word : command.argv)
    if (!word.starts_with("--")) words.push_back(word);
  if (words.size() == 2 && words[0] == "systemctl" && words[1] == "daemon-reload") return ManagerCall{words[1], ""};
  if (words.size() == 3 && words[0] == "systemctl") return ManagerCall{words[1], words[2]};
  if (words.size() == 3 && words[0] == "rc-service") return ManagerCall{words[2], words[1]};
  return std::nullopt;
}

bool is_reload(const Command& command) {
  const auto call = manager_call(command);
  return call && call->verb == "daemon-reload";
}

}  // namespace

void JournalingSystem::keep_in(Sink& sink, RunHead head) {
  sink_ = &sink;
  head_ = std::move(head);
}

void JournalingSystem::tell(const Record& record) {
  if (!keeps()) return;
  Status added = begun_ ? sink_->add(encode(record)) : sink_->add(encode(head_) + encode(record));
  begun_ = true;
  if (!added) problem_ = std::move(added).error();
}

void JournalingSystem::remark(std::string text) { tell({.about = About::remark, .name = std::move(text)}); }

void JournalingSystem::becomes(About about, const Place& what, const std::string& name, bool bytes_go, const Look& look,
                               const std::optional<After>& after) {
  if (!keeps()) return;
  const auto [it, fresh] = known_.try_emplace(std::to_string(static_cast<int>(about)) + name);
  Known& known = it->second;
  if (known.blind) return;
  Record record{.about = about, .name = name, .as = what.as};
  if (fresh || (bytes_go && !known.settled)) {
    auto now = look();
    if (!now) {
      known.blind = true;
      return remark(fmt::format("what was done to '{}': {}", name, now.error().text()));
    }
    const std::uint64_t size = now->content ? now->content->size() : 0;
    if (bytes_go && size > 0 && kept_ + size > kept_of_a_run.count) now->content.reset();
    if (bytes_go && now->content) kept_ += size;
    if (!bytes_go) now->content.reset();
    known.settled = bytes_go;
    // Its bytes, when they go only after its mode or owner did: what these were is known already.
    record.before = *now;
    if (!fresh) {
      record.before->mode = known.first.mode;
      record.before->owner = known.first.owner;
    }
    now->content.reset();
    if (fresh) known.first = *now;
    known.last = *std::move(now);
  } else if (!known.told) {
    record.before = known.first;
  }
  if (after) {
    record.after = (*after)(known.last);
    if (record.after->kind == Kind::absent && known.last.kind == Kind::absent) return;  // nothing happens
    known.last = *record.after;
  }
  known.told = true;
  tell(record);
}

void JournalingSystem::becomes(const Place& place, bool bytes_go, const std::optional<After>& after) {
  becomes(
      About::path, place, place.path.str(), bytes_go, [&] { return path_state(inner_, place); }, after);
}

void JournalingSystem::became(About about, const Place& what, const std::string& name, const Look& look) {
  if (!keeps()) return;
  const auto it = known_.find(std::to_string(static_cast<int>(about)) + name);
  if (it == known_.end() || it->second.blind) return;
  auto now = look();
  if (!now) return remark(fmt::format("what was done to '{}': {}", name, now.error().text()));
  now->content.reset();
  it->second.last = *now;
  tell({.about = about, .name = name, .as = what.as, .after = *std::move(now)});
}

void JournalingSystem::became(const Place& place) {
  became(About::path, place, place.path.str(), [&] { return path_state(inner_, place); });
}

Status JournalingSystem::write_file(const Place& place, std::string_view content, const WriteOptions& options) {
  becomes(place, true, [&](const State&) {
    return State{.kind = Kind::file,
                 .mode = options.mode,
                 .owner = options.owner,
                 .digest = sha256(content),
                 .size = Bytes{content.size()}};
  });
  return inner_.write_file(place, content, options);
}

Status JournalingSystem::make_directory(const Place& place, Mode mode, Owner owner) {
  becomes(place, true, [&](const State&) { return State{.kind = Kind::directory, .mode = mode, .owner = owner}; });
  return inner_.make_directory(place, mode, owner);
}

Status JournalingSystem::make_symlink(const Place& place, std::string_view target) {
  becomes(place, true, [&](const State&) { return State{.kind = Kind::symlink, .text = std::string(target)}; });
  return inner_.make_symlink(place, target);
}

Status JournalingSystem::set_attributes(const Place& place, Mode mode, Owner owner) {
  becomes(place, false, [&](State last) { return with_attributes(std::move(last), mode, owner); });
  return inner_.set_attributes(place, mode, owner);
}

Status JournalingSystem::take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) {
  if (place.as)
    becomes(place, false, [&](State last) {
      return with_attributes(std::move(last), mode, {place.as->uid, place.as->gid});
    });
  return inner_.take_over(place, mode, is_theirs);
}

Status JournalingSystem::remove(const Place& place) {
  becomes(place, true, [](const State&) { return State{}; });
  return inner_.remove(place);
}

Status JournalingSystem::rename_new(const Place& from, const Place& to) {
  State moved;
  becomes(from, true, [&](State last) {
    moved = std::move(last);
    return State{};
  });
  becomes(to, true, [&](const State&) { return moved; });
  return inner_.rename_new(from, to);
}

Status JournalingSystem::write_kernel(const AbsPath& path, std::string_view value) {
  becomes(
      About::kernel, path, path.str(), true, [&] { return kernel_state(inner_, path); },
      [&](const State&) { return State{.kind = Kind::value, .text = words_of(value)}; });
  Status done = inner_.write_kernel(path, value);
  if (done) became(About::kernel, path, path.str(), [&] { return kernel_state(inner_, path); });
  return done;
}

Status JournalingSystem::make_swap_file(const SwapFileRequest& request) {
  becomes(request.path, true, std::nullopt);
  Status done = inner_.make_swap_file(request);
  became(request.path);
  return done;
}

Status JournalingSystem::swap_on(const AbsPath& path, std::optional<int> priority) {
  becomes(path, true, [&](State last) {
    last.on = true;
    last.priority = priority;
    return last;
  });
  return inner_.swap_on(path, priority);
}

Status JournalingSystem::swap_off(const AbsPath& path, std::chrono::milliseconds deadline) {
  becomes(path, true, [&](State last) {
    last.on = false;
    return last;
  });
  return inner_.swap_off(path, deadline);
}

Result<CommandOutput> JournalingSystem::run_on_unit(const Command& command, const std::string& unit) {
  const auto look = [&] { return unit_state(inner_, unit); };
  becomes(About::unit, AbsPath(), unit, true, look, std::nullopt);
  auto done = inner_.run(command);
  became(About::unit, AbsPath(), unit, look);
  return done;
}

Status JournalingSystem::start(const Command& command) {
  if (!is_reload(command)) return keeps() ? ok() : inner_.start(command);
  tell({.about = About::reload});
  return inner_.start(command);
}

Result<CommandOutput> JournalingSystem::finish(const Command& command) {
  return is_reload(command) || !keeps() ? inner_.finish(command) : run(command);
}

Result<CommandOutput> JournalingSystem::run(const Command& command) {
  if (!keeps()) return inner_.run(command);
  if (command.touches) {
    for (const AbsPath& path : *command.touches) becomes({path, command.as}, true, std::nullopt);
    auto done = inner_.run(command);
    for (const AbsPath& path : *command.touches) became({path, command.as});
    return done;
  }
  const auto call = manager_call(command);
  const auto effect = call ? on_unit(call->verb) : std::nullopt;
  if (call && call->verb == "daemon-reload") {
    tell({.about = About::reload});
  } else if (effect == OnUnit::changes) {
    return run_on_unit(command, call->unit);
  } else if (effect == OnUnit::restarts) {
    remark(
        fmt::format("{} was told to {}: it goes on with what it read then; restart it to have it read what is put back",
                    call->unit, call->verb));
  } else {
    remark(fmt::format("what '{}' did: nobody knows it", command.text()));
  }
  return inner_.run(command);
}

}  // namespace converge::undo
