#include "primitives/attributes.h"

#include <fmt/format.h>

namespace converge {
namespace {

struct Attributes {
  Mode mode;
  const std::optional<Owner>* owner;
};

std::optional<Attributes> attributes_of(const PathState& state) {
  if (const auto* file = std::get_if<RegularFile>(&state)) return Attributes{file->mode, &file->owner};
  if (const auto* directory = std::get_if<DirectoryInfo>(&state)) return Attributes{directory->mode, &directory->owner};
  return std::nullopt;
}

}  // namespace

std::string owner_text(Owner owner) { return fmt::format("{}:{}", owner.uid, owner.gid); }

void check_attributes(Checks& checks, const PathState& state, Mode mode, Owner owner) {
  const auto have = attributes_of(state);
  if (!have) return;
  checks.push_back(check_equal("mode", mode.text(), have->mode.text()));
  if (*have->owner)
    checks.push_back(check_equal("owner", owner_text(owner), owner_text(**have->owner)));
  else
    checks.push_back(check_skipped("owner", owner_text(owner), "owners are not managed in this tree"));
}

bool attributes_differ(const PathState& state, Mode mode, Owner owner) {
  const auto have = attributes_of(state);
  return have && (have->mode != mode || (*have->owner && **have->owner != owner));
}

Status mend_attributes(const Place& place, const PathState& state, Mode mode, Owner owner, const IsTheirs& is_theirs,
                       System& system) {
  const auto have = attributes_of(state);
  const bool not_theirs = place.as && have && *have->owner && (*have->owner)->uid != place.as->uid;
  if (not_theirs && owner.uid == place.as->uid) return system.take_over(place, mode, is_theirs);
  return system.set_attributes(place, mode, owner);
}

Status may_replace_file(const Place& place, const PathState& before) {
  if (std::holds_alternative<Absent>(before)) return ok();
  const auto* file = std::get_if<RegularFile>(&before);
  if (file == nullptr) return in_the_way(place.path, before, "file");
  if (file->links > 1)
    return Error{Errc::refused,
                 fmt::format("'{}' has {} hard links, and replacing it would part them", place.path.str(), file->links),
                 {},
                 "remove the other names of this file (find / -samefile), or manage them one by one"};
  return ok();
}

Status replace_file(const Place& place, const PathState& before, std::string_view content, WriteOptions options,
                    System& system) {
  if (Status may = may_replace_file(place, before); !may) return may;
  options.replaces = before;
  Status done = system.write_file(place, content, options);
  if (!done && done.error().code == Errc::not_found && done.error().hint.empty())
    done.error().hint = fmt::format("declare the directory '{}' first", place.path.parent().str());
  return done;
}

Check check_bytes(std::string property, std::string_view wanted, std::string_view actual, bool sensitive) {
  const bool same = wanted == actual;
  if (sensitive)
    return check_that(std::move(property), same, std::string(Secret::shown),
                      std::string(Secret::shown) + (same ? "" : ", other bytes"));
  const Bytes expected_size{wanted.size()};
  const Bytes actual_size{actual.size()};
  return check_that(std::move(property), same, expected_size.text(),
                    actual_size.text() + (!same && expected_size == actual_size ? ", other bytes" : ""));
}

Error in_the_way(const AbsPath& path, const PathState& state, std::string_view wanted) {
  Error error{Errc::refused, fmt::format("'{}' is a {}, not a {}", path.str(), kind_of(state), wanted), {}, {}};
  if (const auto* link = std::get_if<Symlink>(&state)) {
    error.message = fmt::format("'{}' is a symlink to '{}', not a {}", path.str(), link->target, wanted);
    error.hint = "name the target itself, or remove the symlink";
  } else {
    error.hint = fmt::format("move it away, or give the {} another path", wanted);
  }
  return error;
}

Result<ReadAtHome> read_at_home(const SystemView& view, const Place& place, Bytes limit) {
  auto seen = view.read(place, limit);
  if (!seen && seen.error().code == Errc::permission && place.as) {
    auto looked = view.look(place);
    if (!looked) return std::move(seen).error();
    return ReadAtHome{{*std::move(looked), {}}, true};
  }
  if (!seen) return std::move(seen).error();
  return ReadAtHome{*std::move(seen), false};
}

}  // namespace converge
