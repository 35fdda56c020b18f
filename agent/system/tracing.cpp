#include "system/tracing.h"

#include <fmt/format.h>

#include <chrono>
#include <type_traits>

#include "core/text.h"
#include "system/network.h"

namespace converge {
namespace {

std::string show(const Place& place) {
  return printable(place.path.str()) + (place.as ? " as " + printable(place.as->name) : std::string());
}

std::string show(const Command& command) {
  return command.text() + (command.as ? " as " + printable(command.as->name) : std::string());
}

std::string show(Owner owner) { return fmt::format("{}:{}", owner.uid, owner.gid); }

std::string answer(const PathState& state) { return kind_of(state); }
std::string answer(const Seen& seen) {
  return std::holds_alternative<RegularFile>(seen.state) ? fmt::format("{} bytes", seen.content.size())
                                                         : kind_of(seen.state);
}
std::string answer(const std::optional<std::vector<std::string>>& names) {
  return names ? fmt::format("{} names", names->size()) : "absent";
}
std::string answer(const CommandOutput& output) { return fmt::format("status {}", output.exit_code); }
std::string answer(const UnitProperties& properties) { return fmt::format("{} properties", properties.size()); }
std::string answer(const std::optional<Person>& person) {
  return person ? fmt::format("uid {}", person->uid) : "nobody";
}
std::string answer(const std::optional<std::uint32_t>& gid) { return gid ? fmt::format("gid {}", *gid) : "no group"; }
std::string answer(const SwapFileLook& look) { return kind_of(look.state); }
std::string answer(const FileSystem& fs) { return fmt::format("{}, {} available", fs.type, fs.available.text()); }
std::string answer(const std::optional<KeptFile>& kept) { return kept ? printable(kept->at.str()) : "none"; }
std::string answer(const std::optional<FileStatus>& status) { return status ? status->kind : "absent"; }
std::string answer(bool there) { return there ? "read" : "absent"; }
std::string answer(const std::vector<NetworkInterface>& all) { return fmt::format("{} interfaces", all.size()); }
std::string answer(const std::vector<Listener>& all) { return fmt::format("{} listeners", all.size()); }
std::string answer(Reached reached) { return std::string(name_of(reached)); }
std::string answer(const DnsAnswer& dns) { return fmt::format("{} records", dns.records.size()); }
std::string answer(const HttpAnswer& http) { return fmt::format("status {}", http.status); }
std::string answer(const Done&) { return "done"; }

/// Runs `call` and says what came of it.
template <class Call>
auto traced(const TracingSystem::Say& say, const std::string& what, const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  auto result = call();
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  say(fmt::format("{}: {}, {} us", what, result ? answer(*result) : result.error().text(), taken.count()));
  return result;
}

}  // namespace

Result<PathState> TracingSystem::look(const Place& place) const {
  return traced(say_, "look " + show(place), [&] { return inner_.look(place); });
}
Result<Seen> TracingSystem::read(const Place& place, Bytes limit) const {
  return traced(say_, "read " + show(place), [&] { return inner_.read(place, limit); });
}
Result<std::optional<std::vector<std::string>>> TracingSystem::list(const Place& place) const {
  return traced(say_, "list " + show(place), [&] { return inner_.list(place); });
}
Result<std::optional<FileStatus>> TracingSystem::status(const AbsPath& path) const {
  return traced(say_, "status " + printable(path.str()), [&] { return inner_.status(path); });
}
Result<bool> TracingSystem::stream(const AbsPath& path, const TakePiece& take) const {
  return traced(say_, "stream " + printable(path.str()), [&] { return inner_.stream(path, take); });
}
Result<std::vector<NetworkInterface>> TracingSystem::interfaces() const {
  return traced(say_, "interfaces", [&] { return inner_.interfaces(); });
}
Result<std::vector<Listener>> TracingSystem::tcp_listeners() const {
  return traced(say_, "tcp listeners", [&] { return inner_.tcp_listeners(); });
}
Result<Reached> TracingSystem::dial(const DialRequest& request) const {
  return traced(say_, "dial " + printable(request.address), [&] { return inner_.dial(request); });
}
Result<DnsAnswer> TracingSystem::ask_dns(const DnsRequest& request) const {
  return traced(say_, "dns " + printable(request.name), [&] { return inner_.ask_dns(request); });
}
Result<HttpAnswer> TracingSystem::http(const HttpRequest& request) const {
  return traced(say_, "http " + printable(without_password(request.url)), [&] { return inner_.http(request); });
}
Result<CommandOutput> TracingSystem::query(const Command& command) const {
  return traced(say_, "query " + show(command), [&] { return inner_.query(command); });
}
Result<UnitProperties> TracingSystem::unit(std::string_view unit) const {
  return traced(say_, "unit " + printable(unit), [&] { return inner_.unit(unit); });
}
Result<std::optional<Person>> TracingSystem::user(std::string_view name) const {
  return traced(say_, "user " + printable(name), [&] { return inner_.user(name); });
}
Result<std::optional<std::uint32_t>> TracingSystem::group(std::string_view name) const {
  return traced(say_, "group " + printable(name), [&] { return inner_.group(name); });
}
Result<SwapFileLook> TracingSystem::look_swap(const AbsPath& path) const {
  return traced(say_, "look at swap " + show(path), [&] { return inner_.look_swap(path); });
}
Result<FileSystem> TracingSystem::file_system(const AbsPath& path) const {
  return traced(say_, "file system of " + show(path), [&] { return inner_.file_system(path); });
}
Result<std::optional<KeptFile>> TracingSystem::newest_backup(const AbsPath& path) const {
  return traced(say_, "newest backup of " + show(path), [&] { return inner_.newest_backup(path); });
}
void TracingSystem::expect(const std::vector<Command>& queries, const std::vector<std::string>& units) const {
  (void)traced(say_, fmt::format("expect {} commands and {} units", queries.size(), units.size()), [&] {
    inner_.expect(queries, units);
    return ok();
  });
}

Status TracingSystem::write_file(const Place& place, std::string_view content, const WriteOptions& options) {
  const std::string what =
      fmt::format("write {} {} {} ({} bytes)", show(place), options.mode.text(), show(options.owner), content.size());
  return traced(say_, what, [&] { return inner_.write_file(place, content, options); });
}
Status TracingSystem::make_directory(const Place& place, Mode mode, Owner owner) {
  return traced(say_, fmt::format("make directory {} {} {}", show(place), mode.text(), show(owner)),
                [&] { return inner_.make_directory(place, mode, owner); });
}
Status TracingSystem::make_symlink(const Place& place, std::string_view target) {
  return traced(say_, fmt::format("make symlink {} -> {}", show(place), printable(target)),
                [&] { return inner_.make_symlink(place, target); });
}
Status TracingSystem::set_attributes(const Place& place, Mode mode, Owner owner) {
  return traced(say_, fmt::format("set attributes {} {} {}", show(place), mode.text(), show(owner)),
                [&] { return inner_.set_attributes(place, mode, owner); });
}
Status TracingSystem::take_over(const Place& place, Mode mode, const IsTheirs& is_theirs) {
  return traced(say_, fmt::format("give back {} {}", show(place), mode.text()),
                [&] { return inner_.take_over(place, mode, is_theirs); });
}
Status TracingSystem::remove(const Place& place) {
  return traced(say_, "remove " + show(place), [&] { return inner_.remove(place); });
}
Status TracingSystem::rename_new(const Place& from, const Place& to) {
  return traced(say_, fmt::format("rename {} to {}", show(from), show(to)),
                [&] { return inner_.rename_new(from, to); });
}
Result<CommandOutput> TracingSystem::run(const Command& command) {
  return traced(say_, "run " + show(command), [&] { return inner_.run(command); });
}
Status TracingSystem::start(const Command& command) {
  return traced(say_, "start " + show(command), [&] { return inner_.start(command); });
}
Result<CommandOutput> TracingSystem::finish(const Command& command) {
  return traced(say_, "finish " + show(command), [&] { return inner_.finish(command); });
}
void TracingSystem::wait(std::chrono::milliseconds time) {
  (void)traced(say_, fmt::format("wait {} ms", time.count()), [&] {
    inner_.wait(time);
    return ok();
  });
}
Status TracingSystem::write_kernel(const AbsPath& path, std::string_view value) {
  return traced(say_, fmt::format("write kernel {} '{}'", show(path), printable(trim(value))),
                [&] { return inner_.write_kernel(path, value); });
}
Status TracingSystem::make_swap_file(const SwapFileRequest& request) {
  return traced(say_, fmt::format("make swap file {} of {}", show(request.path), request.size.text()),
                [&] { return inner_.make_swap_file(request); });
}
Status TracingSystem::swap_on(const AbsPath& path, std::optional<int> priority) {
  return traced(say_, "swap on " + show(path), [&] { return inner_.swap_on(path, priority); });
}
Status TracingSystem::swap_off(const AbsPath& path, std::chrono::milliseconds deadline) {
  return traced(say_, "swap off " + show(path), [&] { return inner_.swap_off(path, deadline); });
}

}  // namespace converge
