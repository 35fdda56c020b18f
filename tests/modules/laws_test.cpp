// What holds for every module of the table, tried with the example of its own documentation on a host in memory.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "spec/yaml.h"
#include "tests/support/fake_commands.h"
#include "undo/journaling.h"
#include "undo/undo.h"

namespace converge {
namespace {

struct Recorder : Observer {
  std::vector<Step> steps;
  void begins(const std::string&, const ResourceId&) override {}
  void step(const Step& step) override { steps.push_back(step); }
  std::string text() const {
    std::string out;
    for (const Step& step : steps) {
      out += std::string(name_of(step.outcome)) + "  " + step.id;
      for (const Check& check : step.checks)
        if (check.verdict != Verdict::pass)
          out += "  " + check.property + " is '" + check.actual + "', not '" + check.expected + "'";
      out += (step.error ? "  " + step.error->text() : "") + "  " + step.note + "\n";
    }
    return out;
  }
  bool all_good() const {
    return std::all_of(steps.begin(), steps.end(), [](const Step& s) { return s.outcome <= Outcome::changed; });
  }
};

class Law : public testing::TestWithParam<const Module*> {
 protected:
  const Module& module() const { return *GetParam(); }

  /// The example of the module, rendered for `host`.
  std::vector<Work> work_on(const FakeSystem& host) {
    Sources sources;
    Diagnostics diagnostics;
    const Source* source = sources.add("example", std::string(module().example));
    const auto document = spec::read_yaml(*source, {}, diagnostics);
    if (!document) {
      ADD_FAILURE() << (diagnostics.empty() ? "no document" : render(diagnostics.front()));
      return {};
    }
    const spec::Value& item = document->list() != nullptr ? document->list()->front() : *document;
    const spec::Value* parameters = item.find(module().name);
    if (parameters == nullptr) {
      ADD_FAILURE() << "the example has no key '" << module().name << "'";
      return {};
    }
    const spec::Params params(*parameters, module().fields, diagnostics);
    Work work{.spec = "example", .item = std::string(module().name), .module = std::string(module().name)};
    if (params.ok()) work.rendered = module().render(params, fake_facts(host));
    for (const Diagnostic& diagnostic : diagnostics) ADD_FAILURE() << render(diagnostic);
    if (work.rendered.refusal) ADD_FAILURE() << work.rendered.refusal->text();
    EXPECT_FALSE(work.rendered.chain.empty());
    for (Declared& declared : work.rendered.chain) declared.from.at = {};  // its source ends with this function
    return {work};
  }
  bool verifiable(const std::vector<Work>& work) const {
    return std::none_of(work.front().rendered.chain.begin(), work.front().rendered.chain.end(),
                        [](const Declared& d) { return is_unverifiable(d.resource); });
  }
};

TEST_P(Law, PlanOnAFreshHostFindsWorkAndMutatesNothing) {
  FakeSystem host = fake_debian();
  const auto before = host.snapshot();
  Recorder recorder;
  const Tally tally = plan(work_on(host), host, recorder, {});
  EXPECT_GT(tally.of(Outcome::out_of_sync) + tally.of(Outcome::unknown), 0U) << recorder.text();
  EXPECT_TRUE(host.mutations().empty());
  EXPECT_EQ(host.snapshot(), before);
}

TEST_P(Law, AfterConvergeEveryCheckPassesAndASecondOneMutatesNothing) {
  FakeSystem host = fake_debian();
  const auto work = work_on(host);
  Recorder first, second, proof;
  apply(work, host, first, {});
  EXPECT_TRUE(first.all_good()) << first.text();
  host.tick();
  host.forget_mutations();
  if (verifiable(work)) {
    verify(work, host, proof, {});
    EXPECT_TRUE(proof.all_good()) << proof.text();
    const Tally again = apply(work, host, second, {});
    EXPECT_EQ(again.of(Outcome::changed), 0U) << second.text();
    EXPECT_TRUE(host.mutations().empty()) << testing::PrintToString(host.mutations());
  }
}

/// Runs with the n-th mutation spoilt, for every n; then again without the fault.
template <class Spoil>
void heals_after(const std::vector<Work>& work, Spoil&& spoil) {
  for (int n = 1; n < 200; ++n) {
    FakeSystem host = fake_debian();
    spoil(host, n);
    Recorder broken, healed, proof;
    try {
      apply(work, host, broken, {});
    } catch (const ProcessDied&) {
    }
    const bool beyond_the_last = broken.all_good() && !broken.steps.empty();
    host.clear_faults();
    host.tick();
    apply(work, host, healed, {});
    ASSERT_TRUE(healed.all_good()) << "after mutation " << n << "\n" << broken.text() << "then\n" << healed.text();
    verify(work, host, proof, {});
    ASSERT_TRUE(proof.all_good()) << "after mutation " << n << "\n" << proof.text();
    for (const auto& [path, what] : host.snapshot())
      ASSERT_EQ(path.find(".converge-"), std::string::npos) << "left behind after mutation " << n << ": " << path;
    if (beyond_the_last) return;
  }
  FAIL() << "it never ran out of mutations";
}

TEST_P(Law, AFailureAtAnyMutationHealsOnTheNextRun) {
  const auto work = work_on(fake_debian());
  if (!verifiable(work)) return;
  heals_after(work, [](FakeSystem& host, int n) { host.fail_mutation(n); });
}

TEST_P(Law, DyingAtAnyMutationHealsOnTheNextRun) {
  const auto work = work_on(fake_debian());
  if (!verifiable(work)) return;
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 200);
    FakeSystem host = fake_debian();
    host.die_at_mutation(n);
    Recorder broken, healed;
    bool died = false;
    try {
      apply(work, host, broken, {});
    } catch (const ProcessDied&) {
      died = true;
    }
    host.clear_faults();
    host.tick();
    apply(work, host, healed, {});
    ASSERT_TRUE(healed.all_good()) << "after dying at mutation " << n << "\n" << healed.text();
    for (const auto& [path, what] : host.snapshot())
      ASSERT_EQ(path.find(".converge-"), std::string::npos) << "left behind after dying at " << n << ": " << path;
    if (!died) return;
  }
}

TEST_P(Law, WhatItMadeIsMissedWhenItIsGone) {
  FakeSystem host = fake_debian();
  const auto before = host.snapshot();
  const auto work = work_on(host);
  if (!verifiable(work)) return;
  Recorder recorder;
  apply(work, host, recorder, {});
  for (const auto& [path, what] : host.snapshot()) {
    if (before.contains(path) || path.starts_with("/proc/") || path.starts_with("/sys/") || path.starts_with("/run/"))
      continue;
    FakeSystem broken = host;
    broken.erase(path);
    Recorder proof;
    verify(work, broken, proof, {});
    EXPECT_FALSE(proof.all_good()) << path << " is gone and nobody missed it\n" << proof.text();
  }
}

struct InMemory : undo::Sink {
  std::string pieces;
  Status add(std::string_view piece) override {
    pieces += piece;
    return ok();
  }
};

/// What undo has to put back: every path, and what the service manager says of the units there were.
std::map<std::string, std::string> world(const FakeSystem& host, const std::map<std::string, std::string>* units_of) {
  auto out = host.snapshot();
  for (const auto& [name, properties] : host.units) {
    if (units_of != nullptr && !units_of->contains("unit " + name)) continue;
    std::string& text = out["unit " + name];
    for (const auto& [key, value] : properties)
      if (key != "ActiveEnterTimestamp" && key != "SubState") text += key + "=" + value + "\n";
  }
  return out;
}

/// A host, what it was, and the journal of the run that changes it.
struct Journaled {
  FakeSystem host = fake_debian();
  std::map<std::string, std::string> before = world(host, nullptr);
  InMemory kept;
  Recorder steps;
  bool died = false;

  void converge(const std::vector<Work>& work) {
    undo::JournalingSystem journaling(host);
    journaling.keep_in(kept, {.uid = "0123456789abcdef", .host = "CoulombCore", .root = "/"});
    try {
      apply(work, journaling, steps, {});
    } catch (const ProcessDied&) {
      died = true;
    }
    EXPECT_FALSE(journaling.problem());
    host.clear_faults();
    host.tick();
  }
  undo::Journal journal() const {
    auto read = undo::read_journal(kept.pieces);
    EXPECT_EQ(read ? read->whole : 0, kept.pieces.size());
    return read ? *std::move(read) : undo::Journal{};
  }
  undo::Undone put_back(Recorder& said) { return undo::undo(journal(), {}, host, said); }
  /// As the report asks the operator to.
  void restart_what_goes_on(const std::vector<std::string>& left) {
    for (const std::string& what : left) {
      const auto end = what.find(" was told to restart");
      if (end == std::string::npos) continue;
      EXPECT_TRUE(host.run({.argv = {"systemctl", "restart", what.substr(0, end)}}));
    }
  }
  void expect_as_before() const {
    const auto now = world(host, &before);
    for (const auto& [name, what] : before) EXPECT_EQ(now.contains(name) ? now.at(name) : "nothing", what) << name;
    for (const auto& [name, what] : now) EXPECT_TRUE(before.contains(name)) << name << " is left: " << what;
  }
};

bool knows_all(const undo::Undone& undone) {
  return std::none_of(undone.left.begin(), undone.left.end(),
                      [](const std::string& what) { return what.find("nobody knows") != std::string::npos; });
}

TEST_P(Law, UndoPutsEveryByteBack) {
  const auto work = work_on(fake_debian());
  Journaled run;
  run.converge(work);
  ASSERT_TRUE(run.steps.all_good()) << run.steps.text();
  Recorder said;
  const undo::Undone undone = run.put_back(said);
  EXPECT_TRUE(said.all_good()) << said.text();
  if (!knows_all(undone)) return;
  EXPECT_GT(undone.tally.of(Outcome::changed), 0U);
  run.restart_what_goes_on(undone.left);
  run.expect_as_before();
  Recorder again;
  run.host.forget_mutations();
  EXPECT_EQ(run.put_back(again).tally.of(Outcome::changed), 0U) << again.text();
}

TEST_P(Law, ARunThatChangesNothingKeepsNothing) {
  const auto work = work_on(fake_debian());
  if (!verifiable(work)) return;
  Journaled run;
  run.converge(work);
  run.kept.pieces.clear();
  run.converge(work);
  EXPECT_EQ(run.kept.pieces, "");
}

TEST_P(Law, ARunThatDiedIsUndoneAsFarAsItGot) {
  const auto work = work_on(fake_debian());
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 200);
    Journaled run;
    run.host.die_at_mutation(n);
    run.converge(work);
    if (run.kept.pieces.empty()) continue;
    Recorder said;
    const undo::Undone undone = run.put_back(said);
    ASSERT_TRUE(said.all_good()) << "dead at " << n << "\n" << said.text();
    if (!knows_all(undone)) return;
    run.restart_what_goes_on(undone.left);
    run.expect_as_before();
    if (!run.died) return;
  }
}

TEST_P(Law, AnUndoThatDiedIsCompletedByTheNext) {
  const auto work = work_on(fake_debian());
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 200);
    Journaled run;
    run.converge(work);
    run.host.die_at_mutation(n);
    Recorder broken, said;
    bool died = false;
    try {
      run.put_back(broken);
    } catch (const ProcessDied&) {
      died = true;
    }
    run.host.clear_faults();
    const undo::Undone undone = run.put_back(said);
    ASSERT_TRUE(said.all_good()) << "dead at " << n << "\n" << said.text();
    if (!knows_all(undone)) return;
    run.restart_what_goes_on(undone.left);
    run.expect_as_before();
    if (!died) return;
  }
}

TEST_P(Law, UndoTouchesNothingWhenSomebodyElseHasBeenThere) {
  const auto work = work_on(fake_debian());
  Journaled run;
  run.converge(work);
  for (const undo::Subject& subject : run.journal().subjects) {
    if (subject.about != undo::Record::About::path || subject.made.empty()) continue;
    if (subject.made.back().kind != undo::State::Kind::file) continue;
    Journaled edited = run;
    const auto file = std::get<RegularFile>(edited.host.state(subject.name));
    edited.host.put_file(subject.name, edited.host.content(subject.name) + "# mine\n", file.mode, *file.owner);
    const auto before = edited.host.snapshot();
    edited.host.forget_mutations();
    Recorder said;
    const undo::Undone undone = edited.put_back(said);
    EXPECT_EQ(undone.tally.of(Outcome::failed), 1U) << said.text();
    EXPECT_NE(said.text().find("'" + subject.name + "' was changed since"), std::string::npos) << said.text();
    EXPECT_TRUE(edited.host.mutations().empty()) << testing::PrintToString(edited.host.mutations());
    EXPECT_EQ(edited.host.snapshot(), before);
  }
}

TEST_P(Law, RenderingTwiceIsTheSame) {
  const FakeSystem host = fake_debian();
  const auto ids = [](const std::vector<Work>& work) {
    std::vector<ResourceId> out;
    for (const Declared& declared : work.front().rendered.chain) out.push_back(id_of(declared.resource));
    return out;
  };
  EXPECT_EQ(ids(work_on(host)), ids(work_on(host)));
}

TEST(ModuleTable, IsSortedAndDocumented) {
  EXPECT_TRUE(std::is_sorted(modules().begin(), modules().end(),
                             [](const auto* a, const auto* b) { return a->name < b->name; }));
  EXPECT_GE(modules().size(), 13U);
  for (const Module* module : modules()) {
    EXPECT_FALSE(module->summary.empty()) << module->name;
    EXPECT_FALSE(module->example.empty()) << module->name;
    for (const spec::Field& field : module->fields)
      EXPECT_FALSE(field.doc.empty()) << module->name << "." << field.name;
    EXPECT_EQ(find_module(module->name), module);
  }
}

INSTANTIATE_TEST_SUITE_P(Modules, Law, testing::ValuesIn(modules()),
                         [](const auto& row) { return std::string(row.param->name); });

}  // namespace
}  // namespace converge
