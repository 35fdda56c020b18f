// The other way round: what is there now, as the entries of a gossfile that assert it.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checks/context.h"
#include "checks/type.h"
#include "core/result.h"
#include "spec/value.h"

namespace converge::checks {

struct RecordOptions {
  std::vector<std::string> exclude;  // attributes to leave out: names or globs
  spec::Map options;                 // how to look, written into the entry: {"timeout": 500}
};

/// The types that can be recorded, by name.
std::vector<std::string> recordable_types();

/// The entry of `type` for `name`: the attributes Goss records, without lists that would assert nothing. What is not
/// there is recorded as that (exists: false). Errc::unsupported for a type that records nothing, not_found where there
/// is nothing to record (no answer), and whatever kept an attribute from being told.
Result<spec::Value> record(const CheckType& type, const std::string& name, const RecordOptions& options,
                           Context& context, const SystemView& view);

/// What goes by `name` on this host, as pairs of a type and a key: the file (when `name` has a '/'), group, package,
/// port, process and the ports its processes listen on, service and user; only what is there. Ports of processes that
/// may not be looked into are left out.
Result<std::vector<std::pair<const CheckType*, std::string>>> found_by_name(const std::string& name, Context& context,
                                                                            const SystemView& view);

}  // namespace converge::checks
