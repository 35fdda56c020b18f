// Giving a parsed template its value. Of template_*.cpp alone.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "spec/template.h"
#include "spec/template_tree.h"

namespace converge::spec {

constexpr std::size_t max_template_output = 1U << 20U;

/// Where an offset of the template's text stands in its file.
using Locate = std::function<SourcePos(std::size_t offset)>;

/// The value of one expression, perhaps a part of the scope's; null after a diagnostic.
std::shared_ptr<const Value> evaluate_expression(const Expr& expr, const Scope& scope, Diagnostics& diagnostics,
                                                 const Locate& locate);
/// The text the nodes make; nullopt after a diagnostic.
std::optional<std::string> evaluate_text(const Nodes& nodes, const Scope& scope, Diagnostics& diagnostics,
                                         const Locate& locate);

}  // namespace converge::spec
