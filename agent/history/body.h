// The steps of a host's run as bytes to keep, and back.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/step.h"

namespace converge::history {

/// 32 raw bytes that tell one list of steps from another; how long they took does not count.
std::string digest_of(const std::vector<Step>& steps);
/// 32 raw bytes for which resources they are about, whatever was found.
std::string shape_of(const std::vector<Step>& steps);

/// JSON, packed by zlib; without how long they took.
std::string pack(const std::vector<Step>& steps);
/// nullopt unless pack() made it. At most 256 MiB are unpacked.
std::optional<std::vector<Step>> unpack(std::string_view bytes);

/// How long each took, in order: microseconds, seven bits to a byte, the lowest first.
std::string pack_times(const std::vector<Step>& steps);
/// Sets them; times that are missing stay 0.
void unpack_times(std::string_view bytes, std::vector<Step>& steps);

}  // namespace converge::history
