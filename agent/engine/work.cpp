#include "engine/work.h"

#include <fmt/core.h>

#include "checks/gossfile.h"
#include "engine/contradictions.h"

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

/// Verifying goes on after a failure, so assertions of one name may share a chain; a short one, as its steps are told
/// together. One with needs is by itself: they are a chain's.
void render_assertions(spec::Item& item, const std::shared_ptr<checks::Context>& context, Diagnostics& diagnostics,
                       std::vector<Work>& out) {
  constexpr std::size_t longest = 32;
  Work* open = nullptr;
  auto assertions = checks::assertions_of(std::move(item.parameters), context, diagnostics);
  for (; !assertions.empty(); assertions.pop_front()) {  // one by one: of ten thousand there need not be two
    checks::Assertion& assertion = assertions.front();
    const SourcePos at = assertion.at;
    const bool titled = assertion.notes != nullptr && !assertion.notes->title.empty();
    const bool single = titled || !assertion.needs.empty();
    const std::string_view name = titled ? std::string_view(assertion.notes->title) : assertion.type->name;
    if (single || open == nullptr || open->item != name || open->rendered.chain.size() == longest) {
      open = &out.emplace_back(Work{.spec = item.spec,
                                    .item = std::string(name),
                                    .module = item.module,
                                    .needs = {},
                                    .gates = assertion.needs,
                                    .at = at,
                                    .skipped = {},
                                    .rendered = {}});
      open->rendered.chain.reserve(single ? 1 : longest);
    }
    open->rendered.chain.push_back({std::move(assertion), {item.module, at}});
    if (single) open = nullptr;
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

std::vector<Work> render_items(std::vector<spec::Item> items, const SystemView* view, Facts& facts,
                               Diagnostics& diagnostics, const std::shared_ptr<checks::Context>& context) {
  std::vector<Work> out;
  out.reserve(items.size());
  for (spec::Item& item : items) {
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
  find_contradictions(out, diagnostics);
  return out;
}

}  // namespace converge
