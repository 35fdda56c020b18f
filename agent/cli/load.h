// From files to what a host should be: inventory, specs, variables, and the resources they become.
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/work.h"
#include "spec/spec.h"
#include "system/facts.h"

namespace converge::cli {

/// What was read, and keeps the texts that positions point into.
struct Loaded {
  spec::FileReader files;
  Sources sources;
  spec::Inventory inventory;
  std::vector<std::string> hosts;                     // selected by -l
  std::vector<spec::Spec> specs;                      // in the order they run
  std::vector<std::set<std::string>> hosts_of_specs;  // of each of them: specs_for() finds them once
  spec::Map extra;                                    // -e
  spec::Map gossfile_vars;                            // --vars and --vars-inline
  std::optional<std::string> standard_input;          // read once, when a gossfile is '-'
  std::vector<std::unique_ptr<Sources>> kept;         // texts of single hosts that diagnostics point into
  std::shared_ptr<checks::Context> context;           // what the checks of work_for() share
};

/// Reads the inventory and -e, and selects the hosts. Without -l: all hosts if `all_without_limit`, else a diagnostic.
bool load_inventory(const Options& options, bool all_without_limit, Loaded& loaded, Diagnostics& diagnostics);
/// Reads the specs: those named, or all of specs/.
bool load_specs(const Options& options, Loaded& loaded, Diagnostics& diagnostics);

/// Reads --vars and --vars-inline. Without -l, gossfiles are about this machine, and no inventory is needed.
bool load_gossfile_options(const Options& options, Loaded& loaded, Diagnostics& diagnostics);

/// The specs that are for `host`, in the order they run.
std::vector<const spec::Spec*> specs_for(Loaded& loaded, const std::string& host, Diagnostics& diagnostics);
/// Their items that the tags leave, evaluated with `facts` (facts_value()). Files that items are made from are added to
/// `sources`.
std::vector<spec::Item> items_for(const Options& options, Loaded& loaded, const std::string& host,
                                  const spec::Value& facts, Sources& sources, Diagnostics& diagnostics);
/// What `host` should be, rendered with its facts. Mistakes in specs and values are diagnostics; so is a host that no
/// spec is for, or of which the tags leave nothing. See render_items() for `view`.
std::vector<Work> work_for(const Options& options, Loaded& loaded, const std::string& host, const SystemView* view,
                           Facts& facts, Diagnostics& diagnostics);

/// Where the hosts that failed last are kept, for -l @failed: $XDG_STATE_HOME/converge/failed, or below ~/.local/state;
/// empty without a home.
std::string failed_file();

/// A host is local if we are told so, if a tree stands for it, or if its name or address is this machine's.
bool is_local(const Options& options, const Loaded& loaded, const std::string& host, const Facts& facts);

/// A variable of the host as inventory and -e have it, such as "ansible_host"; "" if it is not set. Not evaluated.
std::string plain_variable(const Loaded& loaded, const std::string& host, const std::string& name);

/// What checks share that run from this command line: its environment, the current directory, --package.
std::shared_ptr<checks::Context> context_here(const Options& options);

/// The tree --root names, absolute: relative to the current directory, as paths of a command line are.
Result<AbsPath> root_of(const Options& options);

/// Prints every diagnostic once, in the order of places, to standard error. @return true if one is an error.
bool print_diagnostics(const Diagnostics& diagnostics);

}  // namespace converge::cli
