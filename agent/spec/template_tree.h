// What a template is once it is parsed. Of template_*.cpp alone.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/functions.h"
#include "spec/value.h"

namespace converge::spec {

/// What is wrong with a text, and where in it.
struct Problem {
  std::size_t at = 0;  // offset in the text
  std::string message, hint;
};

struct FieldName {
  std::string name;
  std::size_t at = 0;
};

struct Expr {
  enum class Kind {
    literal,   // literal
    name,      // name, then fields: a variable, or a function without arguments
    dot,       // "." then fields
    root,      // "$" then fields
    variable,  // "$name" then fields
    call,      // function(args)
    chain      // args[0], a parenthesis, then fields
  };
  Kind kind = Kind::literal;
  std::size_t at = 0;
  std::string name;
  Value literal;
  const Function* function = nullptr;
  std::vector<FieldName> fields;
  std::vector<Expr> args;
};

struct Pipeline {
  std::vector<std::string> names;  // "$x := ", "$i, $x := "
  bool assigns = false;            // "=" and not ":="
  std::size_t at = 0;
  Expr value;
};

struct Node;
using Nodes = std::vector<Node>;
struct Node {
  enum class Kind { text, output, if_, range, with, break_, continue_ };
  Kind kind = Kind::text;
  std::size_t at = 0;
  std::string text;
  Pipeline pipeline;
  Nodes body, otherwise;
};

struct Template {
  Nodes nodes;
  std::optional<Problem> problem;
  /// The one output there is and nothing beside it; null otherwise.
  const Expr* only() const {
    const bool one = nodes.size() == 1 && nodes[0].kind == Node::Kind::output && nodes[0].pipeline.names.empty();
    return one ? &nodes[0].pipeline.value : nullptr;
  }
};

/// Never fails: what is wrong is the template's `problem`.
Template parse_template(std::string_view text);

}  // namespace converge::spec
