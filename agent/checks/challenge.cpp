#include "checks/challenge.h"

#include "core/text.h"

namespace converge::checks {
namespace {

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_token(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token68(char c) { return is_alphanumeric(c) || std::string_view("-._~+/").find(c) != std::string_view::npos; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// A place in the text; what is read is taken off, and what is not there is nullopt.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool ended() const { return rest_.empty(); }
  bool blanks() {
    const bool any = !rest_.empty() && is_blank(rest_.front());
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    return any;
  }
  bool sign(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string run(bool (*is)(char)) {
    std::size_t size = 0;
    while (size < rest_.size() && is(rest_[size])) ++size;
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }
  std::optional<std::string> quoted() {
    if (!sign('"')) return std::nullopt;
    std::string out;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) return std::nullopt;
      out += c;
    }
    return std::nullopt;
  }

 private:
  std::string_view rest_;
};

/// NAME = VALUE; moves `at` only if it is one. nullopt: it is none; a name without a value: malformed.
std::optional<std::pair<std::string, std::string>> parameter(Cursor& at) {
  Cursor here = at;
  std::string name = lower(here.run(is_token));
  here.blanks();
  if (name.empty() || !here.sign('=')) return std::nullopt;
  here.blanks();
  std::string value = here.run(is_token);
  if (value.empty()) {
    auto quoted = here.quoted();
    if (!quoted) return std::nullopt;
    value = *std::move(quoted);
  }
  // What follows a value is a comma or the end.
  Cursor after = here;
  after.blanks();
  if (!after.ended() && !after.sign(',')) return std::nullopt;
  at = here;
  return std::pair(std::move(name), std::move(value));
}

/// Commas and blanks between elements of a list, of which some may be empty. False if there is none where one must be.
bool separator(Cursor& at) {
  at.blanks();
  bool any = at.ended();
  while (at.sign(',')) {
    any = true;
    at.blanks();
  }
  return any;
}

}  // namespace

std::optional<std::vector<Challenge>> parse_challenges(std::string_view text) {
  std::vector<Challenge> out;
  Cursor at(text);
  (void)separator(at);
  while (!at.ended()) {
    Challenge one;
    one.scheme = lower(at.run(is_token));
    if (one.scheme.empty()) return std::nullopt;
    if (!at.blanks()) {
      if (!separator(at)) return std::nullopt;
      out.push_back(std::move(one));
      continue;
    }
    bool any = false;
    while (auto pair = parameter(at)) {
      any = true;
      if (!one.values.insert(*std::move(pair)).second) return std::nullopt;
      if (!separator(at)) return std::nullopt;
    }
    if (!any) {
      one.token = at.run(is_token68);
      while (!one.token.empty() && at.sign('=')) one.token += '=';
      if (!separator(at)) return std::nullopt;
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace converge::checks
