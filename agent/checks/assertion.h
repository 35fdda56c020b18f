// An assertion: one resource of a gossfile. A probe like those of primitives, with a check for each attribute.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checks/context.h"
#include "checks/matcher.h"
#include "checks/type.h"
#include "core/check.h"
#include "core/diagnostic.h"
#include "primitives/primitive.h"

namespace converge::checks {

/// What is expected of one attribute.
struct Expectation {
  std::string_view attribute, property;  // as asked for: "linked-to", and the name reports use: "linkedto"
  Matcher matcher;
  SourcePos at;
};

/// What few assertions have.
struct Notes {
  std::string title, severity;
  spec::Value meta;
  std::vector<std::string> tags;
};

struct Assertion {
  const CheckType* type = nullptr;
  Asked asked = {{}, {}, {}, {}, {}};
  std::vector<Expectation> expectations;
  std::shared_ptr<const Notes> notes;  // null for none
  bool skip = false;
  int retries = 0;  // looks after the first that did not pass
  std::chrono::milliseconds retry_delay{1000};
  std::vector<ResourceId> needs;  // assertions before it that must pass, or it is not asked
  SourcePos at;
  std::shared_ptr<Context> context;  // of the run

  struct Judged {
    std::string property;
    SourcePos at;
    Answer answer;
    bool left_out = false;
    std::string why;  // it was left out, or what the look tells beside the answer
  };
  struct State {
    std::vector<Judged> judged;  // one for each expectation
    int looks = 1;
  };
};

/// "file:/etc/fstab"; Goss's "Type: id" is type->shown and asked.id().
ResourceId id(const Assertion& assertion);
/// Looks, again while it does not pass and retries are left. Texts are compared while they are read, so the answers are
/// already here; what could not be told is an answer of its own, never an Error for all.
Result<Assertion::State> inspect(const Assertion& assertion, const SystemView& view);
Checks compare(const Assertion& assertion, const Assertion::State& state);
Wants wants(const Assertion& assertion);
/// Its meta as JSON; "" for none.
std::string meta_of(const Assertion& assertion);

}  // namespace converge::checks
