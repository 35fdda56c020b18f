#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "spec/template_lexer.h"
#include "spec/template_tree.h"

namespace converge::spec {
namespace {

constexpr int max_blocks = 64;       // nested in each other
constexpr int max_parentheses = 32;  // nested in each other
constexpr int max_pipes = 32;        // in a row; each nests what is before it
constexpr int max_parts = 50'000;    // actions and operands of one text

/// Recursive descent over the text itself. After a failure every function returns at once; the first problem is kept.
class TemplateParser {
 public:
  explicit TemplateParser(std::string_view text) : text_(text) {}

  Nodes parse(std::optional<Problem>& problem) {
    Nodes nodes;
    std::string_view end = block(nodes, 0, 0);
    if (!problem_ && !end.empty())
      fail(action_at_, fmt::format("'{{{{ {} }}}}' without a block it could belong to", end), "");
    problem = std::move(problem_);
    return nodes;
  }

 private:
  void fail(std::size_t at, std::string message, std::string hint) {
    if (!problem_) problem_ = Problem{at, std::move(message), std::move(hint)};
  }
  void count_part() {
    if (++parts_ > max_parts) fail(at_, fmt::format("the template has more than {} parts", max_parts), "split it");
  }
  bool failed() const { return problem_.has_value(); }

  // Actions.

  std::string_view rest() const { return text_.substr(at_); }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  /// True at the end of an action, which is then passed, with the text trimmed after it if it says so.
  bool at_end_of_action() {
    skip_blanks();
    if (rest().starts_with("}}")) {
      at_ += 2;
      return true;
    }
    if (is_blank(text_[at_ - 1]) && rest().starts_with("-}}")) {
      at_ += 3;
      skip_blanks();
      return true;
    }
    return false;
  }
  void end_action() {
    if (failed() || at_end_of_action()) return;
    unexpected();
  }

  void unexpected() {
    skip_blanks();
    if (at_ >= text_.size()) return fail(action_at_, "'{{' is not closed", "close it with '}}'");
    const std::string_view here = rest();
    for (const std::string_view sign :
         {"==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "*", "/", "%", "~", "!", "-"})
      if (here.starts_with(sign))
        return fail(at_, fmt::format("'{}' is no operator here: functions come first", sign),
                    "write eq a b, ne a b, lt a b, and a b, not a, add a b ...");
    if (here[0] == '\'') return fail(at_, "single quotes make no text in a template", "use \"...\" or `...`");
    if (here[0] == '[')
      return fail(at_, "brackets select no element in a template", "write index LIST 0, or get MAPPING \"key\"");
    if (here[0] == '{') return fail(at_, "'{' within a '{{'", "nothing in {{ }} is wrapped in {{ }} again");
    fail(at_, fmt::format("'{}' is unexpected", printable(here.substr(0, here[0] & 0x80 ? here.find(' ') : 1))),
         "close the template with '}}'");
  }

  std::string_view word() {
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end;
    return found;
  }

  /// Nodes up to an `end` or `else` (returned; its action not yet closed for else), or the end of the text ("").
  std::string_view block(Nodes& nodes, int depth, std::size_t opened_at) {
    if (depth > max_blocks) fail(opened_at, "blocks are nested too deep", "");
    while (!failed()) {
      const std::size_t open = text_.find("{{", at_);
      if (open == std::string_view::npos) {
        add_text(nodes, text_.substr(at_));
        at_ = text_.size();
        return {};
      }
      std::string_view before = text_.substr(at_, open - at_);
      action_at_ = open;
      count_part();
      at_ = open + 2;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && is_blank(text_[at_ + 1])) {
        ++at_;
        while (!before.empty() && is_blank(before.back())) before.remove_suffix(1);
      }
      add_text(nodes, before);
      skip_blanks();
      if (rest().starts_with("/*")) {
        comment();
        continue;
      }
      const std::size_t start = at_;
      const std::string_view keyword = at_ < text_.size() && is_letter(text_[at_]) ? word() : std::string_view{};
      if (keyword == "end") {
        end_action();
        return keyword;
      }
      if (keyword == "else") return keyword;
      if (keyword == "if" || keyword == "range" || keyword == "with") {
        nodes.push_back(control(keyword, depth));
        continue;
      }
      if (keyword == "break" || keyword == "continue") {
        Node& node = nodes.emplace_back();
        node.kind = keyword == "break" ? Node::Kind::break_ : Node::Kind::continue_;
        if (ranges_ == 0) fail(start, fmt::format("'{}' outside of a range", keyword), "");
        end_action();
        continue;
      }
      if (keyword == "define" || keyword == "template" || keyword == "block")
        fail(start, fmt::format("'{}' is not available: a template is one text", keyword),
             "write the text where it is used");
      at_ = start;
      Node& node = nodes.emplace_back();
      node.kind = Node::Kind::output;
      node.at = start;
      node.pipeline = pipeline(1);
      end_action();
    }
    return {};
  }

  static void add_text(Nodes& nodes, std::string_view text) {
    if (text.empty()) return;
    Node& node = nodes.emplace_back();
    node.text = text;
  }

  void comment() {
    const std::size_t close = text_.find("*/", at_ + 2);
    if (close == std::string_view::npos) return fail(action_at_, "a comment is not closed", "close it with '*/}}'");
    at_ = close + 2;
    if (!at_end_of_action()) fail(at_, "a comment stands alone in its {{ }}", "close it with '*/}}'");
  }

  Node control(std::string_view keyword, int depth) {
    Node node;
    node.kind = keyword == "if" ? Node::Kind::if_ : keyword == "range" ? Node::Kind::range : Node::Kind::with;
    node.at = action_at_;
    const std::size_t opened = action_at_;
    if (at_end_of_action()) {
      fail(opened, fmt::format("'{}' wants a value", keyword), "");
      return node;
    }
    const std::size_t variables = variables_.size();
    node.pipeline = pipeline(node.kind == Node::Kind::range ? 2 : 1);
    end_action();
    if (failed()) return node;
    ranges_ += node.kind == Node::Kind::range ? 1 : 0;
    const std::size_t inner = variables_.size();
    std::string_view end = block(node.body, depth + 1, opened);
    variables_.resize(std::min(inner, variables_.size()));
    ranges_ -= node.kind == Node::Kind::range ? 1 : 0;
    if (end == "else" && !failed()) {
      skip_blanks();
      const std::size_t start = at_;
      const std::string_view next = at_ < text_.size() && is_letter(text_[at_]) ? word() : std::string_view{};
      if (next == "if" || next == "with") {
        if (depth + 1 > max_blocks) fail(start, "blocks are nested too deep", "");
        if (!failed()) node.otherwise.push_back(control(next, depth + 1));
        variables_.resize(std::min(variables, variables_.size()));
        return node;  // the inner one has taken the `end` both share
      }
      at_ = start;
      end_action();
      if (!failed()) end = block(node.otherwise, depth + 1, opened);
      if (end == "else") fail(action_at_, "a second 'else'", "");
    }
    variables_.resize(std::min(variables, variables_.size()));
    if (end.empty()) fail(opened, fmt::format("'{}' has no '{{{{ end }}}}'", keyword), "add {{ end }}");
    return node;
  }

  // Expressions.

  Pipeline pipeline(std::size_t most_names) {
    Pipeline out;
    skip_blanks();
    out.at = at_;
    declaration(out, most_names);
    out.value = pipe(0);
    if (!failed() && !out.assigns)
      for (const std::string& name : out.names) variables_.push_back(name);
    return out;
  }

  /// "$x := ", "$x = ", "$i, $x := "; leaves the text alone if there is none.
  void declaration(Pipeline& out, std::size_t most_names) {
    const std::size_t start = at_;
    std::vector<std::string> names;
    while (at_ < text_.size() && text_[at_] == '$') {
      ++at_;
      names.emplace_back(word());
      skip_blanks();
      if (!rest().starts_with(',') || names.size() == 2) break;
      ++at_;
      skip_blanks();
    }
    const bool declares = rest().starts_with(":="), assigns = rest().starts_with('=') && !rest().starts_with("==");
    if (names.empty() || (!declares && !assigns)) {
      at_ = start;
      return;
    }
    if (names.size() > most_names) return fail(start, "only 'range' takes two variables", "");
    for (const std::string& name : names) {
      if (name.empty()) return fail(start, "'$' cannot be assigned", "name it: $x := ...");
      if (assigns && !is_variable(name))
        return fail(start, fmt::format("'${}' is not declared", name),
                    did_you_mean(name, variables_).empty() ? fmt::format("write ${} := ...", name)
                                                           : did_you_mean(name, variables_));
    }
    at_ += declares ? 2 : 1;
    out.names = std::move(names);
    out.assigns = assigns;
  }

  bool is_variable(std::string_view name) const {
    return std::find(variables_.begin(), variables_.end(), name) != variables_.end();
  }

  Expr pipe(int depth) {
    Expr value = command(depth, nullptr);
    for (int pipes = 0;; ++pipes) {
      if (pipes > max_pipes)
        fail(at_, fmt::format("more than {} '|' in a row", max_pipes), "keep a part in a variable");
      if (failed()) return value;
      skip_blanks();
      if (!rest().starts_with('|') || rest().starts_with("||")) return value;
      ++at_;
      skip_blanks();
      value = command(depth, &value);
    }
  }

  bool at_operand() const {
    if (at_ >= text_.size()) return false;
    const char c = text_[at_];
    const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    return is_word(c) || c == '.' || c == '$' || c == '"' || c == '`' || c == '(' ||
           ((c == '-' || c == '+') && is_digit(next));
  }

  /// One command of a pipeline. `piped` becomes its last argument.
  Expr command(int depth, Expr* piped) {
    skip_blanks();
    if (!at_operand()) {
      if (at_end_of_action())
        fail(action_at_, piped != nullptr ? "nothing after '|'" : "nothing between '{{' and '}}'", "");
      else
        unexpected();
      return {};
    }
    Expr head = operand(depth);
    std::vector<Expr> args;
    while (!failed()) {
      const std::size_t before = at_;
      skip_blanks();
      if (!at_operand()) {
        at_ = before;
        break;
      }
      if (at_ == before && text_[at_] != '(') {
        unexpected();
        break;
      }
      args.push_back(operand(depth));
    }
    if (failed() || (args.empty() && piped == nullptr)) return head;
    if (head.kind != Expr::Kind::name || !head.fields.empty()) {
      fail(head.at, "only a function takes arguments",
           piped != nullptr ? "put a function after '|'" : "functions come first: eq a b, and a b, not a");
      return head;
    }
    if (head.function == nullptr) {
      unknown_function(head, args);
      return head;
    }
    if (piped != nullptr) args.push_back(std::move(*piped));
    head.kind = Expr::Kind::call;
    head.args = std::move(args);
    const auto given = static_cast<int>(head.args.size());
    const Function& row = *head.function;
    if (given < row.min || (row.max >= 0 && given > row.max)) {
      const std::string wanted = row.max < 0          ? fmt::format("at least {}", row.min)
                                 : row.min == row.max ? fmt::format("{}", row.min)
                                                      : fmt::format("{} to {}", row.min, row.max);
      fail(head.at, fmt::format("'{}' takes {} argument{}, not {}", row.name, wanted, wanted == "1" ? "" : "s", given),
           "");
    }
    return head;
  }

  void unknown_function(const Expr& head, const std::vector<Expr>& args) {
    if (const std::string_view why = refusal_of(head.name); !why.empty())
      return fail(head.at, fmt::format("'{}' is not available: it {}", head.name, why),
                  "write the value down as a variable");
    if (!args.empty() && args[0].kind == Expr::Kind::name)
      for (const std::string_view infix : {"and", "or", "is", "in", "if", "not"})
        if (args[0].name == infix)
          return fail(args[0].at, fmt::format("'{}' does not stand between its values: functions come first", infix),
                      "write and a b, or a b, has a LIST, defined a, ternary a b CONDITION");
    fail(head.at, fmt::format("there is no function '{}'", head.name), did_you_mean(head.name, function_names()));
  }

  Expr operand(int depth) {
    Expr out;
    out.at = at_;
    count_part();
    if (depth > max_parentheses) {
      fail(at_, "parentheses are nested too deep", "");
      return out;
    }
    const char c = text_[at_];
    if (c == '"' || c == '`') return literal(read_quoted(text_, at_));
    if (is_digit(c) || c == '-' || c == '+') return literal(read_number(text_, at_));
    if (c == '(') {
      ++at_;
      out.kind = Expr::Kind::chain;
      out.args.push_back(pipe(depth + 1));
      skip_blanks();
      if (failed()) return out;
      if (!rest().starts_with(')')) {
        if (at_ >= text_.size() || rest().starts_with("}}") || rest().starts_with("-}}"))
          fail(out.at, "'(' is not closed", "close it with ')'");
        else
          unexpected();
        return out;
      }
      ++at_;
    } else if (c == '.') {
      out.kind = Expr::Kind::dot;
      if (at_ + 1 >= text_.size() || !is_letter(text_[at_ + 1])) ++at_;  // "." alone
    } else if (c == '$') {
      ++at_;
      out.name = word();
      out.kind = out.name.empty() ? Expr::Kind::root : Expr::Kind::variable;
      if (!out.name.empty() && !is_variable(out.name))
        fail(out.at, fmt::format("'${}' is not declared", out.name), did_you_mean(out.name, variables_));
    } else {
      out.name = word();
      if (out.name == "true" || out.name == "false" || out.name == "nil" || out.name == "null") {
        if (out.name[0] != 'n') out.literal = Value(out.name == "true");
        return out;
      }
      out.kind = Expr::Kind::name;
      out.function = find_function(out.name);
    }
    fields(out);
    if (out.kind == Expr::Kind::chain && out.fields.empty() && !failed()) {
      Expr inner = std::move(out.args.front());
      // A parenthesis is no function to be called: (upper) "a" stays a mistake.
      if (inner.kind != Expr::Kind::name) return inner;
      out.args.front() = std::move(inner);
    }
    return out;
  }

  void fields(Expr& out) {
    while (!failed() && at_ + 1 < text_.size() && text_[at_] == '.' && is_letter(text_[at_ + 1])) {
      const std::size_t at = ++at_;
      out.fields.push_back({std::string(word()), at});
    }
  }

  Expr literal(Literal read) {
    Expr out;
    out.at = at_;
    at_ = read.end;
    if (read.problem && !problem_) problem_ = std::move(read.problem);
    out.literal = std::move(read.value);
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0, action_at_ = 0;
  int ranges_ = 0, parts_ = 0;
  std::vector<std::string> variables_;  // declared and in reach
  std::optional<Problem> problem_;
};

}  // namespace

Template parse_template(std::string_view text) {
  Template out;
  out.nodes = TemplateParser(text).parse(out.problem);
  return out;
}

}  // namespace converge::spec
