// The pieces of putting a new file in the place of an old one, atomically and durably.
#pragma once
#include <string>

namespace converge {

/// A name beside `name` in `directory` for what will take its place; unlinked on destruction unless it was kept.
/// Making one removes what an interrupted run of ours left there.
class Temporary {
 public:
  Temporary(int directory, const std::string& name);
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const char* name() const { return name_.c_str(); }
  /// Nothing is left to unlink: it was never made, or has its name.
  void keep() { kept_ = true; }

 private:
  int directory_;
  std::string name_;
  bool kept_ = false;
};

/// Holds a temporary file as long as its descriptor lives, so that another run does not take it for abandoned.
void hold_temporary(int fd);

/// fsync of a directory known by an O_PATH descriptor; 0 or errno. A directory we may not read cannot be synced: its
/// entry is then as durable as the file system makes it by itself.
int sync_directory(int directory);

/// 0 or errno; EEXIST if `to` is there.
int rename_noreplace(int from_directory, const char* from, int to_directory, const char* to);

}  // namespace converge
