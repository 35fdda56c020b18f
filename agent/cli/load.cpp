#include "cli/load.h"

#include <fmt/core.h>
#include <pwd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "checks/gossfile.h"
#include "core/text.h"
#include "spec/pattern.h"
#include "spec/yaml.h"
#include "system/process.h"

namespace converge::cli {
namespace {

constexpr std::size_t most_gossfile = std::size_t{16} << 20U;

void complain(Diagnostics& diagnostics, Error error, SourcePos at = {}) {
  diagnostics.push_back({at, error.text(), std::move(error.hint), Severity::error});
}

std::vector<std::string> module_names() {
  std::vector<std::string> names;
  for (const Module* module : modules()) names.emplace_back(module->name);
  return names;
}

std::vector<std::string> spec_files(const Options& options, Loaded& loaded, Diagnostics& diagnostics) {
  if (!options.specs.empty()) return options.specs;
  const auto names = loaded.files.list("specs");
  std::vector<std::string> files;
  if (names)
    for (const std::string& name : *names)
      if (name.front() != '.' && (name.ends_with(".yaml") || name.ends_with(".yml"))) files.push_back("specs/" + name);
  if (files.empty())
    complain(diagnostics, Error{Errc::not_found,
                                "there are no specs: 'specs/*.yaml' is empty or not there",
                                {},
                                "go to the directory that has specs/, or name a spec file"});
  return files;
}

bool is_this_machine(const std::string& name, const Facts& facts) {
  if (name.empty()) return false;
  const std::string wanted = lower(name);
  if (wanted == "localhost" || wanted == "127.0.0.1" || wanted == "::1") return true;
  const std::string here = lower(facts.hostname);
  if (!here.empty() && (wanted == here || wanted == here.substr(0, here.find('.')))) return true;
  return std::find(facts.addresses.begin(), facts.addresses.end(), name) != facts.addresses.end();
}

}  // namespace

bool load_inventory(const Options& options, bool all_without_limit, Loaded& loaded, Diagnostics& diagnostics) {
  if (!options.trust_owner.empty()) {
    std::uint64_t uid = 0;
    const struct passwd* entry = getpwnam(options.trust_owner.c_str());
    if (entry != nullptr) {
      uid = entry->pw_uid;
    } else if (!parse_number(options.trust_owner, uid) || uid >= UINT32_MAX) {
      complain(diagnostics, Error{Errc::not_found,
                                  fmt::format("there is no user '{}' to trust", printable(options.trust_owner)),
                                  {},
                                  "name the owner of inventory and specs with --trust-owner"});
      return false;
    }
    loaded.files.caller = static_cast<std::uint32_t>(uid);
  }
  if (!options.gossfiles.empty() && options.limit.empty()) {
    auto extra = spec::parse_extra_vars(options.extra_vars, loaded.files, loaded.sources, diagnostics);
    if (extra) loaded.extra = *std::move(extra);
    loaded.hosts = {"localhost"};
    return extra.has_value();
  }
  auto inventory = spec::load_inventory(options.inventory, loaded.files, loaded.sources, diagnostics);
  auto extra = spec::parse_extra_vars(options.extra_vars, loaded.files, loaded.sources, diagnostics);
  if (extra) loaded.extra = std::move(*extra);
  if (!inventory) return false;
  loaded.inventory = std::move(*inventory);
  if (options.limit.empty() && !all_without_limit) {
    std::vector<std::string> names;
    for (const spec::Host& host : loaded.inventory.hosts) names.push_back(host.name);
    complain(diagnostics, Error{Errc::invalid,
                                "which hosts? -l PATTERN is missing",
                                {},
                                fmt::format("say -l all, or one of: {}", join(names, ", "))});
    return false;
  }
  std::string pattern = options.limit.empty() ? "all" : options.limit;
  constexpr std::string_view again = "@failed";  // a whole word of the pattern: @failed.txt is a file
  const std::size_t at = pattern.find(again);
  const std::size_t behind = at + again.size();
  if (at != std::string::npos && (behind == pattern.size() || pattern[behind] == ',' || pattern[behind] == ':')) {
    const std::string file = failed_file();
    if (std::error_code ignored; file.empty() || !std::filesystem::exists(file, ignored)) {
      complain(diagnostics, Error{Errc::not_found,
                                  "no host failed in the run before this one: '@failed' is empty",
                                  {},
                                  "name hosts with -l"});
      return false;
    }
    pattern.replace(at + 1, again.size() - 1, file);
  }
  auto hosts = spec::select_hosts(loaded.inventory, pattern, loaded.files);
  if (!hosts) {
    complain(diagnostics, std::move(hosts).error());
    return false;
  }
  loaded.hosts = std::move(*hosts);
  return true;
}

bool load_specs(const Options& options, Loaded& loaded, Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.size();
  if (!options.gossfiles.empty() && options.specs.empty()) return true;
  const std::vector<std::string> known = module_names();
  std::vector<spec::Spec> specs;
  for (const std::string& file : spec_files(options, loaded, diagnostics)) {
    auto one = spec::load_spec(file, known, loaded.files, loaded.sources, diagnostics);
    if (!one) continue;
    for (const spec::RawItem& item : one->items)  // also of items that are left out here, or are for other hosts
      if (const Module* module = find_module(item.module))
        spec::check_keys(item.parameters, module->fields, diagnostics);
    specs.push_back(std::move(*one));
  }
  loaded.specs = spec::in_order(std::move(specs), diagnostics);
  return std::none_of(diagnostics.begin() + static_cast<std::ptrdiff_t>(before), diagnostics.end(),
                      [](const Diagnostic& d) { return d.severity == Severity::error; });
}

bool load_gossfile_options(const Options& options, Loaded& loaded, Diagnostics& diagnostics) {
  const auto take = [&](const std::string& name, Result<std::string> text) {
    if (!text) {
      diagnostics.push_back(spec::cannot_read(name, std::move(text).error(), loaded.sources));
      return false;
    }
    spec::YamlRules rules;
    rules.aliases = true;
    const auto value = spec::read_yaml(*loaded.sources.add(name, *std::move(text)), rules, diagnostics);
    if (!value) return false;
    if (value->is_null()) return true;
    if (value->map() == nullptr) {
      complain(diagnostics, Error{Errc::invalid, "variables are a mapping", {}, "write 'name: value'"}, value->at());
      return false;
    }
    for (const spec::Entry& entry : *value->map()) {
      std::erase_if(loaded.gossfile_vars, [&](const spec::Entry& old) { return old.key == entry.key; });
      loaded.gossfile_vars.push_back(entry);
    }
    return true;
  };
  bool good = true;
  for (const std::string& file : options.vars_files) good = take(file, loaded.files.read(file)) && good;
  if (!options.vars_inline.empty()) good = take("--vars-inline", options.vars_inline) && good;
  if (std::find(options.gossfiles.begin(), options.gossfiles.end(), "-") != options.gossfiles.end()) {
    std::string text;
    char block[65536];
    for (std::size_t n = 0; (n = std::fread(block, 1, sizeof(block), stdin)) > 0 && text.size() < most_gossfile;)
      text.append(block, n);
    loaded.standard_input = std::move(text);
  }
  return good;
}

namespace {

/// Leaves those checks of an item that the tags select: their own, and those of the item. False if none is left.
bool keep_selected_checks(const Options& options, spec::Item& item) {
  if (options.tags.empty() && options.skip_tags.empty()) return true;
  item.parameters =
      checks::select_checks(item.parameters, [&](const std::string& title, const std::vector<std::string>& tags) {
        spec::Item one;
        one.name = title.empty() ? item.name : title;
        one.module = item.module;
        one.tags = item.tags;
        one.tags.insert(one.tags.end(), tags.begin(), tags.end());
        return spec::selected_by_tags(one, options.tags, options.skip_tags);
      });
  return item.parameters.map() == nullptr || !item.parameters.map()->empty();
}

/// What the gossfiles ask of a host, as items; their templates see --vars before the host's variables, and its facts.
void add_gossfiles(const Options& options, Loaded& loaded, const std::string& host, const spec::Value& facts,
                   Sources& sources, Diagnostics& diagnostics, std::vector<spec::Item>& out) {
  const spec::Variables variables = spec::merge_variables(loaded.inventory, host, {}, loaded.extra);
  const spec::VariableScope scope(variables, facts, diagnostics);
  checks::GossfileInput input;
  input.scope = scope.scope();
  input.scope.variable = [&, inherited = input.scope.variable](std::string_view name) -> const spec::Value* {
    for (const spec::Entry& entry : loaded.gossfile_vars)
      if (entry.key == name) return &entry.value;
    return inherited(name);
  };
  spec::FileReader files = loaded.files;
  files.max_bytes = most_gossfile;
  input.read = [&](const std::string& path) -> Result<std::string> {
    if (path == "-" && loaded.standard_input) return *loaded.standard_input;
    auto text = files.read(path);
    if (!text) return std::move(text).error().during(fmt::format("reading '{}'", path));
    return text;
  };
  input.list = [&](const std::string& directory) { return files.list(directory.empty() ? "." : directory); };
  input.commands.environment = own_environment();
  for (const std::string& file : options.gossfiles) {
    auto checks = checks::checks_of(file, input, sources, diagnostics);
    if (!checks) continue;
    spec::Item item;
    item.spec = item.name = file;
    item.module = assertions_module;
    item.at = checks->map()->front().key_at;
    item.parameters = *std::move(checks);
    if (keep_selected_checks(options, item)) out.push_back(std::move(item));
  }
}

}  // namespace

std::shared_ptr<checks::Context> context_here(const Options& options) {
  checks::CommandSetting setting{own_environment(), std::nullopt};
  std::error_code failed;
  const std::string here = std::filesystem::current_path(failed).string();
  if (auto directory = AbsPath::parse(here); !failed && directory) setting.directory = *std::move(directory);
  return std::make_shared<checks::Context>(std::move(setting),
                                           options.package_manager == "deb" ? "dpkg" : options.package_manager);
}

std::vector<spec::Item> items_for(const Options& options, Loaded& loaded, const std::string& host,
                                  const spec::Value& facts, Sources& sources, Diagnostics& diagnostics) {
  std::vector<spec::Item> out;
  for (const spec::Spec* one : specs_for(loaded, host, diagnostics)) {
    const spec::Variables variables = spec::merge_variables(loaded.inventory, host, one->vars, loaded.extra);
    auto items = spec::evaluate_items(*one, variables, facts, loaded.files, sources, diagnostics);
    out.reserve(out.size() + items.size());
    for (spec::Item& item : items) {
      if (item.module == assertions_module) {
        if ((options.verb == "verify" || options.verb == "render") && keep_selected_checks(options, item))
          out.push_back(std::move(item));
      } else if (spec::selected_by_tags(item, options.tags, options.skip_tags)) {
        out.push_back(std::move(item));
      }
    }
  }
  add_gossfiles(options, loaded, host, facts, sources, diagnostics, out);
  return out;
}

std::vector<const spec::Spec*> specs_for(Loaded& loaded, const std::string& host, Diagnostics& diagnostics) {
  while (loaded.hosts_of_specs.size() < loaded.specs.size()) {  // asked for every host, and the same for all of them
    const spec::Spec& one = loaded.specs[loaded.hosts_of_specs.size()];
    const auto hosts = spec::select_hosts(loaded.inventory, one.hosts, loaded.files);
    if (!hosts) complain(diagnostics, hosts.error(), one.hosts_at);
    auto& known = loaded.hosts_of_specs.emplace_back();
    if (hosts) known.insert(hosts->begin(), hosts->end());
  }
  std::vector<const spec::Spec*> out;
  for (std::size_t i = 0; i < loaded.specs.size(); ++i)
    if (loaded.hosts_of_specs[i].contains(host)) out.push_back(&loaded.specs[i]);
  return out;
}

std::vector<Work> work_for(const Options& options, Loaded& loaded, const std::string& host, const SystemView* view,
                           Facts& facts, Diagnostics& diagnostics) {
  auto items = items_for(options, loaded, host, facts_value(facts), loaded.sources, diagnostics);
  loaded.context = context_here(options);
  auto work = render_items(std::move(items), view, facts, diagnostics, loaded.context);
  const bool all_read = std::none_of(diagnostics.begin(), diagnostics.end(),
                                     [](const Diagnostic& d) { return d.severity == Severity::error; });
  if (!all_read || !work.empty()) return work;
  if (specs_for(loaded, host, diagnostics).empty())
    complain(diagnostics, Error{Errc::not_found,
                                fmt::format("no spec is for '{}'", host),
                                {},
                                "see the `hosts:` of the specs, or give the host to one of their groups"});
  else
    complain(diagnostics, Error{Errc::invalid,
                                fmt::format("nothing is left to do on '{}' with these tags", host),
                                {},
                                "see `converge render` for the items and their tags"});
  return work;
}

bool is_local(const Options& options, const Loaded& loaded, const std::string& host, const Facts& facts) {
  if (options.root != "/" || options.connection == "local") return true;
  if (options.connection.empty()) {
    if (plain_variable(loaded, host, "ansible_connection") == "local") return true;
    const std::string address = plain_variable(loaded, host, "ansible_host");
    return is_this_machine(host, facts) || is_this_machine(address, facts);
  }
  return false;
}

std::string failed_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/converge/failed";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return {};
  return std::string(home) + "/.local/state/converge/failed";
}

std::string plain_variable(const Loaded& loaded, const std::string& host, const std::string& name) {
  const spec::Variables variables = spec::merge_variables(loaded.inventory, host, {}, loaded.extra);
  const auto it = variables.find(name);
  return it == variables.end() ? "" : it->second.value().text();
}

Result<AbsPath> root_of(const Options& options) {
  std::error_code ignored;  // without a current directory the path stays relative, and is refused as that
  return AbsPath::parse(std::filesystem::absolute(options.root, ignored).lexically_normal().string());
}

bool print_diagnostics(const Diagnostics& diagnostics) {
  std::set<std::string> seen;
  std::size_t errors = 0;
  for (const Diagnostic& diagnostic : diagnostics) {
    const std::string text = render(diagnostic);
    if (!seen.insert(text).second) continue;
    errors += diagnostic.severity == Severity::error;
    fmt::print(stderr, "{}", text);
  }
  if (errors > 1) fmt::print(stderr, "{} errors; nothing was touched\n", errors);
  return errors > 0;
}

}  // namespace converge::cli
