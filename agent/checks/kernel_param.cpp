#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the parameter, when the key is another name"},
    {"value", Kind::text, true, "", "its value now, without blanks around it", true},
};

/// sysctl(8): when the first separator is a '/', dots are part of the names.
std::string file_of(std::string name) {
  const auto first = name.find_first_of("./");
  const bool slashes = first != std::string::npos && name[first] == '/';
  for (char& c : name) {
    if (slashes) break;
    c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  return "/proc/sys/" + name;
}

Looked look(const Asked& asked, Context& /*context*/, const SystemView& view) {
  const auto path = AbsPath::parse(file_of(asked.subject()));
  if (!path) return all_unknown(asked, path.error());
  auto seen = view.read(*path, 64_KiB);
  if (!seen) return all_unknown(asked, seen.error());
  // A key the kernel does not have is an answer: its value is nothing.
  if (!std::holds_alternative<RegularFile>(seen->state))
    return {{"value", Nothing{"not there", "could not find the given key"}}};
  return {{"value", Value(std::string(trim(seen->content)))}};
}

}  // namespace

CheckType kernel_param_check() {
  CheckType type{"kernel-param", "KernelParam", "a parameter of the running kernel (sysctl)", "name", attributes};
  type.look = look;
  return type;
}

}  // namespace converge::checks
