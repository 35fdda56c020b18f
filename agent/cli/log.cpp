#include "cli/log.h"

// The one file that includes spdlog, whose sources are thereby compiled once: Debian has it as a shared library or as
// headers, and the binary is static. Its logger is an object of ours: its registry would be global state.
#define SPDLOG_FMT_EXTERNAL
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "core/text.h"

namespace converge::cli {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

}  // namespace

LogLevel log_level_of(const Options& options) {
  if (options.log_level == "debug") return LogLevel::debug;
  if (options.log_level == "info") return LogLevel::info;
  if (options.log_level == "warning") return LogLevel::warning;
  if (options.log_level == "error") return LogLevel::error;
  if (options.log_level == "off") return LogLevel::off;
  if (options.verbose > 1) return LogLevel::debug;
  return options.verbose == 1 ? LogLevel::info : LogLevel::warning;
}

struct Log::Logger {
  spdlog::logger logger{"converge", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

Log::Log(LogLevel least) : logger_(std::make_unique<Logger>()) {
  auto formatter =
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc, "\n");
  logger_->logger.set_formatter(std::move(formatter));
  logger_->logger.set_level(level_of(least));
  logger_->logger.set_error_handler([](const std::string& /*what*/) {});  // a log that cannot be written stops no run
}

Log::~Log() = default;

bool Log::takes(LogLevel level) const { return logger_->logger.should_log(level_of(level)); }

void Log::write(LogLevel level, std::string_view text) {
  if (takes(level)) logger_->logger.log(level_of(level), printable(text));
}

}  // namespace converge::cli
