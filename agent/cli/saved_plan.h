// A plan as a file: what was asked for, what would change, and enough of what was seen to tell that it still is so.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/load.h"
#include "cli/options.h"
#include "engine/engine.h"

namespace converge::cli {

/// JSON, for its owner only. It holds no values of variables and no content: of these, digests with the plan's salt.
struct SavedPlan {
  struct Planned {
    Step step;         // what would change, without its diff
    std::string seen;  // a digest of all that was seen of it
  };
  struct Host {
    std::string name;
    std::string items;  // a digest of the evaluated items
    std::vector<Planned> steps;
  };
  std::string salt, made, directory;        // hex; when; where the paths begin
  std::string inventory, connection, root;  // as typed
  std::vector<std::string> specs, tags, skip_tags;
  std::map<std::string, std::string> extra;  // -e: a digest of each value, by name
  std::vector<Host> hosts;
};

/// True if `file` is a saved plan, by its first bytes.
bool is_saved_plan(const std::string& file);
Result<SavedPlan> read_plan(const std::string& file);
/// Writes it beside `file` and renames it: mode 0600.
Status write_plan(const std::string& file, const SavedPlan& plan);

/// What `options` ask for, with a new salt; hosts are still missing. Errc::io: the working directory is unknown.
Result<SavedPlan> begin_plan(const Options& options, const Loaded& loaded);
/// `options` as the plan has them. Errc::invalid if they say something themselves that the plan says, or if this is not
/// the directory it was made in.
Result<Options> options_of(const SavedPlan& plan, const Options& options);
/// Refused unless -e says again what it said then; names what does not.
Status same_extra(const SavedPlan& plan, const Loaded& loaded);

std::string digest_of_items(const SavedPlan& plan, const std::vector<spec::Item>& items);

/// Passes steps on, and keeps those that would change. Looks at the files they name, below a home with its owner's
/// rights.
class Planning final : public Observer {
 public:
  Planning(const SavedPlan& plan, const SystemView& view, const Facts& facts, Observer* next, bool diff)
      : plan_(plan), view_(view), facts_(facts), next_(next), diff_(diff) {}
  void begins(const std::string& item, const ResourceId& id) override;
  void step(const Step& step) override;
  std::vector<SavedPlan::Planned> take() { return std::move(planned_); }

 private:
  std::string digest_of(const Step& step) const;
  const SavedPlan& plan_;
  const SystemView& view_;
  const Facts& facts_;
  Observer* next_;  // null: nobody is told
  bool diff_;       // steps are passed on with theirs
  std::vector<SavedPlan::Planned> planned_;
};

/// What of `now` is not as planned, a line each; empty: all of it is.
std::vector<std::string> differences(const SavedPlan::Host& planned, const std::vector<SavedPlan::Planned>& now);

}  // namespace converge::cli
