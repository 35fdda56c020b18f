// What a thousand hosts cost the controller by itself: every host's session and messages are real, the agents are stubs
// in this process that answer at once. One line of Markdown on standard output.
#include <fmt/core.h>
#include <sys/resource.h>

#include <memory>

#include "core/text.h"
#include "engine/work.h"
#include "remote/fleet.h"

namespace converge::remote {
namespace {

constexpr std::size_t hosts = 1000, parallel = 64, resources = 20;

/// Greets, tells facts, and ends the run with as many resources in sync as it was sent.
class StubAgent final : public Process {
 public:
  explicit StubAgent(const std::string& nonce) {
    Facts facts;
    facts.hostname = "stub";
    said_ = fmt::format("{} {} agent\n", greeting, nonce) +
            frame(encode(FromAgent(Hello{protocol, CONVERGE_VERSION, true, 0, facts_value(facts), std::nullopt})));
  }
  Result<Chunk> read(Deadline /*deadline*/) override {
    if (said_.empty()) return Chunk{};
    return Chunk{Chunk::From::out, std::exchange(said_, {})};
  }
  Status write(std::string_view bytes, Deadline /*deadline*/) override {
    heard_.add(bytes);
    for (auto payload = heard_.next(); payload && *payload; payload = heard_.next()) {
      const auto message = decode_from_controller(**payload, sources_);
      if (!message) return message.error();
      if (const auto* items = std::get_if<Items>(&*message))
        for (std::size_t i = 0; i < items->items.size(); ++i) tally_.add(Outcome::in_sync);
      if (std::holds_alternative<RunOrder>(*message)) said_ += frame(encode(FromAgent(End{tally_})));
    }
    return ok();
  }
  Status close_input() override { return ok(); }
  Ending ending() const override { return {0, {}}; }

 private:
  std::string said_;
  FrameReader heard_{from_controller_limit};
  Sources sources_;
  Tally tally_;
};

class StubConnection final : public Connection {
 public:
  Result<std::unique_ptr<Process>> run(const std::string& command, Deadline /*deadline*/) override {
    const auto words = split(command, ' ');  // ... NONCE DIGEST BECOME
    return std::unique_ptr<Process>(std::make_unique<StubAgent>(std::string(words[words.size() - 3])));
  }
  Traffic traffic() const override { return {}; }
};

class StubTransport final : public Transport {
 public:
  Result<std::unique_ptr<Connection>> connect(const Target& /*target*/, Deadline /*deadline*/,
                                              const Cancelled& /*cancelled*/) override {
    return std::unique_ptr<Connection>(std::make_unique<StubConnection>());
  }
};

std::vector<spec::Item> some_items() {
  std::vector<spec::Item> items(resources);
  for (std::size_t i = 0; i < items.size(); ++i) {
    spec::Map parameters{{"path", {}, spec::Value(fmt::format("/etc/stub/{}", i), {}, true)},
                         {"content", {}, spec::Value(std::string(100, 'x'), {}, true)}};
    items[i] = {.spec = "stub", .module = "file", .name = "file", .parameters = spec::Value(std::move(parameters))};
  }
  return items;
}

int run() {
  StubTransport transport;
  std::promise<std::string> digest;
  digest.set_value(std::string(64, '0'));
  const AgentImage image{digest.get_future().share(), "/proc/self/exe", "x86_64"};
  const Limits limits;
  std::size_t in_sync = 0;
  const auto begun = Clock::now();
  (void)run_fleet(
      hosts, {.parallel = parallel},
      [&](std::size_t host, const Tell& tell) {
        Order order{.target = {.host = fmt::format("stub{}", host), .address = "stub"}};
        order.items = [](const spec::Value&) -> Result<std::vector<spec::Item>> { return some_items(); };
        return run_on_host(transport, order, image, limits, tell, [] { return false; });
      },
      [](std::size_t, const News&) {},
      [&](std::size_t, const HostEnd& end) {
        if (end.tally) in_sync += end.tally->of(Outcome::in_sync);
        return end.tally.has_value();
      },
      [] { return false; });
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  rusage used{};
  (void)getrusage(RUSAGE_SELF, &used);
  const auto cpu =
      (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
  fmt::print("{} hosts with stub agents, {} at a time, {} resources each: {} ms wall, {} ms CPU, {} MB peak\n", hosts,
             parallel, resources, wall, cpu, used.ru_maxrss / 1024);
  return in_sync == hosts * resources ? 0 : 1;
}

}  // namespace
}  // namespace converge::remote

int main() { return converge::remote::run(); }
