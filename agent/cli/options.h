// What the command line said. Plain data: parsing is cli.cpp's, meaning is each verb's.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "core/values.h"

namespace converge::cli {

struct Options {
  std::string verb = "apply";
  std::vector<std::string> specs;       // files; empty: specs/*.yaml
  std::vector<std::string> gossfiles;   // -g; "-" is standard input
  std::vector<std::string> vars_files;  // --vars, a later one wins
  std::string vars_inline;              // --vars-inline
  std::string package_manager;          // --package
  std::string inventory = "inventory";
  std::size_t at_once = 0;  // commands and requests of checks; 0: as many as suits this machine
  std::string limit;        // a host pattern
  std::string connection;   // "", "local", "ssh"
  std::string user;
  bool become = false, ask_become_password = false;
  std::string become_method;  // "", "sudo", "doas"
  std::size_t parallel = 32;
  std::string serial, max_fail;                     // "5" or "30%"
  unsigned connect_timeout = 10, host_timeout = 0;  // seconds; 0: no limit
  std::string deadline;                             // verify, drift: "30s"; empty: none
  bool yes = false;                                 // trust: pin without asking
  std::vector<std::string> extra_vars;              // as typed
  std::vector<std::string> tags, skip_tags;
  bool check = false, diff = false, wait = false;
  std::string root = "/";
  std::string format = "text";
  std::vector<std::string> formats;  // verify: NAME or NAME:FILE; empty: what `format` says
  bool as_goss = false;              // forms say what Goss would
  std::string format_options;        // of those, "perfdata,verbose"
  std::string serve;                 // verify: "ADDRESS:PORT"; empty: once
  std::string endpoint = "/healthz", cache = "5s";
  std::string tls_certificate, tls_key, tls_client_ca;  // of --serve and serve; no certificate: plain HTTP
  std::vector<std::string> add;                         // verify: TYPE NAME...
  std::vector<std::string> auto_add;                    // verify: NAME...
  std::vector<std::string> exclude_attributes;
  bool replace = false, insecure = false, no_follow_redirects = false;  // of --add
  std::string add_timeout, dns_server, http_user, http_proxy;           // of --add; empty: not said
  Secret http_password;
  std::string colour = "auto";
  int verbose = 0;
  std::string log_level;          // "": what `verbose` says
  std::string explain;            // inventory --explain HOST
  std::string module;             // doc MODULE
  std::string trust_owner;        // a user besides root who may own what is read
  std::string textfile, webhook;  // drift: whom to tell
  std::vector<std::string> on_drift;
  std::string every = "30min", splay = "5min";  // schedule
  bool heal = false;
  std::string history;                 // a file; "none"; empty: where it lies by itself
  std::vector<std::string> words;      // history WORDS, schedule WORD, report HOST..., serve ADDRESS
  std::size_t last = 20;               // history: so many runs
  std::string keep = "90d";            // history prune
  std::string output;                  // report: a file; empty: standard output
  std::string since = "30d";           // report
  std::string stale = "2d";            // report, serve: what was not looked at for longer is marked
  std::string token_file;              // serve
  std::string out;                     // plan: a file that keeps it
  std::vector<std::string> arguments;  // the whole command line after the program, for running it again as root
};

/// Exit codes; README.md lists them.
enum Exit : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_differences = 2,
  exit_unreachable = 3,
  exit_unknown = 4,
  exit_usage = 64,
  exit_bad_input = 65,
  exit_internal = 70,
  exit_busy = 75,
  exit_interrupted = 130
};

}  // namespace converge::cli
