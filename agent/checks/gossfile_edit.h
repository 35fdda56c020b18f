// Adding an entry to a gossfile that people write by hand: every other byte stays, comments too.
#pragma once
#include <string>
#include <string_view>

#include "core/diagnostic.h"
#include "core/result.h"
#include "spec/value.h"

namespace converge::checks {

struct NewEntry {
  std::string section;   // "file"
  std::string key;       // "/etc/passwd"
  spec::Value value;     // its attributes
  bool replace = false;  // an entry of that key that says something else
};

struct EditedFile {
  enum class What { added, replaced, unchanged } what = What::unchanged;
  std::string text;
};

/// The text of the gossfile `path` ("" if it does not exist yet) with `entry`. In YAML lines are put in, and nothing is
/// written anew; JSON, which has no comments, is written again with 4 spaces. An entry that says all of this already
/// (and perhaps more) is left alone; title, meta and what else is no assertion is kept when one is replaced.
/// Errc::invalid: the file is no gossfile, or has templates; exists: the key is there and says something else; refused:
/// it cannot be done without touching something else (flow style, comments within what would be replaced).
Result<EditedFile> with_entry(const std::string& path, const std::string& text, const NewEntry& entry);

/// The entry as it is written: "/etc/passwd:\n  exists: true\n".
std::string entry_text(const std::string& key, const spec::Value& value, std::size_t indent = 0);

}  // namespace converge::checks
