#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <map>
#include <thread>

#include "core/text.h"
#include "system/dns.h"
#include "system/http.h"
#include "system/network.h"
#include "system/posix_internal.h"
#include "system/posix_system.h"

namespace converge {
namespace {

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

/// Appends the listening TCP sockets of `family`. A kernel without the module, or a sandbox, does not answer.
Status ask_listeners(int family, std::vector<Listener>& out) {
  const auto cannot = [] { return Error{Errc::unsupported, "the kernel does not list sockets by sock_diag", {}, {}}; };
  const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return cannot();
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message = {};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = static_cast<std::uint8_t>(family);
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = 1U << 10U;  // TCP_LISTEN
  if (::send(fd.get(), &message, sizeof message, 0) != static_cast<ssize_t>(sizeof message)) return cannot();
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return cannot();
    auto left = static_cast<unsigned>(n);
    for (const auto* each = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(each, left);
         each = NLMSG_NEXT(each, left)) {
      if (each->nlmsg_type == NLMSG_DONE) return ok();
      if (each->nlmsg_type != SOCK_DIAG_BY_FAMILY || each->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
        return cannot();
      const auto* found = static_cast<const inet_diag_msg*>(NLMSG_DATA(each));
      std::array<char, INET6_ADDRSTRLEN> text = {};
      if (::inet_ntop(family, found->id.idiag_src, text.data(), text.size()) == nullptr) continue;
      out.push_back({family == AF_INET6, text.data(), ntohs(found->id.idiag_sport)});
    }
  }
}

}  // namespace

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

Result<std::vector<Listener>> PosixSystem::tcp_listeners() const {
  if (!live_) return not_live("listing listeners");
  std::vector<Listener> out;
  for (const int family : {AF_INET, AF_INET6})
    if (auto asked = ask_listeners(family, out); !asked) return std::move(asked).error();
  return out;
}

void PosixSystem::together(const std::vector<std::function<void()>>& jobs) const {
  // Requests only wait: as many as Goss has of them, unless fewer are wanted.
  const std::size_t at_once = at_once_wanted_ == 0 ? max_together : std::min(at_once_wanted_, max_together);
  if (jobs.size() < 2 || at_once < 2) return SystemView::together(jobs);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) jobs[i]();
  };
  std::vector<std::jthread> workers;
  for (std::size_t i = 1; i < std::min(jobs.size(), at_once); ++i) workers.emplace_back(work);
  work();
}

void PosixSystem::pause(std::chrono::milliseconds time) const { std::this_thread::sleep_for(time); }

Result<Reached> PosixSystem::dial(const DialRequest& request) const {
  if (!live_) return not_live("connecting");
  return dial_address(request);
}

Result<DnsAnswer> PosixSystem::ask_dns(const DnsRequest& request) const {
  if (!live_) return not_live("resolving a name");
  return query_dns(request);
}

Result<HttpAnswer> PosixSystem::http(const HttpRequest& request) const {
  if (!live_) return not_live("an HTTP request");
  return request_http(request);
}

}  // namespace converge
