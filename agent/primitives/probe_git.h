// The proof that git fetches from and pushes to where it was declared, and is let in there.
#pragma once
#include "primitives/primitive.h"

namespace converge {

/// git remote get-url and get-url --push, as the user: the URLs git would really use.
struct GitUrlInEffect {
  Person user;
  AbsPath repository;
  std::string remote = "origin";
  std::string url;
  struct State {
    std::string fetch, push;
  };  // empty: git knows no such remote
  static constexpr bool live_only = true;
  static constexpr bool deep = true;
};

ResourceId id(const GitUrlInEffect& p);
Result<GitUrlInEffect::State> inspect(const GitUrlInEffect& p, const SystemView& view);
Checks compare(const GitUrlInEffect& p, const GitUrlInEffect::State& state);
Wants wants(const GitUrlInEffect& p);

/// git ls-remote of a remote, as the user and without prompts: the alias, the key, the host's key and the right to read
/// are what they must be. It reaches another machine, so the operator asks for it.
struct GitReached {
  Person user;
  AbsPath repository;
  std::string remote = "origin";
  struct State {
    int exit_code = 0;
    std::string said;  // by git and ssh, when it failed
  };
  static constexpr bool live_only = true;
  static constexpr bool deep = true;
};

ResourceId id(const GitReached& p);
Result<GitReached::State> inspect(const GitReached& p, const SystemView& view);
Checks compare(const GitReached& p, const GitReached::State& state);
Wants wants(const GitReached& p);
/// The Git service it reaches may run on this host.
constexpr bool needs_services(const GitReached& /*p*/) { return true; }
}  // namespace converge
