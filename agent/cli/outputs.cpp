#include "cli/outputs.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/text.h"

namespace converge::cli {
namespace {

bool in_colour_here(const Options& options) {
  const char* no_colour = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  return options.colour == "always" ||
         (options.colour == "auto" && isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0'));
}

std::unique_ptr<Reporter> for_people(const Options& options, Verb verb, bool several) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  struct winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80;
  TextOptions how{.colour = in_colour_here(options),
                  .progress = isatty(STDERR_FILENO) == 1 && terminal,
                  .columns = size.ws_col,
                  .all = options.verbose > 0,
                  .retry = several ? "-l @failed" : ""};
  if (verb != Verb::drift) return text_reporter(std::move(how));
  return drift_reporter(std::move(how), wall_clock);
}

bool streams(const std::string& name) { return name == "text" || name == "json"; }

}  // namespace

std::string output_names() {
  std::string out = "text, json (one event per line)";
  for (const Format& each : formats()) out += fmt::format(", {}", each.name);
  return out;
}

Result<std::vector<Output>> parse_outputs(const std::vector<std::string>& words) {
  std::vector<std::string> known{"text", "json"};
  for (const Format& each : formats()) known.emplace_back(each.name);
  std::vector<Output> out;
  std::size_t on_screen = 0;
  for (const std::string& word : words) {
    const std::size_t colon = word.find(':');
    Output output{word.substr(0, colon), colon == std::string::npos ? "" : word.substr(colon + 1)};
    if (std::find(known.begin(), known.end(), output.name) == known.end()) {
      std::string hint = did_you_mean(output.name, known);
      if (hint.empty()) hint = "say one of " + join(known, ", ");
      return Error{Errc::invalid, fmt::format("there is no format '{}'", printable(output.name)), {}, std::move(hint)};
    }
    if (colon != std::string::npos && (output.file.empty() || streams(output.name)))
      return Error{Errc::invalid,
                   fmt::format("'{}' cannot be written to a file", printable(word)),
                   {},
                   streams(output.name) ? "text and json go to standard output" : "name the file: NAME:FILE"};
    on_screen += output.file.empty();
    out.push_back(std::move(output));
  }
  if (on_screen > 1)
    return Error{Errc::invalid, "two formats would mix on standard output", {}, "give one a file: -f junit:report.xml"};
  return out;
}

Result<FormatOptions> parse_format_options(const std::string& words) {
  FormatOptions out;
  for (const std::string_view word : split(words, ',')) {
    if (word == "pretty")
      out.pretty = true;
    else if (word == "verbose")
      out.verbose = true;
    else if (word == "perfdata")
      out.perfdata = true;
    else if (word == "sort")
      out.sort = true;
    else if (word == "exclude_raw")
      out.exclude_raw = true;
    else if (!word.empty())
      return Error{Errc::invalid,
                   fmt::format("there is no format option '{}'", printable(word)),
                   {},
                   "say exclude_raw, perfdata, pretty, sort or verbose"};
  }
  return out;
}

std::unique_ptr<Reporter> reporter_for(const Options& options, Verb verb, bool several, std::vector<Error>& unwritten) {
  if (options.formats.empty()) return options.format == "json" ? json_reporter() : for_people(options, verb, several);
  std::vector<std::unique_ptr<Reporter>> all;
  auto how = parse_format_options(options.format_options);
  if (how) how->as_goss = options.as_goss;
  const auto outputs = parse_outputs(options.formats);
  for (const Output& each : outputs ? *outputs : std::vector<Output>()) {
    if (streams(each.name)) {
      all.push_back(each.name == "json" ? json_reporter() : for_people(options, verb, several));
      continue;
    }
    FormatOptions its = how ? *how : FormatOptions();
    its.colour = each.file.empty() && in_colour_here(options);
    all.push_back(collecting_reporter(*find_format(each.name), its,
                                      [file = each.file, &unwritten](const std::string& text, const Results&) {
                                        if (file.empty()) {
                                          (void)std::fwrite(text.data(), 1, text.size(), stdout);
                                          (void)std::fflush(stdout);
                                        } else if (auto done = replace_file(file, text); !done) {
                                          unwritten.push_back(std::move(done).error());
                                        }
                                      }));
  }
  return several_reporters(std::move(all));
}

int complain(const Error& error, int code) {
  fmt::print(stderr, "converge: {}\n", printable(error.text()));
  for (const std::string_view line : split_lines(error.hint))
    fmt::print(stderr, "          {}\n", printable(without_ending(line)));
  return code;
}

int complain(const Error& error) {
  return complain(error, error.code == Errc::invalid     ? exit_usage
                         : error.code == Errc::not_found ? exit_failed
                                                         : exit_internal);
}

Timestamp wall_clock() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

Status replace_file(const std::filesystem::path& path, const std::string& text, unsigned mode) {
  const std::string beside = path.string() + fmt::format(".{}", getpid());
  const auto fail = [&](int why) -> Status {
    (void)unlink(beside.c_str());
    return Error{Errc::io, fmt::format("cannot write '{}': {}", printable(path.string()), strerror(why)), {}, {}};
  };
  (void)unlink(beside.c_str());  // of a run that was killed; whoever may put a link here finds it is not followed
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode == 0 ? 0666U : mode);
  if (fd < 0) return fail(errno);
  std::string_view left = text;
  int why = mode != 0 && fchmod(fd, mode) != 0 ? errno : 0;  // before a byte is in it
  while (!left.empty() && why == 0) {
    const ssize_t written = ::write(fd, left.data(), left.size());
    if (written >= 0)
      left.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      why = errno;
  }
  if (why == 0 && fsync(fd) != 0) why = errno;
  if (close(fd) != 0 && why == 0) why = errno;
  if (why == 0 && rename(beside.c_str(), path.c_str()) != 0) why = errno;
  return why == 0 ? ok() : fail(why);
}

}  // namespace converge::cli
