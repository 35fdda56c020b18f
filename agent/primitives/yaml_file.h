// A YAML file whose meaning, not text, is declared.
#pragma once
#include "primitives/primitive.h"
#include "spec/value.h"
namespace converge {

/// Compared as YAML, never as text. exact: the whole document is `document`. merge: each mapping of `document` is contained
/// in the file's; what else is there stays (comments too, wherever no entry of ours had to change).
struct YamlFile {
  AbsPath path;
  spec::Value document;
  enum class Manage { exact, merge } manage = Manage::merge;
  Mode mode{0600};
  Owner owner;
  bool sensitive = false;
  struct State { Seen seen; };
};

ResourceId id(const YamlFile& p);
Result<YamlFile::State> inspect(const YamlFile& p, const SystemView& view);
Checks compare(const YamlFile& p, const YamlFile::State& state);
Status apply(const YamlFile& p, const YamlFile::State& state, System& system);
std::string diff(const YamlFile& p, const YamlFile::State& state);
}  // namespace converge
