// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>
#include <string>

#include "blocks/graph.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace mcufit {

// Adds `--plan`.
void add_plan_option(boost::program_options::options_description& options);

// Prices a network on a target with the memory plan that `--plan` asks for. Throws Error(usage) for a name
// that is none. `law`, which may be null, adds the speed.
Cost price_as_chosen(const Graph& lowered, const Target& target, const std::string& choice,
                     const TargetLaw* law = nullptr);

}  // namespace mcufit
