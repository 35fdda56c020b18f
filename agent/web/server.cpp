#include "web/server.h"

// All of Beast and Asio is behind this file. One thread moves bytes; handlers run on a pool and hand their answers
// back.
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "core/text.h"

namespace converge::web {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;
using Code = boost::system::error_code;
// With the one executor there is: type-erased ones, Asio's default, would double this file's time to compile.
using Executor = asio::io_context::executor_type;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Stream = beast::basic_stream<Tcp, Executor, beast::unlimited_rate_policy>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
using TlsContext = std::shared_ptr<asio::ssl::context>;

constexpr int backlog = 128;
constexpr std::chrono::milliseconds pause_without_descriptors{100};
constexpr std::chrono::milliseconds most_lingering{2000};

// ---- what is in a request ----

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// nullopt for a % without two digits, and for NUL.
std::optional<std::string> decoded(std::string_view text, bool form) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (form && c == '+') {
      c = ' ';
    } else if (c == '%') {
      if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
      c = static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

/// Fills path and query; false if `target` is neither "/path" nor "http://host/path".
bool read_target(std::string_view target, Request& out) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (lower(target.substr(0, scheme.size())) == scheme) {
      const auto slash = target.find_first_of("/?", scheme.size());
      target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
  const auto mark = target.find('?');
  const auto path = decoded(target.substr(0, mark), false);
  if (!path || !path->starts_with('/')) return false;
  out.path = *path;
  if (mark == std::string_view::npos) return true;
  for (const std::string_view part : split(target.substr(mark + 1), '&')) {
    if (part.empty()) continue;
    const auto equals = std::min(part.find('='), part.size());
    auto name = decoded(part.substr(0, equals), true);
    auto value = decoded(part.substr(std::min(equals + 1, part.size())), true);
    if (!name || !value) return false;
    out.query.emplace_back(*std::move(name), *std::move(value));
  }
  return true;
}

Response plain(int status, std::string_view sentence) {
  Response out;
  out.status = status;
  out.body = fmt::format("{}\n", sentence);
  return out;
}

std::string date_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  std::array<char, 64> text = {};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// ---- TLS ----

std::string tls_problem() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  return code != 0 && ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : "it cannot be read";
}

Result<TlsContext> load_tls(const Tls& files) {
  const auto refused = [](std::string_view what, const std::string& file) {
    return Error{Errc::invalid,
                 fmt::format("{} '{}' cannot be used: {}", what, printable(file), tls_problem()),
                 {},
                 "give files in PEM that belong together"};
  };
  ERR_clear_error();
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* const raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  const std::string& key = files.key.empty() ? files.certificate : files.key;
  if (SSL_CTX_use_certificate_chain_file(raw, files.certificate.c_str()) != 1)
    return refused("the certificate", files.certificate);
  if (SSL_CTX_use_PrivateKey_file(raw, key.c_str(), SSL_FILETYPE_PEM) != 1) return refused("the key", key);
  if (!files.client_ca.empty()) {
    if (SSL_CTX_load_verify_locations(raw, files.client_ca.c_str(), nullptr) != 1)
      return refused("the clients' authority", files.client_ca);
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

/// The files' identities: what changes when one of them does.
std::string stamp_of(const Tls& files) {
  std::string out;
  for (const std::string& file : {files.certificate, files.key, files.client_ca}) {
    struct stat status = {};
    if (file.empty() || ::stat(file.c_str(), &status) != 0) {
      out += "-;";
      continue;
    }
    out += fmt::format("{}:{}:{}.{}:{};", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                       status.st_ctim.tv_nsec);
  }
  return out;
}

// ---- the socket ----

Error cannot_listen(int error_number, const Endpoint& at) {
  const std::string where = at.host.empty() ? "" : fmt::format(" of '{}'", at.host);
  switch (error_number) {
    case EADDRINUSE:
      return {Errc::exists,
              fmt::format("port {}{} is already in use", at.port, where),
              {},
              fmt::format("see who listens there with `ss -ltnp sport = :{}`, or listen on another port", at.port)};
    case EACCES:
    case EPERM:
      return {Errc::permission,
              fmt::format("port {}{} may not be listened on", at.port, where),
              {},
              "ports below 1024 want root's rights: listen on one above"};
    case EADDRNOTAVAIL:
      return {Errc::invalid,
              fmt::format("'{}' is no address of this machine", at.host),
              {},
              "see `ip address`, or give the port alone for all addresses"};
    default:
      return {Errc::io, fmt::format("cannot listen on port {}{}: {}", at.port, where, strerror(error_number)), {}, {}};
  }
}

/// A listening descriptor that no command we start inherits; `at.port` becomes the one it has.
Result<int> listen_on(Endpoint& at, bool& six) {
  const auto try_one = [&](bool v6) -> Result<int> {
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return cannot_listen(errno, at);
    const auto failed = [&] {
      Error error = cannot_listen(errno, at);
      ::close(fd);
      return error;
    };
    const int yes = 1, no = 0;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (v6 && at.host.empty()) (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    Code wrong;
    const asio::ip::address host = !at.host.empty() ? asio::ip::make_address(at.host, wrong)
                                   : v6             ? asio::ip::address(asio::ip::address_v6::any())
                                                    : asio::ip::address(asio::ip::address_v4::any());
    const Tcp::endpoint place(host, at.port);
    if (::bind(fd, place.data(), static_cast<socklen_t>(place.size())) != 0) return failed();
    if (::listen(fd, backlog) != 0) return failed();
    Tcp::endpoint got;
    auto size = static_cast<socklen_t>(got.capacity());
    if (::getsockname(fd, got.data(), &size) != 0) return failed();
    got.resize(size);
    at.port = got.port();
    six = v6;
    return fd;
  };
  if (!at.host.empty()) return try_one(at.host.find(':') != std::string::npos);
  auto both = try_one(true);  // takes IPv4 too; without IPv6 in the kernel there is only that
  if (both || both.error().code == Errc::exists || both.error().code == Errc::permission) return both;
  return try_one(false);
}

}  // namespace

// ---- the server ----

struct Server::Parts {
  class Session;
  template <class Layers>
  class SessionOn;

  Parts(Listen asked, Handler answer, Endpoint where)
      : listen(std::move(asked)),
        handler(std::move(answer)),
        at(std::move(where)),
        acceptor(context),
        retry(context),
        end_of_grace(context),
        staying(context.get_executor()),
        pool(std::max<std::size_t>(listen.limits.workers, 1)) {}

  void accept_next();
  void accept_now();
  bool has_room();
  TlsContext current_tls();
  void left(Session& session);
  void end();
  void warn(const std::string& text) const {
    if (listen.warn) listen.warn(text);
  }

  Listen listen;
  Handler handler;
  Endpoint at;
  asio::io_context context{1};
  Acceptor acceptor;
  Timer retry, end_of_grace;
  asio::executor_work_guard<Executor> staying;
  asio::thread_pool pool;
  std::thread mover;
  std::once_flag stopped;

  // Only the moving thread looks at these.
  TlsContext tls;
  std::string tls_stamp;
  std::unordered_set<Session*> sessions;  // each is kept alive by what it waits for
  std::uint64_t order = 0;
  bool stopping = false, accepting = false;
  bool crowded = false;  // somebody waits for a place
};

/// One connection, whatever it runs over.
class Server::Parts::Session {
 public:
  explicit Session(Parts& server) : server_(server) { server_.sessions.insert(this); }
  virtual ~Session() { server_.left(*this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual void begin() = 0;
  virtual void close() = 0;
  /// Since when it waits for another request: a number that grows; 0: it does not.
  std::uint64_t idle_since() const { return idle_since_; }
  /// For a request's first byte.
  bool waits() const { return waits_; }

 protected:
  Parts& server_;
  std::uint64_t idle_since_ = 0;
  bool waits_ = false;
};

template <class Layers>
class Server::Parts::SessionOn final : public Session, public std::enable_shared_from_this<SessionOn<Layers>> {
 public:
  template <class... Arguments>
  SessionOn(Parts& server, std::string remote, TlsContext tls, Socket socket, Arguments&... arguments)
      : Session(server),
        tls_(std::move(tls)),
        stream_(std::move(socket), arguments...),
        buffer_(server.listen.limits.header_bytes + 4096),
        remote_(std::move(remote)) {}

  void begin() override {
    if constexpr (secure) {
      below().expires_after(limits().handshake);
      stream_.async_handshake(asio::ssl::stream_base::server, [self = this->shared_from_this()](Code failed) {
        if (!failed) self->next();
      });
    } else {
      next();
    }
  }
  void close() override { below().close(); }

 private:
  static constexpr bool secure = !std::is_same_v<Layers, Stream>;
  using Session::idle_since_;
  using Session::server_;
  using Session::waits_;

  Stream& below() { return beast::get_lowest_layer(stream_); }
  const Limits& limits() const { return server_.listen.limits; }

  /// Waits for the first byte of a request: that may take long. All of its header may not.
  void next() {
    if (server_.stopping) return close_gently();
    if (buffer_.size() > 0) return read_header();
    waits_ = true;
    if (answered_) idle_since_ = ++server_.order;
    below().expires_after(answered_ ? limits().idle : limits().header);
    stream_.async_read_some(buffer_.prepare(1024), [self = this->shared_from_this()](Code failed, std::size_t size) {
      self->waits_ = false;
      self->idle_since_ = 0;

      if (failed) return;
      self->buffer_.commit(size);
      self->read_header();
    });
  }

  void read_header() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits().header_bytes));
    parser_->body_limit(boost::none);  // none is ever read
    below().expires_after(limits().header);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](Code failed, std::size_t) { self->read(failed); });
  }

  void read(Code failed) {
    head_ = keep_ = false;
    version_ = 11;
    if (failed == http::error::header_limit || failed == http::error::buffer_overflow)
      return respond(plain(431, "the header is too large"));
    if (failed == http::error::end_of_stream) return close_gently();
    if (failed.category() == make_error_code(http::error::bad_method).category())
      return respond(plain(400, "this is no HTTP request"));
    if (failed) return;  // gone, or too slow: nobody reads an answer
    const auto& header = parser_->get();
    version_ = header.version() == 10 ? 10 : 11;
    Request request;
    request.method = std::string(header.method_string());
    request.remote = remote_;
    for (const auto& field : header)
      request.headers.emplace_back(lower(std::string_view(field.name_string().data(), field.name_string().size())),
                                   std::string(field.value()));
    head_ = header.method() == http::verb::head;
    if (header.method() != http::verb::get && !head_) {
      Response refusal = plain(405, "only GET and HEAD are answered here");
      refusal.headers.emplace_back("Allow", "GET, HEAD");
      return respond(std::move(refusal));
    }
    if (!parser_->is_done()) return respond(plain(413, "a request has no body here"));
    if (header.version() >= 11 && header.count(http::field::host) != 1)
      return respond(plain(400, "a request names one host"));
    if (!read_target(std::string_view(header.target().data(), header.target().size()), request))
      return respond(plain(400, "the address is not well formed"));
    keep_ = parser_->keep_alive();
    below().expires_never();
    asio::post(server_.pool, [self = this->shared_from_this(), request = std::move(request)]() mutable {
      Response answer = self->answer_to(request);
      asio::io_context& context = self->server_.context;
      asio::post(context,
                 [self = std::move(self), answer = std::move(answer)]() mutable { self->respond(std::move(answer)); });
    });
  }

  /// On a thread of the pool.
  Response answer_to(const Request& request) const {
    try {
      return server_.handler(request);
    } catch (const std::exception& problem) {
      server_.warn(fmt::format("'{}' could not be answered: {}", printable(request.path), printable(problem.what())));
    } catch (...) {
      server_.warn(fmt::format("'{}' could not be answered", printable(request.path)));
    }
    return plain(500, "internal error");
  }

  void respond(Response answer) {
    const bool keep = keep_ && !server_.stopping && !server_.crowded;
    answered_ = true;
    const std::size_t size = answer.body.size();
    answer_.emplace(static_cast<http::status>(answer.status), version_);
    answer_->set(http::field::date, date_now());
    answer_->set(http::field::server, "converge/" CONVERGE_VERSION);
    if (!answer.content_type.empty()) answer_->set(http::field::content_type, answer.content_type);
    answer_->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : answer.headers) answer_->insert(name, value);
    if (!head_) answer_->body() = std::move(answer.body);
    answer_->keep_alive(keep);
    answer_->content_length(size);
    serializer_.emplace(*answer_);
    below().expires_after(limits().write);
    const auto sent = [self = this->shared_from_this(), keep](Code failed, std::size_t) {
      self->serializer_.reset();
      self->answer_.reset();
      if (failed) return;
      if (keep) return self->next();
      self->close_gently();
    };
    http::async_write(stream_, *serializer_, sent);
  }

  /// What the client still sends is read and dropped for a while: closing over it would take our answer from it.
  void close_gently() {
    below().expires_after(std::min(most_lingering, limits().idle));
    if constexpr (secure) {
      stream_.async_shutdown([self = this->shared_from_this()](Code) { self->linger(); });
    } else {
      linger();
    }
  }
  void linger() {
    Code ignored;
    below().socket().shutdown(Tcp::socket::shutdown_send, ignored);
    if (!ignored && !server_.stopping) drop();
  }
  void drop() {
    below().async_read_some(asio::buffer(dropped_), [self = this->shared_from_this()](Code failed, std::size_t) {
      if (!failed) self->drop();
    });
  }

  TlsContext tls_;  // outlives the stream
  Layers stream_;
  beast::flat_buffer buffer_;
  std::string remote_;
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::optional<http::response<http::string_body>> answer_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, 1024> dropped_{};
  bool head_ = false, keep_ = false, answered_ = false;
  unsigned version_ = 11;
};

void Server::Parts::accept_next() {
  if (stopping || accepting) return;
  accepting = true;
  acceptor.async_wait(Acceptor::wait_read, [this](Code failed) {
    accepting = false;
    if (!failed) accept_now();
  });
}

/// At the limit the one idle longest makes room; without one, the next that ends does.
bool Server::Parts::has_room() {
  crowded = sessions.size() >= std::max<std::size_t>(listen.limits.connections, 1);
  if (!crowded) return true;
  Session* oldest = nullptr;
  for (Session* each : sessions)
    if (each->idle_since() != 0 && (oldest == nullptr || each->idle_since() < oldest->idle_since())) oldest = each;
  if (oldest != nullptr) oldest->close();
  return false;
}

void Server::Parts::accept_now() {
  if (!has_room()) return;  // left() comes back here
  Tcp::endpoint peer;
  auto size = static_cast<socklen_t>(peer.capacity());
  // Asio's own accept would let commands that are started meanwhile inherit the connection.
  const int fd = ::accept4(acceptor.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return accept_next();
    warn(fmt::format("a connection has to wait: {}", strerror(errno)));
    retry.expires_after(pause_without_descriptors);
    retry.async_wait([this](Code failed) {
      if (!failed) accept_next();
    });
    return;
  }
  peer.resize(size);
  const asio::ip::address host = peer.address();
  const bool mapped = host.is_v6() && host.to_v6().is_v4_mapped();
  const std::string remote =
      mapped ? asio::ip::make_address_v4(asio::ip::v4_mapped, host.to_v6()).to_string() : host.to_string();
  Socket socket(context);
  Code failed;
  socket.assign(peer.protocol(), fd, failed);
  if (failed) {
    ::close(fd);
    return accept_next();
  }
  socket.set_option(Tcp::no_delay(true), failed);
  if (listen.tls) {
    const TlsContext now = current_tls();
    std::make_shared<SessionOn<beast::ssl_stream<Stream>>>(*this, remote, now, std::move(socket), *now)->begin();
  } else {
    std::make_shared<SessionOn<Stream>>(*this, remote, nullptr, std::move(socket))->begin();
  }
  accept_next();
}

TlsContext Server::Parts::current_tls() {
  std::string stamp = stamp_of(*listen.tls);
  if (stamp == tls_stamp) return tls;
  tls_stamp = std::move(stamp);
  if (auto fresh = load_tls(*listen.tls))
    tls = *std::move(fresh);
  else
    warn(fresh.error().text() + "; the one before it stays");
  return tls;
}

void Server::Parts::left(Session& session) {
  sessions.erase(&session);
  if (!stopping) return accept_next();
  if (sessions.empty()) {
    end_of_grace.cancel();
    staying.reset();
  }
}

void Server::Parts::end() {
  stopping = true;
  Code ignored;
  acceptor.close(ignored);
  retry.cancel();
  const std::vector<Session*> all(sessions.begin(), sessions.end());
  for (Session* each : all)
    if (each->waits()) each->close();
  if (sessions.empty()) return staying.reset();
  end_of_grace.expires_after(listen.limits.grace);
  end_of_grace.async_wait([this](Code failed) {
    if (failed) return;
    const std::vector<Session*> late(sessions.begin(), sessions.end());
    for (Session* each : late) each->close();
  });
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { stop(); }

Result<std::unique_ptr<Server>> Server::start(Listen listen, Handler handler) try {
  auto at = parse_endpoint(listen.address);
  if (!at) return std::move(at).error();
  TlsContext tls;
  std::string stamp;
  if (listen.tls) {
    stamp = stamp_of(*listen.tls);
    auto loaded = load_tls(*listen.tls);
    if (!loaded) return std::move(loaded).error();
    tls = *std::move(loaded);
  }
  bool six = false;
  auto fd = listen_on(*at, six);
  if (!fd) return std::move(fd).error();
  auto parts = std::make_unique<Parts>(std::move(listen), std::move(handler), *std::move(at));
  Parts* const raw = parts.get();
  raw->tls = std::move(tls);
  raw->tls_stamp = std::move(stamp);
  Code failed;
  raw->acceptor.assign(six ? Tcp::v6() : Tcp::v4(), *fd, failed);
  if (failed) {
    ::close(*fd);
    return Error{Errc::io, "cannot listen: " + failed.message(), {}, {}};
  }
  raw->mover = std::thread([raw] {
    raw->accept_next();
    raw->context.run();
  });
  return std::unique_ptr<Server>(new Server(std::move(parts)));
} catch (const std::exception& problem) {
  return Error{Errc::io, fmt::format("cannot listen: {}", problem.what()), {}, {}};
}

std::uint16_t Server::port() const { return parts_->at.port; }

std::string Server::url() const {
  const std::string& host = parts_->at.host;
  const bool six = host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", parts_->listen.tls ? "https" : "http",
                     host.empty() ? "localhost"
                     : six        ? "[" + host + "]"
                                  : host,
                     parts_->at.port);
}

void Server::stop() {
  std::call_once(parts_->stopped, [this] {
    asio::post(parts_->context, [this] { parts_->end(); });
    parts_->mover.join();
    parts_->pool.join();
  });
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error{Errc::invalid,
                 fmt::format("'{}' cannot be listened on: {}", printable(text), why),
                 {},
                 "write 127.0.0.1:8080 for this machine alone, :8080 for all addresses, or [::1]:8080"};
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  std::uint64_t port = 0;
  if (!parse_number(text.substr(colon + 1), port) || port > 65535) return wrong("its port is no number up to 65535");
  Endpoint out;
  out.port = static_cast<std::uint16_t>(port);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() && !bracketed) return out;
  out.host = host == "localhost" ? "127.0.0.1" : std::string(host);
  Code failed;
  const auto address = asio::ip::make_address(out.host, failed);
  if (failed) return wrong("its host is no address");
  if (address.is_v6() != bracketed) return wrong("IPv6 addresses, and only they, stand in brackets");
  return out;
}

std::string Request::header(std::string_view name) const {
  std::string out;
  for (const auto& [key, value] : headers)
    if (key == name) out += (out.empty() ? "" : ", ") + value;
  return out;
}

const std::string* Request::parameter(std::string_view name) const {
  const auto last = std::find_if(query.rbegin(), query.rend(), [&](const auto& each) { return each.first == name; });
  return last == query.rend() ? nullptr : &last->second;
}

}  // namespace converge::web
