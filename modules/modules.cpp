// The table of all modules, sorted by name: a new one is a line in each of the two lists.
#include <algorithm>

#include "modules/module.h"

namespace converge {

extern const Module block_module, command_module, directory_module, drift_timer_module, file_module,
    k3s_registries_module, line_module, nproc_limits_module, service_module, ssh_git_module, swapfile_module,
    symlink_module, sysctl_module, systemd_slice_module;

const std::vector<const Module*>& modules() {
  static const std::vector<const Module*> table{
      &block_module,          &command_module, &directory_module,    &drift_timer_module,   &file_module,
      &k3s_registries_module, &line_module,    &nproc_limits_module, &service_module,       &ssh_git_module,
      &swapfile_module,       &symlink_module, &sysctl_module,       &systemd_slice_module,
  };
  return table;
}

const Module* find_module(std::string_view name) {
  const auto& table = modules();
  const auto it = std::find_if(table.begin(), table.end(), [name](const Module* row) { return row->name == name; });
  return it == table.end() ? nullptr : *it;
}

}  // namespace converge
