#include <fmt/format.h>

#include <algorithm>

#include "checks/type.h"
#include "core/text.h"
#include "spec/yaml.h"

namespace converge::checks {

using spec::Value;

// The table, in the order in which checks run: as Goss's. A type is one file, and a line here.
#define CONVERGE_CHECK_TYPES(type)                                                                                   \
  type(command) type(http) type(addr) type(dns) type(package) type(service) type(file) type(process) type(user)      \
      type(group) type(port) type(kernel_param) type(mount) type(interface) type(matching) type(registry) type(swap) \
          type(unit) type(yaml) type(json) type(rlimit) type(cgroup) type(ssh_config) type(git_remote) type(tls)     \
              type(oci_registry) type(dns_gate)

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
      {"meta", Kind::any, false, "", "anything, for other programs that read the file"},
      {"skip", Kind::boolean, false, "false", "leave it out, and say so"},
      {"tags", Kind::text_list, false, "", "words to select it by, with -t and --skip-tags"},
      {"severity", Kind::text, false, "", "how bad its failure is; told with it"},
      {"needs", Kind::text_list, false, "", "checks that must pass before this one is asked, by title or as TYPE:KEY"},
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
  if (subject_) return *subject_;
  if (!key_.empty())
    if (const Value* value = raw(key_)) return value->text();
  return id_;
}

Asked Asked::about(std::string subject) const {
  Asked out = *this;
  out.subject_ = std::move(subject);
  return out;
}

std::optional<std::string> Asked::name_in(std::string_view wanted, std::string_view attribute) {
  if (!wanted.starts_with(attribute) || wanted.size() <= attribute.size() || wanted[attribute.size()] != '.')
    return std::nullopt;
  return std::string(wanted.substr(attribute.size() + 1));
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
  return std::find(wanted_->begin(), wanted_->end(), name) != wanted_->end();
}

// ---- documents ------------------------------------------------------------------------------------------------------

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
    case Kind::size:
      return "bytes, or as 4GiB";
    case Kind::named:
      return "mapping of names";
  }
  return "";
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
  if (!type.example.empty()) out += fmt::format("\nexample:\n\n{}", type.example);
  return out;
}

}  // namespace converge::checks
