// A YAML file whose meaning, not text, is declared.
#pragma once
#include "primitives/primitive.h"
#include "spec/value.h"
namespace converge {

/// Compared as YAML, never as text: mappings unordered, lists ordered, null and an empty mapping the same. exact: the
/// whole document is `document`. merge: each mapping of `document` is contained in the file's; what else is there stays
/// (comments too, wherever no entry of ours had to change). A file that merge cannot be sure about (anchors, duplicate
/// keys, several documents, bad YAML) is refused by merge, and replaced by exact. The previous bytes are kept as a
/// backup.
struct YamlFile {
  AbsPath path;
  spec::Value document;
  enum class Manage { exact, merge } manage = Manage::merge;
  Mode mode{0600};
  Owner owner;
  bool sensitive = false;  // no value is ever shown; without it those of keys such as 'password' are not
  struct State {
    Seen seen;
  };
};

/// What merge would write over `text`: as few lines as possible are touched, all others stay byte for byte.
/// Errc::refused, with line and column in `text`, if it cannot be merged into. `name` is for that message.
Result<std::string> merged_yaml(std::string_view text, const spec::Value& document, const std::string& name);

ResourceId id(const YamlFile& p);
Result<YamlFile::State> inspect(const YamlFile& p, const SystemView& view);
Checks compare(const YamlFile& p, const YamlFile::State& state);
Status preflight(const YamlFile& p, const YamlFile::State& state, const SystemView& view);
Status apply(const YamlFile& p, const YamlFile::State& state, System& system);
std::string diff(const YamlFile& p, const YamlFile::State& state);
}  // namespace converge
