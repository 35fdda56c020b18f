// What every file of this folder needs of the operating system: an owned descriptor, and errno as an Error.
#pragma once
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"

namespace converge {

/// An open descriptor, or none. Closes on destruction.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// The class of an errno value; Errc::io for those nobody branches on.
Errc errc_of(int error_number);

/// "cannot open '/etc/x': Permission denied". `doing` is what follows "cannot". Carries a hint where one is known.
Error os_error(int error_number, std::string_view doing);

/// Writes all of `bytes`; 0 or the errno of the failure.
int write_all(int fd, std::string_view bytes);

}  // namespace converge
