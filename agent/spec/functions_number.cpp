// Functions of templates: numbers and counting.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "spec/functions_internal.h"

namespace converge::spec {
namespace {

Outcome to_int(Arguments args, Budget&) {
  Result<std::int64_t> number = integer_of(*args[0]);
  if (!number) return number.error();
  return whole(*number);
}
Outcome to_float(Arguments args, Budget&) {
  Result<double> number = number_of(*args[0]);
  if (!number) return number.error();
  return Value(*number);
}

enum class Arithmetic { add, sub, mul, div, mod, max, min };
template <Arithmetic what>
Outcome arithmetic(Arguments args, Budget&) {
  Result<std::int64_t> first = integer_of(*args[0]);
  if (!first) return first.error();
  std::int64_t total = *first;
  for (std::size_t i = 1; i < args.size(); ++i) {
    Result<std::int64_t> operand = integer_of(*args[i]);
    if (!operand) return operand.error();
    const std::int64_t other = *operand;
    bool overflow = false;
    switch (what) {
      case Arithmetic::add:
        overflow = __builtin_add_overflow(total, other, &total);
        break;
      case Arithmetic::sub:
        overflow = __builtin_sub_overflow(total, other, &total);
        break;
      case Arithmetic::mul:
        overflow = __builtin_mul_overflow(total, other, &total);
        break;
      case Arithmetic::div:
      case Arithmetic::mod:
        if (other == 0) return invalid("division by zero");
        if (other == -1)  // the only quotient that can overflow
          overflow =
              what == Arithmetic::div ? __builtin_sub_overflow(std::int64_t{0}, total, &total) : (total = 0, false);
        else
          total = what == Arithmetic::div ? total / other : total % other;
        break;
      case Arithmetic::max:
        total = std::max(total, other);
        break;
      case Arithmetic::min:
        total = std::min(total, other);
        break;
    }
    if (overflow) return invalid("the result is beyond 64 bits");
  }
  return whole(total);
}
Outcome add1(Arguments args, Budget& budget) {
  const Value one(std::int64_t{1});
  const Value* both[] = {args[0], &one};
  return arithmetic<Arithmetic::add>(both, budget);
}
template <double (*change)(double)>
Outcome rounded(Arguments args, Budget&) {
  Result<double> number = number_of(*args[0]);
  if (!number) return number.error();
  return Value(change(*number));
}
double floor_of(double number) { return std::floor(number); }
double ceil_of(double number) { return std::ceil(number); }

Outcome counted(std::int64_t first, std::int64_t last, std::int64_t step, Budget& budget) {
  if (step == 0) return invalid("a step of 0 never ends");
  if ((step > 0 && first > last) || (step < 0 && first < last)) return list_value({});
  std::int64_t span = 0;
  if (__builtin_sub_overflow(last, first, &span) || step == std::numeric_limits<std::int64_t>::min()) return too_much();
  const auto count = static_cast<std::uint64_t>(span / step) + 1;
  if (!budget.take_steps(count)) return too_much();
  List items;
  items.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) items.push_back(whole(first + static_cast<std::int64_t>(i) * step));
  return list_value(std::move(items));
}
/// seq LAST, seq FIRST LAST, seq FIRST STEP LAST, as the shell's.
Outcome seq(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  const auto& n = *numbers;
  if (n.size() == 3) return counted(n[0], n[2], n[1], budget);
  const std::int64_t first = n.size() == 2 ? n[0] : 1;
  return counted(first, n.back(), n.back() < first ? -1 : 1, budget);
}
Outcome until(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  return (*numbers)[0] <= 0 ? list_value({}) : counted(0, (*numbers)[0] - 1, 1, budget);
}
Outcome until_step(Arguments args, Budget& budget) {
  const auto numbers = integers(args);
  if (!numbers) return numbers.error();
  const std::int64_t first = (*numbers)[0], stop = (*numbers)[1], step = (*numbers)[2];
  if (first == stop) return list_value({});
  std::int64_t last = 0;
  if (__builtin_sub_overflow(stop, step > 0 ? 1 : -1, &last)) return too_much();
  return counted(first, last, step, budget);
}

constexpr Function table[] = {
    {"add", 1, -1, arithmetic<Arithmetic::add>},
    {"add1", 1, 1, add1},
    {"atoi", 1, 1, to_int},
    {"ceil", 1, 1, rounded<ceil_of>},
    {"div", 2, 2, arithmetic<Arithmetic::div>},
    {"float64", 1, 1, to_float},
    {"floor", 1, 1, rounded<floor_of>},
    {"int", 1, 1, to_int},
    {"int64", 1, 1, to_int},
    {"max", 1, -1, arithmetic<Arithmetic::max>},
    {"min", 1, -1, arithmetic<Arithmetic::min>},
    {"mod", 2, 2, arithmetic<Arithmetic::mod>},
    {"mul", 1, -1, arithmetic<Arithmetic::mul>},
    {"seq", 1, 3, seq},
    {"sub", 2, 2, arithmetic<Arithmetic::sub>},
    {"until", 1, 1, until},
    {"untilStep", 3, 3, until_step},
};
static_assert(std::is_sorted(std::begin(table), std::end(table), by_name));

}  // namespace

std::span<const Function> number_functions() { return table; }

}  // namespace converge::spec
