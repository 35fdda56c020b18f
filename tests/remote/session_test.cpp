// One host from its start to its end: with the program itself as its agent (which only looks, never changes), and with
// agents that lie, flood, fall silent and die.
#include "remote/session.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "core/digest.h"
#include "core/text.h"
#include "tests/support/pipe_transport.h"

namespace converge::remote {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* prelude =
    "#!/bin/sh\n"
    "d=${0%/*}\n"
    "greet() { printf 'CONVERGE1 %s agent\\n' \"$n\"; }\n"
    "say() { cat \"$d/$1\"; }\n"
    "listen() { cat >/dev/null; }\n"
    "n=$2\n";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::shared_future<std::string> ready(std::string text) {
  std::promise<std::string> promise;
  promise.set_value(std::move(text));
  return promise.get_future().share();
}

Tally tally_of(std::size_t in_sync) {
  Tally tally;
  tally.counts[0] = in_sync;
  return tally;
}

/// A home directory, the agent in it, and what was heard of a run there.
class Host {
 public:
  Host() {
    std::string name = (fs::temp_directory_path() / "converge-session-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    home_ = name;
    image_ = {ready(std::string(64, 'a')), "/nonexistent", arch()};
    order_.target.host = "node1";
    order_.run = {.run = "r", .by = "the test", .verb = Verb::plan, .all = true};
    order_.items = [](const spec::Value&) { return std::vector<spec::Item>(); };
  }
  ~Host() { fs::remove_all(home_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  static std::string arch() {
#ifdef __aarch64__
    return "aarch64";
#else
    return "x86_64";
#endif
  }

  /// The agent is this script (after the prelude).
  void agent(const std::string& script) {
    write("hello", frame(encode(FromAgent(Hello{.protocol = protocol, .version = "0"}))));
    write("end", frame(encode(FromAgent(End{tally_of(3)}))));
    program(agent_directory() / "converge", prelude + script);
  }
  /// What `say NAME` will say.
  void write(const std::string& name, const std::string& bytes) const {
    fs::create_directories(agent_directory());
    std::ofstream(agent_directory() / name, std::ios::binary) << bytes;
  }
  void says(const std::string& name, const FromAgent& message) const { write(name, frame(encode(message))); }
  /// A program of the host's PATH.
  void program(const fs::path& path, const std::string& text) const {
    const fs::path whole = home_ / path;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary) << text;
    chmod(whole.c_str(), 0700);
  }
  void use_this_program() {
    static const std::string digest = sha256_hex(read_file(CONVERGE_BINARY));
    image_.digest = ready(digest);
    image_.path = CONVERGE_BINARY;
    limits_ = Limits();
  }

  HostEnd run() {
    news_.clear();
    const auto transport = pipe_transport([&](const Target&) { return home_.string(); });
    return run_on_host(
        *transport, order_, image_, limits_, [&](News news) { news_.push_back(std::move(news)); }, interrupted_);
  }

  fs::path agent_directory() const { return home_ / ".cache/converge" / image_.digest.get(); }
  const fs::path& home() const { return home_; }
  std::size_t steps() const {
    return static_cast<std::size_t>(
        std::count_if(news_.begin(), news_.end(), [](const News& one) { return std::holds_alternative<Step>(one); }));
  }

  AgentImage image_;
  Order order_;
  // Long, for machines that are busy: tests of what is late set their own.
  Limits limits_{.connect = seconds(60), .handshake = seconds(60), .upload = seconds(60), .silence = seconds(60)};
  Interrupted interrupted_ = [] { return false; };
  std::vector<News> news_;

 private:
  fs::path home_;
};

spec::Item a_file(const fs::path& path, const std::string& content) {
  spec::Map parameters;
  parameters.push_back({"path", {}, spec::Value(path.string(), {}, true)});
  parameters.push_back({"content", {}, spec::Value(content, {}, true)});
  return {.spec = "s", .module = "file", .name = "file", .parameters = spec::Value(std::move(parameters))};
}

// ---- the program itself -------------------------------------------------------------------------------------------

TEST(Session, PutsTheAgentThereOnceAndTellsWhatItSaw) {
  Host host;
  host.use_this_program();
  host.order_.items = [&](const spec::Value& facts) {
    EXPECT_NE(facts.find("hostname"), nullptr);
    return std::vector{a_file(host.home() / "new", "x\n")};
  };
  const HostEnd first = host.run();
  ASSERT_TRUE(first.tally) << first.error->text();
  EXPECT_TRUE(first.uploaded);
  EXPECT_EQ(first.tally->of(Outcome::out_of_sync), 1U);
  EXPECT_EQ(host.steps(), 1U);
  EXPECT_FALSE(fs::exists(host.home() / "new"));
  EXPECT_EQ(first.hello->version, CONVERGE_VERSION);
  EXPECT_EQ(fs::status(host.agent_directory() / "converge").permissions(),
            fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(fs::status(host.home() / ".cache/converge").permissions(), fs::perms::owner_all);

  std::ofstream(host.home() / "new") << "x\n";
  const HostEnd second = host.run();
  ASSERT_TRUE(second.tally) << second.error->text();
  EXPECT_FALSE(second.uploaded);
  EXPECT_LT(second.traffic.sent, 10'000U);
}

TEST(Session, VerifyIsToldLikePlan) {
  Host host;
  host.use_this_program();
  host.order_.run.verb = Verb::verify;
  host.order_.items = [&](const spec::Value&) { return std::vector{a_file(host.home() / "new", "x\n")}; };
  const HostEnd end = host.run();
  ASSERT_TRUE(end.tally) << end.error->text();
  EXPECT_EQ(end.tally->of(Outcome::out_of_sync) + end.tally->of(Outcome::failed), 1U);
  EXPECT_FALSE(fs::exists(host.home() / "new"));
}

TEST(Session, FactsAloneBeginNoRun) {
  Host host;
  host.use_this_program();
  host.order_.facts_only = true;
  host.order_.items = nullptr;
  const HostEnd end = host.run();
  ASSERT_TRUE(end.hello) << end.error->text();
  EXPECT_NE(end.hello->facts.find("hostname"), nullptr);
}

TEST(Session, MistakesOfItemsAreToldWithTheirPlace) {
  Host host;
  host.use_this_program();
  const Source source{"specs/x.yaml", ""};
  host.order_.items = [&](const spec::Value&) {
    spec::Item item = a_file(host.home() / "new", "x\n");
    item.parameters = spec::Value(spec::Map{{"path", {&source, 7, 3}, spec::Value(std::string("rel"), {&source, 7, 9})},
                                            {"modus", {&source, 8, 3}, spec::Value()}},
                                  {&source, 7, 1});
    return std::vector{item};
  };
  const HostEnd end = host.run();
  EXPECT_FALSE(end.tally);
  EXPECT_EQ(end.why, NoRun::refused);
  ASSERT_GE(end.mistakes.size(), 2U);
  EXPECT_EQ(end.mistakes[0].source, "specs/x.yaml");
  EXPECT_GE(end.mistakes[0].line, 7);
}

TEST(Session, AnUploadThatArrivesWithOtherBytesIsNotInstalled) {
  Host host;
  host.use_this_program();
  host.image_.digest = ready(std::string(64, 'b'));
  const HostEnd end = host.run();
  EXPECT_EQ(end.why, NoRun::unreachable);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::changed);
  EXPECT_NE(end.error->message.find("other bytes"), std::string::npos) << end.error->text();
  EXPECT_TRUE(fs::is_empty(host.home() / ".cache/converge"));
}

TEST(Session, AnUploadThatIsCutShortIsNotInstalled) {
  Host host;
  host.use_this_program();
  const std::string bytes = read_file(CONVERGE_BINARY);
  for (const std::size_t kept : {std::size_t{0}, std::size_t{1000}, bytes.size() - 1}) {
    std::ofstream(host.home() / "cut", std::ios::binary) << bytes.substr(0, kept);
    host.image_.path = (host.home() / "cut").string();
    const HostEnd end = host.run();
    EXPECT_FALSE(end.tally);
    EXPECT_FALSE(end.uploaded);
    EXPECT_FALSE(fs::exists(host.agent_directory() / "converge"));
  }
}

TEST(Session, AnAgentThatWasReplacedSaysSo) {
  Host host;
  host.use_this_program();
  host.image_.digest = ready(std::string(64, 'c'));
  fs::create_directories(host.agent_directory());
  fs::copy_file(CONVERGE_BINARY, host.agent_directory() / "converge");
  const HostEnd end = host.run();
  EXPECT_FALSE(end.tally);
  EXPECT_EQ(end.why, NoRun::refused);
  ASSERT_TRUE(end.error);
  EXPECT_NE(end.error->message.find("not the program that was uploaded"), std::string::npos) << end.error->text();
}

TEST(Session, NothingIsUploadedToAnotherKindOfMachine) {
  Host host;
  host.use_this_program();
  host.program("bin/uname", "#!/bin/sh\ncase $1 in -s) echo Linux;; -m) printf 'armv7l\\033[2J';; esac\n");
  const HostEnd end = host.run();
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::unsupported);
  EXPECT_NE(end.error->message.find("'Linux armv7l\\x1b[2J'"), std::string::npos) << end.error->message;
  EXPECT_FALSE(fs::exists(host.home() / ".cache"));
}

TEST(Session, AHostNobodyAnswersForIsUnreachable) {
  const auto transport = pipe_transport([](const Target&) { return std::string(); });
  const Host host;
  const HostEnd end = run_on_host(
      *transport, host.order_, host.image_, {}, [](const News&) {}, [] { return false; });
  EXPECT_EQ(end.why, NoRun::unreachable);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::not_found);
}

// ---- agents that are not what they should be ------------------------------------------------------------------------

TEST(FakeAgent, ThatDoesAsItShouldIsBelieved) {
  Host host;
  host.agent("greet; say hello; say step; say end; listen\n");
  host.says("step", Step{.id = "file:/x"});
  const HostEnd end = host.run();
  ASSERT_TRUE(end.tally) << end.error->text();
  EXPECT_EQ(end.tally->of(Outcome::in_sync), 3U);
  EXPECT_EQ(host.steps(), 1U);
}

TEST(FakeAgent, NoiseBeforeItsGreetingIsPassedOver) {
  Host host;
  host.agent(
      "printf '\\033[2Jwelcome\\nCONVERGE1 other agent\\nno newline'; echo mail >&2; greet; say hello; say end; "
      "listen\n");
  const HostEnd end = host.run();
  EXPECT_TRUE(end.tally) << end.error->text();
}

struct Bad {
  const char* name;
  const char* script;
  NoRun why;
  const char* words;  // of the error
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadAgent : public testing::TestWithParam<Bad> {};

TEST_P(BadAgent, IsNoSuccessAndSaysWhy) {
  Host host;
  host.agent(GetParam().script);
  host.says("alive", Alive{});
  host.says("old", Hello{.protocol = 9});
  host.says("busy", Refused{Refused::Why::busy, Error{Errc::changed, "the run of bob holds it", {}, ""}, {}});
  host.says("input", Refused{Refused::Why::input, std::nullopt, {{"specs/x.yaml", 7, 3, "no", ""}}});
  host.write("huge", "\xff\xff\xff\xff{}");
  host.write("deep", frame(std::string(100'000, '[')));
  host.write("strange", frame(R"({"type":"goodbye"})"));
  host.write("nothing", std::string(4, '\0'));
  host.limits_.handshake = host.limits_.silence = host.limits_.step = milliseconds(400);
  const HostEnd end = host.run();
  EXPECT_FALSE(end.tally);
  EXPECT_EQ(name_of(end.why), name_of(GetParam().why));
  ASSERT_TRUE(end.error);
  EXPECT_NE(end.error->text().find(GetParam().words), std::string::npos) << end.error->text();
  EXPECT_EQ(end.error->text(), printable(end.error->text()));
}

constexpr auto gone = NoRun::unreachable;
constexpr auto lost = NoRun::lost;
INSTANTIATE_TEST_SUITE_P(
    Rows, BadAgent,
    testing::Values(
        Bad{"ExitsAtOnce", "exit 3", gone, "does not run commands"},
        Bad{"DiesAtOnce", "kill -SEGV $$", gone, "killed by signal SEGV"},
        Bad{"SaysWhyItCannot", "printf 'cannot \\033[31mload\\n' >&2; exit 1", gone, "'cannot \\x1b[31mload'"},
        Bad{"NeverEndsItsFirstLine", "exec tr '\\0' x </dev/zero", gone, "other things than the agent's greeting"},
        Bad{"NeverEndsItsComplaints", "exec tr '\\0' x </dev/zero >&2", gone, "was silent for"},
        Bad{"NeverEndsItsGreeting", "printf 'CONVERGE1 %s ' $n; exec tr '\\0' x </dev/zero", gone, "does not end"},
        Bad{"SaysNothing", "listen", gone, "was silent for"},
        Bad{"GreetsAndSaysNothing", "greet; listen", gone, "was silent for"},
        Bad{"GreetsAsAnother", "n=0; greet; say hello; say end", gone, "does not run commands"},
        Bad{"GreetsStrangely", "printf 'CONVERGE1 %s \\033]0;x\\n' $n; listen", gone, "'\\x1b]0;x'"},
        Bad{"SpeaksAnotherProtocol", "greet; say old; listen", gone, "does not speak this protocol"},
        Bad{"BeginsWithItsEnd", "greet; say end; listen", gone, "does not speak this protocol"},
        Bad{"ClaimsFourGigabytes", "greet; say huge; listen", gone, "claims to have 4294967295 bytes"},
        Bad{"ClaimsThemLater", "greet; say hello; say huge; listen", lost, "claims to have"},
        Bad{"NestsDeep", "greet; say hello; say deep; listen", lost, "nested too deep"},
        Bad{"SaysWhatNobodyKnows", "greet; say hello; say strange; listen", lost, "does not say what it should"},
        Bad{"SaysAnEmptyMessage", "greet; say hello; say nothing; listen", lost, "is no JSON"},
        Bad{"PrintsIntoTheLine", "greet; say hello; echo hello; listen", lost, "claims to have"},
        Bad{"EndsAfterItsHello", "greet; say hello", lost, "ended before its run did"},
        Bad{"EndsInsideAFrame", "greet; say hello; head -c 30 \"$d/end\"", lost, "ended before its run did"},
        Bad{"EndsWithStrayWords", "greet; say hello; echo Killed >&2; exit 0", lost, "did: 'Killed'"},
        Bad{"IsKilled", "greet; say hello; kill -KILL $$", lost, "killed by signal KILL"},
        Bad{"DiesBeforeItHearsItsOrder", "exec <&-; greet; say hello; echo no memory >&2; exit 9", lost, "'no memory'"},
        Bad{"ListensNoMore", "exec <&-; greet; say hello; while :; do say alive; done", lost, "no longer reads"},
        Bad{"FallsSilent", "greet; say hello; listen", lost, "was silent for"},
        Bad{"IsOnlyAlive", "greet; say hello; while :; do say alive; done", lost, "was silent for"},
        Bad{"OnlyComplains", "greet; say hello; exec 3<&0; exec tr '\\0' x </dev/zero >&2", lost, "was silent for"},
        Bad{"SaysHelloTwice", "greet; say hello; say hello; listen", lost, "hello twice"},
        Bad{"IsBusy", "greet; say hello; say busy; listen", NoRun::busy, "the run of bob"},
        Bad{"Refuses", "greet; say hello; say input; listen", NoRun::refused, "does not accept"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(FakeAgent, AFloodEndsAtItsLimitAndTakesNoMemory) {
  Host host;
  host.agent("greet; say hello; i=0; while [ $i -lt 2000 ]; do say flood; i=$((i+1)); done\n");
  host.says("flood", Doing{std::string(500'000, 'x')});
  struct rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  const auto transport = pipe_transport([&](const Target&) { return host.home().string(); });
  const HostEnd end = run_on_host(
      *transport, host.order_, host.image_, {}, [](const News&) {}, [] { return false; });
  getrusage(RUSAGE_SELF, &after);
  EXPECT_EQ(end.why, NoRun::lost);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::too_big);
  EXPECT_LT(end.traffic.received, 66U << 20U);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64L << 10U);  // KiB
#endif
}

TEST(FakeAgent, OneThatGoesOnAfterItsEndIsLeftBehind) {
  Host host;
  host.agent("greet; say hello; say end; exec tr '\\0' x </dev/zero\n");
  HostEnd end = host.run();
  EXPECT_TRUE(end.tally);
  end.farewell.reset();  // returns
}

TEST(FakeAgent, WhatItWritesForATerminalStaysDataInEveryField) {
  Host host;
  const std::string evil = "\x1b]0;x\x07\n\xc2\x9b";
  host.agent("greet; say evil; say doing; say step; say refused; listen\n");
  Step step{.id = evil, .item = evil, .at = evil, .checks = {{evil, evil, evil, Verdict::fail, evil}}};
  step.note = step.diff = evil;
  step.error = Error{Errc::io, evil, {}, evil};
  host.says("evil", Hello{.protocol = protocol, .version = evil, .left = LeftRun{evil, evil, evil, {}, {}, {step}}});
  host.says("doing", Doing{evil});
  host.says("step", step);
  host.says("refused", Refused{Refused::Why::other, Error{Errc::io, evil, {}, evil}, {{evil, 1, 1, evil, evil}}});
  const HostEnd end = host.run();
  EXPECT_EQ(end.why, NoRun::refused);
  EXPECT_EQ(end.error->message, evil);  // reports print it by printable(): see report's tests
  EXPECT_EQ(end.hello->version, evil);
  ASSERT_EQ(host.steps(), 1U);
}

TEST(FakeAgent, TheHostsTimeIsUpHoweverMuchItTells) {
  Host host;
  host.agent("greet; say hello; while :; do say doing; done\n");
  host.says("doing", Doing{"x"});
  host.limits_.host = milliseconds(500);
  const HostEnd end = host.run();
  EXPECT_EQ(end.why, lost);
  EXPECT_NE(end.error->message.find("--host-timeout"), std::string::npos) << end.error->text();
}

// ---- interrupts and passwords ---------------------------------------------------------------------------------------

TEST(Session, AnInterruptBeforeTheRunEndsTheHost) {
  Host host;
  host.agent("exec tr '\\0' x </dev/zero >&2\n");
  bool now = false;
  host.interrupted_ = [&] { return std::exchange(now, true); };  // not while connecting
  const HostEnd end = host.run();
  EXPECT_EQ(end.why, gone);
  EXPECT_NE(end.error->message.find("interrupted"), std::string::npos) << end.error->text();
}

TEST(Session, AnInterruptInTheRunIsPassedOnAndItsEndIsAwaited) {
  Host host;
  host.agent("greet; say hello; stdbuf -o0 tr '}' '\\n' | { grep -q '\"type\":\"stop\"'; say stopped; }\n");
  Tally stopped = tally_of(1);
  stopped.interrupted = true;
  host.says("stopped", End{stopped});
  bool begun = false;
  host.order_.items = [&](const spec::Value&) {
    begun = true;
    return std::vector<spec::Item>();
  };
  host.interrupted_ = [&] { return begun; };
  const HostEnd end = host.run();
  ASSERT_TRUE(end.tally) << end.error->text();
  EXPECT_TRUE(end.tally->interrupted);
}

/// A host whose user is not root, and whose sudo wants "secret".
class SudoHost : public Host {
 public:
  explicit SudoHost(const std::string& sudo) {
    program("bin/id", "#!/bin/sh\necho 1000\n");
    program("bin/sudo", "#!/bin/sh\nprintf '%s\\n' \"$*\" >>\"$HOME/asked\"\n" + sudo);
    agent("greet; say hello; cat >\"$HOME/heard\" & say end; wait\n");
    order_.become = Become::automatic;
    order_.password = &password_;
  }
  std::string asked() const { return read_file(home() / "asked"); }
  std::string heard() const { return read_file(home() / "heard"); }

 private:
  Secret password_{"secret"};
};

constexpr const char* sudo_that_asks =
    "[ $1 = -n ] && { echo 'sudo: a password is required' >&2; exit 1; }\n"
    "shift; shift; prompt=$1; shift; shift\n"
    "for try in 1 2; do printf %s \"$prompt\" >&2; read -r word; [ \"$word\" = WANTED ] && exec \"$@\";\n"
    "echo 'Sorry, try again.' >&2; done; echo 'sudo: 2 incorrect password attempts' >&2; exit 1\n";

std::string sudo_that_wants(const std::string& word) {
  std::string text = sudo_that_asks;
  return text.replace(text.find("WANTED"), 6, word);
}

TEST(Sudo, ThatAsksForNothingIsNeverToldThePassword) {
  SudoHost host("shift 2; exec \"$@\"\n");
  HostEnd end = host.run();
  ASSERT_TRUE(end.tally) << end.error->text();
  end.farewell.reset();
  EXPECT_EQ(host.heard().find("secret"), std::string::npos);
  EXPECT_TRUE(host.asked().starts_with("-n -- ")) << host.asked();
}

TEST(Sudo, ThatAsksWithOurPromptIsToldThePasswordOnce) {
  SudoHost host(sudo_that_wants("secret"));
  HostEnd end = host.run();
  ASSERT_TRUE(end.tally) << end.error->text();
  end.farewell.reset();
  EXPECT_EQ(host.heard().find("secret"), std::string::npos);
  EXPECT_EQ(host.asked().find("secret"), std::string::npos);
}

TEST(Sudo, APromptAfterALongLectureIsSeen) {
  SudoHost host("[ $1 = -n ] || head -c 20000 /dev/zero | tr '\\0' l >&2\n" + sudo_that_wants("secret"));
  const HostEnd end = host.run();
  EXPECT_TRUE(end.tally) << end.error->text();
}

TEST(Sudo, AWrongPasswordIsToldOnceAndSaid) {
  SudoHost host(sudo_that_wants("another"));
  const HostEnd end = host.run();
  EXPECT_EQ(end.why, gone);
  EXPECT_NE(end.error->message.find("does not accept this password"), std::string::npos) << end.error->text();
}

TEST(Sudo, APromptThatIsNotOursIsToldNothing) {
  SudoHost host(
      "[ $1 = -n ] && { echo 'sudo: a password is required' >&2; exit 1; }\nprintf 'Password: ' >&2\n"
      "read -r word; echo \"$word\" >\"$HOME/heard\"\n");
  host.limits_.handshake = milliseconds(400);
  const HostEnd end = host.run();
  EXPECT_FALSE(end.tally);
  EXPECT_EQ(host.heard().find("secret"), std::string::npos);
}

TEST(Sudo, WithoutAPasswordItIsSaidThatOneIsNeeded) {
  SudoHost host(sudo_that_wants("secret"));
  host.order_.password = nullptr;
  const HostEnd end = host.run();
  EXPECT_NE(end.error->message.find("asks for a password"), std::string::npos) << end.error->text();
  EXPECT_NE(end.error->hint.find("-K"), std::string::npos);
}

}  // namespace
}  // namespace converge::remote
