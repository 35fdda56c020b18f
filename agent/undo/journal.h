// What a run changed on its host: of each thing what it was before, and everything the run made of it. Enough to put it
// back, and to tell what somebody else made of it since.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace converge::undo {

/// What a path, a parameter of the kernel or a unit is, as far as undo is concerned.
struct State {
  enum class Kind { absent, file, directory, symlink, other, swap, value, unit };
  Kind kind = Kind::absent;
  Mode mode;                           // of a file, directory or swap file
  std::optional<Owner> owner;          // nullopt: owners are not managed in this tree
  std::string text;                    // a symlink's target, the kind of `other`, a value, a unit's state at boot
  std::string digest;                  // of a file: SHA-256 of its bytes, raw; empty: not known
  std::optional<std::string> content;  // of a file: its bytes, where they are kept
  Bytes size;                          // of a file or swap file
  std::string uuid;                    // of a swap file
  bool on = false;                     // swap in use, unit running
  std::optional<int> priority;         // of swap in use
};

/// Whether one cannot be told from the other. What is not known of a file's bytes or owner does not tell them apart;
/// nor does the priority of swap.
bool same(const State& a, const State& b);
/// "absent", "file", "swap file", ...
std::string kind_of(const State& state);

struct Record {
  enum class About {
    path,
    kernel,  // a file below /proc/sys: a value that is written, not a file
    unit,
    reload,  // systemd was told to read its units again
    remark   // `name` says what was done that nobody can put back
  } about = About::path;
  std::string name;
  std::optional<Person> as;     // whose rights a path is reached with
  std::optional<State> before;  // when the run first touches it; once more, with its bytes, when these go
  std::optional<State> after;   // what it is about to become; nullopt: only the end of a command will tell
};

/// Who ran.
struct RunHead {
  std::string uid;   // of the run, as the history has it
  std::string host;  // the name it was run as
  std::string root;  // "/" or the tree
  std::string who;
  Timestamp began;
};

/// One thing that a run changed.
struct Subject {
  Record::About about = Record::About::path;
  std::string name;
  std::optional<Person> as;
  State before;
  std::vector<State> made;  // everything the run made of it, in order
  bool open = false;        // the run was cut off while a command changed it
};

struct Journal {
  RunHead head;
  std::vector<Subject> subjects;     // in the order they were first touched
  std::vector<std::string> remarks;  // what was done that cannot be put back
  bool reloads = false;
  std::optional<Timestamp> ended;  // nullopt: the run was cut off, and what it did last may be missing
  std::string undone_by;           // the uid of the run that put all of it back, or ""
  std::size_t whole = 0;           // so many bytes were understood
};

/// Pieces of a journal, to be written one after the other: first of all the head. Netstrings (cr.yp.to/proto), each a
/// list of netstrings.
std::string encode(const RunHead& head);
std::string encode(const Record& record);
std::string encode_end(Timestamp ended);
std::string encode_undone(const std::string& uid);

/// What the pieces say; those that are cut off or damaged, and all after them, are left out: their changes may have
/// been made. Errc::unparsable without a whole head of this form.
Result<Journal> read_journal(std::string_view bytes);

}  // namespace converge::undo
