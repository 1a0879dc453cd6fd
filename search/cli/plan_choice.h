// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>
#include <string>

#include "blocks/graph.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace mcufit {

// What `--plan` and `--input` ask for.
struct PlanChoice {
  std::string plan;             // "fits", "layer-by-layer", "least-ram"
  bool input_streamed = false;  // the sender delivers rows, so only plans that take them so are looked at
};

void add_plan_options(boost::program_options::options_description& options);

// Throws Error(usage) for what they do not accept.
PlanChoice read_plan_options(const boost::program_options::variables_map& options);

// Prices a network on a target with the memory plan that was asked for. Throws Error(constraint_not_met)
// where no plan takes the input row by row. `law`, which may be null, adds the speed.
Cost price_as_chosen(const Graph& lowered, const Target& target, const PlanChoice& choice,
                     const TargetLaw* law = nullptr);

}  // namespace mcufit
