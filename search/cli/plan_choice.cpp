// SPDX-License-Identifier: Apache-2.0
#include "search/cli/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

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

// The plan with the fewest calls that fits, or else the smallest, among those that take the input row by row.
Cost rows_that_fit(const Graph& lowered, const CodeSizesForTarget& code, std::int64_t ram_bytes) {
  std::optional<Cost> chosen;
  for (FrontPoint& point : plan_front(lowered, {.input_streamed = true})) {
    if (!streams_input(point.plan)) continue;
    Cost cost = price(lowered, code, std::move(point.plan));
    if (!chosen || cost.ram.total() <= ram_bytes) chosen = std::move(cost);
  }
  if (chosen) return std::move(*chosen);
  throw Error(
      ExitCode::constraint_not_met,
      fmt::format("{}: --input rows: found no plan that needs less RAM when its input comes row by row; "
                  "try --input whole, which may be filled row by row too",
                  lowered.name));
}

Cost chosen(const Graph& lowered, const Target& target, const PlanChoice& choice) {
  const CodeSizesForTarget code = load_code_sizes(target);
  const std::int64_t ram_bytes = choice.plan == "fits" ? derive(target, {}).ram_bytes : 0;
  if (choice.input_streamed) return rows_that_fit(lowered, code, ram_bytes);
  if (choice.plan == "fits") return that_fits(lowered, code, ram_bytes);
  return choice.plan == "least-ram" ? least_ram(lowered, code) : price(lowered, code);
}

std::string accepted(const po::variables_map& options, const char* option,
                     const std::vector<std::string>& choices) {
  std::string found = options[option].as<std::string>();
  if (std::find(choices.begin(), choices.end(), found) != choices.end()) return found;
  throw Error(ExitCode::usage, fmt::format("--{}: found '{}'; accepted: {}{}", option, found, join(choices),
                                           did_you_mean(found, choices)));
}

}  // namespace

void add_plan_options(po::options_description& options) {
  options.add_options()(
      "plan", po::value<std::string>()->default_value("fits"),
      "how the network runs: layer-by-layer; least-ram: groups of layers row by row; fits: "
      "layer by layer where the target's RAM holds that, else the fewest calls that it holds")(
      "input", po::value<std::string>()->default_value("whole"),
      "how the sender delivers the input: whole, or rows, one after the other as they are asked for");
}

PlanChoice read_plan_options(const po::variables_map& options) {
  PlanChoice choice{accepted(options, "plan", kChoices),
                    accepted(options, "input", {"whole", "rows"}) == "rows"};
  if (!choice.input_streamed || choice.plan != "layer-by-layer") return choice;
  throw Error(
      ExitCode::usage,
      "--input rows: found --plan layer-by-layer, which needs the input whole; accepted: --plan fits, "
      "--plan least-ram");
}

Cost price_as_chosen(const Graph& lowered, const Target& target, const PlanChoice& choice,
                     const TargetLaw* law) {
  Cost cost = chosen(lowered, target, choice);
  if (law != nullptr) cost.speed = estimate_speed(lowered, *law);
  return cost;
}

}  // namespace mcufit
