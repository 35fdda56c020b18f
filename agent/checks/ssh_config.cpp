#include <fmt/format.h>

#include <algorithm>

#include "checks/looking.h"
#include "core/text.h"
#include "primitives/openssh.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"host", Kind::text, false, "", "the host or alias as it is typed after ssh, when the key is another name"},
    {"user", Kind::text, false, "", "whose configuration; ssh runs with that user's rights, never root's"},
    {"values", Kind::named, true, "",
     "by ssh's keyword in lower case, what ssh -G answers: hostname, port, user, identityfile, identitiesonly ...; a "
     "list where it answers a keyword more than once; paths as they are written",
     true},
};

/// Where the line that wins stands, as far as the user's own file tells.
std::string place_of(const std::string& keyword, const std::string& host, const Person& person,
                     const SystemView& view) {
  const AbsPath config = person.home.child(".ssh/config");
  const auto seen = view.read({config, person}, 1_MiB);
  if (!seen) return {};  // only the place is lost
  for (const auto& setting : settings_for(seen->content, host))
    if (setting.keyword == keyword || setting.keyword == "include")
      return fmt::format("{}set by {}:{}{}", setting.certain ? "" : "perhaps ", config.str(), setting.line,
                         setting.keyword == "include" ? ", an Include" : "");
  return {};
}

Looked look(const Asked& asked, Context& /*context*/, const SystemView& view) {
  const auto person = person_of(asked.text("user"), view);
  if (!person) return all_unknown(asked, person.error());
  // A Match block may run commands: only ever as the user.
  const Command command{
      .argv = {"ssh", "-G", "--", asked.subject()}, .deadline = std::chrono::seconds(15), .as = *person};
  const auto output = view.query(command);
  if (!output) {
    Error error = output.error();
    if (error.code == Errc::not_found) error.hint = "install openssh-client";
    if (error.code == Errc::timeout) error.hint = "a 'Match exec' of the configuration may be what waits";
    return all_unknown(asked, error);
  }
  const auto answer = parse_ssh_answer(output->out);
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (output->exit_code != 0) {
      out.emplace_back(name, Nothing{"ssh refuses: " + printable(trim(output->err))});
      continue;
    }
    const std::string keyword = Asked::name_in(name, "values").value_or(name);
    std::vector<std::string> values;
    for (const auto& [key, value] : answer)
      if (key == keyword) values.push_back(value);
    if (values.empty())
      out.emplace_back(name, Nothing{fmt::format("ssh says nothing of '{}'", printable(keyword))});
    else
      out.emplace_back(name, values.size() == 1 ? Value(values.front()) : list_value(values),
                       place_of(keyword, asked.subject(), *person, view));
  }
  return out;
}

Status accept(const Asked& asked) {
  if (asked.text("user").empty())
    return Error{Errc::invalid, "'user' is missing", {}, "say whose configuration ssh reads"};
  for (const auto& name : asked.wanted())
    if (const auto keyword = Asked::name_in(name, "values"); keyword && *keyword != lower(*keyword))
      return Error{Errc::invalid,
                   fmt::format("'{}' is not in lower case, as ssh -G writes it", printable(*keyword)),
                   {},
                   fmt::format("write {}", printable(lower(*keyword)))};
  return ok();
}

}  // namespace

CheckType ssh_config_check() {
  CheckType type{"ssh_config", "SSHConfig", "what ssh itself would use for a host, whatever shadows what", "host",
                 attributes};
  type.example =
      "ssh_config:\n"
      "  gitea-local:\n"
      "    user: tegwick\n"
      "    values: { hostname: localhost, port: 30022, user: git, identityfile: ~/.ssh/id_ed25519_gitea }\n";
  type.look = look;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
