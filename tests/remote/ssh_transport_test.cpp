// Logins over SSH, against sshd and against servers that are none.
#include "remote/ssh_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/ssh_server.h"

namespace converge::remote {
namespace {

Deadline in_ms(int ms) { return Clock::now() + std::chrono::milliseconds(ms); }

class SshLogin : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = SshServer::unavailable(); !why.empty()) GTEST_SKIP() << why;
    key_ = make_key(folder_.path("key"));
    start("node");
    known(server_->host_line());
    target_.host = "node";
    target_.address = "127.0.0.1";
    target_.identity_files = {key_};
    config("");
  }

  void start(const std::string& name, const std::string& more = "") {
    server_ = std::make_unique<SshServer>(folder_, name, key_, more);
    target_.port = server_->port();
  }
  void known(const std::string& lines) { folder_.write("known_hosts", lines); }
  void config(const std::string& lines) {
    settings_.config =
        folder_.write("config", lines + "\nHost *\nIdentityAgent none\nIdentitiesOnly yes\nUserKnownHostsFile " +
                                    folder_.path("known_hosts") + "\n");
  }

  Result<std::unique_ptr<Connection>> connect() { return ssh_transport(settings_)->connect(target_, in_ms(20000), {}); }
  Error refusal() {
    auto connected = connect();
    EXPECT_FALSE(connected);
    return connected ? Error{} : connected.error();
  }
  static std::string say(Connection& connection, const std::string& command) {
    auto process = connection.run(command, in_ms(20000));
    if (!process) return process.error().text();
    std::string out;
    for (;;) {
      auto chunk = (*process)->read(in_ms(20000));
      if (!chunk) return chunk.error().text();
      if (chunk->from == Chunk::From::end) return out;
      out += chunk->bytes;
    }
  }
  std::string hello() {
    auto connected = connect();
    if (!connected) return connected.error().text() + "; " + connected.error().hint;
    return say(**connected, "echo hello");
  }

  Folder folder_;
  std::string key_;
  std::unique_ptr<SshServer> server_;
  SshSettings settings_;
  Target target_;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(SshLogin, RefusesAnUnknownHostKeyWithItsFingerprint) {
  known("");
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_TRUE(has(error.message, "ssh-ed25519 key SHA256:")) << error.message;
  EXPECT_TRUE(has(error.hint, "converge trust -l node")) << error.hint;
}

TEST_F(SshLogin, RefusesAChangedHostKeyAndSaysWhereTheOldOneIs) {
  make_key(folder_.path("other"));
  const std::string name = "[127.0.0.1]:" + std::to_string(target_.port);
  known("# a comment\n" + name + " " + read_text(folder_.path("other.pub")));
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_TRUE(has(error.message, folder_.path("known_hosts") + ":2")) << error.message;
  EXPECT_TRUE(has(error.hint, "attack") && has(error.hint, "ssh-keygen -R '" + name + "'")) << error.hint;
}

TEST_F(SshLogin, AsksForTheHostKeyItKnows) {
  known(server_->host_line("ecdsa"));
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(SshLogin, RefusesARevokedHostKey) {
  known(server_->host_line() + "@revoked " + server_->host_line());
  EXPECT_TRUE(has(refusal().message, "is revoked by")) << refusal().message;
}

TEST_F(SshLogin, KnowsHashedNamesAndAliases) {
  run_quietly({"ssh-keygen", "-H", "-f", folder_.path("known_hosts")});
  ASSERT_TRUE(read_text(folder_.path("known_hosts")).starts_with("|1|"));
  EXPECT_EQ(hello(), "hello\n");
  known("the-alias " + server_->host_line().substr(server_->host_line().find(' ') + 1));
  EXPECT_EQ(refusal().code, Errc::refused);
  config("HostKeyAlias the-alias");
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(SshLogin, ShowsTheHostKeyForTrust) {
  const auto pinned = host_key(settings_, target_, in_ms(20000), {});
  ASSERT_TRUE(pinned) << pinned.error().text();
  EXPECT_EQ(pinned->known, HostKey::Known::pinned);
  known("");
  const auto unknown = host_key(settings_, target_, in_ms(20000), {});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->known, HostKey::Known::unknown);
  EXPECT_EQ(unknown->type, "ssh-ed25519");
  EXPECT_TRUE(unknown->fingerprint.starts_with("SHA256:"));
  EXPECT_EQ(unknown->file, folder_.path("known_hosts"));
  known(unknown->line + "\n");
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(SshLogin, FollowsAnAliasOfTheConfiguration) {
  target_.address = "alias";
  target_.port = 0;
  target_.identity_files.clear();
  config("Host alias\nHostName 127.0.0.1\nPort " + std::to_string(server_->port()) + "\nIdentityFile " + key_);
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(SshLogin, NamesTheKeysItTriedAndWhatTheServerTakes) {
  target_.identity_files = {make_key(folder_.path("stranger")), folder_.path("absent")};
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::permission);
  EXPECT_TRUE(has(error.message, "tried '" + folder_.path("stranger") + "'")) << error.message;
  EXPECT_TRUE(has(error.message, "'" + folder_.path("absent") + "' is not there")) << error.message;
  EXPECT_TRUE(has(error.message, "the server takes publickey")) << error.message;
}

TEST_F(SshLogin, StopsBeforeTheServerHangsUp) {
  target_.identity_files.clear();
  for (int i = 0; i < 7; ++i) target_.identity_files.push_back(make_key(folder_.path("wrong" + std::to_string(i))));
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::permission);
  EXPECT_TRUE(has(error.message, "wrong5'")) << error.message;
  EXPECT_TRUE(has(error.message + error.hint, "IdentitiesOnly")) << error.message << error.hint;
  start("strict", "MaxAuthTries 2\n");
  known(server_->host_line());
  EXPECT_TRUE(has(refusal().message, "the server cut us off")) << refusal().message;
}

TEST_F(SshLogin, PassesOverAKeyThatOthersMayRead) {
  chmod(key_.c_str(), 0644);
  EXPECT_TRUE(has(refusal().message, "others may read it (mode 0644)")) << refusal().message;
}

TEST_F(SshLogin, AsksForAPassphraseOnceARun) {
  run_quietly({"ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key_});
  EXPECT_TRUE(has(refusal().message, "there is nobody to ask")) << refusal().message;
  std::atomic<int> asked = 0;
  settings_.passphrase = [&](const std::string& file) -> std::optional<Secret> {
    EXPECT_EQ(file, key_);
    ++asked;
    return Secret("open sesame");
  };
  const auto transport = ssh_transport(settings_);
  std::vector<std::thread> threads;
  std::atomic<int> in = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { in += transport->connect(target_, in_ms(20000), {}).has_value() ? 1 : 0; });
  for (auto& each : threads) each.join();
  EXPECT_EQ(in, 4);
  EXPECT_EQ(asked, 1);
  settings_.passphrase = [](const std::string&) { return std::optional<Secret>(Secret("wrong")); };
  EXPECT_TRUE(has(refusal().message, "the passphrase is wrong")) << refusal().message;
}

TEST_F(SshLogin, TakesTheKeysOfTheAgentInOrder) {
  const std::string socket = folder_.path("agent"), pid_file = folder_.path("agent.out");
  ASSERT_EQ(run_quietly({"sh", "-c", "ssh-agent -a " + socket + " >" + pid_file}), 0);
  const std::string out = read_text(pid_file);
  const std::size_t at = out.find("SSH_AGENT_PID=");
  ASSERT_NE(at, std::string::npos);
  const pid_t agent = std::stoi(out.substr(at + 14));
  for (int i = 0; i < 7; ++i)
    run_quietly(
        {"env", "SSH_AUTH_SOCK=" + socket, "ssh-add", "-q", make_key(folder_.path("wrong" + std::to_string(i)))});
  run_quietly({"env", "SSH_AUTH_SOCK=" + socket, "ssh-add", "-q", key_});
  chmod(key_.c_str(), 0644);  // so that only the agent can use it
  config("IdentityAgent " + socket + "\nIdentitiesOnly no");
  EXPECT_EQ(hello(), "hello\n");  // the eighth of the agent, but IdentityFile names it
  target_.identity_files.clear();
  EXPECT_TRUE(has(refusal().message, "of the agent")) << refusal().message;
  config("IdentityAgent " + socket + "\nIdentitiesOnly yes\nIdentityFile " + key_);
  EXPECT_EQ(hello(), "hello\n");
  kill(agent, SIGTERM);
}

TEST_F(SshLogin, GoesThroughTwoJumps) {
  SshServer first(folder_, "first", key_), second(folder_, "second", key_);
  config("Host first second\nHostName 127.0.0.1\nIdentityFile " + key_ + "\nHost first\nPort " +
         std::to_string(first.port()) + "\nHost second\nPort " + std::to_string(second.port()) +
         "\nHost 127.0.0.1\nProxyJump first,second");
  known(server_->host_line() + first.host_line());
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_TRUE(has(error.text(), "reaching the jump host 'second'")) << error.text();
  EXPECT_TRUE(has(error.hint, "trust -l second")) << error.hint;
  known(server_->host_line() + first.host_line() + second.host_line());
  EXPECT_EQ(hello(), "hello\n");
  auto connected = connect();
  ASSERT_TRUE(connected) << connected.error().text();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(say(**connected, "head -c 3000000 /dev/zero | wc -c; head -c 3000000 /dev/zero").size(), 3000008U);
    ASSERT_EQ(say(**connected, "echo again"), "again\n");
  }
}

TEST_F(SshLogin, GoesThroughAProxyCommand) {
  config("ProxyCommand ssh -F none -oBatchMode=yes -oIdentityFile=" + key_ +
         " -oUserKnownHostsFile=" + folder_.path("known_hosts") + " -W %h:%p -p %p 127.0.0.1");
  EXPECT_EQ(hello(), "hello\n");
  config("ProxyCommand echo no way >&2; exit 1");
  EXPECT_TRUE(has(refusal().message, "no way")) << refusal().message;
}

TEST_F(SshLogin, NamesWhatHasNoAlgorithmInCommon) {
  config("Ciphers aes128-cbc");
  const Error error = refusal();
  EXPECT_EQ(error.code, Errc::unsupported);
  EXPECT_TRUE(has(error.message, "no algorithm in common")) << error.message;
}

TEST_F(SshLogin, NoticesALostConnection) {
  auto connected = connect();
  ASSERT_TRUE(connected);
  auto process = (*connected)->run("echo here; kill -9 $(ps -o ppid= -p $$); exec sleep 100", in_ms(20000));
  ASSERT_TRUE(process);
  for (;;) {
    auto chunk = (*process)->read(in_ms(20000));
    if (!chunk) {
      EXPECT_EQ(chunk.error().code, Errc::io) << chunk.error().text();
      break;
    }
    ASSERT_NE(chunk->from, Chunk::From::end);
  }
  EXPECT_FALSE((*process)->write("x", in_ms(20000)));
  EXPECT_FALSE((*connected)->run("true", in_ms(20000)));
}

TEST_F(SshLogin, HoldsLittleOfAFlood) {
  auto connected = connect();
  ASSERT_TRUE(connected);
  auto process = (*connected)->run("exec cat /dev/zero", in_ms(20000));
  ASSERT_TRUE(process);
  auto done = (*process)->write(std::string(4U << 20U, 'x'), in_ms(500));  // takes in what comes, and is not read
  EXPECT_FALSE(done);
  EXPECT_LT((*connected)->traffic().received, 2200000U);
}

// --- servers that are none
// ---------------------------------------------------------------------------------------------

class FalseServer {
 public:
  /// Says `hello` to whoever comes; then closes, or waits for the end of the test.
  FalseServer(std::string hello, bool closes) {
    listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    bind(listening_, reinterpret_cast<sockaddr*>(&at), size);
    listen(listening_, 8);
    getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size);
    target.host = target.address = "127.0.0.1";
    target.port = ntohs(at.sin_port);
    thread_ = std::thread([this, hello = std::move(hello), closes] {
      for (int fd = -1; (fd = accept(listening_, nullptr, nullptr)) >= 0;) {
        send(fd, hello.data(), hello.size(), MSG_NOSIGNAL);
        if (!closes) {
          guests_.push_back(fd);
          continue;
        }
        shutdown(fd, SHUT_WR);
        for (char c = 0; recv(fd, &c, 1, 0) > 0;) {
        }
        close(fd);
      }
    });
  }
  ~FalseServer() {
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    for (const int fd : guests_) close(fd);
    close(listening_);
  }

  Error refusal(int ms, const Cancelled& cancelled = {}) const {
    SshSettings settings;
    settings.config.clear();
    const auto before = Clock::now();
    auto connected = ssh_transport(settings)->connect(target, in_ms(ms), cancelled);
    EXPECT_FALSE(connected);
    EXPECT_LT(Clock::now() - before, std::chrono::milliseconds(ms + 2000));
    return connected ? Error{} : connected.error();
  }

  Target target;

 private:
  int listening_ = -1;
  std::vector<int> guests_;
  std::thread thread_;
};

TEST(FalseSshServer, ThatIsSilentIsLeftInTime) {
  const FalseServer server("", false);
  const Error error = server.refusal(200);
  EXPECT_EQ(error.code, Errc::timeout);
  EXPECT_TRUE(has(error.message, "timed out while waiting for '127.0.0.1' port")) << error.message;
  int asked = 0;
  EXPECT_TRUE(has(server.refusal(60000, [&] { return ++asked > 2; }).message, "cancelled"));
}

TEST(FalseSshServer, ThatClosesAtOnceIsNamed) {
  const FalseServer server("", true);
  EXPECT_TRUE(has(server.refusal(20000).message, "closed the connection before saying hello"))
      << server.refusal(20000).message;
}

TEST(FalseSshServer, ThatSpeaksSomethingElseIsQuotedSafely) {
  for (const bool closes : {true, false}) {
    const FalseServer server("HTTP/1.1 400 \x1b[31mBad\r\n" + std::string(5000, 'x') + "\r\n", closes);
    const Error error = server.refusal(3000);
    EXPECT_TRUE(has(error.message, "is not an SSH server: it says 'HTTP/1.1 400 \\x1b[31mBad")) << error.message;
    EXPECT_LT(error.message.size(), 1200U);
  }
}

TEST(FalseSshServer, ThatStopsInTheKeyExchangeIsLeftInTime) {
  const FalseServer server("SSH-2.0-OpenSSH_9.2\r\n\0\0\1\0", false);
  const Error error = server.refusal(300);
  EXPECT_EQ(error.code, Errc::timeout);
  EXPECT_TRUE(has(error.message, "timed out while the key exchange")) << error.message;
}

TEST(FalseSshServer, ThatBreaksOffTheKeyExchangeIsNamed) {
  const FalseServer server("SSH-2.0-OpenSSH_9.2\r\n", true);
  EXPECT_TRUE(has(server.refusal(20000).message, "the key exchange with")) << server.refusal(20000).message;
}

TEST(FalseSshServer, ThatIsNotThereIsNamed) {
  SshSettings settings;
  settings.config.clear();
  Target target;
  target.address = "127.0.0.1";
  target.port = free_port();
  auto connected = ssh_transport(settings)->connect(target, in_ms(20000), {});
  ASSERT_FALSE(connected);
  EXPECT_TRUE(has(connected.error().message, "connection refused")) << connected.error().message;
  target.address = "-oProxyCommand=x";
  connected = ssh_transport(settings)->connect(target, in_ms(20000), {});
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::invalid);
}

}  // namespace
}  // namespace converge::remote
