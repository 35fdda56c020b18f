// The server as a client on loopback sees it: a plain socket, so that what no library would send can be sent.
#include "web/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

namespace converge::web {
namespace {

using std::chrono::milliseconds;

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  void send(const std::string& bytes) const {
    std::string_view left = bytes;
    while (!left.empty()) {
      const ssize_t n = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      left.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  /// One whole answer, by its Content-Length; what there was if the connection ends before.
  std::string answer(bool head = false) {
    for (;;) {
      const auto end = pending_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const auto field = pending_.find("Content-Length: ");
        const std::size_t body = head || field > end ? 0 : std::stoul(pending_.substr(field + 16));
        if (pending_.size() >= end + 4 + body) {
          const std::string out = pending_.substr(0, end + 4 + body);
          pending_.erase(0, out.size());
          return out;
        }
      }
      if (!receive()) return std::exchange(pending_, {});
    }
  }
  /// Everything until the server closes.
  std::string rest() {
    while (receive()) {
    }
    return std::exchange(pending_, {});
  }
  std::string ask(const std::string& target, const std::string& headers = {}) {
    send("GET " + target + " HTTP/1.1\r\nHost: here\r\n" + headers + "\r\n");
    return answer();
  }

 private:
  bool receive() {
    char block[4096];
    const ssize_t n = ::recv(fd_, block, sizeof block, 0);
    if (n > 0) pending_.append(block, static_cast<std::size_t>(n));
    return n > 0;
  }

  int fd_;
  bool connected_ = false;
  std::string pending_;
};

Listen on_loopback() {
  Listen out;
  out.address = "127.0.0.1:0";
  return out;
}

std::unique_ptr<Server> started(Listen listen, Handler handler) {
  auto server = Server::start(std::move(listen), std::move(handler));
  if (server) return *std::move(server);
  ADD_FAILURE() << server.error().text();
  return nullptr;
}

Response hello(const Request& request) {
  Response out;
  out.body = "hello " + request.path;
  return out;
}

/// Handlers wait here until the test lets them go on.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void until_inside(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ >= count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

TEST(Endpoint, IsAnAddressAndAPort) {
  const auto all = parse_endpoint(":8080");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->host, "");
  EXPECT_EQ(all->port, 8080);
  EXPECT_EQ(parse_endpoint("127.0.0.1:8081")->host, "127.0.0.1");
  EXPECT_EQ(parse_endpoint("localhost:1")->host, "127.0.0.1");
  EXPECT_EQ(parse_endpoint("[::1]:8081")->host, "::1");
  EXPECT_EQ(parse_endpoint("[::1]:0")->port, 0);
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text :
       {"", "8080", ":", ":65536", ":http", "::1:80", "[127.0.0.1]:80", "[]:80", "example.org:80", "1.2.3:80"}) {
    const auto read = parse_endpoint(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Errc::invalid) << text;
    EXPECT_NE(read.error().hint, "") << text;
  }
}

TEST(Server, AnswersAndKeepsTheConnection) {
  const auto server = started(on_loopback(), hello);
  EXPECT_NE(server->port(), 0);
  EXPECT_EQ(server->url(), "http://127.0.0.1:" + std::to_string(server->port()));
  Client client(server->port());
  for (const char* path : {"/a", "/b", "/c"}) {
    const std::string answer = client.ask(path);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with(std::string("\r\n\r\nhello ") + path)) << answer;
    EXPECT_EQ(answer.find("Connection: close"), std::string::npos);
  }
}

TEST(Server, AnswersRequestsThatCameTogetherInTheirOrder) {
  const auto server = started(on_loopback(), hello);
  Client client(server->port());
  client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(client.answer().ends_with("hello /1"));
  EXPECT_TRUE(client.answer().ends_with("hello /2"));
}

TEST(Server, ClosesWhenAskedTo) {
  const auto server = started(on_loopback(), hello);
  Client client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.rest().ends_with("hello /"));
  Client old(server->port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.rest().ends_with("hello /"));
}

TEST(Server, TellsOfHeadTheLengthAndNoBody) {
  const auto server = started(on_loopback(), hello);
  Client client(server->port());
  client.send("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string head = client.answer(true);
  EXPECT_NE(head.find("Content-Length: 10\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_TRUE(client.ask("/next").ends_with("hello /next"));
}

TEST(Server, HandsOverPathQueryHeadersAndClient) {
  Request seen;
  const auto server = started(on_loopback(), [&](const Request& request) {
    seen = request;
    return Response{};
  });
  Client client(server->port());
  (void)client.ask("http://here/a%20b?x=1&y=a+b%26&x=2&z", "Accept: text/plain\r\nACCEPT: */*\r\n");
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.path, "/a b");
  EXPECT_EQ(seen.remote, "127.0.0.1");
  EXPECT_EQ(seen.header("accept"), "text/plain, */*");
  EXPECT_EQ(seen.header("cookie"), "");
  EXPECT_EQ(seen.query, (Fields{{"x", "1"}, {"y", "a b&"}, {"x", "2"}, {"z", ""}}));
  ASSERT_NE(seen.parameter("x"), nullptr);
  EXPECT_EQ(*seen.parameter("x"), "2");
  EXPECT_EQ(seen.parameter("w"), nullptr);
}

TEST(Server, RefusesOtherMethods) {
  const auto server = started(on_loopback(), hello);
  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"}) {
    Client client(server->port());
    client.send(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345");
    const std::string answer = client.rest();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n")) << answer;
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), std::string::npos) << answer;
  }
}

TEST(Server, RefusesWhatIsNotWellFormed) {
  const auto server = started(on_loopback(), hello);
  const std::pair<std::string, std::string> cases[] = {
      {"nonsense\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET a HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "413"},
      {"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", "431"},
      {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", "431"}};
  for (const auto& [request, status] : cases) {
    Client client(server->port());
    client.send(request);
    const std::string answer = client.rest();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status + " ")) << request.substr(0, 60) << "\n" << answer;
  }
  EXPECT_TRUE(Client(server->port()).ask("/still").ends_with("hello /still"));
}

TEST(Server, AnswersAHandlersExceptionWith500) {
  std::atomic<int> told{0};
  Listen listen = on_loopback();
  listen.warn = [&](const std::string& text) { told += text.find("broken") != std::string::npos ? 1 : 100; };
  const auto server =
      started(std::move(listen), [](const Request&) -> Response { throw std::runtime_error("broken"); });
  Client client(server->port());
  EXPECT_TRUE(client.ask("/").starts_with("HTTP/1.1 500 "));
  EXPECT_TRUE(client.ask("/").starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(told, 2);
}

TEST(Server, CutsASlowHeaderAndAnIdleClientAtTheirDeadlines) {
  Listen listen = on_loopback();
  listen.limits.header = milliseconds(30);
  listen.limits.idle = milliseconds(30);
  const auto server = started(std::move(listen), hello);
  Client slow(server->port());
  slow.send("GET / HTTP/1.1\r\nHost: h\r\n");
  EXPECT_EQ(slow.rest(), "");
  Client idle(server->port());
  EXPECT_TRUE(idle.ask("/").ends_with("hello /"));
  EXPECT_EQ(idle.rest(), "");
}

TEST(Server, CutsAClientThatDoesNotReadItsAnswer) {
  Listen listen = on_loopback();
  listen.limits.write = milliseconds(30);
  listen.limits.connections = 1;  // so that the next one comes in only when this one is gone
  const auto server = started(std::move(listen), [](const Request&) {
    Response out;
    out.body.assign(std::size_t{64} << 20U, 'x');
    return out;
  });
  const Client greedy(server->port());
  greedy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  Client next(server->port());
  next.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(next.answer(true).starts_with("HTTP/1.1 200 "));
}

TEST(Server, RequestsDoNotWaitForEachOther) {
  Gate gate;
  const auto server = started(on_loopback(), [&](const Request& request) {
    if (request.path == "/slow") gate.wait();
    return hello(request);
  });
  Client slow(server->port()), fast(server->port());
  slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  gate.until_inside(1);
  EXPECT_TRUE(fast.ask("/fast").ends_with("hello /fast"));
  gate.open();
  EXPECT_TRUE(slow.answer().ends_with("hello /slow"));
}

TEST(Server, ServesManyConnectionsWithinItsLimit) {
  Listen listen = on_loopback();
  listen.limits.connections = 8;
  const auto server = started(std::move(listen), hello);
  std::vector<std::unique_ptr<Client>> clients;  // none of them closes: idle ones make room
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(server->port()));
    ASSERT_TRUE(clients.back()->ask("/" + std::to_string(i)).ends_with("hello /" + std::to_string(i))) << i;
  }
  EXPECT_EQ(clients.front()->rest(), "");
}

TEST(Server, LetsTheNextWaitWhileAllAreBusy) {
  Gate gate;
  std::atomic<int> most{0}, now{0};
  Listen listen = on_loopback();
  listen.limits.connections = 2;
  const auto server = started(std::move(listen), [&](const Request& request) {
    const int inside = ++now;
    int seen = most;
    while (inside > seen && !most.compare_exchange_weak(seen, inside)) {
    }
    gate.wait();
    --now;
    return hello(request);
  });
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 6; ++i)
    answers.push_back(std::async(std::launch::async, [&] {
      Client client(server->port());
      return client.ask("/", "Connection: close\r\n");
    }));
  gate.until_inside(2);
  gate.open();
  for (auto& each : answers) EXPECT_TRUE(each.get().ends_with("hello /"));
  EXPECT_EQ(most, 2);
}

TEST(Server, StopsWithAnAnswerUnderWay) {
  Gate gate;
  const auto server = started(on_loopback(), [&](const Request& request) {
    gate.wait();
    return hello(request);
  });
  const std::uint16_t port = server->port();
  Client busy(port), idle(port);
  busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  gate.until_inside(1);
  std::thread stopping([&] { server->stop(); });
  EXPECT_EQ(idle.rest(), "");  // closed at once
  gate.open();
  const std::string answer = busy.rest();
  EXPECT_TRUE(answer.ends_with("hello /")) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  stopping.join();
  EXPECT_FALSE(Client(port).connected());
}

TEST(Server, CutsWhatIsUnderWayAfterItsGrace) {
  Listen listen = on_loopback();
  listen.limits.grace = milliseconds(20);
  const auto server = started(std::move(listen), hello);
  Client client(server->port());
  (void)client.ask("/");
  client.send("GET / HT");  // a request that will not end
  server->stop();
  client.send("x");
  EXPECT_EQ(client.rest(), "");
}

TEST(Server, SaysThatAPortIsTaken) {
  const auto first = started(on_loopback(), hello);
  Listen same = on_loopback();
  same.address = "127.0.0.1:" + std::to_string(first->port());
  const auto second = Server::start(same, hello);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::exists);
  EXPECT_EQ(second.error().message, "port " + std::to_string(first->port()) + " of '127.0.0.1' is already in use");
  EXPECT_NE(second.error().hint, "");
  Listen foreign = on_loopback();
  foreign.address = "192.0.2.1:0";
  const auto third = Server::start(foreign, hello);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().message, "'192.0.2.1' is no address of this machine");
}

TEST(Server, ListensOnAllAddresses) {
  Listen all;
  all.address = ":0";
  const auto server = started(std::move(all), [](const Request& request) {
    Response out;
    out.body = request.remote;
    return out;
  });
  EXPECT_TRUE(Client(server->port()).ask("/").ends_with("\r\n\r\n127.0.0.1"));
}

// ---- TLS ----

/// A key and a certificate it signed itself, for `name`, in one file.
void write_certificate(const std::string& file, const std::string& name) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* const out = std::fopen((file + ".new").c_str(), "w");
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_X509(out, certificate);
  (void)std::fclose(out);
  X509_free(certificate);
  EVP_PKEY_free(key);
  std::filesystem::rename(file + ".new", file);
}

/// "NAME: ANSWER", or "no TLS".
std::string ask_tls(std::uint16_t port, int highest = 0, const std::string& own_certificate = {}) {
  const Client client(port);
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
  SSL_CTX_set_security_level(context, 0);
  if (highest != 0) SSL_CTX_set_max_proto_version(context, highest);
  if (!own_certificate.empty()) {
    SSL_CTX_use_certificate_file(context, own_certificate.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, own_certificate.c_str(), SSL_FILETYPE_PEM);
  }
  SSL* const tls = SSL_new(context);
  SSL_set_fd(tls, client.fd());
  std::string out = "no TLS";
  const std::string request = "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  if (SSL_connect(tls) == 1 && SSL_write(tls, request.data(), static_cast<int>(request.size())) > 0) {
    char name[64] = {};
    X509* const shown = SSL_get1_peer_certificate(tls);
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    X509_free(shown);
    std::string answer;
    char block[4096];
    for (int n = 0; (n = SSL_read(tls, block, sizeof block)) > 0;) answer.append(block, static_cast<std::size_t>(n));
    const auto body = answer.find("\r\n\r\n");
    out = body == std::string::npos ? "no TLS" : std::string(name) + ": " + answer.substr(body + 4);
  }
  SSL_free(tls);
  SSL_CTX_free(context);
  return out;
}

class TlsServer : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "converge-web-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    listen_ = on_loopback();
    listen_.tls = Tls{directory_ / "server.pem", "", ""};
    listen_.warn = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      warnings_ += text + "\n";
    };
    write_certificate(listen_.tls->certificate, "first");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

  std::filesystem::path directory_;
  Listen listen_;
  std::mutex mutex_;
  std::string warnings_;
};

TEST_F(TlsServer, AnswersOverTls12AndNewer) {
  const auto server = started(listen_, hello);
  EXPECT_TRUE(server->url().starts_with("https://127.0.0.1:")) << server->url();
  EXPECT_EQ(ask_tls(server->port()), "first: hello /x");
  EXPECT_EQ(ask_tls(server->port(), TLS1_2_VERSION), "first: hello /x");
  EXPECT_EQ(ask_tls(server->port(), TLS1_1_VERSION), "no TLS");
  Client plain(server->port());
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(plain.rest().find("hello"), std::string::npos);
}

TEST_F(TlsServer, TakesANewCertificateAndKeepsTheOldOneIfItIsBroken) {
  const auto server = started(listen_, hello);
  EXPECT_EQ(ask_tls(server->port()), "first: hello /x");
  write_certificate(listen_.tls->certificate, "second");
  EXPECT_EQ(ask_tls(server->port()), "second: hello /x");
  EXPECT_EQ(warnings(), "");
  std::ofstream(listen_.tls->certificate, std::ios::trunc) << "nonsense\n";
  EXPECT_EQ(ask_tls(server->port()), "second: hello /x");
  EXPECT_EQ(ask_tls(server->port()), "second: hello /x");
  const std::string told = warnings();
  EXPECT_TRUE(told.starts_with("the certificate '" + listen_.tls->certificate + "' cannot be used: ")) << told;
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
}

TEST_F(TlsServer, WantsAClientsCertificateWhenToldTo) {
  write_certificate(directory_ / "client.pem", "client");
  write_certificate(directory_ / "stranger.pem", "client");
  listen_.tls->client_ca = directory_ / "client.pem";
  const auto server = started(listen_, hello);
  EXPECT_EQ(ask_tls(server->port(), 0, directory_ / "client.pem"), "first: hello /x");
  EXPECT_EQ(ask_tls(server->port(), 0, directory_ / "stranger.pem"), "no TLS");
  EXPECT_EQ(ask_tls(server->port()), "no TLS");
}

TEST_F(TlsServer, CutsAHandshakeThatDoesNotEnd) {
  listen_.limits.handshake = milliseconds(30);
  const auto server = started(listen_, hello);
  Client silent(server->port());
  EXPECT_EQ(silent.rest(), "");
}

TEST_F(TlsServer, DoesNotBeginWithACertificateThatCannotBeUsed) {
  listen_.tls->certificate = directory_ / "missing.pem";
  const auto server = Server::start(listen_, hello);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().message,
            "the certificate '" + listen_.tls->certificate + "' cannot be used: No such file or directory");
  EXPECT_NE(server.error().hint, "");
}

}  // namespace
}  // namespace converge::web
