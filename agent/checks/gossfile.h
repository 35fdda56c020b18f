// Gossfiles, unmodified: YAML or JSON, templates, includes. What Goss accepts is accepted; what it would ignore or get
// wrong without a word is a warning or an error with its place.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checks/assertion.h"
#include "core/diagnostic.h"
#include "spec/template.h"

namespace converge::checks {

/// "500ms", "1.5s", "1m30s": as Go writes durations; nullopt for anything else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Where gossfiles come from, and what their templates see.
struct GossfileInput {
  std::function<Result<std::string>(const std::string& path)> read;
  /// The names in a directory, sorted; for includes with wildcards. "" is the working directory.
  std::function<Result<std::vector<std::string>>(const std::string& directory)> list;
  spec::Scope scope;
  CommandSetting commands;
  std::string package_manager;  // dpkg, apk, pacman, rpm; empty: found out
};

/// What a gossfile and all it includes ask for, templates rendered, as one mapping in the vocabulary: what the second
/// assertions_of() takes, here or on another host. nullopt after an error; nothing to check is one too.
std::optional<spec::Value> checks_of(const std::string& path, const GossfileInput& input, Sources& sources,
                                     Diagnostics& diagnostics);

/// The checks of a mapping in the vocabulary that `selected` takes, by their title and tags, and those they need.
spec::Value select_checks(
    const spec::Value& mapping,
    const std::function<bool(const std::string& title, const std::vector<std::string>& tags)>& selected);

/// The assertions of a gossfile and of all it includes, in the order of check_types() and then of the files. Empty
/// after an error, or when there are none (which is an error too).
std::deque<Assertion> assertions_of(const std::string& path, const GossfileInput& input, Sources& sources,
                                    Diagnostics& diagnostics);

/// The same for a mapping in the vocabulary that stands in a spec; includes are not taken there.
std::deque<Assertion> assertions_of(spec::Value mapping, std::shared_ptr<Context> context, Diagnostics& diagnostics);

}  // namespace converge::checks
