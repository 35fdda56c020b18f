// The few lines of shell that start the agent on a node or put it there, and what the answers mean. The shell is
// sh(1), whatever the login shell is; no data of a spec is ever in it.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "remote/transport.h"

namespace converge::remote {

enum class Become { no, automatic, sudo, doas };

struct Start {
  std::string nonce;   // 32 hex digits
  std::string digest;  // of the agent, hex
  Become become = Become::no;
  bool with_password = false;  // sudo asks for it, with password_prompt()
};

/// 32 hex digits that nobody can guess: a nonce, the name of a run.
std::string random_id();

/// Starts the agent if it is there, else says so: "CONVERGE1 NONCE absent KERNEL ARCH".
std::string start_command(const Start& start);
/// Takes the agent from standard input into the first directory, from the `skip`th on, where programs may be written
/// and run, and lets it install itself. Answers "CONVERGE1 NONCE installed", "... damaged", "... nowhere" or "...
/// failed: WHY".
std::string install_command(const Start& start, int skip);
/// What sudo asks with, so that a password is never sent to anything else.
std::string password_prompt(const std::string& nonce);

/// Finds the line with our nonce in what a node says, after at most 64 KiB of noise.
class Greeting {
 public:
  explicit Greeting(const std::string& nonce);
  /// What follows "CONVERGE1 NONCE ", once its line is whole; rest() then has the bytes after it. Errc::too_big when it
  /// does not come.
  Result<std::optional<std::string>> add(std::string_view bytes);
  std::string take_rest() { return std::move(buffer_); }

 private:
  std::string wanted_, buffer_;
  std::size_t at_ = std::string::npos;  // of wanted_ in buffer_
};

/// Why an agent did not start, from what the node said instead: a password is needed or wrong, the user may not become
/// root, a tty is demanded, there is no sudo, a shell that runs no commands, a file that may not be executed.
Error why_it_did_not_start(const std::string& errors, const std::string& output, const Ending& ending, Become become,
                           bool with_password);

}  // namespace converge::remote
