#include "spec/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "core/text.h"
#include "core/values.h"
#include "spec/yaml_plain.h"

namespace converge::spec {

namespace {

constexpr std::size_t max_problems = 50;  // of one file; more are the echo of one mistake

struct Stop {};  // thrown through yaml-cpp to end a parse; never leaves this file

// --- places in the text ---------------------------------------------------------------------------------------------

SourcePos place_of(const Source& source, std::size_t offset) {
  const std::string_view before = std::string_view(source.text).substr(0, offset);
  const std::size_t line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t start = before.rfind('\n');
  const std::size_t column = start == std::string_view::npos ? offset : offset - start - 1;
  return {&source, static_cast<int>(line) + 1, static_cast<int>(column) + 1};
}

std::string_view line_at(std::string_view text, int line) {
  for (int i = 1; i < line; ++i) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return without_ending(text.substr(0, text.find('\n')));
}

/// The length of the UTF-8 sequence at the front of `text`; 0 if there is none (overlong, surrogate, beyond U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
      (lead == 0xF4 && byte(1) > 0x8F))
    return 0;
  return length;
}

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Refuses what no text file holds, before yaml-cpp, which would take it, sees it.
bool is_text(const Source& source, Diagnostics& diagnostics) {
  const std::string_view text = source.text;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte < 0x7F) {
      ++i;
      continue;
    }
    if (byte == 0 || byte == 0x7F || (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t')) {
      diagnostics.push_back({place_of(source, i), fmt::format("control character 0x{:02X} in a YAML file", byte),
                             byte == 0 ? "this is no text file, or it is UTF-16: save it as UTF-8"
                                       : fmt::format("write it in double quotes as \\x{:02x}", byte)});
      return false;
    }
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) {
      diagnostics.push_back(
          {place_of(source, i), fmt::format("byte 0x{:02X} is not valid UTF-8", byte), "save the file as UTF-8"});
      return false;
    }
    i += length;
  }
  return true;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// --- building -------------------------------------------------------------------------------------------------------

/// What is remembered of an anchored node: the value and what it costs to use it again.
struct Anchored {
  Value value;
  std::size_t nodes = 1, bytes = 0;
  int depth = 1;     // of the subtree
  bool open = true;  // still being read: an alias to it here would be a cycle
};

struct Frame {
  bool is_map = false;
  bool discard = false;  // in place of a key, where no collection may stand
  bool have_key = false, key_ok = false, merge_key = false;
  SourcePos at;
  std::size_t key_end = 0;  // offset after the pending key; 0 if that is not known
  std::size_t anchor = 0;
  std::size_t nodes_before = 0, bytes_before = 0;
  int deepest = 1;  // levels at and below this one
  List items;
  Map entries;
  std::unordered_map<std::string, std::size_t> index;  // of entries, once there are many
  std::vector<Value> merged;                           // the values of "<<", in the order written
  Entry pending;
};

class Builder final : public YAML::EventHandler {
 public:
  Builder(const Source& source, const YamlRules& rules, Diagnostics& diagnostics, std::size_t skipped)
      : source_(source), rules_(rules), diagnostics_(diagnostics), skipped_(skipped), before_(diagnostics.size()) {}

  std::optional<Value> take() {
    if (diagnostics_.size() != before_) return std::nullopt;
    return std::move(root_);
  }
  bool template_near(int line) const {
    return template_line_ > 0 && line >= template_line_ && line <= template_line_ + 2;
  }
  bool failed() const { return diagnostics_.size() != before_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (started_) {
      const SourcePos at = place(mark);
      const std::string_view rest = text_from(mark);
      if (rest.starts_with("---") || rest.empty())
        fatal(at, "a second document starts here; a file holds one", "remove the '---', or make it a file of its own");
      fatal(at, fmt::format("'{}' does not belong to the document before it", printable(rest.substr(0, 1))),
            "check the indentation and the brackets above");
    }
    started_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const std::string_view rest = text_from(mark);
    SourcePos at = node(mark, "", anchor);
    const std::string_view word = rest.substr(0, 4);
    const bool written = word.starts_with('~') || word == "null" || word == "Null" || word == "NULL";
    if (!written && anchor == 0) at = place_of_nothing(mark, at);
    // yaml-cpp also takes Null and NULL, which by our rules are words; with an anchor before it, its text is not at
    // hand.
    if (rest.starts_with("Null") || rest.starts_with("NULL"))
      scalar(std::string(rest.substr(0, 4)), false, at, anchor);
    else
      scalar({}, false, at, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const SourcePos at = node(mark, tag, anchor);
    bytes_ += value.size();
    check_size(at);
    // A quote that is never closed is no error to yaml-cpp if a line break precedes the end of the file.
    if (tag == "!" && after_scalar(mark, {}) == std::string_view::npos)
      fatal(at, "a quote is not closed", "close the quote");
    // yaml-cpp makes one byte, which is no UTF-8, of these escapes.
    for (std::size_t i = 0, length = 1; tag == "!" && i < value.size(); i += length)
      if (length = utf8_length(std::string_view(value).substr(i)); length == 0)
        fatal(at, "'\\N' and '\\_' are not accepted in double quotes", "write \\u0085 or \\u00a0");
    key_end_ = expecting_key() ? after_scalar(mark, value) : 0;
    scalar(value, tag == "!", at, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const SourcePos at = place(mark);
    const auto found = anchors_.find(anchor);
    if (!rules_.aliases) {
      problem(at, "aliases are not accepted here", "write the value out, or make it a variable");
      return add(Value(Null{}, at), at);
    }
    if (found == anchors_.end() || found->second.open) {
      problem(at, "this alias stands inside the very value it refers to", "refer to a value that is complete");
      return add(Value(Null{}, at), at);
    }
    const Anchored& target = found->second;
    nodes_ += target.nodes;
    bytes_ += target.bytes;
    check_size(at);
    const int depth = static_cast<int>(frames_.size()) + target.depth;
    if (depth > rules_.max_depth) too_deep(at);
    if (!frames_.empty()) frames_.back().deepest = std::max(frames_.back().deepest, target.depth + 1);
    if (expecting_key()) {
      if (target.value.list() != nullptr || target.value.map() != nullptr || target.value.is_null())
        return bad_key(at, "a key must be a text");
      key_end_ = 0;
      return scalar(target.value.text(), true, at, 0);
    }
    add(Value(target.value.data(), at, target.value.quoted()), at);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, false);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (text_from(mark).starts_with("{{") && template_line_ != place(mark).line) {
      problem(place(mark), "a value that starts with '{{' must be quoted: YAML reads it as a mapping",
              "quote it: \"{{ ... }}\", the whole value");
      template_line_ = place(mark).line;
    }
    open(mark, tag, anchor, true);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  SourcePos place(const YAML::Mark& mark) const {
    if (mark.is_null()) return {&source_, 1, 1};
    const int shift = mark.line == 0 ? static_cast<int>(skipped_) : 0;
    return {&source_, mark.line + 1, mark.column + 1 + shift};
  }
  std::string_view text_from(const YAML::Mark& mark) const {
    if (mark.is_null()) return {};
    const std::size_t offset = static_cast<std::size_t>(mark.pos) + skipped_;
    return offset < source_.text.size() ? std::string_view(source_.text).substr(offset) : std::string_view{};
  }

  /// A value that was left out is marked at whatever comes next; its key, or its '-', is what people look for.
  SourcePos place_of_nothing(const YAML::Mark& mark, SourcePos otherwise) const {
    if (frames_.empty()) return otherwise;
    if (frames_.back().is_map) return frames_.back().have_key ? frames_.back().pending.key_at : otherwise;
    const std::size_t offset = static_cast<std::size_t>(std::max(mark.pos, 0)) + skipped_;
    if (offset == 0) return otherwise;
    const std::size_t last = source_.text.find_last_not_of(" \t\r\n", offset - 1);
    return last != std::string::npos && source_.text[last] == '-' ? place_of(source_, last) : otherwise;
  }

  /// The offset after the scalar at `mark`; `plain` is its text if it has no quotes. npos: a quote is not closed.
  std::size_t after_scalar(const YAML::Mark& mark, std::string_view plain) const {
    const std::string_view text = source_.text;
    std::size_t i = static_cast<std::size_t>(std::max(mark.pos, 0)) + skipped_;
    while (i < text.size() && (text[i] == '&' || text[i] == '!')) {  // properties before it
      i = text.find_first_of(" \t\r\n", i);
      i = i == std::string_view::npos ? i : text.find_first_not_of(" \t\r\n", i);
      if (i == std::string_view::npos) return text.size();
    }
    if (i >= text.size()) return text.size();
    const char quote = text[i];
    if (quote != '"' && quote != '\'') return i + plain.size();
    for (++i; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\')
        ++i;
      else if (text[i] == quote && quote == '\'' && i + 1 < text.size() && text[i + 1] == quote)
        ++i;
      else if (text[i] == quote)
        return i + 1;
    }
    return std::string_view::npos;
  }

  void problem(SourcePos at, std::string message, std::string hint) {
    diagnostics_.push_back({at, std::move(message), std::move(hint)});
    if (diagnostics_.size() - before_ >= max_problems) throw Stop{};
  }
  [[noreturn]] void fatal(SourcePos at, std::string message, std::string hint) {
    diagnostics_.push_back({at, std::move(message), std::move(hint)});
    throw Stop{};
  }
  [[noreturn]] void too_deep(SourcePos at) {
    fatal(at, fmt::format("more than {} levels of nesting", rules_.max_depth), "make it flatter");
  }
  void check_size(SourcePos at) {
    if (nodes_ > rules_.max_nodes)
      fatal(at, fmt::format("more than {} values, counting what aliases repeat", rules_.max_nodes), "split the file");
    if (bytes_ > rules_.max_bytes)
      fatal(at, fmt::format("more than {} of text, counting what aliases repeat", Bytes{rules_.max_bytes}.text()),
            "split the file");
  }

  bool expecting_key() const { return !frames_.empty() && frames_.back().is_map && !frames_.back().have_key; }

  /// Counts a node and says what is wrong with its properties.
  SourcePos node(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const SourcePos at = place(mark);
    ++nodes_;
    check_size(at);
    if (anchor != 0 && !rules_.aliases)
      problem(at, "anchors are not accepted here", "write the value where it is used, or make it a variable");
    const std::string_view rest = text_from(mark);
    if ((!tag.empty() && tag != "?" && tag != "!") || rest.starts_with('!'))
      problem(at,
              fmt::format("tags such as '{}' are not accepted",
                          printable(rest.starts_with('!') ? rest.substr(0, rest.find_first_of(" \t\r\n,]}")) : tag)),
              "leave the tag out; quotes make a value a string");
    if (!frames_.empty()) frames_.back().deepest = std::max(frames_.back().deepest, 2);
    return at;
  }

  void bad_key(SourcePos at, std::string message) {
    Frame& frame = frames_.back();
    if (template_line_ != at.line) problem(at, std::move(message), "write the key as a word or in quotes");
    frame.have_key = true;
    frame.key_ok = false;
    frame.merge_key = false;
  }

  void scalar(const std::string& text, bool quoted, SourcePos at, std::size_t anchor) {
    Value::Data data = quoted ? Value::Data(text) : typed_scalar(text);
    if (anchor != 0) {
      Anchored& kept = anchors_[anchor];
      kept.value = Value(data, at, quoted);
      kept.bytes = text.size();
      kept.open = false;
    }
    if (!expecting_key()) return add(Value(std::move(data), at, quoted), at);
    if (std::holds_alternative<Null>(data)) return bad_key(at, "a key may not be empty or null");
    Frame& frame = frames_.back();
    frame.have_key = true;
    frame.key_ok = true;
    frame.merge_key = !quoted && text == "<<";
    frame.pending = Entry{text, at, {}};
    frame.key_end = key_end_;
    if (frame.merge_key && !rules_.aliases) {
      problem(at, "merge keys ('<<') are not accepted here", "write the keys out");
      frame.key_ok = false;
    }
    if (!frame.merge_key) check_duplicate(frame);
  }

  void check_duplicate(Frame& frame) {
    constexpr std::size_t few = 8;
    const Entry* first = nullptr;
    if (frame.entries.size() < few) {
      for (const Entry& entry : frame.entries)
        if (entry.key == frame.pending.key) first = &entry;
    } else {
      if (frame.index.empty())
        for (std::size_t i = 0; i < frame.entries.size(); ++i) frame.index.emplace(frame.entries[i].key, i);
      const auto [found, added] = frame.index.emplace(frame.pending.key, frame.entries.size());
      if (!added) first = &frame.entries[found->second];
    }
    if (first == nullptr) return;
    frame.key_ok = false;
    problem(
        frame.pending.key_at,
        fmt::format("duplicate key '{}': it is already at line {}", printable(frame.pending.key), first->key_at.line),
        "remove one of the two");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, bool is_map) {
    const std::size_t nodes = nodes_, bytes = bytes_;
    const SourcePos at = node(mark, tag, anchor);
    if (static_cast<int>(frames_.size()) >= rules_.max_depth) too_deep(at);
    bool discard = false;
    if (expecting_key()) {
      bad_key(at, "a list or a mapping cannot be a key");
      frames_.back().have_key = false;  // it is, once the collection has ended
      discard = true;
    }
    Frame& frame = frames_.emplace_back();
    frame.is_map = is_map;
    frame.discard = discard;
    frame.at = at;
    frame.anchor = anchor;
    frame.nodes_before = nodes;
    frame.bytes_before = bytes;
    if (anchor != 0) anchors_[anchor].open = true;
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frames_.empty()) frames_.back().deepest = std::max(frames_.back().deepest, frame.deepest + 1);
    if (frame.is_map) merge(frame);
    Value value(frame.is_map ? Value::Data(std::move(frame.entries)) : Value::Data(std::move(frame.items)), frame.at);
    if (frame.anchor != 0) {
      Anchored& kept = anchors_[frame.anchor];
      if (rules_.aliases) kept.value = value;
      kept.nodes = nodes_ - frame.nodes_before;
      kept.bytes = bytes_ - frame.bytes_before;
      kept.depth = frame.deepest;
      kept.open = false;
    }
    if (frame.discard) {
      frames_.back().have_key = true;
      frames_.back().key_ok = false;
      return;
    }
    add(std::move(value), frame.at);
  }

  /// YAML 1.1's merge: what is written here wins, then the earlier of several mappings.
  void merge(Frame& frame) {
    if (frame.merged.empty()) return;
    std::unordered_set<std::string> known;
    for (const Entry& entry : frame.entries) known.insert(entry.key);
    const auto take_from = [&](const Value& value) {
      const Map* entries = value.map();
      if (entries == nullptr)
        return problem(value.at(), "'<<' takes a mapping or a list of mappings, not " + std::string(value.kind()), "");
      for (const Entry& entry : *entries)
        if (known.insert(entry.key).second) frame.entries.push_back(entry);
    };
    for (const Value& value : frame.merged) {
      if (const List* several = value.list())
        for (const Value& one : *several) take_from(one);
      else
        take_from(value);
    }
  }

  /// yaml-cpp reads a word where a key may be as a key without a value.
  bool followed_by_colon(std::size_t offset) const {
    if (offset == 0) return true;
    const std::size_t next = source_.text.find_first_not_of(" \t\r\n", offset);
    return next != std::string::npos && source_.text[next] == ':';
  }

  void add(Value value, SourcePos at) {
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (!frame.is_map) {
      frame.items.push_back(std::move(value));
      return;
    }
    if (!frame.have_key) return bad_key(at, "a key must be a text");
    frame.have_key = false;
    if (!frame.key_ok) return;
    if (value.is_null() && !followed_by_colon(frame.key_end)) {
      if (template_line_ != frame.pending.key_at.line)
        problem(frame.pending.key_at, fmt::format("'{}' has no ':' after it", printable(frame.pending.key)),
                "write 'key: value', or indent the line if it belongs to the value above");
      return;
    }
    if (frame.merge_key) {
      frame.merged.push_back(std::move(value));
      return;
    }
    frame.pending.value = std::move(value);
    frame.entries.push_back(std::move(frame.pending));
  }

  const Source& source_;
  const YamlRules& rules_;
  Diagnostics& diagnostics_;
  const std::size_t skipped_;  // bytes of a byte order mark yaml-cpp has not seen
  const std::size_t before_;
  std::vector<Frame> frames_;
  std::unordered_map<std::size_t, Anchored> anchors_;
  std::optional<Value> root_;
  std::size_t nodes_ = 0, bytes_ = 0;
  std::size_t key_end_ = 0;  // offset after the last key read; 0 if that is not known
  int template_line_ = 0;
  bool started_ = false;
};

// --- syntax errors --------------------------------------------------------------------------------------------------

std::string_view value_part(std::string_view line) {
  std::size_t from = line.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  while (line.substr(from).starts_with("- ")) {
    from = line.find_first_not_of(' ', from + 1);
    if (from == std::string_view::npos) return {};
  }
  const std::string_view rest = line.substr(from);
  const std::size_t colon = rest.find(": ");
  if (colon == std::string_view::npos || rest.front() == '"' || rest.front() == '\'') return rest;
  return trim(rest.substr(colon + 2));
}

/// "key:value" at the start of a line, where the blank after the colon was forgotten.
bool lacks_blank_after_colon(std::string_view line) {
  std::size_t i = line.find_first_not_of(" -");
  if (i == std::string_view::npos) return false;
  const std::size_t start = i;
  while (i < line.size() &&
         (std::isalnum(static_cast<unsigned char>(line[i])) != 0 || line[i] == '_' || line[i] == '-'))
    ++i;
  return i > start && i + 1 < line.size() && line[i] == ':' && line[i + 1] != ' ' && line[i + 1] != '/' &&
         line[i + 1] != ':' && line[i + 1] != '\t';
}

struct SyntaxAdvice {
  int line = 0, column = 0;
  std::string message, hint;
};

/// What people usually did when yaml-cpp stumbles at `line`. Looks at that line and the written lines just before it,
/// since the parser often notices only at the next one.
std::optional<SyntaxAdvice> usual_mistake(std::string_view text, int line) {
  int looked = 0;
  for (int at = line; at >= 1 && looked < 3; --at) {
    const std::string_view content = line_at(text, at);
    if (trim(content).empty() || trim(content).starts_with('#')) continue;
    ++looked;
    const std::size_t first = content.find_first_not_of(" \t");
    const std::size_t tab = content.substr(0, first).find('\t');
    if (tab != std::string_view::npos)
      return SyntaxAdvice{at, static_cast<int>(tab) + 1, "a tab in the indentation", "indent with blanks"};
    const std::string_view value = value_part(content);
    const auto column = [&] { return static_cast<int>(value.data() - content.data()) + 1; };
    if (value.starts_with("{{"))
      return SyntaxAdvice{at, column(), "a value that starts with '{{' must be quoted: YAML reads it as a mapping",
                          "quote it: \"{{ ... }}\", the whole value"};
    if (value.starts_with("{%"))
      return SyntaxAdvice{at, column(), "a value that starts with '{%' must be quoted",
                          "the templates here know {{ if }} and {{ range }}, in quotes or in a block ('|')"};
    if (value.starts_with('@') || value.starts_with('`') || value.starts_with('%'))
      return SyntaxAdvice{at, column(), fmt::format("a value may not start with '{}'", value.front()), "quote it"};
    if (lacks_blank_after_colon(content)) {
      const std::size_t colon = content.find(':');
      return SyntaxAdvice{at, static_cast<int>(colon) + 1,
                          fmt::format("'{}' has no blank after the colon, so it is no key", printable(trim(content))),
                          "put a blank after the colon"};
    }
    const bool quoted =
        value.starts_with('"') || value.starts_with('\'') || value.starts_with('{') || value.starts_with('[');
    if (!quoted && value.find(": ") != std::string_view::npos)
      return SyntaxAdvice{at, column(), "a value that holds ': ' must be quoted", "quote the whole value"};
  }
  return std::nullopt;
}

struct Known {
  const char* theirs;
  const char* ours;
  const char* hint;
};

/// yaml-cpp's sentences, said for someone who does not know its grammar.
constexpr Known known_errors[] = {
    {YAML::ErrorMsg::END_OF_MAP, "this does not continue the mapping above",
     "entries of one mapping start in the same column; nothing may follow a closing quote"},
    {YAML::ErrorMsg::END_OF_SEQ, "this does not continue the list above",
     "entries of one list start in the same column, each with '- '"},
    {YAML::ErrorMsg::END_OF_MAP_FLOW, "a '{' before this is not closed", "close it with '}', or put a comma here"},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a '[' before this is not closed", "close it with ']', or put a comma here"},
    {YAML::ErrorMsg::EOF_IN_SCALAR, "the file ends inside a quoted text", "close the quote"},
    {YAML::ErrorMsg::MAP_VALUE, "a ':' stands where no key can be",
     "a key and its ':' stand on one line, in the column of the other keys; quote a value that holds ': '"},
    {YAML::ErrorMsg::MAP_KEY, "a key stands where none can be", "start it in the column of the other keys"},
    {YAML::ErrorMsg::BLOCK_ENTRY, "a list with '- ' cannot start on this line",
     "put it on the next line, or use [a, b]"},
    {YAML::ErrorMsg::FLOW_END, "a bracket closes what was never opened", "quote a value that starts with a bracket"},
    {YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab in the indentation", "indent with blanks"},
    {YAML::ErrorMsg::UNKNOWN_ANCHOR, "no anchor of this name stands before it", "quote a value that starts with '*'"},
    {YAML::ErrorMsg::ALIAS_NOT_FOUND, "an alias without a name", "quote a value that starts with '*'"},
    {YAML::ErrorMsg::ANCHOR_NOT_FOUND, "an anchor without a name", "quote a value that starts with '&'"},
    {YAML::ErrorMsg::DOC_IN_SCALAR, "'---' inside a quoted text", "close the quote above"},
};

void syntax_error(const Source& source, const YAML::Exception& exception, std::size_t skipped, const Builder& builder,
                  Diagnostics& diagnostics) {
  const bool placed = !exception.mark.is_null();
  int line = placed ? exception.mark.line + 1 : 1;
  int column = placed ? exception.mark.column + 1 : 1;
  if (line == 1) column += static_cast<int>(skipped);
  if (builder.template_near(line)) return;  // the same mistake, already reported where it is
  if (auto advice = usual_mistake(source.text, line)) {
    diagnostics.push_back(
        {{&source, advice->line, advice->column}, std::move(advice->message), std::move(advice->hint)});
    return;
  }
  for (const Known& known : known_errors)
    if (exception.msg == known.theirs) {
      diagnostics.push_back({{&source, line, column}, known.ours, known.hint});
      return;
    }
  const bool escape = exception.msg.starts_with(YAML::ErrorMsg::INVALID_ESCAPE);
  diagnostics.push_back({{&source, line, column},
                         "not valid YAML: " + printable(exception.msg),
                         escape ? "write a backslash twice in double quotes, or use single quotes" : ""});
}

// --- writing --------------------------------------------------------------------------------------------------------

constexpr std::string_view hex_digits = "0123456789abcdef";

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      const std::size_t length = utf8_length(text.substr(i));
      if (length == 0) {
        out += "\\ufffd";  // neither YAML nor JSON can hold bytes that are no text
        ++i;
        continue;
      }
      const std::string_view letter = text.substr(i, length);
      i += length;
      if (letter == "\xC2\x85")
        out += "\\u0085";
      else if (letter == "\xE2\x80\xA8")
        out += "\\u2028";
      else if (letter == "\xE2\x80\xA9")
        out += "\\u2029";
      else if (letter == byte_order_mark)
        out += "\\ufeff";
      else if (length == 2 && byte == 0xC2 && static_cast<unsigned char>(letter[1]) < 0xA0)
        out += fmt::format("\\u00{:02x}", static_cast<unsigned char>(letter[1]));
      else
        out += letter;
      continue;
    }
    ++i;
    if (byte == '"' || byte == '\\')
      out.append({'\\', static_cast<char>(byte)});
    else if (byte == '\n')
      out += "\\n";
    else if (byte == '\t')
      out += "\\t";
    else if (byte == '\r')
      out += "\\r";
    else if (byte < 0x20 || byte == 0x7F)
      out.append({'\\', 'u', '0', '0', hex_digits[byte >> 4U], hex_digits[byte & 0xFU]});
    else
      out += static_cast<char>(byte);
  }
  out += '"';
}

bool is_yaml_word(std::string_view text) {
  static constexpr std::string_view words[] = {"y",    "n", "yes", "no", "on",   "off",  "true",  "false",
                                               "null", "~", "<<",  "=",  ".nan", ".inf", "-.inf", "+.inf"};
  const std::string small = lower(text);
  return std::find(std::begin(words), std::end(words), small) != std::end(words);
}

/// True if some YAML reader, 1.1 or 1.2, might take `text` for a number or a date.
bool looks_numeric(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || !(is_digit(text[0]) || text[0] == '.')) return false;
  const auto only = [&](std::string_view allowed) { return text.find_first_not_of(allowed) == std::string_view::npos; };
  if (text.size() > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return only("0123456789abcdefABCDEFxX_");
  if (text.size() > 1 && text[0] == '0' && (text[1] == 'o' || text[1] == 'b')) return only("01234567ob_");
  return only("0123456789_+-.:eEtTzZ ,") && std::count(text.begin(), text.end(), '.') < 2;
}

bool plain_is_safe(std::string_view text) {
  if (text.empty() || is_yaml_word(text) || looks_numeric(text)) return false;
  static constexpr std::string_view never_first = "!&*-?:,[]{}#|>@`\"'%= \t.";
  const bool dot_word = text[0] == '.' && text.size() > 1 && !is_digit(text[1]) && text[1] != '.';
  if (never_first.find(text[0]) != std::string_view::npos && !dot_word &&
      !(text[0] == '-' && text.size() > 1 && text[1] != ' ' && text[1] != '-'))
    return false;
  if (text.back() == ' ' || text.back() == ':') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F || byte >= 0x80)
      return false;                                         // letters beyond ASCII: quoted, legible all the same
    if (byte == ':' && (text[i + 1] == ' ')) return false;  // not the last: see above
    if (byte == '#' && text[i - 1] == ' ') return false;    // not the first: see above
    if (text.substr(i).starts_with("{{")) return false;     // so that a template is seen as one
  }
  return true;
}

void append_scalar_text(std::string& out, std::string_view text) {
  if (plain_is_safe(text))
    out += text;
  else
    append_quoted(out, text);
}

bool is_block(const Value& value) {
  return (value.list() != nullptr && !value.list()->empty()) || (value.map() != nullptr && !value.map()->empty());
}

void append_yaml(std::string& out, const Value& value, std::size_t indent, bool on_line);

void append_child(std::string& out, const Value& value, std::size_t indent) {
  if (is_block(value)) {
    out += '\n';
    append_yaml(out, value, indent, false);
  } else {
    out += ' ';
    append_yaml(out, value, indent, false);
  }
}

/// @param on_line the first line of this block continues one that has begun ("- ").
void append_yaml(std::string& out, const Value& value, std::size_t indent, bool on_line) {
  if (!is_block(value)) {
    if (value.is_null())
      out += "null";
    else if (value.list() != nullptr)
      out += "[]";
    else if (value.map() != nullptr)
      out += "{}";
    else if (const std::string* text = value.string())
      append_scalar_text(out, *text);
    else
      out += value.text();
    out += '\n';
    return;
  }
  const auto start = [&] {
    if (!on_line) out.append(indent, ' ');
    on_line = false;
  };
  if (const List* items = value.list()) {
    for (const Value& item : *items) {
      start();
      out += "- ";
      append_yaml(out, item, indent + 2, true);
    }
    return;
  }
  for (const Entry& entry : *value.map()) {
    start();
    append_scalar_text(out, entry.key);
    out += ':';
    append_child(out, entry.value, indent + 2);
  }
}

void append_json(std::string& out, const Value& value) {
  if (value.is_null()) {
    out += "null";
  } else if (const std::string* text = value.string()) {
    append_quoted(out, *text);
  } else if (const List* items = value.list()) {
    out += '[';
    for (const Value& item : *items) {
      if (&item != items->data()) out += ',';
      append_json(out, item);
    }
    out += ']';
  } else if (const Map* entries = value.map()) {
    out += '{';
    for (const Entry& entry : *entries) {
      if (&entry != entries->data()) out += ',';
      append_quoted(out, entry.key);
      out += ':';
      append_json(out, entry.value);
    }
    out += '}';
  } else if (const double* real = value.number(); real != nullptr && !std::isfinite(*real)) {
    out += "null";
  } else {
    out += value.text();
  }
}

}  // namespace

std::optional<Value> read_yaml(const Source& source, const YamlRules& rules, Diagnostics& diagnostics) {
  if (source.text.size() > rules.max_bytes) {
    diagnostics.push_back(
        {{&source, 1, 1},
         fmt::format("the file has {} bytes; at most {} are read", source.text.size(), rules.max_bytes),
         "split it"});
    return std::nullopt;
  }
  if (!rules.by_library)
    if (auto plain = read_plain_yaml(source, rules)) return plain;
  if (!is_text(source, diagnostics)) return std::nullopt;
  const std::size_t skipped = source.text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  Builder builder(source, rules, diagnostics, skipped);
  try {
    std::istringstream stream(skipped == 0 ? source.text : source.text.substr(skipped));
    YAML::Parser parser(stream);
    // Asked twice: yaml-cpp stops after a document as if the rest were not there, and on some inputs it makes empty
    // documents without end. The builder stops at the second.
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
  } catch (const Stop&) {
    return std::nullopt;
  } catch (const YAML::Exception& exception) {
    syntax_error(source, exception, skipped, builder, diagnostics);
    return std::nullopt;
  } catch (const std::exception& exception) {  // its own limits: "invalid" arguments, memory
    diagnostics.push_back({{&source, 1, 1}, std::string("cannot be read as YAML: ") + exception.what(), ""});
    return std::nullopt;
  }
  if (builder.failed()) return std::nullopt;
  std::optional<Value> value = builder.take();
  return value ? std::move(value) : Value(Null{}, {&source, 1, 1});
}

std::string write_yaml(const Value& value) {
  std::string out;
  append_yaml(out, value, 0, false);
  return out;
}

std::string write_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace converge::spec
