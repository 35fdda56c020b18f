#include "tests/support/ssh_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace converge::remote {
namespace {

pid_t start(const std::vector<std::string>& arguments, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> argv;
  for (const auto& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  pid_t child = -1;
  if (posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ) != 0) child = -1;
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  if (child < 0) return 127;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// As root sshd wants /run/sshd, which is there only where its service runs; then it gets a /run of its own.
bool needs_run() { return getuid() == 0 && access("/run/sshd", F_OK) != 0; }

std::vector<std::string> in_own_run(const std::vector<std::string>& arguments) {
  std::vector<std::string> out{
      "unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$@\"", "sh"};
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

}  // namespace

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "converge-ssh-XXXXXX").string();
  path_ = mkdtemp(name.data()) != nullptr ? name : "/nonexistent";
}
Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}
std::string Folder::write(const std::string& name, const std::string& text) const {
  const std::string file = path(name);
  std::ofstream(file, std::ios::binary) << text;
  chmod(file.c_str(), 0600);
  return file;
}

int run_quietly(const std::vector<std::string>& arguments) { return wait_for(start(arguments, "/dev/null")); }

std::string output_of(const std::vector<std::string>& arguments) {
  const Folder folder;
  const std::string file = folder.path("output");
  return wait_for(start(arguments, file)) == 0 ? read_text(file) : "";
}

std::string read_text(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string make_key(const std::string& file, const std::string& type, const std::string& passphrase) {
  run_quietly({"ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", "a test", "-f", file});
  return file;
}

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof(at);
  bind(fd, reinterpret_cast<sockaddr*>(&at), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  close(fd);
  return ntohs(at.sin_port);
}

std::string SshServer::unavailable() {
  if (access("/usr/sbin/sshd", X_OK) != 0) return "there is no /usr/sbin/sshd";
  if (needs_run() && run_quietly(in_own_run({"true"})) != 0) return "sshd needs a /run/sshd, which is not there";
  return {};
}

SshServer::SshServer(const Folder& folder, const std::string& name, const std::string& key, const std::string& more)
    : base_(folder.path(name)), port_(free_port()) {
  for (const char* type : {"ed25519", "ecdsa"}) make_key(base_ + "." + type, type);
  folder.write(name + ".keys", read_text(key + ".pub"));
  const std::string config = folder.write(
      name + ".config", "ListenAddress 127.0.0.1\nPort " + std::to_string(port_) + "\nHostKey " + base_ +
                            ".ed25519\nHostKey " + base_ + ".ecdsa\nPidFile none\nStrictModes no\nUsePAM no\n" +
                            "AuthorizedKeysFile " + base_ + ".keys\nPasswordAuthentication no\n" +
                            "KbdInteractiveAuthentication no\nPrintMotd no\nMaxStartups 200\n" + more);
  const std::vector<std::string> command{"/usr/sbin/sshd", "-D", "-e", "-f", config};
  pid_ = start(needs_run() ? in_own_run(command) : command, base_ + ".log");
  // Until it listens or is gone.
  const sockaddr_in at = loopback(port_);
  for (bool up = false; !up && pid_ > 0;) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    up = connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0;
    close(fd);
    if (!up && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    if (!up) poll(nullptr, 0, 5);
  }
}

SshServer::~SshServer() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  wait_for(pid_);
}

std::string SshServer::host_line(const std::string& type) const {
  return "[127.0.0.1]:" + std::to_string(port_) + " " + read_text(base_ + "." + type + ".pub");
}

std::string SshServer::log() const { return read_text(base_ + ".log"); }

}  // namespace converge::remote
