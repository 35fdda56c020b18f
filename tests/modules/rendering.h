// A module rendered from the YAML of its parameters, for tests of one module.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/engine.h"
#include "modules/module.h"
#include "spec/yaml.h"

namespace converge {

/// What a module makes of `parameters`. `said` holds the messages of the diagnostics.
struct Rendering {
  Sources sources;
  spec::Value value;
  Rendered rendered;
  std::vector<std::string> said;

  Rendering(std::string_view module, const std::string& parameters, const Facts& facts) {
    Diagnostics diagnostics;
    auto read = spec::read_yaml(*sources.add("test", parameters), {}, diagnostics);
    const auto* row = find_module(module);
    if (row == nullptr || !read) {
      ADD_FAILURE() << "no such module, or no YAML: " << module << "\n" << parameters;
      return;
    }
    value = std::move(*read);
    const spec::Params params(value, row->fields, diagnostics);
    if (params.ok()) rendered = row->render(params, facts);
    for (const auto& diagnostic : diagnostics) said.push_back(diagnostic.message);
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    for (const auto& declared : rendered.chain) out.push_back(id_of(declared.resource));
    return out;
  }
  template <class P>
  const P* find() const {
    for (const auto& declared : rendered.chain) {
      if (const auto* p = std::get_if<P>(&declared.resource)) return p;
    }
    return nullptr;
  }
};

}  // namespace converge
