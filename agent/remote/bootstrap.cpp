#include "remote/bootstrap.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/text.h"
#include "remote/wire.h"

namespace converge::remote {
namespace {

constexpr std::size_t noise_limit = 64U << 10U;

// Where agents lie, the first best. Directories that others may write to hold one of our own, which must be ours and
// no link. Single quotes end the script for the login shell: there are none in it.
constexpr std::string_view directories =
    R"sh(u=${LOGNAME:-$USER}; set -- "$@" "$HOME/.cache/converge" /var/lib/converge/bin "/var/tmp/converge-$u" "/dev/shm/converge-$u")sh";

constexpr std::string_view start_script = R"sh(
n=$1; s=$2; b=$3; shift 3; LC_ALL=C; export LC_ALL; LANGUAGE=; export LANGUAGE
DIRECTORIES
for d do
  f=$d/$s/converge
  [ -f "$f" ] && [ -x "$f" ] || continue
  [ "$d" = /var/lib/converge/bin ] || { [ -O "$d" ] && [ ! -L "$d" ] && [ -O "$f" ]; } || continue
  if [ $b != no ] && [ "$(id -u)" = 0 ]; then b=no; fi
  if [ $b = automatic ]; then
    if command -v sudo >/dev/null 2>&1; then b=sudo; elif command -v doas >/dev/null 2>&1; then b=doas; fi
  fi
  case $b in
    no) exec "$f" agent $n;;
    sudo) command -v sudo >/dev/null 2>&1 && exec sudo -n -- "$f" agent $n;;
    ask) command -v sudo >/dev/null 2>&1 && exec sudo -S -p "[converge $n] " -- "$f" agent $n;;
    doas) command -v doas >/dev/null 2>&1 && exec doas -n "$f" agent $n;;
  esac
  echo "CONVERGE1 $n nobecome"
  exit 1
done
echo "CONVERGE1 $n absent $(uname -s) $(uname -m)"
)sh";

constexpr std::string_view install_script = R"sh(
n=$1; s=$2; k=$3; shift 3; LC_ALL=C; export LC_ALL; umask 077
DIRECTORIES
why=
for d do
  [ $k -gt 0 ] && { k=$((k-1)); continue; }
  case $d in "$HOME"/*) mkdir -p "$d" 2>/dev/null;; *) mkdir -m 700 "$d" 2>/dev/null;; esac
  [ -d "$d" ] && [ -O "$d" ] && [ ! -L "$d" ] && chmod 700 "$d" 2>/dev/null || { why="$why $d: cannot be written;"; continue; }
  t=$d/.upload-$n
  { printf "#!/bin/sh\nexit 42\n" >"$t"; } 2>/dev/null || { why="$why $d: cannot be written;"; rm -f "$t"; continue; }
  chmod 700 "$t"; "$t" 2>/dev/null
  [ $? = 42 ] || { rm -f "$t"; why="$why $d: mounted noexec;"; continue; }
  rm -f "$t"
  if cat >"$t" && chmod 700 "$t"; then exec "$t" agent-install $n $s; fi
  rm -f "$t"
  echo "CONVERGE1 $n full $d"
  exit 1
done
echo "CONVERGE1 $n nowhere$why"
)sh";

std::string as_command(std::string_view script, const std::string& arguments) {
  std::string text(script);
  constexpr std::string_view place = "DIRECTORIES";
  text.replace(text.find(place), place.size(), directories);
  return fmt::format("exec /bin/sh -c '{}' converge {}", text, arguments);
}

std::string_view word_of(const Start& start) {
  switch (start.become) {
    case Become::no:
      return "no";
    case Become::automatic:
      return start.with_password ? "ask" : "automatic";
    case Become::sudo:
      return start.with_password ? "ask" : "sudo";
    case Become::doas:
      return "doas";
  }
  return "no";
}

struct Refusal {
  const char *said, *message, *hint;
};
constexpr const char* another_user = "log in as another user (-u), or let its sudoers (doas.conf) allow it";
constexpr const char* type_it_anew = "run it again with -K and type it anew";
constexpr const char* mend_sudoers = "see `visudo -c` on the host";
// What sudo (1.8, 1.9), sudo-rs and doas (OpenBSD's, OpenDoas) say in the C locale.
constexpr std::array refusals{
    Refusal{"must have a tty", "sudo on the host demands a terminal (requiretty), and none is given",
            "add 'Defaults:USER !requiretty' to its sudoers"},
    Refusal{"Sorry, try again", "sudo does not accept this password", type_it_anew},
    Refusal{"incorrect password", "sudo does not accept this password", type_it_anew},
    Refusal{"incorrect authentication", "sudo does not accept this password", type_it_anew},
    Refusal{"assword is expired", "the user's account or password on the host has expired",
            "log in there and renew it, or log in as another user (-u)"},
    Refusal{"assword expired", "the user's account or password on the host has expired",
            "log in there and renew it, or log in as another user (-u)"},
    Refusal{"ccount expired", "the user's account or password on the host has expired",
            "log in there and renew it, or log in as another user (-u)"},
    Refusal{"not in the sudoers", "the user may not become root on the host", another_user},
    Refusal{"may not run sudo", "the user may not become root on the host", another_user},
    Refusal{"not allowed to ", "the user may not become root on the host", another_user},
    Refusal{"afraid I can't do that", "the user may not become root on the host", another_user},
    Refusal{"doas: Operation not permitted", "the user may not become root on the host", another_user},
    Refusal{"PAM account management error", "the user may not become root on the host (its PAM refuses the account)",
            another_user},
    Refusal{"account validation failure", "the user may not become root on the host (its PAM refuses the account)",
            another_user},
    Refusal{"doas is not enabled", "doas is not configured on the host", "write its doas.conf, or use --become-method"},
    Refusal{"no new privileges", "sudo cannot become root there: the session has no_new_privs set",
            "log in as root (-u root), or see the unit of its sshd"},
    Refusal{"effective uid is not 0", "sudo cannot become root there: it lies on a file system without setuid",
            "log in as root (-u root)"},
    Refusal{"must be owned by uid 0 and have the setuid bit", "sudo on the host is not setuid root",
            "log in as root (-u root), or install sudo again"},
    Refusal{"not installed setuid", "doas on the host is not setuid root",
            "log in as root (-u root), or install doas again"},
    Refusal{"no valid sudoers", "the sudoers of the host are broken", mend_sudoers},
    Refusal{"error in /etc/sudoers", "the sudoers of the host are broken", mend_sudoers},
    Refusal{"is world writable", "the sudoers of the host are broken", mend_sudoers},
};

bool says(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

/// The last line of what was said, short, for the end of a sentence.
std::string last_line(const std::string& text) {
  std::string_view all = trim(text);
  if (const std::size_t newline = all.rfind('\n'); newline != std::string_view::npos) all.remove_prefix(newline + 1);
  return printable(all.substr(0, 200));
}

}  // namespace

std::string random_id() {
  std::array<unsigned char, 16> bytes{};
  (void)!getrandom(bytes.data(), bytes.size(), 0);  // 16 bytes are never given in part
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string start_command(const Start& start) {
  return as_command(start_script, fmt::format("{} {} {}", start.nonce, start.digest, word_of(start)));
}

std::string install_command(const Start& start, int skip) {
  return as_command(install_script, fmt::format("{} {} {}", start.nonce, start.digest, skip));
}

std::string password_prompt(const std::string& nonce) { return fmt::format("[converge {}] ", nonce); }

Greeting::Greeting(const std::string& nonce) : wanted_(fmt::format("{} {} ", greeting, nonce)) {}

Result<std::optional<std::string>> Greeting::add(std::string_view bytes) {
  const std::size_t searched = buffer_.size() - std::min(buffer_.size(), wanted_.size());
  buffer_ += bytes;
  if (at_ == std::string::npos) at_ = buffer_.find(wanted_, searched);
  const std::size_t at = at_;
  if (at == std::string::npos) {
    if (buffer_.size() > noise_limit)
      return Error{Errc::too_big, "the host says other things than the agent's greeting", {}, {}};
    return std::optional<std::string>();
  }
  const std::size_t end = buffer_.find('\n', at);
  if (end == std::string::npos) {
    if (buffer_.size() - at > noise_limit) return Error{Errc::too_big, "the agent's greeting does not end", {}, {}};
    return std::optional<std::string>();
  }
  std::string said = buffer_.substr(at + wanted_.size(), end - at - wanted_.size());
  buffer_.erase(0, end + 1);
  return std::optional(std::move(said));
}

Error why_it_did_not_start(const std::string& errors, const std::string& output, const Ending& ending, Become become,
                           bool with_password) {
  const auto error = [](Errc code, std::string message, std::string hint) {
    return Error{code, std::move(message), {}, std::move(hint)};
  };
  if (become != Become::no) {
    for (const Refusal& row : refusals)
      if (says(errors, row.said)) return error(Errc::permission, row.message, row.hint);
    if (says(errors, "a password is required") || says(errors, "uthentication is required") ||
        says(errors, "uthentication required") || says(errors, "Authorization required") ||
        (says(errors, "password") && !with_password))
      return error(Errc::permission, fmt::format("{} asks for a password", become == Become::doas ? "doas" : "sudo"),
                   become == Become::doas
                       ? "add 'nopass' to its doas.conf, or use sudo with -K"
                       : "give it with -K, or allow NOPASSWD in its sudoers (it asks those, too, who may not use it)");
  }
  if (says(errors, "Exec format error") || says(errors, "cannot execute binary"))
    return error(Errc::unsupported, "the host cannot run this program: it is made for another machine",
                 "use a controller of the host's architecture");
  if (ending.code == 126 || says(errors, "Permission denied") || says(errors, "unable to execute"))
    return error(Errc::permission,
                 fmt::format("the agent on the host may not be executed: {}", last_line(errors + "\n" + output)),
                 "see whether its file system is mounted noexec");
  std::string why = last_line(errors);
  if (why.empty()) why = last_line(output);
  if (!ending.signal.empty())
    return error(Errc::io,
                 fmt::format("the agent was killed by signal {} before it said a word", printable(ending.signal)),
                 "see the host's journal; memory may be short");
  return error(Errc::io,
               fmt::format("the user's shell on the host does not run commands{}",
                           why.empty() ? "" : fmt::format(": it says '{}'", why)),
               "log in as a user with a usual shell (-u)");
}

}  // namespace converge::remote
