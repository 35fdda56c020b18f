#include "system/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/text.h"

namespace converge {
namespace {

constexpr int tries = 3;

/// A c-ares channel; everything on it is done when run() returns.
class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  Status open(std::chrono::milliseconds timeout, const std::string& server) {
    ares_options options = {};
    options.timeout = static_cast<int>(std::clamp<long>(timeout.count(), 1, 600'000));
    options.tries = tries;
    if (const int failed = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES))
      return Error{Errc::io, fmt::format("the resolver cannot be used: {}", ares_strerror(failed)), {}, {}};
    if (server.empty()) return ok();
    // c-ares wants addresses; "[::1]:53" and "::1" are told apart by their brackets.
    std::string host = server;
    std::string port;
    const auto colon = server.rfind(':');
    if (colon != std::string::npos && (server.find(':') == colon || server[colon - 1] == ']')) {
      host = server.substr(0, colon);
      port = server.substr(colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    in6_addr probe = {};
    if (::inet_pton(AF_INET, host.c_str(), &probe) != 1 && ::inet_pton(AF_INET6, host.c_str(), &probe) != 1) {
      auto found = resolve_host(host, 53, AF_UNSPEC, timeout);
      if (!found) return std::move(found).error();
      if (found->empty())
        return Error{Errc::not_found, fmt::format("the server '{}' cannot be resolved", printable(host)), {}, {}};
      std::array<char, INET6_ADDRSTRLEN> text = {};
      const auto& first = found->front();
      const void* raw = first.family == AF_INET
                            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&first.address)->sin_addr)
                            : &reinterpret_cast<const sockaddr_in6*>(&first.address)->sin6_addr;
      host = ::inet_ntop(first.family, raw, text.data(), text.size());
    }
    const std::string list = (host.find(':') == std::string::npos ? host : "[" + host + "]") + port;
    if (const int failed = ares_set_servers_ports_csv(channel_, list.c_str()))
      return Error{Errc::invalid,
                   fmt::format("'{}' is no DNS server: {}", printable(server), ares_strerror(failed)),
                   {},
                   "write HOST or HOST:PORT"};
    return ok();
  }

  ares_channel get() const { return channel_; }

  void run() const {
    for (;;) {
      std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets = {};
      const int bits = ares_getsock(channel_, sockets.data(), static_cast<int>(sockets.size()));
      std::vector<pollfd> polled;
      for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
        short events = 0;
        if (ARES_GETSOCK_READABLE(bits, i)) events = POLLIN;
        if (ARES_GETSOCK_WRITABLE(bits, i)) events = static_cast<short>(events | POLLOUT);
        if (events != 0) polled.push_back({sockets[static_cast<std::size_t>(i)], events, 0});
      }
      if (polled.empty()) return;
      timeval longest{1, 0};
      timeval next = {};
      const timeval* wait = ares_timeout(channel_, &longest, &next);
      ::poll(polled.data(), polled.size(), static_cast<int>(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1));
      if (std::none_of(polled.begin(), polled.end(), [](const pollfd& p) { return p.revents != 0; })) {
        ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        continue;
      }
      for (const auto& each : polled) {
        const bool readable = (each.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
        const bool writable = (each.revents & (POLLOUT | POLLERR)) != 0;
        ares_process_fd(channel_, readable ? each.fd : ARES_SOCKET_BAD, writable ? each.fd : ARES_SOCKET_BAD);
      }
    }
  }

 private:
  ares_channel channel_ = nullptr;
};

/// Adds `host` if it is an address, or this host's own name for itself (RFC 6761), which no server need be asked for.
std::vector<Endpoint> known_already(const std::string& host, std::uint16_t port, int family) {
  std::vector<Endpoint> out;
  const std::string name = lower(host.ends_with('.') ? host.substr(0, host.size() - 1) : host);
  const bool local = name == "localhost" || name.ends_with(".localhost");
  sockaddr_in four = {};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 six = {};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  const auto add = [&](const auto& address, int its_family) {
    if (family != AF_UNSPEC && family != its_family) return;
    Endpoint endpoint;
    endpoint.family = its_family;
    endpoint.size = sizeof address;
    std::memcpy(&endpoint.address, &address, sizeof address);
    out.push_back(endpoint);
  };
  if (local || ::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) add(four, AF_INET);
  if (local || ::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) == 1) add(six, AF_INET6);
  return out;
}

bool is_known_already(const std::string& host) { return !known_already(host, 0, AF_UNSPEC).empty(); }

bool says_none(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME || status == ARES_EBADNAME;
}

Error failure(int status, const std::string& name) {
  return {status == ARES_ETIMEOUT ? Errc::timeout : Errc::io,
          fmt::format("cannot resolve '{}': {}", printable(name), ares_strerror(status)),
          {},
          {}};
}

struct TypeName {
  std::string_view name;
  std::uint16_t number;
};
constexpr TypeName types[] = {{"A", 1},    {"NS", 2},    {"CNAME", 5}, {"PTR", 12},   {"MX", 15},
                              {"TXT", 16}, {"AAAA", 28}, {"SRV", 33},  {"SSHFP", 44}, {"CAA", 257}};

/// Reads a DNS message, never past its end.
class Message {
 public:
  explicit Message(std::string_view bytes) : bytes_(bytes) {}
  bool good() const { return good_; }
  std::size_t at() const { return at_; }
  void seek(std::size_t at) { at_ = at; }

  unsigned byte() {
    if (at_ >= bytes_.size()) {
      good_ = false;
      return 0;
    }
    return static_cast<unsigned char>(bytes_[at_++]);
  }
  unsigned word() {
    const unsigned high = byte();
    return high * 256 + byte();
  }
  std::string text(std::size_t size) {
    if (size > bytes_.size() - std::min(at_, bytes_.size())) {
      good_ = false;
      return {};
    }
    at_ += size;
    return std::string(bytes_.substr(at_ - size, size));
  }
  /// A name with a final dot; pointers (RFC 1035, 4.1.4) lead backwards only.
  std::string name() {
    std::string out;
    std::optional<std::size_t> resume;
    std::size_t limit = at_;
    for (int labels = 0; good_ && labels < 128; ++labels) {
      const unsigned length = byte();
      if (length == 0) {
        if (resume) at_ = *resume;
        return out.empty() ? "." : out;
      }
      if (length >= 0xC0) {
        const std::size_t target = (length & 0x3FU) * 256 + byte();
        if (!resume) resume = at_;
        if (target >= limit) break;
        limit = at_ = target;
        continue;
      }
      if (length > 63) break;
      out += text(length) + ".";
    }
    good_ = false;
    return {};
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool good_ = true;
};

std::string hexadecimal(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string record_text(Message& message, std::uint16_t type, std::size_t end, std::vector<std::string>& more) {
  std::array<char, INET6_ADDRSTRLEN> address = {};
  switch (type) {
    case 1:
    case 28: {
      const std::string raw = message.text(type == 1 ? 4 : 16);
      if (!message.good()) return {};
      const char* text = ::inet_ntop(type == 1 ? AF_INET : AF_INET6, raw.data(), address.data(), address.size());
      return text == nullptr ? std::string() : text;
    }
    case 15: {
      const unsigned preference = message.word();
      return fmt::format("{} {}", preference, message.name());
    }
    case 33: {
      const unsigned priority = message.word(), weight = message.word(), port = message.word();
      return fmt::format("{} {} {} {}", priority, weight, port, message.name());
    }
    case 16: {
      // Every string of a record stands for itself, as Goss has it.
      std::string first;
      for (bool is_first = true; message.good() && message.at() < end; is_first = false) {
        std::string part = message.text(message.byte());
        if (is_first)
          first = std::move(part);
        else
          more.push_back(std::move(part));
      }
      return first;
    }
    case 44: {
      const unsigned algorithm = message.byte(), kind = message.byte();
      return fmt::format("{} {} {}", algorithm, kind, hexadecimal(message.text(end - std::min(end, message.at()))));
    }
    case 257: {
      const unsigned flag = message.byte();
      const std::string tag = message.text(message.byte());
      return fmt::format("{} {} {}", flag, tag, message.text(end - std::min(end, message.at())));
    }
    default:
      return message.name();
  }
}

}  // namespace

Result<std::vector<std::string>> records_of(std::string_view bytes, std::uint16_t type) {
  Message message(bytes);
  message.seek(4);
  const unsigned questions = message.word(), answers = message.word();
  message.seek(12);
  for (unsigned i = 0; i < questions && message.good(); ++i) {
    message.name();
    message.text(4);
  }
  std::vector<std::string> out;
  for (unsigned i = 0; i < answers && message.good(); ++i) {
    message.name();
    const unsigned found = message.word();
    message.text(6);  // class and time to live
    const unsigned length = message.word();
    const std::size_t end = message.at() + length;
    if (found == type) {
      std::string text = record_text(message, type, end, out);
      if (message.good()) out.push_back(std::move(text));
    }
    message.seek(end);
  }
  if (!message.good()) return Error{Errc::unparsable, "the answer of the DNS server is malformed", {}, {}};
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::vector<Endpoint>> resolve_host(const std::string& host, std::uint16_t port, int family,
                                           std::chrono::milliseconds timeout) {
  if (is_known_already(host)) return known_already(host, port, family);
  Channel channel;
  if (auto opened = channel.open(timeout, {}); !opened) return std::move(opened).error();
  struct Found {
    int status = ARES_ECANCELLED;
    std::vector<Endpoint> endpoints;
    std::uint16_t port = 0;
  } found;
  found.port = port;
  ares_addrinfo_hints hints = {};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(
      channel.get(), host.c_str(), nullptr, &hints,
      [](void* data, int status, int /*timeouts*/, ares_addrinfo* list) {
        auto* to = static_cast<Found*>(data);
        to->status = status;
        for (const ares_addrinfo_node* each = list == nullptr ? nullptr : list->nodes; each != nullptr;
             each = each->ai_next) {
          Endpoint endpoint;
          endpoint.family = each->ai_family;
          endpoint.size = each->ai_addrlen;
          if (endpoint.size > sizeof endpoint.address) continue;
          std::memcpy(&endpoint.address, each->ai_addr, endpoint.size);
          if (endpoint.family == AF_INET)
            reinterpret_cast<sockaddr_in*>(&endpoint.address)->sin_port = htons(to->port);
          else
            reinterpret_cast<sockaddr_in6*>(&endpoint.address)->sin6_port = htons(to->port);
          to->endpoints.push_back(endpoint);
        }
        if (list != nullptr) ares_freeaddrinfo(list);
      },
      &found);
  channel.run();
  if (found.status != ARES_SUCCESS && !says_none(found.status)) return failure(found.status, host);
  return std::move(found.endpoints);
}

Result<DnsAnswer> query_dns(const DnsRequest& request) {
  DnsAnswer answer;
  if (request.server.empty()) {
    auto found = resolve_host(request.name, 0, AF_UNSPEC, request.timeout);
    if (!found) return std::move(found).error();
    for (const Endpoint& each : *found) {
      std::array<char, INET6_ADDRSTRLEN> text = {};
      const void* raw = each.family == AF_INET
                            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&each.address)->sin_addr)
                            : &reinterpret_cast<const sockaddr_in6*>(&each.address)->sin6_addr;
      if (::inet_ntop(each.family, raw, text.data(), text.size()) != nullptr) answer.records.emplace_back(text.data());
    }
    std::sort(answer.records.begin(), answer.records.end());
    answer.records.erase(std::unique(answer.records.begin(), answer.records.end()), answer.records.end());
    return answer;
  }
  Channel channel;
  if (auto opened = channel.open(request.timeout, request.server); !opened) return std::move(opened).error();
  struct Asked {
    std::uint16_t type = 0;
    int status = ARES_ECANCELLED;
    std::string message;
  };
  std::vector<Asked> asked;
  for (const auto& [name, number] : types)
    if (request.type.empty() ? name == "A" || name == "AAAA" : name == request.type)
      asked.push_back({number, ARES_ECANCELLED, {}});
  if (asked.empty())
    return Error{Errc::invalid, fmt::format("'{}' is no type of record we know", printable(request.type)), {}, {}};
  std::string name = request.name;
  // A PTR is asked for by the address, as everybody writes it.
  in6_addr probe = {};
  if (request.type == "PTR" && ::inet_pton(AF_INET, name.c_str(), &probe) == 1) {
    const auto* b = reinterpret_cast<const unsigned char*>(&probe);
    name = fmt::format("{}.{}.{}.{}.in-addr.arpa", b[3], b[2], b[1], b[0]);
  }
  for (Asked& each : asked)
    ares_query(
        channel.get(), name.c_str(), 1, each.type,
        [](void* data, int status, int /*timeouts*/, unsigned char* bytes, int size) {
          auto* to = static_cast<Asked*>(data);
          to->status = status;
          if (bytes != nullptr)
            to->message.assign(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
        },
        &each);
  channel.run();
  for (const Asked& each : asked) {
    if (says_none(each.status)) continue;
    if (each.status != ARES_SUCCESS) return failure(each.status, request.name);
    auto records = records_of(each.message, each.type);
    if (!records) return std::move(records).error();
    answer.records.insert(answer.records.end(), records->begin(), records->end());
  }
  std::sort(answer.records.begin(), answer.records.end());
  return answer;
}

}  // namespace converge
