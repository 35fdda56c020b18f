#include "primitives/probe_login.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>

#include "core/text.h"
#include "primitives/reading.h"

namespace converge {
namespace {

constexpr std::pair<std::string_view, std::string_view> rows[] = {{"as", "Max address space"},
                                                                  {"core", "Max core file size"},
                                                                  {"cpu", "Max cpu time"},
                                                                  {"data", "Max data size"},
                                                                  {"fsize", "Max file size"},
                                                                  {"locks", "Max file locks"},
                                                                  {"memlock", "Max locked memory"},
                                                                  {"msgqueue", "Max msgqueue size"},
                                                                  {"nice", "Max nice priority"},
                                                                  {"nofile", "Max open files"},
                                                                  {"nproc", "Max processes"},
                                                                  {"rss", "Max resident set"},
                                                                  {"rtprio", "Max realtime priority"},
                                                                  {"sigpending", "Max pending signals"},
                                                                  {"stack", "Max stack size"}};

/// The text of a service's or an included file; /etc/pam.d hides /usr/lib/pam.d. nullopt if neither has it.
Result<std::optional<std::string>> read_stack(const SystemView& view, std::string_view name) {
  for (const std::string_view directory : {"/etc/pam.d", "/usr/lib/pam.d"}) {
    auto path = AbsPath::parse(name.starts_with('/') ? std::string(name) : fmt::format("{}/{}", directory, name));
    if (!path) return std::optional<std::string>();
    auto text = read_text(view, *path);
    if (!text) return std::move(text).error();
    if (*text) return std::move(*text);
  }
  return std::optional<std::string>();
}

/// Lines with '\' at their end joined to the next, pam.d(5).
std::vector<std::string> logical_lines(std::string_view text) {
  std::vector<std::string> lines;
  bool joined = false;
  for (const auto raw : split_lines(text)) {
    std::string line(without_ending(raw));
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.back() = ' ';
    if (joined) {
      lines.back() += line;
    } else {
      lines.push_back(std::move(line));
    }
    joined = goes_on;
  }
  return lines;
}

/// True if a session through `text` runs pam_limits over the default files.
Result<bool> limits_sessions(const SystemView& view, std::string_view text, int depth) {
  if (depth > 16) return Error{Errc::unparsable, "files of /etc/pam.d include each other without end", {}, {}};
  for (const auto& line : logical_lines(text)) {
    const auto words = fields(line);
    if (words.size() < 2 || words[0].starts_with('#')) continue;
    auto type = lower(words[0]);
    if (type.starts_with('-')) type.erase(0, 1);
    std::optional<std::string_view> included;
    if (type == "@include") {
      included = words[1];
    } else if (type == "session" && words.size() >= 3) {
      if (words[1] == "include" || words[1] == "substack") {
        included = words[2];
      } else {
        std::size_t module = 2;  // after "required", or after "[success=ok default=bad]"
        if (words[1].starts_with('[')) {
          module = 1;
          while (module < words.size() && !words[module].ends_with(']')) ++module;
          ++module;
        }
        if (module >= words.size()) continue;
        const auto name = words[module].substr(words[module].rfind('/') + 1);
        // With conf= it reads that file and no other.
        const bool other_file =
            std::any_of(words.begin(), words.end(), [](auto word) { return word.starts_with("conf="); });
        if (name == "pam_limits.so" && !other_file) return true;
      }
    }
    if (!included) continue;
    auto below = read_stack(view, *included);
    if (!below) return std::move(below).error();
    if (!*below) continue;
    auto found = limits_sessions(view, **below, depth + 1);
    if (!found || *found) return found;
  }
  return false;
}

struct UsePam {
  std::string value, at;
};

/// The first UsePAM that sshd reads, sshd_config(5); nullopt if none is in this file or below.
Result<std::optional<UsePam>> find_use_pam(const SystemView& view, const AbsPath& path, int depth) {
  if (depth > 16) return Error{Errc::unparsable, "sshd_config includes itself without end", {}, {}};
  auto text = read_text(view, path);
  if (!text) return std::move(text).error();
  if (!*text) return std::optional<UsePam>();
  int number = 0;
  for (const auto raw : split_lines(**text)) {
    ++number;
    std::string line(trim(raw));
    if (line.empty() || line.front() == '#') continue;
    std::replace(line.begin(), line.end(), '=', ' ');
    std::replace(line.begin(), line.end(), '"', ' ');
    const auto words = fields(line);
    if (words.size() < 2) continue;
    const auto keyword = lower(words[0]);
    if (keyword == "match") break;  // UsePAM cannot stand in a Match block
    if (keyword == "usepam") return std::optional(UsePam{lower(words[1]), fmt::format("{}:{}", path.str(), number)});
    if (keyword != "include") continue;
    for (std::size_t i = 1; i < words.size(); ++i) {
      auto pattern =
          AbsPath::parse(words[i].starts_with('/') ? std::string(words[i]) : fmt::format("/etc/ssh/{}", words[i]));
      if (!pattern) continue;
      auto names = view.list(pattern->parent());
      if (!names) return std::move(names).error();
      for (const auto& name : names->value_or(std::vector<std::string>())) {
        if (fnmatch(pattern->name().c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
        auto found = find_use_pam(view, pattern->parent().child(name), depth + 1);
        if (!found || *found) return found;
      }
    }
  }
  return std::optional<UsePam>();
}

/// Opens a session of the user through `service`, as a login would, and has it tell its limits. Nobody but root sets
/// those: PAM reads them from /etc, and no user may raise what is theirs.
Command by_systemd(const Person& user, std::string_view service) {
  return {.argv = {"systemd-run", "--wait", "--pipe", "--quiet", "--collect", fmt::format("--uid={}", user.uid), "-p",
                   fmt::format("PAMName={}", service), "cat", "/proc/self/limits"},
          .rests_on_root_alone = true};
}

std::string_view way_in(bool has_sshd) { return has_sshd ? "sshd" : "login"; }

}  // namespace

std::string_view limits_row(std::string_view item) {
  for (const auto& [word, row] : rows)
    if (word == item) return row;
  return {};
}

std::vector<std::string> limit_items() {
  std::vector<std::string> out;
  for (const auto& row : rows) out.emplace_back(row.first);
  return out;
}

Result<SessionLimit> limit_of_session(const Person& user, std::string_view item, const SystemView& view) {
  auto systemd = systemd_runs(view);
  if (!systemd) return std::move(systemd).error();
  auto sshd = read_stack(view, "sshd");
  if (!sshd) return std::move(sshd).error();
  const std::string service(way_in(sshd->has_value()));
  SessionLimit out;
  const auto ask = [&](const Command& command, const std::string& how) {
    const auto answer = view.query(command);
    if (!answer) {
      out.why_not = how + ": " + answer.error().text();
    } else if (answer->exit_code != 0) {
      out.why_not = fmt::format("{} ended with {}: {}", how, answer->exit_code, printable(trim(answer->err)));
    } else if (auto limits = parse_proc_limits(answer->out, limits_row(item))) {
      out.limits = std::move(limits);
      out.how = how;
    } else {
      out.why_not = how + ": its limits are not understood";
    }
    return out.limits.has_value();
  };
  const bool asked = *systemd && ask(by_systemd(user, service), "systemd-run PAMName=" + service);
  if (!asked) ask({.argv = {"runuser", "-u", user.name, "--", "cat", "/proc/self/limits"}}, "runuser");
  return out;
}

std::optional<std::pair<std::string, std::string>> parse_proc_limits(std::string_view text, std::string_view row) {
  if (row.empty()) return std::nullopt;
  std::size_t soft = 0, hard = 0, units = 0;
  for (const auto raw : split_lines(text)) {
    const auto line = without_ending(raw);
    if (line.starts_with("Limit")) {
      soft = line.find("Soft Limit");
      hard = line.find("Hard Limit");
      units = line.find("Units");
      if (soft == std::string_view::npos || hard == std::string_view::npos || hard < soft) return std::nullopt;
      continue;
    }
    if (soft == 0 || !line.starts_with(row) || line.size() <= hard) continue;
    if (row.size() < line.size() && line[row.size()] != ' ') continue;
    const auto end = units == std::string_view::npos ? units : units - hard;
    auto first = std::string(trim(line.substr(soft, hard - soft)));
    auto second = std::string(trim(line.substr(hard, end)));
    if (first.empty() || second.empty()) return std::nullopt;
    return std::pair(std::move(first), std::move(second));
  }
  return std::nullopt;
}

ResourceId id(const LoginLimitInEffect& p) { return fmt::format("login:{}:{}", p.user.name, p.item); }

Wants wants(const LoginLimitInEffect& p, const SystemView& view) {
  const auto systemd = systemd_runs(view);
  const auto sshd = read_stack(view, "sshd");
  if (!systemd || !*systemd || !sshd) return {};
  return {.queries = {by_systemd(p.user, way_in(sshd->has_value()))}, .units = {}};
}

Result<LoginLimitInEffect::State> inspect(const LoginLimitInEffect& p, const SystemView& view) {
  LoginLimitInEffect::State state;
  // cron is crond on Red Hat's side; the others have one name everywhere.
  for (const std::string_view service : {"sshd", "login", "su", "sudo", "cron", "crond", "systemd-user"}) {
    auto text = read_stack(view, service);
    if (!text) return std::move(text).error();
    if (!*text) continue;
    state.services.emplace_back(service);
    auto limited = limits_sessions(view, **text, 0);
    if (!limited) return std::move(limited).error().during("reading the stack of " + std::string(service));
    if (!*limited) state.services_without_pam_limits.emplace_back(service);
  }
  const AbsPath config("/etc/ssh/sshd_config");
  auto there = read_text(view, config);
  if (!there) return std::move(there).error();
  if (*there) {
    auto use_pam = find_use_pam(view, config, 0);
    if (!use_pam) return std::move(use_pam).error();
    state.use_pam = *use_pam ? (*use_pam)->value : "no";
    state.use_pam_at = *use_pam ? (*use_pam)->at : "";
  }
  auto session = limit_of_session(p.user, p.item, view);
  if (!session) return std::move(session).error();
  state.session = std::move(session->limits);
  state.how = std::move(session->how);
  state.why_not = std::move(session->why_not);
  return state;
}

Checks compare(const LoginLimitInEffect& p, const LoginLimitInEffect::State& state) {
  const auto& [user, item, soft, hard] = p;
  (void)user, (void)item;  // whose session was opened, and which row of its limits was read
  Checks checks;
  const auto add = [&](std::string property, std::uint64_t wanted, const std::string* actual) {
    const auto expected = fmt::format("{}", wanted);
    if (actual == nullptr) {
      checks.push_back(check_unknown(std::move(property), expected, state.why_not));
      return;
    }
    auto check = check_equal(std::move(property), expected, *actual);
    if (check.verdict == Verdict::fail) check.detail = "asked by " + state.how;
    checks.push_back(std::move(check));
  };
  add("soft in a new session", soft, state.session ? &state.session->first : nullptr);
  add("hard in a new session", hard, state.session ? &state.session->second : nullptr);
  const std::string all = "in every session stack";
  if (state.services.empty()) {
    checks.push_back(
        {"pam_limits", all, "no PAM on this host", Verdict::fail, "there is nothing in /etc/pam.d to log in by"});
  } else if (state.services_without_pam_limits.empty()) {
    checks.push_back(check_equal("pam_limits", all, all));
  } else {
    checks.push_back(check_equal("pam_limits", all, "not in that of " + join(state.services_without_pam_limits, ", ")));
  }
  if (state.use_pam.empty()) {
    checks.push_back(check_skipped("sshd UsePAM", "yes", "no sshd here"));
  } else {
    auto use_pam = check_equal("sshd UsePAM", "yes", state.use_pam);
    use_pam.detail = state.use_pam_at.empty() ? "nothing sets it, and sshd's default is no" : state.use_pam_at;
    checks.push_back(std::move(use_pam));
  }
  return checks;
}

}  // namespace converge
