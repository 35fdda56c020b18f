#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"
#include "primitives/git_config.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the working tree or bare repository, when the key is a name"},
    {"user", Kind::text, false, "", "as whom git is asked; the owner of the directory otherwise"},
    {"remote", Kind::text, false, "origin", "the name of the remote"},
    {"exists", Kind::boolean, true, "", "whether the repository has that remote", true},
    {"url", Kind::text, true, "", "its URL as the configuration says it; a list where there are several"},
    {"fetch", Kind::text, true, "", "where git would fetch from, after insteadOf"},
    {"push", Kind::text, true, "", "where git would push to, after pushurl and pushInsteadOf"},
    {"reachable", Kind::boolean, true, "",
     "whether git ls-remote is let in without a question; it asks the other host"},
};

constexpr int no_such_remote = 2;  // of git remote get-url
constexpr int no_such_ref = 2;     // of git ls-remote --exit-code: it was let in, and there is nothing yet
constexpr int no_value = 1;        // of git config --get-all

/// The user to ask as.
Result<Person> who(const Asked& asked, const AbsPath& path, Context& context, const SystemView& view) {
  std::string name = asked.text("user");
  if (name.empty()) {
    auto status = view.status(path);
    if (!status) return std::move(status).error();
    if (!*status || !(*status)->owner) return Error{Errc::unsupported, "its owner is not known", {}, "say user: NAME"};
    auto account = find_account((*status)->owner->uid, context, view);
    if (!account) return std::move(account).error();
    if (!*account)
      return Error{
          Errc::not_found, fmt::format("its owner, {}, has no name", (*status)->owner->uid), {}, "say user: NAME"};
    name = (*account)->name;
  }
  return person_of(name, view);
}

Actual lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (const auto line : split(trim(text), '\n')) out.emplace_back(line);
  return out.size() == 1 ? Value(out.front()) : list_value(out);
}

Error failed(const CommandOutput& output) {
  return {Errc::command_failed,
          fmt::format("git ended with status {}: {}", output.exit_code, printable(trim(output.err))),
          {},
          {}};
}

Sight look_at(const std::string& name, const Person& person, const AbsPath& path, const std::string& remote,
              const SystemView& view) {
  std::vector<std::string> arguments = {"remote", "get-url", "--all", remote};
  if (name == "url") arguments = {"config", "--get-all", fmt::format("remote.{}.url", remote)};
  if (name == "push") arguments.insert(arguments.begin() + 3, "--push");
  if (name == "reachable") arguments = {"ls-remote", "--exit-code", remote, "HEAD"};
  const auto output = view.query(git(person, path, std::move(arguments)));
  if (!output) {
    if (name == "reachable" && output.error().code == Errc::timeout) return {name, Value(false), "no answer in time"};
    return {name, output.error()};
  }
  if (name == "exists" && (output->exit_code == 0 || output->exit_code == no_such_remote))
    return {name, Value(output->exit_code == 0)};
  if (name == "reachable") {
    const bool reached = output->exit_code == 0 || output->exit_code == no_such_ref;
    return {name, Value(reached), std::string(trim(output->err))};
  }
  if (output->exit_code == (name == "url" ? no_value : no_such_remote)) return {name, Nothing{"not set"}};
  if (output->exit_code != 0) return {name, failed(*output)};
  return {name, lines_of(output->out)};
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto path = path_of(asked.subject(), context, view);
  if (!path) return all_unknown(asked, path.error());
  auto status = view.status(*path);
  if (!status) return all_unknown(asked, status.error());
  Looked out;
  if (!*status) {
    for (const auto& name : asked.wanted()) {
      if (name == "exists")
        out.emplace_back(name, Value(false), fmt::format("there is no '{}'", printable(path->str())));
      else
        out.emplace_back(name, Nothing{"there is no repository"});
    }
    return out;
  }
  const auto person = who(asked, *path, context, view);
  if (!person) return all_unknown(asked, person.error());
  for (const auto& name : asked.wanted()) out.push_back(look_at(name, *person, *path, asked.text("remote"), view));
  return out;
}

Status accept(const Asked& asked) {
  if (asked.text("remote").starts_with('-') || asked.text("remote").empty())
    return Error{Errc::invalid, "'remote' is no name of a remote", {}, "write origin"};
  return ok();
}

}  // namespace

CheckType git_remote_check() {
  CheckType type{"git_remote", "GitRemote", "a remote of a git repository, and whether git gets there without prompts",
                 "path", attributes};
  type.example =
      "git_remote:\n"
      "  /home/tegwick/railiance-infra:\n"
      "    exists: true\n"
      "    url: ssh://git@gitea-local/coulomb/railiance-infra.git\n"
      "    push: ssh://git@gitea-local/coulomb/railiance-infra.git\n"
      "    reachable: true\n";
  type.first_decides = true;
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
