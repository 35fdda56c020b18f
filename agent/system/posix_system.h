// A host, or a directory tree that looks like one, through Linux's system calls.
#pragma once
#include <sys/stat.h>

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "system/identity.h"
#include "system/os.h"
#include "system/process.h"
#include "system/replace.h"
#include "system/resolve.h"
#include "system/system.h"

namespace converge {

/// The System of this machine. With another root than "/" the same code works on that tree, and everything that needs a
/// kernel or services behind it answers Errc::unsupported.
class PosixSystem final : public System {
 public:
  PosixSystem(Fd root, AbsPath root_path, std::size_t at_once = 0);

  Result<PathState> look(const Place& place) const override;
  Result<Seen> read(const Place& place, Bytes limit) const override;
  Result<std::optional<std::vector<std::string>>> list(const Place& place) const override;
  Result<CommandOutput> query(const Command& command) const override;
  Result<UnitProperties> unit(std::string_view unit) const override;
  std::map<std::string, Result<UnitProperties>, std::less<>> unit_states(
      const std::vector<std::string>& units) const override;
  Result<std::optional<Person>> user(std::string_view name) const override;
  Result<std::optional<std::uint32_t>> group(std::string_view name) const override;
  Result<SwapFileLook> look_swap(const AbsPath& path) const override;
  Result<FileSystem> file_system(const AbsPath& path) const override;
  Result<std::optional<KeptFile>> newest_backup(const AbsPath& path) const override;
  Result<std::optional<FileStatus>> status(const AbsPath& path) const override;
  Result<bool> stream(const AbsPath& path, const TakePiece& take) const override;
  Result<std::vector<NetworkInterface>> interfaces() const override;
  Result<std::vector<Listener>> tcp_listeners() const override;
  Result<Reached> dial(const DialRequest& request) const override;
  Result<DnsAnswer> ask_dns(const DnsRequest& request) const override;
  Result<HttpAnswer> http(const HttpRequest& request) const override;
  void together(const std::vector<std::function<void()>>& jobs) const override;
  void pause(std::chrono::milliseconds time) const override;
  Timestamp now() const override;
  std::uint64_t page_size() const override;
  bool is_live() const override { return live_; }
  void expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const override;
  bool answered(const Command& query) const override;

  Status write_file(const Place& place, std::string_view content, const WriteOptions& options) override;
  Status make_directory(const Place& place, Mode mode, Owner owner) override;
  Status make_symlink(const Place& place, std::string_view target) override;
  Status set_attributes(const Place& place, Mode mode, Owner owner) override;
  Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) override;
  Status remove(const Place& place) override;
  Status rename_new(const Place& from, const Place& to) override;
  Result<CommandOutput> run(const Command& command) override;
  Status start(const Command& command) override;
  bool finished(const Command& command) override;
  Result<CommandOutput> finish(const Command& command) override;
  void wait(std::chrono::milliseconds time) override;
  Status write_kernel(const AbsPath& path, std::string_view value) override;
  Status make_swap_file(const SwapFileRequest& request) override;
  Status swap_on(const AbsPath& path, std::optional<int> priority) override;
  Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) override;

 private:
  /// A directory that was resolved, and the last name in it.
  struct Entry {
    Fd directory;
    std::string name;
  };
  /// A query that was announced: running, or answered.
  struct Asked {
    Command command;
    std::size_t job;
    std::optional<Result<CommandOutput>> answer;
  };
  /// What expect() has asked ahead; forgotten at the next change.
  struct Memory {
    std::list<Asked> asked;  // a job refers to its command
    Jobs jobs;
    explicit Memory(std::size_t at_once) : jobs(at_once) {}
    std::map<std::string, Result<UnitProperties>, std::less<>> units;
  };

  int open_raw(const Place& place, int flags) const;
  Result<Entry> entry_of(const Place& place) const;
  Error explain(int error_number, std::string_view doing, const Place& place) const;
  Error explain_write(int error_number, std::string_view doing, const Place& place, int directory,
                      const std::string& name) const;
  PathState state_of(int fd, const struct stat& st) const;
  Result<AsUser> become(const std::optional<Person>& who) const;
  Result<std::vector<gid_t>> groups(const Person& who) const;
  Result<std::string> home_of_ours() const;
  Result<Launch> launch_of(const Command& command) const;
  Result<CommandOutput> run_now(const Command& command) const;
  Status own(int fd, const Place& place, Owner owner) const;
  /// Gives `temporary` its name, durably. `before` is what was there when we looked, nullptr for nothing; Errc::changed
  /// if it is another now.
  Status put_in_place(Temporary& temporary, const Entry& entry, const struct stat* before, std::string_view doing,
                      const Place& place) const;
  /// Keeps what is at `place` now, if that is a file and this run has not kept it yet.
  Status keep_backup(const Place& place);
  Result<Fd> make_path(const AbsPath& directory);
  void forget() const { memory_ = Memory(at_once_); }
  /// A change was made with the rights of `who`, or with ours.
  void forget(const std::optional<Person>& who) const;

  Resolver resolver_;
  AbsPath root_path_;
  bool live_;
  bool privileged_;             // effective uid 0: owners are managed, users can be taken on
  std::string run_id_;          // names this run's backups
  std::size_t at_once_wanted_;  // 0: whatever suits
  std::size_t at_once_;         // queries
  mutable Memory memory_;
  std::list<Asked> begun_;  // commands that change something, and are under way
  Jobs begun_jobs_;
};

/// Opens `root` once; "/" is this machine. Errc::not_found or Errc::permission if it is no directory we may enter.
/// `at_once`: how many queries and requests may run together; 0: as many as suits this machine.
Result<std::unique_ptr<System>> open_system(const AbsPath& root, std::size_t at_once = 0);

}  // namespace converge
