// argv ends here, and so does every exception.
#include <fcntl.h>
#include <netdb.h>
#include <nss.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "cli/verbs.h"

// glibc keeps this one out of its headers; it is what /etc/nsswitch.conf is turned into.
extern "C" int __nss_configure_lookup(const char* database, const char* line);

namespace {

/// A standard stream that is closed would be given to the next file we open, and what we print would land in it.
bool standard_streams_are_open() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (!standard_streams_are_open()) return 70;
  // Secrets of specs are in our memory: no core file, and nobody but root may look into the process.
  (void)prctl(PR_SET_DUMPABLE, 0);
  // A static glibc must not load the NSS plug-ins of a host with another glibc: they would crash it.
  for (const char* database : {"passwd", "group", "shadow", "gshadow", "initgroups", "services", "protocols"})
    (void)__nss_configure_lookup(database, "files");
  (void)__nss_configure_lookup("hosts", "files dns");
  try {
    return converge::cli::main_of(argc, argv);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "converge: internal error: %s\n", problem.what());
  } catch (...) {
    (void)std::fprintf(stderr, "converge: internal error\n");
  }
  return 70;
}
