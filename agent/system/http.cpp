#include "system/http.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <optional>

#include "core/digest.h"
#include "core/text.h"
#include "system/connection.h"

namespace converge {
namespace {

namespace http = boost::beast::http;
using Clock = Connection::Clock;

constexpr int most_redirects = 10;
constexpr std::size_t longest_body = std::size_t{4} << 20U;

using Parser = http::response_parser<http::string_body>;

/// Reads one message; whether its body was longer than we keep.
Result<bool> read_message(Connection& connection, Parser& parser, bool header_only) {
  parser.header_limit(256 * 1024);
  parser.body_limit(longest_body);
  parser.eager(!header_only);
  if (header_only) parser.skip(true);
  std::string pending;
  std::array<char, 16384> buffer;
  for (;;) {
    auto got = connection.receive(buffer.data(), buffer.size());
    if (!got) return std::move(got).error();
    boost::beast::error_code failed;
    if (*got == 0) {
      if (!parser.got_some()) return no_answer("the connection was closed");
      parser.put_eof(failed);
      if (failed) return no_answer("the answer ends too early");
      return false;
    }
    pending.append(buffer.data(), *got);
    while (!pending.empty()) {
      const std::size_t used = parser.put(boost::asio::const_buffer(pending.data(), pending.size()), failed);
      pending.erase(0, used);
      if (failed == http::error::need_more) break;
      if (failed == http::error::body_limit) return true;
      if (failed) return no_answer(fmt::format("what came is no HTTP ({})", failed.message()));
      if (parser.is_done()) return false;
    }
    if (parser.is_done()) return false;
  }
}

/// "content-type" as "Content-Type", as Go writes names.
std::string canonical(std::string_view name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    out += static_cast<char>(start ? std::toupper(letter) : std::tolower(letter));
    start = c == '-';
  }
  return out;
}

/// Unpacks gzip, up to the longest body; nullopt if it is damaged.
std::optional<std::string> unpacked(const std::string& packed, bool& cut) {
  z_stream stream = {};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  std::array<char, 16384> buffer;
  int state = Z_OK;
  while (state == Z_OK && out.size() <= longest_body) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer.data(), buffer.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (out.size() > longest_body) cut = true;
  return state == Z_STREAM_END || cut ? std::optional(std::move(out)) : std::nullopt;
}

std::string authority(const Url& url) {
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  return url.port == (url.tls ? 443 : 80) ? host : fmt::format("{}:{}", host, url.port);
}

std::string basic(const std::string& user, const std::string& password) {
  return "Basic " + base64(user + ":" + password);
}

struct Exchange {
  HttpAnswer answer;
  std::string location;
};

Result<Exchange> exchange(const HttpRequest& request, const Url& url, const std::string& method, bool with_body,
                          bool with_credentials, Clock::time_point deadline) {
  Connection connection(deadline);
  std::optional<Url> proxy;
  if (!request.proxy.empty()) {
    auto parsed = parse_url(request.proxy.find("://") == std::string::npos ? "http://" + request.proxy : request.proxy);
    if (!parsed) return std::move(parsed).error().during("reading the proxy");
    proxy = *std::move(parsed);
  }
  const std::string& direct = request.resolve.empty() ? url.host : request.resolve;
  if (auto opened = connection.open(proxy ? proxy->host : direct, proxy ? proxy->port : url.port); !opened)
    return std::move(opened).error();
  const std::string proxy_credentials =
      proxy && !proxy->user.empty() ? "Proxy-Authorization: " + basic(proxy->user, proxy->password) + "\r\n" : "";
  if (proxy && url.tls) {
    const std::string target = fmt::format("{}:{}", url.host, url.port);
    if (auto sent =
            connection.send(fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n{1}\r\n", target, proxy_credentials));
        !sent)
      return std::move(sent).error();
    Parser tunnel;
    auto read = read_message(connection, tunnel, true);
    if (!read) return std::move(read).error();
    if (tunnel.get().result_int() != 200)
      return no_answer(fmt::format("the proxy answers {}", tunnel.get().result_int()));
  }
  if (url.tls)
    if (auto secured = connection.secure(url.host, request); !secured) return std::move(secured).error();
  Exchange out;
  if (url.tls) out.answer.certificate = connection.certificate();
  if (request.handshake_only) {
    if (!url.tls) return Error{Errc::invalid, "there is no certificate without https://", {}, {}};
    return out;
  }

  std::string host = authority(url), headers;
  bool own_agent = false, own_encoding = false;
  for (const auto& [name, value] : request.headers) {
    const std::string known = canonical(name);
    if (known == "Host") {
      host = value;
      continue;
    }
    own_agent = own_agent || known == "User-Agent";
    own_encoding = own_encoding || known == "Accept-Encoding";
    headers += fmt::format("{}: {}\r\n", name, value);
  }
  const std::string user = !request.user.empty() ? request.user : url.user;
  const std::string& password = !request.user.empty() ? request.password.reveal() : url.password;
  if (with_credentials && !user.empty()) headers += fmt::format("Authorization: {}\r\n", basic(user, password));
  if (!own_agent) headers += "User-Agent: converge/" CONVERGE_VERSION "\r\n";
  if (!own_encoding) headers += "Accept-Encoding: gzip\r\n";
  if (with_body && !request.body.empty()) headers += fmt::format("Content-Length: {}\r\n", request.body.size());
  if (proxy && !url.tls) headers += proxy_credentials;
  const std::string target = proxy && !url.tls ? fmt::format("http://{}{}", authority(url), url.path) : url.path;
  if (auto sent = connection.send(fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}Connection: close\r\n\r\n{}", method,
                                              target, host, headers, with_body ? request.body : std::string()));
      !sent)
    return std::move(sent).error();

  Parser parser;
  const auto read = read_message(connection, parser, method == "HEAD");
  if (!read) return read.error();
  out.answer.cut = *read;
  out.answer.status = static_cast<int>(parser.get().result_int());
  bool packed = false;
  for (const auto& field : parser.get()) {
    const std::string name = canonical({field.name_string().data(), field.name_string().size()});
    const std::string value(field.value().data(), field.value().size());
    if (name == "Location") out.location = value;
    if (name == "Content-Encoding" && !own_encoding && lower(value) == "gzip") {
      packed = true;
      continue;
    }
    out.answer.headers.push_back(name + ": " + value);
  }
  std::sort(out.answer.headers.begin(), out.answer.headers.end());
  out.answer.body = parser.get().body();
  if (packed && !out.answer.body.empty()) {
    auto plain = unpacked(out.answer.body, out.answer.cut);
    if (!plain) return no_answer("the gzip of the body is damaged");
    out.answer.body = *std::move(plain);
    std::erase_if(out.answer.headers, [](const std::string& line) { return line.starts_with("Content-Length: "); });
  }
  return out;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error{Errc::invalid,
                 fmt::format("'{}' is no URL: {}", printable(without_password(text)), why),
                 {},
                 "write http://HOST:PORT/PATH"};
  };
  Url out;
  std::string_view rest = text;
  if (lower(text.substr(0, 8)) == "https://") {
    out.tls = true;
    out.port = 443;
    rest.remove_prefix(8);
  } else if (lower(text.substr(0, 7)) == "http://") {
    rest.remove_prefix(7);
  } else {
    return wrong("it begins with neither http:// nor https://");
  }
  for (const char c : rest)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) return wrong("it holds a blank or a control character");
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view place = rest.substr(0, end);
  out.path = std::string(rest.substr(end, rest.find('#') - std::min(end, rest.find('#'))));
  if (!out.path.starts_with('/')) out.path = "/" + out.path;
  if (const auto at = place.rfind('@'); at != std::string_view::npos) {
    const auto who = place.substr(0, at);
    const auto colon = std::min(who.find(':'), who.size());
    out.user = std::string(who.substr(0, colon));
    if (colon < who.size()) out.password = std::string(who.substr(colon + 1));
    place.remove_prefix(at + 1);
  }
  std::string_view port;
  if (place.starts_with('[')) {
    const auto close = place.find(']');
    if (close == std::string_view::npos) return wrong("a ']' is missing");
    out.host = std::string(place.substr(1, close - 1));
    port = place.substr(close + 1);
  } else {
    const auto colon = std::min(place.find(':'), place.size());
    out.host = std::string(place.substr(0, colon));
    port = place.substr(colon);
  }
  if (out.host.empty()) return wrong("the host is missing");
  std::uint64_t number = 0;
  if (!port.empty()) {
    if (!port.starts_with(':') || !parse_number(port.substr(1), number) || number == 0 || number > 65535)
      return wrong("its port is no number up to 65535");
    out.port = static_cast<std::uint16_t>(number);
  }
  return out;
}

std::string follow_location(const std::string& base, const std::string& location) {
  if (location.find("://") != std::string::npos) return location;
  const auto scheme = base.find("://") + 3;
  if (location.starts_with("//")) return base.substr(0, scheme - 2) + location;
  const auto path = std::min(base.find_first_of("/?#", scheme), base.size());
  if (location.starts_with('/')) return base.substr(0, path) + location;
  const std::string whole = base.substr(0, std::min(base.find_first_of("?#", scheme), base.size()));
  const auto slash = whole.rfind('/');
  return (slash == std::string::npos || slash < path ? whole + "/" : whole.substr(0, slash + 1)) + location;
}

Result<HttpAnswer> request_http(const HttpRequest& request) {
  const auto deadline = Clock::now() + request.timeout;
  std::string at = request.url, method = request.method, first_host;
  bool with_body = true;
  for (int redirects = 0; redirects <= most_redirects; ++redirects) {
    auto url = parse_url(at);
    if (!url) return std::move(url).error();
    if (redirects == 0) first_host = url->host;
    // A password is for the host it was given for.
    auto done = exchange(request, *url, method, with_body, url->host == first_host, deadline);
    if (!done) return std::move(done).error();
    const int status = done->answer.status;
    const bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!moved || !request.follow_redirects || done->location.empty()) return std::move(done->answer);
    if (status != 307 && status != 308 && method != "HEAD" && method != "GET") {
      method = "GET";
      with_body = false;
    }
    at = follow_location(at, done->location);
  }
  return Error{Errc::refused, fmt::format("no answer: more than {} redirections", most_redirects), {}, {}};
}

}  // namespace converge
