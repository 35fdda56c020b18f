#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"
#include "checks/type.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Value;

// The table, in the order in which checks run: as Goss's. A type is one file, and a line here.
#define CONVERGE_CHECK_TYPES(type)                                                                                   \
  type(command) type(http) type(addr) type(dns) type(package) type(service) type(file) type(process) type(user)      \
      type(group) type(port) type(kernel_param) type(mount) type(interface) type(matching) type(registry) type(swap) \
          type(unit) type(yaml) type(json)

#define CONVERGE_DECLARE(type) CheckType type##_check();
CONVERGE_CHECK_TYPES(CONVERGE_DECLARE)
#undef CONVERGE_DECLARE

std::span<const CheckType> check_types() {
#define CONVERGE_ROW(type) type##_check(),
  static const CheckType rows[] = {CONVERGE_CHECK_TYPES(CONVERGE_ROW)};
#undef CONVERGE_ROW
  return rows;
}

const CheckType* find_check_type(std::string_view name) {
  const auto rows = check_types();
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const CheckType& row) { return row.name == name; });
  return it == rows.end() ? nullptr : &*it;
}

std::span<const Attribute> common_attributes() {
  static constexpr Attribute shared[] = {
      {"title", Kind::text, false, "", "what reports call it"},
      {"meta", Kind::any, false, "", "anything; shown in reports"},
      {"skip", Kind::boolean, false, "false", "leave it out, and say so"},
      {"tags", Kind::text_list, false, "", "words to select it by"},
      {"severity", Kind::text, false, "", "how bad its failure is; shown in reports"},
      {"retry_count", Kind::integer, false, "0", "how often to look again while it does not pass"},
      {"retry_delay", Kind::duration, false, "1s", "how long to wait between looks: milliseconds, or 2s"},
  };
  return shared;
}

// ---- what a type is asked -------------------------------------------------------------------------------------------

const Attribute* Asked::attribute(std::string_view name) const {
  const auto it = std::find_if(attributes_.begin(), attributes_.end(), [&](const auto& a) { return a.name == name; });
  return it == attributes_.end() ? nullptr : &*it;
}

const Value* Asked::raw(std::string_view name) const {
  for (const auto& [attribute, value] : options_)
    if (attribute->name == name) return &value;
  return nullptr;
}

std::string Asked::text(std::string_view name) const {
  if (const Value* value = raw(name)) return value->text();
  const Attribute* row = attribute(name);
  return row == nullptr ? std::string() : std::string(row->fallback);
}

std::string Asked::subject() const {
  if (!key_.empty())
    if (const Value* value = raw(key_)) return value->text();
  return id_;
}

std::int64_t Asked::integer(std::string_view name) const {
  std::int64_t out = 0;
  return parse_number(text(name), out) ? out : 0;
}

bool Asked::boolean(std::string_view name) const { return text(name) == "true"; }

std::chrono::milliseconds Asked::timeout(std::string_view name) const {
  return std::chrono::milliseconds(std::max<std::int64_t>(integer(name), 1));
}

std::vector<std::string> Asked::texts(std::string_view name) const {
  std::vector<std::string> out;
  const Value* value = raw(name);
  if (value == nullptr) return out;
  if (value->list() == nullptr) return {value->text()};
  for (const Value& each : *value->list()) out.push_back(each.text());
  return out;
}

bool Asked::wants(std::string_view name) const {
  return std::find(wanted_.begin(), wanted_.end(), name) != wanted_.end();
}

// ---- looking.h ------------------------------------------------------------------------------------------------------

Looked all_unknown(const Asked& asked, const Error& error) {
  Looked out;
  for (const auto& name : asked.wanted()) out.emplace_back(name, error);
  return out;
}

Value list_value(const std::vector<std::string>& texts) {
  // Filled in place: g++ 12 sees uninitialized alternatives in a moved Value.
  Value out{spec::List(texts.size())};
  auto& list = std::get<spec::List>(out.data());
  for (std::size_t i = 0; i < texts.size(); ++i) list[i].data() = texts[i];
  return out;
}

Text text_value(std::string text) {
  auto shared = std::make_shared<const std::string>(std::move(text));
  return Text{[shared](const std::function<bool(std::string_view)>& take) -> Status {
    if (!shared->empty()) take(*shared);
    return ok();
  }};
}

Result<AbsPath> path_of(std::string text, Context& context, const SystemView& view) {
  if (text.starts_with('~')) {
    const auto slash = std::min(text.find('/'), text.size());
    const std::string who = text.substr(1, slash - 1);
    std::string home;
    if (who.empty())
      for (const auto& [name, value] : context.setting().environment)
        if (name == "HOME") home = value;
    if (home.empty()) {
      const auto& accounts = context.accounts(view);
      if (!accounts) return accounts.error();
      for (const Account& account : *accounts)
        if (who.empty() ? account.uid == 0 : account.name == who) home = account.home;
      if (home.empty()) return Error{Errc::not_found, fmt::format("there is no user '{}'", printable(who)), {}, {}};
    }
    text = home + text.substr(slash);
  } else if (!text.starts_with('/')) {
    text = (context.setting().directory ? context.setting().directory->str() : std::string()) + "/" + text;
  }
  std::vector<std::string_view> kept;
  for (const auto part : split(text, '/')) {
    if (part == ".." && !kept.empty())
      kept.pop_back();
    else if (!part.empty() && part != "." && part != "..")
      kept.push_back(part);
  }
  std::string out;
  for (const auto part : kept) out += fmt::format("/{}", part);
  return AbsPath::parse(out.empty() ? "/" : out);
}

namespace {
/// One line of getent(1); nullopt: there is no such entry.
Result<std::optional<std::string>> getent(const SystemView& view, std::string_view database, const std::string& key) {
  Command command;
  command.argv = {"getent", std::string(database), key};
  auto answer = view.query(command);
  if (!answer) return std::move(answer).error();
  if (answer->exit_code == 2) return std::optional<std::string>();
  if (answer->exit_code != 0)
    return Error{
        Errc::command_failed, fmt::format("'{}' ended with status {}", command.text(), answer->exit_code), {}, {}};
  return std::optional<std::string>(answer->out);
}

template <class Entry, class List, class Is>
Result<std::optional<Entry>> find_entry(const Result<List>& known, const Is& is, Context& context,
                                        const SystemView& view, std::string_view database, const std::string& key,
                                        List (*parse)(std::string_view)) {
  if (!known) return known.error();
  for (const Entry& each : *known)
    if (is(each)) return std::optional<Entry>(each);
  if (context.files_know_all(view, database)) return std::optional<Entry>();
  auto line = getent(view, database, key);
  if (!line) return std::move(line).error();
  if (!*line) return std::optional<Entry>();
  for (const Entry& each : parse(**line)) return std::optional<Entry>(each);
  return std::optional<Entry>();
}
}  // namespace

Result<std::optional<Account>> find_account(const std::string& name, Context& context, const SystemView& view) {
  return find_entry<Account>(
      context.accounts(view), [&](const Account& a) { return a.name == name; }, context, view, "passwd", name,
      parse_accounts);
}
Result<std::optional<Account>> find_account(std::uint32_t uid, Context& context, const SystemView& view) {
  return find_entry<Account>(
      context.accounts(view), [&](const Account& a) { return a.uid == uid; }, context, view, "passwd",
      fmt::format("{}", uid), parse_accounts);
}
Result<std::optional<GroupEntry>> find_group_entry(const std::string& name, Context& context, const SystemView& view) {
  return find_entry<GroupEntry>(
      context.groups(view), [&](const GroupEntry& g) { return g.name == name; }, context, view, "group", name,
      parse_groups);
}
Result<std::optional<GroupEntry>> find_group_entry(std::uint32_t gid, Context& context, const SystemView& view) {
  return find_entry<GroupEntry>(
      context.groups(view), [&](const GroupEntry& g) { return g.gid == gid; }, context, view, "group",
      fmt::format("{}", gid), parse_groups);
}

// ---- documents
// -------------------------------------------------------------------------------------------------------

namespace {

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::integer:
      return "integer";
    case Kind::boolean:
      return "boolean";
    case Kind::list:
      return "list";
    case Kind::stream:
      return "text, patterns by line";
    case Kind::any:
      return "anything";
    case Kind::text_list:
      return "list of texts";
    case Kind::duration:
      return "milliseconds or duration";
  }
  return "";
}

/// A JSON Schema type of an option; what takes matchers may be anything.
std::string schema_of(const Attribute& attribute) {
  const std::string doc = spec::write_json(Value(std::string(attribute.doc)));
  if (attribute.matchable) return fmt::format("{{\"description\": {}}}", doc);
  const char* type = attribute.kind == Kind::integer    ? "\"integer\""
                     : attribute.kind == Kind::boolean  ? "\"boolean\""
                     : attribute.kind == Kind::duration ? "[\"integer\", \"string\"]"
                     : attribute.kind == Kind::text     ? "[\"string\", \"number\", \"boolean\"]"
                                                        : nullptr;
  if (type == nullptr) return fmt::format("{{\"description\": {}}}", doc);
  return fmt::format("{{\"description\": {}, \"type\": {}}}", doc, type);
}

}  // namespace

std::string describe(const CheckType& type) {
  std::string out = fmt::format("{}: {}\n\n", type.name, type.summary);
  const auto rows = [&](std::span<const Attribute> attributes) {
    for (const Attribute& each : attributes) {
      std::string notes(name_of(each.kind));
      if (each.matchable) notes += ", takes matchers";
      if (each.required) notes += ", required";
      if (!each.fallback.empty()) notes += fmt::format(", default {}", each.fallback);
      out += fmt::format("  {:<20} {} ({})\n", each.name, each.doc, notes);
    }
  };
  rows(type.attributes);
  rows(common_attributes());
  return out;
}

std::string gossfile_schema() {
  std::string out =
      "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"type\": \"object\",\n"
      "  \"additionalProperties\": false,\n  \"patternProperties\": {\"^(x-|[.])\": {}},\n  \"properties\": {\n"
      "    \"gossfile\": {\"type\": \"object\"}";
  for (const CheckType& type : check_types()) {
    out += fmt::format(
        ",\n    \"{}\": {{\n      \"description\": {},\n      \"type\": \"object\",\n"
        "      \"additionalProperties\": {{\n        \"type\": \"object\",\n"
        "        \"additionalProperties\": false,\n        \"properties\": {{",
        type.name, spec::write_json(Value(std::string(type.summary))));
    bool first = true;
    for (const auto attributes : {type.attributes, common_attributes()})
      for (const Attribute& each : attributes) {
        out +=
            fmt::format("{}\n          \"{}\": {}", std::exchange(first, false) ? "" : ",", each.name, schema_of(each));
        if (!each.old.empty()) out += fmt::format(",\n          \"{}\": {}", each.old, schema_of(each));
      }
    out += "\n        }\n      }\n    }";
  }
  return out + "\n  }\n}\n";
}

}  // namespace converge::checks
