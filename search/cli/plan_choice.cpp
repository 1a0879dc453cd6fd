// SPDX-License-Identifier: Apache-2.0
#include "search/cli/plan_choice.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/price_plan.h"

namespace mcufit {

namespace po = boost::program_options;

void add_plan_option(po::options_description& options) {
  options.add_options()(
      "plan", po::value<std::string>()->default_value("fits"),
      "how the network runs: layer-by-layer; least-ram: groups of layers row by row; fits: "
      "layer by layer where the target's RAM holds that, else the fewest calls that it holds");
}

PlanChoice plan_choice(const po::variables_map& options) {
  const std::string name = options["plan"].as<std::string>();
  if (const auto choice = find_plan_choice(name)) return *choice;
  const std::vector<std::string>& names = plan_choice_names();
  throw Error(ExitCode::usage, fmt::format("--plan: found '{}'; accepted: {}{}", name, join(names),
                                           did_you_mean(name, names)));
}

void add_input_option(po::options_description& options) {
  options.add_options()(
      "input", po::value<std::string>()->default_value("whole"),
      "how the sender delivers the input: whole, or rows, one after the other as they are asked for");
}

bool takes_input_by_rows(const po::variables_map& options) {
  const std::string found = options["input"].as<std::string>();
  if (found == "whole") return false;
  if (found != "rows")
    throw Error(ExitCode::usage, fmt::format("--input: found '{}'; accepted: whole, rows{}", found,
                                             did_you_mean(found, {"whole", "rows"})));
  if (plan_choice(options) != PlanChoice::layer_by_layer) return true;
  throw Error(
      ExitCode::usage,
      "--input rows: found --plan layer-by-layer, which needs the input whole; accepted: --plan fits, "
      "--plan least-ram");
}

Cost price_package(const po::variables_map& options, const Graph& lowered, const CodeSizesForTarget& code,
                   const Budget& budget, const TargetLaw* law) {
  if (!takes_input_by_rows(options)) return price_package(lowered, code, budget, law);
  if (auto fed = price_package_fed_by_rows(lowered, code, budget, law)) return std::move(*fed);
  throw Error(
      ExitCode::constraint_not_met,
      fmt::format("{}: --input rows: found no plan that needs less RAM when its input comes row by row; "
                  "try --input whole, which may be filled row by row too",
                  lowered.name));
}

}  // namespace mcufit
