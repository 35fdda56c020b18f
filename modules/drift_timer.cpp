// A drift check that runs by itself: a timer of systemd's, or a line for cron where OpenRC runs.
#include <fmt/format.h>

#include <array>

#include "core/text.h"
#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "drift_timer";
constexpr std::string_view unit_name = "converge-drift";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "limit", .kind = Kind::text, .doc = "the host, as the inventory calls it (-l)", .required = true},
      {.name = "directory",
       .kind = Kind::path,
       .doc = "where inventory/ and specs/ lie on the host; root must be able to trust who can write there",
       .required = true},
      {.name = "every",
       .kind = Kind::text,
       .doc = "how often: so many minutes that divide an hour, hours that divide a day, or 1d",
       .fallback = "30min"},
      {.name = "splay",
       .kind = Kind::text,
       .doc = "a timer (not cron) waits up to so long besides, the same every time: hosts do not all look at once",
       .fallback = "5min"},
      {.name = "apply",
       .kind = Kind::boolean,
       .doc = "true: drift is put right, not only reported",
       .fallback = "false"},
      {.name = "program", .kind = Kind::path, .doc = "the converge to run", .fallback = "/usr/local/bin/converge"},
      {.name = "trust_owner", .kind = Kind::text, .doc = "the user besides root who may own inventory and specs"},
      {.name = "textfile",
       .kind = Kind::path,
       .doc = "metrics for node_exporter's textfile collector are written here"},
      {.name = "on_drift",
       .kind = Kind::text_list,
       .doc = "a command that is run on new drift, with it as JSON as its input"},
      {.name = "webhook", .kind = Kind::text, .doc = "a URL that new drift is posted to as JSON"},
      {.name = "state",
       .kind = Kind::text,
       .doc = "absent: timer and service are removed",
       .fallback = "present",
       .choices = {"present", "absent"}},
  };
  return table;
}

/// A way to say when: systemd.time(7) and crontab(5).
struct Schedule {
  std::string calendar, cron;
};
Result<Schedule> parse_every(std::string_view text) {
  const Error bad{Errc::invalid,
                  fmt::format("'{}' does not divide an hour or a day", text),
                  {},
                  "say 5min, 10min, 15min, 30min, 1h, 2h, 6h, 12h or 1d"};
  const auto span = parse_span(text);
  if (!span || *span % 60 != 0) return bad;
  const std::int64_t minutes = *span / 60;
  if (minutes < 60 && 60 % minutes == 0)
    return Schedule{fmt::format("*:0/{}", minutes), fmt::format("*/{} * * * *", minutes)};
  if (minutes == 60) return Schedule{"hourly", "0 * * * *"};
  if (minutes == 1440) return Schedule{"daily", "0 0 * * *"};
  if (minutes % 60 == 0 && minutes < 1440 && 1440 % minutes == 0)
    return Schedule{fmt::format("0/{}:00", minutes / 60), fmt::format("0 */{} * * *", minutes / 60)};
  return bad;
}

/// One word of ExecStart=, systemd.service(5) "COMMAND LINES": quoted, with specifiers and variables as they are.
std::string unit_word(std::string_view word) {
  std::string out;
  bool plain = !word.empty();
  for (const char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    out += c;
    plain = plain && (std::string_view("-_./:=@,+").find(c) != std::string_view::npos || (c >= '0' && c <= '9') ||
                      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
  }
  return plain ? out : "\"" + out + "\"";
}

/// One word for cron's shell; '%' is cron's own newline, crontab(5).
std::string shell_word(std::string_view word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? "'\\''" : c == '%' ? "\\%" : std::string(1, c);
  return out + "'";
}

std::vector<std::string> command_of(const spec::Params& params) {
  std::vector<std::string> words{params.path("program").str()};
  if (!params.boolean("apply")) words.emplace_back("drift");
  words.insert(words.end(), {"-l", params.text("limit"), "-c", "local"});
  if (const auto owner = params.maybe_text("trust_owner")) words.insert(words.end(), {"--trust-owner", *owner});
  if (params.has("textfile")) words.insert(words.end(), {"--textfile", params.path("textfile").str()});
  if (const auto url = params.maybe_text("webhook")) words.insert(words.end(), {"--webhook", *url});
  for (const std::string& word : params.texts("on_drift")) words.insert(words.end(), {"--on-drift", word});
  return words;
}

std::string service_text(const spec::Params& params) {
  std::string command;
  for (const std::string& word : command_of(params)) command += (command.empty() ? "" : " ") + unit_word(word);
  std::string directory;
  const AbsPath place = params.path("directory");
  for (const char c : place.str()) directory += c == '%' ? "%%" : std::string(1, c);
  const bool apply = params.boolean("apply");
  return fmt::format(
      "# Made by converge; edits are drift.\n"
      "[Unit]\n"
      "Description=converge: {}\n"
      "After=network-online.target\n"
      "\n"
      "[Service]\n"
      "Type=oneshot\n"
      "WorkingDirectory={}\n"
      "ExecStart={}\n"
      "# Drift fails the unit: systemctl --failed shows it. A run that found another one busy does not.\n"
      "SuccessExitStatus=75\n"
      "TimeoutStartSec={}\n"
      "Nice=10\n"
      "IOSchedulingClass=idle\n"
      "MemoryMax=256M\n"
      "CPUQuota=100%\n"
      "TasksMax=128\n"
      "UMask=0077\n"
      "StateDirectory=converge\n"
      "StateDirectoryMode=0700\n"
      "LockPersonality=yes\n"
      "RestrictRealtime=yes\n"
      "SystemCallArchitectures=native\n"
      "{}",
      apply ? "what stopped being as declared is put right" : "what stopped being as declared", directory, command,
      apply ? "30min" : "10min",
      apply ? ""
            : "# No option that gives it a view of its own (ProtectSystem= and its like): what it sees is what is so.\n"
              "NoNewPrivileges=yes\n"
              "RestrictSUIDSGID=yes\n"
              "SystemCallFilter=~@reboot @module @clock @swap @obsolete\n");
}

std::string timer_text(const Schedule& schedule, std::int64_t splay, bool apply) {
  return fmt::format(
      "# Made by converge; edits are drift.\n"
      "[Unit]\n"
      "Description=converge: {} from time to time\n"
      "\n"
      "[Timer]\n"
      "OnCalendar={}\n"
      "RandomizedDelaySec={}\n"
      "FixedRandomDelay=yes\n"
      "Persistent=true\n"
      "\n"
      "[Install]\n"
      "WantedBy=timers.target\n",
      apply ? "puts drift right" : "looks for drift", schedule.calendar, splay);
}

Rendered render(const spec::Params& params, const Facts& facts) {
  Rendered out;
  if (!params.ok()) return out;
  const auto schedule = parse_every(params.text("every"));
  if (!schedule) params.reject("every", schedule.error().message, schedule.error().hint);
  std::int64_t splay = 0;
  if (const std::string text = params.text("splay"); text != "0") {
    const auto span = parse_span(text);
    if (!span) params.reject("splay", span.error().message, "say 5min, or 0 for none");
    splay = span ? *span : 0;
  }
  for (const char* key : {"limit", "trust_owner", "webhook"}) {
    const auto text = params.maybe_text(key);
    if (text && text->starts_with('-')) params.reject(key, fmt::format("'{}' would be taken for an option", *text), {});
  }
  if (!params.ok()) return out;
  const bool absent = params.text("state") == "absent";
  const auto add = [&](std::string_view key, Resource resource) {
    out.chain.push_back(declare(module_name, params, key, std::move(resource)));
  };
  if (facts.init == "openrc") {
    std::string command = "cd " + shell_word(params.path("directory").str()) + " &&";
    for (const std::string& word : command_of(params)) command += " " + shell_word(word);
    const bool busybox = facts.os_id == "alpine";  // its crond reads one table a user, and no cron.d
    if (busybox) {
      const AbsPath table("/etc/crontabs/root");
      Line line{.place = table};
      line.line = fmt::format("{} {} >/dev/null # {}", schedule->cron, command, unit_name);
      line.match = fmt::format(" # {}$", unit_name);
      line.absent = absent;
      line.create = true;
      line.mode = Mode{0600};
      add("limit", line);
    } else {
      const AbsPath table = AbsPath("/etc/cron.d").child(unit_name);
      File file{.place = table};
      file.content =
          fmt::format("# Made by converge; edits are drift.\n{} root {} >/dev/null\n", schedule->cron, command);
      file.absent = absent;
      add("limit", file);
    }
    const bool debian = facts.os_id == "debian" || facts.os_id == "devuan" || facts.os_id == "ubuntu";
    const std::string daemon = busybox ? "crond" : debian ? "cron" : "cronie";
    if (!absent) add("limit", Service{.name = daemon, .running = true, .enabled = true});
    return out;
  }
  if (facts.live && facts.init != "systemd") {
    out.refusal = Error{Errc::unsupported, "neither systemd nor OpenRC runs on this host", {}, {}};
    return out;
  }
  const AbsPath directory("/etc/systemd/system");
  const std::string service = fmt::format("{}.service", unit_name), timer = fmt::format("{}.timer", unit_name);
  const Service ticking{.name = timer, .running = !absent, .enabled = !absent, .made_here = true};
  if (absent) add("state", ticking);
  for (const auto& [unit, text] : std::array{std::pair{service, service_text(params)},
                                             std::pair{timer, timer_text(*schedule, splay, params.boolean("apply"))}}) {
    const AbsPath path = directory.child(unit);
    File file{.place = path};
    file.content = text;
    file.absent = absent;
    add(unit == timer ? "every" : "limit", file);
  }
  for (const std::string& unit : {service, timer}) {
    LoadedUnit loaded;
    loaded.unit = unit;
    loaded.drop_in = directory.child(unit);
    loaded.whole = true;
    loaded.absent = absent;
    add("limit", loaded);
  }
  if (!absent) add("every", ticking);
  return out;
}

}  // namespace

extern const Module drift_timer_module;
const Module drift_timer_module{
    .name = module_name,
    .summary = "a drift check that runs by itself: a timer of systemd's, a line for cron under OpenRC",
    .fields = fields(),
    .example = "drift_timer:\n  limit: CoulombCore\n  directory: /srv/converge\n  every: 30min\n  splay: 5min\n",
    .render = render,
};

}  // namespace converge
