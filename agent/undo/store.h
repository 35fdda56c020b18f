// Journals as files: one a run, in a directory that only their owner may enter. What files held before lies there, and
// only there.
#pragma once
#include <string>
#include <vector>

#include "undo/journaling.h"

namespace converge::undo {

/// Where a host keeps its own.
constexpr const char* host_directory = "/var/lib/converge/undo";

/// The journal of one run. Nothing is made before the first piece. A piece survives the death of this process once
/// add() has returned, and the loss of power once finish() has.
class JournalFile final : public Sink {
 public:
  /// `uid`: of the run; Errc::invalid later unless it is 8 to 64 hex digits.
  JournalFile(std::string directory, std::string uid) : directory_(std::move(directory)), uid_(std::move(uid)) {}
  ~JournalFile() override;
  Status add(std::string_view piece) override;
  /// The run has ended: if it has changed something, all of it is on disk when this returns, and the oldest journals
  /// are removed: 20 stay, for 90 days, and 256 MiB of them; this one always.
  Status finish(Timestamp ended);

 private:
  Status open();
  const std::string directory_, uid_;
  int fd_ = -1;
};

struct Stored {
  std::string file;
  Journal journal;
};
/// The journals in `directory`, the newest first; those that cannot be read are left out. Errc::not_found: there is no
/// directory; Errc::permission.
Result<std::vector<Stored>> journals_in(const std::string& directory);
/// Notes that the run `uid` has put all of it back.
Status mark_undone(const Stored& stored, const std::string& uid);

}  // namespace converge::undo
