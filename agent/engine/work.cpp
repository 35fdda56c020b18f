#include "engine/work.h"

#include <fmt/core.h>

#include "checks/gossfile.h"

namespace converge {
namespace {

using spec::Value;

/// Users of a directory service are not in /etc/passwd: those that parameters name are asked for, once each.
Status look_up_people(const Value& parameters, const SystemView& view, Facts& facts) {
  if (!facts.live) return ok();
  for (const std::string_view key : {"user", "owner", "become_user"}) {
    const Value* value = parameters.find(key);
    const std::string* name = value == nullptr ? nullptr : value->string();
    if (name == nullptr || facts.find_user(*name) != nullptr) continue;
    auto person = view.user(*name);
    if (!person) return std::move(person).error().during(fmt::format("looking up the user '{}'", *name));
    if (*person) facts.users.emplace(*name, **person);
  }
  return ok();
}

/// Each assertion by itself: one that does not hold blocks no other.
void render_assertions(const spec::Item& item, const std::shared_ptr<checks::Context>& context,
                       Diagnostics& diagnostics, std::vector<Work>& out) {
  for (checks::Assertion& assertion : checks::assertions_of(item.parameters, context, diagnostics)) {
    const SourcePos at = assertion.at;
    Work work{.spec = item.spec,
              .item = assertion.title.empty() ? std::string(assertion.type->name) : assertion.title,
              .module = item.module,
              .needs = {},
              .gates = assertion.needs,
              .at = at,
              .skipped = {},
              .rendered = {}};
    work.rendered.chain.push_back({std::move(assertion), {item.module, at}});
    out.push_back(std::move(work));
  }
}

}  // namespace

Value facts_value(const Facts& facts) {
  spec::Map map;
  const auto add = [&](std::string_view name, Value value) {
    map.push_back({std::string(name), {}, std::move(value)});
  };
  const auto text = [](const std::string& value) { return Value(value, {}, true); };
  const auto count = [](std::uint64_t value) { return Value(static_cast<std::int64_t>(value)); };
  add("hostname", text(facts.hostname));
  add("os_id", text(facts.os_id));
  add("os_version", text(facts.os_version));
  add("os_family", text(facts.os_family));
  add("init", text(facts.init));
  add("arch", text(facts.arch));
  add("kernel", text(facts.kernel));
  add("container", text(facts.container));
  add("cpus", count(facts.cpus));
  add("memory_bytes", count(facts.memory.count));
  add("memory_mib", count(facts.memory.count >> 20U));
  add("live", Value(facts.live));
  spec::List addresses;
  for (const std::string& address : facts.addresses) addresses.push_back(text(address));
  add("addresses", Value(std::move(addresses)));
  return Value(std::move(map));
}

std::vector<Work> render_items(const std::vector<spec::Item>& items, const SystemView* view, Facts& facts,
                               Diagnostics& diagnostics, const std::shared_ptr<checks::Context>& context) {
  std::vector<Work> out;
  out.reserve(items.size());
  for (const spec::Item& item : items) {
    if (item.module == assertions_module && item.skipped.empty()) {
      render_assertions(item, context, diagnostics, out);
      continue;
    }
    Work work{.spec = item.spec,
              .item = item.name,
              .module = item.module,
              .needs = item.needs,
              .gates = {},
              .at = item.at,
              .skipped = item.skipped,
              .rendered = {}};
    if (work.skipped.empty()) {
      const Module* module = find_module(item.module);
      if (module == nullptr) {  // a node whose agent is another version cannot be here: its digest is ours
        diagnostics.push_back({item.at, fmt::format("there is no module '{}'", item.module), {}, Severity::error});
        continue;
      }
      if (view != nullptr) {
        if (auto known = look_up_people(item.parameters, *view, facts); !known) {
          work.rendered.refusal = std::move(known).error();
          out.push_back(std::move(work));
          continue;
        }
      }
      const spec::Params params(item.parameters, module->fields, diagnostics);
      if (!params.ok()) continue;
      work.rendered = module->render(params, facts);
      if (!params.ok()) continue;  // the module objected to a value
    }
    out.push_back(std::move(work));
  }
  return out;
}

}  // namespace converge
