// What the families of template functions share. Of functions*.cpp alone.
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "spec/functions.h"

namespace converge::spec {

// Each family's rows, sorted by name. What a template writes first is the first argument; what is piped is the last.
std::span<const Function> logic_functions();
std::span<const Function> text_functions();
std::span<const Function> number_functions();
std::span<const Function> list_functions();
std::span<const Function> sprig_functions();

using Outcome = Result<Value>;

inline Value text_value(std::string text) { return Value(std::move(text), {}, true); }
inline Value whole(std::int64_t number) { return Value(number); }
inline Value flag(bool truth) { return Value(truth); }
inline Value list_value(List items) { return Value(std::move(items)); }

Error invalid(std::string message, std::string hint = {});
/// What a function answers that may not take what it needs from the budget.
Error too_much();
/// "the text 'abc'", shortened and escaped: for messages.
std::string shown(const Value& value);

// An argument as the type a function wants; Errc::invalid if it is none.

/// Text of a scalar; lists and mappings where a text is wanted are mistakes.
Result<std::string> text_of(const Value& value);
Result<std::int64_t> integer_of(const Value& value);
Result<std::vector<std::int64_t>> integers(Arguments args);
Result<double> number_of(const Value& value);
Result<const List*> list_of(const Value& value);
Result<const Map*> map_of(const Value& value);

constexpr bool by_name(const Function& a, const Function& b) { return a.name < b.name; }

}  // namespace converge::spec
