#include "report/page.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "core/digest.h"
#include "report/page_files.h"

namespace converge {
namespace {

std::int64_t millis(Timestamp when) { return when.micros / 1000; }
Json millis(const std::optional<Timestamp>& when) { return when ? Json(millis(*when)) : Json(nullptr); }
double millis(std::chrono::microseconds took) { return static_cast<double>(took.count() / 100) / 10; }

/// Words that are told once, and then by number.
class Strings {
 public:
  std::size_t of(const std::string& text) {
    const auto [it, fresh] = numbers_.try_emplace(text, all_.size());
    if (fresh) all_.push_back(text);
    return it->second;
  }
  Json take() { return std::move(all_); }

 private:
  std::map<std::string, std::size_t> numbers_;
  Json all_ = Json::array();
};

/// `text` with each of `marks` ("@css@") once replaced.
std::string filled(std::string_view text, const std::vector<std::pair<std::string_view, std::string_view>>& marks) {
  std::string out;
  for (const auto& [mark, value] : marks) {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) continue;
    out += text.substr(0, at);
    out += value;
    text.remove_prefix(at + mark.size());
  }
  out += text;
  return out;
}

std::string source_of(std::string_view text) { return "'sha256-" + base64(sha256(text)) + "'"; }

}  // namespace

Json to_json(const PageFleet& fleet) {
  Strings strings;
  std::map<std::string, std::size_t> columns;  // items, by their number among the strings
  Json items = Json::array(), hosts = Json::array(), runs = Json::array(), findings = Json::array(),
       details = Json::array();
  std::map<std::string, std::size_t> places;
  for (const PageHost& host : fleet.hosts) {
    places.emplace(host.name, hosts.size());
    Json cells = Json::array(), looks = Json::array();
    for (const PageItem& item : host.items) {
      const std::size_t number = strings.of(item.name);
      if (columns.try_emplace(item.name, number).second) items.push_back(number);
      cells.push_back({number, item.resources, item.out, item.unknown, millis(item.looked)});
    }
    for (const auto& [run, took] : host.looks) {
      looks.push_back(run);
      looks.push_back(millis(took));
    }
    hosts.push_back({{"name", host.name},
                     {"status", host.status},
                     {"error", host.error},
                     {"verb", name_of(host.verb)},
                     {"run", host.run},
                     {"ended", millis(host.ended)},
                     {"took", millis(host.took)},
                     {"counts", to_json(host.tally)},
                     {"items", std::move(cells)},
                     {"looks", std::move(looks)}});
  }
  for (const PageRun& run : fleet.runs)
    runs.push_back({{"id", run.id},
                    {"verb", name_of(run.verb)},
                    {"state", run.state},
                    {"began", millis(run.began)},
                    {"ended", millis(run.ended)},
                    {"hosts", run.hosts},
                    {"failed", run.tally.of(Outcome::failed)}});
  for (const Finding& each : fleet.findings) {
    const auto host = places.find(each.host);
    if (host == places.end()) continue;
    Json suspects = Json::array();
    for (const Suspect& suspect : each.suspects) suspects.push_back(suspect.text);
    findings.push_back({host->second, strings.of(each.item), strings.of(each.resource), strings.of(each.at),
                        strings.of(each.property), each.unknown ? 1 : 0, strings.of(each.expected),
                        strings.of(each.actual), strings.of(each.detail), millis(each.in_sync_until),
                        millis(each.out_since), millis(each.began), millis(each.ended), each.how, std::move(suspects)});
  }
  for (const PageDetail& each : fleet.details) {
    const auto host = places.find(each.host);
    if (host == places.end()) continue;
    details.push_back({{"host", host->second},
                       {"item", strings.of(each.item)},
                       {"id", strings.of(each.resource)},
                       {"diff", each.diff},
                       {"error", each.error},
                       {"hint", each.hint},
                       {"note", each.note}});
  }
  return {{"format", 1},
          {"version", CONVERGE_VERSION},
          {"made", millis(fleet.made)},
          {"since", millis(fleet.since)},
          {"stale", fleet.stale.count() * 1000},
          {"every", fleet.every},
          {"cut", fleet.cut},
          {"items", std::move(items)},
          {"hosts", std::move(hosts)},
          {"runs", std::move(runs)},
          {"findings", std::move(findings)},
          {"details", std::move(details)},
          {"strings", strings.take()}};
}

std::string page_policy(bool live) {
  return fmt::format(
      "default-src 'none'; style-src {}; script-src {}; img-src data:;{} base-uri 'none'; form-action 'none'",
      source_of(page_css), source_of(page_js), live ? " connect-src 'self';" : "");
}

std::string page_of(const Json* data) {
  // In a script element only '<' could end it, or begin a comment; JSON has it in strings alone, where it can be said
  // otherwise.
  std::string text = data == nullptr ? "null" : json_text(*data);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return filled(page_html,
                {{"@policy@", page_policy(data == nullptr)}, {"@css@", page_css}, {"@data@", safe}, {"@js@", page_js}});
}

}  // namespace converge
