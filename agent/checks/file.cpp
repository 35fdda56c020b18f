#include <fmt/format.h>

#include "checks/glob.h"
#include "checks/looking.h"
#include "core/digest.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"path", Kind::text, false, "", "the path, when the key is a name"},
    {"glob", Kind::boolean, false, "false",
     "* ? and [a-z] in the path are wildcards: each path that matches is checked"},
    {"exists", Kind::boolean, true, "", "whether anything is there; a symlink is looked at itself", true},
    {"mode", Kind::text, true, "", "permission bits, as \"0644\""},
    {"owner", Kind::text, true, "", "the name of the owner; the number where nobody has it"},
    {"uid", Kind::integer, true, "", "the number of the owner"},
    {"group", Kind::text, true, "", "the name of the group; the number where none has it"},
    {"gid", Kind::integer, true, "", "the number of the group"},
    {"linked-to", Kind::text, true, "", "where a symlink points, as it is written", false, "linkedto"},
    {"filetype", Kind::text, true, "", "file, directory, symlink, socket, pipe, character-device, block-device"},
    {"contents", Kind::stream, true, "", "the content; symlinks are followed", false, "", "contains"},
    {"size", Kind::size, true, "", "bytes"},
    {"md5", Kind::text, true, "", "the digest of the content, in hexadecimal"},
    {"sha256", Kind::text, true, "", "the digest of the content, in hexadecimal"},
    {"sha512", Kind::text, true, "", "the digest of the content, in hexadecimal"},
};

constexpr std::size_t most_paths = 10'000;

std::string filetype_of(const std::string& kind) {
  if (kind == "fifo") return "pipe";
  if (kind == "block device") return "block-device";
  if (kind == "character device") return "character-device";
  return kind;
}

Actual no_such(const AbsPath& path) { return Nothing{fmt::format("'{}' is not there", printable(path.str()))}; }

Actual digest_of(const AbsPath& path, Digest::Kind kind, const SystemView& view) {
  Digest digest(kind);
  const auto read = view.stream(path, [&](std::string_view piece) {
    digest.add(piece);
    return true;
  });
  if (!read) return read.error();
  if (!*read) return no_such(path);
  return Value(digest.hex());
}

Actual owner_of(const FileStatus& status, const std::string& name, Context& context, const SystemView& view) {
  if (!status.owner) return Error{Errc::unsupported, "owners are not known in this tree", {}, {}};
  if (name == "uid") return Value(std::int64_t{status.owner->uid});
  if (name == "gid") return Value(std::int64_t{status.owner->gid});
  if (name == "owner") {
    auto account = find_account(status.owner->uid, context, view);
    if (!account) return std::move(account).error();
    return Value(*account ? (*account)->name : fmt::format("{}", status.owner->uid));
  }
  auto group = find_group_entry(status.owner->gid, context, view);
  if (!group) return std::move(group).error();
  return Value(*group ? (*group)->name : fmt::format("{}", status.owner->gid));
}

Actual look_at(const std::string& name, const AbsPath& path, const FileStatus& status, Context& context,
               const SystemView& view) {
  if (name == "mode") return Value(fmt::format("{:04o}", status.mode.bits));
  if (name == "owner" || name == "uid" || name == "group" || name == "gid")
    return owner_of(status, name, context, view);
  if (name == "linked-to") {
    if (status.kind != "symlink") return Value(std::string());
    return Value(status.target);
  }
  if (name == "filetype") return Value(filetype_of(status.kind));
  if (name == "size") return Value(static_cast<std::int64_t>(status.size.count));
  if (name == "md5") return digest_of(path, Digest::Kind::md5, view);
  if (name == "sha256") return digest_of(path, Digest::Kind::sha256, view);
  if (name == "sha512") return digest_of(path, Digest::Kind::sha512, view);
  return Text{[path, &view](const std::function<bool(std::string_view)>& take) -> Status {
    auto read = view.stream(path, take);
    if (!read) return std::move(read).error();
    if (!*read) return Error{Errc::not_found, fmt::format("'{}' is not there", printable(path.str())), {}, {}};
    return ok();
  }};
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  auto path = path_of(asked.subject(), context, view);
  if (!path) return all_unknown(asked, path.error());
  auto status = view.status(*path);
  if (!status) return all_unknown(asked, status.error());
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists")
      out.emplace_back(name, Value(status->has_value()));
    else if (!*status)
      out.emplace_back(name, no_such(*path));
    else
      out.emplace_back(name, look_at(name, *path, **status, context, view));
  }
  return out;
}

/// The paths a pattern stands for, sorted; as in a shell, a wildcard does not match a leading dot.
Result<std::optional<std::vector<std::string>>> expand(const Asked& asked, Context& context, const SystemView& view) {
  if (!asked.boolean("glob")) return std::optional<std::vector<std::string>>();
  auto pattern = path_of(asked.subject(), context, view);
  if (!pattern) return std::move(pattern).error();
  std::vector<std::string> found{""};
  const auto parts = split(pattern->str(), '/');
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto part = parts[i];
    const bool wild = part.find_first_of("*?[") != std::string_view::npos;
    std::vector<std::string> next;
    for (const auto& base : found) {
      if (!wild) {
        next.push_back(fmt::format("{}/{}", base, part));
        continue;
      }
      auto directory = AbsPath::parse(base.empty() ? "/" : base);
      if (!directory) return std::move(directory).error();
      const auto names = view.list(*directory);
      if (!names && names.error().code != Errc::invalid) return names.error();  // what is no directory has no names
      if (!names || !*names) continue;
      for (const auto& name : **names)
        if (matches_glob(name, part) && (part.starts_with('.') || !name.starts_with('.')))
          next.push_back(base + "/" + name);
      if (next.size() > most_paths)
        return Error{Errc::too_big,
                     fmt::format("'{}' matches more than {} paths", printable(asked.subject()), most_paths),
                     {},
                     {}};
    }
    found = std::move(next);
  }
  // What stands after the last wildcard was not looked for.
  std::vector<std::string> there;
  for (auto& each : found) {
    auto path = AbsPath::parse(each);
    if (!path) return std::move(path).error();
    auto status = view.status(*path);
    if (!status) return std::move(status).error();
    if (*status) there.push_back(std::move(each));
  }
  return std::optional(std::move(there));
}

}  // namespace

CheckType file_check() {
  CheckType type{"file", "File", "a file, directory or whatever else has a path", "path", attributes};
  type.first_decides = true;
  type.look = look;
  type.expand = expand;
  return type;
}

}  // namespace converge::checks
