// Real gossfiles, where the corpus is there: each loads, or fails for the reason Goss gave.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "checks/gossfile.h"
#include "core/text.h"

namespace converge::checks {
namespace {

namespace fs = std::filesystem;

Result<std::string> slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Errc::not_found, "cannot read '" + path + "'", {}, {}};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The variables a gossfile uses, each with a value its use allows: a list where it is ranged over, a mapping where
/// something in it is named, true otherwise. Those in `missing` are left out.
spec::Value variables_of(const std::string& text, const std::set<std::string>& missing) {
  spec::Map map;
  const auto add = [&](const std::string& name, spec::Value value) {
    if (missing.contains(name)) return;
    for (const auto& entry : map)
      if (entry.key == name) return;
    map.push_back({name, {}, std::move(value)});
  };
  const std::regex ranged("range *(?:[^}]*:= *)?\\.Vars\\.(\\w+) *\\}"), nested("\\.Vars\\.(\\w+)\\.(\\w+)"),
      plain("\\.Vars\\.(\\w+)");
  for (std::sregex_iterator it(text.begin(), text.end(), ranged), end; it != end; ++it) {
    spec::Map element;
    for (const char* field : {"name", "fingerprint"}) element.push_back({field, {}, spec::Value(std::string("x"))});
    const bool of_fields = text.find("{{ .name }}") != std::string::npos;
    spec::List list;
    list.push_back(of_fields ? spec::Value(std::move(element)) : spec::Value(std::string("x")));
    add((*it)[1], spec::Value(std::move(list)));
  }
  for (std::sregex_iterator it(text.begin(), text.end(), nested), end; it != end; ++it) {
    spec::Map fields;
    for (std::sregex_iterator other(text.begin(), text.end(), nested); other != end; ++other)
      if ((*other)[1] == (*it)[1]) {
        const std::string field = (*other)[2];
        bool known = false;
        for (const auto& entry : fields) known = known || entry.key == field;
        if (!known) fields.push_back({field, {}, spec::Value(std::string("1"))});
      }
    add((*it)[1], spec::Value(std::move(fields)));
  }
  const std::regex compared("eq +\\.Vars\\.(\\w+)"), number("\\.Vars\\.(\\w*timeout\\w*)");
  for (std::sregex_iterator it(text.begin(), text.end(), compared), end; it != end; ++it)
    add((*it)[1], spec::Value(std::string("x")));
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it)
    add((*it)[1], spec::Value(std::int64_t{1000}));
  // Rules that were off when Goss read these files: their text is no YAML when they are on.
  add("suse15cis_desktop_required", spec::Value(false));
  add("RHEL_08_020050", spec::Value(false));
  for (std::sregex_iterator it(text.begin(), text.end(), plain), end; it != end; ++it) add((*it)[1], spec::Value(true));
  return spec::Value(std::move(map));
}

TEST(Corpus, LoadsOrFailsAsGossDoes) {
  const fs::path corpus = fs::path(CONVERGE_SOURCE_DIR) / "../shared/corpus/gossfiles";
  if (!fs::exists(corpus / "index.tsv")) GTEST_SKIP() << "there is no corpus at " << corpus;
  const std::string index = *slurp((corpus / "index.tsv").string());
  int files = 0;
  for (const auto line : split(index, '\n')) {
    const auto columns = split(line, '\t');
    if (columns.size() < 5 || columns[0] == "file") continue;
    ++files;
    const std::string name(columns[0]), message(columns.size() > 5 ? columns[5] : "");
    const std::string original(columns[2]);
    const std::string text = *slurp((corpus / name).string());
    std::set<std::string> missing;
    if (const auto key = message.find("no entry for key \""); key != std::string::npos)
      missing.insert(message.substr(key + 18, message.find('"', key + 18) - key - 18));
    const spec::Value variables = variables_of(text, missing);
    GossfileInput input;
    // The extension of where it came from counts; its includes are not part of the corpus.
    const std::string path = "x" + original.substr(original.rfind('.'));
    input.read = [&](const std::string& asked) -> Result<std::string> {
      if (asked == path) return text;
      return std::string("file: {/included: {exists: true}}\n");
    };
    input.list = [](const std::string&) -> Result<std::vector<std::string>> {
      return std::vector<std::string>{"a.yml", "b.yaml"};
    };
    input.scope.variable = [&](std::string_view wanted) { return variables.find(wanted); };
    input.commands.environment = {{"TARGET", "ubuntu"}};
    Sources sources;
    Diagnostics said;
    const auto assertions = assertions_of(path, input, sources, said);
    std::string errors;
    for (const auto& each : said)
      if (each.severity == Severity::error && each.message.find("there are no checks") == std::string::npos)
        errors += render(each);
    const bool goss_fails = columns[4] == "err";
    // 017 fails for a file it includes, which is not there.
    if (name == "017.yaml") continue;
    EXPECT_EQ(!errors.empty(), goss_fails) << name << " (" << original << ")\n" << message << "\n" << errors;
    if (goss_fails && !errors.empty()) {
      if (message.find("already defined") != std::string::npos) {
        EXPECT_NE(errors.find("duplicate key"), std::string::npos) << errors;
      }
      for (const auto& key : missing) EXPECT_NE(errors.find("'" + key + "'"), std::string::npos) << errors;
    }
  }
  EXPECT_EQ(files, 112);
}

}  // namespace
}  // namespace converge::checks
