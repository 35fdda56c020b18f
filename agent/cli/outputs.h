// Where a run's report goes, and in which forms: -f NAME or -f NAME:FILE, several times.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/options.h"
#include "core/result.h"
#include "report/formats.h"

namespace converge::cli {

struct Output {
  std::string name, file;  // no file: standard output
};
/// Errc::invalid for an unknown name, two that go to standard output, text or json for a file.
Result<std::vector<Output>> parse_outputs(const std::vector<std::string>& words);
/// "perfdata,verbose"; unknown ones are Errc::invalid.
Result<FormatOptions> parse_format_options(const std::string& words);
/// The names -f takes, for help.
std::string output_names();

/// Tells all of options.formats, which have been parsed; text if there are none. A file that cannot be written is put
/// into `unwritten`, which must outlive it. `several`: hosts.
std::unique_ptr<Reporter> reporter_for(const Options& options, Verb verb, bool several, std::vector<Error>& unwritten);

/// The one host a local run is about, told as the reporter wants it.
class HostObserver final : public Observer {
 public:
  HostObserver(Reporter& reporter, const std::string& host) : reporter_(reporter), host_(host) {}
  void begins(const std::string& item, const ResourceId& /*id*/) override { reporter_.doing(host_, item); }
  void step(const Step& step) override { reporter_.step(host_, step); }

 private:
  Reporter& reporter_;
  const std::string& host_;
};

/// Says `error` and its hint on standard error. @return `code`
int complain(const Error& error, int code);
/// The same. @return the exit code that the error means for a verb.
int complain(const Error& error);
Timestamp wall_clock();

/// Puts `text` into a new file in place of `path`; a link there is replaced, not followed. `mode`: 0 as the umask says.
Status replace_file(const std::filesystem::path& path, const std::string& text, unsigned mode = 0);

}  // namespace converge::cli
