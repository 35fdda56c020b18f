// verify --serve: the checks as a health endpoint. One run at a time, shared by all who ask meanwhile and for a while
// after; every run reads its files again, and one that cannot be used leaves the checks before it standing.
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include "checks/gossfile.h"
#include "cli/become.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/log.h"
#include "cli/outputs.h"
#include "cli/verbs.h"
#include "core/text.h"
#include "report/totals.h"
#include "system/posix_system.h"
#include "system/tracing.h"
#include "web/accept.h"
#include "web/server.h"

namespace converge::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// The files a load asked for, as they were before it read them: what is not there counts, it may come.
class Watch {
 public:
  void add(const std::string& path) { stamps_.try_emplace(path, stamp_of(path)); }
  bool changed() const {
    for (const auto& [path, stamp] : stamps_)
      if (stamp_of(path) != stamp) return true;
    return false;
  }

 private:
  using Stamp = std::array<std::int64_t, 7>;
  static Stamp stamp_of(const std::string& path) {
    struct stat s = {};
    if (::stat(path.c_str(), &s) != 0) return {};
    return {static_cast<std::int64_t>(s.st_dev),
            static_cast<std::int64_t>(s.st_ino),
            s.st_size,
            s.st_mtim.tv_sec,
            s.st_mtim.tv_nsec,
            s.st_ctim.tv_sec,
            s.st_ctim.tv_nsec};
  }
  std::map<std::string, Stamp> stamps_;
};

/// What is asserted of this machine, as the files said it.
struct Suite {
  Loaded loaded;
  Facts facts;
  std::string host;
  std::vector<Work> work;
};

struct Loading {
  std::unique_ptr<Suite> suite;  // null after an error
  std::string said;              // every diagnostic
  std::string first;             // "goss.yaml:3:1: ..." of the first error, in one line
  int code = exit_ok;
  std::shared_ptr<Watch> watch = std::make_shared<Watch>();
};

/// The one host of these that is this machine.
Result<std::string> host_here(const Options& options, const Loaded& loaded, const Facts& facts) {
  std::vector<std::string> local;
  for (const std::string& host : loaded.hosts) {
    if (!is_local(options, loaded, host, facts))
      return Error{Errc::invalid,
                   fmt::format("'{}' is another machine, and --serve is about this one", host),
                   {},
                   "run it there, or say with -l which host this machine is"};
    local.push_back(host);
  }
  if (local.size() == 1) return local.front();
  return Error{Errc::invalid,
               fmt::format("this machine cannot be {} hosts at once: {}", local.size(), join(local, ", ")),
               {},
               "name one of them with -l"};
}

Loading load(const Options& options, System& system) {
  Loading out;
  auto suite = std::make_unique<Suite>();
  Diagnostics diagnostics;
  const auto refuse = [&](const Error& error, int code) {
    diagnostics.push_back({{}, error.text(), error.hint, Severity::error});
    if (out.code == exit_ok) out.code = code;
  };
  Loaded& loaded = suite->loaded;
  loaded.files.asked = [watch = out.watch](const std::string& path) { watch->add(path); };
  bool good = load_inventory(options, false, loaded, diagnostics);
  good = load_specs(options, loaded, diagnostics) && good;
  good = load_gossfile_options(options, loaded, diagnostics) && good;
  auto facts = gather_facts(system);
  if (!facts) {
    refuse(facts.error().during("gathering facts"), exit_unknown);
  } else if (!loaded.hosts.empty()) {
    suite->facts = *std::move(facts);
    if (auto host = host_here(options, loaded, suite->facts); !host) {
      refuse(host.error(), exit_usage);
    } else {
      suite->host = *std::move(host);
      suite->work = work_for(options, loaded, suite->host, &system, suite->facts, diagnostics);
    }
  }
  for (const Diagnostic& diagnostic : diagnostics) {
    const std::string text = render(diagnostic);
    if (out.said.find(text) != std::string::npos) continue;
    out.said += text;
    if (diagnostic.severity != Severity::error) continue;
    good = false;
    if (out.first.empty()) out.first = fmt::format("{}: {}", diagnostic.at.text(), diagnostic.message);
  }
  if (good) {
    out.suite = std::move(suite);
  } else if (out.code == exit_ok) {
    out.code = exit_bad_input;
  }
  return out;
}

/// What one run looks through: a System remembers what it was told, and the next run must not.
class Looking {
 public:
  static Result<std::unique_ptr<Looking>> open(const AbsPath& root, Log& log) {
    auto opened = open_system(root);
    if (!opened) return std::move(opened).error();
    return std::unique_ptr<Looking>(new Looking(*std::move(opened), log));
  }
  System& system() { return traces_ ? static_cast<System&>(traced_) : *system_; }

 private:
  Looking(std::unique_ptr<System> system, Log& log)
      : system_(std::move(system)),
        traced_(*system_, [&log](const std::string& line) { log.debug(line); }),
        traces_(log.takes(LogLevel::debug)) {}
  std::unique_ptr<System> system_;
  TracingSystem traced_;
  bool traces_;
};

/// Keeps all results and writes none: who asks says how they are written.
constexpr Format everything{"", "",
                            [](const Results& /*results*/, const FormatOptions& /*how*/) { return std::string(); }};

/// A run that has ended.
struct Ended {
  Results results;
  Clock::time_point at;
};

class Checks {
 public:
  Checks(const Options& options, AbsPath root, FormatOptions how, std::chrono::milliseconds cache, Log& log)
      : options_(options), root_(std::move(root)), how_(how), cache_(cache), log_(log) {}

  /// The first load. @return an exit code; everything has been said
  int begin() {
    const auto looking = Looking::open(root_, log_);
    if (!looking) return complain(looking.error(), exit_failed);
    Loading loading = load(options_, (*looking)->system());
    fmt::print(stderr, "{}", loading.said);
    if (!loading.suite) return loading.code;
    said_ = std::move(loading.said);
    watch_ = std::move(loading.watch);
    suite_ = std::move(loading.suite);
    return exit_ok;
  }

  /// The last run if it is young enough, else one more; null when that was cut off, or could not begin.
  std::shared_ptr<const Ended> now() {
    std::unique_lock lock(mutex_);
    if (running_) {  // it began before we were asked, and nothing is asked of it but what is so now
      const std::size_t before = runs_;
      changed_.wait(lock, [&] { return runs_ != before; });
      return last_;
    }
    if (last_ && Clock::now() - last_->at < cache_ && !watch_->changed()) return last_;
    if (interrupted()) return nullptr;
    running_ = true;
    lock.unlock();
    auto fresh = run();
    lock.lock();
    running_ = false;
    ++runs_;
    if (fresh) {
      totals_.add(fresh->results, how_.verbose);
      last_ = std::move(fresh);
    } else {
      last_ = nullptr;  // what was before proves nothing now
    }
    changed_.notify_all();
    return last_;
  }

  void answered(int status) {
    const std::lock_guard lock(mutex_);
    ++answers_[status];
  }

  std::string metrics(const Ended& ended) {
    const std::lock_guard lock(mutex_);
    std::string out = totals_.text() + last_run_gauges(ended.results);
    out += metric_head("converge_reload_failed", "gauge",
                       "1 while the files of the checks cannot be used, and those before them are.");
    out += fmt::format("converge_reload_failed {:d}\n", broken_);
    out += metric_head("converge_http_responses_total", "counter", "Answers of the health endpoint, by status.");
    for (const auto& [status, count] : answers_)
      out += fmt::format("converge_http_responses_total{{code=\"{}\"}} {}\n", status, count);
    out += metric_head("converge_build_info", "gauge", "1, with the version.");
    return out + "converge_build_info{version=\"" CONVERGE_VERSION "\"} 1\n";
  }

 private:
  /// Only one thread is in here at a time.
  std::shared_ptr<const Ended> run() {
    const auto start = Clock::now();
    const auto looking = Looking::open(root_, log_);
    if (!looking) {
      log_.error("the checks cannot run: " + looking.error().text());
      return nullptr;
    }
    System& system = (*looking)->system();
    reload(system);
    auto out = std::make_shared<Ended>();
    const auto reporter = collecting_reporter(
        everything, how_, [&](const std::string& /*text*/, const Results& results) { out->results = results; });
    reporter->run_begins({Verb::verify, {suite_->host}, options_.root, CONVERGE_VERSION, 0});
    HostObserver observer(*reporter, suite_->host);
    const Tally tally = verify(suite_->work, system, observer, {false, [] { return interrupted(); }});
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
    reporter->run_ends(exit_code(Verb::verify, tally), took);
    if (tally.interrupted) return nullptr;
    out->at = Clock::now();
    log_.info(fmt::format("{}, Duration: {}", out->results.summary(), in_seconds(took)));
    return out;
  }

  void reload(System& system) {
    const bool changed = watch_->changed();
    Loading loading = load(options_, system);
    const bool news = loading.said != said_;
    const std::lock_guard lock(mutex_);
    said_ = std::move(loading.said);
    watch_ = std::move(loading.watch);
    const bool was_broken = std::exchange(broken_, !loading.suite);
    if (loading.suite) {
      suite_ = std::move(loading.suite);
      if (was_broken)
        log_.warning("the files can be used again, and are");
      else if (changed)
        log_.info("the files have changed, and have been read again");
      if (news) fmt::print(stderr, "{}", said_);
      return;
    }
    if (news || !was_broken)
      log_.error(fmt::format("the files cannot be used any more, those before stay in use: {}", loading.first));
    suite_->loaded.context->forget();
  }

  const Options& options_;
  const AbsPath root_;
  const FormatOptions how_;
  const std::chrono::milliseconds cache_;
  Log& log_;
  std::unique_ptr<Suite> suite_;  // the running thread's

  std::mutex mutex_;  // for what follows
  std::condition_variable changed_;
  bool running_ = false, broken_ = false;
  std::size_t runs_ = 0;
  std::string said_;
  std::shared_ptr<Watch> watch_;
  std::shared_ptr<const Ended> last_;
  Totals totals_;
  std::map<int, std::size_t> answers_;
};

/// A form of the results there is, and the Content-Type it goes by.
struct Form {
  const Format* format;
  std::string content_type;
};

/// Goss's names are ours but for its JSON.
const Format* format_of(const std::string& name) { return find_format(name == "json" ? "goss_json" : name); }

std::string media_of(std::string_view format) {
  if (format == "goss_json" || format == "json_oneline" || format == "structured") return "application/json";
  if (format == "junit") return "application/xml";
  if (format == "prometheus") return "text/plain;version=0.0.4";
  return "text/plain";
}

std::string content_type(const std::string& media) {
  return media.starts_with("text/") ? media + "; charset=utf-8" : media;
}

/// What Accept is held against; the first is for those who do not mind.
class Forms {
 public:
  explicit Forms(const Format& preferred) {
    const std::string usual = media_of(preferred.name);
    add(usual, preferred, 1);
    add("application/json", *find_format("goss_json"), 1);
    add("text/plain", *find_format("rspecish"), 1);
    add("text/plain;version=0.0.4", *find_format("prometheus"), 1);
    add("text/json", *find_format("goss_json"), 0.5);
    // Browsers say they like XML better than nothing in particular; people do not.
    add("application/xml", *find_format("junit"), 0.5);
    add("text/xml", *find_format("junit"), 0.5);
    add("application/junit+xml", *find_format("junit"), 0.5);
    add("text/tap", *find_format("tap"), 0.5);
    for (const Format& each : formats()) add(fmt::format("application/vnd.goss-{}", each.name), each, 0.5);
    add("application/vnd.goss-json", *find_format("goss_json"), 0.5);
  }

  /// Null if the client takes none of them.
  const Form* best(std::string_view accept) const {
    const auto found = web::best_offer(accept, offers_);
    return found ? &forms_[*found] : nullptr;
  }
  std::string names() const {
    std::vector<std::string> out;
    for (const web::Offer& each : offers_) out.push_back(each.media);
    return join(out, "\n");
  }

 private:
  void add(std::string media, const Format& format, double quality) {
    for (const web::Offer& known : offers_)
      if (known.media == media) return;
    forms_.push_back({&format, content_type(media)});
    offers_.push_back({std::move(media), quality});
  }
  std::vector<web::Offer> offers_;
  std::vector<Form> forms_;
};

web::Response sentence(int status, std::string text) {
  web::Response out;
  out.status = status;
  out.body = std::move(text) + "\n";
  out.headers.emplace_back("Cache-Control", "no-store");
  return out;
}

class Endpoint {
 public:
  Endpoint(const Options& options, const Format& format, FormatOptions how, std::chrono::milliseconds cache,
           Checks& checks, Log& log)
      : path_(options.endpoint), forms_(format), how_(how), cache_(cache), checks_(checks), log_(log) {}

  web::Response answer(const web::Request& request) {
    const auto start = Clock::now();
    web::Response out = answer_to(request);
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
    log_.info(
        fmt::format("{} {} {} {} {}", request.remote, request.method, request.path, out.status, in_seconds(took)));
    return out;
  }

 private:
  web::Response answer_to(const web::Request& request) {
    if (request.path == "/metrics") {
      const auto ended = checks_.now();
      if (!ended) return sentence(503, "no run of the checks was completed");
      web::Response out;
      out.content_type = "text/plain; version=0.0.4; charset=utf-8";
      out.headers.emplace_back("Cache-Control", "no-store");
      out.body = checks_.metrics(*ended);
      return out;
    }
    if (request.path != path_) return sentence(404, fmt::format("there is {} here, and /metrics", path_));
    web::Response out = health(request);
    out.headers.emplace_back("Vary", "Accept");
    checks_.answered(out.status);
    return out;
  }

  web::Response health(const web::Request& request) {
    const Form* form = forms_.best(request.header("accept"));
    if (form == nullptr) return sentence(406, "none of what is accepted is made here:\n" + forms_.names());
    const auto ended = checks_.now();
    if (!ended) return sentence(503, "no run of the checks was completed");
    web::Response out;
    out.status = ended->results.passed() ? 200 : 503;
    out.content_type = form->content_type;
    out.body = form->format->write(ended->results, how_);
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(cache_).count();
    if (whole == 0) {
      out.headers.emplace_back("Cache-Control", "no-store");
    } else {
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - ended->at).count();
      out.headers.emplace_back("Cache-Control", fmt::format("max-age={}", whole));
      out.headers.emplace_back("Age", fmt::format("{}", age));
    }
    return out;
  }

  const std::string path_;
  const Forms forms_;
  const FormatOptions how_;
  const std::chrono::milliseconds cache_;
  Checks& checks_;
  Log& log_;
};

Result<const Format*> format_asked(const Options& options) {
  if (options.formats.empty()) return find_format("rspecish");
  const std::string& name = options.formats.front();
  const Format* known = format_of(name);
  if (options.formats.size() == 1 && known != nullptr) return known;
  return Error{Errc::invalid,
               options.formats.size() > 1 ? std::string("--serve answers in one format by default")
                                          : fmt::format("'{}' cannot be served", printable(name)),
               {},
               "name one of Goss's with -f, without a file; clients ask for others by Accept"};
}

Status check_usage(const Options& options) {
  const auto wrong = [](std::string message, std::string hint) {
    return Error{Errc::invalid, std::move(message), {}, std::move(hint)};
  };
  if (!options.endpoint.starts_with('/'))
    return wrong(fmt::format("the endpoint '{}' does not begin with '/'", printable(options.endpoint)),
                 "write it as /healthz");
  if (options.endpoint == "/metrics") return wrong("/metrics is taken by the metrics", "choose another --endpoint");
  for (const std::string& file : options.gossfiles)
    if (file == "-") return wrong("standard input cannot be read again for every run", "name a file with -g");
  if (options.tls_certificate.empty() && !(options.tls_key.empty() && options.tls_client_ca.empty()))
    return wrong("--tls-key and --tls-client-ca are nothing without a certificate", "name it with --tls-cert");
  return ok();
}

}  // namespace

int serve_verb(const Options& options) {
  if (const auto usage = check_usage(options); !usage) return complain(usage.error(), exit_usage);
  const auto format = format_asked(options);
  if (!format) return complain(format.error(), exit_usage);
  const auto how = parse_format_options(options.format_options);
  if (!how) return complain(how.error(), exit_usage);
  const auto cache = checks::parse_duration(options.cache);
  if (!cache)
    return complain(Error{Errc::invalid,
                          fmt::format("'{}' is no duration", printable(options.cache)),
                          {},
                          "write 500ms, 5s or 1m30s; 0s runs the checks for every request"},
                    exit_usage);
  const auto root = root_of(options);
  if (!root) return complain(root.error(), exit_usage);
  Log log(log_level_of(options));
  if (options.become && options.root == "/" && geteuid() != 0) return complain(become_root(options), exit_failed);
  Checks checks(options, *root, *how, *cache, log);
  if (const int code = checks.begin(); code != exit_ok) return code;
  Endpoint endpoint(options, **format, *how, *cache, checks, log);
  catch_interrupts();
  web::Listen listen;
  listen.address = options.serve;
  listen.warn = [&log](const std::string& text) { log.warning(text); };
  if (!options.tls_certificate.empty())
    listen.tls = web::Tls{options.tls_certificate, options.tls_key, options.tls_client_ca};
  const auto server = web::Server::start(std::move(listen),
                                         [&endpoint](const web::Request& request) { return endpoint.answer(request); });
  if (!server) return complain(server.error(), server.error().code == Errc::invalid ? exit_usage : exit_failed);
  fmt::print("serving {}{} and /metrics\n", (*server)->url(), options.endpoint);
  (void)std::fflush(stdout);
  wait_for_interrupt();
  (*server)->stop();
  return exit_ok;
}

}  // namespace converge::cli
