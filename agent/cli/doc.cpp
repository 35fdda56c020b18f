// doc: what a module or a check takes, from its own table; nothing here knows one by name.
#include <fmt/core.h>

#include "checks/type.h"
#include "cli/verbs.h"
#include "core/diagnostic.h"
#include "core/text.h"
#include "modules/module.h"

namespace converge::cli {
namespace {

std::string type_of(const spec::Field& field) {
  using spec::Kind;
  switch (field.kind) {
    case Kind::text:
      return "text";
    case Kind::multiline:
      return "text of lines";
    case Kind::integer:
      return "integer";
    case Kind::boolean:
      return "boolean";
    case Kind::size:
      return "size, as 4GiB";
    case Kind::mode:
      return "quoted octal mode";
    case Kind::path:
      return "absolute path";
    case Kind::text_list:
      return "list of text";
    case Kind::mapping:
      return "mapping";
    case Kind::mapping_list:
      return "list of mappings";
    case Kind::any:
      return "any";
  }
  return "";
}

std::string limits_of(const spec::Field& field) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  if (field.required) add("required");
  if (!field.fallback.empty()) add(fmt::format("default {}", field.fallback));
  if (!field.choices.empty()) {
    std::vector<std::string> choices(field.choices.begin(), field.choices.end());
    add("one of " + join(choices, ", "));
  }
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  if (field.min != least && field.max != most)
    add(fmt::format("{} to {}", field.min, field.max));
  else if (field.min != least)
    add(fmt::format("at least {}", field.min));
  else if (field.max != most)
    add(fmt::format("at most {}", field.max));
  if (!field.unit.empty()) add(fmt::format("in {}", field.unit));
  return out;
}

void print_fields(const std::vector<spec::Field>& fields, const std::string& indent) {
  for (const spec::Field& field : fields) {
    const std::string limits = limits_of(field);
    fmt::print("{}{}  ({}{}{})\n{}    {}\n", indent, field.name, type_of(field), limits.empty() ? "" : "; ", limits,
               indent, field.doc);
    print_fields(field.of, indent + "    ");
  }
}

}  // namespace

int doc_verb(const Options& options) {
  if (options.module.empty()) {
    for (const Module* module : modules()) fmt::print("{:16} {}\n", module->name, module->summary);
    fmt::print("\n`converge doc MODULE` tells its keys. Every item also takes: name, tags, when, for_each, needs.\n");
    std::vector<std::string> types;
    for (const checks::CheckType& type : checks::check_types()) types.emplace_back(type.name);
    fmt::print("`converge doc TYPE` tells what a check of `verify:` or of a gossfile takes: {}.\n", join(types, ", "));
    std::vector<std::string> matchers;
    for (const checks::MatcherName& each : checks::matcher_names()) matchers.emplace_back(each.name);
    fmt::print("Where it takes matchers, a value, a list of what must be in it, or {{ MATCHER: ... }}: {}.\n",
               join(matchers, ", "));
    return exit_ok;
  }
  const Module* module = find_module(options.module);
  const checks::CheckType* type = checks::find_check_type(options.module);
  if (module == nullptr && type == nullptr) {
    std::vector<std::string> names;
    for (const checks::CheckType& one : checks::check_types()) names.emplace_back(one.name);
    for (const Module* one : modules()) names.emplace_back(one->name);
    const std::string hint = did_you_mean(options.module, names);
    fmt::print(stderr, "converge: there is no module or check '{}'\n          {}\n", printable(options.module),
               hint.empty() ? "see `converge doc` for all of them" : hint);
    return exit_usage;
  }
  if (module != nullptr) {
    fmt::print("{}: {}\n\n", module->name, module->summary);
    print_fields(module->fields, "  ");
    fmt::print("\nexample:\n\n{}\n", module->example);
  }
  if (type != nullptr)
    fmt::print("{}{}", module != nullptr ? "\nas a check, in `verify:` and gossfiles:\n\n" : "",
               checks::describe(*type));
  return exit_ok;
}

}  // namespace converge::cli
