#include "cli/elsewhere.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "checks/gossfile.h"
#include "cli/interrupt.h"
#include "core/text.h"
#include "remote/agent.h"
#include "remote/fleet.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

using remote::HostEnd;
using remote::News;

/// A host's variables that say how to reach it, evaluated: several of them may use each other.
class ConnectionVariables {
 public:
  ConnectionVariables(const Loaded& loaded, const std::string& host, Diagnostics& diagnostics)
      : variables_(spec::merge_variables(loaded.inventory, host, {}, loaded.extra)),
        diagnostics_(diagnostics),
        scope_(variables_, no_facts_, diagnostics) {}

  std::string text(const std::string& name) {
    at_ = {};
    for (const char* prefix : {"converge_", "ansible_", "ansible_ssh_"}) {
      const auto it = variables_.find(prefix + name);
      if (it == variables_.end()) continue;
      at_ = it->second.value().at();
      const auto value = scope_.templates().evaluate(it->second.value(), scope_.scope(), diagnostics_);
      return value ? value->text() : "";
    }
    return {};
  }
  SourcePos at() const { return at_; }  // of the variable read last
  void forget_place() { at_ = {}; }

 private:
  spec::Variables variables_;
  Diagnostics& diagnostics_;
  spec::Value no_facts_{spec::Map{}};
  spec::VariableScope scope_;
  SourcePos at_;
};

void complain(Diagnostics& diagnostics, SourcePos at, std::string message, std::string hint) {
  diagnostics.push_back({at, std::move(message), std::move(hint), Severity::error});
}

std::int64_t now_micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string who_and_where() {
  struct utsname here = {};
  (void)uname(&here);
  const char* user = std::getenv("SUDO_USER");
  if (user == nullptr) user = std::getenv("USER");
  const Timestamp now{now_micros()};
  return fmt::format("the run of {} from {} (pid {}, since {})", user == nullptr ? "root" : user, here.nodename,
                     getpid(), now.text());
}

std::string one_line(const remote::LeftRun& left) {
  const auto count = [&](Outcome outcome) { return left.tally.of(outcome); };
  return fmt::format("the connection of {} was lost: it ended here on {} with {} changed, {} failed, {} not begun",
                     left.by, left.ended, count(Outcome::changed), count(Outcome::failed), count(Outcome::blocked));
}

/// The run of one fleet: what its listeners share.
class Fleet {
 public:
  Fleet(const Options& options, Loaded& loaded, const FleetOrder& order, Reporter& reporter)
      : options_(options),
        order_(order),
        hosts_(order.hosts),
        loaded_(loaded),
        reporter_(reporter),
        transport_(remote::ssh_transport(ssh_settings())),
        by_(who_and_where()) {
    image_ = remote::own_image();
    limits_.connect = std::chrono::seconds(options.connect_timeout);
    limits_.host = std::chrono::seconds(options.host_timeout);
    deadline_ = checks::parse_duration(options.deadline).value_or(std::chrono::milliseconds(0));
    // The host itself keeps the deadline. One that cannot even tell of it is not waited for much longer.
    constexpr auto to_get_there_and_back = std::chrono::seconds(30);
    if (deadline_.count() > 0 && options.host_timeout == 0)
      limits_.host = std::chrono::ceil<std::chrono::seconds>(deadline_) + to_get_there_and_back + limits_.connect;
  }

  FleetRun run() {
    remote::FleetOptions options{.parallel = options_.parallel};
    if (const auto serial = remote::Share::parse(options_.serial)) options.serial = *serial;
    if (const auto most = remote::Share::parse(options_.max_fail)) options.max_fail = *most;
    const auto left = remote::run_fleet(
        hosts_.size(), options, [&](std::size_t host, const remote::Tell& tell) { return work(host, tell); },
        [&](std::size_t host, const News& news) { tell(hosts_[host], news); },
        [&](std::size_t host, const HostEnd& end) { return ended(hosts_[host], end); }, [] { return interrupted(); });
    for (const std::size_t host : left)
      failed(hosts_[host], NoRun::not_begun,
             interrupted() ? Error{Errc::timeout, "interrupted before its turn came", {}, {}}
                           : Error{Errc::refused, "too many hosts before it failed (--max-fail)", {}, {}},
             interrupted() ? exit_interrupted : exit_failed);
    if (interrupted()) out_.code = exit_interrupted;
    return std::move(out_);
  }

 private:
  HostEnd work(std::size_t index, const remote::Tell& tell) {
    const std::string& host = hosts_[index];
    remote::Order order;
    Diagnostics mistakes;
    Sources sources;  // what the items point into, for as long as this host takes
    {
      const std::lock_guard lock(loading_);
      Reach reach = reach_of(options_, loaded_, host, mistakes);
      order.target = std::move(reach.target);
      order.become = reach.become;
    }
    order.password = order_.password;
    order.run = {
        .run = order_.run,
        .by = by_,
        .verb = order_.verb,
        .diff = options_.diff || order_.remember,
        .all = options_.verbose > 0 || options_.format == "json" || !options_.formats.empty() || order_.remember,
        .wait = options_.wait};
    order.run.deadline = deadline_;
    if (order_.remember) {
      const auto looked = order_.looked.find(host);
      const std::int64_t now = now_micros();
      order.run.since = std::chrono::microseconds(looked == order_.looked.end() ? now : now - looked->second.micros);
      order.run.host = host;
    }
    order.items = [&](const spec::Value& facts) -> Result<std::vector<spec::Item>> {
      const std::lock_guard lock(loading_);
      Diagnostics found;
      auto items = items_for(options_, loaded_, host, facts, sources, found);
      // Warnings were told before any host was reached.
      std::erase_if(found, [](const Diagnostic& one) { return one.severity != Severity::error; });
      if (found.empty()) return items;
      std::string text;
      for (const Diagnostic& one : found) text += render(one);
      return Error{Errc::invalid, "its items have mistakes with the facts of this host:\n" + text, {}, {}};
    };
    return remote::run_on_host(*transport_, order, image_, limits_, tell, [] { return interrupted(); });
  }

  void tell(const std::string& host, const News& news) {
    if (const auto* doing = std::get_if<remote::Doing>(&news)) {
      reporter_.doing(host, doing->what);
      if (doing->what == remote::stopping) reporter_.note(host, doing->what);
    }
    if (const auto* step = std::get_if<Step>(&news)) reporter_.step(host, *step);
    if (const auto* left = std::get_if<remote::LeftRun>(&news)) reporter_.note(host, one_line(*left));
    if (const auto* evidence = std::get_if<Testimony>(&news)) reporter_.evidence(host, *evidence);
    if (const auto* past = std::get_if<PastRun>(&news)) reporter_.past(host, *past);
  }

  bool ended(const std::string& host, const HostEnd& end) {
    if (std::chrono::abs(end.ahead) > std::chrono::seconds(5))  // certificates and tokens will not like it
      reporter_.note(host, fmt::format("its clock is {} s {} this machine's", std::abs(end.ahead.count()),
                                       end.ahead.count() > 0 ? "ahead of" : "behind"));
    if (end.tally) {
      reporter_.host_ends(host, *end.tally, end.took);
      const int code = exit_code(order_.verb, *end.tally);
      out_.code = worse(out_.code, code);
      const bool good = code == exit_ok || code == exit_differences;
      if (!good) out_.failed.push_back(host);
      return good;
    }
    Error error = end.error ? *end.error : Error{};
    for (const auto& mistake : end.mistakes)
      error.message +=
          fmt::format("\n{}:{}:{}: error: {}", mistake.source, mistake.line, mistake.column, mistake.message);
    const bool bad_input = error.code == Errc::invalid && end.why == NoRun::refused;
    failed(host, end.why, error,
           end.why == NoRun::busy      ? exit_busy
           : bad_input                 ? exit_bad_input
           : end.why == NoRun::lost    ? exit_unknown
           : end.why == NoRun::refused ? exit_failed
                                       : exit_unreachable);
    return false;
  }

  void failed(const std::string& host, NoRun why, Error error, int code) {
    // Whoever means one host may be on it, under another name.
    if (why == NoRun::unreachable && hosts_.size() == 1 && !error.hint.empty())
      error.hint += fmt::format("; if '{}' is this machine: -c local", host);
    reporter_.host_failed(host, why, error);
    out_.code = worse(out_.code, code);
    out_.failed.push_back(host);
  }

  const Options& options_;
  const FleetOrder& order_;
  const std::vector<std::string>& hosts_;
  Loaded& loaded_;
  Reporter& reporter_;
  std::unique_ptr<remote::Transport> transport_;
  std::string by_;
  remote::AgentImage image_;
  remote::Limits limits_;
  std::chrono::milliseconds deadline_{0};
  std::mutex loading_;  // specs are evaluated by one thread at a time
  FleetRun out_;
};

}  // namespace

Reach reach_of(const Options& options, Loaded& loaded, const std::string& host, Diagnostics& diagnostics) {
  ConnectionVariables variables(loaded, host, diagnostics);
  Reach reach;
  reach.target.host = host;
  const auto check_name = [&](const std::string& word, const char* of_what) {
    if (word.starts_with('-') || printable(word) != word || word.find(' ') != std::string::npos)
      complain(diagnostics, variables.at(), fmt::format("'{}' is no name of a {}", printable(word), of_what),
               "names do not begin with '-', and hold no blanks or control characters");
  };
  reach.target.address = variables.text("host");
  if (reach.target.address.empty()) reach.target.address = host;
  check_name(reach.target.address, "host");
  reach.target.user = variables.text("user");
  if (!options.user.empty()) {
    reach.target.user = options.user;
    variables.forget_place();  // it stands on the command line
  }
  check_name(reach.target.user, "user");
  if (const std::string port = variables.text("port"); !port.empty()) {
    std::uint64_t number = 0;
    if (!parse_number(port, number) || number == 0 || number > 65535)
      complain(diagnostics, variables.at(), fmt::format("'{}' is no port", printable(port)), "say 1 to 65535");
    else
      reach.target.port = static_cast<std::uint16_t>(number);
  }
  if (std::string file = variables.text("private_key_file"); !file.empty())
    reach.target.identity_files.push_back(std::move(file));
  const std::string become = lower(variables.text("become"));
  const bool wanted = options.become || options.ask_become_password || become == "true" || become == "yes";
  if (!wanted) return reach;
  const std::string method = options.become_method.empty() ? variables.text("become_method") : options.become_method;
  if (method.empty())
    reach.become = remote::Become::automatic;
  else if (method == "sudo")
    reach.become = remote::Become::sudo;
  else if (method == "doas")
    reach.become = remote::Become::doas;
  else
    complain(diagnostics, variables.at(), fmt::format("'{}' is no way to become root here", printable(method)),
             "say sudo or doas");
  return reach;
}

std::optional<Secret> ask_secret(const std::string& question) {
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0) return std::nullopt;
  struct termios shown = {};
  (void)tcgetattr(terminal, &shown);
  struct termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  (void)tcsetattr(terminal, TCSAFLUSH, &hidden);
  (void)!write(terminal, question.data(), question.size());
  std::string answer;
  char c = 0;
  bool whole = false;
  while (answer.size() < 4096 && ::read(terminal, &c, 1) == 1) {
    whole = c == '\n';
    if (whole) break;
    answer += c;
  }
  (void)tcsetattr(terminal, TCSAFLUSH, &shown);
  (void)!write(terminal, "\n", 1);
  (void)close(terminal);
  if (!whole) return std::nullopt;
  return Secret(std::move(answer));
}

remote::SshSettings ssh_settings() {
  remote::SshSettings settings;
  if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1)
    settings.passphrase = [](const std::string& key_file) {
      return ask_secret(fmt::format("passphrase of {}: ", printable(key_file)));
    };
  return settings;
}

int worse(int a, int b) {
  constexpr std::array order{exit_ok,          exit_differences, exit_unknown, exit_busy,
                             exit_unreachable, exit_bad_input,   exit_failed,  exit_interrupted};
  const auto rank = [&](int code) { return std::find(order.begin(), order.end(), code) - order.begin(); };
  return rank(a) >= rank(b) ? a : b;
}

std::vector<std::string> check_elsewhere(const Options& options, Loaded& loaded, std::vector<std::string> hosts,
                                         Facts& here, Diagnostics& diagnostics) {
  const spec::Value facts = facts_value(here);
  std::vector<std::string> out;
  for (std::string& host : hosts) {
    (void)reach_of(options, loaded, host, diagnostics);
    if (specs_for(loaded, host, diagnostics).empty() && options.gossfiles.empty()) {
      if (hosts.size() == 1)
        complain(diagnostics, {}, fmt::format("no spec is for '{}'", host),
                 "see the `hosts:` of the specs, or give the host to one of their groups");
      else
        fmt::print(stderr, "converge: no spec is for '{}': it is left out\n", printable(host));
      continue;
    }
    auto sources = std::make_unique<Sources>();
    Diagnostics found;
    auto items = items_for(options, loaded, host, facts, *sources, found);
    const bool none = items.empty();
    (void)render_items(std::move(items), nullptr, here, found);
    if (none && found.empty() && hosts.size() == 1)
      complain(diagnostics, {}, fmt::format("nothing is left to do on '{}' with these tags", host),
               "see `converge render` for the items and their tags");
    if (!found.empty()) {
      diagnostics.insert(diagnostics.end(), found.begin(), found.end());
      loaded.kept.push_back(std::move(sources));  // they point into it
    }
    if (!none) out.push_back(std::move(host));
  }
  return out;
}

FleetRun run_elsewhere(const Options& options, Loaded& loaded, const FleetOrder& order, Reporter& reporter) {
  return Fleet(options, loaded, order, reporter).run();
}

}  // namespace converge::cli
