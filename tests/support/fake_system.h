// A host in memory. It fakes behaviour, not expectations: paths, swap, kernel files, units and commands are state that
// mutations change, each mutation is logged in order, and any of them can be made to fail or to be where the process
// dies.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "system/facts.h"
#include "system/system.h"

namespace converge {

/// Thrown by a FakeSystem told to die: the process is gone, the host is as before the mutation.
struct ProcessDied {
  std::string mutation;
};

class FakeSystem : public System {
 public:
  FakeSystem();

  // ---- the world before the test: none of these is logged ------------------------------------------------------
  /// A regular file; missing directories above are made (0755 root). An existing file keeps nothing but its path.
  void put_file(std::string_view path, std::string_view content, Mode mode = Mode{0644}, Owner owner = root_owner);
  void put_directory(std::string_view path, Mode mode = Mode{0755}, Owner owner = root_owner);
  void put_symlink(std::string_view path, std::string_view target);
  void put_other(std::string_view path, std::string_view kind);  // "fifo", "socket", ...
  void set_mode(std::string_view path, Mode mode);
  void set_owner(std::string_view path, Owner owner);
  void set_links(std::string_view path, std::uint64_t links);
  void set_immutable(std::string_view path);
  /// Takes the path and everything below it away.
  void erase(std::string_view path);

  /// A swap file as mkswap(8) leaves it; `mutable` details through swap_at().
  void put_swap_file(std::string_view path, Bytes size, bool active, std::optional<int> priority = std::nullopt);
  struct SwapDetails {
    Bytes allocated;
    std::optional<SwapFileLook::Header> header;
  };
  SwapDetails& swap_at(std::string_view path);
  bool swap_active(std::string_view path) const;
  void set_swap_active(std::string_view path, bool active, std::optional<int> priority = std::nullopt);
  /// So much of an active area is in use. A swapoff moves it to the other areas, and what they cannot take to memory
  /// (MemAvailable); if that is too little, the process is killed.
  void set_swap_used(std::string_view path, Bytes used);
  Bytes swap_used(std::string_view path) const;
  /// Every swapoff fails with this until it is set to nullopt again.
  std::optional<Error> swap_off_error;

  /// Adds a line to /etc/passwd and /etc/group too, and makes the home directory.
  void add_user(const Person& person);
  void add_group(std::string_view name, std::uint32_t gid, std::string_view members = "");
  const std::map<std::string, Person, std::less<>>& people() const { return people_; }
  const std::map<std::string, std::uint32_t, std::less<>>& groups() const { return groups_; }

  /// The file system mounted at `mount_point`; there is always one at "/".
  void set_file_system(std::string_view mount_point, FileSystem info);

  /// Units by full name. One that is not there answers LoadState=not-found (a slice: loaded and inactive, as systemd).
  std::map<std::string, UnitProperties, std::less<>> units;
  /// Last word on what unit() answers: may change the properties found in `units`.
  std::function<void(const FakeSystem&, std::string_view unit, UnitProperties&)> unit_hook;

  std::function<bool(const Command&)> under_way;  // whether what was started is; without: it ends at once
  std::function<void()> on_pause;                 // what happens while somebody pauses

  bool live = true;
  bool privileged = true;  // false: take_over() is Errc::permission
  bool owners_managed = true;
  bool systemd = true;  // false: unit() is Errc::unsupported
  std::uint64_t pages_of = 4096;
  /// What expect() announces is answered at once and told from memory as long as a System may: until the next change.
  /// Off, because tests change the world in ways that a run does not see.
  bool asks_ahead = false;

  // ---- time ----------------------------------------------------------------------------------------------------
  /// Moves the clock. Every mutation moves it by a millisecond too, so that no two things happen at the same moment.
  void tick(std::chrono::microseconds by = std::chrono::seconds(1));

  // ---- commands ------------------------------------------------------------------------------------------------
  /// What a program does. `mutating` is false in query(): a handler that changes the host then fails the test.
  using Handler = std::function<Result<CommandOutput>(FakeSystem&, const Command&, bool mutating)>;
  /// `argv0` as a command writes it, or its last component. A command without a handler fails the test.
  void on_command(std::string_view argv0, Handler handler);
  /// The program is not installed: Errc::not_found, and no test failure.
  void without_command(std::string_view argv0);

  // ---- what happened -------------------------------------------------------------------------------------------
  /// "write /etc/fstab 0644 0:0", "as tegwick write /home/tegwick/.ssh/config 0600", "mkdir P MODE U:G",
  /// "symlink P -> T", "attributes P MODE U:G", "takeover P MODE NAME", "remove P", "rename A B", "kernel P VALUE",
  /// "swapfile P 4 GiB", "swapon P", "swapoff P", "run systemctl daemon-reload". In order; what was refused or failed
  /// is not there.
  const std::vector<std::string>& mutations() const { return mutations_; }
  void forget_mutations() { mutations_.clear(); }
  /// Commands that were queried, as text.
  const std::vector<std::string>& queries() const { return queries_; }
  /// Previous bytes kept by WriteOptions::backup: path, content.
  const std::vector<std::pair<std::string, std::string>>& backups() const { return backups_; }
  Result<std::optional<KeptFile>> newest_backup(const AbsPath& path) const override;
  /// Every path: kind, mode, owner, bytes or target. Times and inodes are left out.
  std::map<std::string, std::string> snapshot() const;
  /// The bytes of a regular file; fails the test and answers "" for anything else.
  const std::string& content(std::string_view path) const;
  bool exists(std::string_view path) const { return nodes_.contains(std::string(path)); }
  PathState state(std::string_view path) const;

  // ---- faults --------------------------------------------------------------------------------------------------
  /// The n-th mutation from now (1 is the next) fails with `code` and changes nothing.
  void fail_mutation(int n, Errc code = Errc::io);
  /// The n-th mutation from now throws ProcessDied; it has not happened.
  void die_at_mutation(int n);
  void clear_faults();
  /// look() and read() of this path fail with `code`.
  void fail_look(std::string_view path, Errc code);

  // ---- System --------------------------------------------------------------------------------------------------
  Result<PathState> look(const Place& place) const override;
  Result<Seen> read(const Place& place, Bytes limit) const override;
  Result<std::optional<std::vector<std::string>>> list(const Place& place) const override;
  Result<CommandOutput> query(const Command& command) const override;
  Result<UnitProperties> unit(std::string_view unit) const override;
  Result<std::optional<Person>> user(std::string_view name) const override;
  Result<std::optional<std::uint32_t>> group(std::string_view name) const override;
  Result<SwapFileLook> look_swap(const AbsPath& path) const override;
  Result<FileSystem> file_system(const AbsPath& path) const override;
  Timestamp now() const override { return now_; }
  std::uint64_t page_size() const override { return pages_of; }
  bool is_live() const override { return live; }
  void expect(const std::vector<Command>& queries, const std::vector<std::string>& units_asked) const override;

  Status write_file(const Place& place, std::string_view content, const WriteOptions& options) override;
  Status make_directory(const Place& place, Mode mode, Owner owner) override;
  Status make_symlink(const Place& place, std::string_view target) override;
  Status set_attributes(const Place& place, Mode mode, Owner owner) override;
  Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) override;
  Status remove(const Place& place) override;
  Status rename_new(const Place& from, const Place& to) override;
  Result<CommandOutput> run(const Command& command) override;
  bool finished(const Command& command) override { return !under_way || !under_way(command); }
  void wait(std::chrono::milliseconds time) override;
  void pause(std::chrono::milliseconds /*time*/) const override {
    if (on_pause) on_pause();
  }
  Status write_kernel(const AbsPath& path, std::string_view value) override;
  Status make_swap_file(const SwapFileRequest& request) override;
  Status swap_on(const AbsPath& path, std::optional<int> priority) override;
  Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) override;

 private:
  struct Node {
    PathState state;
    std::string content;
    std::optional<SwapDetails> swap;
  };
  struct ActiveSwap {
    int priority = -2;
    Bytes used = {};
  };

  Result<std::string> resolve(const Place& place) const;
  Status may_change_in(const Place& place, const std::string& real) const;
  Status mutate(std::string what);
  Result<CommandOutput> dispatch(const Command& command, bool mutating);
  Result<CommandOutput> query_now(const Command& command) const;
  Result<UnitProperties> unit_now(std::string_view name) const;
  PathState shown(const PathState& state) const;
  void put(const std::string& path, Node node);
  void make_parents(const AbsPath& path);
  RegularFile fresh_file(Mode mode, Owner owner, std::size_t size);
  void show_swaps();
  bool drain(std::uint64_t inode);

  std::map<std::string, Node> nodes_;
  std::map<std::uint64_t, ActiveSwap> active_;  // by inode
  std::map<std::string, FileSystem> mounts_;
  std::map<std::string, Person, std::less<>> people_;
  std::map<std::string, std::uint32_t, std::less<>> groups_;
  std::map<std::string, Handler, std::less<>> handlers_;
  std::set<std::string, std::less<>> missing_commands_, immutable_;
  std::map<std::string, Errc> look_faults_;
  std::vector<std::string> mutations_;
  mutable std::vector<std::string> queries_;
  struct Ahead {
    Command command;
    Result<CommandOutput> answer;
    bool told = false;
  };
  mutable std::vector<Ahead> ahead_;
  mutable std::map<std::string, Result<UnitProperties>, std::less<>> units_ahead_;
  std::vector<std::pair<std::string, std::string>> backups_;
  std::vector<Timestamp> kept_at_;  // of backups_
  Timestamp now_{1'790'000'000'000'000};
  std::uint64_t next_inode_ = 1000, changes_ = 0;
  int fail_in_ = 0, die_in_ = 0;  // 0: never
  Errc fail_code_ = Errc::io;
};

}  // namespace converge
