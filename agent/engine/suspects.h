// Who or what may have changed something: what the host itself still knows. Testimony, not proof.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/finding.h"
#include "system/system.h"

namespace converge {

/// Looks for evidence between two moments of the host's clock; each source is read once, when it is first asked for.
/// What cannot be read is left out: it would prove nothing.
class Witnesses {
 public:
  Witnesses(const SystemView& view, Timestamp after, Timestamp until) : view_(view), after_(after), until_(until) {}

  /// The files the finding names that were edited then, by mtime; the packages unpacked then that own one of them, or
  /// that only happened to be (dpkg: /var/lib/dpkg/info, apk: its database); what was run by sudo(8), by the journal:
  /// the program, its caller and those of its words that name one of the files. At most eight.
  std::vector<Suspect> of(const Finding& finding);

 private:
  struct Package {
    std::string name;
    Timestamp unpacked;
    std::set<std::string> files;  // it owns
  };
  struct Call {
    Timestamp when;
    std::string who, command;
  };
  bool was_within(Timestamp file_time) const;
  const std::vector<Package>& packages();
  const std::vector<Call>& calls();

  const SystemView& view_;
  Timestamp after_, until_;
  std::optional<std::vector<Package>> packages_;
  std::optional<std::vector<Call>> calls_;
};

/// The files a finding is about: named by its resource, and by what was said of it.
std::vector<AbsPath> files_of(const Finding& finding);

}  // namespace converge
