#include "remote/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "core/text.h"

namespace converge::remote {
namespace {

constexpr auto slice = std::chrono::milliseconds(100);  // how soon an interrupt is seen
constexpr auto say_alive_after = std::chrono::seconds(10);
constexpr auto farewell_limit = std::chrono::seconds(1);
constexpr std::size_t errors_kept = 4096;
constexpr std::size_t noise_kept = 64U << 10U;         // a prompt may come after a long lecture
constexpr std::size_t host_output_limit = 64U << 20U;  // of one run; it is told as it comes, not kept
constexpr std::size_t items_in_a_frame = 64;

/// Thrown and caught in this file: a host ends in one of many places, and always the same way.
struct Over {
  NoRun why;
  Error error;
};

/// A connection that is closed too early takes our last word with it, and the agent would think it had lost us: it is
/// closed when the agent has heard it and gone, or after a moment.
class Farewell {
 public:
  Farewell(std::unique_ptr<Connection> connection, std::unique_ptr<Process> process)
      : connection_(std::move(connection)), process_(std::move(process)) {}
  ~Farewell() {
    (void)process_->close_input();
    const Deadline deadline = Clock::now() + farewell_limit;
    while (Clock::now() < deadline) {  // it may go on saying things
      const auto chunk = process_->read(deadline);
      if (!chunk || chunk->from == Chunk::From::end) return;
    }
  }
  Farewell(const Farewell&) = delete;
  Farewell& operator=(const Farewell&) = delete;

 private:
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Process> process_;  // last: it goes before its connection
};

class Session {
 public:
  Session(Transport& transport, const Order& order, const AgentImage& image, const Limits& limits, const Tell& tell,
          const Interrupted& interrupted)
      : transport_(transport),
        order_(order),
        image_(image),
        limits_(limits),
        tell_(tell),
        interrupted_(interrupted),
        last_moment_(limits.host.count() > 0 ? begun_ + limits.host : Deadline::max()) {}

  HostEnd run() {
    try {
      connect();
      begin();
      if (order_.facts_only) {
        say_bye();
        end_.tally = Tally{};
      } else {
        give_order();
        follow();
      }
    } catch (Over& over) {
      end_.why = over.why;
      end_.error = std::move(over.error);
    }
    if (connection_) end_.traffic = connection_->traffic();
    if (bye_said_) end_.farewell = std::make_shared<Farewell>(std::move(connection_), std::move(process_));
    end_.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_);
    return std::move(end_);
  }

 private:
  template <class Duration>
  Deadline within(Duration time) const {
    return std::min(last_moment_, Clock::now() + time);
  }

  void connect() {
    tell_(Doing{"connecting"});
    auto connection = transport_.connect(order_.target, within(limits_.connect), interrupted_);
    if (!connection) throw Over{NoRun::unreachable, std::move(connection).error()};
    connection_ = std::move(*connection);
  }

  /// The agent runs and has said hello.
  void begin() {
    if (digest_ = image_.digest.get(); digest_.empty())
      throw Over{NoRun::unreachable, Error{Errc::io, "this program cannot be read, and so not be sent", {}, {}}};
    tell_(Doing{"starting the agent"});
    Start start{random_id(), digest_, order_.become, false};
    std::string said = greet(start);
    if (said.starts_with("absent ")) {
      upload(said.substr(7));
      start.nonce = random_id();
      said = greet(start);
    }
    if (said == "nobecome")
      throw Over{NoRun::unreachable, Error{Errc::not_found,
                                           "there is neither sudo nor doas on the host (or not the one asked for)",
                                           {},
                                           "install sudo there, log in as root (-u root), or see --become-method"}};
    if (said != "agent")
      throw Over{NoRun::unreachable,
                 Error{Errc::io,
                       fmt::format("the host says '{}' instead of running the agent", printable(said.substr(0, 100))),
                       {},
                       {}}};
    const auto message = next(within(limits_.handshake), NoRun::unreachable);
    const auto* hello = std::get_if<Hello>(&message);
    if (hello == nullptr || hello->protocol != protocol)
      throw Over{NoRun::unreachable, Error{Errc::unparsable, "the agent does not speak this protocol", {}, {}}};
    end_.hello = *hello;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    end_.ahead = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::microseconds(hello->now_micros) - now);
  }

  /// Starts the agent and waits for the line with our nonce; with a password if it turns out that one is needed.
  std::string greet(Start& start) {
    auto said = try_to_greet(start);
    if (said) return std::move(*said);
    const bool needs_password = said.error().code == Errc::permission && order_.password != nullptr &&
                                !start.with_password && start.become != Become::doas &&
                                said.error().message.find("asks for a password") != std::string::npos;
    if (!needs_password) throw Over{NoRun::unreachable, std::move(said).error()};
    start.with_password = true;
    start.nonce = random_id();
    said = try_to_greet(start);
    if (said) return std::move(*said);
    throw Over{NoRun::unreachable, std::move(said).error()};
  }

  Result<std::string> try_to_greet(const Start& start) {
    const Deadline deadline = within(limits_.handshake);
    auto process = connection_->run(start_command(start), deadline);
    if (!process) return std::move(process).error();
    process_ = std::move(*process);
    reader_ = FrameReader(from_agent_limit);
    Greeting greeting(start.nonce);
    std::string errors, output;
    bool password_given = false;
    while (true) {
      auto chunk = read_chunk(deadline, NoRun::unreachable, "the agent was started");
      if (chunk.from == Chunk::From::end)
        return why_it_did_not_start(errors, output, process_->ending(), start.become, start.with_password);
      if (chunk.from == Chunk::From::out) {
        if (output.size() < errors_kept) output += chunk.bytes;
        auto said = greeting.add(chunk.bytes);
        if (!said) return std::move(said).error();
        if (!*said) continue;
        reader_.add(greeting.take_rest());
        return std::move(**said);
      }
      if (errors.size() < noise_kept) errors += chunk.bytes;
      if (!start.with_password) continue;
      const std::size_t prompts = count(errors, password_prompt(start.nonce));
      if (prompts > 1 || (prompts == 1 && errors.find("Sorry, try again") != std::string::npos))
        return why_it_did_not_start("Sorry, try again", output, {}, start.become, true);
      if (prompts == 1 && !password_given) {
        password_given = true;
        if (auto written = process_->write(order_.password->reveal() + "\n", deadline); !written)
          return std::move(written).error();
      }
    }
  }

  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
    return n;
  }

  void upload(const std::string& kernel_and_arch) {
    const std::string wanted = "Linux " + image_.arch;
    if (kernel_and_arch != wanted)
      throw Over{NoRun::unreachable, Error{Errc::unsupported,
                                           fmt::format("the host is '{}', and this program is for '{}'",
                                                       printable(kernel_and_arch.substr(0, 60)), wanted),
                                           {},
                                           "nothing was uploaded; use a controller that was built for it"}};
    tell_(Doing{"uploading the agent"});
    for (int skip = 0; skip < 4; ++skip)
      if (install(skip)) return;
    throw Over{NoRun::unreachable, Error{Errc::no_space,
                                         "no directory of the host has room for the agent",
                                         {},
                                         "make 8 MiB free in the home directory, /var/tmp or /dev/shm"}};
  }

  /// @return false if the directory after `skip` others was full: there may be another.
  bool install(int skip) {
    const Start start{random_id(), digest_};
    const Deadline deadline = within(limits_.upload);
    auto process = connection_->run(install_command(start, skip), deadline);
    if (!process) throw Over{NoRun::unreachable, std::move(process).error()};
    process_ = std::move(*process);
    // It may have stopped listening, with a reason that is read next.
    if (send_program(deadline)) (void)process_->close_input();
    Greeting greeting(start.nonce);
    std::string errors, output;
    while (true) {
      auto chunk = read_chunk(deadline, NoRun::unreachable, "the agent was uploaded");
      if (chunk.from == Chunk::From::end) {
        if (errors.find("No space left") != std::string::npos || errors.find("quota") != std::string::npos)
          return false;
        throw Over{
            NoRun::unreachable,
            why_it_did_not_start(errors, output, process_->ending(), Become::no, false).during("uploading the agent")};
      }
      if (chunk.from == Chunk::From::err) {
        if (errors.size() < errors_kept) errors += chunk.bytes;
        continue;
      }
      if (output.size() < errors_kept) output += chunk.bytes;
      auto said = greeting.add(chunk.bytes);
      if (!said) throw Over{NoRun::unreachable, std::move(said).error()};
      if (!*said) continue;
      return installed(**said);
    }
  }

  Status send_program(Deadline deadline) {
    std::ifstream file(image_.path, std::ios::binary);
    std::vector<char> block(64U << 10U);
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
      if (auto written = process_->write({block.data(), static_cast<std::size_t>(file.gcount())}, deadline); !written)
        return written;
    return ok();  // what is missing, the node finds: it knows the digest
  }

  bool installed(const std::string& said) {
    if (said == "installed") {
      end_.uploaded = true;
      return true;
    }
    const std::string shown = printable(said.substr(0, 400));
    if (said.starts_with("full ")) {
      full_ += fmt::format(" {}: full;", shown.substr(5));
      return false;
    }
    if (said.starts_with("nowhere"))
      throw Over{NoRun::unreachable,
                 Error{full_.empty() ? Errc::read_only : Errc::no_space,
                       fmt::format("the host has no directory where the agent can be kept and run:{}{}", full_,
                                   shown.substr(7)),
                       {},
                       "make one of these writable and executable, or put the program at /var/lib/converge/bin/" +
                           digest_ + "/converge"}};
    if (said == "damaged")
      throw Over{
          NoRun::unreachable,
          Error{Errc::changed, "the agent arrived at the host with other bytes than were sent", {}, "try again"}};
    throw Over{NoRun::unreachable, Error{Errc::io, fmt::format("the agent could not be installed: {}", shown), {}, {}}};
  }

  void give_order() {
    if (end_.hello->left) tell_(*end_.hello->left);
    auto items = order_.items(end_.hello->facts);
    if (!items) throw Over{NoRun::refused, std::move(items).error()};
    RunOrder run = order_.run;
    run.digest = digest_;
    run.collected = end_.hello->left ? end_.hello->left->run : "";
    if (run.since) *run.since += std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun_);
    std::string bytes;
    for (std::size_t i = 0; i < items->size(); i += items_in_a_frame) {
      Items some;
      for (std::size_t k = i; k < std::min(items->size(), i + items_in_a_frame); ++k)
        some.items.push_back(std::move((*items)[k]));
      bytes += frame(encode(FromController(std::move(some))));
    }
    bytes += frame(encode(FromController(run)));
    tell_(Doing{"beginning"});
    if (auto written = process_->write(bytes, within(limits_.upload)); !written) not_heard(std::move(written).error());
    spoke_ = Clock::now();
  }

  void follow() {
    Deadline news_by = Clock::now() + limits_.step;
    while (true) {
      FromAgent message = next(std::min(last_moment_, news_by), NoRun::lost);
      if (std::holds_alternative<Alive>(message)) continue;
      if (auto* doing = std::get_if<Doing>(&message)) {
        tell_(std::move(*doing));
      } else if (auto* step = std::get_if<Step>(&message)) {
        tell_(std::move(*step));
      } else if (auto* evidence = std::get_if<Testimony>(&message)) {
        tell_(std::move(*evidence));
      } else if (auto* past = std::get_if<PastRun>(&message)) {
        tell_(std::move(*past));
      } else if (auto* end = std::get_if<End>(&message)) {
        end_.tally = end->tally;
        say_bye();
        return;
      } else if (auto* refused = std::get_if<Refused>(&message)) {
        say_bye();
        end_.mistakes = std::move(refused->mistakes);
        throw Over{refused->why == Refused::Why::busy ? NoRun::busy : NoRun::refused,
                   refused->error ? std::move(*refused->error)
                                  : Error{Errc::invalid, "the host does not accept these items", {}, {}}};
      } else {
        throw Over{NoRun::lost, Error{Errc::unparsable, "the agent says hello twice", {}, {}}};
      }
      news_by = Clock::now() + limits_.step;  // after it was told: a slow listener is no fault of the host
    }
  }

  void say_bye() {
    if (auto said = process_->write(frame(encode(FromController(Bye{}))), Clock::now() + farewell_limit); !said) return;
    bye_said_ = true;
  }

  /// The next message; news of how it goes wrong are the end of the host.
  FromAgent next(Deadline deadline, NoRun why) {
    while (true) {
      auto payload = reader_.next();
      if (!payload) throw Over{why, std::move(payload).error().during("listening to the agent")};
      if (*payload) {
        auto message = decode_from_agent(**payload);
        if (!message) throw Over{why, std::move(message).error().during("listening to the agent")};
        return std::move(*message);
      }
      const Chunk chunk = read_chunk(deadline, why, why == NoRun::lost ? "the run went on" : "the agent greeted");
      if (chunk.from == Chunk::From::end) throw Over{why, ended_early()};
      if (chunk.from == Chunk::From::err) {
        keep_words(chunk.bytes);
        continue;
      }
      received_ += chunk.bytes.size();
      if (received_ > host_output_limit)
        throw Over{why, Error{Errc::too_big, "the host says more than 64 MiB", {}, "see what the run prints there"}};
      reader_.add(chunk.bytes);
    }
  }

  /// Stray words of programs: not part of the run.
  void keep_words(const std::string& bytes) {
    last_words_ += bytes;
    if (last_words_.size() > errors_kept) last_words_.erase(0, last_words_.size() - errors_kept);
  }

  /// An agent that no longer listens has often died: why it did is told instead, if that is known in a moment.
  [[noreturn]] void not_heard(Error error) {
    const Deadline deadline = Clock::now() + farewell_limit;
    while (error.code == Errc::io && Clock::now() < deadline) {
      const auto chunk = process_->read(deadline);
      if (!chunk) break;
      if (chunk->from == Chunk::From::end) throw Over{NoRun::lost, ended_early()};
      if (chunk->from == Chunk::From::err) keep_words(chunk->bytes);
    }
    throw Over{NoRun::lost, std::move(error)};
  }

  Error ended_early() const {
    const Ending ending = process_->ending();
    std::string how = "the agent ended before its run did";
    if (!ending.signal.empty()) how = fmt::format("the agent was killed by signal {}", printable(ending.signal));
    std::string_view words = trim(last_words_);
    if (const auto newline = words.rfind('\n'); newline != std::string_view::npos) words.remove_prefix(newline + 1);
    if (!words.empty()) how += fmt::format(": '{}'", printable(words.substr(0, 200)));
    return Error{Errc::io, std::move(how), {}, "what it did until then stays; run it again"};
  }

  /// Waits for bytes in slices, so that interrupts are passed on and the agent hears that we are alive.
  Chunk read_chunk(Deadline deadline, NoRun why, const char* meanwhile) {
    const auto begun = Clock::now();
    const Deadline silence = std::min(deadline, Clock::now() + limits_.silence);
    while (true) {
      const Deadline now = Clock::now();  // looked at before each chunk: a host that never pauses must not win
      if (now >= silence) {
        const bool at_all = now >= last_moment_;
        throw Over{why, Error{Errc::timeout,
                              at_all ? "the host took longer than --host-timeout allows"
                                     : fmt::format("the host was silent for {} seconds while {}",
                                                   std::chrono::duration_cast<std::chrono::seconds>(
                                                       now - begun + std::chrono::milliseconds(500))
                                                       .count(),
                                                   meanwhile),
                              {},
                              why == NoRun::lost ? "it finishes the resource in hand by itself; run it again" : ""}};
      }
      if (interrupted_() && why == NoRun::unreachable)
        throw Over{NoRun::unreachable, Error{Errc::timeout, "interrupted before the run began", {}, {}}};
      if (interrupted_() && !stop_sent_) {
        stop_sent_ = true;
        (void)process_->write(frame(encode(FromController(Stop{}))), now + std::chrono::seconds(1));
      }
      if (why == NoRun::lost && now - spoke_ > say_alive_after) {
        spoke_ = now;
        if (auto written = process_->write(frame(encode(FromController(Alive{}))), now + std::chrono::seconds(10));
            !written)
          not_heard(std::move(written).error());
      }
      auto chunk = process_->read(std::min(silence, now + slice));
      if (chunk) return std::move(*chunk);
      if (chunk.error().code != Errc::timeout) throw Over{why, std::move(chunk).error()};
    }
  }

  Transport& transport_;
  const Order& order_;
  const AgentImage& image_;
  const Limits& limits_;
  const Tell& tell_;
  const Interrupted& interrupted_;
  const Clock::time_point begun_ = Clock::now();
  const Deadline last_moment_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Process> process_;
  FrameReader reader_{from_agent_limit};
  std::string digest_;
  std::size_t received_ = 0;
  std::string last_words_, full_;
  Clock::time_point spoke_ = begun_;
  bool stop_sent_ = false, bye_said_ = false;
  HostEnd end_;
};

}  // namespace

HostEnd run_on_host(Transport& transport, const Order& order, const AgentImage& image, const Limits& limits,
                    const Tell& tell, const Interrupted& interrupted) {
  return Session(transport, order, image, limits, tell, interrupted).run();
}

}  // namespace converge::remote
