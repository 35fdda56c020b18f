// A remote of a git repository, as git itself answers for it.
#pragma once
#include "primitives/git_config.h"
#include "primitives/primitive.h"

namespace converge {

/// The one URL of a remote. Nothing is cloned; a second url, a pushurl, or a rule that rewrites the URL is somebody's
/// intention: refused, and named.
struct GitRemote {
  Person user;         // who owns the repository; git runs as them
  AbsPath repository;  // a work tree or a bare repository
  std::string remote = "origin";
  std::string url;
  struct State {
    bool repository_exists = false;
    std::string problem;                       // git's own words if it does not take the path for a repository
    std::vector<std::string> urls, push_urls;  // as configured
    bool named = false;                        // the remote has some setting in this repository
    std::optional<AbsPath> config;             // the file of the repository's own settings
    Rewritten fetch, push;                     // where the *declared* url leads under this configuration
  };
  static constexpr bool live_only = true;
};

ResourceId id(const GitRemote& p);
Result<GitRemote::State> inspect(const GitRemote& p, const SystemView& view);
Checks compare(const GitRemote& p, const GitRemote::State& state);
Status apply(const GitRemote& p, const GitRemote::State& state, System& system);
inline const Person& acts_as(const GitRemote& p) { return p.user; }
Status preflight(const GitRemote& p, const GitRemote::State& state, const SystemView& view);
Wants wants(const GitRemote& p);
}  // namespace converge
