// The first line is a pattern, the rest an inventory. Whatever they hold: an answer or a diagnostic, and both in time.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "spec/pattern.h"
#include "spec/variables.h"
#include "tests/fuzz/driver.h"

namespace {

using namespace converge;
using namespace converge::spec;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

const std::vector<std::string> fuzz_seeds{
    "all\nall:\n  vars: {a: 1}\n  hosts:\n    CoulombCore:\n    web[01:03]: {b: 2}\n",
    "web:&eu:!db\nall:\n  children:\n    web: {hosts: {w1: , w2: }}\n    eu: {hosts: {w1: }}\n    db: {hosts: d1}\n",
    "~w[0-9]+(a|b)?\nweb: {hosts: {w1a: }, children: {eu: {children: {de: {hosts: {w2: }}}}}}\n",
    "web[0],web[-1],web[1:]\nweb: {hosts: {'w[a:f:2]': }}\ndb: {children: {web: }}\n",
    "w[01:02]*,?[!x]\nall: {hosts: {w01: , w02: {x: &x [1, 2]}, w3: {y: *x}}}\n"};
const std::vector<std::string> fuzz_words{
    "all", "ungrouped", "hosts:", "children:", "vars:", "[0:9]",  "[01:99999]", "[a:z:5]", ":!", ":&", ",", "~",
    "*",   "?",         "[",      "]",         "(x+)+", "{1000}", ": ",         "\n",      "  ", "{",  "}", "[-1]"};

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\n');
  const std::string_view pattern = input.substr(0, end);
  const Source source{"fuzz", std::string(end == std::string_view::npos ? std::string_view{} : input.substr(end + 1))};
  Diagnostics diagnostics;
  const auto inventory = parse_inventory(source, diagnostics);
  for (const Diagnostic& diagnostic : diagnostics) require(!diagnostic.message.empty() && !render(diagnostic).empty());
  require(inventory.has_value() || !diagnostics.empty());
  if (!inventory) return 0;

  // No file of this machine is the pattern's to name.
  if (pattern.find('@') == std::string_view::npos) {
    const auto hosts = select_hosts(*inventory, pattern, FileReader{});
    require(hosts ? !hosts->empty() : !hosts.error().message.empty());
    if (hosts)
      for (const std::string& host : *hosts) require(inventory->find_host(host) != nullptr);
  }
  for (std::size_t i = 0; i < inventory->hosts.size() && i < 3; ++i) {
    const std::string& name = inventory->hosts[i].name;
    const auto groups = inventory->groups_of(name);
    require(groups.size() >= 2 && groups.front() == "all");
    require(merge_variables(*inventory, name, {}, {}).at("inventory_hostname").value().text() == name);
  }
  return 0;
}
