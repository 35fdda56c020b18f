#include "cli/saved_plan.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "cli/outputs.h"
#include "core/digest.h"
#include "core/text.h"
#include "remote/bootstrap.h"
#include "report/step_json.h"
#include "spec/yaml.h"
#include "undo/look.h"

namespace converge::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view first_bytes = "{\"converge_plan\":";
constexpr int form = 1;
constexpr std::size_t longest = 64U << 20U;

std::string salted(const SavedPlan& plan, std::string_view text) {
  return sha256_hex(plan.salt + std::string(text)).substr(0, 32);
}

/// Unambiguous, whatever the words hold.
void add(std::string& to, std::string_view word) { to += fmt::format("{}:{},", word.size(), word); }

/// The file that the id of a resource names: "file:/etc/fstab", "block:/home/a/.ssh/config:name".
std::optional<AbsPath> file_of(const ResourceId& id) {
  const auto begin = id.find(":/");
  if (begin == std::string::npos) return std::nullopt;
  auto path = AbsPath::parse(id.substr(begin + 1, id.find(':', begin + 1) - begin - 1));
  return path ? std::optional(*std::move(path)) : std::nullopt;
}

Error unreadable(const std::string& file, const std::string& why) {
  return Error{Errc::invalid,
               fmt::format("'{}' is no plan that can be applied: {}", printable(file), why),
               {},
               "make it again: converge plan -o FILE"};
}

}  // namespace

bool is_saved_plan(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string begin(first_bytes.size(), '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return in && begin == first_bytes;
}

Result<SavedPlan> read_plan(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  // It says which specs are applied where: others must not be able to.
  struct stat status = {};
  if (!in || stat(file.c_str(), &status) != 0) return unreadable(file, "it cannot be read");
  const bool ours = status.st_uid == 0 || status.st_uid == geteuid() || spec::caller_of_sudo() == status.st_uid;
  if (!ours || (status.st_mode & 022U) != 0) return unreadable(file, "others could have written it");
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.size() > longest) return unreadable(file, "it is too long");
  const Json json = json_from(text);
  SavedPlan plan;
  try {
    if (json.at("converge_plan") != form || json.at("version") != CONVERGE_VERSION)
      return unreadable(file, "another version of converge made it");
    json.at("salt").get_to(plan.salt);
    json.at("made").get_to(plan.made);
    json.at("directory").get_to(plan.directory);
    json.at("inventory").get_to(plan.inventory);
    json.at("connection").get_to(plan.connection);
    json.at("root").get_to(plan.root);
    json.at("specs").get_to(plan.specs);
    json.at("tags").get_to(plan.tags);
    json.at("skip_tags").get_to(plan.skip_tags);
    json.at("extra_vars").get_to(plan.extra);
    for (const Json& one : json.at("hosts")) {
      SavedPlan::Host host{one.at("name"), one.at("items"), {}};
      for (const Json& planned : one.at("steps")) {
        auto step = step_from(planned.at("step"));
        if (!step) return unreadable(file, "it is damaged");
        host.steps.push_back({*std::move(step), planned.at("seen")});
      }
      plan.hosts.push_back(std::move(host));
    }
  } catch (const Json::exception&) {
    return unreadable(file, "it is damaged");
  }
  if (plan.hosts.empty()) return unreadable(file, "it is about no host");
  return plan;
}

Status write_plan(const std::string& file, const SavedPlan& plan) {
  Json hosts = Json::array();
  for (const SavedPlan::Host& host : plan.hosts) {
    Json steps = Json::array();
    for (const auto& planned : host.steps) steps.push_back({{"step", to_json(planned.step)}, {"seen", planned.seen}});
    hosts.push_back({{"name", host.name}, {"items", host.items}, {"steps", std::move(steps)}});
  }
  const Json json = {{"converge_plan", form},       {"version", CONVERGE_VERSION}, {"made", plan.made},
                     {"directory", plan.directory}, {"inventory", plan.inventory}, {"connection", plan.connection},
                     {"root", plan.root},           {"specs", plan.specs},         {"tags", plan.tags},
                     {"skip_tags", plan.skip_tags}, {"salt", plan.salt},           {"extra_vars", plan.extra},
                     {"hosts", std::move(hosts)}};
  return replace_file(file, json_text(json) + "\n", 0600);
}

Result<SavedPlan> begin_plan(const Options& options, const Loaded& loaded) {
  std::error_code failed;
  const fs::path here = fs::current_path(failed);
  if (failed) return Error{Errc::io, "the working directory is unknown: " + failed.message(), {}, {}};
  const Timestamp now{
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count()};
  SavedPlan plan{.salt = remote::random_id(),
                 .made = now.text(),
                 .directory = here.string(),
                 .inventory = options.inventory,
                 .connection = options.connection,
                 .root = options.root,
                 .tags = options.tags,
                 .skip_tags = options.skip_tags};
  for (const spec::Spec& spec : loaded.specs)
    if (spec.at.source != nullptr) plan.specs.push_back(spec.at.source->name);
  for (const spec::Entry& entry : loaded.extra) plan.extra[entry.key] = salted(plan, spec::write_json(entry.value));
  return plan;
}

Result<Options> options_of(const SavedPlan& plan, const Options& options) {
  const Options untold;
  if (options.limit != untold.limit || options.inventory != untold.inventory || options.root != untold.root ||
      options.connection != untold.connection || !options.tags.empty() || !options.skip_tags.empty())
    return Error{Errc::invalid,
                 "a saved plan says itself which hosts, specs and tags it is about",
                 {},
                 "leave -l, -i, -t, --skip-tags, -c and --root out"};
  std::error_code failed;
  if (const fs::path here = fs::current_path(failed); here != plan.directory)
    return Error{
        Errc::invalid,
        fmt::format("the plan was made in '{}', and its files are found from there", printable(plan.directory)),
        {},
        fmt::format("cd {}", printable(plan.directory))};
  Options out = options;
  out.inventory = plan.inventory;
  out.connection = plan.connection;
  out.root = plan.root;
  out.specs = plan.specs;
  out.tags = plan.tags;
  out.skip_tags = plan.skip_tags;
  for (const SavedPlan::Host& host : plan.hosts) out.limit += (out.limit.empty() ? "" : ",") + host.name;
  return out;
}

Status same_extra(const SavedPlan& plan, const Loaded& loaded) {
  std::map<std::string, std::string> now;
  for (const spec::Entry& entry : loaded.extra) now[entry.key] = salted(plan, spec::write_json(entry.value));
  std::vector<std::string> missing, other;
  for (const auto& [name, digest] : plan.extra) {
    const auto it = now.find(name);
    if (it == now.end())
      missing.push_back("'" + printable(name) + "'");
    else if (it->second != digest)
      other.push_back("'" + printable(name) + "'");
  }
  for (const auto& [name, digest] : now)
    if (!plan.extra.contains(name)) other.push_back("'" + printable(name) + "'");
  if (!missing.empty())
    return Error{Errc::invalid,
                 fmt::format("the plan was made with -e for {}, and does not keep the values", join(missing, ", ")),
                 {},
                 "give the same -e again"};
  if (!other.empty())
    return Error{
        Errc::invalid, fmt::format("-e says something else of {} than the plan", join(other, ", ")), {}, "plan again"};
  return ok();
}

std::string digest_of_items(const SavedPlan& plan, const std::vector<spec::Item>& items) {
  std::string all;
  for (const spec::Item& item : items)
    for (const std::string& word : {item.spec, item.module, item.name, item.skipped.empty() ? std::string() : "skipped",
                                    join(item.needs, "\n"), spec::write_json(item.parameters)})
      add(all, word);
  return salted(plan, all);
}

void Planning::begins(const std::string& item, const ResourceId& id) {
  if (next_ != nullptr) next_->begins(item, id);
}

void Planning::step(const Step& step) {
  if (step.outcome == Outcome::out_of_sync) {
    planned_.push_back({step, digest_of(step)});
    planned_.back().step.diff.clear();
  }
  if (next_ == nullptr) return;
  Step told = step;
  if (!diff_) told.diff.clear();
  next_->step(told);
}

std::string Planning::digest_of(const Step& step) const {
  std::string all;
  for (const Check& check : step.checks)
    for (const std::string& word : {check.property, check.expected, check.actual}) add(all, word);
  add(all, step.note);
  add(all, step.diff);
  if (const auto path = file_of(step.id)) {
    Place place(*path);
    for (const auto& [name, person] : facts_.users)
      if (person.uid != 0 && person.home.str() != "/" && path->is_within(person.home)) place.as = person;
    if (const auto state = undo::path_state(view_, place)) {
      add(all, undo::kind_of(*state));
      add(all, state->kind == undo::State::Kind::symlink ? state->text : "");
      add(all, state->mode.text());
      add(all, state->owner ? fmt::format("{} {}", state->owner->uid, state->owner->gid) : "");
      add(all, state->digest);
      add(all, state->uuid);
    }
  }
  return salted(plan_, all);
}

std::vector<std::string> differences(const SavedPlan::Host& planned, const std::vector<SavedPlan::Planned>& now) {
  std::vector<std::string> out;
  const auto same = [](const SavedPlan::Planned& a, const SavedPlan::Planned& b) {
    return a.step.item == b.step.item && a.step.id == b.step.id;
  };
  const auto find = [&](const std::vector<SavedPlan::Planned>& in, const SavedPlan::Planned& one) {
    return std::find_if(in.begin(), in.end(), [&](const auto& each) { return same(each, one); });
  };
  for (const auto& was : planned.steps) {
    const auto is = find(now, was);
    if (is == now.end())
      out.push_back(fmt::format("{}  would have changed, and would not by now", was.step.id));
    else if (is->seen != was.seen)
      out.push_back(fmt::format("{}  is no longer as the plan saw it", was.step.id));
  }
  for (const auto& is : now)
    if (find(planned.steps, is) == planned.steps.end())
      out.push_back(fmt::format("{}  would change too, and is not in the plan", is.step.id));
  return out;
}

}  // namespace converge::cli
