// A System that remembers what it changes.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "system/forwarding.h"
#include "undo/journal.h"

namespace converge::undo {

/// Where the pieces of a journal go, in order.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status add(std::string_view piece) = 0;
};

/// Passes everything on to another System. Once a sink is given, what is about to be changed is looked at first, and
/// handed to the sink before it changes. A run that changes nothing hands over nothing. A journal that cannot be
/// written is no reason not to change the host: it ends there, and problem() says why.
class JournalingSystem final : public ForwardingSystem {
 public:
  explicit JournalingSystem(System& inner) : ForwardingSystem(inner) {}
  /// `sink` must live as long as this. It gets the head with the first piece.
  void keep_in(Sink& sink, RunHead head);
  const std::optional<Error>& problem() const { return problem_; }

  Status write_file(const Place& place, std::string_view content, const WriteOptions& options) override;
  Status make_directory(const Place& place, Mode mode, Owner owner) override;
  Status make_symlink(const Place& place, std::string_view target) override;
  Status set_attributes(const Place& place, Mode mode, Owner owner) override;
  Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) override;
  Status remove(const Place& place) override;
  Status rename_new(const Place& from, const Place& to) override;
  Result<CommandOutput> run(const Command& command) override;
  /// Only what needs no look afterwards is begun; the rest is run by finish().
  Status start(const Command& command) override;
  Result<CommandOutput> finish(const Command& command) override;
  Status write_kernel(const AbsPath& path, std::string_view value) override;
  Status make_swap_file(const SwapFileRequest& request) override;
  Status swap_on(const AbsPath& path, std::optional<int> priority) override;
  Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) override;

 private:
  /// What is known of a thing this run has touched.
  struct Known {
    State first;           // without its bytes
    State last;            // what it is now
    bool told = false;     // the sink has `first`
    bool settled = false;  // its bytes are kept, or cannot be
    bool blind = false;    // it could not be looked at
  };
  using Look = std::function<Result<State>()>;
  using After = std::function<State(State last)>;

  bool keeps() const { return sink_ != nullptr && !problem_; }
  /// Tells that something becomes what `after` makes of what it is. `bytes_go`: of a file, the content too.
  void becomes(Record::About about, const Place& what, const std::string& name, bool bytes_go, const Look& look,
               const std::optional<After>& after);
  void becomes(const Place& place, bool bytes_go, const std::optional<After>& after);
  /// Tells what a command has made of it.
  void became(Record::About about, const Place& what, const std::string& name, const Look& look);
  void became(const Place& place);
  void remark(std::string text);
  void tell(const Record& record);
  Result<CommandOutput> run_on_unit(const Command& command, const std::string& unit);

  Sink* sink_ = nullptr;
  RunHead head_;
  bool begun_ = false;
  std::optional<Error> problem_;
  std::map<std::string, Known> known_;  // by kind and name
  std::uint64_t kept_ = 0;              // bytes
};

}  // namespace converge::undo
