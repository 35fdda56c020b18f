// A remote of a git repository, as git itself answers for it.
#pragma once
#include "primitives/primitive.h"

namespace converge {

struct GitRemote {
  Person user;          // who owns the repository; git runs as them
  AbsPath repository;   // a work tree or a bare repository
  std::string remote = "origin";
  std::string url;
  struct State {
    bool repository_exists = false;
    std::vector<std::string> urls, push_urls;         // as configured
    std::string fetch_url, push_url;                  // after insteadOf and pushInsteadOf; empty without the remote
  };
  static constexpr bool live_only = true;
};

ResourceId id(const GitRemote& p);
Result<GitRemote::State> inspect(const GitRemote& p, const SystemView& view);
Checks compare(const GitRemote& p, const GitRemote::State& state);
Status apply(const GitRemote& p, const GitRemote::State& state, System& system);
Wants wants(const GitRemote& p);
}  // namespace converge
