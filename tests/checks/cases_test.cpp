// The case files: a host's state, a gossfile, and the verdict and words of each check.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "checks/gossfile.h"
#include "core/text.h"
#include "spec/yaml.h"
#include "tests/support/fake_system.h"

namespace converge::checks {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string text_at(const spec::Value& value, std::string_view key) {
  const spec::Value* found = value.find(key);
  return found == nullptr ? std::string() : found->text();
}

std::int64_t number_at(const spec::Value& value, std::string_view key, std::int64_t fallback = 0) {
  const spec::Value* found = value.find(key);
  return found == nullptr || found->integer() == nullptr ? fallback : *found->integer();
}

/// What a case's "host:" says: files, links, others, people, units, commands, unreadable.
void furnish(FakeSystem& host, const spec::Value& state) {
  const auto each = [&](std::string_view key, const auto& put) {
    if (const spec::Value* section = state.find(key); section != nullptr && section->map() != nullptr)
      for (const auto& entry : *section->map()) put(entry.key, entry.value);
  };
  each("files", [&](const std::string& path, const spec::Value& value) {
    if (value.map() == nullptr) return host.put_file(path, value.text());
    const auto mode = Mode::parse(text_at(value, "mode").empty() ? "0644" : text_at(value, "mode"));
    host.put_file(path, text_at(value, "content"), *mode,
                  Owner{static_cast<std::uint32_t>(number_at(value, "uid")),
                        static_cast<std::uint32_t>(number_at(value, "gid"))});
  });
  each("directories", [&](const std::string& path, const spec::Value&) { host.put_directory(path); });
  each("links", [&](const std::string& path, const spec::Value& value) { host.put_symlink(path, value.text()); });
  each("others", [&](const std::string& path, const spec::Value& value) { host.put_other(path, value.text()); });
  each("unreadable", [&](const std::string& path, const spec::Value&) { host.fail_look(path, Errc::permission); });
  each("units", [&](const std::string& unit, const spec::Value& value) {
    for (const auto& entry : *value.map()) host.units[unit][entry.key] = entry.value.text();
  });
  each("people", [&](const std::string& name, const spec::Value& value) {
    const auto uid = static_cast<std::uint32_t>(number_at(value, "uid"));
    host.add_user({name, uid, uid, *AbsPath::parse(text_at(value, "home"))});
  });
  if (const spec::Value* systemd = state.find("systemd"); systemd != nullptr && systemd->boolean() != nullptr)
    host.systemd = *systemd->boolean();
  // A command is what its last argument says.
  host.on_command("sh", [&state](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
    const spec::Value* commands = state.find("commands");
    const spec::Value* known = commands == nullptr ? nullptr : commands->find(command.argv.back());
    if (known == nullptr) return Error{Errc::not_found, "no such command in the case", {}, {}};
    if (number_at(*known, "timeout") != 0)
      return Error{Errc::timeout, "'sh' did not end in time and was killed", {}, {}};
    CommandOutput out;
    if (known->find("show") != nullptr) {  // who runs it, where, with what
      out.out = (command.as ? command.as->name : "us") + " " + (command.directory ? command.directory->str() : ".");
      for (const auto& [name, value] : command.environment) out.out += " " + name + "=" + value;
      out.out += "\n";
      return out;
    }
    out.exit_code = static_cast<int>(number_at(*known, "status"));
    out.out = text_at(*known, "out");
    out.err = text_at(*known, "err");
    out.cut = number_at(*known, "cut") != 0;
    return out;
  });
}

std::string verdict_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass:
      return "pass";
    case Verdict::fail:
      return "fail";
    case Verdict::unknown:
      return "unknown";
    case Verdict::skipped:
      break;
  }
  return "skipped";
}

/// "fail file:/a exists: false, not true": a check that passed says no more than that.
std::string line_of(const std::string& id, const Check& check) {
  std::string out = verdict_of(check.verdict) + " " + id + " " + check.property;
  if (check.verdict == Verdict::fail)
    out += ": " + check.actual + ", not " + check.expected + " (" + check.detail + ")";
  if (check.verdict == Verdict::unknown) out += ": " + check.detail;
  return out;
}

class Cases : public testing::TestWithParam<fs::path> {};

TEST_P(Cases, SayWhatTheyShould) {
  Sources sources;
  Diagnostics said;
  const Source* source = sources.add(GetParam().filename().string(), slurp(GetParam()));
  spec::YamlRules rules;
  rules.aliases = true;
  const auto file = spec::read_yaml(*source, rules, said);
  ASSERT_TRUE(file) << (said.empty() ? "" : render(said.front()));
  for (const spec::Value& one : *file->list()) {
    SCOPED_TRACE(text_at(one, "case"));
    FakeSystem host;
    if (const spec::Value* state = one.find("host")) furnish(host, *state);
    const std::string name = text_at(one, "file").empty() ? "goss.yaml" : text_at(one, "file");
    GossfileInput input;
    input.read = [&](const std::string& path) -> Result<std::string> {
      if (path == name) return text_at(one, "goss");
      const spec::Value* others = one.find("others");
      const spec::Value* other = others == nullptr ? nullptr : others->find(path);
      if (other == nullptr) return Error{Errc::not_found, "there is no '" + path + "'", {}, {}};
      return other->text();
    };
    input.list = [&](const std::string& directory) -> Result<std::vector<std::string>> {
      std::vector<std::string> names;
      if (const spec::Value* others = one.find("others"))
        for (const auto& entry : *others->map())
          if (entry.key.starts_with(directory + "/")) names.push_back(entry.key.substr(directory.size() + 1));
      return names;
    };
    const spec::Value* vars = one.find("vars");
    input.scope.variable = [&](std::string_view wanted) { return vars == nullptr ? nullptr : vars->find(wanted); };
    input.commands.environment = {{"HOME", "/root"}, {"TARGET", "web"}};
    Diagnostics diagnostics;
    std::string seen;
    const auto assertions = assertions_of(name, input, sources, diagnostics);
    for (const auto& each : diagnostics)
      seen += std::string(each.severity == Severity::error ? "error " : "warning ") + each.at.text() + ": " +
              each.message + (each.hint.empty() ? "" : " (" + each.hint + ")") + "\n";
    for (const auto& assertion : assertions) {
      const auto state = inspect(assertion, host);
      ASSERT_TRUE(state);
      for (const Check& check : compare(assertion, *state)) seen += line_of(id(assertion), check) + "\n";
    }
    EXPECT_TRUE(host.mutations().empty());
    EXPECT_EQ(seen, text_at(one, "says"));
  }
}

std::vector<fs::path> files() {
  std::vector<fs::path> out;
  for (const auto& each : fs::directory_iterator(fs::path(CONVERGE_SOURCE_DIR) / "tests/checks/cases"))
    out.push_back(each.path());
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Checks, Cases, testing::ValuesIn(files()),
                         [](const auto& each) { return each.param.stem().string(); });

}  // namespace
}  // namespace converge::checks
