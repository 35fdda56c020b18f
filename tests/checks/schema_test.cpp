// The JSON Schema of gossfiles against their reader: what one accepts the other takes without a word.
#include <gtest/gtest.h>

#include <regex>

#include "checks/gossfile.h"
#include "checks/type.h"
#include "core/diagnostic.h"
#include "spec/yaml.h"

namespace converge::checks {
namespace {

using spec::Value;

Value read(Sources& sources, const std::string& text, Diagnostics& diagnostics) {
  auto value = spec::read_yaml(*sources.add("text", text), {true, std::size_t{1} << 22U, 2'000'000, 64}, diagnostics);
  return value ? *std::move(value) : Value();
}

/// As much of JSON Schema as ours uses.
class Schema {
 public:
  Schema() {
    Diagnostics diagnostics;
    root_ = read(sources_, gossfile_schema(), diagnostics);
    EXPECT_TRUE(diagnostics.empty());
  }
  bool accepts(const Value& value) const { return holds(root_, value); }
  bool knows(const std::string& type, const std::string& attribute) const {
    const Value* at = root_.find("properties");
    for (const std::string& name : {type, std::string("additionalProperties"), std::string("properties"), attribute})
      if (at != nullptr) at = at->find(name);
    return at != nullptr;
  }

 private:
  static bool is_a(const std::string& type, const Value& value) {
    if (type == "object") return value.map() != nullptr;
    if (type == "array") return value.list() != nullptr;
    if (type == "string") return value.string() != nullptr;
    if (type == "boolean") return value.boolean() != nullptr;
    if (type == "integer") return value.integer() != nullptr;
    if (type == "number") return value.integer() != nullptr || value.number() != nullptr;
    if (type == "null") return value.is_null();
    ADD_FAILURE() << "unknown type " << type;
    return false;
  }

  bool holds(const Value& schema, const Value& value) const {
    if (schema.boolean() != nullptr) return *schema.boolean();
    for (const auto& [word, at, argument] : *schema.map())
      if (!keeps(schema, word, argument, value)) return false;
    return true;
  }

  bool keeps(const Value& schema, const std::string& word, const Value& argument, const Value& value) const {
    if (word == "$ref") return holds(*root_.find("$defs")->find(argument.text().substr(8)), value);
    if (word == "anyOf") {
      return std::any_of(argument.list()->begin(), argument.list()->end(),
                         [&](const Value& each) { return holds(each, value); });
    }
    if (word == "type") {
      if (argument.list() == nullptr) return is_a(argument.text(), value);
      return std::any_of(argument.list()->begin(), argument.list()->end(),
                         [&](const Value& each) { return is_a(each.text(), value); });
    }
    if (word == "const") return value.string() != nullptr && *value.string() == argument.text();
    if (word == "pattern")
      return value.string() == nullptr || std::regex_search(*value.string(), std::regex(argument.text()));
    if (word == "minimum") return value.integer() == nullptr || *value.integer() >= *argument.integer();
    if (word == "maximum") return value.integer() == nullptr || *value.integer() <= *argument.integer();
    const auto* list = value.list();
    if (word == "minItems") return list == nullptr || std::int64_t(list->size()) >= *argument.integer();
    if (word == "items") {
      return list == nullptr ||
             std::all_of(list->begin(), list->end(), [&](const Value& each) { return holds(argument, each); });
    }
    const auto* map = value.map();
    if (word == "minProperties") return map == nullptr || std::int64_t(map->size()) >= *argument.integer();
    if (word == "maxProperties") return map == nullptr || std::int64_t(map->size()) <= *argument.integer();
    if (word == "required") {
      return map == nullptr || std::all_of(argument.list()->begin(), argument.list()->end(),
                                           [&](const Value& each) { return value.find(each.text()) != nullptr; });
    }
    if (word == "properties" || word == "patternProperties" || word == "additionalProperties") {
      const Value* named = schema.find("properties");
      const Value* patterned = schema.find("patternProperties");
      for (const auto& entry : map == nullptr ? spec::Map() : *map) {
        const Value* of = named == nullptr ? nullptr : named->find(entry.key);
        if (of == nullptr && patterned != nullptr)
          for (const auto& pattern : *patterned->map())
            if (std::regex_search(entry.key, std::regex(pattern.key))) of = &pattern.value;
        if (of == nullptr) of = schema.find("additionalProperties");
        if (of != nullptr && !holds(*of, entry.value)) return false;
      }
      return true;
    }
    return word.starts_with("$") || word == "description" ? true : (ADD_FAILURE() << "unknown word " << word, false);
  }

  Sources sources_;
  Value root_;
};

/// What the reader says of a gossfile; "" for nothing.
std::string said_of(const std::string& text) {
  Sources sources;
  GossfileInput input;
  input.read = [&](const std::string&) -> Result<std::string> { return text; };
  Diagnostics diagnostics;
  (void)assertions_of("text.yaml", input, sources, diagnostics);
  std::string out;
  for (const auto& each : diagnostics) out += each.message + "\n";
  return out;
}

bool accepted(const Schema& schema, const std::string& text) {
  Sources sources;
  Diagnostics diagnostics;
  return schema.accepts(read(sources, text, diagnostics)) && diagnostics.empty();
}

// What stands for an attribute, of every kind there is; both the schema and the reader are to agree on each.
constexpr const char* samples[] = {
    "true",
    "'yes, both'",
    "-1",
    "12",
    "1.5",
    "'0644'",
    "4GiB",
    "'512 M'",
    "4GB",
    "4gib",
    "lots",
    "unlimited",
    "max",
    "2s",
    "1m30s",
    "2 s",
    "[]",
    "[a, b]",
    "[1, 2]",
    "[4GiB, 1K]",
    "[lots]",
    "[{lt: 3}]",
    "{}",
    "{a: b}",
    "{a: {lt: 3}}",
    "{a: 1500M, b.c: max}",
    "{a: {b: c}}",
    "{lt: 3, gt: 1}",
    "{lt: 3}",
    "{lt: 3.5}",
    "{lt: 4GiB}",
    "{lt: lots}",
    "{lt: unlimited}",
    "{or: [unlimited, {ge: 65536}]}",
    "{or: [4GB, {ge: 65536}]}",
    "{or: unlimited}",
    "{not: 4GiB}",
    "{not: {equal: 1MiB}}",
    "{not: {equal: 1MB}}",
    "{and: [{gt: 1K}, {le: 1M}]}",
    "{have-prefix: a}",
    "{have-prefix: 1}",
    "{have-suffix: 5K}",
    "{contain-substring: lots}",
    "{match-regexp: '^[0-9]+$'}",
    "{match-regexp: [a]}",
    "{have-len: 3}",
    "{have-len: a}",
    "{have-key: a}",
    "{contain-element: 5}",
    "{contain-elements: [5, 4]}",
    "{contain-elements: 5}",
    "{consist-of: [5, {lt: 7}]}",
    "{have-patterns: [a, '!b']}",
    "{have-patterns: a}",
    "{have-patterns: [5]}",
    "{semver-constraint: '>=1.0.0'}",
    "{semver-constraint: 1}",
    "{gjson: {a.b: 5, c: {lt: 2}}}",
    "{gjson: {a.b: {lt: x}}}",
    "{gjson: [a]}",
    "{xml: {xpath: //a, result: b}}",
    "{xml: {result: b}}",
    "{have-prefixx: a}",
};

TEST(GossfileSchema, AcceptsOfEveryAttributeWhatTheReaderTakes) {
  const Schema schema;
  std::size_t accepts = 0, refuses = 0;
  for (const CheckType& type : check_types()) {
    for (const auto attributes : {type.attributes, common_attributes()}) {
      for (const Attribute& attribute : attributes) {
        EXPECT_TRUE(schema.knows(std::string(type.name), std::string(attribute.name))) << attribute.name;
        if (attribute.name == "needs") continue;  // it is about the others
        for (const std::string sample : samples) {
          std::string text = std::string(type.name) + ":\n  a:\n    " + std::string(attribute.name) + ": " + sample;
          for (const Attribute& other : type.attributes)
            if (other.required && other.name != attribute.name)
              text += "\n    " + std::string(other.name) + (other.kind == Kind::named ? ": {x: y}" : ": true");
          const std::string said = said_of(text);
          // What only a type can see is about several attributes, or what a text means.
          const bool of_the_type = said.find("'" + std::string(type.name) + ": a': ") != std::string::npos;
          if (!accepted(schema, text)) {
            ++refuses;
            const bool exact = attribute.kind == Kind::size || attribute.kind == Kind::named;
            EXPECT_FALSE(exact && said.empty()) << "refused by the schema alone:\n" << text;
          } else if (!of_the_type) {
            ++accepts;
            EXPECT_EQ(said, "") << text;
          }
        }
      }
    }
  }
  EXPECT_GT(accepts, 5000U);
  EXPECT_GT(refuses, 2000U);
}

TEST(GossfileSchema, RefusesWhatTheReaderDoes) {
  const Schema schema;
  for (const std::string text : {"fil: {/a: {exists: true}}", "file: {/a: {exist: true}}", "file: [a]", "file: {/a: 5}",
                                 "gossfile: {a.yaml: {fil: b.yaml}}", "file: {/a: {exists: true, tags: {a: b}}}"}) {
    EXPECT_FALSE(accepted(schema, text)) << text;
    EXPECT_NE(said_of(text), "") << text;
  }
  EXPECT_TRUE(accepted(schema, "x-mine: 5\n.anchors: {}\nfile: {/a: {exists: true, size: '{{ big }}'}}"));
}

}  // namespace
}  // namespace converge::checks
