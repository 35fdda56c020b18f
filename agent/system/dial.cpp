#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "core/text.h"
#include "system/dns.h"
#include "system/os.h"

namespace converge {
namespace {

using Clock = std::chrono::steady_clock;

/// "host:port" or "[address]:port"; nullopt if it is neither.
std::optional<std::pair<std::string, std::string>> host_and_port(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    return std::nullopt;
  return std::pair(host.empty() ? std::string("localhost") : host, text.substr(colon + 1));
}

/// Milliseconds until `deadline`, for poll(2).
int until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long>(left, 0, 3'600'000));
}

/// 0 when connected, an errno otherwise.
int connect_by(int fd, const sockaddr* address, socklen_t size, Clock::time_point deadline) {
  if (::connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS && errno != EAGAIN) return errno;
  pollfd polled{fd, POLLOUT, 0};
  int ready = 0;
  do ready = ::poll(&polled, 1, until(deadline));
  while (ready < 0 && errno == EINTR);
  if (ready == 0) return ETIMEDOUT;
  int failed = 0;
  socklen_t length = sizeof failed;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length);
  return failed;
}

/// Sends one empty datagram and waits for what comes back: an answer, a refusal by ICMP, or nothing.
Reached knock(int fd, Clock::time_point deadline) {
  if (::send(fd, "", 0, MSG_NOSIGNAL) < 0) return Reached::no;
  pollfd polled{fd, POLLIN, 0};
  int ready = 0;
  do ready = ::poll(&polled, 1, until(deadline));
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) return Reached::unanswered;
  char answer = 0;
  if (::recv(fd, &answer, 1, MSG_DONTWAIT) >= 0) return Reached::yes;
  return errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH ? Reached::no : Reached::unanswered;
}

/// Errors that are an answer ("nothing listens there"), as opposed to our own inability.
bool says_no(int error_number) {
  switch (error_number) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case ECONNRESET:
    case EHOSTDOWN:
    case ENOENT:
    case ENOTSOCK:
    case EPROTOTYPE:
      return true;
    default:
      return false;
  }
}

Result<Reached> dial_unix(const DialRequest& request, Clock::time_point deadline) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (request.address.size() >= sizeof address.sun_path)
    return Error{Errc::invalid, "the path of the socket is too long", {}, {}};
  std::memcpy(address.sun_path, request.address.data(), request.address.size());
  int failed = 0;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const Fd fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return os_error(errno, "make a socket");
    failed = connect_by(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
    if (failed == 0) return Reached::yes;
    if (failed != EPROTOTYPE || request.network != "unix") break;
  }
  if (says_no(failed)) return Reached::no;
  return os_error(failed, fmt::format("connect to '{}'", printable(request.address)));
}

}  // namespace

Result<Reached> dial_address(const DialRequest& request) {
  const auto deadline = Clock::now() + request.timeout;
  const std::string& network = request.network;
  if (network.starts_with("unix")) return dial_unix(request, deadline);
  const bool udp = network.starts_with("udp");
  if (!udp && !network.starts_with("tcp"))
    return Error{Errc::invalid,
                 fmt::format("unknown network '{}'", printable(network)),
                 {},
                 "write tcp, tcp4, tcp6, udp, udp4, udp6 or unix"};
  const int family = network.ends_with('4') ? AF_INET : network.ends_with('6') ? AF_INET6 : AF_UNSPEC;
  const int type = udp ? SOCK_DGRAM : SOCK_STREAM;
  const auto target = host_and_port(request.address);
  if (!target) {
    return Error{Errc::invalid, fmt::format("'{}' has no port", printable(request.address)), {}, "write HOST:PORT"};
  }
  std::uint64_t port = 0;
  if (!parse_number(target->second, port) || port > 65535)
    return Error{Errc::invalid, fmt::format("'{}' is no port", printable(target->second)), {}, "write HOST:PORT"};
  const auto third = std::max(request.timeout / 3, std::chrono::milliseconds(1));
  auto addresses = resolve_host(target->first, static_cast<std::uint16_t>(port), family, third);
  if (!addresses) return std::move(addresses).error();
  Reached best = Reached::no;
  std::optional<Error> problem;
  for (const Endpoint& each : *addresses) {
    const Fd fd(::socket(each.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
      if (errno != EAFNOSUPPORT) problem = os_error(errno, "make a socket");
      continue;
    }
    if (!request.local.empty()) {
      auto local = resolve_host(request.local, 0, each.family, third);
      if (!local || local->empty()) continue;
      const Endpoint& from = local->front();
      if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from.address), from.size) != 0) {
        problem = os_error(errno, fmt::format("connect from '{}'", printable(request.local)));
        continue;
      }
    }
    const int failed = connect_by(fd.get(), reinterpret_cast<const sockaddr*>(&each.address), each.size, deadline);
    if (failed != 0) {
      if (!says_no(failed)) problem = os_error(failed, fmt::format("connect to '{}'", printable(request.address)));
      continue;
    }
    const Reached now = udp ? knock(fd.get(), deadline) : Reached::yes;
    if (now == Reached::yes) return now;
    if (now == Reached::unanswered) best = now;
  }
  if (best == Reached::no && problem) return *problem;
  return best;
}

}  // namespace converge
