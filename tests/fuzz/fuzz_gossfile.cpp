// The reader of gossfiles: any bytes, as YAML and as JSON, give assertions or diagnostics and nothing else.
#include <cstddef>
#include <cstdint>
#include <string>

#include "checks/gjson.h"
#include "checks/gossfile.h"
#include "tests/fuzz/driver.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace converge;
  const std::string text(reinterpret_cast<const char*>(data), size);
  checks::GossfileInput input;
  for (const char* path : {"goss.yaml", "goss.json"}) {
    input.read = [&](const std::string& asked) -> Result<std::string> {
      if (asked == path) return text;
      return Error{Errc::not_found, "no such file", {}, {}};
    };
    input.list = [](const std::string&) -> Result<std::vector<std::string>> { return std::vector<std::string>{"a"}; };
    input.scope.variable = [](std::string_view) -> const spec::Value* { return nullptr; };
    Sources sources;
    Diagnostics said;
    for (const auto& assertion : checks::assertions_of(path, input, sources, said)) {
      (void)checks::id(assertion);
      // What an attribute expects is asked of values of every kind.
      for (const auto& each : assertion.expectations) {
        (void)checks::to_check(std::string(each.property), each.matcher.match(spec::Value(text)));
        (void)checks::to_check(std::string(each.property),
                               each.matcher.match(spec::Value(spec::List{spec::Value(true)})));
      }
    }
  }
  if (const auto document = checks::Json::parse(text)) (void)document->get(text.substr(0, 64));
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "file:\n  /etc/passwd:\n    exists: true\n    mode: 0644\n    contents: [root, '!/x$/', '\\!y']\n",
    "command:\n  echo hi:\n    exit-status: {or: [0, {lt: 5}]}\n    stdout: {match-regexp: '^h'}\n    retry_delay: "
    "1s\n",
    "matching:\n  a: {content: '{\"a\":[1,{\"b\":2}]}', matches: {gjson: {'a.#(b>1).b': 2, 'a.#': {gt: 1}}}}\n",
    "matching:\n  a: {content: <a><b/></a>, matches: {xml: {xpath: //b, result: ''}}}\n",
    "package: {bash: {installed: true, versions: {semver-constraint: '>=1.0.0 <2.x || !3.0.0'}}}\n",
    "{{ if eq (getEnv \"A\") \"b\" }}\nport: {tcp:80: {listening: yes}}\n{{ end }}\n",
    "gossfile: {'*.yaml': {skip: on}, goss.yaml: {}}\n",
    "{\"http\": {\"http://x/\": {\"status\": 200, \"request-headers\": [\"a: b\"]}}}",
};
const std::vector<std::string> fuzz_words = {"{",
                                             "}",
                                             "[",
                                             "]",
                                             ": ",
                                             "- ",
                                             "\n",
                                             "'",
                                             "\"",
                                             "!",
                                             "/",
                                             "\\",
                                             "{{",
                                             "}}",
                                             "not",
                                             "and",
                                             "consist-of",
                                             "have-len",
                                             "contain-element",
                                             "0x1F",
                                             "0644",
                                             "yes",
                                             "~",
                                             "*",
                                             "#(",
                                             ")#",
                                             "|",
                                             "@reverse",
                                             "..",
                                             "\xFF"};
