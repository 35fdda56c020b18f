// The proof that git fetches from and pushes to where it was declared.
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
}  // namespace converge
