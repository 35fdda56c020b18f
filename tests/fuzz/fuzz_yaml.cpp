// What read_yaml accepts, write_yaml writes so that it reads back the same; nothing crashes, hangs or is accepted twice
// over.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "spec/yaml.h"
#include "tests/fuzz/driver.h"

using converge::Diagnostics;
using converge::Source;

namespace {

[[noreturn]] void broken(const char* law, const std::string& text) {
  std::fprintf(stderr, "%s:\n%s\n", law, text.c_str());
  std::abort();
}

/// In places and quotes too.
bool identical(const converge::spec::Value& a, const converge::spec::Value& b) {
  const auto same_place = [](converge::SourcePos x, converge::SourcePos y) {
    return x.line == y.line && x.column == y.column;
  };
  if (a.data().index() != b.data().index() || a.quoted() != b.quoted() || !same_place(a.at(), b.at())) return false;
  if (const auto* list = a.list()) {
    const auto& other = *b.list();
    return std::equal(list->begin(), list->end(), other.begin(), other.end(), identical);
  }
  if (const auto* map = a.map()) {
    const auto& other = *b.map();
    return std::equal(map->begin(), map->end(), other.begin(), other.end(), [&](const auto& x, const auto& y) {
      return x.key == y.key && same_place(x.key_at, y.key_at) && identical(x.value, y.value);
    });
  }
  return a.same_as(b);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace converge::spec;
  const Source source{"fuzz.yaml", std::string(reinterpret_cast<const char*>(data), size)};
  for (const bool aliases : {false, true}) {
    YamlRules rules;
    rules.aliases = aliases;
    rules.max_bytes = 1U << 16U;
    rules.max_nodes = 2000;
    Diagnostics diagnostics;
    const std::optional<Value> value = read_yaml(source, rules, diagnostics);
    if (value.has_value() != diagnostics.empty()) broken("a value and a diagnostic exclude each other", source.text);
    for (const converge::Diagnostic& one : diagnostics)
      if (one.at.line < 1 || one.at.column < 1 || one.message.empty()) broken("a diagnostic has a place", source.text);
    for (const converge::Diagnostic& one : diagnostics) render(one);
    YamlRules slow = rules;
    slow.by_library = true;
    Diagnostics others;
    const std::optional<Value> compared = read_yaml(source, slow, others);
    if (value.has_value() != compared.has_value() || (value && !identical(*value, *compared)))
      broken("the plain reader and yaml-cpp read the same", source.text);
    if (!value) continue;
    const Source written{"written.yaml", write_yaml(*value)};
    YamlRules wide;
    wide.max_nodes = 10'000;
    wide.max_depth = 64;
    const std::optional<Value> again = read_yaml(written, wide, diagnostics);
    if (!again || !again->same_as(*value))
      broken("what is written reads back the same", source.text + "\n---\n" + written.text);
  }
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "spec: node\nhosts: all\nvars: { size: 4, on: true }\nconverge:\n  - swapfile:\n      path: /swapfile\n      size: "
    "\"{{ size }}GiB\"\n",
    "a: &x {p: 1, q: [1.5, -2, ~, 'it''s']}\nb: *x\nc:\n  <<: [*x, {r: 2}]\n  q: \"\\u00e9\\n\"\n",
    "- |\n  block\n    text\n- >-\n  folded\n  text\n- !!str 5\n- ? [k]\n  : v\n- \"a\": {b, c: d}\n",
    "%YAML 1.2\n---\n\"x y\": yes\n'z': 0x1F\n0644: 1e3\n...\n",
    ",",
    "---\nfile:\n  /etc/passwd:\n    exists: true # so\n    mode: \"0644\"\n    contents:\n    - root\n    - '!/x: "
    "y/'\n  "
    "\"/a b\": {exists: false, owner: root, list: [a, 'b', 3]}\n",
    "{\n  \"file\": {\n    \"/a\": {\"exists\": true, \"size\":12},\n    \"/b\": {\"n\": [1, 2]}\n  }\n}\n",
    "- a: 1\n  b:\n- c\n-\n  d: -1\n",
    "&a [*a]",
    "x: {{ a }}\ny: [{{ b }}, c]\n",
};
const std::vector<std::string> fuzz_words = {": ",  "- ",  "\n", "  ",   "&a ",   "*a", "<<: ", "{",    "}",
                                             "[",   "]",   ",",  "\"",   "'",     "|",  ">-",   "#",    "!t ",
                                             "---", "...", "\t", "null", "1.5e3", "? ", "{{ ",  "\\x00"};
