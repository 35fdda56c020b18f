#include "remote/ssh_transport.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/text.h"
#include "remote/ssh_config.h"

namespace converge::remote {
namespace {

constexpr auto slice = std::chrono::milliseconds(100);  // how often `cancelled` is asked
constexpr std::size_t piece = 32768;                    // bytes moved at a time; what OpenSSH takes in a packet
constexpr std::size_t shown_bytes = 256;                // of what a server says
constexpr std::size_t max_buffered = 3U << 20U;         // libssh's windows let through at most 1.9 MB
constexpr std::size_t max_jumps = 8;
constexpr std::size_t max_keys = 6;  // MaxAuthTries of sshd_config(5), as it comes
constexpr std::size_t max_agent_reply = 256U << 10U;
constexpr const char* usual_host_keys =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";

std::string shown(std::string_view text) { return printable(trim(text).substr(0, shown_bytes)); }

struct Fd {
  int number = -1;
  Fd() = default;
  explicit Fd(int n) : number(n) {}
  Fd(Fd&& other) noexcept : number(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      number = other.release();
    }
    return *this;
  }
  ~Fd() { reset(); }
  int release() { return std::exchange(number, -1); }
  void reset() {
    if (number >= 0) close(number);
    number = -1;
  }
};

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

struct KeyDeleter {
  void operator()(ssh_key_struct* key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<ssh_key_struct, KeyDeleter>;

struct Patience {
  Deadline deadline;
  const Cancelled& cancelled;

  /// How the wait has to end now, if it has to.
  std::optional<Error> over(const std::string& doing) const {
    if (cancelled && cancelled()) return Error{Errc::timeout, fmt::format("cancelled while {}", doing), {}, {}};
    if (Clock::now() >= deadline) return Error{Errc::timeout, fmt::format("timed out while {}", doing), {}, {}};
    return std::nullopt;
  }
  /// For poll(2): up to the deadline, or less when there is someone to ask.
  int milliseconds() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const auto most = cancelled ? std::chrono::milliseconds(slice) : std::chrono::milliseconds(60'000);
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
  }
};

std::string fingerprint(ssh_key key) {
  unsigned char* hash = nullptr;
  std::size_t length = 0;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) != 0) return "SHA256:?";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length);
  const std::string out = text != nullptr ? text : "SHA256:?";
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return out;
}

std::string base64_of(ssh_key key) {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return {};
  const std::string out = text;
  ssh_string_free_char(text);
  return out;
}

// --- key files -------------------------------------------------------------------------------------------------------

/// Private keys, each read and each passphrase asked for once a run.
class KeyRing {
 public:
  explicit KeyRing(std::function<std::optional<Secret>(const std::string&)> ask) : ask_(std::move(ask)) {}

  struct Found {
    Key key;              // ours to keep; null: `why_not`
    std::string why_not;  // empty: the file is not there
    bool needs_passphrase = false;
  };

  Found get(const std::string& file) {
    const std::lock_guard hold(mutex_);  // while we ask, too: one question at a time
    auto at = kept_.find(file);
    if (at == kept_.end()) at = kept_.emplace(file, load(file, ask_)).first;
    return {Key(at->second.key ? ssh_key_dup(at->second.key.get()) : nullptr), at->second.why_not, false};
  }

  /// Whether the key can be had without asking anybody.
  bool ready(const std::string& file) {
    const std::lock_guard hold(mutex_);
    if (kept_.contains(file)) return true;
    Found without_question = load(file, {});
    if (without_question.needs_passphrase) return false;
    kept_.emplace(file, std::move(without_question));
    return true;
  }

  /// The public half as base64, if it is beside the private one in a .pub file or known already; no questions.
  std::string public_half(const std::string& file) {
    ssh_key raw = nullptr;
    if (ssh_pki_import_pubkey_file((file + ".pub").c_str(), &raw) != SSH_OK) return {};
    return base64_of(Key(raw).get());
  }

 private:
  struct Asked {
    const std::string& file;
    const std::function<std::optional<Secret>(const std::string&)>& ask;
    bool encrypted = false, answered = false;
  };

  using Ask = std::function<std::optional<Secret>(const std::string&)>;

  static Found load(const std::string& file, const Ask& ask) {
    struct stat info {};
    if (stat(file.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return {};
      return {nullptr, fmt::format("cannot be read: {}", std::strerror(errno))};
    }
    if (!S_ISREG(info.st_mode)) return {nullptr, "is not a file"};
    if (info.st_uid == getuid() && (info.st_mode & 077U) != 0)
      return {nullptr, fmt::format("others may read it (mode {:04o}): chmod 600 it", info.st_mode & 07777U)};
    if (access(file.c_str(), R_OK) != 0) return {nullptr, fmt::format("cannot be read: {}", std::strerror(errno))};
    Asked asked{file, ask};
    ssh_key raw = nullptr;
    const auto answer = [](const char*, char* buffer, std::size_t size, int, int, void* data) {
      auto& self = *static_cast<Asked*>(data);
      self.encrypted = true;
      if (!self.ask) return -1;
      auto secret = self.ask(self.file);
      if (!secret) return -1;
      const std::string& text = secret->reveal();
      const bool fits = text.size() < size;
      if (fits) {
        std::memcpy(buffer, text.c_str(), text.size() + 1);
        self.answered = true;
      }
      secret->wipe();
      return fits ? 0 : -1;
    };
    const int rc = ssh_pki_import_privkey_file(file.c_str(), nullptr, answer, &asked, &raw);
    if (rc == SSH_OK) return {Key(raw), {}};
    if (asked.answered) return {nullptr, "the passphrase is wrong"};
    if (asked.encrypted)
      return {nullptr, ask ? "no passphrase was given" : "has a passphrase, and there is nobody to ask", !ask};
    return {nullptr, "holds no key of a known kind"};
  }

  std::function<std::optional<Secret>(const std::string&)> ask_;
  std::mutex mutex_;
  std::map<std::string, Found> kept_;
};

// --- the agent -------------------------------------------------------------------------------------------------------

/// The protocol of draft-miller-ssh-agent: a length of four bytes, a type, a body.
std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8U | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

std::string packed(std::uint32_t number) {
  return {static_cast<char>(number >> 24U), static_cast<char>(number >> 16U & 255U),
          static_cast<char>(number >> 8U & 255U), static_cast<char>(number & 255U)};
}

bool transfer(int fd, char* bytes, std::size_t size, bool sending, const Patience& patience,
              const std::atomic<bool>& stop) {
  while (size > 0) {
    if (stop || patience.over("")) return false;
    const ssize_t n =
        sending ? send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd, bytes, size, MSG_DONTWAIT);
    if (n > 0) {
      bytes += n;
      size -= static_cast<std::size_t>(n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    } else {
      pollfd one{fd, static_cast<short>(sending ? POLLOUT : POLLIN), 0};
      poll(&one, 1, std::min(patience.milliseconds(), static_cast<int>(slice.count())));
    }
  }
  return true;
}

std::optional<std::string> receive(int fd, const Patience& patience, const std::atomic<bool>& stop) {
  std::string head(4, '\0');
  if (!transfer(fd, head.data(), 4, false, patience, stop)) return std::nullopt;
  const std::uint32_t size = big_endian(head, 0);
  if (size == 0 || size > max_agent_reply) return std::nullopt;
  std::string body(size, '\0');
  if (!transfer(fd, body.data(), size, false, patience, stop)) return std::nullopt;
  return body;
}

bool deliver(int fd, const std::string& body, const Patience& patience, const std::atomic<bool>& stop) {
  std::string frame = packed(static_cast<std::uint32_t>(body.size())) + body;
  return transfer(fd, frame.data(), frame.size(), true, patience, stop);
}

constexpr char request_identities = 11, identities_answer = 12;

/// Stands between libssh and the user's agent: libssh tries every key the agent shows, and waits for it without end. So
/// this shows the keys we chose, in our order, and gives up when we do.
class AgentFilter {
 public:
  struct Identity {
    std::string blob, comment, base64, fingerprint;
  };

  /// @return the keys of the agent behind `path`; none if it is not there or does not answer.
  std::vector<Identity> open(const std::string& path, const Patience& patience) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof(address.sun_path)) return {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    agent_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(agent_.number, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return {};
    if (!deliver(agent_.number, std::string(1, request_identities), patience, stop_)) return {};
    const auto answer = receive(agent_.number, patience, stop_);
    if (!answer || answer->size() < 5 || answer->front() != identities_answer) return {};
    std::vector<Identity> out;
    std::size_t at = 5;
    const auto text = [&]() -> std::optional<std::string> {
      if (answer->size() - at < 4) return std::nullopt;
      const std::size_t size = big_endian(*answer, at);
      if (answer->size() - at - 4 < size) return std::nullopt;
      at += 4 + size;
      return answer->substr(at - size, size);
    };
    for (std::uint32_t left = big_endian(*answer, 1); left > 0; --left) {
      auto blob = text();
      auto comment = text();
      if (!blob || !comment) break;
      out.push_back({*blob, *comment, {}, {}});
    }
    return out;
  }

  /// Serves `chosen` to the agent side of `session` until this is destroyed.
  bool serve(ssh_session session, const std::vector<Identity>& chosen, const Patience& patience) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
    ssh_set_agent_socket(session, ends[0]);  // libssh's from here on
    ours_ = Fd(ends[1]);
    std::string list = std::string(1, identities_answer) + packed(static_cast<std::uint32_t>(chosen.size()));
    for (const auto& key : chosen)
      for (const auto* part : {&key.blob, &key.comment})
        list += packed(static_cast<std::uint32_t>(part->size())) + *part;
    thread_ = std::thread([this, list = std::move(list), patience] {
      while (auto request = receive(ours_.number, patience, stop_)) {
        std::optional<std::string> reply = list;
        if (request->front() != request_identities)
          reply = deliver(agent_.number, *request, patience, stop_) ? receive(agent_.number, patience, stop_)
                                                                    : std::nullopt;
        if (!reply || !deliver(ours_.number, *reply, patience, stop_)) break;
      }
      shutdown(ours_.number, SHUT_RDWR);  // libssh stops waiting
    });
    return true;
  }

  ~AgentFilter() {
    stop_ = true;
    if (ours_.number >= 0) shutdown(ours_.number, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }

 private:
  Fd agent_, ours_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// --- known_hosts -----------------------------------------------------------------------------------------------------

struct Pinned {
  HostKey::Known known = HostKey::Known::unknown;
  bool revoked = false;
  std::string where;  // "file:line" of what decided
};

/// What the files hold of a host. libssh matches names (hashed, wildcards, ports) and reads keys; files, lines and
/// markers are ours. Lines with @cert-authority are passed over, and so is a negated pattern.
class KnownHosts {
 public:
  static Result<KnownHosts> read(const std::vector<std::string>& files, const std::string& name) {
    KnownHosts out;
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      if (!in) {
        if (access(file.c_str(), F_OK) == 0)
          return Error{
              Errc::permission, fmt::format("cannot read '{}': {}", printable(file), std::strerror(errno)), {}, {}};
        continue;
      }
      std::string line;
      for (std::size_t number = 1; std::getline(in, line); ++number) {
        std::replace(line.begin(), line.end(), '\t', ' ');
        std::string_view text = trim(line);
        const bool revoked = text.starts_with("@revoked ");
        if (revoked) text = trim(text.substr(9));
        if (text.empty() || text.front() == '#' || text.front() == '@') continue;
        ssh_knownhosts_entry* entry = nullptr;
        if (ssh_known_hosts_parse_line(name.c_str(), std::string(text).c_str(), &entry) != SSH_OK) continue;
        out.lines_.push_back({base64_of(entry->publickey), ssh_key_type_to_char(ssh_key_type(entry->publickey)),
                              revoked, fmt::format("{}:{}", printable(file), number)});
        ssh_knownhosts_entry_free(entry);
      }
    }
    return out;
  }

  Pinned find(ssh_key key) const {
    const std::string base64 = base64_of(key), type = ssh_key_type_to_char(ssh_key_type(key));
    Pinned out;
    bool same_type = false;
    for (const auto& line : lines_) {
      if (line.base64 == base64 && line.revoked) return {HostKey::Known::changed, true, line.where};
      if (line.base64 == base64) out = {HostKey::Known::pinned, false, line.where};
      if (line.revoked || out.known == HostKey::Known::pinned || same_type) continue;
      same_type = line.type == type;
      if (same_type || out.where.empty()) out = {HostKey::Known::changed, false, line.where};
    }
    return out;
  }

  /// Algorithms of the keys we know first, so that a host with several keys shows one we can check.
  std::string algorithms() const {
    std::vector<std::string> known, others;
    for (const auto algorithm : split(usual_host_keys, ',')) {
      const bool wanted = std::any_of(lines_.begin(), lines_.end(), [&](const Line& line) {
        return !line.revoked && (line.type == algorithm || (line.type == "ssh-rsa" && algorithm.starts_with("rsa-")));
      });
      (wanted ? known : others).emplace_back(algorithm);
    }
    known.insert(known.end(), others.begin(), others.end());
    return join(known, ",");
  }

 private:
  struct Line {
    std::string base64, type;
    bool revoked;
    std::string where;
  };
  std::vector<Line> lines_;
};

// --- a way to the host -----------------------------------------------------------------------------------------------

struct Resolved {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  int rc = 0;
  addrinfo* list = nullptr;
  ~Resolved() {
    if (list != nullptr) freeaddrinfo(list);
  }
};

/// getaddrinfo(3) has no deadline, so a thread of its own asks; one that never hears an answer is left behind.
Result<std::shared_ptr<Resolved>> resolve(const std::string& host, std::uint16_t port, int family,
                                          const Patience& patience) {
  auto out = std::make_shared<Resolved>();
  const auto ask = [out, host, service = std::to_string(port), family](int flags) {
    addrinfo wanted{};
    wanted.ai_family = family;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int rc = getaddrinfo(host.c_str(), service.c_str(), &wanted, &list);
    const std::lock_guard hold(out->mutex);
    out->rc = rc;
    out->list = list;
    out->done = flags == 0 || rc == 0;
    out->changed.notify_all();
  };
  ask(AI_NUMERICHOST);
  if (!out->done) {
    std::thread(ask, 0).detach();
    std::unique_lock hold(out->mutex);
    while (!out->done) {
      if (auto over = patience.over(fmt::format("looking up the name '{}'", printable(host)))) return std::move(*over);
      out->changed.wait_until(hold, std::min(patience.deadline, Clock::now() + slice));
    }
  }
  if (out->rc != 0)
    return Error{out->rc == EAI_NONAME ? Errc::not_found : Errc::io,
                 fmt::format("no address is known for '{}' ({})", printable(host), lower(gai_strerror(out->rc))),
                 {},
                 "check the address in the inventory, HostName in ssh_config and DNS"};
  return out;
}

std::string address_text(const addrinfo& at) {
  std::array<char, 128> text{};
  if (getnameinfo(at.ai_addr, at.ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return "?";
  return text.data();
}

Error refused_by_network(int number, const std::string& where) {
  switch (number) {
    case ECONNREFUSED:
      return {Errc::io,
              fmt::format("nobody listens on {} (connection refused)", where),
              {},
              "check that sshd runs there, and the port"};
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
      return {Errc::io,
              fmt::format("there is no route to {} ({})", where, lower(std::strerror(number))),
              {},
              "check that the host is up, and the network or VPN on the way to it"};
    case ETIMEDOUT:
      return {Errc::timeout,
              fmt::format("timed out while connecting to {}", where),
              {},
              "check that the host is up and that no firewall drops the packets"};
    default:
      return {Errc::io, fmt::format("cannot connect to {}: {}", where, lower(std::strerror(number))), {}, {}};
  }
}

Result<Fd> connect_tcp(const SshConfig& config, const Patience& patience) {
  const int family = config.address_family == "inet"    ? AF_INET
                     : config.address_family == "inet6" ? AF_INET6
                                                        : AF_UNSPEC;
  auto addresses = resolve(config.host, config.port, family, patience);
  if (!addresses) return std::move(addresses.error());
  Error last{Errc::io, "no address to connect to", {}, {}};
  for (const addrinfo* at = (*addresses)->list; at != nullptr; at = at->ai_next) {
    const std::string address = address_text(*at);
    const std::string where = fmt::format("'{}'{} port {}", printable(config.host),
                                          address == config.host ? "" : " (" + address + ")", config.port);
    Fd fd(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.number < 0) {
      last = refused_by_network(errno, where);
      continue;
    }
    if (!config.bind_address.empty()) {
      addrinfo wanted{};
      wanted.ai_family = at->ai_family;
      wanted.ai_flags = AI_NUMERICHOST;
      addrinfo* local = nullptr;
      const bool bound = getaddrinfo(config.bind_address.c_str(), nullptr, &wanted, &local) == 0 &&
                         bind(fd.number, local->ai_addr, local->ai_addrlen) == 0;
      if (local != nullptr) freeaddrinfo(local);
      if (!bound) {
        last = {Errc::invalid, fmt::format("cannot use BindAddress '{}'", printable(config.bind_address)), {}, {}};
        continue;
      }
    }
    int number = connect(fd.number, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    while (number == EINPROGRESS) {
      if (auto over = patience.over(fmt::format("connecting to {}", where))) {
        if (over->message.starts_with("timed")) return refused_by_network(ETIMEDOUT, where);
        return std::move(*over);
      }
      pollfd one{fd.number, POLLOUT, 0};
      if (poll(&one, 1, patience.milliseconds()) <= 0) continue;
      socklen_t size = sizeof(number);
      if (getsockopt(fd.number, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
    }
    if (number == 0) {
      const int on = 1;
      setsockopt(fd.number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      setsockopt(fd.number, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
      return fd;
    }
    last = refused_by_network(number, where);
  }
  return last;
}

/// A ProxyCommand: its standard streams are the connection; what it says on stderr is kept for the error.
struct Proxy {
  pid_t pid = -1;
  Fd said_from;
  std::string said;

  void listen() {
    std::array<char, 4096> room{};
    for (ssize_t n = 0; said_from.number >= 0 && (n = read(said_from.number, room.data(), room.size())) > 0;) {
      said.append(room.data(), static_cast<std::size_t>(n));
      if (said.size() > shown_bytes) said.erase(0, said.size() - shown_bytes);
    }
  }
  /// What a command says and its end come by two ways: its last words are waited for, a moment.
  void last_words() {
    const Deadline moment = Clock::now() + std::chrono::milliseconds(500);
    while (said_from.number >= 0) {
      listen();
      pollfd fd{said_from.number, POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(moment - Clock::now()).count();
      if (left <= 0 || poll(&fd, 1, static_cast<int>(left)) <= 0 || (fd.revents & POLLIN) == 0) return;
    }
  }
  ~Proxy() {
    if (pid < 0) return;
    kill(pid, SIGKILL);  // it may hold a connection open, and nothing of it is worth waiting for
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

Result<Fd> start_proxy(const std::string& command, Proxy& proxy) {
  std::array<int, 2> ends{}, said{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0 || pipe2(said.data(), O_CLOEXEC) != 0)
    return Error{Errc::io, fmt::format("cannot start ProxyCommand: {}", std::strerror(errno)), {}, {}};
  Fd ours(ends[0]), theirs(ends[1]), say(said[1]);
  proxy.said_from = Fd(said[0]);
  set_nonblocking(proxy.said_from.number);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.number, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.number, 1);
  posix_spawn_file_actions_adddup2(&actions, say.number, 2);
  const std::string line = "exec " + command;
  std::array<char*, 4> arguments{const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(line.c_str()),
                                 nullptr};
  const int rc = posix_spawn(&proxy.pid, "/bin/sh", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (rc != 0) {
    proxy.pid = -1;
    return Error{Errc::io, fmt::format("cannot start ProxyCommand: {}", std::strerror(rc)), {}, {}};
  }
  return ours;
}

// --- a session -------------------------------------------------------------------------------------------------------

/// One SSH session, not blocking, over a socket of ours: TCP, a ProxyCommand, or a channel of the session before it.
class Link {
 public:
  Link() : session_(ssh_new()), event_(ssh_event_new()) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    if (joined_) ssh_event_remove_session(event_, session_);
    ssh_event_free(event_);
    if (session_ != nullptr) {
      if (started_) ssh_disconnect(session_);
      if (near_.number >= 0) pump();  // the farewell
      ssh_free(session_);
    }
    if (wire_.number >= 0) shutdown(wire_.number, SHUT_RDWR);
    if (jump_channel_ != nullptr) ssh_channel_free(jump_channel_);
  }

  ssh_session session() const { return session_; }
  Traffic traffic() const { return jump_ ? jump_->traffic() : Traffic{counter_.out_bytes, counter_.in_bytes}; }
  bool lost() const { return broken_ || ssh_is_connected(session_) == 0; }
  void give_up() { broken_ = true; }
  std::string said_by_library() const { return shown(ssh_get_error(session_)); }

  /// To the end of the key exchange.
  Status start(const SshConfig& config, const std::string& host_keys, std::unique_ptr<Link> jump,
               const Patience& patience);

  /// Calls `step` until it answers something else than `again`.
  template <class Step>
  Result<int> drive(Step step, int again, const Patience& patience, const std::string& doing) {
    for (;;) {
      const int rc = step();
      if (started_) set_nonblocking(wire_.number);  // libssh makes it blocking once it is connected
      if (rc != again) return rc;
      if (lost()) return SSH_ERROR;  // libssh would say `again` for ever; SSH_AUTH_ERROR is the same number
      if (auto over = wait(patience, doing)) return std::move(*over);
    }
  }

  /// Takes in and sends out what can be, without waiting.
  void process() {
    if (jump_) pump();
    ssh_event_dopoll(event_, 0);
    if (jump_) pump();
  }
  bool sending() const { return (ssh_get_status(session_) & SSH_WRITE_PENDING) != 0; }

  /// Until something happens on the way; an error when it is time to give up.
  std::optional<Error> wait(const Patience& patience, const std::string& doing) {
    if (auto over = patience.over(doing)) return over;
    if (!sending()) {
      quiet_since_ = counter_.in_bytes;
    } else if (counter_.out_bytes != sent_) {
      sent_ = counter_.out_bytes;
      quiet_since_ = counter_.in_bytes;
    } else if (counter_.in_bytes - quiet_since_ > max_buffered) {
      broken_ = true;  // our answers pile up here
      return Error{Errc::too_big, "the server sends without end and does not read", {}, {}};
    }
    if (jump_) pump();
    std::vector<pollfd> fds;
    gather(fds);
    poll(fds.data(), fds.size(), patience.milliseconds());
    if (heard_.empty()) {
      heard_.resize(shown_bytes);
      const ssize_t n = recv(wire_.number, heard_.data(), heard_.size(), MSG_PEEK | MSG_DONTWAIT);
      heard_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    for (Link* each = this; each != nullptr; each = each->jump_.get()) each->proxy_.listen();
    return std::nullopt;
  }

 private:
  void gather(std::vector<pollfd>& fds) {
    const int flags = ssh_get_poll_flags(session_);
    const auto events = static_cast<short>(POLLIN | ((flags & SSH_WRITE_PENDING) != 0 ? POLLOUT : 0));
    fds.push_back({wire_.number, events, 0});
    if (proxy_.said_from.number >= 0) fds.push_back({proxy_.said_from.number, POLLIN, 0});
    if (!jump_) return;
    const auto wanted =
        static_cast<short>((outgoing_.empty() && !ended_ ? POLLIN : 0) | (incoming_.empty() ? 0 : POLLOUT));
    if (wanted != 0) fds.push_back({near_.number, wanted, 0});
    if (incoming_.empty()) jump_->gather(fds);
  }

  /// Moves bytes between the jump's channel and the socket this session believes to be the network.
  void pump();
  Error failed_to_start(const SshConfig& config) const;

  ssh_session session_ = nullptr;
  ssh_event event_ = nullptr;
  ssh_counter_struct counter_{};
  Fd wire_;  // our own descriptor of the socket: libssh closes its one when it likes, and the number may be another's
             // then
  bool started_ = false, joined_ = false, broken_ = false;
  std::string heard_;  // the first bytes from the server
  std::uint64_t sent_ = 0, quiet_since_ = 0;
  Proxy proxy_;
  std::unique_ptr<Link> jump_;
  ssh_channel jump_channel_ = nullptr;
  Fd near_;
  std::string incoming_, outgoing_;
  bool ended_ = false, jump_ended_ = false;
};

void Link::pump() {
  std::array<char, piece> room;
  for (bool moved = true; moved;) {
    // Before each look: what it takes in behind the last one would lie there while everybody waits for more.
    jump_->process();
    moved = false;
    if (outgoing_.empty() && !ended_) {
      const ssize_t n = recv(near_.number, room.data(), room.size(), MSG_DONTWAIT);
      if (n > 0) outgoing_.assign(room.data(), static_cast<std::size_t>(n));
      if (n == 0) {
        ended_ = moved = true;
        ssh_channel_send_eof(jump_channel_);
      }
    }
    if (!outgoing_.empty() && !jump_->sending()) {
      const int n = ssh_channel_write(jump_channel_, outgoing_.data(), static_cast<std::uint32_t>(outgoing_.size()));
      if (n > 0) outgoing_.erase(0, static_cast<std::size_t>(n));
      moved = n > 0;
    }
    if (incoming_.empty() && !jump_ended_) {
      const int n = ssh_channel_read_nonblocking(jump_channel_, room.data(), room.size(), 0);
      if (n > 0) incoming_.assign(room.data(), static_cast<std::size_t>(n));
      if (n < 0 || ssh_channel_is_eof(jump_channel_) != 0 || ssh_channel_is_closed(jump_channel_) != 0)
        jump_ended_ = true;
    }
    if (!incoming_.empty()) {
      const ssize_t n = send(near_.number, incoming_.data(), incoming_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) incoming_.erase(0, static_cast<std::size_t>(n));
      if (n < 0 && errno != EAGAIN) incoming_.clear();
      moved = moved || n > 0;
    }
    if (jump_ended_ && incoming_.empty()) shutdown(near_.number, SHUT_WR);
  }
}

int deny(ssh_session, ssh_message, void*) { return 1; }

Status Link::start(const SshConfig& config, const std::string& host_keys, std::unique_ptr<Link> jump,
                   const Patience& patience) {
  if (session_ == nullptr || event_ == nullptr) return Error{Errc::io, "out of memory", {}, {}};
  const int off = 0, on = 1, quiet = SSH_LOG_NONE;
  const auto port = static_cast<unsigned>(config.port);
  ssh_options_set(session_, SSH_OPTIONS_LOG_VERBOSITY, &quiet);
  ssh_options_set(session_, SSH_OPTIONS_PROCESS_CONFIG, &off);  // ssh_config.cpp did
  ssh_options_set(session_, SSH_OPTIONS_NODELAY, &on);
  ssh_options_set(session_, SSH_OPTIONS_GSSAPI_AUTH, &off);
  ssh_options_set(session_, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");  // KnownHosts does
  ssh_options_set(session_, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  ssh_options_set(session_, SSH_OPTIONS_PORT, &port);
  const auto set = [&](ssh_options_e option, const std::string& value, const char* keyword) -> Status {
    if (value.empty() || ssh_options_set(session_, option, value.c_str()) == 0) return ok();
    return Error{Errc::invalid, fmt::format("{} '{}': {}", keyword, shown(value), said_by_library()), {}, {}};
  };
  const std::string compression = config.compression ? "yes" : "";
  for (auto done :
       {set(SSH_OPTIONS_HOST, config.host, "host"), set(SSH_OPTIONS_USER, config.user, "User"),
        set(SSH_OPTIONS_CIPHERS_C_S, config.ciphers, "Ciphers"),
        set(SSH_OPTIONS_CIPHERS_S_C, config.ciphers, "Ciphers"), set(SSH_OPTIONS_HMAC_C_S, config.macs, "MACs"),
        set(SSH_OPTIONS_HMAC_S_C, config.macs, "MACs"), set(SSH_OPTIONS_KEY_EXCHANGE, config.kex, "KexAlgorithms"),
        set(SSH_OPTIONS_HOSTKEYS, host_keys, "HostKeyAlgorithms"),
        set(SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, config.pubkey_algorithms, "PubkeyAcceptedAlgorithms"),
        set(SSH_OPTIONS_COMPRESSION, compression, "Compression")})
    if (!done) return done;

  Fd fd;
  if (jump) {
    jump_ = std::move(jump);
    jump_channel_ = ssh_channel_new(jump_->session());
    auto opened = jump_->drive(
        [&] { return ssh_channel_open_forward(jump_channel_, config.host.c_str(), config.port, "127.0.0.1", 0); },
        SSH_AGAIN, patience, "asking the jump host for a way on");
    if (!opened) return std::move(opened.error());
    if (*opened != SSH_OK)
      return Error{Errc::io,
                   fmt::format("the jump host does not reach '{}' port {}: {}", printable(config.host), config.port,
                               jump_->said_by_library()),
                   {},
                   "check that sshd runs there and that the jump host allows TCP forwarding"};
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
      return Error{Errc::io, fmt::format("cannot make a socket: {}", std::strerror(errno)), {}, {}};
    fd = Fd(ends[0]);
    near_ = Fd(ends[1]);
  } else {
    auto made =
        config.proxy_command.empty() ? connect_tcp(config, patience) : start_proxy(config.proxy_command, proxy_);
    if (!made) return std::move(made.error());
    fd = std::move(*made);
  }

  ssh_set_blocking(session_, 0);
  ssh_set_counters(session_, &counter_, nullptr);
  ssh_set_message_callback(session_, deny, nullptr);  // what servers ask of clients is refused, not queued
  wire_ = Fd(fcntl(fd.number, F_DUPFD_CLOEXEC, 0));
  if (wire_.number < 0) return Error{Errc::io, fmt::format("cannot use a socket: {}", std::strerror(errno)), {}, {}};
  const int given = fd.release();
  ssh_options_set(session_, SSH_OPTIONS_FD, &given);
  started_ = true;
  auto connected = drive([&] { return ssh_connect(session_); }, SSH_AGAIN, patience, "");
  if (!connected) {
    Error& error = connected.error();
    if (ssh_get_serverbanner(session_) != nullptr)
      error.message += "the key exchange";
    else
      error.message += fmt::format("waiting for '{}' port {} to say hello", printable(config.host), config.port);
    if (error.code == Errc::timeout)
      error.hint = "the connection stands, but the server is silent: check its load and sshd";
    return std::move(error);
  }
  if (*connected != SSH_OK) {
    if (heard_.empty()) proxy_.last_words();
    return failed_to_start(config);
  }
  ssh_event_add_session(event_, session_);
  joined_ = true;
  return ok();
}

Error Link::failed_to_start(const SshConfig& config) const {
  const std::string where = fmt::format("'{}' port {}", printable(config.host), config.port);
  const std::string_view library = ssh_get_error(session_);
  if (!proxy_.said.empty() && heard_.empty())
    return {Errc::io, fmt::format("ProxyCommand failed: {}", shown(proxy_.said)), {}, {}};
  if (ssh_get_serverbanner(session_) == nullptr) {
    if (heard_.empty())
      return {
          Errc::io,
          fmt::format("{} closed the connection before saying hello", where),
          {},
          "sshd may have too many logins under way (MaxStartups) or bar this address; try again, with fewer at once"};
    return {Errc::io, fmt::format("{} is not an SSH server: it says '{}'", where, shown(heard_)), {}, "check the port"};
  }
  if (library.find("no match for method") != std::string_view::npos)
    return {Errc::unsupported,
            fmt::format("no algorithm in common with {}: {}", where, shown(library)),
            {},
            "allow one of the server's in ssh_config (Ciphers, MACs, KexAlgorithms, HostKeyAlgorithms), or update it"};
  return {Errc::io, fmt::format("the key exchange with {} failed: {}", where, shown(library)), {}, {}};
}

// --- who it is, and who we are ---------------------------------------------------------------------------------------

struct Way {
  SshConfig config;
  std::string name;  // in known_hosts
  std::vector<std::string> files;
};

Result<Way> find_way(const SshSettings& settings, const SshAsked& asked) {
  auto config = read_ssh_config(settings.config, asked);
  if (!config) return std::move(config.error());
  Way out{std::move(*config), {}, {}};
  const SshConfig& found = out.config;
  out.name = !found.host_key_alias.empty() ? lower(found.host_key_alias)
             : found.port == 22            ? found.host
                                           : fmt::format("[{}]:{}", found.host, found.port);
  out.files = found.user_known_hosts;
  if (!settings.known_hosts.empty()) {
    out.files = {settings.known_hosts.starts_with("~/") ? home_directory() + settings.known_hosts.substr(1)
                                                        : settings.known_hosts};
  } else {
    out.files.insert(out.files.end(), found.global_known_hosts.begin(), found.global_known_hosts.end());
  }
  return out;
}

struct Shown {
  HostKey key;
  Pinned pinned;
};

Result<Shown> look_at_key(const Link& link, const Way& way, const KnownHosts& known) {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(link.session(), &raw) != SSH_OK)
    return Error{Errc::io, "the server showed no host key", {}, {}};
  const Key key(raw);
  Shown out;
  out.pinned = known.find(key.get());
  out.key = {out.pinned.known,
             ssh_key_type_to_char(ssh_key_type(key.get())),
             fingerprint(key.get()),
             {},
             way.files.empty() ? std::string() : way.files.front()};
  out.key.line = fmt::format("{} {} {}", way.name, out.key.type, base64_of(key.get()));
  return out;
}

Status check_key(const Shown& shown_key, const Way& way, const std::string& host) {
  const auto& [key, pinned] = shown_key;
  const std::string what = fmt::format("{} key {}", key.type, key.fingerprint);
  if (pinned.revoked)
    return Error{Errc::refused,
                 fmt::format("the host key of '{}' is revoked by {}: {}", way.name, pinned.where, what),
                 {},
                 "do not connect; ask who revoked it"};
  if (pinned.known == HostKey::Known::changed)
    return Error{
        Errc::refused,
        fmt::format("the host key of '{}' has changed: it shows {}, and {} holds another", way.name, what,
                    pinned.where),
        {},
        fmt::format("this may be an attack; if the host was set up anew, compare the fingerprint there, then run: "
                    "ssh-keygen -R '{}' -f {}",
                    way.name, pinned.where.substr(0, pinned.where.rfind(':')))};
  if (pinned.known == HostKey::Known::unknown)
    return Error{Errc::refused,
                 fmt::format("the host key of '{}' is not known: {}", way.name, what),
                 {},
                 fmt::format("compare the fingerprint with the host's own, then run: converge trust -l {}", host)};
  return ok();
}

std::string methods(ssh_session session) {
  const int allowed = ssh_userauth_list(session, nullptr);
  std::vector<std::string> out;
  if ((allowed & SSH_AUTH_METHOD_PUBLICKEY) != 0) out.emplace_back("publickey");
  if ((allowed & SSH_AUTH_METHOD_PASSWORD) != 0) out.emplace_back("password");
  if ((allowed & SSH_AUTH_METHOD_INTERACTIVE) != 0) out.emplace_back("keyboard-interactive");
  if ((allowed & SSH_AUTH_METHOD_HOSTBASED) != 0) out.emplace_back("hostbased");
  if ((allowed & SSH_AUTH_METHOD_GSSAPI_MIC) != 0) out.emplace_back("gssapi-with-mic");
  return join(out, ",");
}

class Login {
 public:
  Login(Link& link, const SshConfig& config, KeyRing& keys, const Patience& patience)
      : link_(link), config_(config), keys_(keys), patience_(patience) {}

  Status run() {
    std::vector<std::string> halves;  // of the files, where that needs no question
    for (const auto& file : config_.identity_files) halves.push_back(keys_.public_half(file));
    AgentFilter filter;
    auto identities = filter.open(config_.identity_agent, patience_);
    auto chosen = choose(identities, halves);
    if (!chosen.empty() && filter.serve(link_.session(), chosen, patience_)) {
      for (const auto& key : chosen) tried_.push_back(fmt::format("'{}' of the agent", shown(key.comment)));
      auto in = attempt([&] { return ssh_userauth_agent(link_.session(), nullptr); });
      if (!in || *in) return finished(std::move(in));
    }
    for (std::size_t i = 0; i < config_.identity_files.size(); ++i) {
      const auto in_agent = [&](const AgentFilter::Identity& key) { return key.base64 == halves[i]; };
      if (!halves[i].empty() && std::any_of(chosen.begin(), chosen.end(), in_agent)) continue;
      auto in = file(config_.identity_files[i], halves[i]);
      if (!in || *in) return finished(std::move(in));
    }
    if (tried_.empty()) {  // some servers want nothing at all; and if not, this says what they want
      auto in = attempt([&] { return ssh_userauth_none(link_.session(), nullptr); });
      if (!in || *in) return finished(std::move(in));
    }
    return refusal();
  }

 private:
  static Status finished(Result<bool> in) {
    if (!in) return std::move(in.error());
    return ok();
  }

  /// As OpenSSH orders them: those that IdentityFile names, then the others.
  std::vector<AgentFilter::Identity> choose(std::vector<AgentFilter::Identity>& all,
                                            const std::vector<std::string>& halves) {
    std::vector<AgentFilter::Identity> out, others;
    for (auto& key : all) key.base64 = encoded(key.blob);
    for (const auto& half : halves)
      for (const auto& key : all)
        if (!half.empty() && key.base64 == half) out.push_back(key);
    for (const auto& key : all)
      if (std::find(halves.begin(), halves.end(), key.base64) == halves.end()) others.push_back(key);
    if (!config_.identities_only) out.insert(out.end(), others.begin(), others.end());
    while (out.size() > max_keys) {
      left_.insert(left_.begin(), fmt::format("'{}' of the agent", shown(out.back().comment)));
      out.pop_back();
    }
    return out;
  }

  static std::string encoded(const std::string& blob) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t at = 0; at < blob.size(); at += 3) {
      std::uint32_t three = 0;
      for (std::size_t i = 0; i < 3; ++i)
        three = three << 8U | (at + i < blob.size() ? static_cast<unsigned char>(blob[at + i]) : 0U);
      for (std::size_t i = 0; i < 4; ++i)
        out += at + i <= blob.size() ? digits[three >> (18U - 6U * static_cast<unsigned>(i)) & 63U] : '=';
    }
    return out;
  }

  Result<bool> file(const std::string& path, const std::string& half) {
    if (tried_.size() >= max_keys) {
      left_.push_back(fmt::format("'{}'", printable(path)));
      return false;
    }
    const bool ask_server_first = !half.empty() && !keys_.ready(path);  // nobody is asked for a passphrase in vain
    if (ask_server_first) {
      ssh_key raw = nullptr;
      if (ssh_pki_import_pubkey_file((path + ".pub").c_str(), &raw) == SSH_OK) {
        const Key key(raw);
        auto wanted = attempt([&] { return ssh_userauth_try_publickey(link_.session(), nullptr, key.get()); });
        if (!wanted || !*wanted) {
          tried_.push_back(fmt::format("'{}'", printable(path)));
          return wanted;
        }
      }
    }
    auto found = keys_.get(path);
    if (!found.key) {
      if (!found.why_not.empty())
        passed_over_.push_back(fmt::format("'{}' {}", printable(path), found.why_not));
      else if (config_.identity_files_named)
        passed_over_.push_back(fmt::format("'{}' is not there", printable(path)));
      return false;
    }
    tried_.push_back(fmt::format("'{}'", printable(path)));
    return attempt([&] { return ssh_userauth_publickey(link_.session(), nullptr, found.key.get()); });
  }

  /// @return whether the server let us in (or, for a public half, would).
  template <class Step>
  Result<bool> attempt(Step step) {
    const std::string doing = fmt::format("logging in as '{}'", printable(config_.user));
    auto rc = link_.drive(step, SSH_AUTH_AGAIN, patience_, doing);
    if (!rc) return std::move(rc.error());
    if (*rc == SSH_AUTH_SUCCESS) return true;
    if (const std::string now = methods(link_.session()); !now.empty()) allowed_ = now;
    if (*rc == SSH_AUTH_PARTIAL)
      return Error{
          Errc::permission, fmt::format("the server wants more than a key: it also takes {}", allowed_), {}, {}};
    if (*rc == SSH_AUTH_DENIED && !link_.lost()) return false;
    const std::string said = link_.said_by_library();
    if (auto over = patience_.over(doing)) return std::move(*over);
    if (said.find("Too many authentication failures") != std::string::npos) {
      auto refused = refusal();
      refused.error().message += "; then the server cut us off";
      refused.error().hint = "name the one key with IdentityFile, and set IdentitiesOnly yes";
      return std::move(refused.error());
    }
    return Error{Errc::io, fmt::format("the connection was lost while {}: {}", doing, said), {}, {}};
  }

  Status refusal() const {
    std::string text = fmt::format("no key was accepted for user '{}'", printable(config_.user));
    text += tried_.empty() ? ": none was there to try" : ": tried " + join(tried_, ", ");
    if (!passed_over_.empty()) text += "; passed over: " + join(passed_over_, ", ");
    if (!left_.empty()) text += "; not tried, because servers hang up after 6: " + join(left_, ", ");
    if (!allowed_.empty()) text += fmt::format("; the server takes {}", allowed_);
    return Error{Errc::permission,
                 text,
                 {},
                 left_.empty()
                     ? "add a public key to the user's authorized_keys there, or name the right one by IdentityFile"
                     : "name the right key by IdentityFile, and set IdentitiesOnly yes"};
  }

  Link& link_;
  const SshConfig& config_;
  KeyRing& keys_;
  const Patience& patience_;
  std::vector<std::string> tried_, passed_over_, left_;
  std::string allowed_;
};

// --- programs --------------------------------------------------------------------------------------------------------

const Cancelled nobody;

class SshProcess final : public Process {
 public:
  SshProcess(std::shared_ptr<Link> link, ssh_channel channel) : link_(std::move(link)), channel_(channel) {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = this;
    callbacks_.channel_exit_status_function = [](ssh_session, ssh_channel, int status, void* self) {
      static_cast<SshProcess*>(self)->ending_.code = status;
    };
    callbacks_.channel_exit_signal_function = [](ssh_session, ssh_channel, const char* signal, int, const char*,
                                                 const char*, void* self) {
      static_cast<SshProcess*>(self)->ending_.signal = shown(signal != nullptr ? signal : "?");
    };
    callbacks_.channel_close_function = [](ssh_session, ssh_channel, void* self) {
      static_cast<SshProcess*>(self)->closed_ = true;
    };
    callbacks_.channel_data_function = [](ssh_session, ssh_channel, void*, std::uint32_t size, int, void* self) {
      if (size > max_buffered) static_cast<SshProcess*>(self)->link_->give_up();
      return 0;  // stays where it is until read() fetches it
    };
    ssh_set_channel_callbacks(channel_, &callbacks_);
  }
  ~SshProcess() override {
    ssh_remove_channel_callbacks(channel_, &callbacks_);
    ssh_channel_free(channel_);
    if (!link_->lost()) link_->process();
  }

  Result<Chunk> read(Deadline deadline) override {
    if (told_) return Chunk{};
    std::string room(piece, '\0');
    const Patience patience{deadline, nobody};
    for (;;) {
      const bool no_more = closed_, lost = link_->lost();  // as it was before we looked: looking takes in more
      for (const int is_err : {0, 1}) {
        const int n =
            ssh_channel_read_nonblocking(channel_, room.data(), static_cast<std::uint32_t>(room.size()), is_err);
        if (n <= 0) continue;
        room.resize(static_cast<std::size_t>(n));
        return Chunk{is_err != 0 ? Chunk::From::err : Chunk::From::out, std::move(room)};
      }
      const bool known = ending_.code.has_value() || !ending_.signal.empty();
      if (no_more || (known && ssh_channel_is_eof(channel_) != 0)) {
        told_ = true;
        return Chunk{};
      }
      if (lost) return connection_lost();
      if (closed_ || link_->lost()) continue;
      if (auto over = link_->wait(patience, "waiting for output")) return std::move(*over);
      link_->process();
    }
  }

  Status write(std::string_view bytes, Deadline deadline) override {
    const Patience patience{deadline, nobody};
    while (!bytes.empty() || link_->sending()) {
      if (link_->lost()) return connection_lost();
      if (!bytes.empty()) {
        if (closed_ || ssh_channel_is_closed(channel_) != 0)
          return Error{Errc::io, "the program no longer reads its input", {}, {}};
        if (!link_->sending()) {  // so that no more than a piece waits in memory
          const auto most = static_cast<std::uint32_t>(std::min(bytes.size(), piece));
          const int n = ssh_channel_write(channel_, bytes.data(), most);
          if (n < 0) return connection_lost();
          bytes.remove_prefix(static_cast<std::size_t>(n));
          if (n > 0) continue;
        }
      }
      if (auto over = link_->wait(patience, "writing to the program")) return std::move(*over);
      link_->process();
    }
    return ok();
  }

  Status close_input() override {
    if (link_->lost()) return connection_lost();
    if (ssh_channel_send_eof(channel_) == SSH_ERROR) return connection_lost();
    link_->process();
    return ok();
  }

  Ending ending() const override { return told_ ? ending_ : Ending{}; }

 private:
  Error connection_lost() const {
    const std::string said = link_->said_by_library();
    return {Errc::io, "the connection was lost" + (said.empty() ? "" : ": " + said), {}, {}};
  }

  std::shared_ptr<Link> link_;
  ssh_channel channel_;
  ssh_channel_callbacks_struct callbacks_{};
  Ending ending_;
  bool closed_ = false, told_ = false;
};

class SshConnection final : public Connection {
 public:
  explicit SshConnection(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  Result<std::unique_ptr<Process>> run(const std::string& command, Deadline deadline) override {
    const Patience patience{deadline, nobody};
    if (link_->lost()) return Error{Errc::io, "the connection was lost", {}, {}};
    ssh_channel channel = ssh_channel_new(link_->session());
    if (channel == nullptr) return Error{Errc::io, "out of memory", {}, {}};
    auto process = std::make_unique<SshProcess>(link_, channel);
    for (const bool open : {true, false}) {
      const auto step = [&] {
        return open ? ssh_channel_open_session(channel) : ssh_channel_request_exec(channel, command.c_str());
      };
      auto rc = link_->drive(step, SSH_AGAIN, patience, "starting a program");
      if (!rc) {
        link_->give_up();  // an answer may still come, and would be taken for that of another
        return std::move(rc.error());
      }
      if (*rc != SSH_OK)
        return Error{link_->lost() ? Errc::io : Errc::permission,
                     fmt::format("the server does not start a program: {}", link_->said_by_library()),
                     {},
                     "check MaxSessions and ForceCommand in its sshd_config"};
    }
    return std::unique_ptr<Process>(std::move(process));
  }

  Traffic traffic() const override { return link_->traffic(); }

 private:
  std::shared_ptr<Link> link_;
};

// --- all of it -------------------------------------------------------------------------------------------------------

class SshTransport final : public Transport {
 public:
  explicit SshTransport(SshSettings settings) : settings_(std::move(settings)), keys_(settings_.passphrase) {}

  Result<std::unique_ptr<Connection>> connect(const Target& target, Deadline deadline,
                                              const Cancelled& cancelled) override {
    auto link = open(asked(target), target.host, {deadline, cancelled}, 0, true);
    if (!link) return std::move(link.error());
    return std::unique_ptr<Connection>(std::make_unique<SshConnection>(std::move(*link)));
  }

  Result<HostKey> show(const Target& target, const Patience& patience) {
    Shown out;
    auto link = open(asked(target), target.host, patience, 0, false, &out);
    if (!link) return std::move(link.error());
    return out.key;
  }

 private:
  static SshAsked asked(const Target& target) {
    return {target.address.empty() ? target.host : target.address, target.port, target.user, target.identity_files, {}};
  }

  Result<std::unique_ptr<Link>> open(const SshAsked& wanted, const std::string& host, const Patience& whole,
                                     std::size_t depth, bool log_in, Shown* key_out = nullptr) {
    if (depth > max_jumps) return Error{Errc::invalid, "too many jumps, or jumps in a circle", {}, "check ProxyJump"};
    if (wanted.host.empty() || wanted.host.starts_with('-') ||
        std::any_of(wanted.host.begin(), wanted.host.end(),
                    [](char c) { return static_cast<unsigned char>(c) <= ' '; }))
      return Error{Errc::invalid, fmt::format("'{}' is not the name of a host", printable(wanted.host)), {}, {}};
    auto way = find_way(settings_, wanted);
    if (!way) return std::move(way.error());
    SshConfig& config = way->config;
    auto known = KnownHosts::read(way->files, way->name);
    if (!known) return std::move(known.error());

    std::unique_ptr<Link> jump;
    if (!config.jumps.empty()) {
      auto last = parse_jump(config.jumps.back());
      if (!last) return std::move(last.error());
      if (config.jumps.size() > 1) last->jumps = std::vector<std::string>(config.jumps.begin(), config.jumps.end() - 1);
      auto reached = open(*last, last->host, whole, depth + 1, true);
      if (!reached)
        return std::move(reached.error()).during(fmt::format("reaching the jump host '{}'", printable(last->host)));
      jump = std::move(*reached);
    }

    Patience connecting = whole;
    if (config.connect_timeout > 0 && config.connect_timeout < 86400)
      connecting.deadline = std::min(whole.deadline, Clock::now() + std::chrono::seconds(config.connect_timeout));
    auto link = std::make_unique<Link>();
    const std::string host_keys = config.host_key_algorithms.empty() ? known->algorithms() : config.host_key_algorithms;
    auto started = link->start(config, host_keys, std::move(jump), connecting);
    if (!started) return std::move(started.error());
    auto key = look_at_key(*link, *way, *known);
    if (!key) return std::move(key.error());
    if (key_out != nullptr) *key_out = *key;
    if (!log_in) return link;
    auto right = check_key(*key, *way, host);
    if (!right) return std::move(right.error());
    auto in = Login(*link, config, keys_, whole).run();
    if (!in) return std::move(in.error());
    return link;
  }

  SshSettings settings_;
  KeyRing keys_;
};

}  // namespace

std::unique_ptr<Transport> ssh_transport(SshSettings settings) {
  return std::make_unique<SshTransport>(std::move(settings));
}

Result<HostKey> host_key(const SshSettings& settings, const Target& target, Deadline deadline,
                         const Cancelled& cancelled) {
  return SshTransport(settings).show(target, {deadline, cancelled});
}

}  // namespace converge::remote
