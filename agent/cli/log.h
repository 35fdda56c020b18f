// The log: what happened on the way, for who looks for a reason. It goes to standard error and is silent but for
// warnings; the report is standard output's, and mistakes of the input are told as diagnostics.
#pragma once
#include <memory>
#include <string_view>

#include "cli/options.h"

namespace converge::cli {

enum class LogLevel { debug, info, warning, error, off };

/// What --log-level says; without it -v is info and -v -v debug.
LogLevel log_level_of(const Options& options);

/// One line a record, escaped by printable(): "2026-11-21T10:51:29.017Z warning: ...". May be used by several threads.
class Log {
 public:
  explicit Log(LogLevel least);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// True if records of this level are written: to spare making what nobody reads.
  bool takes(LogLevel level) const;
  void debug(std::string_view text) { write(LogLevel::debug, text); }
  void info(std::string_view text) { write(LogLevel::info, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void error(std::string_view text) { write(LogLevel::error, text); }

 private:
  void write(LogLevel level, std::string_view text);

  struct Logger;
  std::unique_ptr<Logger> logger_;
};

}  // namespace converge::cli
