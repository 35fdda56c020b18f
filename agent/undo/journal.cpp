#include "undo/journal.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/text.h"

namespace converge::undo {
namespace {

constexpr std::string_view form = "converge undo 1";
constexpr std::array kinds{"absent", "file", "directory", "symlink", "other", "swap file", "value", "unit"};
constexpr std::array abouts{"path", "kernel", "unit", "reload", "remark"};

using Fields = std::vector<std::string>;

std::string netstring(std::string_view bytes) { return std::to_string(bytes.size()) + ":" + std::string(bytes) + ","; }

std::string encode(const Fields& fields) {
  std::string all;
  for (const std::string& each : fields) all += netstring(each);
  return netstring(all);
}

/// Takes the next netstring off `bytes`; nullopt: there is none that is whole.
std::optional<std::string_view> take(std::string_view& bytes) {
  const auto colon = bytes.substr(0, 20).find(':');
  std::uint64_t length = 0;
  if (colon == std::string_view::npos || !parse_number(bytes.substr(0, colon), length)) return std::nullopt;
  const std::string_view rest = bytes.substr(colon + 1);
  if (length >= rest.size() || rest[length] != ',') return std::nullopt;
  bytes = rest.substr(length + 1);
  return rest.substr(0, length);
}

std::optional<Fields> take_fields(std::string_view& bytes) {
  auto all = take(bytes);
  if (!all) return std::nullopt;
  Fields out;
  while (!all->empty()) {
    const auto one = take(*all);
    if (!one) return std::nullopt;
    out.emplace_back(*one);
  }
  return out;
}

template <class Names>
std::optional<std::size_t> index_of(const Names& names, std::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  return it == names.end() ? std::nullopt : std::optional(static_cast<std::size_t>(it - names.begin()));
}

std::string text_of(const std::optional<Owner>& owner) {
  return owner ? std::to_string(owner->uid) + " " + std::to_string(owner->gid) : std::string();
}

bool two_numbers(std::string_view text, std::uint32_t& first, std::uint32_t& second) {
  const auto words = fields(text);
  std::uint64_t a = 0, b = 0;
  if (words.size() != 2 || !parse_number(words[0], a) || !parse_number(words[1], b)) return false;
  if (a > UINT32_MAX || b > UINT32_MAX) return false;
  first = static_cast<std::uint32_t>(a);
  second = static_cast<std::uint32_t>(b);
  return true;
}

Fields fields_of(const State& state) {
  return {kinds[static_cast<std::size_t>(state.kind)],
          std::to_string(state.mode.bits),
          text_of(state.owner),
          state.text,
          state.digest,
          state.content ? "kept" : "",
          state.content.value_or(""),
          std::to_string(state.size.count),
          state.uuid,
          state.on ? "on" : "",
          state.priority ? std::to_string(*state.priority) : ""};
}

std::optional<State> state_from(const Fields& words) {
  if (words.size() != 11) return std::nullopt;
  const auto kind = index_of(kinds, words[0]);
  std::uint64_t mode = 0;
  State out;
  if (!kind || !parse_number(words[1], mode) || mode > 07777 || !parse_number(words[7], out.size.count))
    return std::nullopt;
  out.kind = static_cast<State::Kind>(*kind);
  out.mode = Mode{static_cast<unsigned>(mode)};
  if (!words[2].empty()) {
    Owner owner;
    if (!two_numbers(words[2], owner.uid, owner.gid)) return std::nullopt;
    out.owner = owner;
  }
  out.text = words[3];
  out.digest = words[4];
  if (!words[5].empty()) out.content = words[6];
  out.uuid = words[8];
  out.on = !words[9].empty();
  if (std::int64_t priority = 0; parse_number(words[10], priority)) out.priority = static_cast<int>(priority);
  return out;
}

std::string text_of(const std::optional<State>& state) { return state ? encode(fields_of(*state)) : std::string(); }

/// False: it is damaged.
bool read_state(std::string_view text, std::optional<State>& out) {
  if (text.empty()) return true;
  const auto words = take_fields(text);
  if (!words) return false;
  out = state_from(*words);
  return out.has_value();
}

std::optional<Record> record_from(const Fields& words) {
  if (words.size() != 7) return std::nullopt;
  const auto about = index_of(abouts, words[0]);
  if (!about) return std::nullopt;
  Record out{.about = static_cast<Record::About>(*about), .name = words[1]};
  if (!words[2].empty()) {
    const auto home = AbsPath::parse(words[4]);
    Person person{.name = words[2]};
    if (!home || !two_numbers(words[3], person.uid, person.gid)) return std::nullopt;
    person.home = *home;
    out.as = std::move(person);
  }
  if (!read_state(words[5], out.before) || !read_state(words[6], out.after)) return std::nullopt;
  if (out.about == Record::About::path && !AbsPath::parse(out.name)) return std::nullopt;
  if (out.about == Record::About::kernel && !AbsPath::parse(out.name)) return std::nullopt;
  return out;
}

/// Joins `record` to what is known of its subject.
void add(Journal& journal, std::map<std::string, std::size_t>& known, Record record) {
  if (record.about == Record::About::reload) {
    journal.reloads = true;
    return;
  }
  if (record.about == Record::About::remark) {
    if (std::find(journal.remarks.begin(), journal.remarks.end(), record.name) == journal.remarks.end())
      journal.remarks.push_back(std::move(record.name));
    return;
  }
  const std::string key = std::string(abouts[static_cast<std::size_t>(record.about)]) + " " + record.name;
  const auto [it, fresh] = known.try_emplace(key, journal.subjects.size());
  if (fresh)
    journal.subjects.push_back(
        {record.about, std::move(record.name), std::move(record.as), record.before.value_or(State{}), {}, false});
  Subject& subject = journal.subjects[it->second];
  if (!fresh && record.before && record.before->kind == State::Kind::file && subject.before.kind == State::Kind::file) {
    subject.before.content = std::move(record.before->content);
    subject.before.digest = record.before->digest;
    for (State& made : subject.made)  // until now only mode and owner were changed
      if (made.kind == State::Kind::file && made.digest.empty()) made.digest = subject.before.digest;
  }
  subject.open = !record.after.has_value();
  if (record.after) subject.made.push_back(*std::move(record.after));
}

}  // namespace

bool same(const State& a, const State& b) {
  if (a.kind != b.kind) return false;
  const bool owner = !a.owner || !b.owner || *a.owner == *b.owner;
  switch (a.kind) {
    case State::Kind::absent:
      return true;
    case State::Kind::file:
      return owner && a.mode == b.mode && (a.digest.empty() || b.digest.empty() || a.digest == b.digest);
    case State::Kind::directory:
      return owner && a.mode == b.mode;
    case State::Kind::swap:
      return owner && a.mode == b.mode && a.size == b.size && a.uuid == b.uuid && a.on == b.on;
    case State::Kind::symlink:
    case State::Kind::other:
    case State::Kind::value:
      return a.text == b.text;
    case State::Kind::unit:
      return a.on == b.on && a.text == b.text;
  }
  return false;
}

std::string kind_of(const State& state) {
  return state.kind == State::Kind::other ? state.text : kinds[static_cast<std::size_t>(state.kind)];
}

std::string encode(const RunHead& head) {
  return encode(Fields{std::string(form), head.uid, head.host, head.root, head.who, std::to_string(head.began.micros)});
}

std::string encode(const Record& record) {
  const auto& as = record.as;
  return encode(Fields{abouts[static_cast<std::size_t>(record.about)], record.name, as ? as->name : "",
                       as ? text_of(std::optional(Owner{as->uid, as->gid})) : "", as ? as->home.str() : "",
                       text_of(record.before), text_of(record.after)});
}

std::string encode_end(Timestamp ended) { return encode(Fields{"end", std::to_string(ended.micros)}); }
std::string encode_undone(const std::string& uid) { return encode(Fields{"undone", uid}); }

Result<Journal> read_journal(std::string_view bytes) {
  Journal out;
  const std::size_t all = bytes.size();
  const auto head = take_fields(bytes);
  if (!head || head->size() != 6 || head->front() != form || !parse_number((*head)[5], out.head.began.micros))
    return Error{Errc::unparsable, "it is no record of a run that this program can read", {}, {}};
  out.head.uid = (*head)[1];
  out.head.host = (*head)[2];
  out.head.root = (*head)[3];
  out.head.who = (*head)[4];
  std::map<std::string, std::size_t> known;
  out.whole = all - bytes.size();
  while (auto words = take_fields(bytes)) {
    if (words->size() == 2 && words->front() == "end") {
      Timestamp ended;
      if (!parse_number((*words)[1], ended.micros)) break;
      out.ended = ended;
    } else if (words->size() == 2 && words->front() == "undone") {
      out.undone_by = (*words)[1];
    } else if (auto record = record_from(*words)) {
      add(out, known, *std::move(record));
    } else {
      break;
    }
    out.whole = all - bytes.size();
  }
  return out;
}

}  // namespace converge::undo
