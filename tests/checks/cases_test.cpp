// The case files: a host's state, a gossfile, and the verdict and words of each check.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "checks/gossfile.h"
#include "core/text.h"
#include "spec/yaml.h"
#include "system/network.h"
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

/// A host whose neighbours are data: "reached", "names", "pages" and "interfaces" of a case.
class Host final : public FakeSystem {
 public:
  explicit Host(const spec::Value* state) : state_(state) {}
  Result<Reached> dial(const DialRequest& request) const override {
    if (!has("reached")) return FakeSystem::dial(request);
    const spec::Value* found = at("reached", request.address);
    return found != nullptr && *found->boolean() ? Reached::yes : Reached::no;
  }
  Result<DnsAnswer> ask_dns(const DnsRequest& request) const override {
    if (!has("names")) return FakeSystem::ask_dns(request);
    const spec::Value* found = at("names", request.name);
    return DnsAnswer{texts(found)};
  }
  Result<HttpAnswer> http(const HttpRequest& request) const override {
    if (!has("pages")) return FakeSystem::http(request);
    // Known by what is sent: "HEAD http://h/ with Bearer x", "http://h/ as user:password".
    std::string asked = (request.method == "GET" ? "" : request.method + " ") + request.url;
    for (const auto& [name, value] : request.headers)
      if (name == "Authorization") asked += " with " + value;
    if (!request.user.empty()) asked += " as " + request.user + ":" + request.password.reveal();
    const spec::Value* found = at("pages", asked);
    if (found == nullptr) return Error{Errc::refused, "connection refused", {}, {}};
    HttpAnswer out;
    out.status = static_cast<int>(number_at(*found, "status"));
    out.headers = texts(found->find("headers"));
    out.body = text_at(*found, "body");
    if (const spec::Value* shown = found->find("certificate")) {
      constexpr std::int64_t hour = std::int64_t{3600} * 1'000'000;
      out.certificate.emplace();
      out.certificate->problem = text_at(*shown, "problem");
      out.certificate->trusted = out.certificate->problem.empty();
      out.certificate->names = texts(shown->find("names"));
      out.certificate->subject = text_at(*shown, "subject");
      out.certificate->issuer = text_at(*shown, "issuer");
      out.certificate->protocol = text_at(*shown, "protocol");
      out.certificate->not_after = Timestamp{now().micros + (number_at(*shown, "days") * 24 + 1) * hour};
    }
    return out;
  }
  Result<std::vector<NetworkInterface>> interfaces() const override {
    if (!has("interfaces")) return FakeSystem::interfaces();
    std::vector<NetworkInterface> out;
    for (const auto& entry : *state_->find("interfaces")->map()) out.push_back({entry.key, texts(&entry.value)});
    return out;
  }

 private:
  bool has(std::string_view section) const { return state_ != nullptr && state_->find(section) != nullptr; }
  const spec::Value* at(std::string_view section, std::string_view key) const {
    const spec::Value* all = state_ == nullptr ? nullptr : state_->find(section);
    return all == nullptr ? nullptr : all->find(key);
  }
  static std::vector<std::string> texts(const spec::Value* list) {
    std::vector<std::string> out;
    if (list != nullptr && list->list() != nullptr)
      for (const spec::Value& each : *list->list()) out.push_back(each.text());
    return out;
  }
  const spec::Value* state_;
};

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
  // A shell's command is known by its last argument, the others by all of their words.
  for (const std::string_view program : {"git", "runuser", "sh", "ssh", "systemd-run"})
    host.on_command(program, [&state](FakeSystem&, const Command& command, bool) -> Result<CommandOutput> {
      const std::string words = command.argv.front() == "sh" ? command.argv.back() : join(command.argv, " ");
      const spec::Value* commands = state.find("commands");
      const spec::Value* known = commands == nullptr ? nullptr : commands->find(words);
      if (known == nullptr) return Error{Errc::not_found, "no such command in the case: " + words, {}, {}};
      if (number_at(*known, "timeout") != 0)
        return Error{Errc::timeout, "'sh' did not end in time and was killed", {}, {}};
      CommandOutput out;
      if (known->find("show") != nullptr) {  // who runs it, where, with what
        out.out = (command.as ? command.as->name : "us") + " " + (command.directory ? command.directory->str() : ".");
        for (const auto& [name, value] : command.environment) out.out += " " + name + "=" + value;
        out.out += "\n";
        return out;
      }
      if (known->find("as") != nullptr) {
        EXPECT_EQ(command.as ? command.as->name : "", text_at(*known, "as")) << words;
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
    Host host(one.find("host"));
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

/// True if some line of `says` ("pass file:/etc exists") is of this verdict, type and property.
bool is_said(const std::string& says, std::string_view verdict, std::string_view type, const std::string& property) {
  for (const auto raw : split(says, '\n')) {
    const std::string_view line = trim(raw);
    if (!line.starts_with(std::string(verdict) + " " + std::string(type) + ":")) continue;
    if (line.ends_with(" " + property) || line.find(" " + property + ": ") != std::string_view::npos ||
        line.find(" " + property + " of ") != std::string_view::npos)
      return true;
  }
  return false;
}

// An attribute that no case asks for, holding and not holding, is one that may stop working unseen.
TEST(Cases, HaveEveryAttributeHoldingAndNot) {
  std::string says;
  for (const auto& file : files()) says += slurp(file) + "\n";
  for (const CheckType& type : check_types())
    for (const Attribute& each : type.attributes) {
      if (!each.matchable || each.kind == Kind::named || type.name == "registry") continue;  // Windows has that one
      const std::string property(each.shown.empty() ? each.name : each.shown);
      for (const char* verdict : {"pass", "fail"})
        EXPECT_TRUE(is_said(says, verdict, type.name, property))
            << type.name << ": no case where " << each.name << " is a " << verdict;
    }
}

// The same for matchers: each by its name in a case that passes and in one that fails.
TEST(Cases, HaveEveryMatcher) {
  std::string says;
  for (const auto& file : files()) says += slurp(file) + "\n";
  for (const char* name : {"equal",
                           "have-prefix",
                           "have-suffix",
                           "contain-substring",
                           "match-regexp",
                           "gt",
                           "ge",
                           "lt",
                           "le",
                           "have-len",
                           "have-key",
                           "contain-element",
                           "contain-elements",
                           "consist-of",
                           "have-patterns",
                           "not",
                           "and",
                           "or",
                           "semver-constraint",
                           "gjson",
                           "xml"})
    EXPECT_NE(says.find(std::string(name) + ": "), std::string::npos) << name;
}

INSTANTIATE_TEST_SUITE_P(Checks, Cases, testing::ValuesIn(files()),
                         [](const auto& each) { return each.param.stem().string(); });

}  // namespace
}  // namespace converge::checks
