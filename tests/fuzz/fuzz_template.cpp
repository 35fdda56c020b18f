// Whatever a template's text is, evaluating it ends, within its limits, in a value or a diagnostic.
#include <cstdio>
#include <cstdlib>

#include "spec/template.h"
#include "spec/yaml.h"
#include "tests/fuzz/driver.h"

namespace {

[[noreturn]] void broken(const char* law, const std::string& text) {
  std::fprintf(stderr, "%s:\n%s\n", law, text.c_str());
  std::abort();
}

/// The variables every input may use; made once, read only.
const converge::spec::Value& variables() {
  static const converge::Source source{
      "vars.yaml", "size: 4\nname: web\nlist: [a, b, 3]\nmap: {a: 1, b: {c: [x]}}\nnothing: null\nhalf: 0.5\n"};
  static const converge::spec::Value value = [] {
    converge::Diagnostics diagnostics;
    return converge::spec::read_yaml(source, {}, diagnostics).value();
  }();
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace converge::spec;
  const converge::Source source{"fuzz.conf", std::string(reinterpret_cast<const char*>(data), size)};
  Scope scope;
  scope.variable = [](std::string_view name) { return variables().find(name); };
  scope.fact = scope.variable;
  scope.names = [] { return std::vector<std::string>{"size", "name", "list", "map", "nothing", "half"}; };

  converge::Diagnostics diagnostics;
  const std::optional<std::string> text = render_template(source, scope, diagnostics);
  if (text.has_value() != diagnostics.empty()) broken("a text and a diagnostic exclude each other", source.text);
  if (text && text->size() > (1U << 20U)) broken("the output is limited", source.text);

  diagnostics.clear();
  Templates templates;
  const Value scalar(source.text, {&source, 1, 1}, true);
  const std::optional<Value> first = templates.evaluate(scalar, scope, diagnostics);
  if (first.has_value() != diagnostics.empty()) broken("a value and a diagnostic exclude each other", source.text);
  for (const converge::Diagnostic& one : diagnostics) {
    if (one.at.line < 1 || one.at.column < 1 || one.message.empty()) broken("a diagnostic has a place", source.text);
    render(one);
  }
  const std::optional<Value> second = templates.evaluate(scalar, scope, diagnostics);
  if (first.has_value() != second.has_value() || (first && !first->same_as(*second)))
    broken("what is cached evaluates to the same", source.text);
  return 0;
}

const std::vector<std::string> fuzz_seeds = {
    "{{ size }}",
    "{{ .Vars.map.b.c | first | upper | default \"x\" }} {{ .Facts.size }}",
    "{{- range $i, $x := list }}{{ if eq $i 1 }}{{ continue }}{{ else if $x }}{{ $x }}{{ else }}{{ break }}{{ end }}{{ "
    "end -}}",
    "{{ $x := 1 }}{{ range 9 }}{{ $x = add $x $x }}{{ end }}{{ $x }}{{ with map }}{{ .a }}{{ $.Vars.name }}{{ end }}",
    "{{ printf \"%05d|%-6s|%q|%x|%.2f\" size name name 255 half }}{{/* c */}}{{ dict \"a\" (list 1 2.5 true nil) | "
    "toJson }}",
    "{{ seq 1 3 | join \",\" }}{{ repeat 3 `ab` | nindent 2 }}{{ ternary 1 2 (and size (not nothing)) }}{{ index list "
    "1 }}",
    "{{ range (seq 1 1000000000) }}x{{ end }}",
};
const std::vector<std::string> fuzz_words = {"{{",
                                             "}}",
                                             "{{- ",
                                             " -}}",
                                             " | ",
                                             "(",
                                             ")",
                                             "$x",
                                             " := ",
                                             " = ",
                                             ".",
                                             ".a",
                                             "\"",
                                             "`",
                                             "{{ end }}",
                                             "{{ else }}",
                                             "{{ if size }}",
                                             "{{ range list }}",
                                             "{{ with map }}",
                                             "list",
                                             "size",
                                             "default ",
                                             "-1 ",
                                             "1e9 ",
                                             "9223372036854775807 ",
                                             "add ",
                                             "repeat ",
                                             "slice ",
                                             "printf ",
                                             "index ",
                                             "dict ",
                                             "untilStep ",
                                             "mod ",
                                             "div ",
                                             "substr "};
