// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>

#include "cost-models/plan_choice.h"

namespace mcufit {

// Adds `--plan`.
void add_plan_option(boost::program_options::options_description& options);

// What it says. Throws Error(usage) for a name that is none.
PlanChoice plan_choice(const boost::program_options::variables_map& options);

}  // namespace mcufit
