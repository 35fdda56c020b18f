// A kernel parameter, now and after every boot.
#include "core/text.h"
#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "sysctl";

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "key", .kind = Kind::text, .doc = "as in sysctl.d(5): vm.swappiness or vm/swappiness", .required = true},
      {.name = "value", .kind = Kind::text, .doc = "as the kernel takes it", .required = true},
      {.name = "file",
       .kind = Kind::path,
       .doc = "what sets it at boot, owned whole; 90-converge-KEY.conf in /etc/sysctl.d if absent"},
  };
  return table;
}

bool is_key(std::string_view key) {
  const bool spelled = key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@") ==
                       std::string_view::npos;
  return spelled && !key.empty() && key.front() != '-' && key.front() != '.' && key.front() != '/' &&
         key.back() != '.' && key.back() != '/' && key.find("..") == std::string_view::npos &&
         key.find("//") == std::string_view::npos && key.find_first_of("./") != std::string_view::npos;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  if (!params.ok()) return {};
  const std::string key = params.text("key");
  const std::string value(trim(params.text("value")));
  if (!is_key(key)) params.reject("key", "'" + key + "' is no key of sysctl(8)", "write it as in: sysctl -a");
  if (value.empty()) params.reject("value", "a kernel parameter needs a value", {});
  if (value.find('#') != std::string::npos)
    params.reject("value", "'" + value + "' holds a '#', which some readers take for a comment", {});
  std::string name = key;
  for (char& c : name)
    if (c == '/' || c == '.') c = '-';
  AbsPath file("/etc/sysctl.d/90-converge-" + name + ".conf");
  if (params.has("file")) {
    file = params.path("file");
    if (file.parent().str() != "/etc/sysctl.d" || !file.name().ends_with(".conf"))
      params.reject("file", "'" + file.str() + "' is not read at boot", "name a *.conf file in /etc/sysctl.d");
  }
  if (!params.ok()) return {};
  File written{.place = file, .content = "# Kept by converge.\n" + key + " = " + value + "\n"};
  Sysctl parameter{.key = key, .value = value, .file = file};
  Rendered out{{declare(module_name, params, "key", std::move(written)),
                declare(module_name, params, "value", std::move(parameter))},
               std::nullopt};
  // OpenRC reads the file in a service; Debian's has the script of sysvinit.
  if (facts.init == "openrc") {
    Service at_boot{.name = "sysctl", .enabled = true, .early = true, .instead = {"procps"}};
    out.chain.push_back(declare(module_name, params, "file", std::move(at_boot)));
  }
  return out;
}

}  // namespace

extern const Module sysctl_module;
const Module sysctl_module{
    .name = module_name,
    .summary = "a kernel parameter, in effect now and after every boot",
    .fields = fields(),
    .example = "sysctl:\n  key: vm.swappiness\n  value: 10\n",
    .render = render,
};

}  // namespace converge
