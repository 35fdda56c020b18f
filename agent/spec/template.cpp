#include "spec/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "core/text.h"
#include "spec/functions.h"

namespace converge::spec {

namespace {

constexpr std::size_t max_output = 1U << 20U;
constexpr int max_blocks = 64;       // nested in each other
constexpr int max_parentheses = 32;  // nested in each other
constexpr int max_pipes = 32;        // in a row; each nests what is before it
constexpr int max_parts = 50'000;    // actions and operands of one text

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

// --- parsing --------------------------------------------------------------------------------------------------------

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_letter(c) || is_digit(c); }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

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
    if (c == '"' || c == '`') return text_literal();
    if (is_digit(c) || c == '-' || c == '+') return number_literal();
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

  Expr number_literal() {
    Expr out;
    out.at = at_;
    std::size_t end = at_ + 1;
    while (end < text_.size() &&
           (is_word(text_[end]) || text_[end] == '.' ||
            ((text_[end] == '-' || text_[end] == '+') && (text_[end - 1] == 'e' || text_[end - 1] == 'E'))))
      ++end;
    std::string_view written = text_.substr(at_, end - at_);
    at_ = end;
    std::string_view digits = written.starts_with('+') ? written.substr(1) : written;
    std::int64_t whole = 0;
    const char *first = digits.data(), *last = first + digits.size();
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
      const auto [stop, failure] = std::from_chars(first + 2, last, whole, 16);
      if (failure == std::errc() && stop == last && first + 2 != last) return with(out, Value(whole));
    } else if (digits.size() > 1 && digits[0] == '0' && is_digit(digits[1])) {
      fail(out.at, fmt::format("'{}' is octal to some and decimal to others", written),
           "quote it, or leave the zero out");
      return out;
    } else if (digits.find_first_not_of("0123456789", digits.starts_with('-') ? 1 : 0) == std::string_view::npos) {
      if (parse_number(digits, whole)) return with(out, Value(whole));
    } else {
      double real = 0;
      const auto [stop, failure] = std::from_chars(first, last, real);
      if (failure == std::errc() && stop == last && real - real == 0) return with(out, Value(real));
    }
    fail(out.at, fmt::format("'{}' is no number", printable(written)), "quote it if it is a text");
    return out;
  }
  static Expr with(Expr expr, Value value) {
    expr.literal = std::move(value);
    return expr;
  }

  Expr text_literal() {
    Expr out;
    out.at = at_;
    const char quote = text_[at_++];
    std::string made;
    if (quote == '`') {
      const std::size_t close = text_.find('`', at_);
      if (close == std::string_view::npos) {
        fail(out.at, "a quote is not closed", "close it with '`'");
        return out;
      }
      made = text_.substr(at_, close - at_);
      at_ = close + 1;
      return with(std::move(out), Value(std::move(made), {}, true));
    }
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        made += text_[at_++];
        continue;
      }
      if (!escape(made)) return out;
    }
    if (at_ >= text_.size()) {
      fail(out.at, "a quote is not closed", "close it with '\"'");
      return out;
    }
    ++at_;
    return with(std::move(out), Value(std::move(made), {}, true));
  }

  bool escape(std::string& made) {
    const std::size_t start = at_++;
    const char letter = at_ < text_.size() ? text_[at_++] : '\0';
    static constexpr std::string_view letters = "abfnrtv\\\"'", meant = "\a\b\f\n\r\t\v\\\"'";
    if (const std::size_t found = letters.find(letter); letter != '\0' && found != std::string_view::npos) {
      made += meant[found];
      return true;
    }
    const std::size_t length = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    unsigned code = 0;
    const char* first = text_.data() + at_;
    if (length > 0 && at_ + length <= text_.size()) {
      const auto [stop, failure] = std::from_chars(first, first + length, code, 16);
      if (failure == std::errc() && stop == first + length && code > 0 && code < 0x110000 &&
          (code < 0xD800 || code > 0xDFFF)) {
        at_ += length;
        append_utf8(made, code);
        return true;
      }
    }
    fail(start, "an escape that is none", "write \\\\ for a backslash, or use `...`");
    return false;
  }
  static void append_utf8(std::string& out, unsigned code) {
    const auto add = [&out](unsigned byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xC0U | (code >> 6U));
      add(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
      add(0xE0U | (code >> 12U));
      add(0x80U | ((code >> 6U) & 0x3FU));
      add(0x80U | (code & 0x3FU));
    } else {
      add(0xF0U | (code >> 18U));
      add(0x80U | ((code >> 12U) & 0x3FU));
      add(0x80U | ((code >> 6U) & 0x3FU));
      add(0x80U | (code & 0x3FU));
    }
  }

  std::string_view text_;
  std::size_t at_ = 0, action_at_ = 0;
  int ranges_ = 0, parts_ = 0;
  std::vector<std::string> variables_;  // declared and in reach
  std::optional<Problem> problem_;
};

}  // namespace

struct Template {
  Nodes nodes;
  std::optional<Problem> problem;
  /// The one output there is and nothing beside it; null otherwise.
  const Expr* only() const {
    const bool one = nodes.size() == 1 && nodes[0].kind == Node::Kind::output && nodes[0].pipeline.names.empty();
    return one ? &nodes[0].pipeline.value : nullptr;
  }
};

namespace {

Template parse(std::string_view text) {
  Template out;
  out.nodes = TemplateParser(text).parse(out.problem);
  return out;
}

// --- places ---------------------------------------------------------------------------------------------------------

/// Where offset `offset` of what a scalar says stands in the file it was written in. Falls back to the scalar's place
/// where the writing is too far from the text (folded blocks, a text that came from elsewhere).
SourcePos place_in_scalar(const Value& scalar, std::size_t offset) {
  const SourcePos at = scalar.at();
  const std::string* text = scalar.string();
  if (at.source == nullptr || text == nullptr || at.line < 1 || at.column < 1) return at;
  const std::string_view file = at.source->text;
  std::size_t i = 0;
  for (int line = 1; line < at.line; ++line) {
    i = file.find('\n', i);
    if (i == std::string_view::npos) return at;
    ++i;
  }
  i += static_cast<std::size_t>(at.column) - 1;
  if (i >= file.size()) return at;
  if (file[i] == '|') {
    const auto line =
        static_cast<int>(std::count(text->begin(), text->begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
    const std::size_t start = offset == 0 ? 0 : text->rfind('\n', offset - 1) + 1;  // npos + 1 is 0
    std::size_t indent = std::string_view::npos;
    std::size_t begin = file.find('\n', i);
    for (; begin != std::string_view::npos && indent == std::string_view::npos; begin = file.find('\n', begin + 1)) {
      const std::string_view content = without_ending(file.substr(begin + 1, file.find('\n', begin + 1) - begin - 1));
      indent = content.find_first_not_of(' ');
    }
    if (indent == std::string_view::npos) return at;
    return {at.source, at.line + 1 + line, static_cast<int>(indent + offset - start) + 1};
  }
  const char quote = file[i] == '"' || file[i] == '\'' ? file[i] : '\0';
  if (quote != '\0') ++i;
  SourcePos place = at;
  std::size_t line_start = i - (static_cast<std::size_t>(at.column) - 1) - (quote != '\0' ? 1 : 0);
  for (std::size_t k = 0; k < offset; ++k) {
    if (i >= file.size()) return at;
    if (quote == '"' && file[i] == '\\') {
      const char letter = i + 1 < file.size() ? file[i + 1] : '\0';
      if (letter == '\n' || letter == 'x' || letter == 'u' || letter == 'U') return at;
      i += 2;
    } else if (quote == '\'' && file[i] == '\'') {
      i += 2;
    } else if (file[i] == '\n' || file[i] == '\r' || (file[i] != (*text)[k])) {
      // A folded line: blanks around the break are one blank of the text.
      if ((*text)[k] != ' ') return at;
      while (i < file.size() && is_blank(file[i])) {
        if (file[i] == '\n') {
          ++place.line;
          line_start = i + 1;
        }
        ++i;
      }
    } else {
      ++i;
    }
  }
  place.column = static_cast<int>(i - line_start) + 1;
  return place;
}

SourcePos place_in_source(const Source& source, std::size_t offset) {
  const std::string_view before = std::string_view(source.text).substr(0, offset);
  const std::size_t start = before.rfind('\n');
  return {&source, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(start == std::string_view::npos ? offset : offset - start - 1) + 1};
}

// --- evaluating -----------------------------------------------------------------------------------------------------

using Shared = std::shared_ptr<const Value>;

/// Refers to a value that outlives the evaluation, at no cost.
Shared borrowed(const Value* value) { return Shared(std::shared_ptr<void>(), value); }
Shared part_of(const Shared& whole, const Value* part) { return Shared(whole, part); }

struct Operand {
  enum class State { ok, undefined, failed };
  enum class Space { none, top, vars, facts };
  State state = State::failed;
  Shared value;                  // if ok and of no space
  Space space = Space::none;     // the top-level dot, .Vars and .Facts are looked into, not copied
  const Expr* origin = nullptr;  // if undefined: the expression, and which of its fields (0: the name itself)
  std::size_t field = 0;
  Shared parent;  // of that field

  static Operand of(Shared value) {
    Operand out;
    out.state = State::ok;
    out.value = std::move(value);
    return out;
  }
};

/// Counts the values of a tree, stopping above `most`.
std::size_t weight(const Value& value, std::size_t most) {
  std::size_t total = 1;
  if (const List* items = value.list()) {
    for (const Value& item : *items) {
      if (total > most) break;
      total += weight(item, most - total);
    }
  } else if (const Map* entries = value.map()) {
    for (const Entry& entry : *entries) {
      if (total > most) break;
      total += weight(entry.value, most - total);
    }
  }
  return total;
}

template <class Locate>
class Evaluator {
 public:
  Evaluator(const Scope& scope, Diagnostics& diagnostics, const Locate& locate)
      : scope_(scope), diagnostics_(diagnostics), locate_(locate) {}

  /// The value of one expression; null after a diagnostic.
  Shared value_of(const Expr& expr) {
    Operand out = eval(expr);
    return require(std::move(out), expr);
  }

  bool run(const Nodes& nodes, std::string& out) {
    const std::size_t variables = variables_.size();
    for (const Node& node : nodes) {
      if (!execute(node, out)) return false;
      if (leaving_ != Leaving::no) break;
    }
    variables_.resize(variables);
    return true;
  }

 private:
  enum class Leaving { no, broken, continued };

  bool fail(std::size_t at, std::string message, std::string hint = {}) {
    diagnostics_.push_back({locate_(at), std::move(message), std::move(hint)});
    return false;
  }
  bool step(std::size_t at, std::size_t count = 1) {
    if (budget_.take_steps(count)) return true;
    return fail(at, "the template takes more than 100000 steps", "loop over less");
  }
  bool write(std::size_t at, std::string& out, std::string_view text) {
    if (out.size() + text.size() > max_output) return fail(at, "the template makes more than 1 MiB of text", "");
    out += text;
    return true;
  }

  bool execute(const Node& node, std::string& out) {
    if (node.kind == Node::Kind::text) return write(node.at, out, node.text);
    if (!step(node.at)) return false;
    switch (node.kind) {
      case Node::Kind::text:
        return true;
      case Node::Kind::output:
        return output(node, out);
      case Node::Kind::if_:
      case Node::Kind::with:
        return conditional(node, out);
      case Node::Kind::range:
        return range(node, out);
      case Node::Kind::break_:
        leaving_ = Leaving::broken;
        return true;
      case Node::Kind::continue_:
        leaving_ = Leaving::continued;
        return true;
    }
    return true;
  }

  bool output(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    if (!node.pipeline.names.empty()) {
      declare(node.pipeline, value);
      return true;
    }
    if (const std::string* text = value->string()) return write(node.at, out, *text);
    if (!charge(node.at, *value)) return false;
    return write(node.at, out, value->text());
  }

  bool charge(std::size_t at, const Value& value) {
    if (value.list() == nullptr && value.map() == nullptr) return true;
    return step(at, weight(value, budget_.steps));
  }

  void declare(const Pipeline& pipeline, const Shared& value) {
    if (pipeline.assigns) {
      for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable)
        if (variable->first == pipeline.names[0]) {
          variable->second = value;
          return;
        }
    }
    variables_.emplace_back(pipeline.names[0], value);
  }

  bool conditional(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    const std::size_t variables = variables_.size();
    if (!node.pipeline.names.empty()) declare(node.pipeline, value);
    bool fine = true;
    if (is_true(*value)) {
      const Shared outer = dot_;
      if (node.kind == Node::Kind::with) dot_ = value;
      fine = run(node.body, out);
      dot_ = outer;
    } else {
      fine = run(node.otherwise, out);
    }
    if (fine) variables_.resize(variables);
    return fine;
  }

  bool range(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    const std::size_t variables = variables_.size();
    const Shared outer = dot_;
    bool fine = true, any = false;
    const auto once = [&](const Shared& key, const Shared& element) {
      any = true;
      if (!step(node.at)) return fine = false;
      const auto& names = node.pipeline.names;
      if (names.size() == 2) set_loop_variable(node.pipeline, 0, key, variables);
      if (!names.empty()) set_loop_variable(node.pipeline, names.size() - 1, element, variables);
      dot_ = element;
      fine = run(node.body, out);
      if (fine && !node.pipeline.assigns) variables_.resize(std::min(variables_.size(), variables + names.size()));
      const bool ended = leaving_ == Leaving::broken;
      leaving_ = Leaving::no;
      return fine && !ended;
    };
    if (const List* items = value->list()) {
      for (std::size_t i = 0; i < items->size(); ++i)
        if (!once(std::make_shared<const Value>(static_cast<std::int64_t>(i)), part_of(value, &(*items)[i]))) break;
    } else if (const Map* entries = value->map()) {
      if (!step(node.at, entries->size())) return false;
      std::vector<const Entry*> order;  // by key, as Go does
      for (const Entry& entry : *entries) order.push_back(&entry);
      std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->key < b->key; });
      for (const Entry* entry : order)
        if (!once(std::make_shared<const Value>(entry->key, SourcePos{}, true), part_of(value, &entry->value))) break;
    } else if (const std::int64_t* count = value->integer()) {
      for (std::int64_t i = 0; i < *count; ++i) {
        const Shared number = std::make_shared<const Value>(i);
        if (!once(number, number)) break;
      }
    } else if (!value->is_null()) {
      return fail(node.pipeline.at, fmt::format("cannot range over a {}", value->kind()),
                  "give it a list, a mapping or a number");
    }
    dot_ = outer;
    if (fine) variables_.resize(std::min(variables_.size(), variables));
    if (fine && !any) fine = run(node.otherwise, out);
    return fine;
  }

  void set_loop_variable(const Pipeline& pipeline, std::size_t which, const Shared& value, std::size_t from) {
    const std::string& name = pipeline.names[which];
    const std::size_t first = pipeline.assigns ? 0 : from;
    for (std::size_t i = variables_.size(); i > first; --i)
      if (variables_[i - 1].first == name) {
        variables_[i - 1].second = value;
        return;
      }
    variables_.emplace_back(name, value);
  }

  // Expressions.

  Operand eval(const Expr& expr) {
    if (!step(expr.at)) return {};
    switch (expr.kind) {
      case Expr::Kind::literal:
        return Operand::of(borrowed(&expr.literal));
      case Expr::Kind::name:
        return name(expr);
      case Expr::Kind::dot:
        return dot_ ? follow(expr, dot_, 0) : top(expr);
      case Expr::Kind::root:
        return top(expr);
      case Expr::Kind::variable:
        for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable)
          if (variable->first == expr.name) return follow(expr, variable->second, 0);
        fail(expr.at, fmt::format("'${}' has no value here", expr.name));
        return {};
      case Expr::Kind::call:
        return call(expr);
      case Expr::Kind::chain: {
        Operand inner = eval(expr.args.front());
        if (inner.state != Operand::State::ok || expr.fields.empty()) return inner;
        if (inner.space != Operand::Space::none) return into(inner.space, expr, 0);
        return follow(expr, inner.value, 0);
      }
    }
    return {};
  }

  Operand undefined(const Expr& expr, std::size_t field, Shared parent) {
    Operand out;
    out.state = Operand::State::undefined;
    out.origin = &expr;
    out.field = field;
    out.parent = std::move(parent);
    return out;
  }

  /// What `find` answers. A name that is known but could not be evaluated has been reported by who evaluates it.
  Operand found(const Value* value, std::size_t reported, const Expr& expr, std::size_t field, std::size_t next) {
    if (diagnostics_.size() != reported) return {};
    if (value != nullptr) return follow(expr, borrowed(value), next);
    return undefined(expr, field, nullptr);
  }

  Operand name(const Expr& expr) {
    const std::size_t reported = diagnostics_.size();
    const Value* value = scope_.variable ? scope_.variable(expr.name) : nullptr;
    if (value == nullptr && diagnostics_.size() == reported && expr.function != nullptr && expr.function->min == 0 &&
        expr.fields.empty())
      return call(expr);
    return found(value, reported, expr, 0, 0);
  }

  /// The top-level dot: .Vars.x and .Facts.x.
  Operand top(const Expr& expr) {
    if (!expr.fields.empty()) {
      const FieldName& first = expr.fields[0];
      if (first.name == "Vars") return into(Operand::Space::vars, expr, 1);
      if (first.name == "Facts") return into(Operand::Space::facts, expr, 1);
      const std::string hint = first.name == "Env"
                                   ? "templates see no environment: pass it with -e NAME=value"
                                   : fmt::format("write {{{{ {0} }}}} or {{{{ .Vars.{0} }}}}", first.name);
      fail(first.at, fmt::format("the top level has .Vars and .Facts, no '.{}'", first.name), hint);
      return {};
    }
    Operand out;
    out.state = Operand::State::ok;
    out.space = Operand::Space::top;
    return out;
  }

  Operand into(Operand::Space space, const Expr& expr, std::size_t next) {
    if (next >= expr.fields.size()) {
      Operand out;
      out.state = Operand::State::ok;
      out.space = space;
      return out;
    }
    const std::size_t reported = diagnostics_.size();
    const std::string& wanted = expr.fields[next].name;
    const Value* value = lookup(space, wanted);
    return found(value, reported, expr, next + 1, next + 1);
  }
  const Value* lookup(Operand::Space space, std::string_view wanted) const {
    const auto& find = space == Operand::Space::facts ? scope_.fact : scope_.variable;
    return find ? find(wanted) : nullptr;
  }

  Operand follow(const Expr& expr, Shared value, std::size_t next) {
    for (; next < expr.fields.size(); ++next) {
      const FieldName& field = expr.fields[next];
      if (value->map() == nullptr && !value->is_null()) {
        fail(field.at, fmt::format("a {} has no '.{}'", value->kind(), field.name),
             value->list() != nullptr ? "write index LIST 0 for an element" : "");
        return {};
      }
      const Value* part = value->find(field.name);
      if (part == nullptr) return undefined(expr, next + 1, value);
      value = part_of(value, part);
    }
    return Operand::of(std::move(value));
  }

  /// The operand's value; a diagnostic and null if it has none.
  Shared require(Operand operand, const Expr& expr) {
    if (operand.state == Operand::State::failed) return nullptr;
    if (operand.state == Operand::State::undefined) {
      report_undefined(operand);
      return nullptr;
    }
    if (operand.space != Operand::Space::none) {
      fail(expr.at, "this is all there is, not one value", "name one: .Vars.name or .Facts.name");
      return nullptr;
    }
    return std::move(operand.value);
  }

  void report_undefined(const Operand& operand) {
    const Expr& expr = *operand.origin;
    if (operand.field == 0) {
      if (expr.function != nullptr) {
        fail(expr.at, fmt::format("the function '{}' is given nothing, and no variable has its name", expr.name));
        return;
      }
      if (const std::string_view why = refusal_of(expr.name); !why.empty()) {
        fail(expr.at, fmt::format("'{}' is not available: it {}", expr.name, why),
             "write the value down as a variable");
        return;
      }
      fail(expr.at, fmt::format("'{}' is not defined", expr.name), did_you_mean(expr.name, names()));
      return;
    }
    const FieldName& field = expr.fields[operand.field - 1];
    if (!operand.parent) {
      const bool fact = expr.fields[0].name == "Facts" && expr.kind != Expr::Kind::name;
      fail(field.at, fmt::format("{}'{}' is not defined", fact ? "the fact " : "", field.name),
           fact ? "" : did_you_mean(field.name, names()));
      return;
    }
    std::vector<std::string> keys;
    if (const Map* entries = operand.parent->map())
      for (const Entry& entry : *entries) keys.push_back(entry.key);
    std::string hint = did_you_mean(field.name, keys);
    if (field.name == "Vars" || field.name == "Facts")
      hint = fmt::format("within range and with, write $.{}", field.name);
    if (hint.empty() && !keys.empty() && keys.size() <= 12) hint = "it has: " + join(keys, ", ");
    fail(field.at, fmt::format("there is no '{}' in it", field.name), std::move(hint));
  }
  std::vector<std::string> names() const { return scope_.names ? scope_.names() : std::vector<std::string>(); }

  Operand call(const Expr& expr) {
    const Function& row = *expr.function;
    const bool decides = row.name == "and" || row.name == "or";
    std::vector<Shared> kept;
    kept.reserve(expr.args.size());
    for (const Expr& arg : expr.args) {
      Operand operand = eval(arg);
      if (operand.state == Operand::State::ok && operand.space != Operand::Space::none && kept.empty())
        return call_on_space(expr, operand.space);
      if (operand.state == Operand::State::undefined && row.takes_undefined) {
        kept.emplace_back(nullptr);
        continue;
      }
      Shared value = require(std::move(operand), arg);
      if (!value) return {};
      if (row.copies && !charge(expr.at, *value)) return {};
      kept.push_back(std::move(value));
      if (decides && is_true(*kept.back()) == (row.name == "or")) return Operand::of(std::move(kept.back()));
    }
    if (decides) return Operand::of(std::move(kept.back()));
    std::vector<const Value*> args;
    args.reserve(kept.size());
    for (const Shared& value : kept) args.push_back(value.get());
    Result<Value> made = row.run(args, budget_);
    if (!made) {
      if (budget_.bytes == 0)
        fail(expr.at, "the template makes more than 4 MiB of text on its way", "");
      else if (budget_.spent)
        step(expr.at, budget_.steps + 1);
      else
        fail(expr.at, fmt::format("{}: {}", row.name, made.error().message), made.error().hint);
      return {};
    }
    if (const std::string* text = made->string(); text != nullptr && !budget_.take_bytes(text->size())) {
      fail(expr.at, "the template makes more than 4 MiB of text on its way", "");
      return {};
    }
    return Operand::of(std::make_shared<const Value>(std::move(*made)));
  }

  /// `index .Vars "x"`, `get .Vars "x"`, `hasKey .Facts "x"`: looked up, so that nothing else has to be evaluated.
  Operand call_on_space(const Expr& expr, Operand::Space space) {
    const std::string_view what = expr.function->name;
    const bool looks = what == "index" || what == "get" || what == "hasKey";
    if (!looks || space == Operand::Space::top || expr.args.size() != 2) {
      fail(expr.at, fmt::format("'{}' cannot be given all variables at once", what), "name one: .Vars.name");
      return {};
    }
    const Shared key = value_of(expr.args[1]);
    if (!key) return {};
    const std::size_t reported = diagnostics_.size();
    const std::string wanted = key->text();
    const Value* value = lookup(space, wanted);
    if (diagnostics_.size() != reported) return {};
    if (what == "hasKey") return Operand::of(std::make_shared<const Value>(value != nullptr));
    if (value != nullptr) return Operand::of(borrowed(value));
    if (what == "get") return Operand::of(std::make_shared<const Value>(std::string(), SourcePos{}, true));
    fail(expr.args[1].at, fmt::format("'{}' is not defined", printable(wanted)),
         space == Operand::Space::vars ? did_you_mean(wanted, names()) : "");
    return {};
  }

  const Scope& scope_;
  Diagnostics& diagnostics_;
  const Locate& locate_;
  Budget budget_;
  Shared dot_;  // null at the top level
  std::vector<std::pair<std::string, Shared>> variables_;
  Leaving leaving_ = Leaving::no;
};

/// Gives what a function made a place: that of the scalar which asked for it.
void settle(Value& value, SourcePos at) {
  if (value.at().source == nullptr) value = Value(std::move(value.data()), at, value.quoted());
  if (List* items = std::get_if<List>(&value.data()))
    for (Value& item : *items) settle(item, at);
  if (Map* entries = std::get_if<Map>(&value.data()))
    for (Entry& entry : *entries) {
      if (entry.key_at.source == nullptr) entry.key_at = at;
      settle(entry.value, at);
    }
}

std::optional<Value> evaluate_parsed(const Template& parsed, const Value& scalar, const Scope& scope,
                                     Diagnostics& diagnostics) {
  const auto locate = [&scalar](std::size_t offset) { return place_in_scalar(scalar, offset); };
  if (parsed.problem) {
    diagnostics.push_back({locate(parsed.problem->at), parsed.problem->message, parsed.problem->hint});
    return std::nullopt;
  }
  Evaluator evaluator(scope, diagnostics, locate);
  if (const Expr* only = parsed.only()) {
    const Shared made = evaluator.value_of(*only);
    if (!made) return std::nullopt;
    if (made->list() == nullptr && made->map() == nullptr)
      return Value(made->data(), scalar.at(), made->string() != nullptr);
    Value out(made->data(), scalar.at());
    settle(out, scalar.at());
    return out;
  }
  std::string text;
  if (!evaluator.run(parsed.nodes, text)) return std::nullopt;
  return Value(std::move(text), scalar.at(), true);
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace

/// Bounded: a run has few distinct texts; one that has many pays for parsing, not in memory.
struct Templates::Cache {
  static constexpr std::size_t most = 4096, longest = 4096;
  std::unordered_map<std::string, std::shared_ptr<const Template>, TextHash, std::equal_to<>> parsed;

  /// Shared, since evaluating one may lead to another, and that to the end of the cache's patience.
  std::shared_ptr<const Template> get(const std::string& text) {
    const auto found = parsed.find(text);
    if (found != parsed.end()) return found->second;
    auto made = std::make_shared<const Template>(parse(text));
    if (text.size() > longest) return made;
    if (parsed.size() >= most) parsed.clear();
    return parsed.emplace(text, std::move(made)).first->second;
  }
};

bool has_template(std::string_view text) { return text.find("{{") != std::string_view::npos; }

Templates::Templates() : cache_(std::make_unique<Cache>()) {}
Templates::~Templates() = default;

std::optional<Value> Templates::evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics) {
  const std::string* text = scalar.string();
  if (text == nullptr || !has_template(*text)) return scalar;
  const std::shared_ptr<const Template> parsed = cache_->get(*text);
  return evaluate_parsed(*parsed, scalar, scope, diagnostics);
}

std::optional<Value> Templates::evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics) {
  bool fine = true;
  if (const List* items = value.list()) {
    List out;
    out.reserve(items->size());
    for (const Value& item : *items) {
      std::optional<Value> made = evaluate_tree(item, scope, diagnostics);
      if (made)
        out.push_back(std::move(*made));
      else
        fine = false;
    }
    if (!fine) return std::nullopt;
    return Value(std::move(out), value.at());
  }
  if (const Map* entries = value.map()) {
    Map out;
    out.reserve(entries->size());
    for (const Entry& entry : *entries) {
      std::optional<Value> made = evaluate_tree(entry.value, scope, diagnostics);
      if (made)
        out.push_back({entry.key, entry.key_at, std::move(*made)});
      else
        fine = false;
    }
    if (!fine) return std::nullopt;
    return Value(std::move(out), value.at());
  }
  return evaluate(value, scope, diagnostics);
}

std::optional<std::string> Templates::render(const Source& source, const Scope& scope, Diagnostics& diagnostics) {
  return render_template(source, scope, diagnostics);
}

std::optional<Value> evaluate(const Value& scalar, const Scope& scope, Diagnostics& diagnostics) {
  const std::string* text = scalar.string();
  if (text == nullptr || !has_template(*text)) return scalar;
  return evaluate_parsed(parse(*text), scalar, scope, diagnostics);
}

std::optional<Value> evaluate_tree(const Value& value, const Scope& scope, Diagnostics& diagnostics) {
  return Templates().evaluate_tree(value, scope, diagnostics);
}

std::optional<std::string> render_template(const Source& source, const Scope& scope, Diagnostics& diagnostics) {
  if (source.text.size() > max_output) {
    diagnostics.push_back({{&source, 1, 1}, "the template has more than 1 MiB", "split it"});
    return std::nullopt;
  }
  const auto locate = [&source](std::size_t offset) { return place_in_source(source, offset); };
  const Template parsed = parse(source.text);
  if (parsed.problem) {
    diagnostics.push_back({locate(parsed.problem->at), parsed.problem->message, parsed.problem->hint});
    return std::nullopt;
  }
  Evaluator evaluator(scope, diagnostics, locate);
  std::string text;
  if (!evaluator.run(parsed.nodes, text)) return std::nullopt;
  return text;
}

}  // namespace converge::spec
