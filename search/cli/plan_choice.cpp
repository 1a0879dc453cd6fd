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

namespace {

// Throws Error(usage) for a name that is none.
PlanChoice plan_choice(const po::variables_map& options) {
  const std::string name = options["plan"].as<std::string>();
  if (const auto choice = find_plan_choice(name)) return *choice;
  const std::vector<std::string>& names = plan_choice_names();
  throw Error(ExitCode::usage, fmt::format("--plan: found '{}'; accepted: {}{}", name, join(names),
                                           did_you_mean(name, names)));
}

double mac_factor(const po::variables_map& options) {
  const auto factor = options["mac-factor"].as<double>();
  if (!(factor >= 1 && factor <= kMostMacFactor))  // not a number neither
    throw Error(ExitCode::usage, fmt::format("--mac-factor: found {}; accepted: a number from 1 (no extra "
                                             "multiply-accumulates) to {:.0f}",
                                             factor, kMostMacFactor));
  if (factor > 1 && plan_choice(options) == PlanChoice::layer_by_layer)
    throw Error(ExitCode::usage, fmt::format("--mac-factor {}: found --plan layer-by-layer, which computes "
                                             "nothing twice; accepted: --plan fits, --plan least-ram",
                                             factor));
  return factor;
}

}  // namespace

void add_plan_options(po::options_description& options) {
  options.add_options()(
      "plan", po::value<std::string>()->default_value("fits"),
      "how the network runs: layer-by-layer; least-ram: groups of layers row by row; fits: "
      "layer by layer where the target's RAM holds that, else the fewest calls that it holds")(
      "mac-factor", po::value<double>()->default_value(1),
      "up to so many times the network's MACs: groups may run in tiles, which make some columns twice, where "
      "no other plan fits or the least RAM is asked for")(
      "wide-filters", po::bool_switch(),
      "depthwise filters in flash as the core's kernels compute with them: fewer instructions where they run "
      "row by row, about twice to four times their bytes; cortex-m4, m7, m33");
}

void read_plan_options(const po::variables_map& options, Budget& budget) {
  budget.plan = plan_choice(options);
  budget.mac_factor = mac_factor(options);
  budget.wide_filters = options["wide-filters"].as<bool>();
}

std::string wide_filters_note(const Budget& budget, const CodeSizesForTarget& code, const Cost* cost) {
  if (!budget.wide_filters) return "";
  if (!reads_wide_filters(code))
    return "wide filters change nothing: the core's kernels do not read them, those of cortex-m4, m7 and m33 "
           "do\n";
  if (cost == nullptr || cost->wide_filters()) return "";
  return "wide filters change nothing: the network has no depthwise layer that takes them\n";
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
