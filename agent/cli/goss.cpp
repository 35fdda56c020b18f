// The command line of Goss, for a link of that name: what calls Goss today calls us unchanged.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <thread>

#include "checks/gossfile.h"
#include "checks/record.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/outputs.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "engine/work.h"
#include "report/ordered_json.h"
#include "spec/yaml.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Goss's exit codes.
enum GossExit : int { goss_ok = 0, goss_failed = 1, goss_nagios = 2, goss_timeout = 3, goss_bad_input = 78 };

int refuse(const std::string& message, const std::string& hint, int code) {
  fmt::print(stderr, "goss: {}\n", printable(message));
  if (!hint.empty()) fmt::print(stderr, "      {}\n", printable(hint));
  return code;
}

struct Validation {
  std::string format = "rspecish", sleep = "1s", retry_timeout = "0s";
  int max_concurrent = 50;
};

/// "500ms", "1.5s", "1m30s": as Go writes durations.
std::string go_duration(std::chrono::milliseconds time) {
  const auto all = time.count();
  if (all == 0) return "0s";
  if (all < 1000) return fmt::format("{}ms", all);
  std::string out;
  if (all >= 3'600'000) out += fmt::format("{}h", all / 3'600'000);
  if (all >= 60'000) out += fmt::format("{}m", all / 60'000 % 60);
  return out + fmt::format("{}s", static_cast<double>(all % 60'000) / 1e3);
}

int goss_code(int code, const std::string& format) {
  if (code == exit_bad_input || code == exit_usage) return goss_bad_input;
  if (format == "structured") return goss_ok;
  if (code == exit_ok) return goss_ok;
  return format == "nagios" ? goss_nagios : goss_failed;
}

int validate(Options options, const Validation& how) {
  const auto sleep = checks::parse_duration(how.sleep), most = checks::parse_duration(how.retry_timeout);
  if (!sleep || !most) return refuse("a duration is written 500ms, 1.5s or 1m30s", {}, goss_failed);
  if (how.max_concurrent < 1)
    return refuse("--max-concurrent must be at least 1", "with none, no test would run", goss_failed);
  options.at_once = static_cast<std::size_t>(how.max_concurrent);
  options.formats = {how.format == "json" ? "goss_json" : how.format};
  options.as_goss = true;
  const auto outputs = parse_outputs(options.formats);
  if (!outputs) return refuse(outputs.error().text(), outputs.error().hint, goss_failed);
  const bool again = most->count() > 0;
  if (again && options.gossfiles.front() == "-")
    return refuse("standard input cannot be read again for a retry", "name a file with -g", goss_failed);
  const auto start = Clock::now();
  for (int attempt = 1;; ++attempt) {
    const int code = run_verb(options);
    if (!again || code == exit_ok || code == exit_bad_input || interrupted()) return goss_code(code, how.format);
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    if (elapsed + *sleep > *most) {
      fmt::print("Error: timeout of {} reached before tests entered a passing state\n", go_duration(*most));
      return goss_timeout;
    }
    fmt::print("Retrying in {} (elapsed/timeout time: {:.3f}s/{})\n\n\nAttempt #{}:\n", go_duration(*sleep),
               static_cast<double>(elapsed.count()) / 1e3, go_duration(*most), attempt + 1);
    (void)std::fflush(stdout);
    std::this_thread::sleep_for(*sleep);
  }
}

struct Serving {
  std::string format = "rspecish";
  int max_concurrent = 50;
};

int serve(Options options, const Serving& how) {
  if (how.max_concurrent < 1)
    return refuse("--max-concurrent must be at least 1", "with none, no test would run", goss_failed);
  options.formats = {how.format};
  const int code = serve_verb(options);
  return code == exit_bad_input ? goss_bad_input : code == exit_ok ? goss_ok : goss_failed;
}

/// Goss replaces what an entry said without asking.
int add(Options options) {
  options.replace = true;
  const int code = add_verb(options);
  return code == exit_bad_input ? goss_bad_input : code == exit_ok ? goss_ok : goss_failed;
}

/// `goss add TYPE NAME...`; the names go into `options.add`, behind the type.
CLI::App* add_commands(CLI::App& app, Options& options) {
  CLI::App* out = app.add_subcommand("add", "write a check of what is so now into the gossfile")->alias("a");
  out->fallthrough();
  out->require_subcommand(1);
  out->add_option("--exclude-attr", options.exclude_attributes, "attributes to leave out: names or globs")
      ->allow_extra_args(false);
  std::vector<std::string> types = checks::recordable_types();
  types.emplace_back("goss");
  for (const std::string& type : types) {
    CLI::App* sub = out->add_subcommand(type, "");
    sub->fallthrough();
    sub->add_option("NAME", options.add)->required();
    if (type == "addr" || type == "command" || type == "dns" || type == "http" || type == "mount")
      sub->add_option("--timeout", options.add_timeout);
    if (type == "dns") sub->add_option("--server", options.dns_server);
    if (type != "http") continue;
    sub->add_flag("-k,--insecure", options.insecure);
    sub->add_flag("-r,--no-follow-redirects", options.no_follow_redirects);
    sub->add_option("-u,--username", options.http_user);
    sub->add_option_function<std::string>("-p,--password",
                                          [&](const std::string& word) { options.http_password = Secret(word); });
    sub->add_option("-x,--proxy", options.http_proxy);
  }
  return out;
}

/// JSON is YAML too, and says of every value whether it is a text.
int render(const Options& options) {
  Diagnostics diagnostics;
  Loaded loaded;
  bool good = load_inventory(options, false, loaded, diagnostics);
  good = load_gossfile_options(options, loaded, diagnostics) && good;
  const auto system = open_system(AbsPath("/"));
  if (!system) return refuse(system.error().text(), system.error().hint, goss_failed);
  const auto facts = gather_facts(**system);
  if (!facts) return refuse(facts.error().text(), facts.error().hint, goss_failed);
  std::vector<spec::Item> items;
  if (good) items = items_for(options, loaded, "localhost", facts_value(*facts), loaded.sources, diagnostics);
  if (print_diagnostics(diagnostics) || !good) return goss_failed;
  for (const spec::Item& item : items) {
    fmt::print("{}\n", json_text(json_from(spec::write_json(item.parameters)), 2));
  }
  return goss_ok;
}

}  // namespace

int goss_main(const std::vector<std::string>& words) {
  Options options;
  options.verb = "verify";
  options.format_options.clear();
  Validation how;
  std::string gossfile = "./goss.yaml", vars, level;
  bool colour = false, no_colour = false, debug = false;

  CLI::App app("goss, by converge: validates this machine against gossfiles", "goss");
  app.set_version_flag("-v,--version", std::string("goss version v0.4.10"));
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("-g,--gossfile", gossfile, "the gossfile; '-': standard input")->envname("GOSS_FILE");
  app.add_option("--vars", vars, "variables for templates, a file")->envname("GOSS_VARS");
  app.add_option("--vars-inline", options.vars_inline, "the same, inline")->envname("GOSS_VARS_INLINE");
  app.add_option("--package", options.package_manager, "dpkg, rpm, apk or pacman");
  app.add_option("-L,-l,--loglevel,--log-level", level, "ERROR, WARN, INFO, DEBUG or TRACE")->envname("GOSS_LOGLEVEL");
  CLI::App* check = app.add_subcommand("validate", "validate this machine")->alias("v");
  check->fallthrough();
  check->add_option("-f,--format", how.format, "how to report")->envname("GOSS_FMT");
  check->add_option("-o,--format-options", options.format_options, "perfdata, pretty, sort, verbose")
      ->envname("GOSS_FMT_OPTIONS");
  check->add_flag("--color", colour)->envname("GOSS_COLOR");
  check->add_flag("--no-color", no_colour)->envname("GOSS_NOCOLOR");
  check->add_option("-s,--sleep", how.sleep, "between attempts")->envname("GOSS_SLEEP");
  check->add_option("-r,--retry-timeout", how.retry_timeout, "try again until it passes, this long")
      ->envname("GOSS_RETRY_TIMEOUT");
  check->add_option("--deadline", options.deadline, "what has not been looked at by then, in each attempt, is unknown");
  check->add_option("--max-concurrent", how.max_concurrent, "how many commands and requests may run together")
      ->envname("GOSS_MAX_CONCURRENT");
  Serving serving;
  CLI::App* stay = app.add_subcommand("serve", "validate this machine for every request over HTTP")->alias("s");
  stay->fallthrough();
  options.serve = ":8080";
  stay->add_option("-l,--listen-addr", options.serve, "address and port")
      ->envname("GOSS_LISTEN")
      ->capture_default_str();
  stay->add_option("-e,--endpoint", options.endpoint, "the path")->envname("GOSS_ENDPOINT")->capture_default_str();
  stay->add_option("-c,--cache", options.cache, "how long results are answered with")
      ->envname("GOSS_CACHE")
      ->capture_default_str();
  stay->add_option("-f,--format", serving.format, "how to report, where Accept does not say")->envname("GOSS_FMT");
  stay->add_option("-o,--format-options", options.format_options, "perfdata, pretty, sort, verbose")
      ->envname("GOSS_FMT_OPTIONS");
  stay->add_option("--max-concurrent", serving.max_concurrent, "as for validate")->envname("GOSS_MAX_CONCURRENT");
  stay->add_option("--tls-cert", options.tls_certificate, "serve HTTPS with this certificate (PEM)");
  stay->add_option("--tls-key", options.tls_key, "its key, when it is in another file");
  stay->add_option("--tls-client-ca", options.tls_client_ca, "only clients with a certificate of these authorities");
  CLI::App* put = add_commands(app, options);
  CLI::App* find = app.add_subcommand("autoadd", "the same of all that goes by a name")->alias("aa");
  find->fallthrough();
  find->add_option("NAME", options.auto_add)->required();
  CLI::App* show = app.add_subcommand("render", "show the gossfile with its includes, templates rendered")->alias("r");
  show->fallthrough();
  show->add_flag("-d,--debug", debug);

  std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 takes a vector from its end
  if (words.empty()) reversed = {"--help"};
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem);
    if (dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr)
      return refuse("there is no such command here",
                    "validate, serve, render, add and autoadd are what converge does of Goss", goss_timeout);
    return refuse(problem.what(), "see `goss --help`", goss_failed);
  }
  options.gossfiles = {gossfile};
  if (!vars.empty()) options.vars_files = {vars};
  level = lower(level);
  constexpr std::pair<std::string_view, std::string_view> levels[] = {
      {"", ""}, {"error", "error"}, {"warn", "warning"}, {"info", ""}, {"debug", "debug"}, {"trace", "debug"}};
  const auto* known =
      std::find_if(std::begin(levels), std::end(levels), [&](const auto& l) { return l.first == level; });
  if (known == std::end(levels)) return refuse(fmt::format("'{}' is no log level", level), {}, goss_failed);
  options.log_level = known->second;
  options.colour = no_colour ? "never" : colour ? "always" : "auto";
  const auto good = parse_format_options(options.format_options);
  if (!good) return refuse(good.error().text(), good.error().hint, goss_failed);
  if (put->parsed()) options.add.insert(options.add.begin(), put->get_subcommands().front()->get_name());
  if (put->parsed() || find->parsed()) return add(options);
  if (stay->parsed()) return serve(options, serving);
  options.serve.clear();
  return show->parsed() ? render(options) : validate(options, how);
}

}  // namespace converge::cli
