#include "system/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "core/text.h"
#include "system/dns.h"

namespace converge {
namespace {

constexpr std::array<const char*, 4> certificate_files = {"/etc/ssl/certs/ca-certificates.crt",
                                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                                          "/etc/ssl/cert.pem"};

Error too_late() { return {Errc::timeout, "no answer in time", {}, {}}; }

std::string tls_problem() {
  const unsigned long code = ERR_get_error();
  std::array<char, 256> text = {};
  ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text.data();
}

/// Waits until `fd` is ready; false at the deadline.
bool wait_for(int fd, short events, Connection::Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Connection::Clock::now()).count();
    if (left <= 0) return false;
    pollfd polled{fd, events, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::min<long>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

/// Seconds since the epoch; 0 for what is no time.
std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts = {};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0;
}

std::string text_of(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(std::max(size, 0L))};
}

/// The names and addresses a certificate is for, sorted.
std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> out;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      std::array<char, INET6_ADDRSTRLEN> text = {};
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      if (family == AF_INET6 && ASN1_STRING_length(name->d.iPAddress) != 16) continue;
      if (::inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text.data(), text.size()) != nullptr)
        out.emplace_back(text.data());
    }
  }
  GENERAL_NAMES_free(names);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Error no_answer(std::string why) { return {Errc::refused, "no answer: " + std::move(why), {}, {}}; }

void Connection::FreeTls::operator()(ssl_st* tls) const { SSL_free(tls); }
void Connection::FreeTls::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Status Connection::open(const std::string& host, std::uint16_t port) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
  auto endpoints = resolve_host(host, port, AF_UNSPEC, std::max(left / 3, std::chrono::milliseconds(1)));
  if (!endpoints) return std::move(endpoints).error();
  if (endpoints->empty()) return no_answer(fmt::format("'{}' cannot be resolved", printable(host)));
  int failed = ECONNREFUSED;
  for (const Endpoint& each : *endpoints) {
    fd_ = Fd(::socket(each.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) {
      failed = errno;
      continue;
    }
    failed = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&each.address), each.size) == 0 ? 0 : errno;
    if (failed == EINPROGRESS) {
      if (!wait_for(fd_.get(), POLLOUT, deadline_)) return too_late();
      socklen_t size = sizeof failed;
      ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &failed, &size);
    }
    if (failed == 0) return ok();
  }
  const Error error = os_error(failed, fmt::format("connect to '{}:{}'", printable(host), port));
  return error.code == Errc::io || failed == ECONNREFUSED ? no_answer(error.message) : error;
}

Status Connection::secure(const std::string& host, const HttpRequest& request) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!context_) return Error{Errc::io, "TLS cannot be used: " + tls_problem(), {}, {}};
  SSL_CTX* context = context_.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (!request.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context, request.ca_file.c_str(), nullptr) != 1)
      return Error{
          Errc::invalid, fmt::format("no certificates in '{}': {}", printable(request.ca_file), tls_problem()), {}, {}};
  } else {
    SSL_CTX_set_default_verify_paths(context);
    for (const char* file : certificate_files)
      if (SSL_CTX_load_verify_locations(context, file, nullptr) == 1) break;
    ERR_clear_error();
  }
  if (!request.cert_file.empty()) {
    const std::string& key = request.key_file.empty() ? request.cert_file : request.key_file;
    if (SSL_CTX_use_certificate_chain_file(context, request.cert_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
      return Error{Errc::invalid,
                   fmt::format("the certificate '{}' or its key cannot be used: {}", printable(request.cert_file),
                               tls_problem()),
                   {},
                   {}};
  }
  SSL_CTX_set_verify(context, request.allow_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  tls_.reset(SSL_new(context));
  if (!tls_) return Error{Errc::io, "TLS cannot be used: " + tls_problem(), {}, {}};
  in6_addr probe = {};
  const bool is_address =
      ::inet_pton(AF_INET, host.c_str(), &probe) == 1 || ::inet_pton(AF_INET6, host.c_str(), &probe) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), host.c_str());
  } else {
    SSL_set_tlsext_host_name(tls_.get(), host.c_str());
    SSL_set1_host(tls_.get(), host.c_str());
  }
  SSL_set_fd(tls_.get(), fd_.get());
  for (;;) {
    const int done = SSL_connect(tls_.get());
    if (done == 1) return ok();
    if (auto ready = wait_for_tls(done); !ready) {
      const long verified = SSL_get_verify_result(tls_.get());
      if (verified != X509_V_OK && !request.allow_insecure)
        return no_answer(fmt::format("the certificate is not trusted: {}", X509_verify_cert_error_string(verified)));
      return std::move(ready).error();
    }
  }
}

Status Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (tls_) {
      const int n = SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 16384)));
      if (n > 0)
        bytes.remove_prefix(static_cast<std::size_t>(n));
      else if (auto ready = wait_for_tls(n); !ready)
        return ready;
      continue;
    }
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR)
      return no_answer(os_error(errno, "send").message);
    else if (!wait_for(fd_.get(), POLLOUT, deadline_))
      return too_late();
  }
  return ok();
}

Result<std::size_t> Connection::receive(char* buffer, std::size_t size) {
  for (;;) {
    if (tls_) {
      const int n = SSL_read(tls_.get(), buffer, static_cast<int>(size));
      if (n > 0) return static_cast<std::size_t>(n);
      if (SSL_get_error(tls_.get(), n) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
      if (auto ready = wait_for_tls(n); !ready) return std::move(ready).error();
      continue;
    }
    const ssize_t n = ::recv(fd_.get(), buffer, size, 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN && errno != EINTR) return no_answer(os_error(errno, "receive").message);
    if (!wait_for(fd_.get(), POLLIN, deadline_)) return too_late();
  }
}

Status Connection::wait_for_tls(int result) {
  const int why = SSL_get_error(tls_.get(), result);
  if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return no_answer("TLS: " + tls_problem());
  return wait_for(fd_.get(), why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_) ? ok() : Status(too_late());
}

std::optional<Certificate> Connection::certificate() const {
  if (!tls_) return std::nullopt;
  const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(tls_.get()), X509_free);
  if (!shown) return std::nullopt;
  Certificate out;
  const long verified = SSL_get_verify_result(tls_.get());
  out.trusted = verified == X509_V_OK;
  if (!out.trusted) out.problem = X509_verify_cert_error_string(verified);
  out.names = names_of(shown.get());
  out.subject = text_of(X509_get_subject_name(shown.get()));
  out.issuer = text_of(X509_get_issuer_name(shown.get()));
  out.not_before = Timestamp{seconds_of(X509_get0_notBefore(shown.get())) * 1'000'000};
  out.not_after = Timestamp{seconds_of(X509_get0_notAfter(shown.get())) * 1'000'000};
  out.protocol = SSL_get_version(tls_.get());
  return out;
}

}  // namespace converge
