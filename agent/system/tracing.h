// What was looked at, what was changed, and how long it took: one line each, for -v -v.
#pragma once
#include <functional>
#include <string>

#include "system/forwarding.h"

namespace converge {

/// Passes everything on to another System, which must outlive it, and says one line per look and per change: "look
/// /etc/fstab: file, 12 us". Lines hold paths, programs and sizes, never content, input or output.
class TracingSystem final : public ForwardingSystem {
 public:
  using Say = std::function<void(std::string)>;
  TracingSystem(System& inner, Say say) : ForwardingSystem(inner), say_(std::move(say)) {}

  Result<PathState> look(const Place& place) const override;
  Result<Seen> read(const Place& place, Bytes limit) const override;
  Result<std::optional<std::vector<std::string>>> list(const Place& place) const override;
  Result<CommandOutput> query(const Command& command) const override;
  Result<UnitProperties> unit(std::string_view unit) const override;
  Result<std::optional<Person>> user(std::string_view name) const override;
  Result<std::optional<std::uint32_t>> group(std::string_view name) const override;
  Result<SwapFileLook> look_swap(const AbsPath& path) const override;
  Result<FileSystem> file_system(const AbsPath& path) const override;
  Result<std::optional<KeptFile>> newest_backup(const AbsPath& path) const override;
  Result<std::optional<FileStatus>> status(const AbsPath& path) const override;
  Result<bool> stream(const AbsPath& path, const TakePiece& take) const override;
  Result<std::vector<NetworkInterface>> interfaces() const override;
  Result<std::vector<Listener>> tcp_listeners() const override;
  Result<Reached> dial(const DialRequest& request) const override;
  Result<DnsAnswer> ask_dns(const DnsRequest& request) const override;
  Result<HttpAnswer> http(const HttpRequest& request) const override;
  void expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const override;

  Status write_file(const Place& place, std::string_view content, const WriteOptions& options) override;
  Status make_directory(const Place& place, Mode mode, Owner owner) override;
  Status make_symlink(const Place& place, std::string_view target) override;
  Status set_attributes(const Place& place, Mode mode, Owner owner) override;
  Status take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) override;
  Status remove(const Place& place) override;
  Status rename_new(const Place& from, const Place& to) override;
  Result<CommandOutput> run(const Command& command) override;
  Status start(const Command& command) override;
  Result<CommandOutput> finish(const Command& command) override;
  void wait(std::chrono::milliseconds time) override;
  Status write_kernel(const AbsPath& path, std::string_view value) override;
  Status make_swap_file(const SwapFileRequest& request) override;
  Status swap_on(const AbsPath& path, std::optional<int> priority) override;
  Status swap_off(const AbsPath& path, std::chrono::milliseconds deadline) override;

 private:
  Say say_;
};

}  // namespace converge
