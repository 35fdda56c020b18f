// What a run says. The engine emits steps; a reporter turns them into words for people or for programs.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace converge {

struct RunInfo {
  Verb verb = Verb::apply;
  std::vector<std::string> hosts;
  std::string root;  // "/" or the tree
  std::string version;
};

class Reporter : public Observer {
 public:
  virtual void run_begins(const RunInfo& info) = 0;
  /// `work` is what will be reported: for the widths of columns.
  virtual void host_begins(const std::string& host, const std::vector<Work>& work) = 0;
  virtual void host_ends(const std::string& host, const Tally& tally, std::chrono::microseconds took) = 0;
  /// The host was not reached, or nothing could be tried on it.
  virtual void host_failed(const std::string& host, const Error& error) = 0;
  virtual void run_ends(int exit_code, std::chrono::microseconds took) = 0;
};

struct TextOptions {
  bool colour = false;
  bool progress = false;  // a line on standard error while one resource takes longer than a second
  bool all = false;       // also what is in sync
};

/// Lines for people on standard output.
std::unique_ptr<Reporter> text_reporter(TextOptions options);
/// One JSON object per line on standard output; README.md documents every key.
std::unique_ptr<Reporter> json_reporter();

}  // namespace converge
