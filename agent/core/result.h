// Expected failure as a value. No exception crosses a folder of ours; a Result says what went wrong, and where.
#pragma once
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace converge {

/// What a caller may branch on. The sentence for people is Error::message.
enum class Errc {
  not_found,       // the thing is not there
  permission,      // EACCES, EPERM: we may not look or act
  exists,          // it is there and must not be
  changed,         // it is no longer what we looked at
  symlink,         // a symbolic link where none is followed (ELOOP, EXDEV)
  no_space,        // ENOSPC, EDQUOT
  read_only,       // EROFS
  unsupported,     // this host cannot do that (container, file system, init system)
  unparsable,      // its format is not what its man page says
  too_big,         // more than the limit given
  timeout,         // the deadline passed
  refused,         // we could, and will not: it would destroy or lock out
  command_failed,  // a command ended with a status that means failure
  invalid,         // bad input
  io               // anything else errno says
};

/// A failure: one sentence (lower case, values in single quotes, no full stop), what we were doing (innermost first),
/// and what to do next (may be empty).
struct Error {
  Errc code = Errc::io;
  std::string message;
  std::vector<std::string> frames;  // "writing /etc/fstab", "converging swapfile"; printed as "while ..."
  std::string hint;                 // a way out, as an imperative; empty if none is known

  /// The same error, with one more frame around it. `doing` is a gerund: "writing /etc/fstab".
  Error during(std::string doing) && {
    frames.push_back(std::move(doing));
    return std::move(*this);
  }
  Error during(std::string doing) const& { return Error(*this).during(std::move(doing)); }

  /// "cannot rename: No space left on device, while writing /etc/fstab"; without the hint.
  std::string text() const {
    std::string out = message;
    for (const auto& frame : frames) out += ", while " + frame;
    return out;
  }
};

/// A T or the reason there is none. The member names are std::expected's, which g++ 12 does not have.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  Error& error() & { return *std::get_if<1>(&state_); }
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Done {};               // the value of something that has none
using Status = Result<Done>;  // ok, or why not
inline Status ok() { return Done{}; }

}  // namespace converge
