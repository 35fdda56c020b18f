// What check types share when they look.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "checks/context.h"
#include "checks/type.h"

namespace converge::checks {

/// The look failed: every attribute that was asked for is unknown, for this reason.
Looked all_unknown(const Asked& asked, const Error& error);

spec::Value list_value(const std::vector<std::string>& texts);
/// A text that is already here, for matchers that stream.
Text text_value(std::string text);

/// The JSON that a document of some other form is; what the gjson matcher reads.
using AsJson = Result<std::string> (*)(const AbsPath& path, const std::string& text);
/// What `exists` and `values` are of a document in a file of at most 4 MiB.
Looked look_at_document(const Asked& asked, Context& context, const SystemView& view, AsJson as_json);

/// The user of that name; Errc::not_found, with a way out, if there is none.
Result<Person> person_of(const std::string& name, const SystemView& view);

/// The path a gossfile means: "~" and "~user" are homes, a relative one starts where the commands run, ".." is resolved
/// by name.
Result<AbsPath> path_of(std::string text, Context& context, const SystemView& view);

/// From passwd(5) and group(5), or getent(1) where nsswitch.conf(5) names more than the files; nullopt: there is none.
Result<std::optional<Account>> find_account(const std::string& name, Context& context, const SystemView& view);
Result<std::optional<Account>> find_account(std::uint32_t uid, Context& context, const SystemView& view);
Result<std::optional<GroupEntry>> find_group_entry(const std::string& name, Context& context, const SystemView& view);
Result<std::optional<GroupEntry>> find_group_entry(std::uint32_t gid, Context& context, const SystemView& view);

}  // namespace converge::checks
