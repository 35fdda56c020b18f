// Git over SSH without prompts: a key, a host alias, a pinned host key, and remotes that use them.
#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "ssh_git";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "user", .kind = Kind::text, .doc = "whose key, configuration and repositories", .required = true},
      {.name = "key",
       .kind = Kind::text,
       .doc = "the private key, below ~/.ssh; made if absent, never replaced",
       .fallback = "~/.ssh/id_ed25519"},
      {.name = "key_type",
       .kind = Kind::text,
       .doc = "of a key that is made, and required of one that exists",
       .fallback = "ed25519",
       .choices = {"ed25519", "ecdsa", "rsa"}},
      {.name = "key_comment", .kind = Kind::text, .doc = "of a key that is made; user@hostname when not given"},
      {.name = "host_alias",
       .kind = Kind::text,
       .doc = "the Host of ~/.ssh/config that remotes name",
       .required = true},
      {.name = "hostname", .kind = Kind::text, .doc = "the host it stands for", .required = true},
      {.name = "port", .kind = Kind::integer, .doc = "its SSH port", .fallback = "22", .min = 1, .max = 65535},
      {.name = "git_user", .kind = Kind::text, .doc = "the user to log in as there", .fallback = "git"},
      {.name = "host_key", .kind = Kind::text, .doc = "pins this public key of the host in ~/.ssh/known_hosts"},
      {.name = "host_key_fingerprint",
       .kind = Kind::text,
       .doc = "instead of host_key: \"SHA256:...\"; the host is scanned and its key pinned only if it has this one"},
      {.name = "host_key_alias",
       .kind = Kind::boolean,
       .doc = "pin it under the alias (HostKeyAlias), so that it survives a change of the port",
       .fallback = "false"},
      {.name = "organisation", .kind = Kind::text, .doc = "the part of the URL before the repository's name"},
      {.name = "repositories",
       .kind = Kind::text_list,
       .doc = "checkouts whose remote is set: a name (in repository_root) or a path (~/src/x)"},
      {.name = "repository_root", .kind = Kind::text, .doc = "where checkouts given by name are", .fallback = "\"~\""},
      {.name = "remote", .kind = Kind::text, .doc = "which remote of them", .fallback = "origin"},
      {.name = "ls_remote",
       .kind = Kind::boolean,
       .doc = "verify asks each remote with git ls-remote: the key is known there, and nobody is prompted",
       .fallback = "false"},
  };
  return table;
}

/// Letters, digits and `others`, not empty, not beginning with '-': safe as an argument and in a line of ssh_config(5).
bool is_plain(std::string_view text, std::string_view others) {
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

void require_plain(const spec::Params& params, std::string_view key, std::string_view others) {
  const auto text = params.maybe_text(key);
  if (text && !is_plain(*text, others))
    params.reject(key, fmt::format("'{}' is not allowed in {}", printable(*text), key),
                  fmt::format("letters, digits and {}, not beginning with '-'", others));
}

/// A path of the user's: "~", "~/x" or an absolute one; nullopt after an objection. Nothing else of ssh's or a shell's
/// expansions.
std::optional<AbsPath> path_in(const spec::Params& params, std::string_view key, const std::string& text,
                               const AbsPath& home) {
  std::string full = text;
  if (text == "~" || text.starts_with("~/")) full = home.str() + text.substr(1);
  auto path = AbsPath::parse(full);
  if (!path) {
    params.reject(key, fmt::format("'{}' is no path: {}", printable(text), path.error().message),
                  "write ~/... or /...");
    return std::nullopt;
  }
  return *std::move(path);
}

/// A path in ssh_config(5): '%' and quotes would be taken for something else.
bool fits_ssh_config(std::string_view text) { return text.find_first_of("%\"'\\ \t#$") == std::string_view::npos; }

void validate(const spec::Params& params) {
  require_plain(params, "host_alias", "._-");
  require_plain(params, "hostname", "._-:");
  require_plain(params, "git_user", "._-");
  require_plain(params, "organisation", "._-/");
  require_plain(params, "remote", "._-/");
  if (!fits_ssh_config(params.text("key")))
    params.reject("key", fmt::format("'{}' would mean something else to ssh", printable(params.text("key"))),
                  "a path without blanks, quotes, '%', '$' and '#'");
  const auto key = params.maybe_text("host_key"), fingerprint = params.maybe_text("host_key_fingerprint");
  if (key && fingerprint)
    params.reject("host_key_fingerprint", "host_key and host_key_fingerprint exclude each other", "keep one");
  if (key && !parse_public_key(*key))
    params.reject("host_key", "this is not a public key",
                  "write type and base64, as in /etc/ssh/ssh_host_ed25519_key.pub");
  if (fingerprint && !is_fingerprint(*fingerprint))
    params.reject("host_key_fingerprint", "this is not a fingerprint", "write SHA256:..., as ssh-keygen -lf shows it");
  if (params.boolean("host_key_alias") && !key && !fingerprint)
    params.reject("host_key_alias", "there is no key to pin under the alias", "add host_key or host_key_fingerprint");
}

struct Checkout {
  AbsPath path;
  std::string name;
};
std::vector<Checkout> checkouts(const spec::Params& params, const AbsPath& home) {
  std::vector<Checkout> out;
  const auto root = path_in(params, "repository_root", params.text("repository_root"), home);
  for (const std::string& text : params.texts("repositories")) {
    const bool by_name = text.find('/') == std::string::npos;
    const auto path = by_name ? root : path_in(params, "repositories", text, home);
    if (!path) continue;
    std::string name = by_name ? text : path->name();
    if (name.ends_with(".git")) name.resize(name.size() - 4);
    if (!is_plain(name, "._-") || name == "." || name == "..") {
      params.reject("repositories", fmt::format("'{}' is no name of a repository", printable(text)),
                    "letters, digits, '.', '_' and '-', or a path that ends in such a name");
      continue;
    }
    out.push_back({by_name ? path->child(text) : *path, name});
  }
  return out;
}

struct Setting {
  std::string_view keyword;
  std::string value, answer;  // as written, and as ssh -G says it
};
std::vector<Setting> settings(const spec::Params& params) {
  const std::string key = params.text("key");
  std::vector<Setting> out = {
      {"HostName", params.text("hostname"), lower(params.text("hostname"))},
      {"Port", std::to_string(params.integer("port")), std::to_string(params.integer("port"))},
      {"User", params.text("git_user"), params.text("git_user")},
      {"IdentityFile", key, key},
      {"IdentitiesOnly", "yes", "yes"},  // else keys of a Host * block are offered too
  };
  if (params.has("host_key") || params.has("host_key_fingerprint"))
    out.push_back({"StrictHostKeyChecking", "yes", "true"});
  if (params.boolean("host_key_alias"))
    out.push_back({"HostKeyAlias", params.text("host_alias"), lower(params.text("host_alias"))});
  return out;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  Rendered out;
  validate(params);
  const Person* user = facts.find_user(params.text("user"));
  const AbsPath home = user == nullptr ? AbsPath("/home/nobody") : user->home;
  const auto key = path_in(params, "key", params.text("key"), home);
  const AbsPath ssh = home.child(".ssh");
  if (key && (key->parent() != ssh || key->name().empty()))
    params.reject("key", fmt::format("'{}' is not in ~/.ssh", printable(params.text("key"))), "write ~/.ssh/NAME");
  const std::vector<Checkout> repositories = checkouts(params, home);
  if (!repositories.empty() && !params.has("organisation"))
    params.reject("repositories", "there is no organisation to make their URLs with", "add 'organisation:'");
  if (!params.ok() || !key) return out;
  if (user == nullptr) {
    out.refusal = Error{Errc::not_found,
                        fmt::format("there is no user '{}' on this host", params.text("user")),
                        {},
                        "make the user first"};
    return out;
  }

  for (const Checkout& checkout : repositories) {
    const auto keeper = keeper_of(checkout.path, facts);
    if (!keeper || keeper->uid == user->uid) continue;
    out.refusal = Error{Errc::refused,
                        fmt::format("'{}' lies in the home of '{}': its settings may name programs, which git would "
                                    "run as '{}'",
                                    checkout.path.str(), keeper->name, user->name),
                        {},
                        fmt::format("say user: {}, or keep the checkout elsewhere", keeper->name)};
    return out;
  }

  const auto add = [&](std::string_view at, Resource resource) {
    out.chain.push_back(declare(module_name, params, at, std::move(resource)));
  };
  const Owner owner{user->uid, user->gid};
  const std::string alias = params.text("host_alias");
  const std::string comment = params.maybe_text("key_comment").value_or(user->name + "@" + lower(facts.hostname));

  add("user", Directory{.place = {ssh, *user}, .mode = Mode{0700}, .owner = owner});
  add("key", SshKey{.user = *user, .path = *key, .type = params.text("key_type"), .comment = comment});

  Block block{.place = {ssh.child("config"), *user}, .name = alias};
  block.at = Block::At::top;  // the first value wins: below a Host * block ours would lose
  block.mode = Mode{0600};
  block.owner = owner;
  block.content = fmt::format("Host {}\n", alias);
  SshConfigAnswer answer{.user = *user, .alias = alias};
  for (const Setting& setting : settings(params)) {
    block.content += fmt::format("    {} {}\n", setting.keyword, setting.value);
    answer.expected.emplace_back(lower(setting.keyword), setting.answer);
  }
  add("host_alias", std::move(block));

  if (params.has("host_key") || params.has("host_key_fingerprint"))
    add(params.has("host_key") ? "host_key" : "host_key_fingerprint",
        KnownHost{.user = *user,
                  .file = ssh.child("known_hosts"),
                  .host = params.text("hostname"),
                  .port = static_cast<int>(params.integer("port")),
                  .name = params.boolean("host_key_alias") ? alias : std::string{},
                  .key = params.text("host_key"),
                  .fingerprint = params.text("host_key_fingerprint")});

  const auto url = [&](const Checkout& checkout) {
    return fmt::format("ssh://{}@{}/{}/{}.git", params.text("git_user"), alias, params.text("organisation"),
                       checkout.name);
  };
  const std::string remote = params.text("remote");
  for (const Checkout& checkout : repositories)
    add("repositories", GitRemote{.user = *user, .repository = checkout.path, .remote = remote, .url = url(checkout)});
  add("host_alias", std::move(answer));
  for (const Checkout& checkout : repositories)
    add("repositories",
        GitUrlInEffect{.user = *user, .repository = checkout.path, .remote = remote, .url = url(checkout)});
  if (params.boolean("ls_remote"))
    for (const Checkout& checkout : repositories)
      add("ls_remote", GitReached{.user = *user, .repository = checkout.path, .remote = remote});
  return out;
}

}  // namespace

extern const Module ssh_git_module;
const Module ssh_git_module{
    .name = module_name,
    .summary = "git over SSH without prompts: a key, a host alias, a pinned host key, remotes",
    .fields = fields(),
    .example =
        "ssh_git:\n  user: tegwick\n  key: ~/.ssh/id_ed25519_gitea\n  key_comment: tegwick@coulombcore\n"
        "  host_alias: gitea-local\n  hostname: localhost\n  port: 30022\n  organisation: coulomb\n"
        "  repositories: [ops-hub, net-kingdom]\n",
    .render = render,
};

}  // namespace converge
