#include "remote/wire.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "core/digest.h"
#include "core/text.h"
#include "report/step_json.h"

namespace converge::remote {
namespace {

using spec::Value;

constexpr std::array whys{std::pair{Refused::Why::input, "input"}, std::pair{Refused::Why::busy, "busy"},
                          std::pair{Refused::Why::other, "other"}};

template <class Key, std::size_t n>
std::string word_of(const std::array<std::pair<Key, const char*>, n>& rows, Key key) {
  for (const auto& [value, word] : rows)
    if (value == key) return word;
  return {};
}
template <class Key, std::size_t n>
std::optional<Key> key_of(const std::array<std::pair<Key, const char*>, n>& rows, std::string_view wanted) {
  for (const auto& [value, word] : rows)
    if (wanted == word) return value;
  return std::nullopt;
}

// ---- values with their places -----------------------------------------------------------------------------------
// ["s", [source, line, column], "text"]: a letter for the kind, the place, the data. "S": quoted; "x", "X": base64.

class ValueWriter {
 public:
  Json write(const Value& value) {
    const auto tagged = [&](const char* kind, Json data) {
      return Json::array({kind, place(value.at()), std::move(data)});
    };
    if (value.is_null()) return tagged("n", nullptr);
    if (const bool* b = value.boolean()) return tagged("b", *b);
    if (const std::int64_t* i = value.integer()) return tagged("i", *i);
    if (const double* d = value.number()) return tagged("d", std::isfinite(*d) ? Json(*d) : Json(value.text()));
    if (const std::string* s = value.string()) {
      if (is_utf8(*s)) return tagged(value.quoted() ? "S" : "s", *s);
      return tagged(value.quoted() ? "X" : "x", base64(*s));  // it would not survive JSON
    }
    Json data = Json::array();
    if (const spec::List* list = value.list()) {
      for (const Value& one : *list) data.push_back(write(one));
      return tagged("l", std::move(data));
    }
    for (const spec::Entry& entry : *value.map())
      data.push_back(Json::array({entry.key, place(entry.key_at), write(entry.value)}));
    return tagged("m", std::move(data));
  }

  Json place(const SourcePos& at) {
    if (at.source == nullptr) return nullptr;
    const auto [it, added] = numbers_.emplace(at.source, numbers_.size());
    if (added) names_.push_back(at.source->name);
    return Json::array({it->second, at.line, at.column});
  }
  const Json& names() const { return names_; }

 private:
  std::map<const Source*, std::size_t> numbers_;
  Json names_ = Json::array();
};

/// Thrown and caught in this file: a message is whole or it is none.
struct Malformed {};
void require(bool holds) {
  if (!holds) throw Malformed{};
}

const Json& member(const Json& json, const char* key) {
  require(json.is_object());
  const auto it = json.find(key);
  require(it != json.end());
  return *it;
}
std::string text(const Json& json) {
  require(json.is_string());
  return json.get<std::string>();
}
std::string text(const Json& json, const char* key) { return text(member(json, key)); }
bool flag(const Json& json, const char* key) {
  const Json& value = member(json, key);
  require(value.is_boolean());
  return value.get<bool>();
}
std::int64_t number(const Json& json) {
  require(json.is_number_integer());
  require(!json.is_number_unsigned() || json.get<std::uint64_t>() <= INT64_MAX);
  return json.get<std::int64_t>();
}
std::int64_t number(const Json& json, const char* key) { return number(member(json, key)); }
int small(const Json& json) {
  const std::int64_t value = number(json);
  require(value >= 0 && value <= 1'000'000'000);
  return static_cast<int>(value);
}
std::vector<std::string> texts(const Json& json, const char* key) {
  const Json& list = member(json, key);
  require(list.is_array());
  std::vector<std::string> out;
  for (const Json& one : list) out.push_back(text(one));
  return out;
}

class ValueReader {
 public:
  explicit ValueReader(std::vector<const Source*> sources) : sources_(std::move(sources)) {}

  Value read(const Json& json) const {
    require(json.is_array() && json.size() == 3);
    const std::string kind = text(json[0]);
    require(kind.size() == 1);
    return read(kind[0], place(json[1]), json[2]);
  }

  SourcePos place(const Json& json) const {
    if (json.is_null()) return {};
    require(json.is_array() && json.size() == 3);
    const auto source = static_cast<std::size_t>(small(json[0]));
    require(source < sources_.size());
    return {sources_[source], small(json[1]), small(json[2])};
  }

 private:
  Value read(char kind, SourcePos at, const Json& data) const {
    switch (kind) {
      case 'n':
        require(data.is_null());
        return Value(spec::Null{}, at);
      case 'b':
        require(data.is_boolean());
        return Value(data.get<bool>(), at);
      case 'i':
        return Value(number(data), at);
      case 'd':
        return Value(real(data), at);
      case 's':
      case 'S':
        return Value(text(data), at, kind == 'S');
      case 'x':
      case 'X': {
        auto bytes = from_base64(text(data));
        require(bytes.has_value());
        return Value(std::move(*bytes), at, kind == 'X');
      }
      case 'l':
        return Value(list(data), at);
      case 'm':
        return Value(map(data), at);
      default:
        throw Malformed{};
    }
  }
  /// JSON has no words for what is not finite: it is sent as YAML writes it.
  static double real(const Json& data) {
    if (data.is_number()) return data.get<double>();
    const std::string word = text(data);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (word == ".inf") return infinity;
    if (word == "-.inf") return -infinity;
    require(word == ".nan");
    return std::numeric_limits<double>::quiet_NaN();
  }
  spec::List list(const Json& data) const {
    require(data.is_array());
    spec::List out;
    out.reserve(data.size());
    for (const Json& one : data) out.push_back(read(one));
    return out;
  }
  spec::Map map(const Json& data) const {
    require(data.is_array());
    spec::Map out;
    out.reserve(data.size());
    for (const Json& one : data) {
      require(one.is_array() && one.size() == 3);
      out.push_back({text(one[0]), place(one[1]), read(one[2])});
    }
    return out;
  }

  std::vector<const Source*> sources_;
};

// ---- messages ---------------------------------------------------------------------------------------------------

Json json_of(const LeftRun& left) {
  Json steps = Json::array();
  for (const Step& step : left.steps) steps.push_back(converge::to_json(step));
  return {{"run", left.run},
          {"by", left.by},
          {"ended", left.ended},
          {"verb", name_of(left.verb)},
          {"counts", converge::to_json(left.tally)},
          {"interrupted", left.tally.interrupted},
          {"steps", std::move(steps)}};
}

Verb verb_of(const Json& json) {
  const auto verb = verb_from(text(json, "verb"));
  require(verb.has_value());
  return *verb;
}

Tally tally_of(const Json& json) {
  auto tally = tally_from(member(json, "counts"));
  require(tally.has_value());
  tally->interrupted = flag(json, "interrupted");
  return *tally;
}

std::vector<Step> steps_of(const Json& json) {
  const Json& steps = member(json, "steps");
  require(steps.is_array());
  std::vector<Step> out;
  for (const Json& one : steps) {
    auto step = step_from(one);
    require(step.has_value());
    out.push_back(std::move(*step));
  }
  return out;
}

LeftRun left_run(const Json& json) {
  LeftRun left{.run = text(json, "run"), .by = text(json, "by"), .ended = text(json, "ended")};
  require(!left.run.empty());
  left.verb = verb_of(json);
  left.tally = tally_of(json);
  left.steps = steps_of(json);
  return left;
}

Json json_of(const Hello& m) {
  return {{"type", "hello"},
          {"protocol", m.protocol},
          {"version", m.version},
          {"privileged", m.privileged},
          {"now", m.now_micros},
          {"facts", ValueWriter().write(m.facts)},
          {"left", m.left ? json_of(*m.left) : Json(nullptr)}};
}
Json json_of(const Doing& m) { return {{"type", "doing"}, {"what", m.what}}; }
Json json_of(const Step& m) { return {{"type", "step"}, {"step", converge::to_json(m)}}; }
Json json_of(const Testimony& m) {
  Json suspects = Json::array();
  for (const Suspect& each : m.suspects) suspects.push_back({{"kind", each.kind}, {"text", each.text}});
  return {{"type", "evidence"},
          {"item", m.item},
          {"id", m.resource},
          {"property", m.property},
          {"suspects", std::move(suspects)}};
}
Json json_of(const PastRun& m) {
  Json steps = Json::array();
  for (const Step& step : m.steps) steps.push_back(converge::to_json(step));
  return {{"type", "past"},
          {"run", m.uid},
          {"who", m.who},
          {"from", m.from},
          {"revision", m.revision},
          {"sources", m.sources},
          {"words", m.words},
          {"version", m.version},
          {"verb", name_of(m.verb)},
          {"began_ago", m.began_ago.count()},
          {"ended_ago", m.ended_ago.count()},
          {"micros", m.took.count()},
          {"exit", m.exit},
          {"counts", converge::to_json(m.tally)},
          {"interrupted", m.tally.interrupted},
          {"whole", m.whole},
          {"steps", std::move(steps)}};
}
Json json_of(const End& m) {
  return {{"type", "end"}, {"counts", converge::to_json(m.tally)}, {"interrupted", m.tally.interrupted}};
}
Json json_of(const Refused& m) {
  Json mistakes = Json::array();
  for (const Refused::Mistake& one : m.mistakes)
    mistakes.push_back({{"source", one.source},
                        {"line", one.line},
                        {"column", one.column},
                        {"message", one.message},
                        {"hint", one.hint}});
  return {{"type", "refused"},
          {"why", word_of(whys, m.why)},
          {"message", m.error ? m.error->text() : ""},
          {"hint", m.error ? m.error->hint : ""},
          {"mistakes", std::move(mistakes)}};
}
Json json_of(const Alive& /*m*/) { return {{"type", "alive"}}; }
Json json_of(const Stop& /*m*/) { return {{"type", "stop"}}; }
Json json_of(const Bye& /*m*/) { return {{"type", "bye"}}; }

Json json_of(const Items& m) {
  ValueWriter writer;
  Json items = Json::array();
  for (const spec::Item& item : m.items)
    items.push_back({{"spec", item.spec},
                     {"module", item.module},
                     {"name", item.name},
                     {"at", writer.place(item.at)},
                     {"parameters", writer.write(item.parameters)},
                     {"tags", item.tags},
                     {"needs", item.needs},
                     {"skipped", item.skipped}});
  return {{"type", "items"}, {"sources", writer.names()}, {"items", std::move(items)}};
}
Json json_of(const RunOrder& m) {
  return {{"type", "run"},
          {"run", m.run},
          {"digest", m.digest},
          {"by", m.by},
          {"verb", name_of(m.verb)},
          {"diff", m.diff},
          {"all", m.all},
          {"wait", m.wait},
          {"collected", m.collected},
          {"host", m.host},
          {"deadline", m.deadline.count()},
          {"since", m.since ? Json(m.since->count()) : Json(nullptr)}};
}

Testimony evidence(const Json& json) {
  Testimony out{text(json, "item"), text(json, "id"), text(json, "property"), {}};
  const Json& suspects = member(json, "suspects");
  require(suspects.is_array() && suspects.size() <= 100);
  for (const Json& one : suspects) out.suspects.push_back({text(one, "kind"), text(one, "text")});
  return out;
}

PastRun past_run(const Json& json) {
  PastRun out{.uid = text(json, "run"),
              .who = text(json, "who"),
              .from = text(json, "from"),
              .revision = text(json, "revision"),
              .sources = text(json, "sources"),
              .words = text(json, "words"),
              .version = text(json, "version"),
              .verb = verb_of(json),
              .began_ago = std::chrono::microseconds(number(json, "began_ago")),
              .ended_ago = std::chrono::microseconds(number(json, "ended_ago")),
              .took = std::chrono::microseconds(number(json, "micros")),
              .exit = small(member(json, "exit")),
              .tally = tally_of(json),
              .whole = flag(json, "whole"),
              .steps = steps_of(json)};
  // It becomes a row of the controller's history: nothing may come from the future.
  require(out.uid.size() == 32 && out.uid.find_first_not_of("0123456789abcdef") == std::string::npos);
  require(out.ended_ago.count() >= 0 && out.began_ago >= out.ended_ago);
  return out;
}

Refused refused(const Json& json) {
  Refused out;
  const auto why = key_of(whys, text(json, "why"));
  require(why.has_value());
  out.why = *why;
  std::string message = text(json, "message"), hint = text(json, "hint");
  if (!message.empty()) out.error = Error{Errc::io, std::move(message), {}, std::move(hint)};
  const Json& mistakes = member(json, "mistakes");
  require(mistakes.is_array());
  for (const Json& one : mistakes)
    out.mistakes.push_back({text(one, "source"), small(member(one, "line")), small(member(one, "column")),
                            text(one, "message"), text(one, "hint")});
  return out;
}

FromAgent from_agent(const Json& json) {
  const std::string type = text(json, "type");
  if (type == "alive") return Alive{};
  if (type == "doing") return Doing{text(json, "what")};
  if (type == "refused") return refused(json);
  if (type == "step") {
    auto step = step_from(member(json, "step"));
    require(step.has_value());
    return std::move(*step);
  }
  if (type == "evidence") return evidence(json);
  if (type == "past") return past_run(json);
  if (type == "end") return End{tally_of(json)};
  require(type == "hello");
  Hello out{.protocol = small(member(json, "protocol")),
            .version = text(json, "version"),
            .privileged = flag(json, "privileged"),
            .now_micros = number(json, "now"),
            .facts = ValueReader({}).read(member(json, "facts"))};
  if (const Json& left = member(json, "left"); !left.is_null()) out.left = left_run(left);
  return out;
}

FromController from_controller(const Json& json, Sources& sources) {
  const std::string type = text(json, "type");
  if (type == "alive") return Alive{};
  if (type == "stop") return Stop{};
  if (type == "bye") return Bye{};
  if (type == "run") {
    RunOrder out{.run = text(json, "run"),
                 .digest = text(json, "digest"),
                 .by = text(json, "by"),
                 .diff = flag(json, "diff"),
                 .all = flag(json, "all"),
                 .wait = flag(json, "wait"),
                 .collected = text(json, "collected"),
                 .host = text(json, "host")};
    out.verb = verb_of(json);
    out.deadline = std::chrono::milliseconds(number(member(json, "deadline")));
    if (const Json& since = member(json, "since"); !since.is_null())
      out.since = std::chrono::microseconds(number(since));
    return out;
  }
  require(type == "items");
  std::vector<const Source*> known;
  for (std::string& name : texts(json, "sources")) known.push_back(sources.add(std::move(name), {}));
  const ValueReader reader(std::move(known));
  const Json& items = member(json, "items");
  require(items.is_array());
  Items out;
  out.items.reserve(items.size());
  for (const Json& one : items)
    out.items.push_back({.spec = text(one, "spec"),
                         .module = text(one, "module"),
                         .name = text(one, "name"),
                         .at = reader.place(member(one, "at")),
                         .parameters = reader.read(member(one, "parameters")),
                         .tags = texts(one, "tags"),
                         .needs = texts(one, "needs"),
                         .skipped = text(one, "skipped")});
  return out;
}

/// Depth is measured before anything is built: what reads a value calls itself once a level. So is the number of keys
/// of each object: what builds one compares each key with all before it.
bool too_rich(std::string_view json) {
  int depth = 0;
  bool in_text = false;
  std::array<int, json_depth_limit + 1> keys{};
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      if (++depth > json_depth_limit) return true;
      keys[static_cast<std::size_t>(depth)] = 0;
    } else if (c == ']' || c == '}') {
      if (--depth < 0) return true;
    } else if (c == ':') {
      if (++keys[static_cast<std::size_t>(depth)] > json_keys_limit) return true;
    }
  }
  return false;
}

template <class Message, class Read>
Result<Message> decode(std::string_view payload, Read&& read) {
  const auto bad = [](const char* why) { return Error{Errc::unparsable, fmt::format("a message {}", why), {}, {}}; };
  if (payload.find('\0') != std::string_view::npos) return bad("is no JSON");  // the parser takes one for the end
  if (too_rich(payload)) return bad("is nested too deep, or has too many keys");
  try {
    const Json json = json_from(payload);
    if (json.is_discarded()) return bad("is no JSON");
    return Result<Message>(read(json));
  } catch (const Malformed&) {
    return bad("does not say what it should");
  } catch (const std::exception&) {
    return bad("cannot be read");
  }
}

}  // namespace

std::string frame(std::string_view payload) {
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::string out;
  out.reserve(payload.size() + 4);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>((length >> shift) & 0xFFU);
  return out += payload;
}

Result<std::optional<std::string>> FrameReader::next() {
  std::size_t length = 0;
  const bool head = buffer_.size() - at_ >= 4;
  for (std::size_t i = 0; head && i < 4; ++i) length = (length << 8U) | static_cast<unsigned char>(buffer_[at_ + i]);
  if (length > limit_) return Error{Errc::too_big, fmt::format("a message claims to have {} bytes", length), {}, {}};
  if (!head || buffer_.size() - at_ - 4 < length) {
    buffer_.erase(0, at_);
    at_ = 0;
    return std::optional<std::string>();
  }
  std::string payload = buffer_.substr(at_ + 4, length);
  at_ += 4 + length;
  return std::optional(std::move(payload));
}

std::string encode(const FromAgent& message) {
  return json_text(std::visit([](const auto& m) { return json_of(m); }, message));
}
std::string encode(const FromController& message) {
  return json_text(std::visit([](const auto& m) { return json_of(m); }, message));
}
std::string encode(const LeftRun& left) { return json_text(json_of(left)) + "\n"; }

Result<FromAgent> decode_from_agent(std::string_view payload) {
  return decode<FromAgent>(payload, [](const Json& json) { return from_agent(json); });
}
Result<FromController> decode_from_controller(std::string_view payload, Sources& sources) {
  return decode<FromController>(payload, [&](const Json& json) { return from_controller(json, sources); });
}
Result<LeftRun> decode_left_run(std::string_view text) {
  return decode<LeftRun>(text, [](const Json& json) { return left_run(json); });
}

}  // namespace converge::remote
