// What a user's sessions may use together: a drop-in for the slice systemd-logind puts them in.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/text.h"
#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "systemd_slice";
constexpr Bytes least_memory = 64_MiB;  // below, the user's own service manager is killed

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "user", .kind = Kind::text, .doc = "whose slice; its number is looked up on the host", .required = true},
      {.name = "memory_max",
       .kind = Kind::text,
       .doc = "MemoryMax: the most memory; 1500M, 1.5G, 50%, infinity (K, M, G, T are powers of 1024)",
       .unit = "bytes"},
      {.name = "memory_high",
       .kind = Kind::text,
       .doc = "MemoryHigh: above it the kernel slows the slice down",
       .unit = "bytes"},
      {.name = "memory_swap_max",
       .kind = Kind::text,
       .doc = "MemorySwapMax: the most swap; 0 is none",
       .unit = "bytes"},
      {.name = "tasks_max",
       .kind = Kind::text,
       .doc = "TasksMax: the most threads; a number, 10% of what the host can have, or infinity",
       .unit = "threads"},
      {.name = "cpu_quota",
       .kind = Kind::text,
       .doc = "CPUQuota: the most processor time; 50% is half of one processor, 150% one and a half"},
      {.name = "drop_in",
       .kind = Kind::text,
       .doc = "the drop-in's name; of all drop-ins the last by name wins",
       .fallback = "limits.conf"},
      {.name = "force",
       .kind = Kind::boolean,
       .doc = "set a limit below what is in use now: the kernel makes room by killing",
       .fallback = "false"},
      {.name = "state",
       .kind = Kind::text,
       .doc = "absent: the drop-in is removed and systemd reloaded",
       .fallback = "present",
       .choices = {"present", "absent"}},
  };
  return table;
}

/// What systemd makes of a value: the number it loads ("infinity" is nullopt), and how far that may be off.
struct Amount {
  std::optional<std::uint64_t> number;
  std::uint64_t slack = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// systemd's parse_permyriad(): "50%", "12.5%", to the hundredth, as ten thousandths of `whole_of`.
Result<std::uint64_t> parse_share(std::string_view text, std::string_view whole_of) {
  text.remove_suffix(1);
  const auto dot = text.find('.');
  const auto whole_text = text.substr(0, dot);
  const auto rest = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  std::uint64_t whole = 0, hundredths = 0;
  const bool number = parse_number(whole_text, whole) && rest.size() <= 2 &&
                      (dot == std::string_view::npos || parse_number(rest, hundredths));
  if (!number || whole > 100)
    return Error{Errc::invalid, fmt::format("'{}%' is no share of {}", text, whole_of), {}, "write 50%"};
  if (rest.size() == 1) hundredths *= 10;
  const auto permyriad = whole * 100 + hundredths;
  if (permyriad == 0 || permyriad > 10'000)
    return Error{Errc::invalid,
                 fmt::format("'{}%' is no share of {}", text, whole_of),
                 {},
                 "write more than 0% and at most 100%"};
  return permyriad;
}

/// A share of the memory in whole pages, as systemd's physical_memory_scale().
Result<Amount> parse_percent(std::string_view text, const Facts& facts) {
  const auto permyriad = parse_share(text, "the memory");
  if (!permyriad) return permyriad.error();
  if (facts.memory.count == 0)
    return Error{Errc::unsupported, "the size of this host's memory is not known", {}, "write bytes"};
  const auto page = facts.page_size == 0 ? 4096 : facts.page_size;
  const auto pages = facts.memory.count / page;
  return Amount{pages * *permyriad / 10'000 * page, page};
}

/// systemd's TasksMax: a number, or a share of system_tasks_max(), which rounds down.
Result<Amount> parse_tasks(std::string_view text, const Facts& facts) {
  std::uint64_t number = 0;
  if (parse_number(text, number) && number > 0) return Amount{number, 0};
  if (!text.ends_with('%'))
    return Error{Errc::invalid,
                 fmt::format("'{}' is no number of threads", text),
                 {},
                 "write a number above 0, a share like 10%, or infinity"};
  const auto permyriad = parse_share(text, "the threads");
  if (!permyriad) return permyriad.error();
  if (facts.most_tasks == 0)
    return Error{
        Errc::unsupported, "how many threads this host can have is not known", {}, "write the number of threads"};
  return Amount{facts.most_tasks * *permyriad / 10'000, 1};
}

/// systemd's parse_size() to the base of 1024: "1500M", "1.5G", "1G512M", "1500 M". Anything it would log and ignore,
/// which leaves the slice without any limit, is an error here: "1500m", "1500MB", "1500MiB".
Result<Amount> parse_size(std::string_view text) {
  constexpr std::string_view suffixes = "EPTGMKB";
  const auto bad = [&](std::string hint) {
    return Error{Errc::invalid,
                 fmt::format("systemd would ignore '{}', and there would be no limit", text),
                 {},
                 std::move(hint)};
  };
  std::uint64_t total = 0;
  std::size_t next_suffix = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && text[i] == ' ') ++i;
    std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    std::uint64_t whole = 0;
    if (!parse_number(text.substr(begin, i - begin), whole)) return bad("write it like 1500M or 1.5G");
    double fraction = 0, place = 0.1;
    if (i < text.size() && text[i] == '.') {
      begin = ++i;
      for (; i < text.size() && is_digit(text[i]); ++i, place /= 10) fraction += place * (text[i] - '0');
      if (begin == i) return bad("write it like 1500M or 1.5G");
    }
    while (i < text.size() && text[i] == ' ') ++i;
    std::uint64_t factor = 1;
    if (i < text.size()) {
      const auto suffix = suffixes.find(text[i], 0);
      if (suffix == std::string_view::npos || suffix < next_suffix) {
        return bad("the suffixes are K, M, G and T, in capitals and alone: 1500M");
      }
      factor = std::uint64_t{1} << (10 * (suffixes.size() - 1 - suffix));
      next_suffix = suffix + 1;
      ++i;
      if (i < text.size() && !is_digit(text[i]) && text[i] != ' ') {
        return bad("the suffixes are K, M, G and T, in capitals and alone: 1500M");
      }
    } else {
      next_suffix = suffixes.size();
    }
    const auto add = [&](std::uint64_t part) {
      if (part > std::numeric_limits<std::uint64_t>::max() - total) return false;
      total += part;
      return true;
    };
    if (whole > std::numeric_limits<std::uint64_t>::max() / factor || !add(whole * factor) ||
        !add(static_cast<std::uint64_t>(fraction * static_cast<double>(factor)))) {
      return bad("it is more than can be counted");
    }
  }
  if (total == std::numeric_limits<std::uint64_t>::max()) return bad("write infinity");
  return Amount{total, 0};
}

/// systemd's CPUQuota, as the microseconds of processor time in a second that it makes of it: "150%", "0.5%".
Result<Amount> parse_quota(std::string_view text) {
  const auto bad = [written = text] {
    return Error{Errc::invalid,
                 fmt::format("systemd would ignore '{}', and there would be no limit", written),
                 {},
                 "write a share of one processor like 50% or 150%"};
  };
  if (!text.ends_with('%')) return bad();
  text.remove_suffix(1);
  const auto dot = text.find('.');
  const auto rest = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  std::uint64_t whole = 0, hundredths = 0;
  const bool number = parse_number(text.substr(0, dot), whole) && rest.size() <= 2 && whole <= 1'000'000 &&
                      (dot == std::string_view::npos || parse_number(rest, hundredths));
  if (rest.size() == 1) hundredths *= 10;
  if (!number || whole * 100 + hundredths == 0) return bad();
  return Amount{(whole * 100 + hundredths) * 100, 0};
}

Result<Amount> parse_amount(std::string_view key, std::string_view text, const Facts& facts) {
  if (key == "CPUQuota") return parse_quota(text);
  if (text == "infinity") return Amount{};
  if (key == "TasksMax") return parse_tasks(text, facts);
  if (text.empty())
    return Error{Errc::invalid, "an empty value is no limit", {}, "leave the key out, or write infinity"};
  if (text.ends_with('%')) return parse_percent(text, facts);
  auto amount = parse_size(text);
  if (!amount) return amount;
  if (*amount->number == 0 && key != "MemorySwapMax") {
    return Error{Errc::invalid, fmt::format("systemd would ignore '{}', and there would be no limit", text), {}, {}};
  }
  // The manager keeps bytes in whole pages as well.
  const auto page = facts.page_size == 0 ? 4096 : facts.page_size;
  if (*amount->number % page != 0) amount->slack = page;
  return amount;
}

bool good_name(std::string_view name) {
  constexpr std::string_view suffix = ".conf";
  return name.ends_with(suffix) && name.size() > suffix.size() && name.front() != '.' &&
         name.find('/') == std::string_view::npos && name.find_first_of(" \t%\\") == std::string_view::npos;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  constexpr std::pair<std::string_view, std::string_view> limits[] = {{"memory_max", "MemoryMax"},
                                                                      {"memory_high", "MemoryHigh"},
                                                                      {"memory_swap_max", "MemorySwapMax"},
                                                                      {"tasks_max", "TasksMax"},
                                                                      {"cpu_quota", "CPUQuota"}};
  Rendered out;
  const bool absent = params.text("state") == "absent";
  struct Limit {
    std::string_view key, property;
    Amount amount;
    std::string written;
  };
  std::vector<Limit> wanted;
  std::string content = "[Slice]\n";
  for (const auto& [key, property] : limits) {
    const auto text = params.maybe_text(key);
    if (!text) continue;
    auto amount = parse_amount(property, *text, facts);
    if (!amount) {
      params.reject(key, amount.error().message, amount.error().hint);
      continue;
    }
    if (property == "MemoryMax" && amount->number && *amount->number < least_memory.count) {
      params.reject(key, fmt::format("'{}' is too little for a login", *text), "allow at least " + least_memory.text());
      continue;
    }
    content += fmt::format("{}={}\n", property, *text);
    wanted.push_back({key, property, *amount, *text});
  }
  if (!params.ok()) return out;
  if (wanted.empty() && !absent)
    params.reject("user", "there is no limit to set", "write memory_max, memory_swap_max, tasks_max or cpu_quota");
  const auto name = params.text("drop_in");
  if (!good_name(name)) {
    params.reject("drop_in", fmt::format("'{}' is no name of a drop-in", name), "write a name that ends in .conf");
  } else if (name == "10-defaults.conf") {
    params.reject("drop_in", "'10-defaults.conf' would hide the drop-in of that name systemd ships",
                  "write limits.conf");
  }
  if (!params.ok()) return out;

  const auto user_name = params.text("user");
  const auto* user = facts.find_user(user_name);
  if (user == nullptr) {
    out.refusal =
        Error{Errc::not_found, fmt::format("there is no user '{}' on this host", user_name), {}, "make the user first"};
    return out;
  }
  // In a tree nothing runs, and which init will is not known: the file is made, the rest left out.
  if (facts.init == "openrc" || (facts.live && facts.init != "systemd")) {
    out.refusal = Error{
        Errc::unsupported,
        fmt::format("slices are systemd's, and this host runs {}", facts.init == "openrc" ? "OpenRC" : "no systemd"),
        {},
        "write when: '{{ eq .Facts.init \"systemd\" }}' if only some hosts have it"};
    return out;
  }

  const auto add = [&](std::string_view key, Resource resource) {
    out.chain.push_back(declare(module_name, params, key, std::move(resource)));
  };
  const auto unit = fmt::format("user-{}.slice", user->uid);
  const AbsPath directory(fmt::format("/etc/systemd/system/{}.d", unit));
  LoadedUnit loaded;
  loaded.unit = unit;
  loaded.drop_in = directory.child(name);
  loaded.absent = absent;
  File drop_in{.place = loaded.drop_in};
  drop_in.absent = absent;
  if (absent) {
    add("state", drop_in);
    add("state", loaded);
    return out;
  }
  drop_in.content = content;
  for (const auto& limit : wanted) {
    // systemd answers for CPUQuota by another name.
    const bool quota = limit.property == "CPUQuota";
    loaded.properties.push_back({quota ? "CPUQuotaPerSecUSec" : std::string(limit.property),
                                 limit.amount.number ? fmt::format("{}", *limit.amount.number) : "infinity",
                                 limit.amount.slack, quota ? "CPUQuota" : "", limit.written});
  }
  // Before the first byte is written: any reload of systemd would put the drop-in into force.
  if (!params.boolean("force")) {
    auto room = loaded;
    room.ask = LoadedUnit::Ask::room;
    add("user", room);
  }
  add("user", Directory{.place = directory});
  add("user", drop_in);
  add("user", loaded);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CgroupLimit probe;
    probe.unit = unit;
    probe.property = loaded.properties[i].name;
    probe.value = loaded.properties[i].value;
    probe.slack = wanted[i].amount.slack;
    add(wanted[i].key, probe);
  }
  return out;
}

}  // namespace

extern const Module systemd_slice_module;
const Module systemd_slice_module{
    .name = module_name,
    .summary = "what a user's sessions may use together, through their slice",
    .fields = fields(),
    .example = "systemd_slice:\n  user: tegwick\n  memory_max: 1500M\n  memory_swap_max: 512M\n",
    .render = render,
};

}  // namespace converge
