#include "checks/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <span>

#include "checks/glob.h"
#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Entry;
using spec::List;
using spec::Map;
using spec::Value;

namespace {

using Names = std::span<const std::string_view>;

/// What is recorded of each type: Goss's choice, but for what asserts nothing. The first decides whether it is there.
constexpr std::string_view of_addr[] = {"reachable"}, of_command[] = {"exit-status", "stdout", "stderr"},
                           of_dns[] = {"resolvable", "addrs"},
                           of_file[] = {"exists", "mode", "owner", "group", "linked-to", "filetype"},
                           of_group[] = {"exists", "gid"}, of_http[] = {"status"},
                           of_interface[] = {"exists", "addrs", "mtu"}, of_kernel_param[] = {"value"},
                           of_mount[] = {"exists", "opts", "vfs-opts", "source", "filesystem"},
                           of_package[] = {"installed", "versions"}, of_port[] = {"listening", "ip"},
                           of_process[] = {"running"}, of_service[] = {"enabled", "running"},
                           of_swap[] = {"active", "size", "priority"}, of_unit[] = {"loaded"},
                           of_user[] = {"exists", "uid", "gid", "groups", "home", "shell"};

struct Row {
  std::string_view type;
  Names attributes;
};
constexpr std::array<Row, 16> rows{{{"addr", of_addr},
                                    {"command", of_command},
                                    {"dns", of_dns},
                                    {"file", of_file},
                                    {"group", of_group},
                                    {"http", of_http},
                                    {"interface", of_interface},
                                    {"kernel-param", of_kernel_param},
                                    {"mount", of_mount},
                                    {"package", of_package},
                                    {"port", of_port},
                                    {"process", of_process},
                                    {"service", of_service},
                                    {"swap", of_swap},
                                    {"unit", of_unit},
                                    {"user", of_user}}};

/// As many lines of an output as anybody would want to assert.
constexpr std::size_t most_patterns = 200;
constexpr std::size_t longest_text = std::size_t{1} << 20U;

Asked asked_for(const CheckType& type, const std::string& name, const Map& written, std::vector<std::string> wanted) {
  Asked::Options options;
  for (const Entry& entry : written)
    for (const Attribute& attribute : type.attributes)
      if (!attribute.matchable && attribute.name == entry.key) options.emplace_back(&attribute, entry.value);
  return {name, type.key, std::move(options), type.attributes,
          std::make_shared<const std::vector<std::string>>(std::move(wanted))};
}

/// The lines of a text as patterns that find them: blanks around them gone, a beginning that would mean something
/// escaped. Lines that no YAML text holds are left out.
Result<Value> patterns_of(const Text& text) {
  std::string all;
  auto read = text.read([&](std::string_view piece) {
    all += piece;
    return all.size() < longest_text;
  });
  if (!read) return std::move(read).error();
  std::vector<std::string> out;
  for (const std::string_view line : split_lines(std::string_view(all))) {
    const std::string_view said = trim(line);
    if (said.empty() || out.size() == most_patterns || !is_utf8(said) || printable(said) != said) continue;
    std::string pattern = said.front() == '!' || said.front() == '/' ? "\\" : "";
    pattern += said;
    if (std::find(out.begin(), out.end(), pattern) == out.end()) out.push_back(std::move(pattern));
  }
  return list_value(out);
}

bool says_nothing(const Value& value) {
  return value.is_null() || (value.list() != nullptr && value.list()->empty()) ||
         (value.string() != nullptr && value.string()->empty());
}

bool is_false(const Value& value) { return value.boolean() != nullptr && !*value.boolean(); }

/// "tcp:80" also accepts a listener on "::"; recorded are the addresses that Goss, too, finds there.
Value own_addresses(Value addresses, const std::string& key) {
  auto* list = std::get_if<List>(&addresses.data());
  if (list == nullptr || key.find("6:") != std::string::npos) return addresses;
  const auto six = [](const Value& each) { return each.text().find(':') != std::string::npos; };
  if (!std::all_of(list->begin(), list->end(), six)) std::erase_if(*list, six);
  return addresses;
}

/// The first attribute of what is recorded of `type`: true, false; an Error if it cannot be told.
Result<bool> is_there(const CheckType& type, std::string_view attribute, const std::string& name, Context& context,
                      const SystemView& view) {
  const Asked asked = asked_for(type, name, {}, {std::string(attribute)});
  if (type.accept != nullptr)
    if (const Status fine = type.accept(asked); !fine) return false;  // it cannot be called that
  const Looked looked = type.look(asked, context, view);
  if (looked.empty()) return false;
  const Actual& actual = looked.front().actual;
  if (const auto* error = std::get_if<Error>(&actual)) return *error;
  const auto* value = std::get_if<Value>(&actual);
  return value != nullptr && value->boolean() != nullptr && *value->boolean();
}

/// Under systemd a unit that is loaded; elsewhere what is in a runlevel or runs.
Result<bool> service_is_there(const CheckType& type, const std::string& name, Context& context,
                              const SystemView& view) {
  if (name.find('/') != std::string::npos) return false;
  const auto& systemd = context.systemd(view);
  if (!systemd) return systemd.error();
  if (*systemd) {
    auto unit = view.unit(name.find('.') == std::string::npos ? name + ".service" : name);
    if (!unit) return std::move(unit).error();
    const auto state = unit->find("LoadState");
    return state != unit->end() && state->second == "loaded";
  }
  auto enabled = is_there(type, "enabled", name, context, view);
  if (!enabled || *enabled) return enabled;
  return is_there(type, "running", name, context, view);
}

Result<std::string> whole(const AbsPath& path, const SystemView& view) {
  auto seen = view.read(path, Bytes{std::uint64_t{64} << 20U});
  if (!seen) return std::move(seen).error();
  return std::move(seen->content);
}

/// "socket:[12345]" of what these processes hold open.
std::set<std::string> sockets_of(const std::vector<std::uint64_t>& pids, const SystemView& view) {
  std::set<std::string> out;
  for (const std::uint64_t pid : pids) {
    const AbsPath descriptors = AbsPath("/proc").child(fmt::format("{}/fd", pid));
    const auto open = view.list(descriptors);  // it may have ended meanwhile
    if (!open) continue;
    for (const std::string& number : open->value_or(std::vector<std::string>())) {
      const auto status = view.status(descriptors.child(number));
      if (status && *status && (*status)->target.starts_with("socket:[")) out.insert((*status)->target);
    }
  }
  return out;
}

/// "tcp6:22" of the listeners among these, as /proc/net has them.
Result<std::vector<std::string>> ports_of(const std::set<std::string>& sockets, const SystemView& view) {
  constexpr std::size_t inode_column = 9;
  std::vector<std::string> out;
  for (const std::string protocol : {"tcp", "tcp6", "udp", "udp6"}) {
    const auto table = whole(AbsPath("/proc/net/" + protocol), view);
    if (!table) continue;  // a kernel without IPv6 has no such table
    for (const std::string_view line : split_lines(std::string_view(*table))) {
      const auto columns = fields(line);
      if (columns.size() <= inode_column) continue;
      if (!sockets.contains(fmt::format("socket:[{}]", columns[inode_column]))) continue;
      for (const Socket& socket : parse_sockets(protocol, fmt::format("header\n{}", line))) {
        std::string key = fmt::format("{}:{}", protocol, socket.port);
        if (socket.listening && std::find(out.begin(), out.end(), key) == out.end()) out.push_back(std::move(key));
      }
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> recordable_types() {
  std::vector<std::string> out;
  for (const Row& row : rows) out.emplace_back(row.type);
  return out;
}

Result<Value> record(const CheckType& type, const std::string& name, const RecordOptions& options, Context& context,
                     const SystemView& view) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.type == type.name; });
  if (row == rows.end())
    return Error{Errc::unsupported, fmt::format("nothing can be recorded of '{}'", type.name), {}, "write it by hand"};
  std::vector<std::string> wanted;
  for (const std::string_view each : row->attributes) {
    const bool left_out = std::any_of(options.exclude.begin(), options.exclude.end(),
                                      [&](const std::string& glob) { return matches_glob(each, glob); });
    if (each == row->attributes.front() || !left_out) wanted.emplace_back(each);
  }
  const Asked asked = asked_for(type, name, options.options, wanted);
  if (type.accept != nullptr)
    if (auto fine = type.accept(asked); !fine) return std::move(fine).error();
  Looked looked = type.look(asked, context, view);
  Map out;
  for (auto& [attribute, actual, detail] : looked) {
    const bool first = attribute == row->attributes.front();
    const std::string doing = fmt::format("looking at '{}' of '{}'", attribute, printable(name));
    if (auto* error = std::get_if<Error>(&actual)) {
      if (error->hint.empty() && !first) error->hint = "leave it out with --exclude-attr " + attribute;
      return std::move(*error).during(doing);
    }
    if (const auto* nothing = std::get_if<Nothing>(&actual)) {
      if (!first) continue;
      return Error{Errc::not_found, nothing->why, {doing}, "record it when it is there"};
    }
    Value value;
    if (const auto* text = std::get_if<Text>(&actual)) {
      auto patterns = patterns_of(*text);
      if (!patterns) return std::move(patterns).error().during(doing);
      value = *std::move(patterns);
    } else {
      value = std::get<Value>(std::move(actual));
    }
    if (attribute == "ip") value = own_addresses(std::move(value), name);
    const bool absent = first && type.first_decides && is_false(value);
    if (first || !says_nothing(value)) out.push_back({attribute, {}, std::move(value)});
    if (absent) break;
  }
  for (const Entry& entry : options.options) out.push_back(entry);
  return Value(std::move(out));
}

Result<std::vector<std::pair<const CheckType*, std::string>>> found_by_name(const std::string& name, Context& context,
                                                                            const SystemView& view) {
  std::vector<std::pair<const CheckType*, std::string>> out;
  const auto add = [&](const CheckType* type, const std::string& key) {
    if (std::find(out.begin(), out.end(), std::pair(type, key)) == out.end()) out.emplace_back(type, key);
  };
  for (const std::string_view kind : {"file", "group", "package", "port", "process", "service", "user"}) {
    if (kind == "file" && name.find('/') == std::string::npos) continue;
    const CheckType* const type = find_check_type(kind);
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.type == kind; });
    auto there = kind == "service" ? service_is_there(*type, name, context, view)
                                   : is_there(*type, row->attributes.front(), name, context, view);
    if (!there) return std::move(there).error().during(fmt::format("looking for the {} '{}'", kind, printable(name)));
    if (!*there) continue;
    add(type, name);
    if (kind != "process") continue;
    const auto& processes = context.processes(view);
    if (!processes) return processes.error();
    const auto running = processes->find(name);
    if (running == processes->end()) continue;
    const auto ports = ports_of(sockets_of(running->second, view), view);
    if (!ports) return ports.error();
    for (const std::string& key : *ports) add(find_check_type("port"), key);
  }
  return out;
}

}  // namespace converge::checks
