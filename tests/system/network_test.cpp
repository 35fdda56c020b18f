#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "system/dns.h"
#include "system/http.h"
#include "system/network.h"

namespace converge {
namespace {

TEST(Url, HidesThePasswordWhenShown) {
  EXPECT_EQ(without_password("https://me:secret@host/x@y"), "https://host/x@y");
  EXPECT_EQ(without_password("https://host/x@y"), "https://host/x@y");
}

/// A server on the loopback that answers one connection after another with `answer(request)`.
class Server {
 public:
  explicit Server(std::function<std::string(const std::string&)> answer, int type = SOCK_STREAM) {
    fd_ = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (type == SOCK_STREAM) ::listen(fd_, 8);
    thread_ = std::thread([this, type, answer = std::move(answer)] {
      for (;;) {
        char buffer[4096];
        if (type == SOCK_DGRAM) {
          sockaddr_in from = {};
          socklen_t length = sizeof from;
          const ssize_t n = ::recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
          if (n < 0 || stop_) return;
          const std::string out = answer({buffer, static_cast<std::size_t>(n)});
          ::sendto(fd_, out.data(), out.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
          continue;
        }
        const int one = ::accept(fd_, nullptr, nullptr);
        if (one < 0 || stop_) {
          if (one >= 0) ::close(one);
          return;
        }
        std::string request;
        while (request.find("\r\n\r\n") == std::string::npos) {
          const ssize_t n = ::read(one, buffer, sizeof buffer);
          if (n <= 0) break;
          request.append(buffer, static_cast<std::size_t>(n));
        }
        const std::string out = answer(request);
        (void)!::write(one, out.data(), out.size());
        ::close(one);
      }
    });
  }
  ~Server() {
    stop_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    // A datagram socket does not wake up by a shutdown everywhere: a last word does it.
    const int last = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::sendto(last, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::close(last);
    thread_.join();
    ::close(fd_);
  }
  std::string at() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

HttpRequest get(const std::string& url) {
  HttpRequest out;
  out.url = url;
  return out;
}

TEST(Http, ReadsStatusHeadersAndAChunkedBody) {
  std::string seen;
  const Server server([&](const std::string& request) {
    seen = request;
    return std::string(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  });
  HttpRequest request = get("http://" + server.at() + "/a?b=c#d");
  request.headers = {{"X-One", "1"}, {"Host", "example.test"}};
  request.user = "me";
  request.password = Secret("pw");
  const auto answer = request_http(request);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "abcde");
  EXPECT_EQ(answer->headers.front(), "Content-Type: text/plain");
  EXPECT_TRUE(seen.starts_with("GET /a?b=c HTTP/1.1\r\nHost: example.test\r\n")) << seen;
  EXPECT_NE(seen.find("X-One: 1\r\n"), std::string::npos);
  EXPECT_NE(seen.find("Authorization: Basic bWU6cHc=\r\n"), std::string::npos);
}

TEST(Http, FollowsRedirectionsUnlessToldNotTo) {
  const Server server([](const std::string& request) {
    if (request.starts_with("GET /there ")) return std::string("HTTP/1.1 204 No Content\r\n\r\n");
    return std::string("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
  });
  HttpRequest request = get("http://" + server.at() + "/");
  auto answer = request_http(request);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 204);
  request.follow_redirects = false;
  answer = request_http(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 302);
}

TEST(Http, SaysThatNobodyAnswers) {
  std::string closed;
  {
    const Server server([](const std::string&) { return std::string(); });
    closed = server.at();
    const auto empty = request_http(get("http://" + closed + "/"));
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code, Errc::refused);
  }
  const auto answer = request_http(get("http://" + closed + "/"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::refused) << answer.error().text();
}

TEST(Http, GivesUpAtItsDeadline) {
  std::atomic<bool> done{false};
  {
    const Server server([&](const std::string&) {
      while (!done) std::this_thread::yield();
      return std::string();
    });
    HttpRequest request = get("http://" + server.at() + "/");
    request.timeout = std::chrono::milliseconds(30);
    const auto answer = request_http(request);
    done = true;
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::timeout) << answer.error().text();
  }
}

TEST(Http, LeadsWhereALocationPoints) {
  EXPECT_EQ(follow_location("http://a/b/c?d", "e"), "http://a/b/e");
  EXPECT_EQ(follow_location("http://a", "e"), "http://a/e");
  EXPECT_EQ(follow_location("https://a/b", "/e"), "https://a/e");
  EXPECT_EQ(follow_location("https://a/b", "//c/e"), "https://c/e");
  EXPECT_EQ(follow_location("https://a/b", "http://c/e"), "http://c/e");
}

TEST(Dial, TellsAListenerFromNone) {
  DialRequest request;
  {
    const Server server([](const std::string&) { return std::string(); });
    request.address = server.at();
    const auto reached = dial_address(request);
    ASSERT_TRUE(reached) << reached.error().text();
    EXPECT_EQ(*reached, Reached::yes);
  }
  const auto reached = dial_address(request);
  ASSERT_TRUE(reached) << reached.error().text();
  EXPECT_EQ(*reached, Reached::no);
}

TEST(Dial, BelievesOfDatagramsOnlyAnAnswerOrARefusal) {
  DialRequest request;
  request.network = "udp";
  {
    const Server server([](const std::string&) { return std::string("x"); }, SOCK_DGRAM);
    request.address = server.at();
    const auto reached = dial_address(request);
    ASSERT_TRUE(reached) << reached.error().text();
    EXPECT_EQ(*reached, Reached::yes);
  }
  const auto refused = dial_address(request);
  ASSERT_TRUE(refused) << refused.error().text();
  EXPECT_EQ(*refused, Reached::no);
}

/// An answer to `request` with one record of `type`.
std::string answer_to(const std::string& request, int type, const std::string& data, int code = 0) {
  std::string out = request;
  out[2] = static_cast<char>(0x81);
  out[3] = static_cast<char>(0x80 | code);
  for (std::size_t i = 6; i < 12; ++i) out[i] = '\0';
  // Only the question of the request, without its additional section.
  std::size_t end = 12;
  while (out[end] != '\0') end += static_cast<unsigned char>(out[end]) + 1U;
  out.resize(end + 5);
  const int asked = static_cast<unsigned char>(out[end + 2]);
  if (code != 0 || asked != type) return out;
  out[7] = 1;
  out += std::string("\xC0\x0C\0", 3) + static_cast<char>(type) + std::string("\0\1\0\0\0\1\0", 7) +
         static_cast<char>(data.size()) + data;
  return out;
}

TEST(Dns, AsksAServerAndReadsWhatItSays) {
  const Server server(
      [](const std::string& request) { return answer_to(request, 15, std::string("\0\x0A\1b\xC0\x0C", 6)); },
      SOCK_DGRAM);
  DnsRequest request{"x.test", "MX", server.at(), std::chrono::milliseconds(500)};
  auto answer = query_dns(request);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->records, std::vector<std::string>{"10 b.x.test."});
  request.type = "A";
  answer = query_dns(request);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_TRUE(answer->records.empty());
}

TEST(Dns, AsksNobodyForAddressesAndForThisHostItself) {
  for (const char* host : {"127.0.0.1", "::1", "localhost", "a.localhost."}) {
    const auto found = resolve_host(host, 80, AF_UNSPEC, std::chrono::milliseconds(1));
    ASSERT_TRUE(found) << host << ": " << found.error().text();
    EXPECT_FALSE(found->empty()) << host;
  }
  const auto other_family = resolve_host("127.0.0.1", 80, AF_INET6, std::chrono::milliseconds(1));
  ASSERT_TRUE(other_family);
  EXPECT_TRUE(other_family->empty());
}

TEST(Dns, KnowsThatThereIsNoSuchName) {
  const Server server([](const std::string& request) { return answer_to(request, 1, "", 3); }, SOCK_DGRAM);
  const auto answer = query_dns({"x.test", "A", server.at(), std::chrono::milliseconds(500)});
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_TRUE(answer->records.empty());
}

TEST(Dns, DoesNotKnowWhenNobodyAnswers) {
  std::string closed;
  {
    const Server server([](const std::string&) { return std::string(); }, SOCK_DGRAM);
    closed = server.at();
  }
  const auto answer = query_dns({"x.test", "A", closed, std::chrono::milliseconds(20)});
  EXPECT_FALSE(answer);
}

TEST(Dns, RefusesAnAnswerThatLeadsInACircle) {
  std::string message("\0\1\x81\x80\0\0\0\1\0\0\0\0", 12);
  message += std::string("\xC0\x0C\0\1\0\1\0\0\0\0\0\0", 12);
  EXPECT_FALSE(records_of(message, 1));
  EXPECT_FALSE(records_of(std::string("\0\1", 2), 1));
}

}  // namespace
}  // namespace converge
