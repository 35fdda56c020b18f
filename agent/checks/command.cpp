#include <fmt/format.h>

#include "checks/looking.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"exec", Kind::text, false, "", "the shell line, when the key is a name"},
    {"argv", Kind::text_list, false, "", "a program and its arguments, without a shell"},
    {"env", Kind::any, false, "", "a mapping of variables to add to its environment"},
    {"user", Kind::text, false, "", "whom it runs as, with their home and nothing of our environment; us otherwise"},
    {"dir", Kind::text, false, "", "the directory it runs in; otherwise ours, or / for another user"},
    {"timeout", Kind::integer, false, "10000", "milliseconds; then its process group is killed"},
    {"exit-status", Kind::integer, true, "", "the exit status; -1 for a death by a signal", true},
    {"stdout", Kind::stream, true, "", "what it wrote on standard output"},
    {"stderr", Kind::stream, true, "", "what it wrote on standard error"},
};

/// What it says is kept up to here; more than that would not fit into a small agent.
constexpr Bytes kept = 2_MiB;

Command command_of(const Asked& asked, const Context& context) {
  Command command;
  command.argv = asked.texts("argv");
  // The operator wrote a line for a shell: that is what a gossfile's exec is.
  if (command.argv.empty()) command.argv = {"sh", "-c", asked.subject()};
  command.deadline = asked.timeout();
  if (asked.text("user").empty()) {
    command.environment = context.setting().environment;
    command.directory = context.setting().directory;
  }
  if (const spec::Value* added = asked.raw("env"); added != nullptr && added->map() != nullptr)
    for (const spec::Entry& entry : *added->map()) {
      std::erase_if(command.environment, [&](const auto& pair) { return pair.first == entry.key; });
      command.environment.emplace_back(entry.key, entry.value.text());
    }
  command.keep = kept;
  return command;
}

/// The command, with what only the host knows.
Result<Command> placed(const Asked& asked, Context& context, const SystemView& view) {
  Command command = command_of(asked, context);
  if (const std::string name = asked.text("user"); !name.empty()) {
    auto person = person_of(name, view);
    if (!person) return std::move(person).error();
    command.as = *std::move(person);
  }
  if (const std::string directory = asked.text("dir"); !directory.empty()) {
    auto path = path_of(directory, context, view);
    if (!path) return std::move(path).error();
    command.directory = *std::move(path);
  }
  return command;
}

Status accept(const Asked& asked) {
  const spec::Value* added = asked.raw("env");
  if (added != nullptr && added->map() == nullptr)
    return Error{Errc::invalid, "'env' is a mapping of variables", {}, "write env: {NAME: value}"};
  return ok();
}

Foresight foresee(const Asked& asked, const Context& context) {
  if (!asked.text("user").empty() || !asked.text("dir").empty()) return {};  // these need a look first
  return {{command_of(asked, context)}, {}};
}

Actual output_of(const CommandOutput& output, const std::string& text) {
  if (!output.cut) return text_value(text);
  return Error{Errc::too_big,
               fmt::format("it wrote more than {}", kept.text()),
               {},
               "let the command itself search, and assert on its exit status"};
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto command = placed(asked, context, view);
  if (!command) return all_unknown(asked, command.error());
  auto output = view.query(*command);
  if (!output && output.error().code == Errc::timeout) {
    // It was given this long and no longer.
    Looked out;
    for (const auto& name : asked.wanted())
      out.emplace_back(name, Nothing{fmt::format("killed after {} ms", asked.timeout().count()),
                                     fmt::format("Command execution timed out ({}ms)", asked.timeout().count())});
    return out;
  }
  if (!output) return all_unknown(asked, output.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exit-status")
      out.emplace_back(name, Value(std::int64_t{output->signal != 0 ? -1 : output->exit_code}));
    else
      out.emplace_back(name, output_of(*output, name == "stdout" ? output->out : output->err));
  }
  return out;
}

}  // namespace

CheckType command_check() {
  CheckType type{"command", "Command", "a shell line: how it ends and what it says", "exec", attributes};
  type.look = look;
  type.foresee = foresee;
  type.accept = accept;
  return type;
}

}  // namespace converge::checks
