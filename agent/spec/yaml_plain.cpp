#include "spec/yaml_plain.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <string_view>
#include <unordered_set>

namespace converge::spec {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::size_t skip_digits(std::string_view text, std::size_t from) {
  while (from < text.size() && is_digit(text[from])) ++from;
  return from;
}

struct NotPlain {};  // thrown to give up; never leaves this file

class PlainReader {
 public:
  PlainReader(const Source& source, const YamlRules& rules) : source_(source), rules_(rules), text_(source.text) {}

  Value read() {
    next_content();
    if (text_.substr(at_).starts_with("---") && column() == 0) {
      at_ += 3;
      rest_of_line();
      next_content();
    }
    if (at_ >= text_.size()) throw NotPlain{};
    if (is_flow()) {
      Value out = flow(0);
      rest_of_line();
      next_content();
      if (at_ < text_.size()) throw NotPlain{};
      return out;
    }
    Value out = block_node(0);
    if (at_ < text_.size()) throw NotPlain{};
    return out;
  }

 private:
  std::size_t column() const { return at_ - line_start_; }
  SourcePos place(std::size_t offset) const { return {&source_, line_, static_cast<int>(offset - line_start_) + 1}; }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\n'; }
  bool blank_at(std::size_t offset) const {
    return offset >= text_.size() || text_[offset] == ' ' || text_[offset] == '\n';
  }
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  void new_line() {
    ++at_;
    ++line_;
    line_start_ = at_;
  }
  void count(std::size_t bytes) {
    bytes_ += bytes;
    if (++nodes_ > rules_.max_nodes || bytes_ > rules_.max_bytes) throw NotPlain{};
  }

  /// Blanks and a comment up to the end of the line, and over it.
  void rest_of_line() {
    const std::size_t before = at_;
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '#' && at_ > before)
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    if (at_ >= text_.size()) return;
    if (text_[at_] != '\n') throw NotPlain{};
    new_line();
  }

  /// To the first letter of the next line that has content; at_ is at the beginning of a line.
  void next_content() {
    while (at_ < text_.size()) {
      skip_blanks();
      if (at_ >= text_.size()) return;
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_[at_] != '\n') {
        return;
      }
      if (at_ < text_.size()) new_line();
    }
  }

  bool at_dash() const { return peek() == '-' && blank_at(at_ + 1); }

  /// A node that begins a line (or goes on after "- "), at at_.
  Value block_node(int depth) {
    if (depth >= rules_.max_depth) throw NotPlain{};
    return at_dash() ? sequence(depth, column()) : mapping(depth, column());
  }

  Value mapping(int depth, std::size_t indent) {
    const SourcePos at = place(at_);
    count(0);
    const std::size_t base = entries_.size();
    std::unordered_set<std::size_t> known;
    for (;;) {
      if (column() == 0 && (peek() == '-' || peek() == '.') && peek(1) == peek() && peek(2) == peek()) throw NotPlain{};
      const std::size_t key_begin = at_;
      const SourcePos key_at = place(at_);
      std::string key;
      const bool quoted = scalar(key, false);
      count(key.size());
      if (at_ - key_begin > 1000 || peek() != ':' || !blank_at(at_ + 1)) throw NotPlain{};
      if (!quoted && std::holds_alternative<Null>(typed_scalar(key))) throw NotPlain{};
      check_duplicate(key, base, known);
      ++at_;
      Value value = after_indicator(depth, indent, key_at, true);
      entries_.push_back({std::move(key), key_at, std::move(value)});
      if (at_ >= text_.size() || column() < indent) break;
      if (column() > indent || at_dash()) throw NotPlain{};
    }
    return Value(taken(entries_, base), at);
  }

  Value sequence(int depth, std::size_t indent) {
    const SourcePos at = place(at_);
    count(0);
    const std::size_t base = items_.size();
    for (;;) {
      const SourcePos dash_at = place(at_);
      ++at_;
      Value value = after_indicator(depth, indent, dash_at, false);
      items_.push_back(std::move(value));
      if (at_ >= text_.size() || column() < indent || (column() == indent && !at_dash())) break;
      if (column() > indent) throw NotPlain{};
    }
    return Value(taken(items_, base), at);
  }

  /// The value after "key:" or "-" (at at_), up to the beginning of the next content.
  Value after_indicator(int depth, std::size_t indent, SourcePos owner, bool of_key) {
    const std::size_t before = at_;
    skip_blanks();
    const bool nothing = at_ >= text_.size() || text_[at_] == '\n' || (text_[at_] == '#' && at_ > before);
    if (nothing) {
      at_ = before;
      rest_of_line();
      next_content();
      const bool inside = at_ < text_.size() && (column() > indent || (of_key && column() == indent && at_dash()));
      if (!inside) {
        if (!of_key || peek() == 'n' || peek() == 'N' || peek() == '~')
          throw NotPlain{};  // yaml-cpp places them otherwise
        count(0);
        return Value(Null{}, owner);
      }
      return block_node(depth + 1);
    }
    if (!of_key && at_dash()) throw NotPlain{};
    const std::size_t begin = at_;
    const SourcePos at = place(at_);
    if (is_flow()) {
      Value out = flow(depth + 1);
      end_of_value(indent);
      return out;
    }
    std::string text;
    const bool quoted = scalar(text, false);
    if (!of_key && peek() == ':' && blank_at(at_ + 1)) {  // "- key: value"
      at_ = begin;
      if (depth + 1 >= rules_.max_depth) throw NotPlain{};
      return mapping(depth + 1, column());
    }
    count(text.size());
    end_of_value(indent);
    return scalar_value(std::move(text), quoted, at);
  }

  /// What is deeper than the value's own line would go on with it, or be a mistake.
  void end_of_value(std::size_t indent) {
    rest_of_line();
    next_content();
    if (at_ < text_.size() && column() > indent) throw NotPlain{};
  }

  bool is_flow() const { return (peek() == '{' || peek() == '[') && peek(1) != '{'; }

  /// Over blanks, comments and line ends within brackets.
  void flow_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '\n')
        new_line();
      else if (text_[at_] == '#' && at_ > line_start_ && text_[at_ - 1] == ' ')
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      else if (text_[at_] == ' ')
        ++at_;
      else
        return;
    }
    throw NotPlain{};
  }

  Value flow(int depth) {
    if (depth >= rules_.max_depth) throw NotPlain{};
    const bool is_map = text_[at_] == '{';
    const char close = is_map ? '}' : ']';
    const SourcePos at = place(at_);
    count(0);
    ++at_;
    const std::size_t entries = entries_.size(), items = items_.size();
    std::unordered_set<std::size_t> known;
    flow_space();
    while (text_[at_] != close) {
      if (column() == 0) throw NotPlain{};
      if (is_map) {
        const std::size_t begin = at_;
        const SourcePos key_at = place(at_);
        std::string key;
        const bool quoted = scalar(key, true);
        count(key.size());
        if (at_ - begin > 1000 || peek() != ':' || !(blank_at(at_ + 1) || quoted)) throw NotPlain{};
        if (!quoted && std::holds_alternative<Null>(typed_scalar(key))) throw NotPlain{};
        check_duplicate(key, entries, known);
        ++at_;
        flow_space();
        Value value = flow_value(depth);
        entries_.push_back({std::move(key), key_at, std::move(value)});
      } else {
        Value value = flow_value(depth);
        items_.push_back(std::move(value));
      }
      flow_space();
      if (text_[at_] == close) break;
      if (text_[at_] != ',') throw NotPlain{};
      ++at_;
      flow_space();
      if (text_[at_] == close) throw NotPlain{};
    }
    ++at_;
    return is_map ? Value(taken(entries_, entries), at) : Value(taken(items_, items), at);
  }

  Value flow_value(int depth) {
    if (column() == 0) throw NotPlain{};
    if (peek() == '{' || peek() == '[') {
      if (peek(1) == '{') throw NotPlain{};
      return flow(depth + 1);
    }
    const SourcePos at = place(at_);
    std::string text;
    const bool quoted = scalar(text, true);
    count(text.size());
    if (peek() == ':') throw NotPlain{};
    return scalar_value(std::move(text), quoted, at);
  }

  static Value scalar_value(std::string text, bool quoted, SourcePos at) {
    return quoted ? Value(std::move(text), at, true) : Value(typed_scalar(text), at);
  }

  /// A scalar of one line, at_ after it (and after no blanks). True: it has quotes.
  bool scalar(std::string& out, bool in_flow) {
    const char first = peek();
    if (first == '"' || first == '\'') {
      quoted(out, first);
      return true;
    }
    const bool good_first = is_letter(first) || is_digit(first) ||
                            std::string_view("_/.~+$(^;").find(first) != std::string_view::npos ||
                            (first == '-' && (is_letter(peek(1)) || is_digit(peek(1))));
    if (!good_first) throw NotPlain{};
    const std::size_t begin = at_;
    std::size_t end = at_;  // without the blanks after it
    for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
      const char c = text_[at_];
      if (c == ' ') continue;
      if (c == ':' && blank_at(at_ + 1)) break;
      if (c == '#' && text_[at_ - 1] == ' ') break;
      if (in_flow) {
        if (c == ',' || c == ']' || c == '}') break;
        if (c == '?' || c == '[' || c == '{') throw NotPlain{};
        if (c == ':' && !is_letter(peek(1)) && !is_digit(peek(1)) && peek(1) != '/') throw NotPlain{};
      }
      end = at_ + 1;
    }
    if (peek() == ':' && end != at_) throw NotPlain{};
    at_ = end;
    out.assign(text_.substr(begin, end - begin));
    return false;
  }

  void quoted(std::string& out, char quote) {
    ++at_;
    for (;; ++at_) {
      const std::size_t stop = text_.find_first_of(quote == '"' ? "\"\\\n" : "'\n", at_);
      if (stop == std::string_view::npos || text_[stop] == '\n') throw NotPlain{};
      out.append(text_.substr(at_, stop - at_));
      at_ = stop;
      if (text_[at_] == '\\') {
        ++at_;
        const char escape = peek();
        if (escape == '"' || escape == '\\' || escape == '/')
          out += escape;
        else if (escape == 'n')
          out += '\n';
        else if (escape == 't')
          out += '\t';
        else
          throw NotPlain{};
      } else if (quote == '\'' && peek(1) == '\'') {
        out += '\'';
        ++at_;
      } else {
        ++at_;
        return;
      }
    }
  }

  /// Hashes that meet are left to whoever compares texts.
  void check_duplicate(const std::string& key, std::size_t base, std::unordered_set<std::size_t>& known) const {
    constexpr std::size_t few = 8;
    if (entries_.size() - base < few) {
      for (std::size_t i = base; i < entries_.size(); ++i)
        if (entries_[i].key == key) throw NotPlain{};
      return;
    }
    const std::hash<std::string> hash;
    if (known.empty())
      for (std::size_t i = base; i < entries_.size(); ++i) known.insert(hash(entries_[i].key));
    if (!known.insert(hash(key)).second) throw NotPlain{};
  }

  template <class T>
  static std::vector<T> taken(std::vector<T>& stack, std::size_t base) {
    std::vector<T> out(std::make_move_iterator(stack.begin() + static_cast<std::ptrdiff_t>(base)),
                       std::make_move_iterator(stack.end()));
    stack.erase(stack.begin() + static_cast<std::ptrdiff_t>(base), stack.end());
    return out;
  }

  const Source& source_;
  const YamlRules& rules_;
  const std::string_view text_;
  std::size_t at_ = 0, line_start_ = 0;
  int line_ = 1;
  std::size_t nodes_ = 0, bytes_ = 0;
  std::vector<Entry> entries_;  // of all mappings that are open, one after the other
  std::vector<Value> items_;
};

}  // namespace

/// -?(0|[1-9][0-9]*), then nothing, or a fraction (with digits on both sides of the point) and perhaps an exponent.
Value::Data typed_scalar(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  if (text.empty() || text == "null" || text == "~") return Null{};
  const std::size_t digits = text[0] == '-' ? 1 : 0;
  if (digits == text.size() || !is_digit(text[digits])) return text;
  const std::size_t point = skip_digits(text, digits);
  if (text[digits] == '0' && point > digits + 1) return text;
  const char *first = text.data(), *last = first + text.size();
  if (point == text.size()) {
    std::int64_t whole = 0;
    const auto [end, failure] = std::from_chars(first, last, whole);
    if (failure != std::errc() || end != last || text == "-0") return text;
    return whole;
  }
  if (text[point] != '.') return text;
  std::size_t end_of_number = skip_digits(text, point + 1);
  if (end_of_number == point + 1) return text;
  if (end_of_number < text.size() && (text[end_of_number] == 'e' || text[end_of_number] == 'E')) {
    std::size_t exponent = end_of_number + 1;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    end_of_number = skip_digits(text, exponent);
    if (end_of_number == exponent) return text;
  }
  if (end_of_number != text.size()) return text;
  double real = 0;
  const auto [end, failure] = std::from_chars(first, last, real);
  if (failure != std::errc() || end != last || !std::isfinite(real)) return text;
  return real;
}

std::optional<Value> read_plain_yaml(const Source& source, const YamlRules& rules) {
  if (source.text.size() > rules.max_bytes) return std::nullopt;
  const bool printable =
      std::all_of(source.text.begin(), source.text.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; });
  if (!printable) return std::nullopt;
  try {
    return PlainReader(source, rules).read();
  } catch (const NotPlain&) {
    return std::nullopt;
  }
}

}  // namespace converge::spec
