// From evaluated items to work: what the host that has these facts should be, as resources. Rendering needs no host but
// for people whom /etc/passwd does not name.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "checks/context.h"
#include "core/diagnostic.h"
#include "engine/engine.h"
#include "spec/spec.h"
#include "spec/value.h"
#include "system/facts.h"

namespace converge {

/// What {{ .Facts.name }} answers: a mapping.
spec::Value facts_value(const Facts& facts);

/// The module of items that hold assertions in the vocabulary of gossfiles: a spec's `verify:`, a gossfile.
constexpr std::string_view assertions_module = "verify";

/// Renders every item; wrong parameters are diagnostics, and so are items that contradict each other. A user that
/// parameters name and /etc/passwd has not is asked for through `view` and added to `facts`; with a null `view` nobody
/// is asked: for finding mistakes in parameters where the host is not at hand. Assertions become work of their own, one
/// each, and share `context`.
std::vector<Work> render_items(std::vector<spec::Item> items, const SystemView* view, Facts& facts,
                               Diagnostics& diagnostics,
                               const std::shared_ptr<checks::Context>& context = std::make_shared<checks::Context>());

}  // namespace converge
