// A module: a row of a table. Parameters and facts in, a short chain of primitives out. No I/O.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/diagnostic.h"
#include "primitives/resource.h"
#include "spec/params.h"
#include "system/facts.h"

namespace converge {

/// Which line of which spec asked for a resource.
struct Provenance {
  std::string module;
  SourcePos at;
};

struct Declared {
  Resource resource;
  Provenance from;
};

/// One module's resources in order: a failed one blocks the rest of its chain. A refusal says why this host cannot have
/// them (an unknown user, no systemd): the item fails, others go on.
struct Rendered {
  std::vector<Declared> chain;
  std::optional<Error> refusal;
};

struct Module {
  std::string_view name, summary;
  std::vector<spec::Field> fields;
  std::string_view example;  // a spec item in YAML, run by a test
  Rendered (*render)(const spec::Params&, const Facts&);
};

/// All modules, sorted by name. The only registry there is.
const std::vector<const Module*>& modules();
const Module* find_module(std::string_view name);

/// A resource asked for by `key` of the parameters.
inline Declared declare(std::string_view module, const spec::Params& params, std::string_view key, Resource resource) {
  return {std::move(resource), {std::string(module), params.at(key)}};
}

}  // namespace converge
