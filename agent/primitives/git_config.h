// What git's configuration says about a remote. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "system/system.h"

namespace converge {

/// An entry of `git config --list -z --show-origin --show-scope`. Section and variable are in lower case, the middle
/// part of the key as written.
struct GitConfigEntry {
  std::string scope;   // "system", "global", "local", "worktree", "command"
  std::string origin;  // "file:.git/config"
  std::string key;     // "remote.origin.url"
  std::string value;   // empty also for a key without '='
};
/// Errc::unparsable if the fields do not come out even.
Result<std::vector<GitConfigEntry>> parse_git_config(std::string_view bytes);

/// Where a url leads after url.<base>.insteadOf: the longest prefix wins, the first of equally long ones.
/// For pushing without a pushurl of the remote, url.<base>.pushInsteadOf comes first.
struct Rewritten {
  std::string url;
  std::string by;  // "url.https://x/.insteadof in file:/home/u/.gitconfig"; empty if nothing applied
};
Rewritten rewrite_for_fetch(const std::vector<GitConfigEntry>& entries, std::string_view url);
Rewritten rewrite_for_push(const std::vector<GitConfigEntry>& entries, std::string_view url);

/// git with `arguments` in `repository`, as that user: it asks nobody, and takes no repository above for this one.
Command git(const Person& user, const AbsPath& repository, std::vector<std::string> arguments);

}  // namespace converge
