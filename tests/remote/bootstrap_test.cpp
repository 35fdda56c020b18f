// The shell of the node's side, really run; in a mount namespace of its own, so that nothing of this machine is met.
#include "remote/bootstrap.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace converge::remote {
namespace {

namespace fs = std::filesystem;

const std::string nonce(32, 'a'), digest(64, 'd');

// ---- the greeting -----------------------------------------------------------------------------------------------

std::optional<std::string> heard(Greeting& greeting, std::string_view bytes) {
  const auto said = greeting.add(bytes);
  return said ? *said : "error: " + said.error().message;
}

TEST(Greeting, IsFoundAfterNoiseAndEscapes) {
  Greeting greeting(nonce);
  EXPECT_EQ(heard(greeting, "welcome\n\x1b[2J\x1b]0;x\x07 CONVERGE1 other agent\nno newline"), std::nullopt);
  EXPECT_EQ(heard(greeting, "CONVERGE1 " + nonce + " agent\nrest"), "agent");
  EXPECT_EQ(greeting.take_rest(), "rest");
}

TEST(Greeting, MayComeByteByByte) {
  Greeting greeting(nonce);
  const std::string text = "CONVERGE1 CONVERGE1 " + nonce + " absent Linux x86_64";
  for (const char c : text) ASSERT_EQ(heard(greeting, {&c, 1}), std::nullopt);
  EXPECT_EQ(heard(greeting, "\n"), "absent Linux x86_64");
  EXPECT_EQ(greeting.take_rest(), "");
}

TEST(Greeting, IsNotWaitedForBeyondSixtyFourKilobytes) {
  for (const std::size_t piece : {1U, 1000U, 65536U}) {
    Greeting greeting(nonce);
    std::size_t sent = 0;
    while (greeting.add(std::string(piece, 'x'))) ASSERT_LE(sent += piece, 65536U);
    EXPECT_EQ(greeting.add("x").error().code, Errc::too_big);
  }
  Greeting noisy(nonce);
  EXPECT_EQ(heard(noisy, std::string(60'000, 'x')), std::nullopt);
  EXPECT_EQ(heard(noisy, "CONVERGE1 " + nonce + " agent\n"), "agent");
}

TEST(Greeting, MustEndInTime) {
  Greeting greeting(nonce);
  EXPECT_EQ(heard(greeting, "CONVERGE1 " + nonce + " "), std::nullopt);
  const auto said = greeting.add(std::string(65536, 'x'));
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, Errc::too_big);
}

TEST(Greeting, OfAnotherNonceIsNoise) {
  Greeting greeting(nonce);
  EXPECT_EQ(heard(greeting, "CONVERGE1 " + std::string(32, 'b') + " agent\n"), std::nullopt);
  EXPECT_EQ(heard(greeting, "converge1 " + nonce + " agent\n"), std::nullopt);
}

// ---- the shell --------------------------------------------------------------------------------------------------

struct Said {
  std::string out, err;
  int code = 0;
};

/// A temporary home and a private view of /var/lib, /var/tmp and /dev/shm, in which `before` is done first.
class Node : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (std::system("unshare -m true 2>/dev/null") != 0) GTEST_SKIP() << "needs root for a mount namespace";  // NOLINT
    if (std::system((GetParam() + " -c true 2>/dev/null").c_str()) != 0)                                      // NOLINT
      GTEST_SKIP() << GetParam() << " is not installed";
    std::string name = (fs::temp_directory_path() / "converge-bootstrap-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    home_ = name;
    program("uname", "[ $1 = -s ] && echo Linux || echo test64\n");
    program("id", "echo 0\n");
  }
  void TearDown() override {
    if (!home_.empty()) fs::remove_all(home_);
  }

  void program(const std::string& name, const std::string& text) const { write("bin/" + name, "#!/bin/sh\n" + text); }
  void agent(const std::string& directory = ".cache/converge") const {
    write(directory + "/" + digest + "/converge", "#!/bin/sh\necho \"agent $*\"\n");
  }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((home_ / path).parent_path());
    std::ofstream(home_ / path) << text;
    chmod((home_ / path).c_str(), 0700);
  }
  std::string read(const std::string& path) const {
    std::ifstream in(home_ / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// `command` as the login shell gets it, with `before` done by a shell first and `input` on standard input.
  Said run(std::string command, const std::string& path, const std::string& before, const std::string& input) const {
    constexpr std::string_view sh = "exec /bin/sh ";
    EXPECT_TRUE(command.starts_with(sh));
    const std::string shell = GetParam() == "busybox sh" ? "/bin/busybox sh" : "/bin/" + GetParam();
    command.replace(0, sh.size(), "exec " + shell + " ");
    write("in", input);
    write("command", command);
    write("script",
          "cd " + home_.string() +
              "\nfor d in /var/lib /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $d || exit 99; done\n" +
              before + "\nc=$(cat command)\nexec env -i HOME=" + home_.string() + " LOGNAME=tester PATH=" + path +
              " /bin/sh -c \"$c\" <in >out 2>err\n");
    const int status = std::system(("unshare -m /bin/sh " + (home_ / "script").string() + " 2>&1").c_str());  // NOLINT
    return {read("out"), read("err"), WIFEXITED(status) ? WEXITSTATUS(status) : -1};
  }
  Said start(Become become, bool with_password = false, const std::string& before = "") const {
    return run(start_command({nonce, digest, become, with_password}), (home_ / "bin").string(), before, "");
  }
  /// Uploads a program that says where it is.
  Said install(const std::string& before, int skip = 0) const {
    const std::string upload =
        "#!/bin/sh\necho \"CONVERGE1 $2 installed at ${0%/*} as $3\"\n#" + std::string(200'000, 'x') + "\n";
    return run(install_command({nonce, digest}, skip), "/usr/bin:/bin", before, upload);
  }
  static std::string line(const std::string& words) { return "CONVERGE1 " + nonce + " " + words + "\n"; }

  fs::path home_;
};

TEST_P(Node, WithoutAnAgentSaysWhatItIs) {
  const Said said = start(Become::no);
  EXPECT_EQ(said.out, line("absent Linux test64"));
  EXPECT_EQ(said.err, "");
}

TEST_P(Node, StartsTheAgentThatIsThere) {
  agent();
  EXPECT_EQ(start(Become::no).out, "agent agent " + nonce + "\n");
}

TEST_P(Node, RootNeedsNoSudo) {
  agent();
  EXPECT_EQ(start(Become::sudo).out, "agent agent " + nonce + "\n");
}

TEST_P(Node, BecomesRootAsAsked) {
  agent();
  program("id", "echo 1000\n");
  program("doas", "echo \"doas $*\"\n");
  const std::string words =
      " " + (home_ / ".cache/converge").string() + "/" + digest + "/converge agent " + nonce + "\n";
  EXPECT_EQ(start(Become::automatic).out, "doas -n" + words);
  program("sudo", "echo \"sudo $*\"\n");
  EXPECT_EQ(start(Become::automatic).out, "sudo -n --" + words);
  EXPECT_EQ(start(Become::sudo).out, "sudo -n --" + words);
  EXPECT_EQ(start(Become::doas).out, "doas -n" + words);
  EXPECT_EQ(start(Become::sudo, true).out, "sudo -S -p [converge " + nonce + "]  --" + words);
  EXPECT_EQ(start(Become::automatic, true).out, "sudo -S -p [converge " + nonce + "]  --" + words);
  EXPECT_EQ(start(Become::no).out, "agent agent " + nonce + "\n");
}

TEST_P(Node, WithoutAWayToBecomeRootSaysSo) {
  agent();
  program("id", "echo 1000\n");
  EXPECT_EQ(start(Become::automatic).out, line("nobecome"));
  program("doas", "echo doas\n");
  EXPECT_EQ(start(Become::sudo).out, line("nobecome"));
}

TEST_P(Node, TakesNoAgentFromADirectoryOfAnother) {
  agent("planted");
  const std::string move = "cp -r planted /var/tmp/converge-tester; chmod 755 /var/tmp/converge-tester; ";
  EXPECT_EQ(start(Become::no, false, move).out, "agent agent " + nonce + "\n");  // ours
  EXPECT_EQ(start(Become::no, false, move + "chown 12345 /var/tmp/converge-tester").out, line("absent Linux test64"));
  EXPECT_EQ(start(Become::no, false, move + "chown -R 12345 /var/tmp/converge-tester").out,
            line("absent Linux test64"));
}

TEST_P(Node, TakesNoAgentThroughALink) {
  agent("planted");
  EXPECT_EQ(start(Become::no, false, "ln -s $PWD/planted /var/tmp/converge-tester").out, line("absent Linux test64"));
}

TEST_P(Node, AnAgentThatMayNotBeExecutedIsAbsentOrSaysSo) {
  agent("planted");
  const Said said = start(Become::no, false,
                          "mkdir -p .cache/converge; mount -t tmpfs -o noexec,mode=0700 tmpfs .cache/converge; "
                          "cp -r planted/* .cache/converge/");
  if (GetParam() == "busybox sh")  // its test -x looks at the mode alone
    EXPECT_NE(said.err.find("Permission denied"), std::string::npos) << said.err;
  else
    EXPECT_EQ(said.out, line("absent Linux test64"));
}

TEST_P(Node, InstallsInTheHomeDirectory) {
  const Said said = install("");
  EXPECT_EQ(said.out, line("installed at " + (home_ / ".cache/converge").string() + " as " + digest)) << said.err;
  EXPECT_EQ(fs::status(home_ / ".cache/converge").permissions(), fs::perms::owner_all);
}

TEST_P(Node, PassesOverWhereProgramsMayNotRun) {
  const Said said = install("mkdir -p .cache/converge; mount -t tmpfs -o noexec,mode=0700 tmpfs .cache/converge");
  EXPECT_EQ(said.out, line("installed at /var/tmp/converge-tester as " + digest)) << said.err;
}

TEST_P(Node, PassesOverWhatCannotBeWritten) {
  for (const char* before :
       {"echo a file >.cache", "rm -rf .cache; mkdir -p .cache/converge; mount -t tmpfs -o ro tmpfs .cache/converge"})
    EXPECT_EQ(install(before).out, line("installed at /var/tmp/converge-tester as " + digest)) << before;
}

TEST_P(Node, PassesOverDirectoriesOfOthersAndLinks) {
  const std::string no_home = "echo a file >.cache; ";
  for (const char* before : {"mkdir /var/tmp/converge-tester; chown 12345 /var/tmp/converge-tester",
                             "mkdir /var/tmp/x; ln -s /var/tmp/x /var/tmp/converge-tester",
                             "ln -s /var/tmp/nowhere /var/tmp/converge-tester"})
    EXPECT_EQ(install(no_home + before).out, line("installed at /dev/shm/converge-tester as " + digest)) << before;
}

TEST_P(Node, WithNoPlaceAtAllSaysWhyOfEach) {
  const Said said = install(
      "echo a file >.cache; mount -t tmpfs -o noexec tmpfs /var/tmp; "
      "echo a file >/dev/shm/converge-tester");
  EXPECT_TRUE(said.out.starts_with("CONVERGE1 " + nonce + " nowhere ")) << said.out << said.err;
  EXPECT_NE(said.out.find(".cache/converge: cannot be written;"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("/var/tmp/converge-tester: mounted noexec;"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("/dev/shm/converge-tester: cannot be written;"), std::string::npos) << said.out;
}

TEST_P(Node, SaysWhichDirectoryIsFullAndLeavesNothingThere) {
  const std::string mounted = "mkdir -p .cache/converge; mount -t tmpfs -o size=64k,mode=0700 tmpfs .cache/converge; ";
  const std::string place = (home_ / ".cache/converge").string();
  for (const std::string& before : {mounted, std::string("ulimit -f 100; ")}) {
    EXPECT_EQ(install(before).out, line("full " + place)) << before;
    EXPECT_EQ(install(before, 1).out.find(place), std::string::npos);
    for (const auto& entry : fs::directory_iterator(home_ / ".cache/converge")) ADD_FAILURE() << entry.path();
  }
}

INSTANTIATE_TEST_SUITE_P(Shells, Node, testing::Values("dash", "bash", "busybox sh"),
                         [](const auto& row) { return row.param.substr(0, row.param.find(' ')); });

// ---- why it did not start -----------------------------------------------------------------------------------------

struct Why {
  Become become;
  bool with_password;
  const char* said;  // on standard error
  Ending ending;
  const char* message;  // part of it
};

TEST(WhyItDidNotStart, IsSaidForWhatSudoDoasAndShellsSay) {
  const Ending one{1, ""};
  const Become s = Become::sudo, d = Become::doas, a = Become::automatic, n = Become::no;
  const std::vector<Why> rows{
      {s, false, "sudo: a password is required\n", one, "sudo asks for a password"},
      {a, false, "sudo: a password is required\n", one, "sudo asks for a password"},
      {s, false, "sudo: unable to resolve host n1: Name or service not known\nsudo: a password is required\n", one,
       "sudo asks for a password"},
      {s, false, "sudo: interactive authentication is required\n", one, "sudo asks for a password"},
      {s, true, "\nsudo: no password was provided\nsudo: a password is required\n", one, "sudo asks for a password"},
      {d, false, "doas: Authentication required\n", one, "doas asks for a password"},
      {d, false, "doas: Authorization required\n", one, "doas asks for a password"},
      {d, false, "doas: a tty is required\n", one, "'doas: a tty is required'"},
      {s, true,
       "[converge x] Sorry, try again.\n[converge x] \nsudo: no password was provided\nsudo: 1 incorrect "
       "password attempt\n",
       one, "does not accept this password"},
      {s, true, "sudo: 3 incorrect password attempts\n", one, "does not accept this password"},
      {s, true, "sudo: Maximum 3 incorrect authentication attempts reached\n", one, "does not accept this password"},
      {s, false, "sudo: sorry, you must have a tty to run sudo\n", one, "requiretty"},
      {s, true, "bob is not in the sudoers file.  This incident will be reported.\n", one, "may not become root"},
      {s, false, "Sorry, user bob may not run sudo on n1.\n", one, "may not become root"},
      {s, false, "Sorry, user bob is not allowed to execute '/x/converge agent n' as root on n1.\n", one,
       "may not become root"},
      {s, false, "sudo: I'm sorry bob. I'm afraid I can't do that\n", one, "may not become root"},
      {d, false, "doas: Operation not permitted\n", one, "may not become root"},
      {s, false, "sudo: PAM account management error: Permission denied\n", one, "its PAM refuses"},
      {s, false, "sudo: account validation failure, is your account locked?\n", one, "its PAM refuses"},
      {s, false, "sudo: Account or password is expired, reset your password and try again\n", one, "has expired"},
      {s, false, "sudo: Password expired, contact your system administrator\n", one, "has expired"},
      {d, false, "doas: doas is not enabled, /etc/doas.conf: No such file or directory\n", one, "not configured"},
      {d, false, "doas: not installed setuid\n", one, "not setuid"},
      {s, false, "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.\n", one,
       "no_new_privs"},
      {s, false,
       "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set or an "
       "NFS file system without root privileges?\n",
       one, "without setuid"},
      {s, false, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n", one, "not setuid root"},
      {s, false, "sudo: parse error in /etc/sudoers near line 5\nsudo: no valid sudoers sources found, quitting\n", one,
       "sudoers of the host are broken"},
      {s, false, "sudo: unable to execute /h/converge: Permission denied\n", one, "may not be executed"},
      {n, false, "/bin/sh: 15: exec: /h/converge: Permission denied\n", {126, ""}, "may not be executed"},
      {n, false, "/bin/sh: 15: exec: /h/converge: Exec format error\n", {126, ""}, "another machine"},
      {n, false, "bash: /h/converge: cannot execute binary file: Exec format error\n", {126, ""}, "another machine"},
      {n, false, "", {std::nullopt, "KILL"}, "killed by signal KILL"},
      {n, false, "", {0, ""}, "does not run commands"},
      {n, false, "rssh: \x1b[31mno\n", {1, ""}, "it says 'rssh: \\x1b[31mno'"},
      {n, false, "sudo: a password is required\n", one, "'sudo: a password is required'"},
  };
  for (const Why& row : rows) {
    const Error why = why_it_did_not_start(row.said, "", row.ending, row.become, row.with_password);
    EXPECT_NE(why.message.find(row.message), std::string::npos) << row.said << why.message;
    EXPECT_FALSE(why.hint.empty()) << row.said;
  }
}

TEST(WhyItDidNotStart, AShellThatRunsNothingSaysSoOnStandardOutput) {
  const Error why =
      why_it_did_not_start("", "This account is currently not available.\n", {1, ""}, Become::automatic, false);
  EXPECT_NE(why.message.find("it says 'This account is currently not available.'"), std::string::npos) << why.message;
}

}  // namespace
}  // namespace converge::remote
