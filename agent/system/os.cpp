#include "system/os.h"

#include <cerrno>
#include <cstring>

namespace converge {

Errc errc_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EACCES:
    case EPERM:
      return Errc::permission;
    case EEXIST:
    case ENOTEMPTY:
      return Errc::exists;
    case ELOOP:
    case EXDEV:
      return Errc::symlink;
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EROFS:
      return Errc::read_only;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::unsupported;
    case ETIMEDOUT:
      return Errc::timeout;
    case EINVAL:
    case ENAMETOOLONG:
      return Errc::invalid;
    default:
      return Errc::io;
  }
}

Error os_error(int error_number, std::string_view doing) {
  Error error;
  error.code = errc_of(error_number);
  error.message = "cannot " + std::string(doing) + ": " + std::strerror(error_number);
  if (error_number == EROFS) {
    error.message = "cannot " + std::string(doing) + ": the file system is mounted read-only";
    error.hint = "remount it writable, or change the image this host is made from";
  } else if (error_number == ENOSPC) {
    error.hint = "free space or inodes on this file system (df -h, df -i)";
  } else if (error_number == EDQUOT) {
    error.hint = "the quota of this user or project is used up (quota -s)";
  } else if (error_number == EACCES && ::geteuid() != 0) {
    error.hint = "run converge as root";
  }
  return error;
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace converge
