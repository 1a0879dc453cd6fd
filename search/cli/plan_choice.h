// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options.hpp>
#include <string>

#include "cost-models/plan_choice.h"
#include "cost-models/price.h"

namespace mcufit {

// Adds `--plan`, `--mac-factor` and `--wide-filters`.
void add_plan_options(boost::program_options::options_description& options);

// Gives a budget what they say. Throws Error(usage) for a name that is none, for a factor that is not from 1
// to kMostMacFactor, and for one above 1 beside `--plan layer-by-layer`.
void read_plan_options(const boost::program_options::variables_map& options, Budget& budget);

// A line that says why wide filters, where the budget asks for them, change nothing; else empty. `cost`, of
// the network, may be null.
std::string wide_filters_note(const Budget& budget, const CodeSizesForTarget& code, const Cost* cost);

// Adds `--input`.
void add_input_option(boost::program_options::options_description& options);

// True when the sender delivers the input row by row. Throws Error(usage) for what is neither `whole` nor
// `rows`, and for rows beside `--plan layer-by-layer`.
bool takes_input_by_rows(const boost::program_options::variables_map& options);

// The network as it is packaged with these options; `law` may be null. Throws Error(constraint_not_met) for
// an input by rows where no plan needs a smaller arena by that.
Cost price_package(const boost::program_options::variables_map& options, const Graph& lowered,
                   const CodeSizesForTarget& code, const Budget& budget, const TargetLaw* law = nullptr);

}  // namespace mcufit
