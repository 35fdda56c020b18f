// sshd of this machine, started by a test on the loopback with keys and files of its own, and gone with it.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace converge::remote {

/// A directory that is removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  /// Writes a file, mode 0600. @return its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// Runs a program, its output unseen. @return its exit status, 127 if it cannot be started.
int run_quietly(const std::vector<std::string>& arguments);
/// The output of a program; empty if it fails.
std::string output_of(const std::vector<std::string>& arguments);
/// ssh-keygen. @return `file`.
std::string make_key(const std::string& file, const std::string& type = "ed25519", const std::string& passphrase = "");
std::string read_text(const std::string& file);

class SshServer {
 public:
  /// Why no server can be started here; empty: one can.
  static std::string unavailable();

  /// `key` lets the user of the test in. `more` are further lines for sshd_config.
  SshServer(const Folder& folder, const std::string& name, const std::string& key, const std::string& more = "");
  ~SshServer();
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;

  std::uint16_t port() const { return port_; }
  /// A line for known_hosts.
  std::string host_line(const std::string& type = "ed25519") const;
  std::string log() const;

 private:
  std::string base_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

/// A port of the loopback that was free a moment ago.
std::uint16_t free_port();

}  // namespace converge::remote
