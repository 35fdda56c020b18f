// The one seam to a host. SystemView looks; System can also change. Plan and verify are handed a SystemView, so the
// compiler, not a flag, keeps them from writing. A command is an argv, never a shell string.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "core/values.h"

namespace converge {

/// A user of the host, passwd(5).
struct Person {
  std::string name;
  std::uint32_t uid = 0, gid = 0;
  AbsPath home;
  bool operator==(const Person&) const = default;
};

/// A path, and with whose rights it is reached. With `as`, the work is done with that user's uid, gid and groups, and
/// no component of the path below their home may be a symbolic link (Errc::symlink): what a user can plant, root does
/// not follow. Without it, root's rights; symlinks in the directory part are followed, the last component is not.
struct Place {
  AbsPath path;
  std::optional<Person> as;
  Place(AbsPath p) : path(std::move(p)) {}  // NOLINT(google-explicit-constructor): a bare path is root's
  Place(AbsPath p, std::optional<Person> who) : path(std::move(p)), as(std::move(who)) {}
  bool operator==(const Place&) const = default;
};

// ---- what a path can be ----------------------------------------------------------------------------------------
struct Absent {};
struct RegularFile {
  Mode mode;
  std::optional<Owner> owner;  // nullopt: owners are not managed in this tree (--root without root's rights)
  Bytes size;
  Timestamp modified;  // mtime
  std::uint64_t inode = 0, device = 0, links = 1;
};
struct DirectoryInfo {
  Mode mode;
  std::optional<Owner> owner;
};
struct Symlink {
  std::string target;
};
struct OtherKind {
  std::string kind;
};  // "socket", "fifo", "block device", "character device"
using PathState = std::variant<Absent, RegularFile, DirectoryInfo, Symlink, OtherKind>;
std::string kind_of(const PathState& state);  // "absent", "file", "directory", "symlink", "socket" ...

/// One look at a path and, for a regular file, its bytes from the same descriptor.
struct Seen {
  PathState state;
  std::string content;  // empty unless state is RegularFile
};

/// What lstat(2) says of a path that is there.
struct FileStatus {
  std::string kind;  // as kind_of()
  Mode mode;         // with the set-id and sticky bits
  std::optional<Owner> owner;
  Bytes size;
  std::string target;  // of a symlink
};

/// Takes a piece of a text; false: enough has been seen.
using TakePiece = std::function<bool(std::string_view piece)>;

struct NetworkInterface {
  std::string name;
  std::vector<std::string> addresses;  // "192.0.2.1/24", "fe80::1/64", sorted
};

struct Listener {
  bool ipv6 = false;
  std::string address;  // "0.0.0.0", "::1"
  std::uint16_t port = 0;
};

struct DialRequest;
struct DnsRequest;
struct DnsAnswer;
struct HttpRequest;
struct HttpAnswer;
enum class Reached : int;

// ---- commands --------------------------------------------------------------------------------------------------
/// A program to run. argv[0] is a name looked up in /usr/sbin:/usr/bin:/sbin:/bin (of the host) or an absolute path.
/// Environment: PATH, LC_ALL=C, HOME and `environment`; nothing is inherited. Working directory "/". stdin is `input`.
struct Command {
  std::vector<std::string> argv;
  std::string input;
  std::chrono::milliseconds deadline{30'000};  // then its process group gets TERM, and KILL
  std::optional<Person> as;                    // run with this user's uid, gid and groups; nullopt: ours
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<AbsPath> directory = std::nullopt;  // the working directory; "/" otherwise
  Bytes keep = Bytes{320U << 10U};                  // of each output stream, the last 64 KiB of it being its tail
  /// Of a query: its answer rests on nothing that anybody but root may change.
  bool rests_on_root_alone = false;
  /// The paths that running it makes, changes or removes, reached as `as`: all it does to the host. nullopt: who knows.
  std::optional<std::vector<AbsPath>> touches = std::nullopt;
  bool operator==(const Command&) const = default;
  std::string text() const;  // argv for people, quoted where needed
};
struct CommandOutput {
  int exit_code = 0;     // 128 + signal when it was killed by one
  std::string out, err;  // each capped at Command::keep (head, a notice, tail)
  bool cut = false;      // one of them was longer
  int signal = 0;        // what killed it, or 0
};

// ---- systemd ---------------------------------------------------------------------------------------------------
/// Some properties of a unit, by systemd's names: "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload",
/// "DropInPaths" (space separated), "MemoryMax" (decimal bytes, or "infinity"), "ActiveEnterTimestamp" (decimal
/// microseconds since the epoch, "0" for never) ... A property systemd does not know is missing: that is unknown.
using UnitProperties = std::map<std::string, std::string, std::less<>>;

// ---- swap ------------------------------------------------------------------------------------------------------
/// Everything a swap file's life depends on, read from its descriptor. Sources: swapon(8), mkswap(8), ioctl_fiemap.
struct SwapFileLook {
  PathState state;  // Absent, RegularFile or what is in the way
  Bytes allocated;  // st_blocks * 512; less than the size means holes
  struct Header {
    std::uint32_t version = 0, last_page = 0;
    std::string uuid;
  };
  std::optional<Header> header;  // nullopt: no SWAPSPACE2 signature at this kernel's page size
  enum class Active { yes, no, unknown } active = Active::unknown;  // is *this inode* in use by the kernel
};
struct FileSystem {
  std::string type;        // "ext4", "xfs", "btrfs", "tmpfs", "overlay", "nfs", "zfs", "fuse", or "0x..." if unknown
  Bytes available, total;  // f_bavail and f_blocks times f_frsize
  bool read_only = false;
  Bytes unused;  // f_bfree: what root could still use
};
struct SwapFileRequest {
  AbsPath path;      // where the file will stand
  Bytes size;        // a multiple of the page size
  std::string uuid;  // kept in the new header if not empty (32 hex digits)
};

/// What WriteOptions::backup kept of a file.
struct KeptFile {
  AbsPath at;  // where it is kept
  std::string content;
  Timestamp kept;  // when: right before the file was replaced
};

/// Everything a read-only phase may see of a host. Absence is a state; an Error means "could not tell".
class SystemView {
 public:
  virtual ~SystemView() = default;

  /// What `place` is; does not follow a symlink in the last component.
  virtual Result<PathState> look(const Place& place) const = 0;
  /// look(), and the bytes of a regular file. More than `limit`: Errc::too_big. FIFOs and devices are not opened. A
  /// size of 0 is not believed (files of /proc).
  virtual Result<Seen> read(const Place& place, Bytes limit) const = 0;
  /// Names in a directory, sorted by byte; nullopt if there is no such directory. At most 100 000 (Errc::too_big).
  virtual Result<std::optional<std::vector<std::string>>> list(const Place& place) const = 0;
  /// Runs a command that changes nothing. A non-zero exit is a value; Errc::not_found: no such program;
  /// Errc::timeout: killed at its deadline. Not available under --root (Errc::unsupported).
  virtual Result<CommandOutput> query(const Command& command) const = 0;
  /// Properties of `unit` from the service manager. Errc::unsupported if systemd is not what runs here.
  virtual Result<UnitProperties> unit(std::string_view unit) const = 0;
  /// The properties that every kind of unit has ("LoadState", "ActiveState", "UnitFileState" ...), of several at once;
  /// much cheaper than unit() for each. An answer for every name.
  virtual std::map<std::string, Result<UnitProperties>, std::less<>> unit_states(
      const std::vector<std::string>& units) const;
  /// The user, from /etc/passwd, or else `getent passwd`; nullopt if there is none. Without getent a directory service
  /// cannot be asked, and the answer is Errc::not_found: could not tell.
  virtual Result<std::optional<Person>> user(std::string_view name) const = 0;
  virtual Result<std::optional<std::uint32_t>> group(std::string_view name) const = 0;

  virtual Result<SwapFileLook> look_swap(const AbsPath& path) const = 0;
  /// The file system that holds `path` (or, when it is absent, its nearest existing directory).
  virtual Result<FileSystem> file_system(const AbsPath& path) const = 0;

  /// The newest backup of `path`, by whichever run; nullopt if none is kept. For root only (Errc::permission).
  virtual Result<std::optional<KeptFile>> newest_backup(const AbsPath& /*path*/) const {
    return std::optional<KeptFile>();
  }

  /// lstat(2) of a path; nullopt if nothing is there. By look() where nothing better is known.
  virtual Result<std::optional<FileStatus>> status(const AbsPath& path) const;
  /// Hands over the bytes of the regular file `path` leads to (symlinks are followed) piece by piece, in bounded
  /// memory. False: nothing is there. Errc::invalid: it is no regular file.
  virtual Result<bool> stream(const AbsPath& path, const TakePiece& take) const;
  /// The network interfaces that are up or have an address, by name.
  virtual Result<std::vector<NetworkInterface>> interfaces() const;

  /// The TCP sockets that listen, by sock_diag(7): reading /proc/net/tcp makes the kernel walk every connection's
  /// bucket. Errc::unsupported where it cannot be asked; /proc then knows.
  virtual Result<std::vector<Listener>> tcp_listeners() const;

  // What other hosts and services answer (system/network.h); Errc::unsupported for a directory tree.
  virtual Result<Reached> dial(const DialRequest& request) const;
  virtual Result<DnsAnswer> ask_dns(const DnsRequest& request) const;
  virtual Result<HttpAnswer> http(const HttpRequest& request) const;
  /// Runs jobs that only ask the network, at the same time where possible; returns when all have ended. A job must not
  /// touch what another one does.
  virtual void together(const std::vector<std::function<void()>>& jobs) const;
  /// Waits before something is looked at again.
  virtual void pause(std::chrono::milliseconds /*time*/) const {}

  virtual Timestamp now() const = 0;
  virtual std::uint64_t page_size() const = 0;
  /// True if a kernel and services run behind this view; false for a directory tree (--root).
  virtual bool is_live() const = 0;

  /// A promise that these will be asked soon: the queries may begin now, together and in the background, and go on
  /// while other things are asked; a query then waits for its answer. Answers are given until the next change to the
  /// host, which also ends what is still being asked, and only once across a wait(). What rests on root alone outlives
  /// changes that were made with the rights of another user. Changes nothing but time.
  virtual void expect(const std::vector<Command>& /*queries*/, const std::vector<std::string>& /*units*/) const {}
  /// False while an announced query is still under way: query() would wait for it.
  virtual bool answered(const Command& /*query*/) const { return true; }
};

/// How to write a file. `replaces`: what look() said before; if the path is something else by now, Errc::changed.
struct WriteOptions {
  Mode mode{0644};
  Owner owner = root_owner;
  std::optional<PathState> replaces;
  bool backup = false;  // keep the previous bytes under /var/lib/converge/backup (root only, bounded)
};

/// Whether the content of a file is what we make there: asked before root gives a file away.
using IsTheirs = std::function<bool(std::string_view content)>;
/// How much of a file take_over() reads to have it judged; what is longer is not ours.
constexpr Bytes judged_limit = 64_KiB;
/// True for what a user's SSH directory holds (config, known_hosts, authorized_keys, id_*) and for our temporary names.
bool may_lie_in_ssh_directory(std::string_view name);
/// The refusal of take_over() for what is root's and not recognized: Errc::refused, with the command to give it by
/// hand.
Error not_what_we_made(const Place& place);

/// A host we may change. Nothing else in the program has side effects on it.
class System : public SystemView {
 public:
  /// Replaces `place` by a regular file: temporary file beside, mode and owner on the descriptor, fsync, rename, fsync
  /// of the directory. Never through a symlink, never onto something that is not a regular file or absent
  /// (Errc::exists). Carries extended attributes and ACLs of the old file over.
  virtual Status write_file(const Place& place, std::string_view content, const WriteOptions& options) = 0;
  /// Makes one directory; its parent must exist. Errc::exists if anything is there.
  virtual Status make_directory(const Place& place, Mode mode, Owner owner) = 0;
  /// Makes or atomically replaces a symlink (replacing only a symlink; otherwise Errc::exists).
  virtual Status make_symlink(const Place& place, std::string_view target) = 0;
  /// Mode and owner of a regular file or directory, on its descriptor; never through a symlink.
  virtual Status set_attributes(const Place& place, Mode mode, Owner owner) = 0;
  /// Gives what root left in a user's home back to that user (`place.as`, which must be set): owner and group become
  /// theirs, the mode becomes `mode`. Done with root's own rights, so nothing is believed: no component of the path,
  /// from the home's descriptor down, may be a symlink (Errc::symlink); only a directory, or a regular file with one
  /// link, that is owned by root or already by that user (otherwise Errc::refused); chown and chmod go to the
  /// descriptor that was checked. Outside the home: Errc::refused. Absent: Errc::not_found. We are not root:
  /// Errc::permission. The user can rename anything of root's that lies in the home to this path, so the name proves
  /// nothing: a file of root's is given only if `is_theirs` takes its content (from the same descriptor, at most
  /// judged_limit), a directory of root's only if each entry is the user's, or a file of root's that
  /// may_lie_in_ssh_directory(). Else Errc::refused.
  virtual Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) = 0;
  /// Unlinks a file or symlink, or removes an empty directory. Absent is ok.
  virtual Status remove(const Place& place) = 0;
  /// Renames within one directory, refusing to replace anything (Errc::exists).
  virtual Status rename_new(const Place& from, const Place& to) = 0;
  /// Runs a command that changes something. Same answers as query().
  virtual Result<CommandOutput> run(const Command& command) = 0;
  /// Sets going a command that changes something, and returns. At most one of the same at a time.
  virtual Status start(const Command& /*command*/) { return ok(); }
  /// False while what was started is under way: finish() would wait for it.
  virtual bool finished(const Command& /*command*/) { return true; }
  /// Waits for what was started; same answers as run(). What was not started is run now.
  virtual Result<CommandOutput> finish(const Command& command) { return run(command); }
  /// Lets time pass, for polling something that was started. The only wait there is; a fake advances its clock.
  virtual void wait(std::chrono::milliseconds time) = 0;
  /// Writes a value into a file of the kernel's (/proc/sys, /sys): one write, no temporary file.
  virtual Status write_kernel(const AbsPath& path, std::string_view value) = 0;

  /// Allocates a swap file without holes at `request.path` (mode 0600 before any byte, header, fsync, rename that
  /// refuses to replace). On failure nothing is left behind.
  virtual Status make_swap_file(const SwapFileRequest& request) = 0;
  virtual Status swap_on(const AbsPath& path, std::optional<int> priority) = 0;  // swapon(2)
  /// swapoff(2) in a child process with a deadline.
  virtual Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) = 0;
};

}  // namespace converge
