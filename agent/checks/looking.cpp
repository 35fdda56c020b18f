#include "checks/looking.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace converge::checks {

using spec::Value;

Looked all_unknown(const Asked& asked, const Error& error) {
  Looked out;
  for (const auto& name : asked.wanted()) out.emplace_back(name, error);
  return out;
}

Value list_value(const std::vector<std::string>& texts) {
  // Filled in place: g++ 12 sees uninitialized alternatives in a moved Value.
  Value out{spec::List(texts.size())};
  auto& list = std::get<spec::List>(out.data());
  for (std::size_t i = 0; i < texts.size(); ++i) list[i].data() = texts[i];
  return out;
}

Text text_value(std::string text) {
  auto shared = std::make_shared<const std::string>(std::move(text));
  return Text{[shared](const std::function<bool(std::string_view)>& take) -> Status {
    if (!shared->empty()) take(*shared);
    return ok();
  }};
}

Looked look_at_document(const Asked& asked, Context& context, const SystemView& view, AsJson as_json) {
  constexpr std::size_t longest = std::size_t{4} << 20U;
  auto path = path_of(asked.subject(), context, view);
  if (!path) return all_unknown(asked, path.error());
  std::string text;
  bool too_long = false;
  const auto read = view.stream(*path, [&](std::string_view piece) {
    too_long = text.size() + piece.size() > longest;
    if (!too_long) text += piece;
    return !too_long;
  });
  if (!read) return all_unknown(asked, read.error());
  if (too_long) return all_unknown(asked, Error{Errc::too_big, "it is longer than 4 MiB", {}, {}});
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists") {
      out.emplace_back(name, Value(*read));
      continue;
    }
    auto made = *read ? as_json(*path, text) : Result<std::string>(Error{Errc::not_found, "it is not there", {}, {}});
    if (!made)
      out.emplace_back(name, made.error());
    else
      out.emplace_back(name, Value(*std::move(made)));
  }
  return out;
}

Result<Person> person_of(const std::string& name, const SystemView& view) {
  auto person = view.user(name);
  if (!person) return std::move(person).error();
  if (!*person) return Error{Errc::not_found, fmt::format("there is no user '{}'", printable(name)), {}, {}};
  return **std::move(person);
}

Result<AbsPath> path_of(std::string text, Context& context, const SystemView& view) {
  if (text.starts_with('~')) {
    const auto slash = std::min(text.find('/'), text.size());
    const std::string who = text.substr(1, slash - 1);
    std::string home;
    if (who.empty())
      for (const auto& [name, value] : context.setting().environment)
        if (name == "HOME") home = value;
    if (home.empty()) {
      const auto& accounts = context.accounts(view);
      if (!accounts) return accounts.error();
      for (const Account& account : *accounts)
        if (who.empty() ? account.uid == 0 : account.name == who) home = account.home;
      if (home.empty()) return Error{Errc::not_found, fmt::format("there is no user '{}'", printable(who)), {}, {}};
    }
    text = home + text.substr(slash);
  } else if (!text.starts_with('/')) {
    text = (context.setting().directory ? context.setting().directory->str() : std::string()) + "/" + text;
  }
  std::vector<std::string_view> kept;
  for (const auto part : split(text, '/')) {
    if (part == ".." && !kept.empty())
      kept.pop_back();
    else if (!part.empty() && part != "." && part != "..")
      kept.push_back(part);
  }
  std::string out;
  for (const auto part : kept) out += fmt::format("/{}", part);
  return AbsPath::parse(out.empty() ? "/" : out);
}

namespace {
/// One line of getent(1); nullopt: there is no such entry.
Result<std::optional<std::string>> getent(const SystemView& view, std::string_view database, const std::string& key) {
  Command command;
  command.argv = {"getent", std::string(database), key};
  auto answer = view.query(command);
  if (!answer) return std::move(answer).error();
  if (answer->exit_code == 2) return std::optional<std::string>();
  if (answer->exit_code != 0)
    return Error{
        Errc::command_failed, fmt::format("'{}' ended with status {}", command.text(), answer->exit_code), {}, {}};
  return std::optional<std::string>(answer->out);
}

template <class Entry, class List, class Is>
Result<std::optional<Entry>> find_entry(const Result<List>& known, const Is& is, Context& context,
                                        const SystemView& view, std::string_view database, const std::string& key,
                                        List (*parse)(std::string_view)) {
  if (!known) return known.error();
  for (const Entry& each : *known)
    if (is(each)) return std::optional<Entry>(each);
  if (context.files_know_all(view, database)) return std::optional<Entry>();
  auto line = getent(view, database, key);
  if (!line) return std::move(line).error();
  if (!*line) return std::optional<Entry>();
  for (const Entry& each : parse(**line)) return std::optional<Entry>(each);
  return std::optional<Entry>();
}
}  // namespace

Result<std::optional<Account>> find_account(const std::string& name, Context& context, const SystemView& view) {
  return find_entry<Account>(
      context.accounts(view), [&](const Account& a) { return a.name == name; }, context, view, "passwd", name,
      parse_accounts);
}
Result<std::optional<Account>> find_account(std::uint32_t uid, Context& context, const SystemView& view) {
  return find_entry<Account>(
      context.accounts(view), [&](const Account& a) { return a.uid == uid; }, context, view, "passwd",
      fmt::format("{}", uid), parse_accounts);
}
Result<std::optional<GroupEntry>> find_group_entry(const std::string& name, Context& context, const SystemView& view) {
  return find_entry<GroupEntry>(
      context.groups(view), [&](const GroupEntry& g) { return g.name == name; }, context, view, "group", name,
      parse_groups);
}
Result<std::optional<GroupEntry>> find_group_entry(std::uint32_t gid, Context& context, const SystemView& view) {
  return find_entry<GroupEntry>(
      context.groups(view), [&](const GroupEntry& g) { return g.gid == gid; }, context, view, "group",
      fmt::format("{}", gid), parse_groups);
}

}  // namespace converge::checks
