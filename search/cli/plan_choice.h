// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>

#include "cost-models/plan_choice.h"

namespace mcufit {

// Adds `--plan`.
void add_plan_option(boost::program_options::options_description& options);

// What it says. Throws Error(usage) for a name that is none.
PlanChoice plan_choice(const boost::program_options::variables_map& options);

// Adds `--input`.
void add_input_option(boost::program_options::options_description& options);

// True when the sender delivers the input row by row. Throws Error(usage) for what is neither `whole` nor
// `rows`, and for rows beside `--plan layer-by-layer`.
bool takes_input_by_rows(const boost::program_options::variables_map& options);

}  // namespace mcufit
