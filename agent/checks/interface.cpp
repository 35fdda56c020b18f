#include <fmt/format.h>

#include "checks/looking.h"
#include "core/text.h"

namespace converge::checks {

using spec::Value;

namespace {

constexpr Attribute attributes[] = {
    {"name", Kind::text, false, "", "the interface, when the key is another name"},
    {"exists", Kind::boolean, true, "", "whether there is such an interface", true},
    {"addrs", Kind::list, true, "", "its addresses, as 192.0.2.1/24"},
    {"mtu", Kind::integer, true, "", "its MTU in bytes"},
};

Actual mtu_of(const std::string& name, const SystemView& view) {
  const auto path = AbsPath::parse("/sys/class/net/" + name + "/mtu");
  if (!path) return path.error();
  std::string text;
  const auto read = view.stream(*path, [&](std::string_view piece) {
    text += piece;
    return text.size() < 64;
  });
  if (!read) return read.error();
  std::int64_t mtu = 0;
  if (!*read || !parse_number(trim(text), mtu)) return Error{Errc::unparsable, "its MTU cannot be read", {}, {}};
  return Value(mtu);
}

Looked look(const Asked& asked, Context& context, const SystemView& view) {
  const auto& all = context.interfaces(view);
  if (!all) return all_unknown(asked, all.error());
  const NetworkInterface* found = nullptr;
  for (const auto& each : *all)
    if (each.name == asked.subject()) found = &each;
  Looked out;
  for (const auto& name : asked.wanted()) {
    if (name == "exists")
      out.emplace_back(name, Value(found != nullptr));
    else if (found == nullptr)
      out.emplace_back(name, Nothing{"no such interface"});
    else if (name == "addrs")
      out.emplace_back(name, list_value(found->addresses));
    else
      out.emplace_back(name, mtu_of(found->name, view));
  }
  return out;
}

}  // namespace

CheckType interface_check() {
  CheckType type{"interface", "Interface", "a network interface", "name", attributes};
  type.first_decides = true;
  type.look = look;
  return type;
}

}  // namespace converge::checks
