#include "remote/ssh_config.h"

#include <fmt/format.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "core/text.h"

namespace converge::remote {
namespace {

constexpr int max_include_depth = 16;  // READCONF_MAX_DEPTH of OpenSSH

struct Account {
  std::string name, home;
};

Account account() {
  Account out;
  std::array<char, 4096> room{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(getuid(), &entry, room.data(), room.size(), &found) == 0 && found != nullptr)
    out = {found->pw_name, found->pw_dir};
  const auto variable = [](const char* name) { return std::string(getenv(name) != nullptr ? getenv(name) : ""); };
  if (out.name.empty()) out.name = variable("USER");
  // ssh(1) takes the home of passwd(5) whatever HOME says; git and Ansible, and so we, let HOME move it.
  if (const std::string home = variable("HOME"); home.starts_with('/') || out.home.empty()) out.home = home;
  return out;
}

bool matches(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (std::size_t skip = 0; skip <= text.size(); ++skip)
      if (matches(text.substr(skip), pattern.substr(1))) return true;
    return false;
  }
  return !text.empty() && (pattern.front() == '?' || pattern.front() == text.front()) &&
         matches(text.substr(1), pattern.substr(1));
}

/// ssh_config(5), PATTERNS: a negated pattern that matches outweighs all others. OpenSSH lowers the patterns of Match,
/// not those of Host, and never the text.
template <class Patterns>
bool matches_list(std::string_view text, const Patterns& patterns, bool lower_patterns) {
  bool found = false;
  for (const auto& each : patterns) {
    const std::string pattern = lower_patterns ? lower(each) : std::string(each);
    if (pattern.starts_with('!')) {
      if (matches(text, std::string_view(pattern).substr(1))) return false;
    } else if (matches(text, pattern)) {
      found = true;
    }
  }
  return found;
}

/// Words of a line: blanks separate, quotes hold together, a word that starts with '#' ends it. nullopt: an open quote.
std::optional<std::vector<std::string>> words(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
      continue;
    }
    if (text[at] == '#') break;
    std::string word;
    char quote = 0;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\'' || text[at + 1] == '\\'))
        word += text[++at];
      else if (quote == 0 && (c == ' ' || c == '\t'))
        break;
      else if (quote == 0 && (c == '"' || c == '\''))
        quote = c;
      else if (quote != 0 && c == quote)
        quote = 0;
      else
        word += c;
    }
    if (quote != 0) return std::nullopt;
    out.push_back(word);
  }
  return out;
}

using Tokens = std::map<char, std::string>;

Result<std::string> expand(std::string_view text, const Tokens& tokens) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    const char key = ++at < text.size() ? text[at] : '%';
    const auto found = tokens.find(key);
    if (key != '%' && found == tokens.end())
      return Error{Errc::invalid, fmt::format("'%{}' in '{}' is not known here", key, printable(text)), {}, {}};
    out += key == '%' ? "%" : found->second;
  }
  return out;
}

/// A file name: '~/' and ${NAME} too.
Result<std::string> expand_path(std::string_view text, const Tokens& tokens) {
  auto out = expand(text, tokens);
  if (!out) return out;
  if (*out == "~" || out->starts_with("~/")) *out = tokens.at('d') + out->substr(1);
  for (std::size_t at = 0; (at = out->find("${", at)) != std::string::npos;) {
    const std::size_t end = out->find('}', at);
    if (end == std::string::npos) break;
    const char* value = getenv(out->substr(at + 2, end - at - 2).c_str());
    if (value == nullptr)
      return Error{Errc::invalid, fmt::format("'{}' names a variable that is not set", printable(text)), {}, {}};
    out->replace(at, end - at + 1, value);
    at += std::strlen(value);
  }
  return out;
}

class Reader {
 public:
  Reader(std::string host, std::string original, bool final_pass, const SshAsked& asked, Account self)
      : host_(std::move(host)), original_(std::move(original)), final_(final_pass), self_(std::move(self)) {
    if (!asked.user.empty()) first_["user"] = {asked.user};
    if (asked.port != 0) first_["port"] = {std::to_string(asked.port)};
    if (asked.jumps) first_["proxyjump"] = {asked.jumps->empty() ? "none" : join(*asked.jumps, ",")};
    identity_files_ = asked.identity_files;
    patience_ = asked.patience;
  }

  Status file(const std::string& path, bool of_user, bool must_be_ours, int depth) {
    if (depth > max_include_depth)
      return Error{Errc::invalid, fmt::format("'{}' is included too deep", printable(path)), {}, {}};
    struct stat info {};
    std::ifstream in(path, std::ios::binary);
    if (!in || stat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR || errno == 0) return ok();
      return Error{
          Errc::permission, fmt::format("cannot read '{}': {}", printable(path), std::strerror(errno)), {}, {}};
    }
    if (must_be_ours && ((info.st_uid != 0 && info.st_uid != getuid()) || (info.st_mode & 022U) != 0))
      return Error{Errc::refused,
                   fmt::format("'{}' may be written by others", printable(path)),
                   {},
                   fmt::format("run: chmod go-w {}", printable(path))};
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    bool active = true;
    std::size_t number = 0;
    for (const auto each : split_lines(text)) {
      ++number;
      auto done = line(trim(each), of_user, must_be_ours, depth, active);
      if (!done) return std::move(done.error()).during(fmt::format("reading {}:{}", printable(path), number));
    }
    return ok();
  }

  bool wants_final_pass() const { return wants_final_; }
  const std::vector<std::string>& identity_files() const { return identity_files_; }
  std::vector<std::string> get(const std::string& keyword) const {
    const auto found = first_.find(keyword);
    return found == first_.end() ? std::vector<std::string>{} : found->second;
  }
  std::string one(const std::string& keyword) const {
    const auto all = get(keyword);
    return all.empty() ? std::string() : all.front();
  }
  Result<std::string> host_name() const {
    const std::string named = one("hostname");
    if (named.empty()) return host_;
    return expand(named, {{'h', host_}});
  }

 private:
  Status line(std::string_view text, bool of_user, bool must_be_ours, int depth, bool& active) {
    if (text.empty() || text.front() == '#') return ok();
    const std::size_t end = std::min(text.find_first_of(" \t="), text.size());
    const std::string keyword = lower(text.substr(0, end));
    std::string_view rest = trim(text.substr(end));
    if (rest.starts_with('=')) rest = trim(rest.substr(1));
    if (keyword == "proxycommand") {
      if (active && !rest.empty() && !first_.contains("proxyjump")) first_.try_emplace(keyword, 1, std::string(rest));
      return ok();
    }
    const auto arguments = words(rest);
    if (!arguments || arguments->empty())
      return Error{Errc::invalid, fmt::format("'{}' has no value, or an open quote", printable(keyword)), {}, {}};
    if (keyword == "host") {
      active = matches_list(host_, *arguments, false);
    } else if (keyword == "match") {
      auto matched = match(*arguments);
      if (!matched) return std::move(matched.error());
      active = *matched;
    } else if (!active) {
      return ok();
    } else if (keyword == "include") {
      return include(*arguments, of_user, must_be_ours, depth);
    } else if (keyword == "identityfile") {
      if (std::find(identity_files_.begin(), identity_files_.end(), arguments->front()) == identity_files_.end())
        identity_files_.push_back(arguments->front());
    } else if (keyword != "proxyjump" || !first_.contains("proxycommand")) {
      first_.try_emplace(keyword, *arguments);
    }
    return ok();
  }

  Status include(const std::vector<std::string>& patterns, bool of_user, bool must_be_ours, int depth) {
    for (const auto& each : patterns) {
      std::string pattern = each;
      if (pattern.starts_with("~/"))
        pattern = self_.home + pattern.substr(1);
      else if (!pattern.starts_with('/'))
        pattern = (of_user ? self_.home + "/.ssh/" : std::string("/etc/ssh/")) + pattern;
      glob_t found{};
      const int rc = glob(pattern.c_str(), 0, nullptr, &found);
      std::vector<std::string> paths;
      for (std::size_t i = 0; rc == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
      globfree(&found);
      for (const auto& path : paths) {
        auto done = file(path, of_user, must_be_ours, depth + 1);
        if (!done) return done;
      }
    }
    return ok();
  }

  Result<bool> match(const std::vector<std::string>& arguments) {
    bool result = true;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      std::string criterion = lower(arguments[i]);
      const bool negated = criterion.starts_with('!');
      if (negated) criterion.erase(0, 1);
      bool holds = false;
      if (criterion == "all") {
        holds = true;
      } else if (criterion == "canonical" || criterion == "final") {
        if (criterion == "final") wants_final_ = true;
        holds = final_;
      } else {
        if (++i == arguments.size())
          return Error{Errc::invalid, fmt::format("Match '{}' has no value", printable(criterion)), {}, {}};
        const auto patterns = split(arguments[i], ',');
        if (criterion == "host") {
          auto name = host_name();
          if (!name) return std::move(name.error());
          holds = matches_list(*name, patterns, true);
        } else if (criterion == "originalhost") {
          holds = matches_list(original_, patterns, true);
        } else if (criterion == "user") {
          holds = matches_list(first_.contains("user") ? one("user") : self_.name, patterns, false);
        } else if (criterion == "localuser") {
          holds = matches_list(self_.name, patterns, false);
        } else if (criterion == "exec") {
          if (result) {
            auto ran = exec(arguments[i]);
            if (!ran) return ran;
            holds = *ran;
          }
        } else {
          return Error{Errc::invalid, fmt::format("Match does not know '{}'", printable(criterion)), {}, {}};
        }
      }
      result = result && holds != negated;
    }
    return result;
  }

  Result<bool> exec(const std::string& text) const {
    auto name = host_name();
    if (!name) return std::move(name.error());
    auto command = expand(text, tokens(*name));
    if (!command) return std::move(command.error());
    const pid_t child = fork();
    if (child < 0) return Error{Errc::io, fmt::format("cannot run Match exec: {}", std::strerror(errno)), {}, {}};
    if (child == 0) {
      setpgid(0, 0);
      execl("/bin/sh", "sh", "-c", command->c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    setpgid(child, child);  // whichever of us comes first
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + patience_;
    struct pollfd end = {static_cast<int>(syscall(SYS_pidfd_open, child, 0U)), POLLIN, 0};
    const int longest = end.fd < 0 ? 5 : 60'000;  // a kernel before 5.3 does not tell
    bool late = false;
    int status = 0;
    for (;;) {
      const pid_t ended = waitpid(child, &status, late ? 0 : WNOHANG);
      if (ended == child || (ended < 0 && errno != EINTR)) break;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      late = left <= 0;
      if (late)
        kill(-child, SIGKILL);
      else
        poll(&end, 1, static_cast<int>(std::min<long>(left, longest)));
    }
    if (end.fd >= 0) close(end.fd);
    if (late)
      return Error{Errc::timeout, fmt::format("Match exec '{}' did not end in time", printable(*command)), {}, {}};
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 public:
  Tokens tokens(const std::string& name) const {
    std::array<char, 256> local{};
    if (gethostname(local.data(), local.size() - 1) != 0) local.front() = 0;
    const std::string full = local.data();
    return {{'d', self_.home},
            {'h', name},
            {'i', std::to_string(getuid())},
            {'k', one("hostkeyalias").empty() ? name : one("hostkeyalias")},
            {'L', full.substr(0, full.find('.'))},
            {'l', full},
            {'n', original_},
            {'p', one("port").empty() ? "22" : one("port")},
            {'r', one("user").empty() ? self_.name : one("user")},
            {'u', self_.name}};
  }

 private:
  std::string host_, original_;
  bool final_ = false, wants_final_ = false;
  Account self_;
  std::chrono::milliseconds patience_{0};
  std::map<std::string, std::vector<std::string>> first_;  // the first value of a keyword is the one that counts
  std::vector<std::string> identity_files_;
};

Result<SshConfig> gather(const Reader& reader, const Account& self) {
  SshConfig out;
  auto name = reader.host_name();
  if (!name) return std::move(name.error());
  out.host = lower(*name);
  const Tokens tokens = reader.tokens(out.host);
  if (const std::string port = reader.one("port"); !port.empty()) {
    std::uint64_t number = 0;
    if (!parse_number(port, number) || number == 0 || number > 65535)
      return Error{Errc::invalid, fmt::format("'{}' is not a port", printable(port)), {}, {}};
    out.port = static_cast<std::uint16_t>(number);
  }
  out.user = reader.one("user").empty() ? self.name : reader.one("user");
  out.host_key_alias = lower(reader.one("hostkeyalias"));
  out.identities_only = lower(reader.one("identitiesonly")) == "yes";
  out.compression = lower(reader.one("compression")) == "yes";
  out.bind_address = reader.one("bindaddress");
  out.address_family = lower(reader.one("addressfamily"));
  out.ciphers = reader.one("ciphers");
  out.macs = reader.one("macs");
  out.kex = reader.one("kexalgorithms");
  out.host_key_algorithms = reader.one("hostkeyalgorithms");
  out.pubkey_algorithms = reader.one("pubkeyacceptedalgorithms");
  if (out.pubkey_algorithms.empty()) out.pubkey_algorithms = reader.one("pubkeyacceptedkeytypes");
  if (!parse_number(reader.one("connecttimeout"), out.connect_timeout)) out.connect_timeout = 0;

  const auto paths = [&](std::vector<std::string> all, std::vector<std::string>& into) -> Status {
    for (const auto& each : all) {
      if (lower(each) == "none") continue;
      auto path = expand_path(each, tokens);
      if (!path) return std::move(path.error());
      into.push_back(*path);
    }
    return ok();
  };
  out.identity_files_named = !reader.identity_files().empty();
  auto identities = reader.identity_files();
  if (identities.empty()) identities = {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"};
  auto user_files = reader.get("userknownhostsfile");
  if (user_files.empty()) user_files = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2"};
  auto global_files = reader.get("globalknownhostsfile");
  if (global_files.empty()) global_files = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};
  for (auto done : {paths(identities, out.identity_files), paths(user_files, out.user_known_hosts),
                    paths(global_files, out.global_known_hosts)})
    if (!done) return std::move(done.error());

  std::string agent = reader.one("identityagent");
  if (agent.empty() || agent == "SSH_AUTH_SOCK") agent = "$SSH_AUTH_SOCK";
  if (agent.starts_with('$') && !agent.starts_with("${")) {
    const char* value = getenv(agent.c_str() + 1);
    agent = value != nullptr ? value : "";
  } else if (lower(agent) == "none") {
    agent.clear();
  } else {
    auto path = expand_path(agent, tokens);
    if (!path) return std::move(path.error());
    agent = *path;
  }
  out.identity_agent = agent;

  if (const std::string jumps = reader.one("proxyjump"); !jumps.empty() && lower(jumps) != "none") {
    for (const auto jump : split(jumps, ',')) out.jumps.emplace_back(trim(jump));
  } else if (const std::string command = reader.one("proxycommand"); !command.empty() && lower(command) != "none") {
    auto expanded = expand(command, tokens);
    if (!expanded) return std::move(expanded.error());
    out.proxy_command = *expanded;
  }
  return out;
}

}  // namespace

std::string home_directory() { return account().home; }

Result<SshConfig> read_ssh_config(const std::string& file, const SshAsked& asked) {
  const Account self = account();
  const bool usual = file == "~/.ssh/config";
  std::string host = asked.host;
  for (const bool final_pass : {false, true}) {
    Reader reader(host, asked.host, final_pass, asked, self);
    if (!file.empty()) {
      const std::string path = file.starts_with("~/") ? self.home + file.substr(1) : file;
      auto done = reader.file(path, true, usual, 0);
      if (!done) return std::move(done.error());
    }
    if (usual) {
      auto done = reader.file("/etc/ssh/ssh_config", false, false, 0);
      if (!done) return std::move(done.error());
    }
    if (final_pass || !reader.wants_final_pass()) return gather(reader, self);
    auto resolved = reader.host_name();
    if (!resolved) return std::move(resolved.error());
    host = *resolved;
  }
  return Error{Errc::invalid, "no pass over ssh_config was the last", {}, {}};
}

Result<SshAsked> parse_jump(std::string_view text) {
  const Error bad{
      Errc::invalid, fmt::format("'{}' is not a jump host", printable(text)), {}, "write [user@]host[:port]"};
  SshAsked out;
  std::string_view rest = text;
  if (rest.starts_with("ssh://")) rest.remove_prefix(6);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    out.user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    if (out.user.empty()) return bad;
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad;
    out.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad;
    port = rest.empty() ? rest : rest.substr(1);
  } else {
    const std::size_t colon = rest.find(':');
    out.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  std::uint64_t number = 0;
  if (!port.empty() && (!parse_number(port, number) || number == 0 || number > 65535)) return bad;
  out.port = static_cast<std::uint16_t>(number);
  if (out.host.empty() || out.host.starts_with('-')) return bad;
  return out;
}

}  // namespace converge::remote
