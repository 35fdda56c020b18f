#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "core/text.h"
#include "system/network.h"
#include "system/posix_internal.h"
#include "system/posix_system.h"

namespace converge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_together = 50;

/// "192.0.2.1/24"; empty for what is no IP address.
std::string cidr(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr) return {};
  const int family = entry.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return {};
  const auto bytes = [family](const sockaddr* address) {
    return family == AF_INET
               ? reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
               : reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  };
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (::inet_ntop(family, bytes(entry.ifa_addr), text.data(), text.size()) == nullptr) return {};
  int prefix = 0;
  const std::size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  if (entry.ifa_netmask != nullptr)
    for (std::size_t i = 0; i < size; ++i) prefix += std::popcount(bytes(entry.ifa_netmask)[i]);
  return fmt::format("{}/{}", text.data(), prefix);
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

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

Result<Addresses> addresses_of(const std::string& host, const std::string& port, int family, int type) {
  addrinfo hints = {};
  hints.ai_family = family;
  hints.ai_socktype = type;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &list);
  if (failed == 0) return Addresses(list);
  const bool no_such = failed == EAI_NONAME || failed == EAI_SERVICE;
  return Error{no_such ? Errc::not_found : Errc::io,
               fmt::format("cannot resolve '{}': {}", printable(host), ::gai_strerror(failed)),
               {},
               {}};
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

Result<Reached> PosixSystem::dial(const DialRequest& request) const {
  if (!live_) return not_live("connecting");
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
  auto addresses = addresses_of(target->first, target->second, family, type);
  if (!addresses && addresses.error().code == Errc::not_found) return Reached::no;
  if (!addresses) return std::move(addresses).error();
  Reached best = Reached::no;
  std::optional<Error> problem;
  for (const addrinfo* each = addresses->get(); each != nullptr; each = each->ai_next) {
    const Fd fd(::socket(each->ai_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
      if (errno != EAFNOSUPPORT) problem = os_error(errno, "make a socket");
      continue;
    }
    if (!request.local.empty()) {
      auto local = addresses_of(request.local, {}, each->ai_family, type);
      if (!local) {
        problem = std::move(local).error();
        continue;
      }
      if (::bind(fd.get(), (*local)->ai_addr, (*local)->ai_addrlen) != 0) {
        problem = os_error(errno, fmt::format("connect from '{}'", printable(request.local)));
        continue;
      }
    }
    const int failed = connect_by(fd.get(), each->ai_addr, each->ai_addrlen, deadline);
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

Result<std::vector<NetworkInterface>> PosixSystem::interfaces() const {
  if (!live_) return not_live("listing interfaces");
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return os_error(errno, "list the network interfaces");
  std::map<std::string, NetworkInterface> by_name;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    auto& entry = by_name[each->ifa_name];
    entry.name = each->ifa_name;
    if (auto address = cidr(*each); !address.empty()) entry.addresses.push_back(std::move(address));
  }
  ::freeifaddrs(list);
  std::vector<NetworkInterface> out;
  for (auto& [name, entry] : by_name) {
    std::sort(entry.addresses.begin(), entry.addresses.end());
    out.push_back(std::move(entry));
  }
  return out;
}

void PosixSystem::together(const std::vector<std::function<void()>>& jobs) const {
  if (jobs.size() < 2) return SystemView::together(jobs);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) jobs[i]();
  };
  std::vector<std::jthread> workers;
  for (std::size_t i = 1; i < std::min(jobs.size(), max_together); ++i) workers.emplace_back(work);
  work();
}

void PosixSystem::pause(std::chrono::milliseconds time) const { std::this_thread::sleep_for(time); }

Result<DnsAnswer> PosixSystem::ask_dns(const DnsRequest& request) const { return SystemView::ask_dns(request); }
Result<HttpAnswer> PosixSystem::http(const HttpRequest& request) const { return SystemView::http(request); }

}  // namespace converge
