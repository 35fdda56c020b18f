// How many processes a user's sessions may run, through pam_limits.
#include <fmt/format.h>

#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "nproc_limits";
constexpr std::int64_t most = 4'194'304;  // PID_MAX_LIMIT: there are no more

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "user", .kind = Kind::text, .doc = "whose sessions; root is refused", .required = true},
      {.name = "soft",
       .kind = Kind::integer,
       .doc = "the limit a session starts with; threads count",
       .required = true,
       .min = 1,
       .max = most,
       .unit = "threads"},
      {.name = "hard",
       .kind = Kind::integer,
       .doc = "how far the user may raise it; threads count",
       .required = true,
       .min = 1,
       .max = most,
       .unit = "threads"},
      {.name = "file",
       .kind = Kind::path,
       .doc = "the file its two lines are kept in: limits.conf, or one in /etc/security/limits.d",
       .fallback = "/etc/security/limits.conf"},
      {.name = "force",
       .kind = Kind::boolean,
       .doc = "set the limit even when the user runs so much that a new login would fail",
       .fallback = "false"},
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  Rendered out;
  const auto file = params.path("file");
  if (params.ok() && params.integer("soft") > params.integer("hard")) {
    params.reject("soft", fmt::format("soft {} is above hard {}", params.integer("soft"), params.integer("hard")),
                  "the hard limit is the most the soft one can be");
  }
  const bool in_directory = file.parent().str() == "/etc/security/limits.d" && file.name().ends_with(".conf");
  if (params.ok() && file.str() != "/etc/security/limits.conf" && !in_directory) {
    params.reject("file", fmt::format("pam_limits does not read '{}'", file.str()),
                  "name /etc/security/limits.conf or a *.conf file in /etc/security/limits.d");
  }
  if (params.ok() && params.text("user") == "root") {
    params.reject("user", "root's sessions are not limited", "name another user");
  }
  if (!params.ok()) return out;

  const auto name = params.text("user");
  const auto* user = facts.find_user(name);
  if (user == nullptr) {
    out.refusal =
        Error{Errc::not_found, fmt::format("there is no user '{}' on this host", name), {}, "make the user first"};
    return out;
  }
  if (user->uid == 0) {
    out.refusal =
        Error{Errc::refused, fmt::format("'{}' has uid 0, and root's sessions are not limited", name), {}, {}};
    return out;
  }
  LoginLimits limits;
  limits.user = *user;
  limits.soft = static_cast<std::uint64_t>(params.integer("soft"));
  limits.hard = static_cast<std::uint64_t>(params.integer("hard"));
  limits.file = file;
  limits.force = params.boolean("force");
  LoginLimitInEffect probe;
  probe.user = *user;
  probe.soft = limits.soft;
  probe.hard = limits.hard;
  out.chain.push_back(declare(module_name, params, "user", limits));
  out.chain.push_back(declare(module_name, params, "user", probe));
  return out;
}

}  // namespace

extern const Module nproc_limits_module;
const Module nproc_limits_module{
    .name = module_name,
    .summary = "how many processes a user's sessions may run, through pam_limits",
    .fields = fields(),
    .example = "nproc_limits:\n  user: tegwick\n  soft: 512\n  hard: 1024\n",
    .render = render,
};

}  // namespace converge
