#include "cli/fleet_site.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "cli/fleet_page.h"
#include "cli/history_json.h"
#include "core/digest.h"
#include "core/text.h"

namespace converge::cli {
namespace {

using history::History;
using history::Range;
using web::Request;
using web::Response;

constexpr std::string_view cookie_name = "converge";
constexpr std::size_t shortest_token = 16, most_rows = 1000, most_looks = 10'000;

/// In a time that does not tell how much of it is the same.
bool same(const std::string& shown, const Secret& wanted) {
  const std::string a = sha256(shown), b = sha256(wanted.reveal());
  unsigned differ = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    differ |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return differ == 0;
}

Response said(int status, std::string text) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .headers = {}, .body = std::move(text) + "\n"};
}
Response json(const Json& value, int status = 200) {
  return {.status = status, .content_type = "application/json", .headers = {}, .body = json_text(value) + "\n"};
}
Response refused(const Error& error) {
  const int status = error.code == Errc::not_found ? 404
                     : error.code == Errc::invalid ? 400
                     : error.code == Errc::timeout ? 503
                                                   : 500;
  return json({{"error", error.text()}, {"hint", error.hint.empty() ? Json(nullptr) : Json(error.hint)}}, status);
}

/// What a request asks for in its query; the first thing that is wrong with it is an Error.
class Parameters {
 public:
  Parameters(const Request& request, Timestamp now, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : request.query) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        std::string names;
        for (const std::string_view each : known) names += (names.empty() ? "" : ", ") + std::string(each);
        wrong(fmt::format("unknown parameter '{}'", printable(name)), names.empty() ? "" : "say one of " + names);
      } else if (name == "host") {
        range.host = value;
      } else if (name == "item") {
        range.item = value;
      } else if (name == "since") {
        const auto span = parse_span(value);
        if (span)
          range.from = Timestamp{now.micros - *span * 1'000'000};
        else
          wrong(span.error().message, span.error().hint);
      } else if (name == "limit") {
        std::uint64_t limit = 0;
        if (!parse_number(value, limit) || limit == 0 || limit > most_rows)
          wrong(fmt::format("'limit' is no number from 1 to {}", most_rows), "");
        range.limit = limit;
      } else if (name == "before") {
        std::int64_t before = 0;
        if (!parse_number(value, before)) wrong("'before' is no number", "say what 'next' of the answer before was");
        range.before = before;
      } else if (name == "state") {
        if (value != "open" && value != "ended") wrong("'state' is neither 'open' nor 'ended'", "");
        range.open = value == "open";
      }
    }
  }
  const std::optional<Error>& error() const { return error_; }
  Range range{.limit = 100};

 private:
  void wrong(std::string message, std::string hint) {
    if (!error_) error_ = Error{Errc::invalid, std::move(message), {}, std::move(hint)};
  }
  std::optional<Error> error_;
};

/// A list, and what to say as 'before' for what comes after it.
template <class T, class Convert, class Id>
Response listed(const char* name, const std::vector<T>& rows, std::size_t limit, const Convert& convert, const Id& id) {
  Json all = Json::array();
  for (const T& row : rows) all.push_back(convert(row));
  return json({{name, std::move(all)}, {"next", rows.size() == limit ? Json(id(rows.back())) : Json(nullptr)}});
}

Json with_host(const Finding& finding) {
  Json out{{"finding", finding.id}, {"host", finding.host}};
  out.update(converge::to_json(finding));
  return out;
}

Json items_of(const std::vector<history::ItemState>& items, const std::string& host) {
  Json out = Json::array();
  for (const auto& each : items)
    if (each.host == host)
      out.push_back({{"item", each.item},
                     {"resources", each.resources},
                     {"out_of_sync", each.out},
                     {"unknown", each.unknown},
                     {"looked", each.looked.micros}});
  return out;
}

Response hosts(const History& history) {
  const auto latest = history.latest();
  if (!latest) return refused(latest.error());
  const auto items = history.items();
  if (!items) return refused(items.error());
  std::map<std::string, std::vector<history::ItemState>> of;
  for (const auto& each : *items) of[each.host].push_back(each);
  Json out = Json::array();
  for (const auto& point : *latest) {
    out.push_back(to_json(point));
    out.back()["items"] = items_of(of[point.host], point.host);
  }
  return json({{"hosts", std::move(out)}});
}

Response host(const History& history, const std::string& name, Range range) {
  range.host = name;
  range.limit = most_looks;
  const auto points = history.points(range);
  if (!points) return refused(points.error());
  const auto newest = points->empty() ? history.points({.host = name, .limit = 1}) : points;
  if (!newest) return refused(newest.error());
  if (newest->empty())
    return refused(Error{Errc::not_found, fmt::format("no host '{}' is remembered", printable(name)), {}, {}});
  const auto items = history.items(name);
  if (!items) return refused(items.error());
  const auto open = history.open_findings(name);
  if (!open) return refused(open.error());
  const auto record = history.host_of(newest->front().run, name);
  if (!record) return refused(record.error());
  Json out = to_json(newest->front());
  out["error"] = *record && !(*record)->error.empty() ? Json((*record)->error) : Json(nullptr);
  out["items"] = items_of(*items, name);
  out["findings"] = Json::array();
  for (const Finding& each : *open) out["findings"].push_back(with_host(each));
  out["looks"] = Json::array();
  for (const auto& each : *points)
    out["looks"].push_back({{"run", each.run},
                            {"verb", name_of(each.verb)},
                            {"status", each.status},
                            {"ended", each.ended.micros},
                            {"micros", each.took.count()},
                            {"counts", converge::to_json(each.tally)}});
  return json(out);
}

Response run(const History& history, const std::string& name) {
  const auto found = history.run(name);
  if (!found) return refused(found.error());
  const auto records = history.hosts_of(found->id);
  if (!records) return refused(records.error());
  Json out = to_json(*found);
  out["looks"] = Json::array();
  for (const auto& each : *records) out["looks"].push_back(to_json(each));
  return json(out);
}

/// The data of the page. The same words are not sent twice: ETag.
Response page_data(const FleetSite& site, const History& history, const Request& request, const Range& range) {
  const auto state = history.state();
  if (!state) return refused(state.error());
  const std::string* since = request.parameter("since");
  const std::string tag =
      "\"" + sha256_hex(*state + "\n" + (since == nullptr ? "" : *since) + "\n" + CONVERGE_VERSION).substr(0, 16) +
      "\"";
  Response out;
  if (request.header("if-none-match") == tag) {
    out.status = 304;
  } else {
    const Timestamp now = site.now();
    const Timestamp month{now.micros - 30 * 86'400'000'000};
    const auto fleet =
        page_fleet(history, {.now = now, .since = range.from.value_or(month), .stale = site.stale, .wanted = {}});
    if (!fleet) return refused(fleet.error());
    out = json(converge::to_json(*fleet));
  }
  out.headers.emplace_back("ETag", tag);
  return out;
}

/// A value of a label of Prometheus'.
std::string label(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Response metrics(const History& history) {
  const auto latest = history.latest();
  if (!latest) return refused(latest.error());
  const auto open = history.open_findings();
  if (!open) return refused(open.error());
  const auto runs = history.runs({.limit = 20});
  if (!runs) return refused(runs.error());
  fmt::memory_buffer out;
  const auto put = [&]<class... T>(fmt::format_string<T...> text, T&&... values) {
    fmt::format_to(std::back_inserter(out), text, std::forward<T>(values)...);
  };
  const auto head = [&](const char* name, const char* help) { put("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help); };
  const auto seconds = [](std::int64_t micros) { return fmt::format("{:.6f}", static_cast<double>(micros) / 1e6); };
  head("converge_host_resources", "Resources of the newest look, by what became of them.");
  for (const auto& each : *latest)
    for (const Outcome outcome : {Outcome::in_sync, Outcome::skipped, Outcome::changed, Outcome::out_of_sync,
                                  Outcome::blocked, Outcome::unknown, Outcome::failed})
      put("converge_host_resources{{host=\"{}\",outcome=\"{}\"}} {}\n", label(each.host), one_word(name_of(outcome)),
          each.tally.of(outcome));
  head("converge_host_findings", "Properties that are not as declared, or could not be told, as of now.");
  std::map<std::string, std::array<std::size_t, 2>> findings;
  for (const Finding& each : *open) ++findings[each.host][each.unknown ? 1 : 0];
  for (const auto& each : *latest) {
    put("converge_host_findings{{host=\"{}\",kind=\"out_of_sync\"}} {}\n", label(each.host), findings[each.host][0]);
    put("converge_host_findings{{host=\"{}\",kind=\"unknown\"}} {}\n", label(each.host), findings[each.host][1]);
  }
  head("converge_host_reached", "1 if the newest look came to its end, 0 if the host could not be looked at.");
  for (const auto& each : *latest)
    put("converge_host_reached{{host=\"{}\"}} {}\n", label(each.host), each.status == "done" ? 1 : 0);
  head("converge_host_last_look_timestamp_seconds", "When the newest look at the host ended.");
  for (const auto& each : *latest)
    put("converge_host_last_look_timestamp_seconds{{host=\"{}\"}} {}\n", label(each.host), seconds(each.ended.micros));
  head("converge_host_last_look_duration_seconds", "How long it took.");
  for (const auto& each : *latest)
    put("converge_host_last_look_duration_seconds{{host=\"{}\"}} {}\n", label(each.host), seconds(each.took.count()));
  const auto last =
      std::find_if(runs->begin(), runs->end(), [](const history::Run& each) { return each.ended.has_value(); });
  if (last != runs->end()) {
    head("converge_last_run_timestamp_seconds", "When the newest run that has ended began.");
    put("converge_last_run_timestamp_seconds{{verb=\"{}\"}} {}\n", name_of(last->start.verb),
        seconds(last->start.began.micros));
    head("converge_last_run_duration_seconds", "How long it took.");
    put("converge_last_run_duration_seconds{{verb=\"{}\"}} {}\n", name_of(last->start.verb),
        seconds(last->ended->micros - last->start.began.micros));
  }
  return {.status = 200,
          .content_type = "text/plain; version=0.0.4; charset=utf-8",
          .headers = {},
          .body = fmt::to_string(out)};
}

constexpr std::string_view login_script = R"(
'use strict';
document.getElementById('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const said = document.getElementById('said');
  try {
    const answer = await fetch('/login', {headers: {Authorization: 'Bearer ' + document.getElementById('token').value.trim()}});
    if (answer.ok) location.replace('/' + location.hash);
    else said.textContent = 'That is not the token.';
  } catch { said.textContent = 'The server does not answer, or that cannot be a token.'; }
});
)";
constexpr std::string_view login_style = R"(
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 90vh; margin: 0; }
form { display: grid; gap: 12px; width: min(340px, 90vw); }
h1 { font-size: 20px; margin: 0; }
input, button { font: inherit; padding: 8px 12px; }
#said { min-height: 1.5em; margin: 0; }
)";

std::string policy_of_login() {
  return fmt::format(
      "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri "
      "'none'; form-action 'none'; frame-ancestors 'none'",
      base64(sha256(login_style)), base64(sha256(login_script)));
}

Response login_page() {
  Response out;
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"Content-Security-Policy", policy_of_login()}};
  out.body = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>converge</title><link rel=\"icon\" "
      "href=\"data:,\"><style>{}</style></head>"
      "<body><form id=\"login\"><h1>converge</h1><label for=\"token\">Token</label>"
      "<input id=\"token\" type=\"password\" autocomplete=\"current-password\" autofocus required>"
      "<button>Sign in</button><p id=\"said\" role=\"alert\"></p></form><script>{}</script></body></html>\n",
      login_style, login_script);
  return out;
}

std::string cookie_of(const Request& request) {
  const std::string field = request.header("cookie");
  for (const std::string_view part : split(field, ';')) {
    const std::string_view pair = trim(part);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == cookie_name)
      return std::string(pair.substr(equals + 1));
  }
  return {};
}
/// The token a request shows; "" if it shows none.
std::string bearer_of(const Request& request) {
  const std::string field = request.header("authorization");
  return lower(field.substr(0, 7)) == "bearer " ? std::string(trim(field.substr(7))) : "";
}
bool is_let_in(const FleetSite& site, const Request& request) {
  if (site.token.reveal().empty()) return true;
  const std::string bearer = bearer_of(request), cookie = cookie_of(request);
  return (!bearer.empty() && same(bearer, site.token)) || (!cookie.empty() && same(cookie, site.session));
}

Response login(const FleetSite& site, const Request& request) {
  if (request.header("authorization").empty()) return login_page();
  if (!same(bearer_of(request), site.token)) return said(401, "that is not the token");
  Response out = said(200, "welcome");
  out.headers.emplace_back("Set-Cookie",
                           fmt::format("{}={}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict{}", cookie_name,
                                       site.session.reveal(), site.encrypted ? "; Secure" : ""));
  return out;
}

/// A page elsewhere can make a browser ask this machine under a name of its own (DNS rebinding); then Host tells.
bool is_this_machine(std::string host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = lower(host.substr(0, host.rfind(':')));
  const bool numbers = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || (numbers && host.starts_with("127."));
}

Response page() {
  Response out;
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"Content-Security-Policy", page_policy(true) + "; frame-ancestors 'none'"}};
  out.body = page_of(nullptr);
  return out;
}

bool is_page(const std::string& path) { return path == "/" || path.starts_with("/runs/"); }

Response route(const FleetSite& site, const Request& request) {
  const std::string& path = request.path;
  if (is_page(path)) return page();
  constexpr std::string_view api = "/api/v1/";
  if (path != "/metrics" && !path.starts_with(api)) return said(404, "there is nothing here; see /");
  const auto history = site.open();
  if (!history) return refused(history.error());
  const Timestamp now = site.now();
  if (path == "/metrics") return metrics(**history);
  const std::string what = path.substr(api.size());
  const std::string first = what.substr(0, what.find('/'));
  const std::string rest = what.size() > first.size() ? what.substr(first.size() + 1) : "";
  const auto with = [&](std::initializer_list<std::string_view> known, const auto& work) {
    const Parameters parameters(request, now, known);
    return parameters.error() ? refused(*parameters.error()) : work(parameters.range);
  };
  if (what == "page")
    return with({"since"}, [&](const Range& range) { return page_data(site, **history, request, range); });
  if (what == "hosts") return with({}, [&](const Range&) { return hosts(**history); });
  if (first == "hosts" && !rest.empty())
    return with({"since"}, [&](const Range& range) { return host(**history, rest, range); });
  if (first == "runs" && !rest.empty()) return with({}, [&](const Range&) { return run(**history, rest); });
  if (what == "runs")
    return with({"host", "since", "limit", "before"}, [&](const Range& range) {
      const auto found = (*history)->runs(range);
      if (!found) return refused(found.error());
      return listed(
          "runs", *found, range.limit, [](const history::Run& each) { return to_json(each); },
          [](const history::Run& each) { return each.id; });
    });
  if (what == "findings")
    return with({"host", "item", "state", "since", "limit", "before"}, [&](const Range& range) {
      const auto found = (*history)->findings(range);
      if (!found) return refused(found.error());
      return listed("findings", *found, range.limit, with_host, [](const Finding& each) { return each.id; });
    });
  return refused(Error{Errc::not_found, fmt::format("there is no '{}'", printable(path)), {}, {}});
}

Response guarded(const FleetSite& site, const Request& request) {
  if (site.loopback && !is_this_machine(request.header("host")))
    return said(421, "this is served to this machine alone: ask for localhost");
  if (request.path == "/healthz") {
    const auto history = site.open();
    return history || history.error().code == Errc::not_found ? said(200, "ok")
                                                              : said(503, "the history cannot be read");
  }
  if (request.path == "/login" && !site.token.reveal().empty()) return login(site, request);
  if (is_let_in(site, request)) return route(site, request);
  if (is_page(request.path)) {
    Response out = said(303, "sign in at /login");
    out.headers.emplace_back("Location", "/login");
    return out;
  }
  Response out = refused(Error{Errc::permission, "a token is needed", {}, "send it as 'Authorization: Bearer TOKEN'"});
  out.status = 401;
  out.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"converge\"");
  return out;
}

}  // namespace

Response answer(const FleetSite& site, const Request& request) {
  Response out = guarded(site, request);
  const auto has = [&](std::string_view name) {
    return std::any_of(out.headers.begin(), out.headers.end(), [&](const auto& field) { return field.first == name; });
  };
  if (!has("Content-Security-Policy"))
    out.headers.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  for (const auto& [name, value] : {std::pair{"Referrer-Policy", "no-referrer"},
                                    {"X-Frame-Options", "DENY"},
                                    {"Cross-Origin-Resource-Policy", "same-origin"},
                                    {"Cross-Origin-Opener-Policy", "same-origin"},
                                    {"Cache-Control", "no-store"}})
    out.headers.emplace_back(name, value);
  return out;
}

Result<Secret> read_token(const std::string& path) {
  const auto wrong = [&](Errc code, const std::string& what, std::string hint) {
    return Error{code, fmt::format("the token file '{}' {}", printable(path), what), {}, std::move(hint)};
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return wrong(errno == ENOENT ? Errc::not_found : Errc::permission,
                 fmt::format("cannot be read: {}", strerror(errno)),
                 fmt::format("make it: (umask 077; openssl rand -hex 32 >{})", printable(path)));
  struct stat about = {};
  std::string text(4096, '\0');
  const bool looked = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  const ssize_t size = looked ? ::read(fd, text.data(), text.size()) : -1;
  (void)::close(fd);
  if (!looked) return wrong(Errc::invalid, "is no regular file", {});
  if ((about.st_mode & 077U) != 0 || (about.st_uid != geteuid() && about.st_uid != 0))
    return wrong(Errc::refused, "may be read or written by others", fmt::format("chmod 600 {}", printable(path)));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const std::string token(trim(text.substr(0, text.find('\n'))));
  if (token.size() < shortest_token)
    return wrong(Errc::invalid, fmt::format("holds less than {} characters", shortest_token),
                 fmt::format("make it: (umask 077; openssl rand -hex 32 >{})", printable(path)));
  return Secret(token);
}

}  // namespace converge::cli
