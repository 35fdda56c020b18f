// argv ends here, and so does every exception.
#include <netdb.h>
#include <nss.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "cli/verbs.h"

// glibc keeps this one out of its headers; it is what /etc/nsswitch.conf is turned into.
extern "C" int __nss_configure_lookup(const char* database, const char* line);

int main(int argc, char** argv) {
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
