// The built binary as a server: started on a free port of loopback, asked over a plain socket, ended by a signal.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace converge {

class Served {
 public:
  /// Runs `program` with `words` in the directory of `place`, and waits for the line that says where it listens.
  Served(const Workplace& place, std::vector<std::string> words, const std::string& program = CONVERGE_BINARY) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) std::abort();
    const std::string log = (place.here() / "log").string();
    words.insert(words.begin(), program);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int err = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      if (::chdir(place.here().c_str()) != 0 || ::dup2(out[1], 1) < 0 || ::dup2(err, 2) < 0) ::_exit(126);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) said_ += c;
    ::close(out[0]);
    const auto colon = said_.find(':', said_.find("//"));
    if (colon != std::string::npos) port_ = static_cast<std::uint16_t>(std::stoi(said_.substr(colon + 1)));
  }
  ~Served() { (void)end(); }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  /// "serving http://127.0.0.1:41233/healthz and /metrics"
  const std::string& said() const { return said_; }
  std::uint16_t port() const { return port_; }
  /// The whole answer.
  std::string ask(const std::string& path, const std::string& headers = {}, const std::string& method = "GET") const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string out;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      const std::string request =
          method + " " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + headers + "\r\n";
      (void)!::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
      char block[4096];
      for (ssize_t n = 0; (n = ::recv(fd, block, sizeof block, 0)) > 0;) out.append(block, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return out;
  }
  /// By SIGTERM. @return its exit code; -1 if a signal ended it
  int end() {
    if (pid_ <= 0) return exit_;
    (void)::kill(pid_, SIGTERM);
    int status = 0;
    (void)::waitpid(pid_, &status, 0);
    pid_ = 0;
    return exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  int exit_ = -1;
  std::string said_;
  std::uint16_t port_ = 0;
};

}  // namespace converge
