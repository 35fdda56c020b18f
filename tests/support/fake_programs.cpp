#include "tests/support/fake_programs.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/digest.h"
#include "core/text.h"

namespace converge {
namespace {

CommandOutput exited(int code, std::string out = {}, std::string err = {}) {
  return {code, std::move(out), std::move(err)};
}

std::string number(std::size_t value) {
  std::string out(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (24 - 8 * i) & 255U);
  return out;
}
std::string wire(std::string_view text) { return number(text.size()) + std::string(text); }

constexpr std::string_view begin_key = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
constexpr std::string_view end_key = "-----END OPENSSH PRIVATE KEY-----\n";
constexpr std::string_view magic("openssh-key-v1\0", 15);

/// The string of the wire at `at`, which moves behind it.
std::string take(const std::string& bytes, std::size_t& at) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size = size << 8U | static_cast<unsigned char>(bytes.at(at + i));
  at += 4 + size;
  return bytes.substr(at - size, size);
}

std::string value_of(const Command& command, std::string_view option) {
  const auto it = std::find(command.argv.begin(), command.argv.end(), option);
  return it == command.argv.end() || it + 1 == command.argv.end() ? std::string{} : *(it + 1);
}
bool has(const Command& command, std::string_view word) {
  return std::find(command.argv.begin(), command.argv.end(), word) != command.argv.end();
}

bool is_file(const FakeSystem& host, const std::string& path) {
  return std::holds_alternative<RegularFile>(host.state(path));
}

Result<CommandOutput> ssh_keygen(FakeSystem& host, const Command& command, bool mutating) {
  if (!mutating) ADD_FAILURE() << "ssh-keygen as a query";
  if (!command.as) ADD_FAILURE() << "ssh-keygen as root in a home";
  const Owner owner = command.as ? Owner{command.as->uid, command.as->gid} : root_owner;
  const std::string path = value_of(command, "-f");
  if (has(command, "-y")) {
    if (!is_file(host, path)) return exited(255, "", path + ": No such file or directory\n");
    std::string encoded;
    for (const auto line : split_lines(host.content(path)))
      if (!line.starts_with("-----")) encoded += trim(line);
    const auto bytes = from_base64(encoded);
    if (!bytes || !bytes->starts_with(magic)) return exited(255, "", "Load key: error in libcrypto\n");
    std::size_t at = magic.size();
    for (int i = 0; i < 3; ++i) take(*bytes, at);
    at += 4;
    const std::string blob = take(*bytes, at), part = take(*bytes, at);
    at = 8;
    for (int i = 0; i < 3; ++i) take(part, at);
    return exited(0, fmt::format("ssh-ed25519 {} {}\n", base64(blob), take(part, at)));
  }
  if (!std::holds_alternative<DirectoryInfo>(host.state(AbsPath(path).parent().str())))
    return exited(1, "", "Saving key failed: No such file or directory\n");
  if (host.exists(path)) return exited(1, path + " already exists.\nOverwrite (y/n)? ");
  const FakeKey key = fake_key(fmt::format("{} {}", path, host.now().micros), value_of(command, "-C"), "none",
                               "ssh-" + value_of(command, "-t"));
  host.put_file(path, key.private_key, Mode{0600}, owner);
  host.put_file(path + ".pub", key.public_key, Mode{0644}, owner);
  return exited(0);
}

/// The options of ssh_config(5) for `alias`, the first of each; identity files all.
std::vector<std::pair<std::string, std::string>> ssh_options(const std::string& text, const std::string& alias) {
  std::vector<std::pair<std::string, std::string>> out;
  bool ours = true;
  for (const auto raw : split_lines(text)) {
    const auto words = fields(without_ending(raw));
    if (words.empty() || words[0].starts_with('#')) continue;
    const std::string keyword = lower(words[0]);
    if (keyword == "host") {
      ours = std::any_of(words.begin() + 1, words.end(), [&](std::string_view pattern) {
        return fnmatch(std::string(pattern).c_str(), alias.c_str(), 0) == 0;
      });
      continue;
    }
    if (!ours || words.size() < 2) continue;
    std::string value(words[1]);
    if (keyword == "stricthostkeychecking" && value == "yes") value = "true";
    const bool known = std::any_of(out.begin(), out.end(), [&](auto& pair) { return pair.first == keyword; });
    if (!known || keyword == "identityfile") out.emplace_back(keyword, value);
  }
  return out;
}

Result<CommandOutput> ssh(FakeSystem& host, const Command& command, bool) {
  if (!command.as || !has(command, "-G")) {
    ADD_FAILURE() << "only ssh -G as a user: " << command.text();
    return exited(255);
  }
  const std::string path = command.as->home.str() + "/.ssh/config", alias = command.argv.back();
  std::vector<std::pair<std::string, std::string>> options;
  const PathState state = host.state(path);
  if (const auto* file = std::get_if<RegularFile>(&state)) {
    const bool own = file->owner->uid == command.as->uid;
    if ((!own && file->owner->uid != 0) || (file->mode.bits & 0022) != 0)
      return exited(255, "", "Bad owner or permissions on " + path + "\n");
    if (own || (file->mode.bits & 0004) != 0) options = ssh_options(host.content(path), alias);
  }
  const auto or_default = [&](const char* keyword, const std::string& value) {
    if (std::none_of(options.begin(), options.end(), [&](auto& pair) { return pair.first == keyword; }))
      options.emplace_back(keyword, value);
  };
  or_default("user", command.as->name);
  or_default("hostname", alias);
  or_default("port", "22");
  or_default("identitiesonly", "no");
  or_default("stricthostkeychecking", "ask");
  or_default("identityfile", "~/.ssh/id_rsa");
  std::string out = "host " + alias + "\n";
  for (const auto& [keyword, value] : options) out += keyword + " " + value + "\n";
  return exited(0, out);
}

// ---- git ---------------------------------------------------------------------------------------------------------
using Settings = std::vector<std::pair<std::string, std::string>>;

std::string section_key(std::string_view line) {
  const std::string_view inside = line.substr(1, line.size() - 2);
  const auto blank = inside.find(' ');
  if (blank == std::string_view::npos) return lower(inside);
  const std::string_view name = trim(inside.substr(blank));
  return lower(inside.substr(0, blank)) + "." + std::string(name.substr(1, name.size() - 2));
}

Settings settings_of(const std::string& text) {
  Settings out;
  std::string section;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      section = section_key(line);
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    out.emplace_back(section + "." + lower(trim(line.substr(0, equals))), std::string(trim(line.substr(equals + 1))));
  }
  return out;
}

/// The text with `key` set in [remote "NAME"]: its line replaced, or a new one at the section's head, or a new section.
std::string with_setting(const std::string& text, const std::string& remote, const std::string& url) {
  std::string out, section;
  bool done = false;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (line.starts_with('[')) section = section_key(line);
    if (section == "remote." + remote && lower(line).starts_with("url")) {
      out += "\turl = " + url + "\n";
      done = true;
    } else {
      out += raw;
    }
  }
  if (!done) out += "[remote \"" + remote + "\"]\n\turl = " + url + "\n";
  return out;
}

Result<CommandOutput> git(FakeSystem& host, const Command& command, bool mutating) {
  if (!command.as) ADD_FAILURE() << "git as root: " << command.text();
  const std::string directory = value_of(command, "-C");
  const std::vector<std::string> words(command.argv.begin() + 3, command.argv.end());
  if (!std::holds_alternative<DirectoryInfo>(host.state(directory)))
    return exited(128, "", "fatal: cannot change to '" + directory + "': No such file or directory\n");
  const bool bare = is_file(host, directory + "/HEAD");
  const std::string config = directory + (bare ? "/config" : "/.git/config");
  const bool repository = is_file(host, config);
  Settings global, local;
  const std::string user_config = command.as ? command.as->home.str() + "/.gitconfig" : "";
  if (command.as && is_file(host, user_config)) global = settings_of(host.content(user_config));
  if (repository) local = settings_of(host.content(config));

  if (words[0] == "config" && words[1] == "--list") {
    std::string out;
    const auto list = [&](const Settings& settings, const std::string& scope, const std::string& origin) {
      for (const auto& [key, value] : settings)
        for (const std::string& part : {scope, "file:" + origin, key + "\n" + value}) out += part + '\0';
    };
    list(global, "global", user_config);
    list(local, "local", bare ? "config" : ".git/config");
    return exited(0, out);
  }
  if (!repository) return exited(128, "", "fatal: not a git repository (or any of the parent directories): .git\n");
  if (words[0] == "rev-parse") return exited(0, ".git\n");
  const auto values = [&](const std::string& key) {
    std::vector<std::string> out;
    for (const Settings* settings : {&global, &local})
      for (const auto& [name, value] : *settings)
        if (name == key) out.push_back(value);
    return out;
  };
  const auto rewrite = [&](const std::string& url, const std::string& variable) -> std::optional<std::string> {
    std::size_t longest = 0;
    std::optional<std::string> out;
    for (const Settings* settings : {&global, &local})
      for (const auto& [name, prefix] : *settings)
        if (name.starts_with("url.") && name.ends_with("." + variable) && url.starts_with(prefix) &&
            prefix.size() > longest) {
          longest = prefix.size();
          out = name.substr(4, name.size() - 5 - variable.size()) + url.substr(prefix.size());
        }
    return out;
  };
  const Owner owner = command.as ? Owner{command.as->uid, command.as->gid} : root_owner;
  if (words[0] == "remote" && words[1] == "get-url") {
    const std::string& name = words.back();
    auto urls = values("remote." + name + ".url");
    if (urls.empty()) return exited(2, "", "error: No such remote '" + name + "'\n");
    const auto pushed = values("remote." + name + ".pushurl");
    std::string out;
    if (has(command, "--push") && !pushed.empty()) {
      for (const auto& url : pushed) out += rewrite(url, "insteadof").value_or(url) + "\n";
      return exited(0, out);
    }
    for (const auto& url : urls) {
      auto to = has(command, "--push") ? rewrite(url, "pushinsteadof") : std::nullopt;
      if (!to) to = rewrite(url, "insteadof");
      out += to.value_or(url) + "\n";
    }
    return exited(0, out);
  }
  if (!mutating) ADD_FAILURE() << command.text() << " as a query";
  std::string remote;
  if (words[0] == "remote") {
    remote = words.at(2);
    const bool there = !values("remote." + remote + ".url").empty() || !values("remote." + remote + ".fetch").empty();
    if (words[1] == "add" && there) return exited(3, "", "error: remote " + remote + " already exists.\n");
    if (words[1] == "set-url" && values("remote." + remote + ".url").empty())
      return exited(2, "", "error: No such remote '" + remote + "'\n");
  } else if (words[0] == "config" && words.size() == 3 && words[1].ends_with(".url")) {
    remote = words[1].substr(7, words[1].size() - 11);
  } else {
    ADD_FAILURE() << "the fake git knows no '" << command.text() << "'";
    return exited(1);
  }
  std::string text = with_setting(host.content(config), remote, words.back());
  if (words[1] == "add") text += "\tfetch = +refs/heads/*:refs/remotes/" + remote + "/*\n";
  host.put_file(config, text, Mode{0644}, owner);
  return exited(0);
}

}  // namespace

FakeKey fake_key(std::string_view seed, std::string_view comment, std::string_view cipher, std::string_view type) {
  const std::string half = sha256(seed);
  const std::string blob = wire(type) + wire(half);
  std::string part = number(7) + number(7) + wire(type) + wire(half) + wire(sha256(half) + half);
  // An RSA key has four more numbers before its comment, an ECDSA key one.
  const int more = type == "ssh-rsa" ? 4 : type.starts_with("ecdsa-sha2-") ? 1 : 0;
  for (int i = 0; i < more; ++i) part += wire(half);
  part += wire(comment);
  for (char pad = 1; part.size() % 8 != 0; ++pad) part += pad;
  if (cipher != "none") part.assign(part.size(), '\x5a');
  const std::string bytes = std::string(magic) + wire(cipher) + wire(cipher == "none" ? "none" : "bcrypt") + wire("") +
                            number(1) + wire(blob) + wire(part);
  const std::string encoded = base64(bytes);
  std::string text(begin_key);
  for (std::size_t i = 0; i < encoded.size(); i += 70) text += encoded.substr(i, 70) + "\n";
  return {text + std::string(end_key),
          fmt::format("{} {}{}{}\n", type, base64(blob), comment.empty() ? "" : " ", comment)};
}

void install_ssh_keygen(FakeSystem& host) { host.on_command("ssh-keygen", ssh_keygen); }
void install_ssh(FakeSystem& host) { host.on_command("ssh", ssh); }
void install_git(FakeSystem& host) { host.on_command("git", git); }

void install_ssh_keyscan(FakeSystem& host, std::vector<std::string> keys) {
  host.on_command("ssh-keyscan", [keys](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    const std::string port = value_of(command, "-p"), name = command.argv.back();
    std::string out;
    for (const auto& key : keys)
      out += (port == "22" ? name : "[" + name + "]:" + port) + " " + std::string(trim(key)) + "\n";
    return exited(0, out, "# " + name + ":" + port + " SSH-2.0-OpenSSH_9.2p1\n");
  });
}

void install_k3s(FakeSystem& host) {
  host.on_command("k3s", [](FakeSystem& now, const Command& command, bool) -> Result<CommandOutput> {
    const bool active = std::any_of(now.units.begin(), now.units.end(), [](const auto& unit) {
      const auto state = unit.second.find("ActiveState");
      return unit.first.starts_with("k3s") && state != unit.second.end() && state->second == "active";
    });
    const bool asks =
        has(command, "--raw=/readyz") || (has(command, "wait") && command.argv.back() == "node/coulombcore");
    if (!asks) ADD_FAILURE() << "the fake k3s knows no '" << command.text() << "'";
    return active ? exited(0, "ok") : exited(1, "", "The connection to the server 127.0.0.1:6443 was refused\n");
  });
}

void k3s_has_started(FakeSystem& host) {
  const std::string certs = "/var/lib/rancher/k3s/agent/etc/containerd/certs.d";
  host.erase(certs);
  host.put_directory(certs, Mode{0700});
  const std::string config = "/etc/rancher/k3s/registries.yaml";
  if (!is_file(host, config)) return;
  // As much of YAML as this takes: block style, two blanks a level.
  std::string part, mirror, toml;
  const auto unquoted = [](std::string_view text) {
    text = trim(text);
    if (text.ends_with(':')) text.remove_suffix(1);
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'')) text = text.substr(1, text.size() - 2);
    return std::string(text);
  };
  const auto finish = [&] {
    if (!mirror.empty() && !toml.empty())
      host.put_file(certs + "/" + (mirror == "*" ? "_default" : mirror) + "/hosts.toml",
                    "# File generated by k3s. DO NOT EDIT.\n\n\nserver = \"https://" + mirror +
                        "/v2\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n\n\n" + toml);
    mirror.clear();
    toml.clear();
  };
  const std::string text = host.content(config);
  for (const auto raw : split_lines(text)) {
    const auto line = without_ending(raw);
    const auto depth = std::min(line.find_first_not_of(' '), line.size());
    const auto word = trim(line);
    if (word.empty() || word.front() == '#') continue;
    if (depth == 0) {
      finish();
      part = unquoted(word);
    } else if (part == "mirrors" && depth == 2 && !word.starts_with('-')) {
      finish();
      mirror = unquoted(word);
    } else if (part == "mirrors" && word.starts_with("- ")) {
      std::string url = unquoted(word.substr(2));
      if (url.find('/', url.find("://") + 3) == std::string::npos) url += "/v2";
      toml += "[host.\"" + url + "\"]\n  capabilities = [\"pull\", \"resolve\"]\n";
    }
  }
  finish();
}

}  // namespace converge
