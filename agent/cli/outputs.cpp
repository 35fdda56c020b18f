#include "cli/outputs.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/text.h"

namespace converge::cli {
namespace {

std::unique_ptr<Reporter> for_people(const Options& options, Verb verb, bool several) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  const char* no_colour = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  const bool colour = options.colour == "always" ||
                      (options.colour == "auto" && terminal && (no_colour == nullptr || *no_colour == '\0'));
  struct winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80;
  TextOptions how{.colour = colour,
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
  const auto how = parse_format_options(options.format_options);
  const auto outputs = parse_outputs(options.formats);
  for (const Output& each : outputs ? *outputs : std::vector<Output>()) {
    if (streams(each.name)) {
      all.push_back(each.name == "json" ? json_reporter() : for_people(options, verb, several));
      continue;
    }
    all.push_back(collecting_reporter(*find_format(each.name), how ? *how : FormatOptions(),
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

int complain(const Error& error) {
  fmt::print(stderr, "converge: {}\n", printable(error.text()));
  if (!error.hint.empty()) fmt::print(stderr, "          {}\n", printable(error.hint));
  return error.code == Errc::invalid ? exit_usage : error.code == Errc::not_found ? exit_failed : exit_internal;
}

Timestamp wall_clock() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

Status replace_file(const std::filesystem::path& path, const std::string& text) {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path beside = path.string() + fmt::format(".{}", getpid());
  {
    std::ofstream out(beside, std::ios::trunc | std::ios::binary);
    out << text;
    if (!out.flush()) failed = std::make_error_code(std::errc::io_error);
  }
  if (!failed) fs::rename(beside, path, failed);
  if (!failed) return ok();
  std::error_code ignored;
  fs::remove(beside, ignored);
  return Error{Errc::io, fmt::format("cannot write '{}': {}", printable(path.string()), failed.message()), {}, {}};
}

}  // namespace converge::cli
