#include "primitives/probe_image.h"

#include <fmt/format.h>

#include "core/text.h"
#include "primitives/service_look.h"

namespace converge {
namespace {

constexpr std::chrono::milliseconds pull_deadline{5 * 60'000};

Result<CommandOutput> ask(const ImagePull& p, std::vector<std::string> words, std::chrono::milliseconds deadline,
                          const SystemView& view) {
  Command command{.argv = p.crictl, .deadline = deadline};
  command.argv.insert(command.argv.end(), std::make_move_iterator(words.begin()), std::make_move_iterator(words.end()));
  return view.query(command);
}

}  // namespace

ResourceId id(const ImagePull& p) { return "pull:" + p.image; }

Result<ImagePull::State> inspect(const ImagePull& p, const SystemView& view) {
  constexpr std::chrono::milliseconds short_deadline{30'000};
  ImagePull::State state;
  for (const std::string& unit : p.units) {
    auto look = look_at_service(view, unit);
    if (!look) return std::move(look).error();
    state.runs = state.runs || look->state == "active";
  }
  if (!state.runs) return state;
  auto before = ask(p, {"inspecti", "-q", p.image}, short_deadline, view);
  if (!before) return std::move(before).error();
  state.was_there = before->exit_code == 0;
  auto pull = ask(p, {"pull", p.image}, pull_deadline, view);
  if (!pull && pull.error().code == Errc::timeout) {
    state.said = pull.error().message;
    return state;
  }
  if (!pull) return std::move(pull).error();
  state.pulled = pull->exit_code == 0;
  if (!state.pulled) state.said = std::string(trim(pull->err));
  if (state.pulled && !state.was_there) {
    // Not the question that was asked: an image that stays is no reason to doubt the pull.
    (void)ask(p, {"rmi", p.image}, short_deadline, view);
  }
  return state;
}

Checks compare(const ImagePull& p, const ImagePull::State& state) {
  const auto& [image, crictl, units] = p;
  (void)image, (void)crictl;
  const auto& [runs, pulled, was_there, said] = state;
  if (!runs)
    return {
        check_skipped("pull", "pulled", fmt::format("{} does not run here", units.empty() ? "k3s" : units.front()))};
  Check check = check_that("pull", pulled, "pulled", pulled ? "pulled" : "not pulled");
  if (!pulled) check.detail = said;
  if (pulled && was_there) check.detail = "it was there already: only its name was asked for";
  return {std::move(check)};
}

}  // namespace converge
