// verify --add and --auto-add: what is so now, written into a gossfile as checks that pass.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "checks/gossfile.h"
#include "checks/gossfile_edit.h"
#include "checks/record.h"
#include "cli/load.h"
#include "cli/outputs.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "system/posix_system.h"

namespace converge::cli {
namespace {

using spec::Map;
using spec::Value;

constexpr std::size_t most_gossfile = std::size_t{16} << 20U;
constexpr std::string_view gossfile_section = "gossfile";

int code_of(const Error& error) {
  return error.code == Errc::invalid || error.code == Errc::unsupported ? exit_usage : exit_failed;
}

/// How a type is looked at, as Goss writes it into the entry.
Result<Map> looking_options(const Options& options, std::string_view type) {
  Map out;
  const auto say = [&](std::string name, Value value) { out.push_back({std::move(name), {}, std::move(value)}); };
  const std::int64_t usual = type == "addr" || type == "dns" ? 500
                             : type == "command"             ? 10'000
                             : type == "http"                ? 5000
                                                             : 0;
  if (type == "http") {
    say("allow-insecure", Value(options.insecure));
    say("no-follow-redirects", Value(options.no_follow_redirects));
  }
  if (!options.add_timeout.empty()) {
    const auto time = checks::parse_duration(options.add_timeout);
    if (!time || time->count() < 1)
      return Error{Errc::invalid,
                   fmt::format("'{}' is no duration", printable(options.add_timeout)),
                   {},
                   "write 500ms, 5s or 1m30s"};
    if (usual != 0 || type == "mount") say("timeout", Value(std::int64_t{time->count()}));
  } else if (usual != 0) {
    say("timeout", Value(usual));
  }
  if (type == "dns" && !options.dns_server.empty()) say("server", Value(options.dns_server));
  if (type == "http") {
    if (!options.http_user.empty()) say("username", Value(options.http_user));
    if (!options.http_password.reveal().empty()) say("password", Value(options.http_password.reveal()));
    if (!options.http_proxy.empty()) say("proxy", Value(options.http_proxy));
  }
  return out;
}

/// A file of checks that is being added to; nothing is written before save().
class Target {
 public:
  Target(std::string path, bool replace) : path_(std::move(path)), replace_(replace) {}

  Status open() {
    spec::FileReader files;
    files.max_bytes = most_gossfile;
    auto text = files.read(path_);
    if (!text && text.error().code == Errc::not_found) return ok();
    if (!text) return std::move(text).error().during(fmt::format("reading '{}'", path_));
    text_ = was_ = *std::move(text);
    return ok();
  }

  Status add(std::string_view section, std::string_view shown, const std::string& name, const Value& value) {
    auto edited = checks::with_entry(path_, text_, {std::string(section), name, value, replace_});
    if (!edited) return std::move(edited).error();
    if (edited->what == checks::EditedFile::What::unchanged) {
      fmt::print("{} '{}' is in '{}' already\n", shown, printable(name), printable(path_));
      return ok();
    }
    text_ = std::move(edited->text);
    Value told = value;
    if (auto* map = std::get_if<Map>(&told.data()))
      for (spec::Entry& entry : *map)
        if (entry.key == "password") entry.value = Value(std::string(Secret::shown));
    said_ += fmt::format("{} {} to '{}':\n\n{}\n",
                         edited->what == checks::EditedFile::What::added ? "Adding" : "Replacing what was said:", shown,
                         printable(path_), printable(checks::entry_text(name, told), true));
    return ok();
  }

  Status save() const {
    if (text_ == was_) return ok();
    std::error_code failed;
    const std::string real =
        std::filesystem::weakly_canonical(std::filesystem::absolute(path_), failed).string();  // a link stays one
    const auto path = failed ? AbsPath::parse("") : AbsPath::parse(real);
    if (!path) return Error{Errc::invalid, fmt::format("'{}' leads nowhere", printable(path_)), {}, {}};
    auto system = open_system(AbsPath("/"));
    if (!system) return std::move(system).error();
    WriteOptions how;
    how.owner = {geteuid(), getegid()};
    auto there = (*system)->look(*path);
    if (!there) return std::move(there).error();
    if (const auto* file = std::get_if<RegularFile>(&*there)) {
      how.mode = file->mode;
      how.owner = file->owner.value_or(how.owner);
    }
    how.replaces = *std::move(there);
    if (auto written = (*system)->write_file(*path, text_, how); !written) return written;
    fmt::print("{}", said_);
    return ok();
  }

 private:
  std::string path_, text_, was_, said_;
  bool replace_;
};

const checks::CheckType* recordable(const std::string& name) {
  const auto all = checks::recordable_types();
  return std::find(all.begin(), all.end(), name) == all.end() ? nullptr : checks::find_check_type(name);
}

Status add_named(const Options& options, checks::Context& context, const SystemView& view, Target& target) {
  const std::string& word = options.add.front();
  const bool include = word == "goss" || word == gossfile_section;
  const checks::CheckType* type = include ? nullptr : recordable(word);
  if (!include && type == nullptr) {
    auto known = checks::recordable_types();
    known.emplace_back(gossfile_section);
    std::string hint = did_you_mean(word, known);
    if (hint.empty()) hint = "say one of " + join(known, ", ");
    return Error{Errc::invalid, fmt::format("'{}' is no type that can be added", printable(word)), {}, std::move(hint)};
  }
  if (options.add.size() == 1)
    return Error{Errc::invalid, fmt::format("which {}? the name is missing", word), {}, "say --add TYPE NAME..."};
  for (auto name = options.add.begin() + 1; name != options.add.end(); ++name) {
    if (include) {
      if (auto added = target.add(gossfile_section, "Gossfile", *name, Value(Map())); !added) return added;
      continue;
    }
    auto how = looking_options(options, type->name);
    if (!how) return std::move(how).error();
    auto value = checks::record(*type, *name, {options.exclude_attributes, *std::move(how)}, context, view);
    if (!value) return std::move(value).error();
    if (auto added = target.add(type->name, type->shown, *name, *value); !added) return added;
  }
  return ok();
}

Status add_found(const Options& options, checks::Context& context, const SystemView& view, Target& target) {
  for (const std::string& name : options.auto_add) {
    const auto found = checks::found_by_name(name, context, view);
    if (!found) return found.error();
    if (found->empty())
      return Error{Errc::not_found,
                   fmt::format("nothing here goes by the name of '{}'", printable(name)),
                   {},
                   "say --add TYPE NAME to record that it is not there"};
    for (const auto& [type, key] : *found) {
      auto value = checks::record(*type, key, {options.exclude_attributes, {}}, context, view);
      if (!value) return std::move(value).error();
      if (auto added = target.add(type->name, type->shown, key, *value); !added) return added;
    }
  }
  return ok();
}

}  // namespace

int add_verb(const Options& options) {
  const auto usage = [](std::string message, std::string hint) {
    return complain(Error{Errc::invalid, std::move(message), {}, std::move(hint)}, exit_usage);
  };
  if (options.gossfiles.size() > 1) return usage("checks are added to one file", "name it with -g");
  if (!options.gossfiles.empty() && options.gossfiles.front() == "-")
    return usage("nothing can be added to standard input", "name a file with -g");
  if (!options.limit.empty()) return usage("--add is about this machine", "leave -l out, and run it there");
  if (!options.specs.empty())
    return usage(fmt::format("'{}' stands alone", printable(options.specs.front())), "say --add TYPE NAME...");
  const auto root = root_of(options);
  if (!root) return complain(root.error(), exit_usage);
  const auto system = open_system(*root);
  if (!system) return complain(system.error(), exit_failed);
  const auto context = context_here(options);
  Target target(options.gossfiles.empty() ? "goss.yaml" : options.gossfiles.front(), options.replace);
  Status done = target.open();
  if (done && !options.add.empty()) done = add_named(options, *context, **system, target);
  if (done && !options.auto_add.empty()) done = add_found(options, *context, **system, target);
  if (done) done = target.save();
  if (!done) return complain(done.error(), code_of(done.error()));
  return exit_ok;
}

}  // namespace converge::cli
