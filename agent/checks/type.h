// What a check type is: a row that says what it is called, which attributes it has, and how to look.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checks/matcher.h"
#include "spec/value.h"
#include "system/system.h"

namespace converge::checks {

class Context;

/// What an attribute holds. Options say how to look and take no matcher. size: bytes, also written as 4GiB. named: of
/// what is matched, a mapping from names to what is expected of each; each name is a property of its own.
enum class Kind { text, integer, boolean, list, stream, any, text_list, duration, size, named };

/// One attribute: the reader, the JSON schema, `converge doc` and the documents come from this.
struct Attribute {
  std::string_view name;
  Kind kind = Kind::text;
  bool matchable = true;
  std::string_view fallback;    // of an option, as written; "" for none
  std::string_view doc;         // one sentence
  bool required = false;        // of what is matched: Goss reports its absence
  std::string_view shown = {};  // the property's name in reports, where it is another
  std::string_view old = {};    // a name it had, still read
  std::string_view word = {};   // what may stand for a size: "unlimited"
};

/// One resource of a gossfile, as a type is asked about it.
class Asked {
 public:
  using Options = std::vector<std::pair<const Attribute*, spec::Value>>;
  Asked() = default;
  Asked(std::string id, std::string_view key, Options options, std::span<const Attribute> attributes,
        std::shared_ptr<const std::vector<std::string>> wanted)
      : id_(std::move(id)),
        key_(key),
        options_(std::move(options)),
        attributes_(attributes),
        wanted_(std::move(wanted)) {}

  /// What is looked at: the attribute that overrides the key in the file, or that key.
  std::string subject() const;
  /// The same questions about another subject.
  Asked about(std::string subject) const;
  std::string text(std::string_view name) const;  // as written, or its fallback
  std::int64_t integer(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::chrono::milliseconds timeout(std::string_view name = "timeout") const;
  std::vector<std::string> texts(std::string_view name) const;
  const spec::Value* raw(std::string_view name) const;  // null when absent
  /// The matchable attributes that are asked for, by name, in the order of the table; of a named one "files.cpu.max".
  const std::vector<std::string>& wanted() const { return *wanted_; }
  bool wants(std::string_view name) const;
  /// The name inside `wanted` if it is of the named attribute `attribute`: "cpu.max"; nullopt otherwise.
  static std::optional<std::string> name_in(std::string_view wanted, std::string_view attribute);
  const std::string& id() const { return id_; }

 private:
  const Attribute* attribute(std::string_view name) const;
  std::string id_;
  std::string_view key_;
  Options options_;
  std::span<const Attribute> attributes_;
  std::shared_ptr<const std::vector<std::string>> wanted_;  // never null once asked; the same for many
  std::optional<std::string> subject_;
};

/// What was seen of an attribute. `detail` is told with a verdict other than pass: why it is so, and who can mend it.
struct Sight {
  std::string name;
  Actual actual;
  std::string detail;
  Sight(std::string of, Actual seen, std::string why = {})
      : name(std::move(of)), actual(std::move(seen)), detail(std::move(why)) {}
};
/// What was seen of the attributes that were asked for. An Error for all of them: the look itself failed.
using Looked = std::vector<Sight>;

/// What a look will ask the host's programs and service manager, ahead of time.
struct Foresight {
  std::vector<Command> queries;
  std::vector<std::string> units;
};

struct CheckType {
  std::string_view name;     // "kernel-param", the key in a gossfile
  std::string_view shown;    // "KernelParam", Goss's name in reports
  std::string_view summary;  // one line
  std::string_view key;      // the attribute that overrides the id; "" if there is none
  std::span<const Attribute> attributes;
  std::string_view example = {};  // a few lines of a gossfile
  bool first_decides = false;     // the first attribute false, failed or unknown: the others are left out
  Looked (*look)(const Asked&, Context&, const SystemView&) = nullptr;
  Foresight (*foresee)(const Asked&, const Context&) = nullptr;  // may be null
  void (*announce)(const Asked&, Context&) = nullptr;            // may be null; before the first look of a run
  /// Where its subject can stand for several: those that are there; nullopt where it stands for itself. May be null.
  Result<std::optional<std::vector<std::string>>> (*expand)(const Asked&, Context&, const SystemView&) = nullptr;
  /// The mistakes in its options that only it can see; may be null.
  Status (*accept)(const Asked&) = nullptr;
};

/// All types, by name.
std::span<const CheckType> check_types();
const CheckType* find_check_type(std::string_view name);
/// The attributes every type has (title, meta, skip, tags, severity, needs, retry_count, retry_delay).
std::span<const Attribute> common_attributes();

/// What `converge doc` prints of a type.
std::string describe(const CheckType& type);
/// A JSON Schema (draft 2020-12) of gossfiles: what it accepts is read without a mistake or a warning, but for regular
/// expressions, versions and what only the types themselves can see. Its $defs want to be at the root.
std::string gossfile_schema();

}  // namespace converge::checks
