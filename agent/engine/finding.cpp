#include "engine/finding.h"

namespace converge {

bool Testimony::is_about(const Finding& finding) const {
  return finding.item == item && finding.resource == resource && finding.property == property;
}

bool was_looked_at(const Step& step) { return step.outcome != Outcome::skipped && step.outcome != Outcome::blocked; }

std::vector<Finding> findings_of(const std::string& host, const Step& step, Timestamp when) {
  std::vector<Finding> out;
  const auto add = [&]() -> Finding& {
    Finding& finding = out.emplace_back();
    finding.host = host;
    finding.item = step.item;
    finding.resource = step.id;
    finding.at = step.at;
    finding.out_since = finding.began = when;
    return finding;
  };
  if (!was_looked_at(step)) return out;
  for (const Check& check : step.checks) {
    if (check.verdict != Verdict::fail && check.verdict != Verdict::unknown) continue;
    Finding& finding = add();
    finding.property = check.property;
    finding.unknown = check.verdict == Verdict::unknown;
    finding.expected = check.expected;
    finding.actual = check.actual;
    finding.detail = check.detail;
  }
  const bool bad =
      step.outcome == Outcome::unknown || step.outcome == Outcome::failed || step.outcome == Outcome::out_of_sync;
  if (!bad || !out.empty()) return out;
  Finding& whole = add();
  whole.unknown = step.outcome == Outcome::unknown;
  whole.detail = step.error ? step.error->text() : step.note;
  return out;
}

}  // namespace converge
