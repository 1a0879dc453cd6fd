// SPDX-License-Identifier: Apache-2.0
#include "search/cli/plan_choice.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"

namespace mcufit {

void add_plan_option(boost::program_options::options_description& options) {
  options.add_options()(
      "plan", boost::program_options::value<std::string>()->default_value("fits"),
      "how the network runs: layer-by-layer; least-ram: groups of layers row by row; fits: "
      "layer by layer where the target's RAM holds that, else the fewest calls that it holds");
}

PlanChoice plan_choice(const boost::program_options::variables_map& options) {
  const std::string name = options["plan"].as<std::string>();
  if (const auto choice = find_plan_choice(name)) return *choice;
  const std::vector<std::string>& names = plan_choice_names();
  throw Error(ExitCode::usage, fmt::format("--plan: found '{}'; accepted: {}{}", name, join(names),
                                           did_you_mean(name, names)));
}

}  // namespace mcufit
