// The command line: the table of verbs, their options, and the words of --help. CLI11 stays in this file.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>

#include "cli/outputs.h"
#include "cli/record.h"
#include "cli/verbs.h"
#include "core/diagnostic.h"
#include "core/text.h"
#include "remote/agent.h"
#include "remote/fleet.h"

namespace converge::cli {
namespace {

struct VerbRow {
  const char* name;
  const char* summary;
  const char* examples;
  int (*run)(const Options&);
};

constexpr std::array<VerbRow, 15> verbs{{
    {"apply", "make hosts as their specs say, and prove it (the default)",
     "  sudo converge -l CoulombCore              on the node itself\n"
     "  converge -l CoulombCore --diff -t limits  only items tagged 'limits', with diffs\n"
     "  converge -l CoulombCore --root /mnt/image a directory tree: an image, a test\n"
     "  converge apply tonight.plan               what `converge plan -o tonight.plan` showed, or nothing\n",
     run_verb},
    {"plan", "show what apply would change; writes nothing",
     "  converge plan -l CoulombCore --diff\n  converge plan -l coulomb specs/coulombcore.yaml\n", run_verb},
    {"verify", "assert that it is so, in effect; writes nothing",
     "  sudo converge verify -l CoulombCore\n  converge verify -l CoulombCore -v          also what is in sync\n"
     "  converge verify -g goss.yaml               what a gossfile says, of this machine\n"
     "  converge verify -g goss.yaml --serve :8080 the same as a health endpoint\n"
     "  converge verify --add service sshd         write what is so now into goss.yaml\n",
     run_verb},
    {"drift", "tell what stopped being so, and since when; writes nothing, and remembers",
     "  sudo converge drift -l CoulombCore\n  converge drift -l all -b -f junit:drift.xml\n", run_verb},
    {"history", "the runs that were: a list, one of them whole, what lies between two",
     "  converge history                     the last runs\n  converge history CoulombCore         those of a host\n"
     "  converge history show last           every step and check of one\n  converge history diff 12 14\n"
     "  converge history prune --keep 30d\n",
     history_verb},
    {"schedule", "run the drift check of this host from a timer: install, remove or status",
     "  sudo converge schedule install --every 30min   from the directory that has inventory and specs\n"
     "  sudo converge schedule install --apply         drift is put right, not only reported\n"
     "  converge schedule status\n  sudo converge schedule remove\n",
     schedule_verb},
    {"report", "the fleet as one page for a browser: what is as declared, what drifted and when",
     "  converge report -o report.html\n  converge report -o web.html --since 7d 'web*'\n", report_verb},
    {"serve", "the same page live, and JSON and metrics for programs; it only reads",
     "  converge serve                       http://127.0.0.1:8081/, for this machine alone\n"
     "  converge serve '*:8081' --token-file /etc/converge/token --tls-cert /etc/converge/tls.pem\n",
     fleet_server_verb},
    {"undo", "put back what a run changed on this host; touches nothing if somebody changed it since",
     "  sudo converge undo                   the runs that can be undone\n"
     "  sudo converge undo last --check      what it would put back\n  sudo converge undo 12\n",
     undo_verb},
    {"trust", "show the SSH host keys of new hosts, and pin them in known_hosts",
     "  converge trust -l all\n  converge trust -l 'web*' --yes\n", trust_verb},
    {"facts", "tell what hosts are: system, kernel, memory, addresses",
     "  converge facts -l all\n  converge facts -l all --format json\n", facts_verb},
    {"render", "show the resources specs become, each with the line that asked for it",
     "  converge render -l CoulombCore\n  converge render -l CoulombCore --format json\n", render_verb},
    {"inventory", "show hosts and groups; with --explain, every variable and where it comes from",
     "  converge inventory\n  converge inventory -l 'coulomb:!builders'\n  converge inventory --explain CoulombCore\n",
     inventory_verb},
    {"doc", "tell the keys of a module or a check: types, units, defaults, an example",
     "  converge doc\n  converge doc swapfile\n", doc_verb},
    {"schema", "print the JSON Schema of specs, for editors", "  converge schema > spec.schema.json\n", schema_verb},
}};

constexpr const char* exit_codes =
    "exit codes: 0 in sync or converged, 1 a check or resource failed, 2 differences found (plan, drift), 3 a host "
    "could not "
    "be\n"
    "reached, 4 something could not be determined, 64 usage, 65 bad spec or inventory, 70 internal error, 75 another "
    "run\n"
    "holds the host, 130 interrupted\n";

void add_inventory_options(CLI::App& app, Options& o) {
  app.add_option("-i,--inventory", o.inventory, "inventory file or directory")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("-l,--limit", o.limit, "which hosts: names, groups, all, globs, a:b, a:&b, a:!b, ~regex, @file")
      ->type_name("PATTERN");
  app.add_option("--trust-owner", o.trust_owner, "a user besides root who may own inventory and specs")
      ->type_name("USER");
  app.add_option("-e,--extra-vars", o.extra_vars, "variables over all others: key=value, JSON, YAML or @file")
      ->type_name("VARS")
      ->allow_extra_args(false);
}

void add_spec_options(CLI::App& app, Options& o) {
  app.add_option("SPEC", o.specs, "spec files (default: specs/*.yaml)")->type_name(" ");
  app.add_option("-t,--tags", o.tags, "only items with one of these tags (or of this name or module)")
      ->type_name("TAGS")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--skip-tags", o.skip_tags, "not the items with one of these tags")
      ->type_name("TAGS")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--root", o.root, "work on this directory tree instead of the running system")
      ->type_name("DIR")
      ->capture_default_str();
}

void add_gossfile_options(CLI::App& app, Options& o) {
  app.add_option("-g,--gossfile", o.gossfiles,
                 "assert what a gossfile says (several times: each; '-': standard input);\n"
                 "without -l of this machine, and without specs unless some are named")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--vars", o.vars_files, "variables for the templates of gossfiles; a later file wins")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--vars-inline", o.vars_inline, "the same as JSON or YAML, over those of files")->type_name("VARS");
  app.add_option("--package", o.package_manager, "ask this package manager: dpkg, rpm, apk, pacman")
      ->check(CLI::IsMember({"dpkg", "deb", "rpm", "apk", "pacman"}))
      ->type_name("KIND");
}

void add_serve_options(CLI::App& app, Options& o) {
  app.add_option("--serve", o.serve,
                 "stay, and answer health checks over HTTP: 127.0.0.1:8080, or :8080 on all addresses;\n"
                 "200 if all passes, else 503; Accept chooses the format; /metrics is for Prometheus")
      ->type_name("ADDRESS");
  app.add_option("--endpoint", o.endpoint, "the path of --serve")->type_name("PATH")->capture_default_str();
  app.add_option("--cache", o.cache, "how long --serve answers with the results of a run")
      ->type_name("DURATION")
      ->capture_default_str();
  app.add_option("--tls-cert", o.tls_certificate, "serve HTTPS with this certificate and its chain (PEM)")
      ->type_name("FILE");
  app.add_option("--tls-key", o.tls_key, "its key, when it is in another file")->type_name("FILE");
  app.add_option("--tls-client-ca", o.tls_client_ca, "only clients with a certificate of these authorities")
      ->type_name("FILE");
}

void add_adding_options(CLI::App& app, Options& o) {
  app.add_option("--add", o.add,
                 "write checks of what is so now into goss.yaml, or -g FILE: a type and names, as in\n"
                 "--add file /etc/fstab; all else in the file stays as it is")
      ->type_name("TYPE NAME...");
  app.add_option("--auto-add", o.auto_add,
                 "the same of what goes by a name: file, group, package, port, process, service, user")
      ->type_name("NAME...");
  app.add_option("--exclude-attr", o.exclude_attributes, "--add without these attributes: names or globs")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  app.add_flag("--replace", o.replace, "--add also in place of an entry that says something else");
  app.add_option("--timeout", o.add_timeout, "of --add addr, command, dns, http and mount")->type_name("DURATION");
  app.add_option("--server", o.dns_server, "of --add dns: the server to ask")->type_name("HOST");
  app.add_flag("--insecure", o.insecure, "of --add http: accept any certificate");
  app.add_flag("--no-follow-redirects", o.no_follow_redirects, "of --add http: a redirection is the answer");
}

void add_format(CLI::App& app, Options& o) {
  app.add_option("--format", o.format, "text, or json: one event per line")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
}

void add_history(CLI::App& app, Options& o) {
  app.add_option(
         "--history", o.history,
         "the file that remembers runs; none: nothing is remembered\n"
         "(default: CONVERGE_HISTORY, or /var/lib/converge/history.db for root, or below\n~/.local/state/converge)")
      ->type_name("FILE");
}

void add_telling(CLI::App& app, Options& o) {
  app.add_option("--textfile", o.textfile, "write metrics of the run here, for node_exporter's textfile collector")
      ->type_name("PATH");
  app.add_option("--on-drift", o.on_drift,
                 "run this on new drift, with it as JSON on standard input; once for each word")
      ->type_name("WORD")
      ->allow_extra_args(false);
  app.add_option("--webhook", o.webhook, "post new drift as JSON to this URL, or to that in @FILE")->type_name("URL");
}

void add_outputs(CLI::App& app, Options& o) {
  app.add_option("-f,--format", o.formats,
                 "how to report, several times: NAME, or NAME:FILE for a file:\n" + output_names())
      ->type_name("FORMAT")
      ->allow_extra_args(false);
  app.add_option("-o,--format-options", o.format_options, "of such formats: perfdata, pretty, sort, verbose")
      ->type_name("WORDS");
}

void add_host_options(CLI::App& app, Options& o) {
  app.add_option("-u,--user", o.user, "user to log in as over SSH")->type_name("NAME");
  app.add_option("-j,--forks", o.parallel, "hosts at a time")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--connect-timeout", o.connect_timeout, "seconds to reach a host and log in")
      ->check(CLI::Range(1, 600))
      ->type_name("SECONDS")
      ->capture_default_str();
}

/// Why `text` is no share of the hosts; "" if it is one.
std::string not_a_share(const std::string& text) {
  const auto share = remote::Share::parse(text);
  return share ? "" : fmt::format("{}: {}", share.error().message, share.error().hint);
}

std::string not_a_batch(const std::string& text) {
  std::string problem = not_a_share(text);
  if (problem.empty() && remote::Share::parse(text)->number == 0)
    problem = "a batch of 0 hosts never ends: say 1 or more";
  return problem;
}

void add_connection_options(CLI::App& app, Options& o) {
  add_host_options(app, o);
  app.add_flag("-b,--become", o.become, "become root by sudo or doas when not root");
  app.add_flag("-K,--ask-become-pass", o.ask_become_password, "ask once for the password that sudo wants");
  app.add_option("--become-method", o.become_method, "sudo or doas; without it, what is there")
      ->check(CLI::IsMember({"sudo", "doas"}))
      ->type_name("METHOD");
  app.add_option("--serial", o.serial, "hosts in a batch, 5 or 30%; the next begins when all of one are done")
      ->check(not_a_batch, "")
      ->type_name("N");
  app.add_option("--max-fail", o.max_fail, "begin no more hosts when more than this many of a batch failed, 5 or 30%")
      ->check(not_a_share, "")
      ->type_name("N");
  app.add_option("--host-timeout", o.host_timeout, "seconds for everything on one host; 0: no limit")
      ->type_name("SECONDS")
      ->capture_default_str();
}

void add_run_options(CLI::App& app, Options& o, bool writes) {
  app.add_option("-c,--connection", o.connection, "local: the hosts are this machine")
      ->check(CLI::IsMember({"local", "ssh"}))
      ->type_name("KIND");
  add_connection_options(app, o);
  app.add_flag("--diff", o.diff, "show unified diffs of files");
  if (writes) {
    app.add_flag("--check", o.check, "the same as the verb plan");
    app.add_flag("--wait", o.wait, "wait for another run to end instead of stopping");
  }
  app.add_flag("-v,--verbose", o.verbose, "also what is in sync; twice: the log tells every look and change");
  app.add_option("--log-level", o.log_level,
                 "least to log on standard error: debug, info, warning, error or off\n"
                 "(default: warning; with -v info, with -v -v debug)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->type_name("LEVEL");
  app.add_option("--color,--colour", o.colour, "auto, always or never; NO_COLOR is honoured")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN")
      ->capture_default_str();
}

/// `wanted`: with its options.
void add_verb(CLI::App& app, const VerbRow& row, bool wanted, Options& o) {
  CLI::App* sub = app.add_subcommand(row.name, row.summary);
  if (!wanted) return;
  sub->footer(fmt::format("examples:\n{}\n{}", row.examples, exit_codes));
  const std::string_view name = row.name;
  if (name == "apply" || name == "plan" || name == "verify" || name == "drift" || name == "render") {
    add_inventory_options(*sub, o);
    add_spec_options(*sub, o);
    if (name == "verify" || name == "drift") {
      add_outputs(*sub, o);
      sub->add_option("--deadline", o.deadline,
                      "what has not been looked at by then, on each host, is unknown: 30s, 1m30s")
          ->type_name("TIME");
    } else {
      add_format(*sub, o);
    }
    if (name != "render") add_run_options(*sub, o, name == "apply");
    if (name != "render" && name != "plan") add_history(*sub, o);
    if (name == "apply" || name == "drift") add_telling(*sub, o);
    if (name == "plan")
      sub->add_option("-o,--out", o.out,
                      "keep the plan in this file: `converge apply FILE` does exactly that, or nothing")
          ->type_name("FILE");
    if (name == "verify") {
      add_gossfile_options(*sub, o);
      add_adding_options(*sub, o);
      add_serve_options(*sub, o);
    }
  } else if (name == "trust" || name == "facts") {
    add_inventory_options(*sub, o);
    add_host_options(*sub, o);
    if (name == "facts")
      add_format(*sub, o);
    else
      sub->add_flag("-y,--yes", o.yes, "pin without asking");
  } else if (name == "inventory") {
    add_inventory_options(*sub, o);
    add_format(*sub, o);
    sub->add_option("--explain", o.explain, "every variable of HOST, its value, and where it comes from")
        ->type_name("HOST");
  } else if (name == "schedule") {
    add_inventory_options(*sub, o);
    add_format(*sub, o);
    add_telling(*sub, o);
    sub->add_option("WORD", o.words, "install, remove or status")->type_name(" ");
    sub->add_option("--every", o.every, "how often: 5min, 30min, 1h, 6h, 1d ...")
        ->type_name("SPAN")
        ->capture_default_str();
    sub->add_option("--splay", o.splay, "wait up to so long besides, the same every time")
        ->type_name("SPAN")
        ->capture_default_str();
    sub->add_flag("--apply", o.heal, "put drift right instead of only reporting it");
    sub->add_option("-c,--connection", o.connection, "local: the host of -l is this machine")
        ->check(CLI::IsMember({"local"}))
        ->type_name("KIND");
    sub->add_option("--root", o.root, "work on this directory tree instead of the running system")
        ->type_name("DIR")
        ->capture_default_str();
    sub->add_flag("--diff", o.diff, "show unified diffs of files");
    sub->add_flag("--wait", o.wait, "wait for another run to end instead of stopping");
  } else if (name == "history") {
    add_format(*sub, o);
    add_history(*sub, o);
    sub->add_option("WORDS", o.words, "HOST, show RUN, diff RUN RUN, or prune")->type_name(" ");
    sub->add_option("-n,--last", o.last, "so many runs")
        ->check(CLI::Range(1, 1000000))
        ->type_name("N")
        ->capture_default_str();
    sub->add_option("--keep", o.keep, "prune: runs of this span of time stay")
        ->type_name("SPAN")
        ->capture_default_str();
  } else if (name == "report") {
    add_history(*sub, o);
    sub->add_option("HOST", o.words, "only these hosts; globs are hosts, too")->type_name(" ");
    sub->add_option("-o,--output", o.output, "the file to write; without it, standard output")->type_name("FILE");
    sub->add_option("--since", o.since, "how far back it goes")->type_name("SPAN")->capture_default_str();
    sub->add_option("--stale", o.stale, "mark what was not looked at for so long")
        ->type_name("SPAN")
        ->capture_default_str();
  } else if (name == "serve") {
    add_history(*sub, o);
    sub->add_option("ADDRESS", o.words, "where to listen; '*:8081' is on all addresses (default: 127.0.0.1:8081)")
        ->expected(0, 1)
        ->type_name(" ");
    sub->add_option("--stale", o.stale, "mark what was not looked at for so long")
        ->type_name("SPAN")
        ->capture_default_str();
    sub->add_option("--token-file", o.token_file,
                    "what clients must show, as 'Authorization: Bearer' or at /login;\nneeded unless the address is "
                    "this machine's alone")
        ->type_name("FILE");
    sub->add_option("--tls-cert", o.tls_certificate, "serve HTTPS with this certificate and its chain (PEM)")
        ->type_name("FILE");
    sub->add_option("--tls-key", o.tls_key, "its key, when it is in another file")->type_name("FILE");
    sub->add_option("--tls-client-ca", o.tls_client_ca, "only clients with a certificate of these authorities")
        ->type_name("FILE");
  } else if (name == "undo") {
    add_format(*sub, o);
    add_history(*sub, o);
    sub->add_option("RUN", o.words, "its number in the history, the beginning of its uid, or last; without: a list")
        ->type_name(" ");
    sub->add_flag("-b,--become", o.become, "become root by sudo when not root");
    sub->add_flag("-K,--ask-become-pass", o.ask_become_password, "let sudo ask for the password");
    sub->add_flag("--check", o.check, "show what would be put back; writes nothing");
    sub->add_flag("--wait", o.wait, "wait for another run to end instead of stopping");
    sub->add_flag("-v,--verbose", o.verbose, "also what is as it was before");
  } else if (name == "doc") {
    sub->add_option("MODULE", o.module, "a module or a type of check; without one, all of them")->type_name(" ");
  }
}

bool takes_value(std::string_view word) {
  constexpr auto options = std::to_array<std::string_view>({"--trust-owner",
                                                            "--out",
                                                            "--token-file",
                                                            "--tls-cert",
                                                            "--tls-key",
                                                            "--tls-client-ca",
                                                            "--output",
                                                            "--since",
                                                            "--stale",
                                                            "--textfile",
                                                            "--on-drift",
                                                            "--webhook",
                                                            "--every",
                                                            "--splay",
                                                            "-g",
                                                            "--history",
                                                            "-n",
                                                            "--last",
                                                            "--keep",
                                                            "--exclude-attr",
                                                            "--timeout",
                                                            "--server",
                                                            "--serve",
                                                            "--endpoint",
                                                            "--cache",
                                                            "-f",
                                                            "-o",
                                                            "--format-options",
                                                            "--gossfile",
                                                            "--vars",
                                                            "--vars-inline",
                                                            "--package",
                                                            "-i",
                                                            "--inventory",
                                                            "-l",
                                                            "--limit",
                                                            "-e",
                                                            "--extra-vars",
                                                            "-t",
                                                            "--tags",
                                                            "--skip-tags",
                                                            "--root",
                                                            "-c",
                                                            "--connection",
                                                            "-u",
                                                            "--user",
                                                            "--format",
                                                            "--color",
                                                            "--colour",
                                                            "--explain",
                                                            "--serial",
                                                            "--log-level",
                                                            "--max-fail",
                                                            "--connect-timeout",
                                                            "--host-timeout",
                                                            "--deadline",
                                                            "--become-method",
                                                            "-j",
                                                            "--forks"});
  return std::find(options.begin(), options.end(), word) != options.end();
}

/// Where words stand that are no option's value, up to "--".
std::vector<std::size_t> plain_words(const std::vector<std::string>& words) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (takes_value(words[i]))
      ++i;
    else
      out.push_back(i);
  }
  return out;
}

/// The verb may stand anywhere, or nowhere: then it is apply. It is moved to the front, where CLI11 wants it.
std::vector<std::string> verb_first(std::vector<std::string> words) {
  for (const std::size_t i : plain_words(words)) {
    const auto found =
        std::find_if(verbs.begin(), verbs.end(), [&](const VerbRow& row) { return words[i] == row.name; });
    if (found == verbs.end()) continue;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    words.insert(words.begin(), found->name);
    return words;
  }
  const bool about_us = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "--version";
  });
  if (words.empty() || about_us) return words;
  words.insert(words.begin(), "apply");
  return words;
}

/// What to say of a word that stands where a spec may, is no file and is nearly a verb; "" if there is none.
std::string misspelt_verb(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const VerbRow& row : verbs) names.emplace_back(row.name);
  for (const std::size_t i : plain_words(words)) {
    std::error_code ignored;
    if (words[i].starts_with('-') || words[i].find_first_of("./=,") != std::string::npos ||
        std::filesystem::exists(words[i], ignored))
      continue;
    if (const std::string hint = did_you_mean(words[i], names); !hint.empty())
      return fmt::format("there is no verb and no spec '{}'\n          {}", printable(words[i]), hint);
  }
  return {};
}

}  // namespace

int main_of(int argc, char** argv) {
  Options options;
  std::vector<std::string> words(argv + 1, argv + argc);
  const std::string_view called = argc > 0 ? std::string_view(argv[0]) : "converge";
  const std::string_view name = called.substr(called.rfind('/') + 1);
  // A node's side of a run: no verb for people.
  if (words.size() == 2 && words[0] == "agent") return remote::serve_agent(words[1], past_runs);
  if (words.size() == 3 && words[0] == "agent-install") return remote::install_agent(words[1], words[2]);
  if (name == "goss") return goss_main(words.empty() ? std::vector<std::string>{"--help"} : words);
  if (words.empty()) words = {"--help"};
  if (name == "verify") words.insert(words.begin(), "verify");  // a link of that name is the verb
  options.arguments = words;
  std::vector<std::string> ordered = verb_first(words);
  const bool implied = ordered.size() > words.size();
  if (const std::string problem = implied ? misspelt_verb(words) : ""; !problem.empty()) {
    fmt::print(stderr, "converge: {}\n", problem);
    return exit_usage;
  }
  words = std::move(ordered);

  CLI::App app("converge: says what a host should be, makes it so, and proves it", "converge");
  app.set_version_flag("--version", std::string("converge " CONVERGE_VERSION));
  app.require_subcommand(1);
  app.footer(
      fmt::format("without a verb: apply. `converge VERB --help` tells its options.\n\nexamples:\n"
                  "  converge plan -l CoulombCore\n  sudo converge -l CoulombCore\n  converge -l all -b -j 50\n"
                  "  sudo converge verify -l CoulombCore\n\n{}",
                  exit_codes));
  // The options of the others would cost more time than a run takes.
  for (const VerbRow& row : verbs) add_verb(app, row, words.front() == row.name, options);
  std::reverse(words.begin(), words.end());  // CLI11 takes a vector from its end
  try {
    app.parse(words);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem);
    fmt::print(stderr, "converge: {}\n          see `converge --help`\n", problem.what());
    return exit_usage;
  }
  options.verb = app.get_subcommands().front()->get_name();
  for (const VerbRow& row : verbs)
    if (options.verb == row.name) return row.run(options);
  return exit_usage;
}

}  // namespace converge::cli
