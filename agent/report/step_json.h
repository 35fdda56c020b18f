// A step as JSON, for the report and for the wire: what one writes the other reads. Every key is always present; null
// is for nothing.
#pragma once
#include <optional>

#include "engine/engine.h"
#include "engine/finding.h"
#include "report/ordered_json.h"

namespace converge {

/// A name of an outcome or a status, as programs read it: "in_sync", "not_begun".
std::string one_word(std::string_view name);
/// {"item", "id", "at", "outcome", "checks", "error", "note", "diff", "micros"}
Json to_json(const Step& step);
/// {"in_sync": 3, ...}
Json to_json(const Tally& tally);
/// {"item", "id", "at", "property", "unknown", "expected", "actual", "detail", "in_sync_until", "out_since", "ended",
/// "how", "suspects": [{"kind", "text"}]}; times are microseconds since the epoch.
Json to_json(const Finding& finding);
/// {"message", "hint"}, or null.
Json to_json(const std::optional<Error>& error);

/// The same back; nullopt unless every key is there and is what to_json() makes. What comes from a node is not
/// trusted: nothing is thrown.
std::optional<Step> step_from(const Json& json);
std::optional<Tally> tally_from(const Json& json);

}  // namespace converge
