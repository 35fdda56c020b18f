#include "spec/template_evaluator.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "spec/functions.h"

namespace converge::spec {
namespace {

using Shared = std::shared_ptr<const Value>;

/// Refers to a value that outlives the evaluation, at no cost.
Shared borrowed(const Value* value) { return Shared(std::shared_ptr<void>(), value); }
Shared part_of(const Shared& whole, const Value* part) { return Shared(whole, part); }

struct Operand {
  enum class State { ok, undefined, failed };
  enum class Space { none, top, vars, facts };
  State state = State::failed;
  Shared value;                  // if ok and of no space
  Space space = Space::none;     // the top-level dot, .Vars and .Facts are looked into, not copied
  const Expr* origin = nullptr;  // if undefined: the expression, and which of its fields (0: the name itself)
  std::size_t field = 0;
  Shared parent;  // of that field

  static Operand of(Shared value) {
    Operand out;
    out.state = State::ok;
    out.value = std::move(value);
    return out;
  }
};

/// Counts the values of a tree, stopping above `most`.
std::size_t weight(const Value& value, std::size_t most) {
  std::size_t total = 1;
  if (const List* items = value.list()) {
    for (const Value& item : *items) {
      if (total > most) break;
      total += weight(item, most - total);
    }
  } else if (const Map* entries = value.map()) {
    for (const Entry& entry : *entries) {
      if (total > most) break;
      total += weight(entry.value, most - total);
    }
  }
  return total;
}

class Evaluator {
 public:
  Evaluator(const Scope& scope, Diagnostics& diagnostics, const Locate& locate)
      : scope_(scope), diagnostics_(diagnostics), locate_(locate) {}

  /// The value of one expression; null after a diagnostic.
  Shared value_of(const Expr& expr) {
    Operand out = eval(expr);
    return require(std::move(out), expr);
  }

  bool run(const Nodes& nodes, std::string& out) {
    const std::size_t variables = variables_.size();
    for (const Node& node : nodes) {
      if (!execute(node, out)) return false;
      if (leaving_ != Leaving::no) break;
    }
    variables_.resize(variables);
    return true;
  }

 private:
  enum class Leaving { no, broken, continued };

  bool fail(std::size_t at, std::string message, std::string hint = {}) {
    diagnostics_.push_back({locate_(at), std::move(message), std::move(hint)});
    return false;
  }
  bool step(std::size_t at, std::size_t count = 1) {
    if (budget_.take_steps(count)) return true;
    return fail(at, "the template takes more than 100000 steps", "loop over less");
  }
  bool write(std::size_t at, std::string& out, std::string_view text) {
    if (out.size() + text.size() > max_template_output)
      return fail(at, "the template makes more than 1 MiB of text", "");
    out += text;
    return true;
  }

  bool execute(const Node& node, std::string& out) {
    if (node.kind == Node::Kind::text) return write(node.at, out, node.text);
    if (!step(node.at)) return false;
    switch (node.kind) {
      case Node::Kind::text:
        return true;
      case Node::Kind::output:
        return output(node, out);
      case Node::Kind::if_:
      case Node::Kind::with:
        return conditional(node, out);
      case Node::Kind::range:
        return range(node, out);
      case Node::Kind::break_:
        leaving_ = Leaving::broken;
        return true;
      case Node::Kind::continue_:
        leaving_ = Leaving::continued;
        return true;
    }
    return true;
  }

  bool output(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    if (!node.pipeline.names.empty()) {
      declare(node.pipeline, value);
      return true;
    }
    if (const std::string* text = value->string()) return write(node.at, out, *text);
    if (!charge(node.at, *value)) return false;
    return write(node.at, out, value->text());
  }

  bool charge(std::size_t at, const Value& value) {
    if (value.list() == nullptr && value.map() == nullptr) return true;
    return step(at, weight(value, budget_.steps));
  }

  void declare(const Pipeline& pipeline, const Shared& value) {
    if (pipeline.assigns) {
      for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable)
        if (variable->first == pipeline.names[0]) {
          variable->second = value;
          return;
        }
    }
    variables_.emplace_back(pipeline.names[0], value);
  }

  bool conditional(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    const std::size_t variables = variables_.size();
    if (!node.pipeline.names.empty()) declare(node.pipeline, value);
    bool fine = true;
    if (is_true(*value)) {
      const Shared outer = dot_;
      if (node.kind == Node::Kind::with) dot_ = value;
      fine = run(node.body, out);
      dot_ = outer;
    } else {
      fine = run(node.otherwise, out);
    }
    if (fine) variables_.resize(variables);
    return fine;
  }

  bool range(const Node& node, std::string& out) {
    const Shared value = value_of(node.pipeline.value);
    if (!value) return false;
    const std::size_t variables = variables_.size();
    const Shared outer = dot_;
    bool fine = true, any = false;
    const auto once = [&](const Shared& key, const Shared& element) {
      any = true;
      if (!step(node.at)) return fine = false;
      const auto& names = node.pipeline.names;
      if (names.size() == 2) set_loop_variable(node.pipeline, 0, key, variables);
      if (!names.empty()) set_loop_variable(node.pipeline, names.size() - 1, element, variables);
      dot_ = element;
      fine = run(node.body, out);
      if (fine && !node.pipeline.assigns) variables_.resize(std::min(variables_.size(), variables + names.size()));
      const bool ended = leaving_ == Leaving::broken;
      leaving_ = Leaving::no;
      return fine && !ended;
    };
    if (const List* items = value->list()) {
      for (std::size_t i = 0; i < items->size(); ++i)
        if (!once(std::make_shared<const Value>(static_cast<std::int64_t>(i)), part_of(value, &(*items)[i]))) break;
    } else if (const Map* entries = value->map()) {
      if (!step(node.at, entries->size())) return false;
      std::vector<const Entry*> order;  // by key, as Go does
      for (const Entry& entry : *entries) order.push_back(&entry);
      std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->key < b->key; });
      for (const Entry* entry : order)
        if (!once(std::make_shared<const Value>(entry->key, SourcePos{}, true), part_of(value, &entry->value))) break;
    } else if (const std::int64_t* count = value->integer()) {
      for (std::int64_t i = 0; i < *count; ++i) {
        const Shared number = std::make_shared<const Value>(i);
        if (!once(number, number)) break;
      }
    } else if (!value->is_null()) {
      return fail(node.pipeline.at, fmt::format("cannot range over a {}", value->kind()),
                  "give it a list, a mapping or a number");
    }
    dot_ = outer;
    if (fine) variables_.resize(std::min(variables_.size(), variables));
    if (fine && !any) fine = run(node.otherwise, out);
    return fine;
  }

  void set_loop_variable(const Pipeline& pipeline, std::size_t which, const Shared& value, std::size_t from) {
    const std::string& name = pipeline.names[which];
    const std::size_t first = pipeline.assigns ? 0 : from;
    for (std::size_t i = variables_.size(); i > first; --i)
      if (variables_[i - 1].first == name) {
        variables_[i - 1].second = value;
        return;
      }
    variables_.emplace_back(name, value);
  }

  // Expressions.

  Operand eval(const Expr& expr) {
    if (!step(expr.at)) return {};
    switch (expr.kind) {
      case Expr::Kind::literal:
        return Operand::of(borrowed(&expr.literal));
      case Expr::Kind::name:
        return name(expr);
      case Expr::Kind::dot:
        return dot_ ? follow(expr, dot_, 0) : top(expr);
      case Expr::Kind::root:
        return top(expr);
      case Expr::Kind::variable:
        for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable)
          if (variable->first == expr.name) return follow(expr, variable->second, 0);
        fail(expr.at, fmt::format("'${}' has no value here", expr.name));
        return {};
      case Expr::Kind::call:
        return call(expr);
      case Expr::Kind::chain: {
        Operand inner = eval(expr.args.front());
        if (inner.state != Operand::State::ok || expr.fields.empty()) return inner;
        if (inner.space != Operand::Space::none) return into(inner.space, expr, 0);
        return follow(expr, inner.value, 0);
      }
    }
    return {};
  }

  Operand undefined(const Expr& expr, std::size_t field, Shared parent) {
    Operand out;
    out.state = Operand::State::undefined;
    out.origin = &expr;
    out.field = field;
    out.parent = std::move(parent);
    return out;
  }

  /// What `find` answers. A name that is known but could not be evaluated has been reported by who evaluates it.
  Operand found(const Value* value, std::size_t reported, const Expr& expr, std::size_t field, std::size_t next) {
    if (diagnostics_.size() != reported) return {};
    if (value != nullptr) return follow(expr, borrowed(value), next);
    return undefined(expr, field, nullptr);
  }

  Operand name(const Expr& expr) {
    const std::size_t reported = diagnostics_.size();
    const Value* value = scope_.variable ? scope_.variable(expr.name) : nullptr;
    if (value == nullptr && diagnostics_.size() == reported && expr.function != nullptr && expr.function->min == 0 &&
        expr.fields.empty())
      return call(expr);
    return found(value, reported, expr, 0, 0);
  }

  /// The top-level dot: .Vars.x and .Facts.x.
  Operand top(const Expr& expr) {
    if (!expr.fields.empty()) {
      const FieldName& first = expr.fields[0];
      if (first.name == "Vars") return into(Operand::Space::vars, expr, 1);
      if (first.name == "Facts") return into(Operand::Space::facts, expr, 1);
      if (first.name == "Env" && scope_.environment && expr.fields.size() == 2) return environment(expr);
      const std::string hint = first.name == "Env"
                                   ? "templates see no environment: pass it with -e NAME=value"
                                   : fmt::format("write {{{{ {0} }}}} or {{{{ .Vars.{0} }}}}", first.name);
      fail(first.at, fmt::format("the top level has .Vars and .Facts, no '.{}'", first.name), hint);
      return {};
    }
    Operand out;
    out.state = Operand::State::ok;
    out.space = Operand::Space::top;
    return out;
  }

  /// .Env.NAME, where there is an environment.
  Operand environment(const Expr& expr) {
    const FieldName& wanted = expr.fields[1];
    auto value = scope_.environment(wanted.name);
    if (value) return Operand::of(std::make_shared<const Value>(Value(*std::move(value))));
    fail(wanted.at, fmt::format("the environment has no '{}'", wanted.name), "set it, or write getEnv NAME DEFAULT");
    return {};
  }

  Operand into(Operand::Space space, const Expr& expr, std::size_t next) {
    if (next >= expr.fields.size()) {
      Operand out;
      out.state = Operand::State::ok;
      out.space = space;
      return out;
    }
    const std::size_t reported = diagnostics_.size();
    const std::string& wanted = expr.fields[next].name;
    const Value* value = lookup(space, wanted);
    return found(value, reported, expr, next + 1, next + 1);
  }
  const Value* lookup(Operand::Space space, std::string_view wanted) const {
    const auto& find = space == Operand::Space::facts ? scope_.fact : scope_.variable;
    return find ? find(wanted) : nullptr;
  }

  Operand follow(const Expr& expr, Shared value, std::size_t next) {
    for (; next < expr.fields.size(); ++next) {
      const FieldName& field = expr.fields[next];
      if (value->map() == nullptr && !value->is_null()) {
        fail(field.at, fmt::format("a {} has no '.{}'", value->kind(), field.name),
             value->list() != nullptr ? "write index LIST 0 for an element" : "");
        return {};
      }
      const Value* part = value->find(field.name);
      if (part == nullptr) return undefined(expr, next + 1, value);
      value = part_of(value, part);
    }
    return Operand::of(std::move(value));
  }

  /// The operand's value; a diagnostic and null if it has none.
  Shared require(Operand operand, const Expr& expr) {
    if (operand.state == Operand::State::failed) return nullptr;
    if (operand.state == Operand::State::undefined) {
      report_undefined(operand);
      return nullptr;
    }
    if (operand.space != Operand::Space::none) {
      fail(expr.at, "this is all there is, not one value", "name one: .Vars.name or .Facts.name");
      return nullptr;
    }
    return std::move(operand.value);
  }

  void report_undefined(const Operand& operand) {
    const Expr& expr = *operand.origin;
    if (operand.field == 0) {
      if (expr.function != nullptr) {
        fail(expr.at, fmt::format("the function '{}' is given nothing, and no variable has its name", expr.name));
        return;
      }
      if (const std::string_view why = refusal_of(expr.name); !why.empty()) {
        fail(expr.at, fmt::format("'{}' is not available: it {}", expr.name, why),
             "write the value down as a variable");
        return;
      }
      fail(expr.at, fmt::format("'{}' is not defined", expr.name), did_you_mean(expr.name, names()));
      return;
    }
    const FieldName& field = expr.fields[operand.field - 1];
    if (!operand.parent) {
      const bool fact = expr.fields[0].name == "Facts" && expr.kind != Expr::Kind::name;
      fail(field.at, fmt::format("{}'{}' is not defined", fact ? "the fact " : "", field.name),
           fact ? "" : did_you_mean(field.name, names()));
      return;
    }
    std::vector<std::string> keys;
    if (const Map* entries = operand.parent->map())
      for (const Entry& entry : *entries) keys.push_back(entry.key);
    std::string hint = did_you_mean(field.name, keys);
    if (field.name == "Vars" || field.name == "Facts")
      hint = fmt::format("within range and with, write $.{}", field.name);
    if (hint.empty() && !keys.empty() && keys.size() <= 12) hint = "it has: " + join(keys, ", ");
    fail(field.at, fmt::format("there is no '{}' in it", field.name), std::move(hint));
  }
  std::vector<std::string> names() const { return scope_.names ? scope_.names() : std::vector<std::string>(); }

  Operand call(const Expr& expr) {
    const Function& row = *expr.function;
    const bool decides = row.name == "and" || row.name == "or";
    std::vector<Shared> kept;
    kept.reserve(expr.args.size());
    for (const Expr& arg : expr.args) {
      Operand operand = eval(arg);
      if (operand.state == Operand::State::ok && operand.space != Operand::Space::none && kept.empty())
        return call_on_space(expr, operand.space);
      if (operand.state == Operand::State::undefined && row.takes_undefined) {
        kept.emplace_back(nullptr);
        continue;
      }
      Shared value = require(std::move(operand), arg);
      if (!value) return {};
      if (row.copies && !charge(expr.at, *value)) return {};
      kept.push_back(std::move(value));
      if (decides && is_true(*kept.back()) == (row.name == "or")) return Operand::of(std::move(kept.back()));
    }
    if (decides) return Operand::of(std::move(kept.back()));
    std::vector<const Value*> args;
    args.reserve(kept.size());
    for (const Shared& value : kept) args.push_back(value.get());
    if (row.run == nullptr && !scope_.outside) {
      fail(expr.at, fmt::format("'{}' is not available: it {}", row.name, refusal_of(row.name)),
           "write the value down as a variable");
      return {};
    }
    Result<Value> made = row.run == nullptr ? scope_.outside(row.name, args) : row.run(args, budget_);
    if (!made) {
      if (budget_.bytes == 0)
        fail(expr.at, "the template makes more than 4 MiB of text on its way", "");
      else if (budget_.spent)
        step(expr.at, budget_.steps + 1);
      else
        fail(expr.at, fmt::format("{}: {}", row.name, made.error().message), made.error().hint);
      return {};
    }
    if (const std::string* text = made->string(); text != nullptr && !budget_.take_bytes(text->size())) {
      fail(expr.at, "the template makes more than 4 MiB of text on its way", "");
      return {};
    }
    return Operand::of(std::make_shared<const Value>(std::move(*made)));
  }

  /// `index .Vars "x"`, `get .Vars "x"`, `hasKey .Facts "x"`: looked up, so that nothing else has to be evaluated.
  Operand call_on_space(const Expr& expr, Operand::Space space) {
    const std::string_view what = expr.function->name;
    const bool looks = what == "index" || what == "get" || what == "hasKey";
    if (!looks || space == Operand::Space::top || expr.args.size() != 2) {
      fail(expr.at, fmt::format("'{}' cannot be given all variables at once", what), "name one: .Vars.name");
      return {};
    }
    const Shared key = value_of(expr.args[1]);
    if (!key) return {};
    const std::size_t reported = diagnostics_.size();
    const std::string wanted = key->text();
    const Value* value = lookup(space, wanted);
    if (diagnostics_.size() != reported) return {};
    if (what == "hasKey") return Operand::of(std::make_shared<const Value>(value != nullptr));
    if (value != nullptr) return Operand::of(borrowed(value));
    if (what == "get") return Operand::of(std::make_shared<const Value>(std::string(), SourcePos{}, true));
    fail(expr.args[1].at, fmt::format("'{}' is not defined", printable(wanted)),
         space == Operand::Space::vars ? did_you_mean(wanted, names()) : "");
    return {};
  }

  const Scope& scope_;
  Diagnostics& diagnostics_;
  const Locate& locate_;
  Budget budget_;
  Shared dot_;  // null at the top level
  std::vector<std::pair<std::string, Shared>> variables_;
  Leaving leaving_ = Leaving::no;
};

}  // namespace

std::shared_ptr<const Value> evaluate_expression(const Expr& expr, const Scope& scope, Diagnostics& diagnostics,
                                                 const Locate& locate) {
  return Evaluator(scope, diagnostics, locate).value_of(expr);
}

std::optional<std::string> evaluate_text(const Nodes& nodes, const Scope& scope, Diagnostics& diagnostics,
                                         const Locate& locate) {
  std::string text;
  if (!Evaluator(scope, diagnostics, locate).run(nodes, text)) return std::nullopt;
  return text;
}

}  // namespace converge::spec
