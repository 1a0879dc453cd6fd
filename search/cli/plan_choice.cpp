// SPDX-License-Identifier: Apache-2.0
#include "search/cli/plan_choice.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/plan.h"

namespace mcufit {
namespace {

const std::vector<std::string> kChoices = {"fits", "layer-by-layer", "least-ram"};

Cost least_ram(const Graph& lowered, const CodeSizesForTarget& code) {
  return price(lowered, code, plan(lowered, {.mode = PlanMode::best}));
}

// Layer by layer where that fits, else the fewest calls that do, else the least RAM.
Cost that_fits(const Graph& lowered, const CodeSizesForTarget& code, std::int64_t ram_bytes) {
  Cost whole = price(lowered, code);
  if (whole.ram.total() <= ram_bytes) return whole;
  Cost least = least_ram(lowered, code);
  if (least.ram.total() > ram_bytes) return least;
  const std::int64_t others = least.ram.total() - least.ram.arena_bytes;
  Cost fewest =
      price(lowered, code, plan(lowered, {.mode = PlanMode::best, .ram_limit = ram_bytes - others}));
  return fewest.ram.total() <= ram_bytes ? fewest : least;
}

Cost chosen(const Graph& lowered, const Target& target, const std::string& choice) {
  const CodeSizesForTarget code = load_code_sizes(target);
  if (choice == "fits") return that_fits(lowered, code, derive(target, {}).ram_bytes);
  if (choice == "layer-by-layer") return price(lowered, code);
  if (choice == "least-ram") return least_ram(lowered, code);
  throw Error(ExitCode::usage, fmt::format("--plan: found '{}'; accepted: {}{}", choice, join(kChoices),
                                           did_you_mean(choice, kChoices)));
}

}  // namespace

void add_plan_option(boost::program_options::options_description& options) {
  options.add_options()(
      "plan", boost::program_options::value<std::string>()->default_value("fits"),
      "how the network runs: layer-by-layer; least-ram: groups of layers row by row; fits: "
      "layer by layer where the target's RAM holds that, else the fewest calls that it holds");
}

Cost price_as_chosen(const Graph& lowered, const Target& target, const std::string& choice,
                     const TargetLaw* law) {
  Cost cost = chosen(lowered, target, choice);
  if (law != nullptr) cost.speed = estimate_speed(lowered, *law);
  return cost;
}

}  // namespace mcufit
