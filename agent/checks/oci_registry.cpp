#include <fmt/format.h>

#include <algorithm>

#include "checks/challenge.h"
#include "checks/gjson.h"
#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"url", Kind::text, false, "", "http://HOST:PORT or https://HOST of the registry, when the key is a name"},
    {"repository", Kind::text, false, "", "the repository that token, image-tags and manifest are about: coulomb/app"},
    {"reference", Kind::text, false, "latest", "the tag or digest that manifest is about"},
    {"username", Kind::text, false, "", "whom to ask as; without it, as anybody"},
    {"password", Kind::text, false, "", "the password or access token; never shown, and sent to that host alone"},
    {"ca-file", Kind::text, false, "", "certificates to trust"},
    {"allow-insecure", Kind::boolean, false, "false", "accept any certificate"},
    {"resolve", Kind::text, false, "", "the address to connect to, whatever the name says"},
    {"timeout", Kind::integer, false, "5000", "milliseconds for each request"},
    {"serves", Kind::boolean, true, "", "whether /v2/ answers as a registry: 200, or 401 with a challenge", true},
    {"status", Kind::integer, true, "", "the status of /v2/"},
    {"realm", Kind::text, true, "",
     "where its challenge sends clients for a token: itself, none, or another place, as its URL"},
    {"token", Kind::boolean, true, "", "whether a token to pull from the repository can be had there"},
    {"image-tags", Kind::list, true, "", "the tags of the repository"},
    {"manifest", Kind::boolean, true, "", "whether the repository has the reference"},
};

constexpr int most_pages = 100;

bool same_origin(const Url& a, const Url& b) {
  return a.tls == b.tls && a.port == b.port && lower(a.host) == lower(b.host);
}

/// What clients do that are sent elsewhere, and who can mend it.
std::string who_mends(const std::string& realm, const Url& base) {
  return fmt::format(
      "clients go to {} for a token, which is not the registry at {}:{}; whoever runs it must make it name its own "
      "address (Gitea builds the realm from ROOT_URL): nothing on this host can",
      printable(without_password(realm)), printable(base.host), base.port);
}

/// For one look: what was asked is kept.
class Registry {
 public:
  Registry(const Asked& asked, Url base, const SystemView& view) : asked_(asked), base_(std::move(base)), view_(view) {}

  /// The answer of /v2/.
  const Result<HttpAnswer>& root() {
    if (!root_) root_.emplace(ask("GET", "/v2/", {}));
    return *root_;
  }

  /// The challenge that a client would take: bearer before basic. nullopt if there is none, or none that can be read.
  std::optional<Challenge> challenge() {
    const auto& answer = root();
    if (!answer || answer->status != 401) return std::nullopt;
    std::optional<Challenge> best;
    for (const auto& header : answer->headers) {
      constexpr std::string_view name = "Www-Authenticate: ";
      if (!header.starts_with(name)) continue;
      for (const Challenge& each :
           parse_challenges(std::string_view(header).substr(name.size())).value_or(std::vector<Challenge>()))
        if (each.scheme == "bearer" || (each.scheme == "basic" && !best)) best = each;
    }
    return best;
  }

  /// The realm of a bearer challenge; "" without one.
  std::string realm() {
    const auto found = challenge();
    if (!found || found->scheme != "bearer") return {};
    const auto value = found->values.find("realm");
    return value == found->values.end() ? std::string() : value->second;
  }

  bool realm_is_ours() {
    const auto url = parse_url(realm());
    return url && same_origin(*url, base_);
  }

  /// A token to pull; "" where none is asked for. Errc::refused: it cannot be had, and why.
  const Result<Secret>& token() {
    if (!token_) token_.emplace(fetch_token());
    return *token_;
  }

  /// Asks for something of the repository, with what the registry wants of us.
  Result<HttpAnswer> ask_as_wanted(const std::string& method, const std::string& path) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (!realm().empty()) {
      const auto& held = token();
      if (!held) return held.error();
      headers.emplace_back("Authorization", "Bearer " + held->reveal());
    }
    const bool basic = headers.empty() && challenge() && challenge()->scheme == "basic";
    for (const std::string_view type :
         {"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
          "application/vnd.docker.distribution.manifest.list.v2+json",
          "application/vnd.docker.distribution.manifest.v2+json"})
      if (method == "HEAD") headers.emplace_back("Accept", type);
    return ask(method, path, std::move(headers), basic);
  }

 private:
  HttpRequest request(const std::string& url) const {
    HttpRequest out;
    out.url = url;
    out.ca_file = asked_.text("ca-file");
    out.allow_insecure = asked_.boolean("allow-insecure");
    out.resolve = asked_.text("resolve");
    out.timeout = asked_.timeout();
    out.follow_redirects = false;  // what we send is for this host
    return out;
  }

  std::string origin() const {
    const std::string host = base_.host.find(':') == std::string::npos ? base_.host : "[" + base_.host + "]";
    return fmt::format("{}://{}:{}", base_.tls ? "https" : "http", host, base_.port);
  }

  Result<HttpAnswer> ask(const std::string& method, const std::string& path,
                         std::vector<std::pair<std::string, std::string>> headers, bool with_password = false) {
    HttpRequest out = request(origin() + path);
    out.method = method;
    out.headers = std::move(headers);
    if (with_password) add_password(out);
    return view_.http(out);
  }

  void add_password(HttpRequest& out) const {
    out.user = asked_.text("username");
    out.password = Secret(asked_.text("password"));
  }

  Result<Secret> fetch_token() {
    const std::string where = realm();
    if (where.empty()) return Secret();
    const auto url = parse_url(where);
    if (!url) return Error{Errc::refused, "the realm is no URL: " + printable(where), {}, {}};
    // What may not have our password need not be asked either: no client could be let in by it.
    if (lower(url->host) != lower(base_.host) || (base_.tls && !url->tls))
      return Error{Errc::refused,
                   fmt::format("'{}' is not asked: it is {}", printable(without_password(where)),
                               lower(url->host) != lower(base_.host) ? "another host" : "not encrypted"),
                   {},
                   {}};
    std::string target = where;
    const auto add = [&](std::string_view name, const std::string& value) {
      target += fmt::format("{}{}={}", target.find('?') == std::string::npos ? '?' : '&', name, escaped(value));
    };
    const auto found = challenge();
    if (const auto service = found->values.find("service"); service != found->values.end())
      add("service", service->second);
    if (const std::string repository = asked_.text("repository"); !repository.empty())
      add("scope", fmt::format("repository:{}:pull", repository));
    HttpRequest out = request(target);
    if (!asked_.text("username").empty()) add_password(out);
    auto answer = view_.http(out);
    if (!answer) return std::move(answer).error();
    if (answer->status != 200)
      return Error{
          Errc::refused, fmt::format("'{}' answers {}", printable(without_password(where)), answer->status), {}, {}};
    const auto body = Json::parse(answer->body);
    for (const std::string_view key : {"token", "access_token"})
      if (body)
        if (const auto value = body->get(key); value && *value && (*value)->string() != nullptr &&
                                               (*value)->string()->find_first_of("\r\n") == std::string::npos)
          return Secret(*(*value)->string());
    return Error{
        Errc::refused, fmt::format("'{}' answers without a token", printable(without_password(where))), {}, {}};
  }

  /// As in a query: RFC 3986.
  static std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         std::string_view("-._~:/").find(c) != std::string_view::npos;
      out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
  }

  const Asked& asked_;
  const Url base_;
  const SystemView& view_;
  std::optional<Result<HttpAnswer>> root_;
  std::optional<Result<Secret>> token_;
};

/// Being refused, or left to wait, is an answer about the service.
Actual of_error(const Error& error) {
  if (error.code == Errc::refused || error.code == Errc::timeout) return Nothing{error.message};
  return error;
}

Sight look_at_root(const std::string& name, Registry& registry, const Url& base) {
  const auto& answer = registry.root();
  if (!answer) return {name, of_error(answer.error())};
  if (name == "status") return {name, Value(std::int64_t{answer->status})};
  const auto challenge = registry.challenge();
  if (name == "serves") {
    if (answer->status == 200 || challenge) return {name, Value(true)};
    return {name, Value(false),
            answer->status == 401 ? "it answers 401 without a challenge that can be read"
                                  : fmt::format("/v2/ answers {}", answer->status)};
  }
  const std::string realm = registry.realm();
  if (realm.empty()) return {name, Value(std::string("none"))};
  if (registry.realm_is_ours()) return {name, Value(std::string("itself"))};
  return {name, Value(without_password(realm)), who_mends(realm, base)};
}

Sight tags_of(const Asked& asked, Registry& registry) {
  std::vector<std::string> tags;
  std::string path = fmt::format("/v2/{}/tags/list", asked.text("repository"));
  for (int page = 0; page < most_pages; ++page) {
    const auto answer = registry.ask_as_wanted("GET", path);
    if (!answer) return {"image-tags", of_error(answer.error())};
    if (answer->status != 200) return {"image-tags", Nothing{fmt::format("tags/list answers {}", answer->status)}};
    const auto body = Json::parse(answer->body);
    const auto list = body ? body->get("tags") : Result<std::optional<Value>>(std::optional<Value>());
    if (!body || !list || !*list) return {"image-tags", Nothing{"tags/list holds no tags"}};
    if ((*list)->list() != nullptr)
      for (const Value& each : *(*list)->list()) tags.push_back(each.text());
    // Link: </v2/x/tags/list?last=b>; rel="next"
    path.clear();
    for (const auto& header : answer->headers)
      if (const auto end = header.find('>'); header.starts_with("Link: </v2/") && end != std::string::npos &&
                                             header.find("next", end) != std::string::npos)
        path = header.substr(7, end - 7);
    if (path.empty()) {
      std::sort(tags.begin(), tags.end());
      return {"image-tags", list_value(tags)};
    }
  }
  return {"image-tags", Error{Errc::too_big, "there are too many tags", {}, {}}};
}

Sight look_at(const std::string& name, const Asked& asked, Registry& registry, const Url& base) {
  if (name == "image-tags") return tags_of(asked, registry);
  if (name == "manifest") {
    const auto answer = registry.ask_as_wanted(
        "HEAD", fmt::format("/v2/{}/manifests/{}", asked.text("repository"), asked.text("reference")));
    if (!answer) return {name, of_error(answer.error())};
    if (answer->status != 200 && answer->status != 404)
      return {name, Nothing{fmt::format("its manifest answers {}", answer->status)}};
    return {name, Value(answer->status == 200)};
  }
  if (name == "token") {
    if (!registry.root()) return {name, of_error(registry.root().error())};
    if (registry.realm().empty()) return {name, Value(true)};  // none is asked for
    const auto& token = registry.token();
    if (token) return {name, Value(true)};
    if (token.error().code == Errc::refused || token.error().code == Errc::timeout)
      return {name, Value(false), token.error().message};
    return {name, token.error()};
  }
  return look_at_root(name, registry, base);
}

Looked look(const Asked& asked, Context& /*context*/, const SystemView& view) {
  auto base = parse_url(asked.subject());
  if (!base) return all_unknown(asked, base.error());
  Registry registry(asked, *base, view);
  Looked out;
  for (const auto& name : asked.wanted()) out.push_back(look_at(name, asked, registry, *base));
  return out;
}

Status accept(const Asked& asked) {
  if (auto url = parse_url(asked.subject()); !url) return std::move(url).error();
  const std::string repository = asked.text("repository");
  for (const std::string_view name : {"image-tags", "manifest"})
    if (asked.wants(name) && repository.empty())
      return Error{Errc::invalid, fmt::format("'{}' is of a repository", name), {}, "say repository: NAME"};
  for (const std::string& part : {repository, asked.text("reference")})
    if (part.find_first_of(" \t\r\n?#%") != std::string::npos)
      return Error{
          Errc::invalid, fmt::format("'{}' is no name in a registry", printable(part)), {}, "write coulomb/app"};
  return ok();
}

}  // namespace

CheckType oci_registry_check() {
  CheckType type{"oci_registry", "OCIRegistry", "a registry of container images, asked as a node that pulls would",
                 "url", attributes};
  type.example =
      "oci_registry:\n"
      "  http://192.0.2.7:32166:\n"
      "    serves: true\n"
      "    realm: itself\n"
      "    token: true\n"
      "    repository: coulomb/inter-hub\n"
      "    image-tags: [3f2c1e9]\n";
  type.first_decides = true;
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
