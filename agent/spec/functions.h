// The functions of templates: a table of rows. Pure: nothing here reads a clock, an environment, or makes a secret.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "spec/value.h"

namespace converge::spec {

/// What one evaluation may still use. A function that makes more than it is given takes from it first.
struct Budget {
  std::size_t steps = 100'000;
  std::size_t bytes = 4U << 20U;  // of all texts made; the output alone may have 1 MiB
  bool spent = false;
  bool take_steps(std::size_t count) { return take(steps, count); }
  bool take_bytes(std::size_t count) { return take(bytes, count); }

 private:
  bool take(std::size_t& left, std::size_t count) {
    if (count > left) {
      left = 0;
      spent = true;
      return false;
    }
    left -= count;
    return true;
  }
};

/// Arguments in the order written, a piped value last. A null pointer is an undefined name; only functions that say so
/// in their row are given one.
using Arguments = std::span<const Value* const>;

struct Function {
  std::string_view name;
  int min = 0, max = 0;  // how many arguments; max < 0: any number
  Result<Value> (*run)(Arguments, Budget&) = nullptr;
  bool takes_undefined = false;
  bool copies = true;  // its result may hold its arguments: what they weigh is charged
};

/// Null if there is none of this name.
const Function* find_function(std::string_view name);
/// Why a name that Sprig has is none here ("makes another value on every run, ..."); empty if it is simply unknown.
std::string_view refusal_of(std::string_view name);
std::vector<std::string> function_names();

/// Go's truth: false, 0, "", null and empty collections are not.
bool is_true(const Value& value);

}  // namespace converge::spec
