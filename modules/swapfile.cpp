// A swap file: made, in use, in /etc/fstab, and how readily the kernel uses it.
#include <fmt/format.h>

#include "modules/module.h"

namespace converge {
namespace {

constexpr std::string_view module_name = "swapfile";
constexpr std::uint64_t least_pages = 10;  // mkswap(8) makes none smaller

const std::vector<spec::Field>& fields() {
  using spec::Kind;
  static const std::vector<spec::Field> table{
      {.name = "path", .kind = Kind::path, .doc = "where the swap file is", .fallback = "/swapfile"},
      {.name = "size",
       .kind = Kind::size,
       .doc = "its size, rounded down to whole pages; required unless state is absent",
       .unit = "bytes"},
      {.name = "swappiness",
       .kind = Kind::integer,
       .doc = "vm.swappiness, now and at boot; left alone when not given",
       .min = 0,
       .max = 200},
      {.name = "priority",
       .kind = Kind::integer,
       .doc = "swap priority, higher is used first; the kernel's choice when not given",
       .min = 0,
       .max = 32767},
      {.name = "reserve",
       .kind = Kind::size,
       .doc = "what must stay free on its file system; 1 GiB or 5 %, whichever is more, when not given",
       .unit = "bytes"},
      {.name = "sysctl_file",
       .kind = Kind::path,
       .doc = "the file that sets vm.swappiness at boot",
       .fallback = "/etc/sysctl.d/90-converge-swap.conf"},
      {.name = "state",
       .kind = Kind::text,
       .doc = "absent: out of use, out of /etc/fstab, removed",
       .fallback = "present",
       .choices = {"present", "absent"}},
  };
  return table;
}

Rendered render(const spec::Params& params, const Facts& facts) {
  Rendered out;
  const auto add = [&](std::string_view key, Resource resource) {
    out.chain.push_back(declare(module_name, params, key, std::move(resource)));
  };
  const auto path = params.path("path");
  const auto file = params.path("sysctl_file");
  const bool absent = params.text("state") == "absent";
  if (path.str() == "/") params.reject("path", "'/' is no name for a file");
  if (file.parent().str() != "/etc/sysctl.d" || !file.name().ends_with(".conf")) {
    params.reject("sysctl_file", fmt::format("'{}' is not read at boot", file.str()),
                  "name a *.conf file in /etc/sysctl.d");
  }
  if (absent) {
    if (!params.ok()) return out;
    Swap swap;
    swap.path = path;
    swap.absent = true;
    FstabEntry entry;
    entry.spec = path.str();
    entry.absent = true;
    // swapoff first: while it is refused, nothing is to change.
    add("state", swap);
    add("state", entry);
    File sysctl_file{.place = file};
    sysctl_file.absent = true;
    add("state", sysctl_file);
    return out;
  }

  if (!params.has("size")) {
    params.reject("size", "'size' is required", "write size: 4GiB");
    return out;
  }
  const auto page = facts.page_size == 0 ? 4096 : facts.page_size;
  const auto size = params.size("size");
  if (params.ok() && size.count < least_pages * page) {
    params.reject("size", fmt::format("'{}' is too small for swap", size.text()),
                  fmt::format("{} pages of {} bytes are the least", least_pages, page));
  }
  if (params.ok() && size.count / page > std::uint64_t{1} << 32U) {
    params.reject("size", fmt::format("'{}' is more than a swap file can have", size.text()));
  }
  if (!params.ok()) return out;

  const auto priority = params.maybe_integer("priority");
  Swap swap;
  swap.path = path;
  swap.size = size;
  if (priority) swap.priority = static_cast<int>(*priority);
  if (params.has("reserve")) swap.reserve = params.size("reserve");
  add("size", swap);
  // Only now: that the kernel took the file is the proof that the next boot can.
  FstabEntry entry;
  entry.spec = path.str();
  entry.priority = swap.priority;
  add("path", entry);
  // OpenRC reads /etc/fstab in a service; Debian's has the scripts of sysvinit, which do it while checking the root.
  if (facts.init == "openrc")
    add("path", Service{.name = "swap", .enabled = true, .early = true, .instead = {"checkroot.sh"}});
  if (const auto swappiness = params.maybe_integer("swappiness")) {
    File sysctl_file{.place = file};
    sysctl_file.content = fmt::format("vm.swappiness = {}\n", *swappiness);
    add("swappiness", sysctl_file);
    Sysctl sysctl;
    sysctl.key = "vm.swappiness";
    sysctl.value = fmt::format("{}", *swappiness);
    sysctl.file = file;
    add("swappiness", sysctl);
    if (facts.init == "openrc")
      add("swappiness", Service{.name = "sysctl", .enabled = true, .early = true, .instead = {"procps"}});
  }
  SwapInEffect probe;
  probe.path = path;
  probe.size = size;
  add("size", probe);
  return out;
}

}  // namespace

extern const Module swapfile_module;
const Module swapfile_module{
    .name = module_name,
    .summary = "a swap file: made, in use, in /etc/fstab, and how readily the kernel uses it",
    .fields = fields(),
    .example = "swapfile:\n  path: /swapfile\n  size: 4GiB\n  swappiness: 10\n",
    .render = render,
};

}  // namespace converge
