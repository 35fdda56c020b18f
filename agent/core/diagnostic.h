// What is wrong with an input file, said so that it can be mended: place, sentence, way out. Plural by nature.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace converge {

/// A text that was read, kept so that a complaint can show its line.
struct Source {
  std::string name;  // as the operator would type it: "specs/coulombcore.yaml"
  std::string text;
};

/// Owns the sources of a run; a Source never moves once added.
class Sources {
 public:
  const Source* add(std::string name, std::string text) {
    return &sources_.emplace_back(Source{std::move(name), std::move(text)});
  }
  const std::deque<Source>& all() const { return sources_; }  // in the order they were read

 private:
  std::deque<Source> sources_;
};

/// A place in a source; line and column count from 1, column in bytes. Null source: made by us, not written anywhere.
struct SourcePos {
  const Source* source = nullptr;
  int line = 0, column = 0;
  std::string text() const;  // "specs/x.yaml:7:3"; "-" without a source
};

enum class Severity { error, warning };

struct Diagnostic {
  SourcePos at;
  std::string message;  // lower case, one sentence, values in single quotes
  std::string hint;     // the way out: "write \"0644\" with quotes", "did you mean 'soft'?"; may be empty
  Severity severity = Severity::error;
};
using Diagnostics = std::vector<Diagnostic>;

/// "specs/x.yaml:7:3: error: message\n    7 | the line\n      |   ^\n  hint: ...\n". Control characters of the source
/// are escaped; a line longer than 160 bytes is cut around the column.
std::string render(const Diagnostic& diagnostic);

/// The candidate nearest to `word` by edit distance (at most 2, or 1 for words of up to 4 letters; case differences are
/// free); nullopt if none is near.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);
/// "did you mean 'soft'?" or, when nothing is near, "" .
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace converge
