// What the files behind posix_system.h share; nobody else includes it.
#pragma once
#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/values.h"
#include "system/system.h"

namespace converge {

Timestamp timestamp_of(const struct timespec& t);

/// The name of a file system by its statfs(2) magic; the magic in hexadecimal if it is none we know.
std::string file_system_name(std::uint64_t type);

/// A path in quotes, fit for a message.
std::string show(const AbsPath& path);

/// Errc::unsupported: `what` needs a running host.
Error not_live(std::string_view what);

/// Errc::changed: between our look and our change.
Error changed_meanwhile(const AbsPath& path);

}  // namespace converge
