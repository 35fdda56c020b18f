// facts: what hosts are, without a spec. A table for people, one object a host for programs.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "cli/elsewhere.h"
#include "cli/interrupt.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "remote/agent.h"
#include "remote/fleet.h"
#include "spec/yaml.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

struct Row {
  std::string host;
  std::optional<spec::Value> facts;
  std::string error, hint;
};

std::string fact(const spec::Value& facts, std::string_view name) {
  const spec::Value* value = facts.find(name);
  if (value == nullptr) return {};
  if (const spec::List* list = value->list()) {
    std::vector<std::string> texts;
    for (const spec::Value& one : *list)  // those that tell nothing are left out
      if (const std::string text = one.text(); text != "127.0.0.1" && text != "::1" && !text.starts_with("fe80:"))
        texts.push_back(text);
    return join(texts, " ");
  }
  return value->text();
}

std::string json_line(const Row& row) {
  spec::Map map{{"host", {}, spec::Value(row.host, {}, true)}};
  map.push_back({"reached", {}, spec::Value(row.facts.has_value())});
  if (row.facts) map.push_back({"facts", {}, *row.facts});
  if (!row.error.empty()) map.push_back({"error", {}, spec::Value(row.error, {}, true)});
  return spec::write_json(spec::Value(std::move(map))) + "\n";
}

std::string table(const std::vector<Row>& rows) {
  constexpr std::array<std::string_view, 8> names{"HOST", "SYSTEM", "INIT",   "KERNEL",
                                                  "ARCH", "CPUS",   "MEMORY", "ADDRESSES"};
  std::vector<std::array<std::string, names.size()>> lines;
  lines.emplace_back();
  std::copy(names.begin(), names.end(), lines.back().begin());
  for (const Row& row : rows) {
    if (!row.facts) continue;
    const spec::Value& facts = *row.facts;
    std::uint64_t mib = 0;
    (void)parse_number(fact(facts, "memory_mib"), mib);
    lines.push_back({row.host, fact(facts, "os_id") + " " + fact(facts, "os_version"), fact(facts, "init"),
                     fact(facts, "kernel"), fact(facts, "arch"), fact(facts, "cpus"), fmt::format("{} MiB", mib),
                     fact(facts, "addresses")});
  }
  std::array<std::size_t, names.size()> widths{};
  for (auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) {
      line[i] = printable(line[i]);
      widths[i] = std::max(widths[i], line[i].size());
    }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) out += fmt::format("{:{}}  ", line[i], widths[i]);
    out += line.back() + "\n";
  }
  for (const Row& row : rows) {
    if (row.facts) continue;
    out += fmt::format("{:{}}  {}\n", printable(row.host), widths[0], printable(row.error));
    if (!row.hint.empty()) out += fmt::format("{:{}}  {}\n", "", widths[0], printable(row.hint));
  }
  return out;
}

}  // namespace

int facts_verb(const Options& options) {
  Diagnostics diagnostics;
  Loaded loaded;
  const bool good = load_inventory(options, false, loaded, diagnostics);
  std::vector<Row> rows;
  std::vector<remote::Order> orders;
  std::vector<std::size_t> elsewhere;
  const auto here = open_system(AbsPath("/"));
  auto own = here ? gather_facts(**here) : Result<Facts>(here.error());
  for (const std::string& host : loaded.hosts) {
    rows.push_back({.host = host});
    if (own && is_local(options, loaded, host, *own)) {
      rows.back().facts = facts_value(*own);
      continue;
    }
    elsewhere.push_back(rows.size() - 1);
    orders.push_back({.target = reach_of(options, loaded, host, diagnostics).target, .facts_only = true});
  }
  if (print_diagnostics(diagnostics) || !good) return exit_bad_input;
  catch_interrupts();
  const auto transport = remote::ssh_transport(ssh_settings());
  const remote::AgentImage image = remote::own_image();
  const remote::Limits limits{.connect = std::chrono::seconds(options.connect_timeout)};
  const auto left = remote::run_fleet(
      orders.size(), {.parallel = options.parallel},
      [&](std::size_t i, const remote::Tell& tell) {
        return remote::run_on_host(*transport, orders[i], image, limits, tell, [] { return interrupted(); });
      },
      [](std::size_t, const remote::News&) {},
      [&](std::size_t i, remote::HostEnd end) {
        Row& row = rows[elsewhere[i]];
        if (end.tally && end.hello)
          row.facts = std::move(end.hello->facts);
        else if (end.error)
          row.error = end.error->text(), row.hint = end.error->hint;
        return end.tally.has_value();
      },
      [] { return interrupted(); });
  for (const std::size_t i : left) rows[elsewhere[i]].error = "interrupted before its turn came";
  if (options.format == "json")
    for (const Row& row : rows) fmt::print("{}", json_line(row));
  else
    fmt::print("{}", table(rows));
  const bool all = std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.facts.has_value(); });
  return interrupted() ? exit_interrupted : all ? exit_ok : exit_unreachable;
}

}  // namespace converge::cli
