// Functions of templates: truth, comparison, and what is there and what is not.
#include <fmt/format.h>

#include "core/text.h"
#include "spec/functions_internal.h"

namespace converge::spec {
namespace {

bool both_numbers(const Value& a, const Value& b) {
  const auto numeric = [](const Value& value) { return value.integer() != nullptr || value.number() != nullptr; };
  return numeric(a) && numeric(b);
}

Result<bool> equal(const Value& a, const Value& b) {
  if (a.kind() == b.kind() || a.is_null() || b.is_null()) return a.same_as(b);
  if (both_numbers(a, b)) return *number_of(a) == *number_of(b);
  return invalid(fmt::format("cannot compare {} with {}", shown(a), shown(b)), "convert one: 'int' or 'toString'");
}

Result<bool> less(const Value& a, const Value& b) {
  if (a.integer() != nullptr && b.integer() != nullptr) return *a.integer() < *b.integer();
  if (both_numbers(a, b)) return *number_of(a) < *number_of(b);
  if (a.string() != nullptr && b.string() != nullptr) return *a.string() < *b.string();
  return invalid(fmt::format("cannot compare {} with {}", shown(a), shown(b)), "convert one: 'int' or 'toString'");
}

Outcome eq(Arguments args, Budget&) {
  for (std::size_t i = 1; i < args.size(); ++i) {
    const Result<bool> same = equal(*args[0], *args[i]);
    if (!same) return same.error();
    if (*same) return flag(true);
  }
  return flag(false);
}
Outcome ne(Arguments args, Budget&) {
  const Result<bool> same = equal(*args[0], *args[1]);
  if (!same) return same.error();
  return flag(!*same);
}
template <bool swapped, bool negated>
Outcome order(Arguments args, Budget&) {
  const Result<bool> below = swapped ? less(*args[1], *args[0]) : less(*args[0], *args[1]);
  if (!below) return below.error();
  return flag(*below != negated);
}
Outcome not_(Arguments args, Budget&) { return flag(!is_true(*args[0])); }
/// `and` and `or` stop at the deciding argument: the evaluator gives them none after it.
template <bool wanted>
Outcome deciding(Arguments args, Budget&) {
  for (const Value* arg : args)
    if (is_true(*arg) == wanted) return *arg;
  return *args.back();
}
Outcome deep_equal(Arguments args, Budget&) { return flag(args[0]->same_as(*args[1])); }

// --- what is there and what is not ----------------------------------------------------------------------------------

Outcome default_(Arguments args, Budget&) {
  const Value* given = args.size() == 1 ? nullptr : args[1];
  if (given != nullptr && is_true(*given)) return *given;
  // An explicit false or 0 is a value, as for Ansible's default(): only what is absent or empty is replaced.
  if (given != nullptr && (given->boolean() != nullptr || given->integer() != nullptr || given->number() != nullptr))
    return *given;
  if (args[0] == nullptr) return invalid("the default itself is not defined");
  return *args[0];
}
Outcome required(Arguments args, Budget&) {
  const Value* given = args[1];
  if (given != nullptr && !given->is_null() && !(given->string() != nullptr && given->string()->empty())) return *given;
  return invalid(args[0] == nullptr ? "a required value is not defined" : printable(args[0]->text()));
}
Outcome coalesce(Arguments args, Budget&) {
  for (const Value* arg : args)
    if (arg != nullptr && is_true(*arg)) return *arg;
  return Value();
}
Outcome defined(Arguments args, Budget&) { return flag(args[0] != nullptr); }
Outcome empty(Arguments args, Budget&) { return flag(!is_true(*args[0])); }
Outcome ternary(Arguments args, Budget&) { return is_true(*args[2]) ? *args[0] : *args[1]; }
Outcome fail(Arguments args, Budget&) { return invalid(printable(args[0]->text())); }

constexpr Function table[] = {
    {"and", 1, -1, deciding<false>, false, false},
    {"coalesce", 1, -1, coalesce, true, false},
    {"deepEqual", 2, 2, deep_equal},
    {"default", 1, 2, default_, true, false},
    {"defined", 1, 1, defined, true, false},
    {"empty", 1, 1, empty, false, false},
    {"eq", 2, -1, eq},
    {"fail", 1, 1, fail},
    {"ge", 2, 2, order<false, true>},
    {"gt", 2, 2, order<true, false>},
    {"le", 2, 2, order<true, true>},
    {"lt", 2, 2, order<false, false>},
    {"ne", 2, 2, ne},
    {"not", 1, 1, not_, false, false},
    {"or", 1, -1, deciding<true>, false, false},
    {"required", 2, 2, required, true, false},
    {"ternary", 3, 3, ternary, false, false},
};
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

std::span<const Function> logic_functions() { return table; }

}  // namespace converge::spec
