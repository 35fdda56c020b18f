// A System that passes everything on: decorators say only what they do otherwise.
#pragma once
#include "system/network.h"
#include "system/system.h"

namespace converge {

/// Passes everything on to another System, which must outlive it.
class ForwardingSystem : public System {
 public:
  explicit ForwardingSystem(System& inner) : inner_(inner) {}

  Result<PathState> look(const Place& place) const override { return inner_.look(place); }
  Result<Seen> read(const Place& place, Bytes limit) const override { return inner_.read(place, limit); }
  Result<std::optional<std::vector<std::string>>> list(const Place& place) const override { return inner_.list(place); }
  Result<CommandOutput> query(const Command& command) const override { return inner_.query(command); }
  Result<UnitProperties> unit(std::string_view unit) const override { return inner_.unit(unit); }
  Result<std::optional<Person>> user(std::string_view name) const override { return inner_.user(name); }
  Result<std::optional<std::uint32_t>> group(std::string_view name) const override { return inner_.group(name); }
  Result<SwapFileLook> look_swap(const AbsPath& path) const override { return inner_.look_swap(path); }
  Result<FileSystem> file_system(const AbsPath& path) const override { return inner_.file_system(path); }
  Result<std::optional<KeptFile>> newest_backup(const AbsPath& path) const override {
    return inner_.newest_backup(path);
  }
  Result<std::optional<FileStatus>> status(const AbsPath& path) const override { return inner_.status(path); }
  Result<bool> stream(const AbsPath& path, const TakePiece& take) const override { return inner_.stream(path, take); }
  Result<std::vector<NetworkInterface>> interfaces() const override { return inner_.interfaces(); }
  Result<std::vector<Listener>> tcp_listeners() const override { return inner_.tcp_listeners(); }
  Result<Reached> dial(const DialRequest& request) const override { return inner_.dial(request); }
  Result<DnsAnswer> ask_dns(const DnsRequest& request) const override { return inner_.ask_dns(request); }
  Result<HttpAnswer> http(const HttpRequest& request) const override { return inner_.http(request); }
  void together(const std::vector<std::function<void()>>& jobs) const override { inner_.together(jobs); }
  void pause(std::chrono::milliseconds time) const override { inner_.pause(time); }
  Timestamp now() const override { return inner_.now(); }
  std::uint64_t page_size() const override { return inner_.page_size(); }
  bool is_live() const override { return inner_.is_live(); }
  void expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const override {
    inner_.expect(queries, units);
  }
  bool answered(const Command& query) const override { return inner_.answered(query); }
  std::map<std::string, Result<UnitProperties>, std::less<>> unit_states(
      const std::vector<std::string>& units) const override {
    return inner_.unit_states(units);
  }

  Status write_file(const Place& place, std::string_view content, const WriteOptions& options) override {
    return inner_.write_file(place, content, options);
  }
  Status make_directory(const Place& place, Mode mode, Owner owner) override {
    return inner_.make_directory(place, mode, owner);
  }
  Status make_symlink(const Place& place, std::string_view target) override {
    return inner_.make_symlink(place, target);
  }
  Status set_attributes(const Place& place, Mode mode, Owner owner) override {
    return inner_.set_attributes(place, mode, owner);
  }
  Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) override {
    return inner_.take_over(place, mode, is_theirs);
  }
  Status remove(const Place& place) override { return inner_.remove(place); }
  Status rename_new(const Place& from, const Place& to) override { return inner_.rename_new(from, to); }
  Result<CommandOutput> run(const Command& command) override { return inner_.run(command); }
  Status start(const Command& command) override { return inner_.start(command); }
  bool finished(const Command& command) override { return inner_.finished(command); }
  Result<CommandOutput> finish(const Command& command) override { return inner_.finish(command); }
  void wait(std::chrono::milliseconds time) override { inner_.wait(time); }
  Status write_kernel(const AbsPath& path, std::string_view value) override { return inner_.write_kernel(path, value); }
  Status make_swap_file(const SwapFileRequest& request) override { return inner_.make_swap_file(request); }
  Status swap_on(const AbsPath& path, std::optional<int> priority) override { return inner_.swap_on(path, priority); }
  Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) override {
    return inner_.swap_off(path, deadline);
  }

 protected:
  System& inner_;
};

}  // namespace converge
