// A command of the operator's: the way out when no other module says it.
#include <algorithm>

#include "modules/module.h"
#include "modules/people.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "command";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "argv",
       .kind = Kind::text_list,
       .doc = "the program and its arguments, one by one; no shell reads them",
       .required = true},
      {.name = "creates", .kind = Kind::path, .doc = "not run when this path exists; proved afterwards"},
      {.name = "unless",
       .kind = Kind::text_list,
       .doc = "a command that changes nothing; when it exits 0 the other is not run; plan and verify run it too"},
      {.name = "user", .kind = Kind::text, .doc = "whose rights it runs with", .fallback = "root"},
      {.name = "deadline",
       .kind = Kind::integer,
       .doc = "how long it may take",
       .fallback = "300",
       .min = 1,
       .max = 86'400,
       .unit = "seconds"},
      {.name = "ok_exits", .kind = Kind::text_list, .doc = "the exit codes that mean success; 0 alone if absent"},
      {.name = "input", .kind = Kind::multiline, .doc = "what it reads from its standard input; never shown"},
  };
  return table;
}

std::vector<int> exits(const spec::Params& params) {
  std::vector<int> out;
  for (const auto& text : params.texts("ok_exits")) {
    const bool number = !text.empty() && text.size() <= 3 && text.find_first_not_of("0123456789") == std::string::npos;
    if (!number || std::stoi(text) > 255)
      params.reject("ok_exits", "'" + text + "' is no exit code", "exit codes are 0 to 255");
    else
      out.push_back(std::stoi(text));
  }
  if (out.empty()) out.push_back(0);
  return out;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  if (!params.ok()) return {};
  RunCommand command;
  command.argv = params.texts("argv");
  command.unless = params.texts("unless");
  for (const auto* argv : {&command.argv, &command.unless}) {
    const std::string_view key = argv == &command.argv ? "argv" : "unless";
    if (argv->empty()) {
      if (key == "argv") params.reject(key, "a command needs at least the program's name", {});
      continue;
    }
    if (argv->front().empty() || argv->front().find(' ') != std::string::npos)
      params.reject(key, "'" + argv->front() + "' is no program", "write a list: [systemctl, restart, k3s]");
  }
  command.ok_exits = exits(params);
  command.deadline = std::chrono::seconds(params.integer("deadline"));
  command.input = params.text("input");
  if (params.has("creates")) command.creates = params.path("creates");
  if (!params.ok()) return {};
  if (params.text("user") != "root") {
    auto who = person(params.text("user"), facts);
    if (!who) return {{}, std::move(who).error()};
    command.as = *std::move(who);
  }
  return {{declare(module_name, params, "argv", std::move(command))}, std::nullopt};
}

}  // namespace

extern const Module command_module;
const Module command_module{
    .name = module_name,
    .summary = "a command, run when 'creates' or 'unless' says it is needed; a list of words, never a shell line",
    .fields = fields(),
    .example = "command:\n  argv: [touch, /var/lib/prepared]\n  creates: /var/lib/prepared\n",
    .render = render,
};

}  // namespace converge
