// The history in one file of SQLite's, https://sqlite.org/fileformat2.html.
#pragma once
#include "history/history.h"

namespace converge::history {

enum class Access { read, write };

/// Opens the history at `path`, a file of a local file system whose directory exists and is its owner's alone. For
/// write, it is made (mode 0600) if it is absent, and brought to this version's form, a copy of the older form being
/// kept beside it. Errc::not_found: read, and there is none. Errc::unsupported: it was made by a newer version.
/// Errc::unparsable: it is damaged, or none of ours. Errc::symlink is never followed.
Result<std::unique_ptr<History>> open_sqlite(const std::string& path, Access access);

}  // namespace converge::history
